#include "proxy/causes.hpp"

namespace farol::proxy {
namespace {

const char* cause_of_down(const BackendStatus& backend) {
  if (backend.service_failed && backend.agent_silent) return "its agent is silent, and its service does not answer";
  if (backend.service_failed) return "its service refuses connections, or does not answer";
  return "its agent is silent, and --require-agent is set";
}

}  // namespace

const char* cause_of(const BackendStatus& backend) {
  switch (backend.state) {
    case State::new_:
      return "not checked yet";
    case State::up:
      return backend.source == Source::agent ? "its agent answers" : "its service accepts connections";
    case State::stale:
      return "its agent is silent; its service still accepts connections";
    case State::down:
      return cause_of_down(backend);
    case State::ejected:
      return "a connection to it failed";
    case State::drain:
      return backend.ordered == AdminState::drain ? "the operator's order" : "its agent wants no new connections";
    case State::maint:
      return "the operator's order";
  }
  return "";
}

}  // namespace farol::proxy
