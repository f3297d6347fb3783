// An open-loop load for `backends`, through a proxy or not: sessions begin and requests leave when the schedule says so
// (bench/model/schedule.hpp), whatever the answers do, and a latency counts from the moment the request was due. Only within a
// long-lived session does a request wait for the answer before it, and that wait counts as its own.
//   load --target ADDR:PORT --start T …        T: CLOCK_MONOTONIC, seconds; see --help
// Prints one line of JSON. A request that has no answer at the end counts with the time it has waited: too little.
#include <unistd.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <queue>
#include <span>

#include "common/address.hpp"
#include "common/clock.hpp"
#include "common/error.hpp"
#include "common/fd.hpp"
#include "common/limits.hpp"
#include "common/socket_option.hpp"
#include "../model/schedule.hpp"

namespace farol::balancing {
namespace {

using model::LoadSpec;
using model::Request;
using model::Scheduler;
using model::Session;

constexpr double kPatience = 3;  ///< seconds that the last answers may take

double now_seconds() { return to_seconds(Clock::now().time_since_epoch()); }

/// A session under way.
struct Live {
  Fd fd;
  bool connected = false;
  bool outstanding = false;  ///< the request `next` - 1 is sent or about to be
  std::size_t next = 0;      ///< the first request that has not begun
};

struct Second {
  std::vector<double> latencies_ms;
  std::vector<unsigned> answers;  ///< by back-end
  unsigned failed = 0;
};

class Load {
 public:
  Load(const LoadSpec& spec, std::vector<Address> targets, double start, double warm)
      : spec_(spec), targets_(std::move(targets)), start_(start), warm_(warm),
        poller_(check("epoll_create1", epoll_create1(EPOLL_CLOEXEC))), sessions_(Scheduler(spec).sessions()),
        live_(sessions_.size()), seconds_(static_cast<std::size_t>(std::ceil(spec.seconds)) + 1) {
    for (std::size_t i = 0; i < sessions_.size(); ++i) due_.push({sessions_[i].requests[0].due, i});
  }

  void run() {
    const double end = start_ + spec_.seconds + kPatience;
    while ((!due_.empty() || open_ > 0) && now_seconds() < end) {
      const double now = now_seconds() - start_;
      while (!due_.empty() && due_.top().first <= now) {
        const std::size_t i = due_.top().second;
        due_.pop();
        begin(i);
      }
      wait(due_.empty() ? 0.1 : due_.top().first - (now_seconds() - start_));
    }
    for (std::size_t i = 0; i < sessions_.size(); ++i)
      if (live_[i].outstanding) {
        ++unanswered_;
        count(sessions_[i].requests[live_[i].next - 1].due, now_seconds() - start_);
      }
  }

  void print() {
    std::sort(latencies_ms_.begin(), latencies_ms_.end());
    std::sort(lateness_us_.begin(), lateness_us_.end());
    double sum = 0;
    for (const double latency : latencies_ms_) sum += latency;
    const auto at = [this](double quantile) { return quantile_of(latencies_ms_, quantile); };
    fmt::print("{{\"requests\": {}, \"answered\": {}, \"failed\": {}, \"unanswered\": {}, ", counted_ + failed_,
               counted_ - unanswered_, failed_, unanswered_);
    fmt::print("\"mean\": {:.3f}, \"p50\": {:.3f}, \"p90\": {:.3f}, \"p99\": {:.3f}, \"p999\": {:.3f}, \"max\": {:.3f}, ",
               sum / std::max(1.0, static_cast<double>(latencies_ms_.size())), at(.5), at(.9), at(.99), at(.999), at(1));
    fmt::print("\"late_p99_us\": {:.1f}, \"seconds\": [", quantile_of(lateness_us_, .99));
    for (std::size_t i = 0; i < seconds_.size(); ++i) {
      Second& second = seconds_[i];
      std::sort(second.latencies_ms.begin(), second.latencies_ms.end());
      fmt::print("{}{{\"p50\": {:.2f}, \"p95\": {:.2f}, \"failed\": {}, \"answers\": [{}]}}", i > 0 ? ", " : "",
                 quantile_of(second.latencies_ms, .5), quantile_of(second.latencies_ms, .95), second.failed,
                 fmt::join(second.answers, ", "));
    }
    fmt::print("]}}\n");
  }

 private:
  static double quantile_of(const std::vector<double>& sorted, double quantile) {
    if (sorted.empty()) return 0;
    return sorted[std::min(sorted.size() - 1, static_cast<std::size_t>(quantile * static_cast<double>(sorted.size())))];
  }

  /// The next request of session `i` is due.
  void begin(std::size_t i) {
    Live& live = live_[i];
    const Session& session = sessions_[i];
    if (live.outstanding) return;  // its turn comes with the answer
    if (live.next == 0) lateness_us_.push_back((now_seconds() - start_ - session.requests[0].due) * 1e6);
    live.outstanding = true;
    ++live.next;
    if (!live.fd) open(i);
    if (live.connected) send_request(i);
  }

  void open(std::size_t i) {
    Live& live = live_[i];
    live.fd = Fd(check("socket", socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)));
    ++open_;
    const ConnectStart outcome = start_connect(live.fd, targets_[sessions_[i].target]);
    if (outcome == ConnectStart::failed) return fail(i);
    live.connected = outcome == ConnectStart::done;
    epoll_event interest{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.u64 = i}};
    check("epoll_ctl", epoll_ctl(poller_.get(), EPOLL_CTL_ADD, live.fd.get(), &interest));
  }

  void send_request(std::size_t i) {
    const Session& session = sessions_[i];
    const Request& request = session.requests[live_[i].next - 1];
    const std::string line = fmt::format("{:.0f} {:.0f} {}\n", request.work * 1e6, request.wait * 1e6,
                                         session.keep() ? 1 : 0);
    if (send(live_[i].fd.get(), line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size())) fail(i);
  }

