#include "common/events_engine.hpp"

#include <algorithm>

#include "common/epoll_reactor.hpp"
#include "common/uring_reactor.hpp"

namespace farol {

EventsEngine::EventsEngine(std::vector<const Listener*> listeners, Handler handler, Options options, bool may_use_uring,
                           const Logger& log)
    : Engine(options.max_connections),
      listeners_(std::move(listeners)),
      handler_(std::move(handler)),
      pipes_(options.max_pipes) {
  const ReactorContext context{handler_, log, admission_, stop_, cut_, pipes_, options.heartbeats};
  for (std::size_t i = 0; i < std::max<std::size_t>(options.reactors, 1); ++i) {
    std::vector<const Listener*> own;
    for (const Listener* listener : listeners_) {
      if (i > 0) listener = &twins_.emplace_back(listener->twin());
      listener->set_non_blocking();
      own.push_back(listener);
    }
    std::unique_ptr<Uring> ring = may_use_uring ? Uring::open() : nullptr;
    if (may_use_uring && !ring) log.info("io_uring is not available, using epoll", {});
    may_use_uring = ring != nullptr;
    if (ring)
      reactors_.push_back(std::make_unique<UringReactor>(context, std::move(own), std::move(ring)));
    else
      reactors_.push_back(std::make_unique<EpollReactor>(context, std::move(own)));
  }
  for (std::size_t i = 0; i < reactors_.size(); ++i) reactors_[i]->start(options.name + "-" + std::to_string(i));
}

EventsEngine::~EventsEngine() {
  stop();
  cut();
}

void EventsEngine::stop() {
  for (const Listener* listener : listeners_) listener->close_listening();
  for (const Listener& listener : twins_) listener.close_listening();
  stop_.fire();
}

void EventsEngine::cut() { cut_.fire(); }

}  // namespace farol
