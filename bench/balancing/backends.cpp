// A pool of emulated back-ends in one process: real sockets, emulated machines (bench/model), next to no CPU.
//   backends POOL-FILE        (pool_file.hpp)
// A request is a line "WORK_US WAIT_US KEEP" (CPU time at speed 1, a wait after it, whether the connection stays open);
// the answer is a line with the number of the back-end. Every 100 ms the figures of each machine go into its report file.
// A line "start T" on standard input sets the beginning of time (CLOCK_MONOTONIC, seconds) and the counters to 0; its end
// ends the program, which then prints what it saw as one line of JSON.
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <deque>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <unordered_map>

#include "common/clock.hpp"
#include "common/error.hpp"
#include "common/fd.hpp"
#include "common/limits.hpp"
#include "common/listener.hpp"
#include "../model/emulated_machine.hpp"
#include "pool_file.hpp"

namespace farol::balancing {
namespace {

using model::EmulatedMachine;
using Job = EmulatedMachine::Job;

constexpr double kTick = 0.1;
constexpr Job kForeign = Job{1} << 63;  ///< a job that came past the proxy and has no connection here
constexpr double kForeignWork = 0.05;   ///< its mean, core-seconds

double now_seconds() { return to_seconds(Clock::now().time_since_epoch()); }

struct Connection {
  Fd fd;
  std::size_t backend = 0;
  std::string input;
  bool asked = false, keep = false;
  Job job = 0;  ///< the last that it asked for
};

struct Backend {
  Backend(const BackendSpec& given, std::uint64_t seed)
      : spec(given), machine(given.cores, given.speed), random(seed) {
    machine.shows = given.shows;
    machine.wait_scale = given.wait_scale;
  }
  BackendSpec spec;
  EmulatedMachine machine;
  std::optional<Listener> service;
  Listener agent{spec.agent};
  unsigned connections = 0;
  bool sink = false;
  double foreign_rate = 0, next_foreign = model::ProcessorSharing::kNever;
  std::mt19937_64 random;
  std::deque<std::pair<double, double>> meter;  ///< time and CPU seen until then, over the last window
  std::vector<unsigned> sessions;  ///< that asked something, by the second
  std::size_t most_jobs = 0;
  unsigned served = 0;
};

class Pool {
 public:
  explicit Pool(PoolSpec spec) : spec_(std::move(spec)), poller_(check("epoll_create1", epoll_create1(EPOLL_CLOEXEC))) {
    watch(STDIN_FILENO, kStdin, 0);
    for (std::size_t i = 0; i < spec_.backends.size(); ++i) {
      backends_.push_back(std::make_unique<Backend>(spec_.backends[i], i + 1));
      backends_[i]->agent.set_blocking(false);
      watch(backends_[i]->agent.fd(), kAgent, i);
      if (spec_.backends[i].up) open_service(i);
    }
  }

  void run() {
    double next_tick = now_seconds();
    while (!over_) {
      wait(std::min(next_tick, next_deadline()));
      const double now = now_seconds();
      live_until(now);
      if (now >= next_tick) {
        for (const auto& backend : backends_) report(*backend, now);
        next_tick = std::max(next_tick + kTick, now);
      }
    }
  }

  void print() const {
    fmt::print("{{\"late_p99_us\": {:.1f}, \"late_max_us\": {:.1f}, \"backends\": [", late(.99), late(1));
    for (std::size_t i = 0; i < backends_.size(); ++i) {
      const Backend& backend = *backends_[i];
      fmt::print("{}{{\"served\": {}, \"most_jobs\": {}, \"cpu_used\": {:.3f}, \"sessions\": [{}]}}", i > 0 ? ", " : "",
                 backend.served, backend.most_jobs, backend.machine.cpu_used(last_) - used_at_start_[i],
                 fmt::join(backend.sessions, ", "));
    }
    fmt::print("]}}\n");
  }

 private:
  enum Kind : std::uint64_t { kStdin, kService, kAgent, kClient };

  void watch(int fd, Kind kind, std::size_t index) {
    epoll_event interest{.events = EPOLLIN, .data = {.u64 = kind << 32 | index}};
    check("epoll_ctl", epoll_ctl(poller_.get(), EPOLL_CTL_ADD, fd, &interest));
  }

  void open_service(std::size_t i) {
    Backend& backend = *backends_[i];
    backend.service.emplace(backend.spec.service);
    backend.service->set_blocking(false);
    watch(backend.service->fd(), kService, i);
  }

  [[nodiscard]] double next_deadline() const {
    double next = next_action_ < spec_.actions.size() ? start_ + spec_.actions[next_action_].at
                                                      : model::ProcessorSharing::kNever;
    for (const auto& backend : backends_) next = std::min({next, backend->machine.next_event(), backend->next_foreign});
    return next;
  }