  void wait(double pause) {
    const timespec timeout{.tv_sec = 0, .tv_nsec = static_cast<long>(std::clamp(pause, 0.0, 0.1) * 1e9)};
    std::array<epoll_event, 64> events;
    const int ready = epoll_pwait2(poller_.get(), events.data(), events.size(), &timeout, nullptr);
    for (const epoll_event& event : std::span(events.data(), static_cast<std::size_t>(std::max(ready, 0)))) {
      const auto i = static_cast<std::size_t>(event.data.u64);
      Live& live = live_[i];
      if (!live.fd) continue;
      if (!live.connected && (event.events & EPOLLOUT) != 0 && (event.events & EPOLLERR) == 0) {
        live.connected = true;
        send_request(i);
      }
      if (live.fd && (event.events & ~static_cast<unsigned>(EPOLLOUT)) != 0) receive(i);
    }
  }

  void receive(std::size_t i) {
    Live& live = live_[i];
    std::array<char, 64> buffer;
    const ssize_t got = recv(live.fd.get(), buffer.data(), buffer.size() - 1, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return live.outstanding ? fail(i) : close(i);
    buffer[static_cast<std::size_t>(got)] = 0;
    answered(i, static_cast<std::size_t>(std::atoi(buffer.data())));
  }

  void answered(std::size_t i, std::size_t backend) {
    Live& live = live_[i];
    const Request& request = sessions_[i].requests[live.next - 1];
    live.outstanding = false;
    count(request.due, now_seconds() - start_);
    std::vector<unsigned>& answers = seconds_[static_cast<std::size_t>(request.due)].answers;
    if (answers.size() <= backend) answers.resize(backend + 1);
    ++answers[backend];
    proceed(i);
  }

  void count(double due, double now) {
    const double latency_ms = (now - due) * 1e3;
    seconds_[static_cast<std::size_t>(due)].latencies_ms.push_back(latency_ms);
    if (due < warm_) return;
    latencies_ms_.push_back(latency_ms);
    ++counted_;
  }

  void fail(std::size_t i) {
    Live& live = live_[i];
    const double due = sessions_[i].requests[live.next - 1].due;
    live.outstanding = false;
    ++seconds_[static_cast<std::size_t>(due)].failed;
    if (due >= warm_) ++failed_;
    close(i);
    proceed(i);
  }

  /// After an answer or a failure: the next request of the session, which may be overdue, or its end.
  void proceed(std::size_t i) {
    Live& live = live_[i];
    if (live.next < sessions_[i].requests.size())
      due_.push({sessions_[i].requests[live.next].due, i});
    else
      close(i);
  }

  void close(std::size_t i) {
    if (!live_[i].fd) return;
    live_[i].fd.reset();
    live_[i].connected = false;
    --open_;
  }

  const LoadSpec spec_;
  const std::vector<Address> targets_;
  const double start_, warm_;
  Fd poller_;
  const std::vector<Session> sessions_;
  std::vector<Live> live_;
  using Due = std::pair<double, std::size_t>;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  std::vector<Second> seconds_;
  std::vector<double> latencies_ms_, lateness_us_;
  unsigned long counted_ = 0, failed_ = 0, unanswered_ = 0;
  std::size_t open_ = 0;
};

void add_flags(CLI::App& app, LoadSpec& spec) {
  app.add_option("--seconds", spec.seconds)->capture_default_str();
  app.add_option("--rate", spec.rate, "sessions per second")->capture_default_str();
  app.add_option("--arrivals", spec.arrivals, "poisson, burst or batch")->capture_default_str();
  app.add_option("--batch", spec.batch, "sessions at once")->capture_default_str();
  app.add_option("--batch-every", spec.batch_every, "seconds")->capture_default_str();
  app.add_option("--work", spec.work, "exponential, fixed, bimodal or pareto")->capture_default_str();
  app.add_option("--work-mean", spec.work_mean, "seconds of CPU")->capture_default_str();
  app.add_option("--wait-mean", spec.wait_mean, "seconds after the CPU")->capture_default_str();
  app.add_option("--long-share", spec.long_share, "of the sessions")->capture_default_str();
  app.add_option("--long-life", spec.long_life, "seconds, mean")->capture_default_str();
  app.add_option("--think", spec.think, "seconds between requests of a long-lived session, mean")->capture_default_str();
  app.add_option("--seed", spec.seed)->capture_default_str();
}

int run(int argc, char** argv) {
  CLI::App app("An open-loop load for emulated back-ends.", "load");
  LoadSpec spec;
  std::vector<std::string> targets;
  double start = 0, warm = 0;
  add_flags(app, spec);
  app.add_option("--target", targets, "ADDR:PORT, repeatable")->required();
  app.add_option("--start", start, "CLOCK_MONOTONIC, seconds; 0: at once");
  app.add_option("--warm", warm, "requests due in these first seconds do not count")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  spec.targets = targets.size();
  std::vector<Address> addresses;
  for (const std::string& target : targets) addresses.push_back(parse_listen_address(target));
  raise_and_read_limits(::geteuid());
  prctl(PR_SET_TIMERSLACK, 1);  // the default lets every wait end 50 us late
  Load load(spec, std::move(addresses), start > 0 ? start : now_seconds() + 0.05, warm);
  load.run();
  load.print();
  return 0;
}

}  // namespace
}  // namespace farol::balancing

int main(int argc, char** argv) try {
  return farol::balancing::run(argc, argv);
} catch (const std::exception& error) {
  fmt::print(stderr, "load: {}\n", error.what());
  return 1;
}
