#include "monitor/registrations.hpp"

#include <algorithm>
#include <utility>

namespace farol::monitor {

void Registrations::set_proxies(const std::vector<Address>& proxies, TimePoint now) {
  std::map<Address, Proxy> kept;
  for (const Address& address : proxies) {
    const auto known = proxies_.find(address);
    Proxy& proxy = kept[address];
    if (known != proxies_.end())
      proxy = known->second;
    else
      proxy.first_due = now;
  }
  proxies_ = std::move(kept);
}

/// An upper gap of the last ones: neither a pause of the proxy moves it, nor the up to two short gaps that follow a long
/// one when answers are lost and the proxy asks again at once.
Duration Registrations::usual_gap(const Proxy& proxy) {
  const std::size_t count = std::min(proxy.gaps_seen, kGaps);
  if (count == 0) return kAssumedGap;
  auto sorted = proxy.gaps;
  std::sort(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(count));
  return sorted[count * 2 / 3];
}

TimePoint Registrations::silent_from(const Proxy& proxy) {
  if (!proxy.probed || proxy.leaving) return TimePoint::min();
  return proxy.last_probe + std::max(kHurry, kSilentGaps * usual_gap(proxy));
}

TimePoint Registrations::due_at(const Proxy& proxy) const {
  if (!proxy.registered) return proxy.first_due;
  return std::min(proxy.last_register + interval_, std::max(proxy.last_register + kHurry, silent_from(proxy)));
}

Registrations::Trouble Registrations::trouble_of(Proxy& proxy, TimePoint now) {
  if (!proxy.probed) return ++proxy.unanswered == kUnanswered ? Trouble::unanswered : Trouble::none;
  if (proxy.leaving || proxy.silence_told || silent_from(proxy) > now) return Trouble::none;
  proxy.silence_told = true;
  return Trouble::silent;
}

std::vector<Registrations::Due> Registrations::take_due(TimePoint now) {
  std::vector<Due> due;
  for (auto& [address, proxy] : proxies_) {
    if (due_at(proxy) > now) continue;
    due.push_back({address, trouble_of(proxy, now)});
    proxy.registered = true;
    proxy.last_register = now;
  }
  return due;
}

TimePoint Registrations::next_due() const {
  TimePoint next = kNever;
  for (const auto& [address, proxy] : proxies_) next = std::min(next, due_at(proxy));
  return next;
}

Registrations::Prober Registrations::probed(const monitoring::Envelope& envelope,
                                            const monitoring::ProbeRequest& request) {
  const auto found = proxies_.find(envelope.peer);
  if (found == proxies_.end()) return Prober::unknown;
  Proxy& proxy = found->second;
  // Sequence 0 is a challenge and 1, right behind it, the first probe of a life: no gap to learn from.
  if (proxy.probed && request.sequence > 1) proxy.gaps[proxy.gaps_seen++ % kGaps] = envelope.arrival - proxy.last_probe;
  const bool was_away = proxy.silence_told || proxy.leaving;
  const Prober prober = !proxy.probed ? Prober::first_time : was_away ? Prober::back : Prober::usual;
  proxy.probed = true;
  proxy.leaving = request.leaving;
  proxy.silence_told = false;
  proxy.last_probe = envelope.arrival;
  proxy.nonce = request.nonce;
  proxy.local = envelope.local;
  proxy.interface = envelope.interface;
  return prober;
}

std::vector<Registrations::Farewell> Registrations::farewells() const {
  std::vector<Farewell> farewells;
  for (const auto& [address, proxy] : proxies_) {
    if (!proxy.probed) continue;
    Farewell farewell;
    farewell.envelope.peer = address;
    farewell.envelope.local = proxy.local;
    farewell.envelope.interface = proxy.interface;
    farewell.nonce = proxy.nonce;
    farewells.push_back(farewell);
  }
  return farewells;
}

}  // namespace farol::monitor