  void wait(double deadline) {
    const double pause = std::clamp(deadline - now_seconds(), 0.0, kTick);
    const timespec timeout{.tv_sec = 0, .tv_nsec = static_cast<long>(pause * 1e9)};
    std::array<epoll_event, 64> events;
    const int ready = epoll_pwait2(poller_.get(), events.data(), events.size(), &timeout, nullptr);
    live_until(now_seconds());
    for (const epoll_event& event : std::span(events.data(), static_cast<std::size_t>(std::max(ready, 0)))) {
      const auto index = static_cast<std::size_t>(event.data.u64 & 0xffffffff);
      switch (static_cast<Kind>(event.data.u64 >> 32)) {
        case kStdin: command(); break;
        case kService: accept_clients(index); break;
        case kAgent: answer_agent_checks(*backends_[index]); break;
        case kClient: receive(static_cast<int>(index)); break;
      }
    }
  }

  void command() {
    std::string line;
    if (!std::getline(std::cin, line)) {
      over_ = true;
      return;
    }
    start_ = std::stod(line.substr(line.find(' ')));
    lateness_.clear();
    used_at_start_.clear();
    for (const auto& backend : backends_) {
      used_at_start_.push_back(backend->machine.cpu_used(now_seconds()));
      backend->sessions.clear();
      backend->most_jobs = backend->served = 0;
    }
  }

  /// Everything that was due by now, in the order of time.
  void live_until(double now) {
    for (;;) {
      const double next = next_deadline();
      if (next > now) break;
      for (std::size_t i = 0; i < backends_.size(); ++i) {
        Backend& backend = *backends_[i];
        backend.machine.advance(next, [&](Job job, double at) { finish(backend, job, at); });
        if (backend.next_foreign <= next) foreign_job(backend, next);
      }
      while (next_action_ < spec_.actions.size() && start_ + spec_.actions[next_action_].at <= next)
        act(spec_.actions[next_action_++], next);
    }
    last_ = now;
  }

  void foreign_job(Backend& backend, double at) {
    backend.machine.start(at, kForeign, kForeignWork * std::exponential_distribution<double>()(backend.random), 0);
    backend.next_foreign = at + std::exponential_distribution<double>(backend.foreign_rate)(backend.random);
    ++backend.connections;
  }

  void act(const Action& action, double now) {
    Backend& backend = *backends_[action.backend];
    if (action.what == "speed") backend.machine.set_speed(now, action.number());
    else if (action.what == "stolen") backend.machine.set_stolen(now, action.number());
    else if (action.what == "shows") {
      backend.machine.seen(now);
      backend.machine.shows = action.number();
    }
    else if (action.what == "sink") backend.sink = action.number() != 0;
    else if (action.what == "lie") backend.machine.lie = action.value == "idle"   ? model::Lie::idle
                                                         : action.value == "full" ? model::Lie::full
                                                                                  : model::Lie::none;
    else if (action.what == "foreign") {
      backend.foreign_rate = action.number() / kForeignWork;  // given in cores
      backend.next_foreign = backend.foreign_rate > 0 ? now : model::ProcessorSharing::kNever;
    } else if (action.what == "up") open_service(action.backend);
    else if (action.what == "down") die(action.backend, now);
    else throw std::runtime_error("unknown action: " + action.what);
  }

