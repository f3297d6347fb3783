#include "proxy/decision.hpp"

namespace farol::proxy {

const char* to_string(Reason reason) {
  switch (reason) {
    case Reason::last_resort: return "last_resort";
    case Reason::backup: return "backup";
    case Reason::retry: return "retry";
    case Reason::queued: return "queued";
    case Reason::lowest: return "lowest";
    case Reason::turn: return "turn";
    case Reason::source: return "source";
    case Reason::source_moved: return "source_moved";
    case Reason::nobody: return "nobody";
  }
  return "?";
}

const char* to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::chosen: return "chosen";
    case Verdict::passed_over: return "passed_over";
    case Verdict::tried_before: return "tried_before";
    case Verdict::full: return "full";
    case Verdict::backup: return "backup";
    case Verdict::unchecked: return to_string(State::new_);
    case Verdict::stale: return to_string(State::stale);
    case Verdict::down: return to_string(State::down);
    case Verdict::ejected: return to_string(State::ejected);
    case Verdict::drain: return to_string(State::drain);
    case Verdict::maint: return to_string(State::maint);
  }
  return "?";
}

}  // namespace farol::proxy
