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

std::unique_ptr<Engine> start_engine(EngineKind kind, const std::vector<std::shared_ptr<const Listener>>& listeners,
                                     Handler handler, EngineOptions options, const Logger& log) {
  std::unique_ptr<Engine> engine;
  if (kind == EngineKind::threads)
    engine = std::make_unique<ThreadsEngine>(std::move(handler), std::move(options), log);
  else
    engine = std::make_unique<EventsEngine>(std::move(handler), std::move(options), kind == EngineKind::events, log);
  std::uint32_t number = 0;
  for (const auto& listener : listeners) engine->listen(listener, number++);
  return engine;
}

}  // namespace farol
