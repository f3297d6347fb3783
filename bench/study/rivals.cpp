#include "rivals.hpp"

#include <algorithm>
#include <cmath>

namespace farol::study {
namespace {

constexpr double kDecay = 10;  ///< seconds, of a latency peak (Finagle's default)
// Prequal (figure 3 and section 4): probes for each request, the most that are kept, how long, latencies remembered.
constexpr int kProbesPerRequest = 3;
constexpr std::size_t kMostProbes = 16;
constexpr double kProbeAge = 1;
constexpr std::size_t kLatencies = 9, kInFlights = 128;

}  // namespace

/// Counts a connection out when it ends, and tells what its first reply took.
class Rival::Count final : public Connection {
 public:
  Count(Rival& rival, std::size_t backend)
      : rival_(rival), backend_(backend), in_flight_(rival.views_[backend].open++), since_(rival.world_.events.now()) {}
  ~Count() override { --rival_.views_[backend_].open; }
  [[nodiscard]] std::size_t backend() const override { return backend_; }
  void refused() override {
    View& view = rival_.views_[backend_];
    if (view.ejected_until > rival_.world_.events.now()) return;
    view.failures = std::min(view.failures + 1, 5);
    view.ejected_until = rival_.world_.events.now() + std::min(10.0, std::exp2(view.failures - 1));
  }
  void answered() override {
    if (std::exchange(answered_, true)) return;
    rival_.views_[backend_].failures = 0;
    rival_.finished(backend_, rival_.world_.events.now() - since_, in_flight_);
  }

