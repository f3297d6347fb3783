#include "common/engine.hpp"

#include "common/events_engine.hpp"
#include "common/threads_engine.hpp"

namespace farol {

std::string_view to_string(EngineKind kind) {
  switch (kind) {
    case EngineKind::threads: return "threads";
    case EngineKind::events: return "events";
    case EngineKind::epoll: return "epoll";
  }
  return "?";
}

std::unique_ptr<Engine> start_engine(EngineKind kind, std::vector<const Listener*> listeners, Handler handler,
                                     EngineOptions options, const Logger& log) {
  if (kind != EngineKind::threads)
    return std::make_unique<EventsEngine>(std::move(listeners), std::move(handler), std::move(options),
                                          kind == EngineKind::events, log);
  return std::make_unique<ThreadsEngine>(std::move(listeners), std::move(handler), std::move(options), log);
}

}  // namespace farol
