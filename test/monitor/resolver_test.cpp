#include "monitor/resolver.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <map>
#include <stdexcept>

#include "common/thread.hpp"

using namespace farol;
using farol::monitor::Resolver;

namespace {

using Addresses = std::vector<Address>;

const Address kA = *Address::parse("10.0.0.1:5555");
const Address kB = *Address::parse("10.0.0.2:5555");
const Address kNumeric = *Address::parse("10.0.0.9:5000");

/// A name service under the test's control.
struct Names {
  Addresses operator()(const HostPort& name) const {
    const auto found = table.find(name.host);
    if (found == table.end()) throw std::runtime_error("cannot resolve '" + name.host + "'");
    return found->second;
  }
  std::map<std::string, Addresses> table;
};

struct Fixture {
  Names names;
  std::vector<Addresses> published;
  Logger log{STDERR_FILENO, LogLevel::error, LogFormat::text};
  Resolver resolver{{{"10.0.0.9", 5000}, {"proxies", 5555}},
                    [this](const Addresses& all) { published.push_back(all); },
                    log,
                    [this](const HostPort& name) { return names(name); }};
};

}  // namespace

TEST_CASE("Resolver: all addresses of a name and the numeric ones are published, once", "[resolver]") {
  Fixture f;
  f.names.table["proxies"] = {kA, kB, kNumeric};
  CHECK(f.resolver.resolve_all());
  REQUIRE(f.published.size() == 1);
  CHECK(f.published[0] == Addresses{kNumeric, kA, kB});
}

TEST_CASE("Resolver: an unknown name is no obstacle to the others, and is asked for again", "[resolver]") {
  Fixture f;
  CHECK_FALSE(f.resolver.resolve_all());
  REQUIRE(f.published.size() == 1);
  CHECK(f.published[0] == Addresses{kNumeric});
  f.names.table["proxies"] = {kA};
  CHECK(f.resolver.resolve_all());
  CHECK(f.published.back() == Addresses{kNumeric, kA});
}

TEST_CASE("Resolver: a name that no longer resolves keeps its addresses", "[resolver]") {
  Fixture f;
  f.names.table["proxies"] = {kA};
  f.resolver.resolve_all();
  f.names.table.clear();
  CHECK_FALSE(f.resolver.resolve_all());
  CHECK(f.published.back() == Addresses{kNumeric, kA});
}

TEST_CASE("Resolver: only changes are published; a rotated answer is none", "[resolver]") {
  Fixture f;
  f.names.table["proxies"] = {kA, kB};
  f.resolver.resolve_all();
  f.names.table["proxies"] = {kB, kA};
  f.resolver.resolve_all();
  CHECK(f.published.size() == 1);
  f.names.table["proxies"] = {kB};
  f.resolver.resolve_all();
  REQUIRE(f.published.size() == 2);
  CHECK(f.published[1] == Addresses{kNumeric, kB});
}

TEST_CASE("Resolver: its thread ends with the stop and says so", "[resolver]") {
  Fixture f;
  StopEvent stop;
  stop.fire();
  Thread thread("resolver", [&] { f.resolver.run(stop); });
  thread.join();
  CHECK(f.resolver.finished().fired());
}
