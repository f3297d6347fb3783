#include "proxy/session_fixture.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <openssl/evp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <random>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "common/error.hpp"
#include "common/thread.hpp"
#include "monitoring/packet.hpp"
#include "proxy/backend_table_access.hpp"

namespace farol::test {
namespace {

const Address kLoopback = Address::ipv4(0x7f000001, 0);

void set_buffers(int fd, Buffers buffers) {
  // Loopback's segments of 64 KiB do not fit into small windows: the kernel would wait for its timers.
  const int ethernet = 1448;
  if (buffers.receive > 0) ::setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &ethernet, sizeof ethernet);
  if (buffers.receive > 0) ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffers.receive, sizeof buffers.receive);
  if (buffers.send > 0) ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffers.send, sizeof buffers.send);
}

Address bound_to(int fd) {
  SockAddr raw;
  check("getsockname", ::getsockname(fd, raw.get(), &raw.size));
  return Address::from(raw);
}

Fd bound_socket(int flags = 0) {
  Fd fd(check("socket", ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0)));
  const SockAddr any = kLoopback.raw();
  check("bind", ::bind(fd.get(), any.get(), any.size));
  return fd;
}

bool wait_for(int fd, short events, std::chrono::milliseconds within) {
  pollfd ready{fd, events, 0};
  return retry_eintr([&] { return ::poll(&ready, 1, static_cast<int>(within.count())); }) > 0;
}

void wait_or_throw(int fd, short events, const char* what) {
  if (!wait_for(fd, events, kPatience)) throw std::runtime_error(std::string(what) + ": nothing happened for too long");
}

proxy::BackendTable::Options table_options(const ProxyUnderTest::Options& options) {
  proxy::BackendTable::Options result;
  result.max_connections = options.per_backend;
  return result;
}

std::size_t entries(const char* directory) {
  DIR* list = ::opendir(directory);
  if (list == nullptr) throw_errno(directory);
  std::size_t count = 0;
  while (::readdir(list) != nullptr) ++count;
  ::closedir(list);
  return count;
}

}  // namespace

