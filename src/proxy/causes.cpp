#include "proxy/causes.hpp"

namespace farol::proxy {
namespace {

const char* cause_of_up(const BackendStatus& backend) {
  const bool agent = backend.source == Source::agent;
  if (!backend.pool_served)
    return agent ? "its agent answers, but no listener serves its pool"
                 : "its service accepts connections, but no listener serves its pool";
  return agent ? "its agent answers" : "its service accepts connections";
}

const char* cause_of_down(const BackendStatus& backend) {
  if (!backend.service_failed) return "its agent is silent, and --require-agent is set";
  if (backend.agent_silent)
    return backend.service_unanswered ? "its agent is silent, and its service does not answer"
                                      : "its agent is silent, and its service refuses connections";
  return backend.service_unanswered ? "its service does not answer" : "its service refuses connections";
}

const char* cause_of_leaving(const BackendStatus& backend) {
  switch (backend.departure) {
    case Departure::goodbye:
      return "its agent said goodbye";
    case Departure::elsewhere:
      return "its agent stands for another address, port or pool now";
    case Departure::configuration:
      return backend.source == Source::configured ? "taken out of the configuration"
                                                  : "the configuration has its address and does without its agent";
  }
  return "";
}

}  // namespace

const char* cause_of(const BackendStatus& backend) {
  if (backend.leaving) return cause_of_leaving(backend);  // for good, whatever was ordered
  switch (backend.state) {
    case State::new_:
      return "not checked yet";
    case State::up:
      return cause_of_up(backend);
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

const char* farewell_of(const BackendStatus& backend) {
  if (backend.leaving) return cause_of_leaving(backend);
  if (backend.source == Source::configured) return "taken out of the configuration";
  return backend.agent_silent ? "silent for so long that it was forgotten" : "its agent said goodbye";
}

const char* words_of_unserved(const std::string& pool) {
  return pool.starts_with('#') ? "no --listen serves this back-end's pool, of whose name only the hash is known"
                               : "no --listen serves this back-end's pool";
}

}  // namespace farol::proxy
