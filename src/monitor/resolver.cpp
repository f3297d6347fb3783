#include "monitor/resolver.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace farol::monitor {
namespace {

std::string joined(const std::vector<Address>& addresses) {
  std::string text;
  for (const Address& address : addresses) text += (text.empty() ? "" : ",") + address.text();
  return text;
}

bool is_numeric(const HostPort& name) {
  return Address::parse_ip(name.host).has_value();
}

}  // namespace

Resolver::Resolver(std::vector<HostPort> targets, Publish publish, const Logger& log, Resolve resolve)
    : publish_(std::move(publish)), log_(log), resolve_(std::move(resolve)) {
  for (HostPort& name : targets) {
    Target target;
    if (is_numeric(name)) target.addresses = {*Address::parse_ip(name.host, name.port)};
    target.name = std::move(name);
    targets_.push_back(std::move(target));
  }
}

void Resolver::run(const StopEvent& stop) {
  publish_all();
  for (;;) {
    const bool all = resolve_all();
    if (stop.wait_until(Clock::now() + (all ? kRefresh : kRetry))) break;
  }
  finished_.fire();
}

bool Resolver::resolve_all() {
  bool all = true;
  for (Target& target : targets_) {
    if (is_numeric(target.name)) continue;
    all = resolve_one(target) && all;
    publish_all();
  }
  return all;
}

bool Resolver::resolve_one(Target& target) {
  std::string trouble;
  try {
    auto addresses = resolve_(target.name);
    auto sorted = addresses, before = target.addresses;  // the resolver may rotate them
    std::sort(sorted.begin(), sorted.end());
    std::sort(before.begin(), before.end());
    if (sorted != before || !target.trouble.empty())
      log_.info("proxy resolved", {{"name", target.name.host}, {"addresses", joined(addresses)}});
    if (sorted != before) target.addresses = std::move(addresses);
  } catch (const std::runtime_error& error) {
    trouble = error.what();
  }
  if (!trouble.empty() && trouble != target.trouble)
    log_.warn("proxy not resolved, trying again every 5 s",
              {{"name", target.name.host}, {"error", trouble}, {"keeping", joined(target.addresses)}});
  target.trouble = std::move(trouble);
  return target.trouble.empty();
}

void Resolver::publish_all() {
  std::vector<Address> all;
  for (const Target& target : targets_)
    for (const Address& address : target.addresses)
      if (std::find(all.begin(), all.end(), address) == all.end()) all.push_back(address);
  if (all == published_) return;
  published_ = all;
  publish_(published_);
}

}  // namespace farol::monitor
