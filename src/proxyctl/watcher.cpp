#include "proxyctl/watcher.hpp"

#include <poll.h>

#include <exception>
#include <utility>

#include "proxyctl/terminal_text.hpp"

namespace farol::proxyctl {

namespace {

constexpr std::size_t kStack = 1024 * 1024;  // libcurl resolves names on it

}  // namespace

Watcher::Watcher(AdminClient& client, nlohmann::json first, Duration interval)
    : client_(client), interval_(interval), last_(std::move(first)) {
  client_.give_up_when(stopped_);
  {
    MutexLock lock(mutex_);
    news_ = {std::make_shared<const TopView>(top_view(last_, {})), {}, Clock::now(), {}};
  }
  thread_ = Thread("watcher", [this] { run(); }, kStack);
}

Watcher::~Watcher() {
  stopped_ = true;
  wanted_.ring();
  thread_.join();
}

Watcher::News Watcher::news() {
  changed_.clear();
  MutexLock lock(mutex_);
  News now = news_;
  news_.told.clear();
  return now;
}

void Watcher::order(TopOrder order) {
  {
    MutexLock lock(mutex_);
    orders_.push_back(std::move(order));
  }
  wanted_.ring();
}

void Watcher::run() {
  for (;;) {
    sleep();
    wanted_.clear();
    while (obey()) {  // at the end too: what was confirmed is done
    }
    if (stopped_) return;
    look();
  }
}

void Watcher::sleep() const {
  pollfd bell{wanted_.fd(), POLLIN, 0};
  ::poll(&bell, 1, poll_timeout(Clock::now() + interval_, Clock::now()));
}

void Watcher::look() {
  try {
    nlohmann::json status = client_.status();
    auto view = std::make_shared<const TopView>(top_view(status, last_));
    last_ = std::move(status);
    MutexLock lock(mutex_);
    news_.view = std::move(view);
    news_.trouble.clear();
    news_.heard = Clock::now();
  } catch (const std::exception& error) {
    MutexLock lock(mutex_);
    news_.trouble = printable(error.what());
  }
  changed_.ring();
}

/// Passes one order on; false when there is none.
bool Watcher::obey() {
  TopOrder order;
  {
    MutexLock lock(mutex_);
    if (orders_.empty()) return false;
    order = std::move(orders_.front());
    orders_.pop_front();
  }
  std::string told;
  try {
    const nlohmann::json reply = client_.set_state(order.id, order.state);
    told = order.backend + ": " + printable(reply["state"].get<std::string>());
  } catch (const std::exception& error) {
    told = order.backend + ": " + printable(error.what());
  }
  {
    MutexLock lock(mutex_);
    news_.told = std::move(told);
  }
  changed_.ring();
  return true;
}

}  // namespace farol::proxyctl
