#pragma once

#include "proxyctl/options.hpp"

namespace farol::proxyctl {

/// The commands that ask once and print the answer; with `json` the API's own. Each returns the exit code and throws
/// UsageError or std::runtime_error, whose text is the one line on stderr.
int print_status(const Options& options);
int explain(const Options& options);
int set_state(const Options& options);
int upgrade(const Options& options);
/// Looks for what is wrong: 2 when something is.
int check(const Options& options);
int print_key(const Options& options);

}  // namespace farol::proxyctl
