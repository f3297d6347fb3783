#include "simulation.hpp"

#include <algorithm>
#include <utility>

namespace farol::study {
namespace {

constexpr std::size_t kAttempts = 3;         ///< on different back-ends
constexpr double kConnectTimeout = 2;
constexpr double kSinkDelay = 0.001;

/// Clients, and the path of their bytes through a proxy to a back-end and back.
class Simulation {
 public:
  Simulation(const Scenario& scenario, const MakeDispatcher& make, std::uint64_t seed)
      : world_(scenario, seed), sessions_(model::Scheduler(scenario.load_spec(seed)).sessions()), live_(sessions_.size()) {
    for (std::size_t p = 0; p < scenario.proxies; ++p) proxies_.push_back(make(world_, seed * 1000 + p));
    world_.joined = [this](std::size_t backend) {
      for (const auto& proxy : proxies_) proxy->join(backend);
    };
  }

  Outcome run() {
    plan_arrival(0);
    world_.events.run_until(kEnd);
    for (std::size_t i = 0; i < live_.size(); ++i)
      if (live_[i].outstanding) count(i, kEnd);
    live_.clear();
    return outcome();
  }

 private:
  struct Live {
    std::unique_ptr<Connection> connection;
    std::vector<std::size_t> tried;
    std::size_t next = 0;      ///< the first request that has not begun
    bool outstanding = false;
    bool counted = false;      ///< the machine counts the connection
    bool answered = false;     ///< on this connection
  };

  [[nodiscard]] Machine& machine(std::size_t i) { return *world_.machines[live_[i].connection->backend()]; }
  [[nodiscard]] const model::Request& request(std::size_t i) const { return sessions_[i].requests[live_[i].next - 1]; }

  void plan_arrival(std::size_t i) {
    if (i >= sessions_.size()) return;
    world_.events.at(sessions_[i].requests[0].due, [this, i] {
      begin(i);
      plan_arrival(i + 1);
    });
  }

  /// The next request of a session: on its connection, or on a new one.
  void begin(std::size_t i) {
    Live& live = live_[i];
    ++live.next;
    live.outstanding = true;
    if (live.connection == nullptr) {
      live.tried.clear();
      attempt(i);
    } else {
      live.connection->asked();
      travel(machine(i).round_trip / 2, i, &Simulation::arrive);
    }
  }

  void attempt(std::size_t i) {
    Live& live = live_[i];
    live.answered = false;
    if (live.tried.size() < kAttempts) live.connection = proxies_[sessions_[i].target]->open(live.tried);
    if (live.connection == nullptr) return fail(i);
    if (world_.faulty()) {
      ++fault_attempts_;
      if (live.connection->backend() == 0) ++fault_hits_;
    }
    Machine& there = machine(i);
    if (!there.serves) {
      travel(there.swallows ? kConnectTimeout : there.round_trip, i, &Simulation::refused);
    } else {
      travel(there.round_trip, i, &Simulation::connect);
    }
  }

  /// Calls `then(i)` after `delay`, unless the connection has ended by then.
  void travel(double delay, std::size_t i, void (Simulation::*then)(std::size_t)) {
    world_.events.in(delay, [this, i, then, connection = live_[i].connection.get()] {
      if (live_[i].connection.get() == connection) (this->*then)(i);
    });
  }

  void refused(std::size_t i) {
    Live& live = live_[i];
    live.tried.push_back(live.connection->backend());
    live.connection->refused();
    live.connection.reset();
    attempt(i);
  }

  void connect(std::size_t i) {
    if (!machine(i).serves) return refused(i);
    live_[i].connection->connected();
    live_[i].connection->asked();
    live_[i].counted = true;
    ++machine(i).connections;
    travel(machine(i).round_trip / 2, i, &Simulation::arrive);
  }

  void arrive(std::size_t i) {
    Machine& there = machine(i);
    const bool first = !live_[i].answered;
    if (!there.serves) return lose(i);
    if (there.sink || (first && world_.flakes())) return travel(kSinkDelay, i, &Simulation::lose);
    there.start(request(i).work, request(i).wait, [this, i, connection = live_[i].connection.get()](bool well) {
      if (live_[i].connection.get() != connection) return;
      if (well) return travel(machine(i).round_trip / 2, i, &Simulation::answer);
      lose(i);
    });
    deepest_ = std::max(deepest_, there.jobs());
  }

  void answer(std::size_t i) {
    Live& live = live_[i];
    live.connection->answered();
    live.answered = true;
    live.outstanding = false;
    count(i, world_.events.now());
    proceed(i);
  }

  /// The back-end has closed the connection or died.
  void lose(std::size_t i) {
    if (!live_[i].answered) live_[i].connection->broken();
    close(i);
    fail(i);
  }

  void fail(std::size_t i) {
    live_[i].outstanding = false;
    const double due = request(i).due;
    if (due >= kWarm) ++failed_;
    if (within_fault(due)) ++fault_failed_;
    proceed(i);
  }

  void proceed(std::size_t i) {
    Live& live = live_[i];
    if (live.next == sessions_[i].requests.size()) return close(i);
    world_.events.at(std::max(world_.events.now(), sessions_[i].requests[live.next].due), [this, i] { begin(i); });
  }

  void close(std::size_t i) {
    Live& live = live_[i];
    if (live.connection == nullptr) return;
    if (std::exchange(live.counted, false)) --machine(i).connections;
    live.connection.reset();
  }

  static bool within_fault(double due) { return due >= kFaultFrom && due < kFaultTo; }

  void count(std::size_t i, double now) {
    const double due = request(i).due;
    if (within_fault(due)) ++fault_counted_;
    if (due >= kWarm) latencies_ms_.push_back((now - due) * 1e3);
  }

  Outcome outcome() {
    Outcome result;
    std::ranges::sort(latencies_ms_);
    const auto at = [this](double quantile) {
      const auto place = static_cast<std::size_t>(quantile * static_cast<double>(latencies_ms_.size()));
      return latencies_ms_.empty() ? 0 : latencies_ms_[std::min(place, latencies_ms_.size() - 1)];
    };
    result.requests = latencies_ms_.size() + failed_;
    for (const double latency : latencies_ms_) result.mean += latency / static_cast<double>(latencies_ms_.size());
    result.p50 = at(0.5);
    result.p99 = at(0.99);
    result.p999 = at(0.999);
    result.failed = share(failed_, result.requests);
    result.fault_share = share(fault_hits_, fault_attempts_);
    result.fault_failed = share(fault_failed_, fault_counted_ + fault_failed_);
    result.deepest = deepest_;
    return result;
  }

  static double share(std::size_t part, std::size_t whole) {
    return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
  }

  World world_;
  const std::vector<model::Session> sessions_;
  std::vector<std::unique_ptr<Dispatcher>> proxies_;
  std::vector<Live> live_;  ///< after the proxies: connections end before them
  std::vector<double> latencies_ms_;
  std::size_t failed_ = 0, fault_failed_ = 0, fault_counted_ = 0, fault_attempts_ = 0, fault_hits_ = 0, deepest_ = 0;
};

}  // namespace

Outcome simulate(const Scenario& scenario, const MakeDispatcher& make, std::uint64_t seed) {
  return Simulation(scenario, make, seed).run();
}

}  // namespace farol::study
