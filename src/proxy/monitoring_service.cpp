#include "proxy/monitoring_service.hpp"

#include <poll.h>

#include <algorithm>
#include <vector>

#include "proxy/backend_table_access.hpp"

namespace farol::proxy {

using monitoring::Envelope;

namespace {

/// Probes due this close together leave at one awakening: with thousands of agents, waking up is most of the cost.
constexpr auto kLongestProbeTick = std::chrono::milliseconds(50);
/// It is never more than this part of the interval: no probe is late by more.
constexpr int kProbeTicks = 100;
/// Those whose probes come sooner than planned are asked in so many turns.
constexpr std::int64_t kSpread = 64;
/// How often the alarms look: a probe time-out is noticed at most this late.
constexpr auto kAlarmTick = std::chrono::milliseconds(50);
/// A thread that wakes this much too late was not running: what it missed proves nothing.
constexpr auto kSlept = std::chrono::milliseconds(400);

/// The next probe comes after the interval ± 10 %, so that agents started together drift apart. Where many may have
/// been probed at once (in a new life, and after this process slept) it comes earlier, spread over more than half the
/// interval, yet not so early that an agent takes the usual gap for an outage (it waits three of the gaps it has seen).
Duration jittered(Duration interval, bool spread, std::minstd_rand& random) {
  std::uniform_real_distribution<double> share(spread ? 0.4 : 0.9, spread ? 1.0 : 1.1);
  return from_seconds(to_seconds(interval) * share(random));
}

}  // namespace

MonitoringService::MonitoringService(BackendTable& table, monitoring::MonitoringSocket& socket, Membership& membership,
                                     const MonitoringConfig& timers, const Logger& log,
                                     Heartbeats* heartbeats)
    : table_(table),
      socket_(socket),
      membership_(membership),
      alarms_(table, timers, log),
      timers_(timers),
      log_(log),
      heartbeats_(heartbeats) {
  receiver_ = Thread("receiver", [this] { receive_all(); });
  timer_ = Thread("probe-timer", [this] { probe_all(); });
  alarm_ = Thread("alarm", [this] { watch_all(); });
}

void MonitoringService::change_timers(const MonitoringConfig& timers) {
  timers_.set(timers);
  alarms_.change_timers(timers);
  const BackendTable::Access rows(table_);
  const TimePoint now = Clock::now();
  for (const auto& [id, row] : rows.rows()) {
    if (row->next_probe != TimePoint::max() && row->next_probe > now + timers.probe_interval)
      rows.schedule_probe(*row, now + timers.probe_interval * (id % kSpread) / kSpread);
    if (row->next_alive_check != TimePoint::max())
      row->next_alive_check = std::min(row->next_alive_check, now + timers.alive_interval);
    rows.look_by(*row, row->next_alarm());
  }
}

void MonitoringService::stop(Farewell farewell) {
  if (!receiver_.joinable()) return;
  stop_.fire();
  receiver_.join();
  timer_.join();
  alarm_.join();
  if (farewell == Farewell::told) say_goodbye();
}

/// Waits as long as it is paused; false when that was not at all.
bool MonitoringService::sit_out(Heartbeats::Pulse& pulse) {
  const bool paused = paused_;
  while (paused_ && !stop_.wait_until(Clock::now() + kAlarmTick)) pulse.beat(Clock::now());
  return paused;
}

void MonitoringService::receive_all() {
  Heartbeats::Pulse pulse(heartbeats_, "receiver");
  while (wait_readable(socket_.fd(), stop_, pulse.beat(Clock::now())) != Wake::stop) {
    if (sit_out(pulse)) continue;
    while (const auto received = socket_.receive()) {
      const TimePoint now = Clock::now();
      pulse.beat(now);
      if (const auto* dropped = std::get_if<monitoring::Dropped>(&*received)) {
        membership_.drop(dropped->reason, dropped->peer, now);
      } else if (const auto reply = membership_.handle(std::get<Envelope>(*received), now)) {
        socket_.send(*reply);
      }
      if (stop_.fired()) return;
      if (paused_) break;
    }
  }
}

void MonitoringService::probe_all() {
  Heartbeats::Pulse pulse(heartbeats_, "probe-timer");
  for (;;) {
    pollfd set[2] = {{stop_.fd(), POLLIN, 0}, {table_.probe_bell().fd(), POLLIN, 0}};
    const TimePoint now = Clock::now();
    const Duration tick = std::min<Duration>(kLongestProbeTick, timers_.get()->probe_interval / kProbeTicks);
    ::poll(set, 2, poll_timeout(std::min(std::max(next_probe(), now + tick), pulse.beat(now)), now));
    if (set[0].revents != 0) return;
    if (sit_out(pulse)) continue;
    if (set[1].revents != 0) table_.probe_bell().clear();
    send_due_probes();
  }
}

TimePoint MonitoringService::next_probe() const { return BackendTable::Access(table_).next_probe(); }

void MonitoringService::send_due_probes() {
  const auto timers = timers_.get();
  while (next_probe() <= Clock::now()) {
    Envelope probe;
    std::uint32_t sequence = 0;
    const std::uint64_t nonce = monitoring::random_u64();  // a system call: before the lock
    {
      const BackendTable::Access rows(table_);
      const TimePoint now = Clock::now();
      const Duration overdue = now - rows.next_probe();
      Backend* due = rows.take_due_probe(now);
      if (due == nullptr) return;
      const bool spread = !due->estimates().rtt().sample().has_value() || overdue > kSlept;
      rows.schedule_probe(*due, now + jittered(timers->probe_interval, spread, random_));
      const monitoring::ProbeRequest request = rows.make_probe(*due, nonce, now, timers->probe_timeout);
      sequence = request.sequence;
      probe = {request, due->agent.path.peer, due->agent.path.local, due->agent.path.interface, {}};
    }
    socket_.send(probe);
    if (log_.enabled(LogLevel::debug)) log_.debug("probe sent", {{"agent", probe.peer.text()}, {"seq", sequence}});
  }
}

void MonitoringService::watch_all() {
  Heartbeats::Pulse pulse(heartbeats_, "alarm");
  TimePoint last = Clock::now();
  TimePoint next_tick = last;
  while (!stop_.fired()) {
    if (sit_out(pulse)) continue;
    const TimePoint now = Clock::now();
    pulse.beat(now);
    if (now >= next_tick) {
      table_.tick_if_due(now);
      next_tick = now + kTick - kAlarmTick / 2;  // each second look, though none is exactly on time
    }
    for (const Alarms::CheckToStart& check : alarms_.tick(now, now - last > kAlarmTick + kSlept))
      checks_.start(check.backend, check.service, now + timers_.get()->check_timeout);
    last = now;
    run_checks(now + kAlarmTick);
  }
}

void MonitoringService::run_checks(TimePoint until) {
  for (;;) {
    for (const TcpChecks::Result& result : checks_.collect(Clock::now()))
      alarms_.check_done(result, Clock::now());
    std::vector<pollfd> set = {{stop_.fd(), POLLIN, 0}};
    checks_.add_to(set);
    const TimePoint now = Clock::now();
    if (now >= until) return;
    if (::poll(set.data(), set.size(), poll_timeout(until, now)) > 0 && set[0].revents != 0) return;
  }
}

void MonitoringService::say_goodbye() const {
  std::vector<Envelope> farewells;
  {
    const BackendTable::Access rows(table_);
    for (const auto& [id, row] : rows.rows()) {
      if (row->source != Source::agent || row->agent.leaving) continue;
      monitoring::ProbeRequest request = row->make_probe(monitoring::random_u64(), Clock::now(), timers_.get()->probe_timeout);
      request.leaving = true;
      farewells.push_back({request, row->agent.path.peer, row->agent.path.local, row->agent.path.interface, {}});
    }
  }
  for (const Envelope& farewell : farewells) socket_.send(farewell);
}

}  // namespace farol::proxy
