#include "proxyctl/top.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <iostream>
#include <nlohmann/json.hpp>

#include "common/error.hpp"
#include "common/secret_file.hpp"
#include "common/signals.hpp"
#include "proxyctl/admin_client.hpp"
#include "proxyctl/terminal.hpp"
#include "proxyctl/watcher.hpp"

namespace farol::proxyctl {
namespace {

/// How late a signal or a stale table's clock is noticed.
constexpr int kTickMs = 200;
constexpr Duration kLate = std::chrono::seconds(2);  ///< an answer that takes longer is said to
constexpr Duration kOftenest = std::chrono::milliseconds(100), kSeldomest = std::chrono::seconds(60);

int top_json(const AdminClient& client, const SignalWaiter& signals, Duration interval) {
  for (TimePoint next = Clock::now(); std::cout; next = std::max(next + interval, Clock::now())) {
    if (signals.wait(next) != 0) return 0;
    std::cout << client.status().dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) << std::endl;
  }
  return 0;  // nobody reads any more
}

/// The table, its keys and the terminal. Main's thread.
class Top {
 public:
  Top(Watcher& watcher, Terminal& terminal, Duration interval)
      : watcher_(watcher), terminal_(terminal), interval_(interval), news_(watcher.news()) {}

  void run(const SignalWaiter& signals) {
    for (;;) {
      terminal_.draw(top_screen(*news_.view, controls_, trouble(), terminal_.size()));
      pollfd set[2] = {{STDIN_FILENO, POLLIN, 0}, {watcher_.fd(), POLLIN, 0}};
      ::poll(set, 2, kTickMs);
      if (signals.wait(Clock::now()) != 0 || (set[0].revents & (POLLHUP | POLLERR)) != 0) return;
      if ((set[1].revents & POLLIN) != 0) hear();
      while (const auto key = terminal_.key())
        if (!take(*key)) return;
    }
  }

 private:
  void hear() {
    news_ = watcher_.news();
    if (!news_.told.empty()) controls_.message = news_.told;
  }

  /// False: it is to end.
  bool take(const Key& key) {
    const std::size_t height = table_height(terminal_.size(), !trouble().empty());
    Pressed pressed = press(key, *news_.view, height, controls_);
    if (pressed.order) {
      controls_.message = pressed.order->state + " " + pressed.order->backend + " ...";
      watcher_.order(std::move(*pressed.order));
    }
    return !pressed.quit;
  }

  /// Why the table is old, and how old; empty: it is not.
  [[nodiscard]] std::string trouble() const {
    const Duration age = Clock::now() - news_.heard;
    const bool late = age > interval_ + kLate;
    if (news_.trouble.empty() && !late) return {};
    return fmt::format("STALE for {:.0f} s: {}", to_seconds(age), news_.trouble.empty() ? "no answer yet" : news_.trouble);
  }

  Watcher& watcher_;
  Terminal& terminal_;
  const Duration interval_;
  TopControls controls_;
  Watcher::News news_;
};

}  // namespace

int top(const Options& options) {
  if (options.interval < kOftenest || options.interval > kSeldomest)
    throw UsageError("--interval: how often the proxy is asked is out of range (want 100ms to 60s)");
  const SignalWaiter signals({SIGINT, SIGTERM, SIGHUP, SIGQUIT});
  AdminClient client(options.admin, options.token_file.empty() ? "" : Token::load(options.token_file).text());
  if (options.json) return top_json(client, signals, options.interval);
  check_terminal();
  nlohmann::json first = client.status();
  Watcher watcher(client, std::move(first), options.interval);
  Terminal terminal;  // goes first: what is on its way need not be waited for on its screen
  Top(watcher, terminal, options.interval).run(signals);
  return 0;
}

}  // namespace farol::proxyctl
