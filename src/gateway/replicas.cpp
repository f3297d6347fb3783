#include "gateway/replicas.hpp"

#include <algorithm>

namespace farol::gateway {
namespace {

using transfer::FileInfo;
using transfer::NotFoundReason;

constexpr Duration kLeastWait = std::chrono::milliseconds(1), kMostWait = std::chrono::milliseconds(50);
constexpr Duration kHashWait = std::chrono::milliseconds(500);  ///< between two looks whether a content is known
constexpr Duration kBusyWait = std::chrono::milliseconds(100);
constexpr unsigned kMostDoublings = 5;
constexpr std::int64_t kSecond = 1'000'000'000;

}  // namespace

const char* to_string(Failure failure) {
  switch (failure) {
    case Failure::nobody_has_it:
      return "nobody has it";
    case Failure::no_server:
      return "no server";
    case Failure::no_answer:
      return "no answer";
    case Failure::server_error:
      return "server error";
    case Failure::version_changed:
      return "version changed";
  }
  return "?";
}

const char* reason_of(Failure failure) {
  static constexpr std::array<const char*, kFailures> kReasons = {"nobody_has_it", "no_server", "no_answer", "server_error",
                                                                  "version_changed"};
  return kReasons.at(static_cast<std::size_t>(failure));
}

bool interchangeable(const FileInfo& a, const FileInfo& b) {
  if (a.size != b.size) return false;
  if (a.content && b.content) return a.content == b.content;
  return a.stat_tag == b.stat_tag && a.mtime_ns == b.mtime_ns && a.mtime_ns % kSecond != 0;
}

std::vector<Replicas::Question> Replicas::questions(TimePoint now, const Pool& pool, const NegativeCache& lacking) {
  began_ = std::min(began_, now);
  std::vector<Question> result;
  for (const auto& [id, server] : pool.servers()) {
    if (server.state == ServerState::down) continue;
    const auto [entry, fresh] = replicas_.try_emplace(id);
    Replica& replica = entry->second;
    if (fresh && lacking.has(now, id, path_)) {
      replica.state = State::lacks;
    } else if (fresh || now >= replica.ask_again) {
      replica.ask_again = replica.state == State::asked
                              ? now + server.rate.rtt.timeout() * (1 << std::min(replica.tries, kMostDoublings))
                              : now + kHashWait;
      ++replica.tries;
      result.push_back({id, replica.state == State::has ? replica.info.stat_tag : transfer::VersionTag{}});
    }
  }
  return result;
}

void Replicas::answered(TimePoint now, ServerId server, const FileInfo& info) {
  const auto found = replicas_.find(server);
  if (found == replicas_.end()) return;
  Replica& replica = found->second;
  const bool was_member = version_ && replica.state == State::has;
  // A late answer to a question that named no version: what we have from this server it still has.
  if (was_member && info.stat_tag != replica.info.stat_tag) return;
  replica.state = State::has;
  replica.info = info;
  replica.tries = 0;
  replica.ask_again = info.content ? kNever : now + kHashWait;
  if (version_)
    judge(server, replica, was_member);
  else if (wait_until_ == kNever)
    wait_until_ = now + std::clamp<Duration>(2 * (now - began_), kLeastWait, kMostWait);
}

bool Replicas::belongs(ServerId server, const Replica& replica) const {
  return interchangeable(*version_, replica.info) || (server == home_ && replica.info.stat_tag == version_->stat_tag &&
                                                      !(replica.info.content && version_->content));
}

/// Places one answer beside the version that was chosen before it came.
void Replicas::judge(ServerId server, Replica& replica, bool was_member) {
  if (!belongs(server, replica)) {
    replica.state = State::differs;
    // Held for equal by its modification time, and its content has turned out to be another.
    if (was_member && replica.info.stat_tag == version_->stat_tag) mixed_ = true;
  } else if (replica.info.content && !version_->content) {
    version_->content = replica.info.content;
    for (auto& [id, other] : replicas_)
      if (other.state == State::has || other.state == State::differs)
        other.state = belongs(id, other) ? State::has : State::differs;
  }
}

void Replicas::refused(TimePoint now, ServerId server, NotFoundReason reason) {
  const auto found = replicas_.find(server);
  if (found == replicas_.end()) return;
  Replica& replica = found->second;
  switch (reason) {
    case NotFoundReason::busy:
      replica.busy_until = now + kBusyWait;
      if (replica.state == State::asked) replica.ask_again = replica.busy_until;
      return;
    case NotFoundReason::version_changed:
      replica.state = State::asked;
      replica.ask_again = now;
      replica.tries = 0;
      return;
    case NotFoundReason::io_error:
    case NotFoundReason::bad_request:
      replica.state = State::failed;
      break;
    case NotFoundReason::not_found:
    case NotFoundReason::forbidden:
    case NotFoundReason::not_regular:
      replica.state = State::lacks;
      break;
  }
  replica.ask_again = kNever;
}

std::optional<Failure> Replicas::conclude(TimePoint now, const Pool& pool) {
  bool waiting = false, any = false;
  for (const auto& [id, replica] : replicas_) {
    const auto server = pool.servers().find(id);
    if (server == pool.servers().end() || server->second.state == ServerState::down) continue;
    waiting = waiting || replica.state == State::asked;
    any = any || replica.state == State::has;
  }
  if (any && !version_ && (!waiting || now >= wait_until_)) choose();
  if (any || waiting) return std::nullopt;
  return verdict(pool);
}

/// Nobody can give it, and nobody is waited for: why?
std::optional<Failure> Replicas::verdict(const Pool& pool) const {
  if (version_) {
    for (const auto& [id, replica] : replicas_)
      if (replica.state == State::has) return std::nullopt;  // down just now; it may come back
    return Failure::version_changed;
  }
  if (!pool.any_up()) return Failure::no_server;
  for (const auto& [id, replica] : replicas_)
    if (replica.state == State::failed) return Failure::server_error;
  return Failure::nobody_has_it;
}

void Replicas::choose() {
  const Replica* best = nullptr;
  std::ptrdiff_t most = 0;
  for (const auto& [id, candidate] : replicas_) {
    if (candidate.state != State::has) continue;
    const auto equal = std::count_if(replicas_.begin(), replicas_.end(), [&, self = id](const auto& other) {
      return other.second.state == State::has &&
             (other.first == self || interchangeable(candidate.info, other.second.info));
    });
    const bool newer = best != nullptr && candidate.info.mtime_ns > best->info.mtime_ns;
    if (best == nullptr || equal > most || (equal == most && newer)) {
      best = &candidate;
      most = equal;
      home_ = id;
    }
  }
  version_ = best->info;
  for (auto& [id, replica] : replicas_)
    if (replica.state == State::has) judge(id, replica, false);
}

std::vector<std::pair<ServerId, const Replicas::Replica*>> Replicas::members() const {
  std::vector<std::pair<ServerId, const Replica*>> result;
  if (!version_) return result;
  for (const auto& [id, replica] : replicas_)
    if (replica.state == State::has) result.emplace_back(id, &replica);
  return result;
}

const Replicas::Replica* Replicas::find(ServerId server) const {
  const auto found = replicas_.find(server);
  return found == replicas_.end() ? nullptr : &found->second;
}

TimePoint Replicas::next_deadline(TimePoint now, const Pool& pool) const {
  // Past, and nothing chosen: whoever has it is down just now, and to wait for that is the pool's.
  TimePoint next = version_ || wait_until_ <= now ? kNever : wait_until_;
  for (const auto& [id, replica] : replicas_) {
    const auto server = pool.servers().find(id);
    if (server != pool.servers().end() && server->second.state != ServerState::down)
      next = std::min(next, replica.ask_again);
  }
  return next;
}

}  // namespace farol::gateway
