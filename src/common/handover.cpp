#include "common/handover.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string_view>
#include <utility>

#include "common/error.hpp"

namespace farol {
namespace {

constexpr const char* kVariable = "FAROL_PREDECESSOR";  ///< holds the number of the channel's descriptor
constexpr int kChannel = 3;
constexpr std::size_t kAtOnce = 250;  ///< descriptors in one message; the kernel takes 253
constexpr auto kLastWords = std::chrono::seconds(1);
constexpr std::size_t kMostNotes = 64 * 1024 * 1024;
constexpr char kSome = '+', kLast = '.', kBegins = '?', kServing = '!';

struct Control {
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(kAtOnce * sizeof(int))> bytes{};
};

void send_descriptors(const Fd& channel, char word, const int* descriptors, std::size_t count) {
  Control control;
  iovec data{&word, 1};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = CMSG_SPACE(count * sizeof(int));
  cmsghdr* const rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(count * sizeof(int));
  std::memcpy(CMSG_DATA(rights), descriptors, count * sizeof(int));
  check("hand over sockets", retry_eintr([&] { return ::sendmsg(channel.get(), &message, MSG_NOSIGNAL); }));
}

/// The word that came with them; 0 when the other side is gone.
char receive_descriptors(const Fd& channel, std::vector<Fd>& descriptors) {
  Control control;
  char word = 0;
  iovec data{&word, 1};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  const auto got = retry_eintr([&] { return ::recvmsg(channel.get(), &message, MSG_CMSG_CLOEXEC); });
  if (check("take over sockets", got) == 0) return 0;
  for (cmsghdr* each = CMSG_FIRSTHDR(&message); each != nullptr; each = CMSG_NXTHDR(&message, each)) {
    if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS) continue;
    std::vector<int> numbers((each->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    std::memcpy(numbers.data(), CMSG_DATA(each), numbers.size() * sizeof(int));
    for (const int number : numbers) descriptors.emplace_back(number);
  }
  return word;
}

Fd file_of(const std::string& notes) {
  Fd file(check("memfd_create", ::memfd_create("farol-notes", MFD_CLOEXEC)));
  for (std::string_view rest = notes; !rest.empty();)
    rest.remove_prefix(static_cast<std::size_t>(check("write", ::write(file.get(), rest.data(), rest.size()))));
  return file;
}

std::string text_of(const Fd& file) {
  struct stat info {};
  check("fstat", ::fstat(file.get(), &info));
  if (info.st_size < 0 || static_cast<std::size_t>(info.st_size) > kMostNotes) throw StartError("its notes are too long");
  std::string text(static_cast<std::size_t>(info.st_size), '\0');
  check("pread", ::pread(file.get(), text.data(), text.size(), 0));
  return text;
}

/// Ours, but for what is meant for this process alone.
std::vector<std::string> environment_for_successor() {
  std::vector<std::string> result;
  for (char** each = environ; *each != nullptr; ++each) {
    const std::string_view entry(*each);
    if (!entry.starts_with("LISTEN_") && !entry.starts_with("WATCHDOG_PID=") && !entry.starts_with(kVariable))
      result.emplace_back(entry);
  }
  result.push_back(fmt::format("{}={}", kVariable, kChannel));
  return result;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

/// What the other side says next; 0 when it is gone, or by `deadline`.
char next_word(const Fd& channel, TimePoint deadline) {
  pollfd answer{channel.get(), POLLIN, 0};
  while (::poll(&answer, 1, poll_timeout(deadline, Clock::now())) <= 0)
    if (Clock::now() >= deadline) return 0;
  char word = 0;
  return ::recv(channel.get(), &word, 1, MSG_DONTWAIT) == 1 ? word : '\0';
}

/// With the channel as its only descriptor besides the first three: all others close themselves.
pid_t spawn(const std::string& program, std::vector<std::string> arguments, const Fd& channel) {
  std::vector<std::string> environment = environment_for_successor();
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, channel.get(), kChannel);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t child = 0;
  const int error = ::posix_spawn(&child, program.c_str(), &actions, &attributes, pointers(arguments).data(),
                                  pointers(environment).data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw StartError("cannot start " + program + ": " + error_text(error));
  return child;
}

/// One that does not end by itself is ended.
std::string how_it_ended(pid_t child) {
  int status = 0;
  pid_t ended = 0;
  for (const TimePoint limit = Clock::now() + kLastWords; ended == 0 && Clock::now() < limit;) {
    ended = ::waitpid(child, &status, WNOHANG);
    if (ended == 0) ::poll(nullptr, 0, 10);
  }
  if (ended == 0) {
    ::kill(child, SIGKILL);
    retry_eintr([&] { return ::waitpid(child, &status, 0); });
    return "did not serve in time";
  }
  if (WIFSIGNALED(status)) return fmt::format("was killed by signal {}", WTERMSIG(status));
  return fmt::format("ended with code {} (its log says why)", WEXITSTATUS(status));
}

}  // namespace

std::string own_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return std::filesystem::absolute(name);  // its links are not followed
  std::array<char, 4096> path{};
  const auto size = check("readlink /proc/self/exe", ::readlink("/proc/self/exe", path.data(), path.size()));
  return {path.data(), static_cast<std::size_t>(size)};
}

pid_t start_successor(const std::string& program, const std::vector<std::string>& arguments, const Legacy& legacy,
                      TimePoint deadline, const std::function<void()>& when_it_begins) {
  const Fd notes = file_of(legacy.notes);
  int ends[2];
  check("socketpair", ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
  Fd ours(ends[0]), theirs(ends[1]);
  const pid_t child = spawn(program, arguments, theirs);
  theirs.reset();
  std::vector<int> descriptors = {notes.get()};
  descriptors.insert(descriptors.end(), legacy.sockets.begin(), legacy.sockets.end());
  char word = 0;
  try {
    for (std::size_t sent = 0; sent < descriptors.size(); sent += kAtOnce) {
      const std::size_t count = std::min(kAtOnce, descriptors.size() - sent);
      const bool last = sent + count == descriptors.size();
      send_descriptors(ours, last ? kLast : kSome, descriptors.data() + sent, count);
    }
    word = next_word(ours, deadline);
    if (word == kBegins) {
      when_it_begins();
      word = next_word(ours, deadline);
    }
  } catch (const std::system_error&) {  // it is gone already
  }
  if (word == kServing) return child;
  ours.reset();
  throw StartError("the new process " + how_it_ended(child));
}

std::optional<Predecessor> Predecessor::find() {
  const char* const value = std::getenv(kVariable);
  if (value == nullptr) return std::nullopt;
  int number = -1;
  const char* const end = value + std::strlen(value);
  const bool is_number = std::from_chars(value, end, number).ptr == end && number >= kChannel;
  struct stat info {};
  if (!is_number || ::fstat(number, &info) != 0 || !S_ISSOCK(info.st_mode))
    throw StartError(std::string(kVariable) + " is set, but not by a process that is to be followed (unset it)");
  ::unsetenv(kVariable);
  ::fcntl(number, F_SETFD, FD_CLOEXEC);
  Predecessor predecessor{Fd(number)};
  std::vector<Fd> descriptors;
  char word = kSome;
  while (word == kSome) word = receive_descriptors(predecessor.channel_, descriptors);
  if (word != kLast || descriptors.empty()) throw StartError("the process to follow is gone");
  predecessor.notes = text_of(descriptors.front());
  descriptors.erase(descriptors.begin());
  predecessor.sockets = std::move(descriptors);
  return predecessor;
}

void Predecessor::begin() const { (void)::send(channel_.get(), &kBegins, 1, MSG_NOSIGNAL); }

void Predecessor::take_over() {
  (void)::send(channel_.get(), &kServing, 1, MSG_NOSIGNAL);  // whoever is gone has let go
  channel_.reset();
}

}  // namespace farol
