#include "common/service_manager.hpp"

#include <systemd/sd-daemon.h>

#include <cstdlib>
#include <utility>

#include "common/error.hpp"

namespace farol {
namespace {

/// How often the status line is looked at where no watchdog is to be kept quiet.
constexpr auto kStatusInterval = std::chrono::seconds(5);

void notify(const std::string& state) { (void)::sd_notify(0, state.c_str()); }

}  // namespace

std::vector<Fd> sockets_of_service_manager() {
  const int count = ::sd_listen_fds(1);
  if (count < 0) throw StartError("cannot take the sockets of the service manager: " + error_text(-count));
  std::vector<Fd> sockets;
  for (int i = 0; i < count; ++i) sockets.emplace_back(SD_LISTEN_FDS_START + i);
  return sockets;
}

void notify_ready() { notify("READY=1"); }

void notify_reloading() {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now().time_since_epoch());
  notify("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(us.count()));
}

void notify_successor(pid_t process) { notify("MAINPID=" + std::to_string(process) + "\nWATCHDOG=1"); }

void notify_stopping() { notify("STOPPING=1"); }

std::optional<Duration> watchdog_limit() {
  std::uint64_t us = 0;
  if (::sd_watchdog_enabled(0, &us) <= 0) return std::nullopt;
  return std::chrono::microseconds(us);
}

Duration watchdog_patience() { return watchdog_limit().value_or(Duration::zero()) / 2; }

ServiceReporter::ServiceReporter(const Heartbeats& heartbeats, std::function<std::string()> status, const Logger& log)
    : heartbeats_(heartbeats), status_(std::move(status)), log_(log) {
  if (std::getenv("NOTIFY_SOCKET") != nullptr) thread_ = Thread("reporter", [this] { report_all(); });
}

ServiceReporter::~ServiceReporter() { stop_.fire(); }

void ServiceReporter::report_all() {
  const auto limit = watchdog_limit();
  const Duration interval = limit ? *limit / 2 : kStatusInterval;
  std::string told;
  do {
    if (const auto name = limit ? heartbeats_.stuck(Clock::now()) : std::nullopt)
      log_.error("a thread is stuck: the service manager's watchdog is not answered", {{"thread", *name}});
    else if (limit)
      notify("WATCHDOG=1");
    std::string status = status_();
    if (status != told) notify("STATUS=" + status);
    told = std::move(status);
  } while (!stop_.wait_until(Clock::now() + interval));
}

}  // namespace farol