Peer::Peer(Fd fd) : fd_(std::move(fd)) {
  // A send that stays stuck ends as "again": a test must not hang.
  const timeval limit{std::chrono::seconds(kPatience).count(), 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

Peer Peer::connect(const Address& to, Buffers buffers, const Address& from) {
  Fd fd(check("socket", ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
  set_buffers(fd.get(), buffers);
  if (from.family() == AF_INET) {
    const SockAddr own = from.raw();
    check("bind " + from.text(), ::bind(fd.get(), own.get(), own.size));
  }
  const SockAddr raw = to.raw();
  check("connect " + to.text(), ::connect(fd.get(), raw.get(), raw.size));
  return Peer(std::move(fd));
}

bool Peer::send(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t sent = retry_eintr([&] { return ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL); });
    if (sent < 0 && errno == EAGAIN) throw std::runtime_error("send: nobody took the bytes for too long");
    if (sent < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::size_t Peer::send_some(std::string_view bytes) const {
  const ssize_t sent = ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent < 0 ? 0 : static_cast<std::size_t>(sent);
}

std::string Peer::read(std::size_t count) const {
  std::string bytes(count, '\0');
  std::size_t have = 0;
  while (have < count) {
    wait_or_throw(fd(), POLLIN, "read");
    const ssize_t got = retry_eintr([&] { return ::recv(fd(), bytes.data() + have, count - have, 0); });
    if (got <= 0) break;
    have += static_cast<std::size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

Peer::Rest Peer::read_to_end(std::chrono::milliseconds pause) const {
  Rest rest;
  std::string buffer(64 * kKiB, '\0');
  for (;;) {
    wait_or_throw(fd(), POLLIN, "read to the end");
    const ssize_t got = retry_eintr([&] { return ::recv(fd(), buffer.data(), buffer.size(), 0); });
    if (got < 0) rest.end = End::reset;
    if (got <= 0) return rest;
    rest.bytes.append(buffer, 0, static_cast<std::size_t>(got));
    if (pause.count() > 0) ::poll(nullptr, 0, static_cast<int>(pause.count()));
  }
}

bool Peer::readable(std::chrono::milliseconds within) const { return wait_for(fd(), POLLIN, within); }

void Peer::wait_until_received() const {
  const bool received = eventually([&] {
    int waiting = 0;
    return ::ioctl(fd(), SIOCOUTQ, &waiting) == 0 && waiting == 0;
  });
  if (!received) throw std::runtime_error("send: nobody took the bytes for too long");
}

void Peer::shutdown_write() const { ::shutdown(fd(), SHUT_WR); }

void Peer::reset() {
  const linger at_once{1, 0};
  ::setsockopt(fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  fd_.reset();
}

Address Peer::local() const { return bound_to(fd()); }

ScriptedServer::ScriptedServer(Buffers buffers) : fd_(bound_socket()), address_(bound_to(fd_.get())) {
  set_buffers(fd_.get(), buffers);
  check("listen", ::listen(fd_.get(), 4096));
}

Peer ScriptedServer::accept() const {
  wait_or_throw(fd_.get(), POLLIN, "accept");
  return Peer(Fd(check("accept", ::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC))));
}

bool ScriptedServer::has_client(std::chrono::milliseconds within) const { return wait_for(fd_.get(), POLLIN, within); }

RefusingServer::RefusingServer() : fd_(bound_socket()), address_(bound_to(fd_.get())) {}

BlackHole::BlackHole() : fd_(bound_socket()), address_(bound_to(fd_.get())) {
  check("listen", ::listen(fd_.get(), 0));
  const SockAddr raw = address_.raw();
  do {  // until one more gets no answer
    in_queue_.emplace_back(check("socket", ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)));
    ::connect(in_queue_.back().get(), raw.get(), raw.size);
  } while (wait_for(in_queue_.back().get(), POLLOUT, 50ms));
}

LogPipe::LogPipe(LogLevel level)
    : reader_(-1), writer_(-1), logger_([this] {
        int ends[2];
        check("pipe", ::pipe2(ends, O_CLOEXEC));
        reader_ = Fd(ends[0]);
        writer_ = Fd(ends[1]);
        ::fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
        return ends[1];
      }(), level, LogFormat::text) {}

std::map<std::string, std::string> LogPipe::next(const std::string& message) {
  for (;;) {
    for (auto end = unread_.find('\n'); end != std::string::npos; end = unread_.find('\n')) {
      const std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      if (line.find(" msg=\"" + message + "\"") == std::string::npos) continue;
      std::map<std::string, std::string> fields;
      std::istringstream words(line);
      for (std::string word; words >> word;)
        if (const auto equals = word.find('='); equals != std::string::npos)
          fields[word.substr(0, equals)] = word.substr(equals + 1);
      return fields;
    }
    wait_or_throw(reader_.get(), POLLIN, "log");
    drain();
  }
}

std::string LogPipe::drain() {
  char buffer[4096];
  while (wait_for(reader_.get(), POLLIN, 0ms)) {
    const ssize_t got = ::read(reader_.get(), buffer, sizeof buffer);
    if (got <= 0) break;
    unread_.append(buffer, static_cast<std::size_t>(got));
  }
  return unread_;
}

ProxyUnderTest::ProxyUnderTest(EngineKind engine, const std::vector<Address>& backends, const Options& options)
    : name_(naming(engine)),
      log_(options.log_level),
      table_(table_options(options)),
      sources_(options.per_source),
      context_(Snapshot<proxy::SessionContext>({
          table_, counters_, log_.log(), {&table_.name_pool(std::string(monitoring::kDefaultPool))},
          options.connect_timeout, {options.retries, options.more_within}, {options.idle, options.fin, options.user, options.lifetime},
          {options.queue_timeout, options.max_queue}, options.per_source > 0 ? &sources_ : nullptr}).get()),
      listener_(std::make_shared<Listener>(kLoopback)) {
  std::signal(SIGPIPE, SIG_IGN);  // as run_program() does: splice(2) knows no MSG_NOSIGNAL
  if (options.user > 0s) listener_->probe_idle_clients(options.user);
  for (const Address& backend : backends) add_backend(backend);
  Handler handler = [this](Io& io, Accepted client) { return proxy::serve_client(io, std::move(client), context_); };
  EngineOptions engine_options;
  engine_options.max_connections = options.max_connections;
  engine_options.idle_workers = options.idle_workers;
  engine_options.reactors = 2;
  engine_ = start_engine(engine, {listener_}, std::move(handler), engine_options, log_.log());
}

void ProxyUnderTest::add_backend(const Address& address, bool backup) {
  const proxy::BackendTable::Access rows(table_);
  proxy::Backend* added = rows.add({address, monitoring::pool_id(monitoring::kDefaultPool)}, proxy::Source::configured);
  added->backup = backup;
  added->take_check(true, Clock::now(), {});
  rows.refresh(*added, Clock::now());
}

void ProxyUnderTest::set_state(const Address& backend, proxy::AdminState state, std::optional<Duration> close_over) {
  REQUIRE(table_.set_state(backend.text(), state, Clock::now(), close_over) == proxy::ProxyView::Change::done);
}

bool ProxyUnderTest::waits(std::size_t clients) {
  return eventually([&] { return table_.waiting() == clients; });
}

std::string ProxyUnderTest::state_of(const Address& backend) {
  for (const proxy::BackendStatus& row : table_.status(Clock::now()))
    if (row.address == backend) return proxy::to_string(row.state);
  return "unknown";
}

std::uint64_t ProxyUnderTest::rejected(const std::string& reason) const {
  for (const proxy::Counter& counter : status().rejected)
    if (counter.reason == reason) return counter.count;
  throw std::invalid_argument("no such reason: " + reason);
}

proxy::ProxyStatus ProxyUnderTest::status() const {
  proxy::ProxyStatus result;
  proxy::Counters::Refused by_limit;
  if (engine_) by_limit = {engine_->refused(), engine_->refused_at()};
  counters_.fill(result, by_limit, Clock::now());
  return result;
}

Pair connect_through(const ProxyUnderTest& proxy, const ScriptedServer& server, Buffers client_buffers) {
  Peer client = proxy.client(client_buffers);
  return {std::move(client), server.accept()};
}

bool eventually(const std::function<bool()>& what) {
  const TimePoint deadline = Clock::now() + kPatience;
  while (!what()) {
    if (Clock::now() > deadline) return false;
    ::poll(nullptr, 0, 1);
  }
  return true;
}

std::string in_child(const std::function<std::string()>& body) {
  int ends[2];
  check("pipe", ::pipe2(ends, O_CLOEXEC));
  const Fd reader(ends[0]);
  Fd writer(ends[1]);
  const pid_t child = check("fork", ::fork());
  if (child == 0) {
    std::string verdict;
    try {
      verdict = body();
    } catch (const std::exception& error) {
      verdict = std::string("threw: ") + error.what();
    }
    verdict += '\n';
    ::_exit(::write(writer.get(), verdict.data(), verdict.size()) < 0 ? 2 : 0);
  }
  writer.reset();
  pollfd ready{reader.get(), POLLIN, 0};
  std::string verdict = "no answer in time";
  if (::poll(&ready, 1, 60'000) > 0) {
    char text[512];
    const ssize_t got = ::read(reader.get(), text, sizeof text);
    verdict = got > 0 ? std::string(text, static_cast<std::size_t>(got) - 1) : "died";
  } else {
    ::kill(child, SIGKILL);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return verdict;
}

std::string seeded_bytes(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string bytes(count, '\0');
  for (std::size_t at = 0; at < count; at += sizeof(std::uint64_t)) {
    const std::uint64_t word = random();
    bytes.replace(at, std::min(count - at, sizeof word), reinterpret_cast<const char*>(&word),
                  std::min(count - at, sizeof word));
  }
  return bytes;
}

std::string sha256(std::string_view bytes) {
  std::string digest(EVP_MAX_MD_SIZE, '\0');
  unsigned size = 0;
  EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()), &size, EVP_sha256(), nullptr);
  digest.resize(size);
  return digest;
}

void enter_network_of_our_own() {
  check("unshare", ::unshare(CLONE_NEWNET));
  const Fd any(check("socket", ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)));
  ifreq loopback{};
  std::strcpy(loopback.ifr_name, "lo");
  loopback.ifr_flags = IFF_UP;
  check("SIOCSIFFLAGS", ::ioctl(any.get(), SIOCSIFFLAGS, &loopback));
}

std::size_t open_descriptors() { return entries("/proc/self/fd"); }
std::size_t running_threads() { return entries("/proc/self/task"); }
std::size_t settled_threads() {
  Thread("first", [] {}).join();  // a sanitizer may start a thread of its own beside a process's first
  std::size_t threads = 0;
  while (std::exchange(threads, running_threads()) != threads) ::poll(nullptr, 0, 50);
  return threads;
}

}  // namespace farol::test
