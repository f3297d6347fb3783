#include "common/events_engine.hpp"

#include <algorithm>
#include <utility>

#include "common/epoll_reactor.hpp"
#include "common/uring_reactor.hpp"

namespace farol {

EventsEngine::EventsEngine(Handler handler, Options options, bool may_use_uring, const Logger& log)
    : Engine(options.max_connections), handler_(std::move(handler)), pipes_(options.max_pipes) {
  const ReactorContext context{handler_, log, admission_, stop_, cut_, pipes_, options.heartbeats};
  for (std::size_t i = 0; i < std::max<std::size_t>(options.reactors, 1); ++i) {
    std::unique_ptr<Uring> ring = may_use_uring ? Uring::open() : nullptr;
    if (may_use_uring && !ring) log.info("io_uring is not available, using epoll", {});
    may_use_uring = ring != nullptr;
    if (ring)
      reactors_.push_back(std::make_unique<UringReactor>(context, std::move(ring)));
    else
      reactors_.push_back(std::make_unique<EpollReactor>(context));
  }
  for (std::size_t i = 0; i < reactors_.size(); ++i) reactors_[i]->start(options.name + "-" + std::to_string(i));
}

EventsEngine::~EventsEngine() {
  stop();
  cut();
}

void EventsEngine::listen(std::shared_ptr<const Listener> listener, std::uint32_t number) {
  for (std::size_t i = 1; i < reactors_.size(); ++i) (void)listener->twin(i);  // all, or none
  const std::size_t most = std::max(reactors_.size(), listener->sockets());
  for (std::size_t i = 0; i < most; ++i) {  // more sockets than reactors, or fewer
    const Listener& socket = listener->twin(i % listener->sockets());
    socket.set_blocking(false);
    reactors_[i % reactors_.size()]->accept_on({{listener, &socket}, number});
  }
  MutexLock lock(mutex_);
  std::erase_if(listeners_, [](const auto& known) { return known.expired(); });
  listeners_.push_back(std::move(listener));
}

void EventsEngine::stop() {
  MutexLock lock(mutex_);
  for (const auto& known : listeners_)
    if (const auto listener = known.lock()) listener->close_listening();
  stop_.fire();
}

void EventsEngine::release() {
  MutexLock lock(mutex_);
  listeners_.clear();  // stop() has none to close
  stop_.fire();
}

bool EventsEngine::accepts() {
  return std::any_of(reactors_.begin(), reactors_.end(), [](const auto& reactor) { return reactor->accepts(); });
}

void EventsEngine::cut() { cut_.fire(); }

}  // namespace farol
