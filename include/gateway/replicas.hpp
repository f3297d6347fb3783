#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "gateway/negative_cache.hpp"
#include "gateway/pool.hpp"
#include "transfer/codec.hpp"

namespace farol::gateway {

/// Why a file does not come.
enum class Failure {
  nobody_has_it,    ///< every healthy server said so
  no_server,        ///< none is up
  no_answer,        ///< some server kept silent until the deadline
  server_error,     ///< whoever has it cannot read it
  version_changed,  ///< the version that was begun is nowhere to be had any more
};
inline constexpr std::size_t kFailures = 5;
const char* to_string(Failure failure);
/// The same in one word, for metrics: "no_answer".
const char* reason_of(Failure failure);

/// Whether chunks of the two may be mixed. By content where both know it; else by size and modification time, if that
/// time has a fraction of a second: a whole second is what tools set, on files that may differ.
bool interchangeable(const transfer::FileInfo& a, const transfer::FileInfo& b);

/// Who has which version of one file, for one transfer: asks the servers, waits a moment for those that answer second,
/// and picks the version that most of them have (of two equal groups, the one modified last). Afterwards servers that
/// join are asked as well, and those whose content was not hashed yet are asked again, so they help as soon as they can.
/// Pure; not thread-safe.
class Replicas {
 public:
  enum class State {
    asked,    ///< has not answered yet
    has,      ///< a version; after the choice: the chosen one
    differs,  ///< has another version than the chosen one
    lacks,    ///< not found, forbidden, no regular file
    failed,   ///< cannot read it
  };
  struct Replica {
    State state = State::asked;
    transfer::FileInfo info;
    TimePoint ask_again = kNever;
    unsigned tries = 0;
    TimePoint busy_until{};
  };

  explicit Replicas(std::string path) : path_(std::move(path)) {}
  [[nodiscard]] const std::string& path() const { return path_; }

  /// A server to be asked now: what it has (tag zero), or again about the version that we have from it, for the path
  /// may lead to another by now.
  struct Question {
    ServerId server;
    transfer::VersionTag tag;
  };
  std::vector<Question> questions(TimePoint now, const Pool& pool, const NegativeCache& lacking);
  /// The first answer starts a short wait for the others.
  void answered(TimePoint now, ServerId server, const transfer::FileInfo& info);
  void refused(TimePoint now, ServerId server, transfer::NotFoundReason reason);
  void left(ServerId server) { replicas_.erase(server); }

  /// Chooses when it can be chosen: then version() is set. A failure that nothing can change any more comes back.
  std::optional<Failure> conclude(TimePoint now, const Pool& pool);
  [[nodiscard]] const std::optional<transfer::FileInfo>& version() const { return version_; }
  /// Two servers that were held for equal have proved different: what was fetched may be a mixture.
  [[nodiscard]] bool mixed() const { return mixed_; }

  /// The servers that have the chosen version.
  [[nodiscard]] std::vector<std::pair<ServerId, const Replica*>> members() const;
  [[nodiscard]] const Replica* find(ServerId server) const;
  [[nodiscard]] TimePoint next_deadline(TimePoint now, const Pool& pool) const;

 private:
  void choose();
  void judge(ServerId server, Replica& replica, bool was_member);
  [[nodiscard]] bool belongs(ServerId server, const Replica& replica) const;
  [[nodiscard]] std::optional<Failure> verdict(const Pool& pool) const;

  std::string path_;
  std::map<ServerId, Replica> replicas_;
  std::optional<transfer::FileInfo> version_;
  ServerId home_ = 0;  ///< whose version was chosen: the only one that needs no comparing
  TimePoint began_ = kNever;
  TimePoint wait_until_ = kNever;  ///< for further answers
  bool mixed_ = false;
};

}  // namespace farol::gateway
