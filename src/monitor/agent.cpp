#include "monitor/agent.hpp"

#include <variant>

namespace farol::monitor {
namespace {

using monitoring::DropReason;
using monitoring::Envelope;
using monitoring::ProbeRequest;

constexpr int kBatch = 64;  // packets taken before looking for the stop again

/// The proxies need a moment of CPU to measure: the first Register waits for that, so that the first answer has one.
constexpr Duration kWarmUp = LoadSampler::kShortestWindow;

double percent(std::uint16_t hundredths) {
  return hundredths / 100.0;
}

}  // namespace

Agent::Agent(monitoring::Service service, Duration interval, monitoring::MonitoringSocket& socket,
             LoadReporter& reporter, const Logger& log)
    : service_(service),
      interval_(interval),
      socket_(socket),
      reporter_(reporter),
      log_(log),
      ipv4_only_(socket.local_address().family() == AF_INET),
      registrations_(interval) {}

void Agent::set_proxies(const std::vector<Address>& proxies, TimePoint now) {
  std::vector<Address> reachable;
  for (const Address& proxy : proxies) {
    if (ipv4_only_ && proxy.family() != AF_INET)
      log_.debug("proxy address left out: bound to IPv4", {{"proxy", proxy.text()}});
    else
      reachable.push_back(proxy);
  }
  {
    MutexLock lock(mutex_);
    registrations_.set_proxies(reachable, now);
  }
  schedule_changed_.ring();
}

void Agent::run_register(const StopEvent& stop) {
  if (stop.wait_until(reporter_.at_start().from.at + kWarmUp)) return;
  for (;;) {
    schedule_changed_.clear();
    const TimePoint now = Clock::now();
    std::vector<Registrations::Due> due;
    TimePoint next;
    {
      MutexLock lock(mutex_);
      due = registrations_.take_due(now);
      next = registrations_.next_due();
    }
    for (const auto& one : due) send_register(one, now);
    if (wait_readable(schedule_changed_.fd(), stop, next) == Wake::stop) return;
  }
}

void Agent::send_register(const Registrations::Due& due, TimePoint now) {
  const auto interval_ms = std::chrono::ceil<std::chrono::milliseconds>(interval_).count();
  Envelope envelope;
  envelope.packet = monitoring::Register{service_, static_cast<std::uint32_t>(interval_ms)};
  envelope.peer = due.proxy;
  if (due.trouble == Registrations::Trouble::silent)
    log_.info("no probes: registering every second", {{"proxy", due.proxy.text()}});
  if (due.trouble == Registrations::Trouble::unanswered)
    log_.warn("never probed: is a proxy there, may its probes reach us, has it our key?",
              {{"proxy", due.proxy.text()}});
  std::uint64_t suppressed = 0;
  if (socket_.send(envelope))
    log_.debug("register sent", {{"proxy", due.proxy.text()}});
  else if (unsent_.allow(now, suppressed))
    log_.warn("register not sent (no route?)", {{"proxy", due.proxy.text()}, {"suppressed", suppressed}});
}

void Agent::run_answer(const StopEvent& stop) {
  while (wait_readable(socket_.fd(), stop, kNever) != Wake::stop) {
    for (int i = 0; i < kBatch; ++i) {
      const auto received = socket_.receive();
      if (!received) break;
      handle(*received);
    }
  }
}

void Agent::handle(const monitoring::Received& received) {
  const TimePoint now = Clock::now();
  if (const auto* dropped = std::get_if<monitoring::Dropped>(&received))
    return drop(dropped->reason, dropped->peer, now);
  const auto& envelope = std::get<Envelope>(received);
  if (const auto* probe = std::get_if<ProbeRequest>(&envelope.packet))
    answer(envelope, *probe, now);
  else
    drop(DropReason::direction, envelope.peer, now);
}

void Agent::answer(const Envelope& request, const ProbeRequest& probe, TimePoint now) {
  Registrations::Prober prober;
  {
    MutexLock lock(mutex_);
    prober = registrations_.probed(request, probe);
  }
  if (prober == Registrations::Prober::unknown) return drop(DropReason::unknown, request.peer, now);
  if (probe.leaving) schedule_changed_.ring();
  const std::string proxy = request.peer.text();
  log_.debug("request received", {{"seq", probe.sequence}, {"proxy", proxy}});
  if (prober == Registrations::Prober::first_time) log_.info("probed for the first time by proxy", {{"proxy", proxy}});
  if (prober == Registrations::Prober::back) log_.info("probed again by proxy", {{"proxy", proxy}});
  if (probe.leaving) log_.info("proxy is leaving: registering every second", {{"proxy", proxy}});

  const LoadReport report = reporter_.report(baseline_of(request.peer), now);
  const bool draining = draining_.load(std::memory_order_relaxed);
  Envelope response;
  response.packet =
      monitoring::ProbeResponse{service_, probe.sequence, probe.nonce, report.load, report.listening, draining};
  response.peer = request.peer;
  response.local = request.local;
  response.interface = request.interface;
  const bool sent = socket_.send(response);
  log_.debug(sent ? "response sent" : "response not sent", {{"seq", probe.sequence},
                                                            {"proxy", proxy},
                                                            {"cpu", percent(report.load.cpu), 1},
                                                            {"mem", percent(report.load.memory), 1},
                                                            {"tcp", report.load.tcp_machine},
                                                            {"service", report.load.tcp_service},
                                                            {"listening", report.listening ? "yes" : "no"},
                                                            {"counted_ms_ago", to_ms(report.age), 0},
                                                            {"draining", draining ? "yes" : "no"}});
}

void Agent::drop(DropReason reason, const Address& source, TimePoint now) {
  const auto label = monitoring::to_string(reason);
  log_.debug("packet dropped", {{"reason", label}, {"source", source.text()}});
  std::uint64_t suppressed = 0;
  if (drops_.allow(now, suppressed))
    log_.warn("packets dropped",
              {{"reason", label}, {"source", source.text()}, {"since_last_warning", suppressed + 1}});
}

/// A new proxy's CPU is measured from the agent's start. Forgets proxies whose addresses are gone.
CpuBaseline& Agent::baseline_of(const Address& proxy) {
  const auto found = baselines_.find(proxy);
  if (found != baselines_.end()) return found->second;
  {
    MutexLock lock(mutex_);
    for (auto entry = baselines_.begin(); entry != baselines_.end();)
      entry = registrations_.knows(entry->first) ? std::next(entry) : baselines_.erase(entry);
  }
  return baselines_.emplace(proxy, reporter_.at_start()).first->second;
}

void Agent::deregister() {
  std::vector<Registrations::Farewell> farewells;
  {
    MutexLock lock(mutex_);
    farewells = registrations_.farewells();
  }
  for (auto& farewell : farewells) {
    farewell.envelope.packet = monitoring::Deregister{service_, farewell.nonce};
    const bool sent = socket_.send(farewell.envelope);
    log_.info(sent ? "deregister sent" : "deregister not sent", {{"proxy", farewell.envelope.peer.text()}});
  }
}

bool Agent::toggle_draining() {
  const bool draining = !draining_.load(std::memory_order_relaxed);
  draining_.store(draining, std::memory_order_relaxed);
  return draining;
}

}  // namespace farol::monitor