  void die(std::size_t index, double now) {
    Backend& backend = *backends_[index];
    backend.service.reset();
    backend.machine.kill(now);
    const linger reset{.l_onoff = 1, .l_linger = 0};
    for (auto entry = clients_.begin(); entry != clients_.end();) {
      if (entry->second.backend == index) {
        setsockopt(entry->first, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        asking_.erase(entry->second.job);
        entry = clients_.erase(entry);
      } else {
        ++entry;
      }
    }
    backend.connections = 0;
  }

  void accept_clients(std::size_t index) {
    Fd socket;
    Address peer;
    auto& service = backends_[index]->service;
    while (service && service->accept(socket, peer, Listener::Mode::non_blocking) == Listener::Outcome::accepted) {
      const int fd = socket.get();
      watch(fd, kClient, static_cast<std::size_t>(fd));
      Connection& client = clients_[fd];
      client.fd = std::move(socket);
      client.backend = index;
      ++backends_[index]->connections;
    }
  }

  void receive(int fd) {
    const auto found = clients_.find(fd);
    if (found == clients_.end()) return;
    Connection& client = found->second;
    std::array<char, 256> buffer;
    const ssize_t got = recv(fd, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EAGAIN) return;  // its number was another's a moment ago
    if (got <= 0) return drop(fd);
    client.input.append(buffer.data(), static_cast<std::size_t>(got));
    if (client.input.ends_with('\n')) ask(client);
  }

  void ask(Connection& client) {
    Backend& backend = *backends_[client.backend];
    const double now = now_seconds();
    if (!client.asked) count_session(backend, now);
    client.asked = true;
    if (backend.sink) return drop(client.fd.get());
    double work_us = 0, wait_us = 0;
    int keep = 0;
    if (std::sscanf(client.input.c_str(), "%lf %lf %d", &work_us, &wait_us, &keep) != 3) return drop(client.fd.get());
    client.input.clear();
    client.keep = keep != 0;
    client.job = ++last_job_;
    asking_[last_job_] = client.fd.get();
    backend.machine.start(now, last_job_, work_us / 1e6, wait_us / 1e6);
    backend.most_jobs = std::max(backend.most_jobs, backend.machine.jobs());
  }

  void count_session(Backend& backend, double now) {
    const auto second = static_cast<std::size_t>(std::max(0.0, now - start_));
    if (second > 3600) return;  // before the start is known
    if (backend.sessions.size() <= second) backend.sessions.resize(second + 1);
    ++backend.sessions[second];
  }

  void finish(Backend& backend, Job job, double at) {
    if (job == kForeign) {
      backend.connections -= backend.connections > 0 ? 1 : 0;
      return;
    }
    lateness_.push_back((now_seconds() - at) * 1e6);
    ++backend.served;
    const auto asked = asking_.extract(job);
    const auto found = asked.empty() ? clients_.end() : clients_.find(asked.mapped());
    if (found == clients_.end()) return;
    const std::string answer = fmt::format("{}\n", found->second.backend);
    const bool sent = send(found->first, answer.data(), answer.size(), MSG_NOSIGNAL) > 0;
    if (!sent || !found->second.keep) drop(found->first);
  }

  void drop(int fd) {
    const auto found = clients_.find(fd);
    unsigned& connections = backends_[found->second.backend]->connections;
    connections -= connections > 0 ? 1 : 0;
    asking_.erase(found->second.job);
    clients_.erase(found);
  }

  static model::Figures figures(const Backend& backend) {
    const auto& [from, before] = backend.meter.front();
    const auto& [to, after] = backend.meter.back();
    return backend.machine.figures(after - before, to - from, backend.connections);
  }

  void report(Backend& backend, double now) {
    backend.meter.push_back({now, backend.machine.seen(now)});
    while (backend.meter.size() > 2 && backend.meter[1].first <= now - spec_.cpu_window) backend.meter.pop_front();
    if (backend.spec.report == "-") return;
    const model::Figures said = figures(backend);
    const std::string fresh = backend.spec.report + ".new";
    std::ofstream(fresh) << fmt::format("cpu={:.2f},mem={:.2f},tcp={},service={}\n", said.cpu * 100, said.memory * 100,
                                        said.connections, said.connections);
    std::rename(fresh.c_str(), backend.spec.report.c_str());
  }

  /// The idle share of the CPU as the weight; never 0, which would mean drain.
  static void answer_agent_checks(Backend& backend) {
    Fd socket;
    Address peer;
    while (backend.agent.accept(socket, peer, Listener::Mode::non_blocking) == Listener::Outcome::accepted) {
      const double idle = 100 * (1 - (backend.meter.empty() ? 0 : figures(backend).cpu));
      const std::string answer = fmt::format("{:.0f}%\n", std::max(1.0, idle));
      (void)!send(socket.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
      shutdown(socket.get(), SHUT_WR);
      socket.reset();
    }
  }

  [[nodiscard]] double late(double quantile) const {
    if (lateness_.empty()) return 0;
    std::vector<double> sorted = lateness_;
    std::sort(sorted.begin(), sorted.end());
    return sorted[std::min(sorted.size() - 1, static_cast<std::size_t>(quantile * static_cast<double>(sorted.size())))];
  }

  PoolSpec spec_;
  Fd poller_;
  std::vector<std::unique_ptr<Backend>> backends_;
  std::unordered_map<int, Connection> clients_;
  std::unordered_map<Job, int> asking_;
  Job last_job_ = 0;
  double start_ = 1e18, last_ = 0;  ///< nothing happens before the start is known
  std::size_t next_action_ = 0;
  std::vector<double> lateness_, used_at_start_ = std::vector<double>(spec_.backends.size());
  bool over_ = false;
};

}  // namespace
}  // namespace farol::balancing

int main(int argc, char** argv) try {
  if (argc != 2) return fmt::print(stderr, "usage: backends POOL-FILE\n"), 64;
  farol::raise_and_read_limits(::geteuid());
  prctl(PR_SET_TIMERSLACK, 1);  // the default lets every wait end 50 us late
  std::ifstream file(argv[1]);
  if (!file) throw std::runtime_error(std::string(argv[1]) + ": cannot read it");
  farol::balancing::Pool pool(farol::balancing::read_pool(file));
  fmt::print("ready\n");
  std::fflush(stdout);
  pool.run();
  pool.print();
  return 0;
} catch (const std::exception& error) {
  fmt::print(stderr, "backends: {}\n", error.what());
  return 1;
}
