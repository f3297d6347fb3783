#pragma once

#include "proxyctl/options.hpp"

namespace farol::proxyctl {

/// The pool as a live table, until q, INT, TERM, QUIT or the terminal's end: 0. With `json` no terminal: one status a line.
/// Throws when the proxy cannot be asked at the start, and with `json` at any time.
int top(const Options& options);

}  // namespace farol::proxyctl
