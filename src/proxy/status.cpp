#include "proxy/status.hpp"

namespace farol::proxy {

const char* to_string(Source source) { return source == Source::agent ? "agent" : "static"; }

const char* to_string(State state) {
  switch (state) {
    case State::new_: return "new";
    case State::up: return "up";
    case State::stale: return "stale";
    case State::down: return "down";
    case State::ejected: return "ejected";
    case State::drain: return "drain";
    case State::maint: return "maint";
  }
  return "?";
}

const char* to_string(Departure departure) {
  switch (departure) {
    case Departure::goodbye: return "goodbye";
    case Departure::elsewhere: return "elsewhere";
    case Departure::configuration: return "configuration";
  }
  return "?";
}

const char* to_string(AdminState state) {
  switch (state) {
    case AdminState::ready: return "ready";
    case AdminState::drain: return "drain";
    case AdminState::maint: return "maint";
  }
  return "?";
}

}  // namespace farol::proxy
