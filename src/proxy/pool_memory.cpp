#include "proxy/pool_memory.hpp"

#include <algorithm>
#include <iterator>
#include <system_error>
#include <utility>

#include "common/error.hpp"
#include "common/own_file.hpp"
#include "proxy/backend_table_access.hpp"
#include "proxy/state_file.hpp"

namespace farol::proxy {
namespace {

constexpr auto kSaveInterval = std::chrono::seconds(1);
/// Challenges are repeated after this long, then after twice as long, and so on until they have been in vain long enough.
constexpr auto kFirstPause = std::chrono::milliseconds(100);
constexpr auto kLongestPause = std::chrono::seconds(4);
/// As many leave at once; then the socket that takes the answers gets time to breathe.
constexpr std::size_t kBurst = 256;
constexpr auto kBreath = std::chrono::milliseconds(5);

}  // namespace

PoolMemory::PoolMemory(BackendTable& table, const Membership& membership, const monitoring::MonitoringSocket& socket,
                       std::string file, const Logger& log)
    : table_(table),
      membership_(membership),
      socket_(socket),
      file_(std::move(file)),
      log_(log) {
  load();
  thread_ = Thread("pool-memory", [this] { run(); });
}

void PoolMemory::stop() {
  stop_.fire();
  thread_.join();
}

void PoolMemory::give_up_file() {
  may_save_ = false;
  stop();
}

void PoolMemory::load() {
  const std::string flag = "--state-file: ";
  try {
    remove_unfinished(file_);
    const auto text = read_own_file(file_, kMostStateBytes);
    ParsedState state = parse_state(text.value_or(""));
    if (state.not_understood > 0)
      log_.warn("the state file is damaged: what cannot be read is left out",
                {{"file", file_}, {"lines", state.not_understood}, {"agents", state.agents.size()}});
    missing_ = std::move(state.agents);
    replace_own_file(file_, saved_ = format_state(missing_));
  } catch (const StartError& error) {
    throw StartError(flag + error.what());
  } catch (const std::system_error& error) {
    throw StartError(flag + "cannot write it: " + error.what());
  }
}

void PoolMemory::run() {
  Duration pause = kFirstPause;
  TimePoint next_challenge = Clock::now();
  TimePoint next_save = next_challenge + kSaveInterval;
  do {
    const TimePoint now = Clock::now();
    if (!missing_.empty() && now >= next_challenge) {
      forget_found();
      if (pause > kLongestPause) {
        missing_.clear();
        saved_version_.reset();
      }
      challenge_missing();
      next_challenge = now + std::exchange(pause, pause * 2);
    }
    if (now >= next_save) {
      save_if_changed();
      next_save = now + kSaveInterval;
    }
  } while (!stop_.wait_until(missing_.empty() ? next_save : std::min(next_save, next_challenge)));
  save_if_changed();
}

void PoolMemory::forget_found() {
  const BackendTable::Access rows(table_);
  std::erase_if(missing_, [&](const AgentPath& agent) { return rows.by_peer(agent.peer) != nullptr; });
}

void PoolMemory::challenge_missing() const {
  std::size_t sent = 0;
  for (const AgentPath& agent : missing_) {
    if (const auto challenge = membership_.challenge(agent, Clock::now())) socket_.send(*challenge);
    if (++sent % kBurst == 0 && stop_.wait_until(Clock::now() + kBreath)) return;
  }
}

void PoolMemory::save_if_changed() {
  const std::uint64_t version = table_.membership_version();
  if (version == saved_version_ || !may_save_) return;
  std::string now = content();
  try {
    if (now != saved_) replace_own_file(file_, now);
    saved_ = std::move(now);
    saved_version_ = version;
    failing_ = false;
  } catch (const std::system_error& error) {
    if (!std::exchange(failing_, true))
      log_.warn("the state file cannot be written: trying on", {{"file", file_}, {"reason", error.what()}});
  }
}

/// Those in the table, and those that may still answer.
std::string PoolMemory::content() const {
  std::vector<AgentPath> agents;
  {
    const BackendTable::Access rows(table_);
    for (const auto& [id, row] : rows.rows())
      if (row->source == Source::agent && !row->agent.leaving) agents.push_back(row->agent.path);
    std::copy_if(missing_.begin(), missing_.end(), std::back_inserter(agents),
                 [&](const AgentPath& agent) { return rows.by_peer(agent.peer) == nullptr; });
  }
  return format_state(agents);
}

}  // namespace farol::proxy