 private:
  Rival& rival_;
  std::size_t backend_;
  unsigned in_flight_;
  double since_;
  bool answered_ = false;
};

Rival::Rival(World& world, const Settings& settings, std::uint64_t seed)
    : world_(world), settings_(settings), random_(seed), views_(world.machines.size()), meters_(world.machines.size()) {
  for (std::size_t i = 0; i < views_.size(); ++i) views_[i].known = world.machines[i]->present;
  if (settings.rule == Rule::agent_connections || settings.rule == Rule::agent_round_robin)
    world.events.in(0, [this] { ask_agents(); });
}

void Rival::join(std::size_t backend) { views_[backend].known = true; }

std::unique_ptr<Connection> Rival::open(std::span<const std::size_t> tried) {
  std::vector<std::size_t> candidates, last_resort;
  for (std::size_t i = 0; i < views_.size(); ++i) {
    if (!views_[i].known || std::ranges::find(tried, i) != tried.end()) continue;
    last_resort.push_back(i);
    if (views_[i].ejected_until <= world_.events.now()) candidates.push_back(i);
  }
  if (last_resort.empty()) return nullptr;
  const std::size_t chosen = candidates.empty() ? random_of(last_resort) : choose(candidates);
  views_[chosen].chosen = ++choices_;
  return std::make_unique<Count>(*this, chosen);
}

std::size_t Rival::choose(const std::vector<std::size_t>& candidates) {
  switch (settings_.rule) {
    case Rule::random_two:
    case Rule::peak_ewma: return better_of_two(candidates);
    case Rule::agent_connections:
    case Rule::agent_round_robin: return by_agent(candidates);
    case Rule::prequal: return prequal(candidates);
  }
  return candidates[0];
}

std::size_t Rival::random_of(const std::vector<std::size_t>& candidates) {
  return candidates[std::uniform_int_distribution<std::size_t>(0, candidates.size() - 1)(random_)];
}

std::size_t Rival::better_of_two(const std::vector<std::size_t>& candidates) {
  const std::size_t one = random_of(candidates);
  std::size_t other = one;
  while (candidates.size() > 1 && other == one) other = random_of(candidates);
  if (settings_.rule == Rule::random_two) return views_[other].open < views_[one].open ? other : one;
  return cost(other) < cost(one) ? other : one;
}

double Rival::cost(std::size_t backend) const {
  const View& view = views_[backend];
  const double peak = view.peak * std::exp(-(world_.events.now() - view.peak_at) / kDecay);
  if (peak < 1e-9 && view.open > 0) return 1e9 + view.open;  // nothing known, something pending: a penalty
  return peak * (view.open + 1);
}

std::size_t Rival::by_agent(const std::vector<std::size_t>& candidates) {
  if (settings_.rule == Rule::agent_connections)
    return *std::ranges::min_element(candidates, {}, [this](std::size_t i) {
      return std::pair(views_[i].open / views_[i].weight, views_[i].chosen);
    });
  double sum = 0;
  for (const std::size_t i : candidates) {
    views_[i].credit += views_[i].weight;
    sum += views_[i].weight;
  }
  const std::size_t chosen = *std::ranges::max_element(candidates, {}, [this](std::size_t i) { return views_[i].credit; });
  views_[chosen].credit -= sum;
  return chosen;
}

/// Silence is no error and leaves the weight as it is, as in HAProxy.
void Rival::ask_agents() {
  for (std::size_t i = 0; i < views_.size(); ++i)
    if (world_.machines[i]->agent_up && !world_.datagram_lost())
      views_[i].weight = std::max(1.0, std::round(100 * (1 - world_.machines[i]->look(meters_[i]).cpu)));
  world_.events.in(settings_.interval, [this] { ask_agents(); });
}

double Rival::hot_from() const {
  if (in_flights_.empty()) return 1e9;
  std::vector<unsigned> sorted(in_flights_.begin(), in_flights_.end());
  std::ranges::sort(sorted);
  return sorted[std::min(sorted.size() - 1,
                         static_cast<std::size_t>(settings_.quantile * static_cast<double>(sorted.size())))];
}

std::size_t Rival::prequal(const std::vector<std::size_t>& candidates) {
  std::erase_if(probes_, [&](const Probe& probe) {
    return world_.events.now() - probe.at > kProbeAge || std::ranges::find(candidates, probe.backend) == candidates.end();
  });
  send_prequal_probes();
  if (probes_.size() < 2) return random_of(candidates);
  const double hot = hot_from();
  const auto chosen = std::ranges::min_element(probes_, {}, [hot](const Probe& probe) {
    const bool is_hot = probe.in_flight > hot;
    return std::pair(is_hot, is_hot ? static_cast<double>(probe.in_flight) : probe.latency);
  });
  const std::size_t backend = chosen->backend;
  ++chosen->in_flight;
  const double most = static_cast<double>(std::min(kMostProbes, views_.size() / 2));
  const double left = (1 - most / static_cast<double>(views_.size())) * kProbesPerRequest - 1;
  if (++chosen->uses >= std::max(1.0, 2 / left)) probes_.erase(chosen);
  if (probes_.size() > 2) retire_prequal_probe(hot);
  return backend;
}

/// One probe goes with each request: in turn the oldest and the worst.
void Rival::retire_prequal_probe(double hot) {
  const auto worst = [hot](const Probe& probe) {
    const bool is_hot = probe.in_flight > hot;
    return std::pair(is_hot, is_hot ? static_cast<double>(probe.in_flight) : probe.latency);
  };
  probes_.erase(retire_oldest_ ? std::ranges::min_element(probes_, {}, &Probe::at)
                               : std::ranges::max_element(probes_, {}, worst));
  retire_oldest_ = !retire_oldest_;
}

void Rival::send_prequal_probes() {
  std::vector<std::size_t> all(views_.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  std::vector<std::size_t> chosen;
  std::ranges::sample(all, std::back_inserter(chosen), kProbesPerRequest, random_);
  for (const std::size_t i : chosen) {
    Machine& machine = *world_.machines[i];
    if (!views_[i].known || !machine.agent_up || world_.datagram_lost() || world_.datagram_lost()) continue;
    world_.events.in(machine.round_trip / 2 + world_.agent_delay(i), [this, i] {
      Machine& there = *world_.machines[i];
      Probe probe{i, 0, static_cast<unsigned>(there.jobs()), 0, 0};
      if (there.emulated().lie == model::Lie::full) probe.in_flight = 100;
      if (there.emulated().lie == model::Lie::idle) probe.in_flight = 0;
      if (there.emulated().lie != model::Lie::idle) probe.latency = latency_at(i, probe.in_flight);
      world_.events.in(there.round_trip / 2, [this, probe] { take_prequal_probe(probe); });
    });
  }
}

void Rival::take_prequal_probe(const Probe& probe) {
  std::erase_if(probes_, [&](const Probe& old) { return old.backend == probe.backend; });
  probes_.push_back(probe);
  probes_.back().at = world_.events.now();
  if (probes_.size() > std::max<std::size_t>(2, std::min(kMostProbes, views_.size() / 2))) probes_.erase(probes_.begin());
  in_flights_.push_back(probe.in_flight);
  if (in_flights_.size() > kInFlights) in_flights_.pop_front();
}

/// The median of the newest latencies of requests that found as many in flight, or as nearly as many as there are.
double Rival::latency_at(std::size_t backend, unsigned in_flight) const {
  const auto& latencies = views_[backend].latencies;
  if (latencies.empty()) return 0;
  const auto above = latencies.lower_bound(in_flight);
  auto nearest = above;
  if (above == latencies.end() || (above != latencies.begin() && above->first != in_flight &&
                                   in_flight - std::prev(above)->first <= above->first - in_flight))
    nearest = std::prev(above);
  std::vector<double> sorted(nearest->second.begin(), nearest->second.end());
  std::ranges::sort(sorted);
  return sorted[sorted.size() / 2];
}

void Rival::finished(std::size_t backend, double latency, unsigned in_flight_at_start) {
  View& view = views_[backend];
  const double share = std::exp(-(world_.events.now() - view.peak_at) / kDecay);
  view.peak = latency > view.peak * share ? latency : view.peak * share + latency * (1 - share);
  view.peak_at = world_.events.now();
  auto& alike = view.latencies[in_flight_at_start];
  alike.push_back(latency);
  if (alike.size() > kLatencies) alike.pop_front();
}

}  // namespace farol::study
