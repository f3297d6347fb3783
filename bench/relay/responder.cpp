// The back-end of the relay benchmarks: HTTP/1.1 on one thread, cheap enough not to be what is measured.
//   responder PORT          listens on 127.0.0.1:PORT until TERM
// GET /          -> 200 with two bytes
// GET /bytes/N   -> 200 with N bytes; from memory, and by sendfile beyond 64 KiB (as a file server would)
// Keeps connections open unless the request says "Connection: close". One request at a time per connection.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::size_t kInMemory = 64 * 1024;
constexpr std::size_t kFileBytes = 16 * 1024 * 1024;

struct Connection {
  int fd = -1;
  std::string request;
  std::string head;             // what is left of the head (and of a body that fits in memory)
  std::uint64_t body_left = 0;  // what is left of a body that comes from the file
  bool close_after = false;
};

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

int listen_on(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) die("responder: bind");
  if (listen(fd, 4096) < 0) die("responder: listen");
  return fd;
}

int make_file() {
  const int fd = memfd_create("body", MFD_CLOEXEC);
  const std::vector<char> block(1 << 20, 'x');
  for (std::size_t done = 0; done < kFileBytes; done += block.size())
    if (write(fd, block.data(), block.size()) != static_cast<ssize_t>(block.size())) die("responder: memfd");
  return fd;
}

void answer(Connection& connection) {
  const std::string_view request = connection.request;
  std::uint64_t bytes = 2;
  constexpr std::string_view kBytes = "GET /bytes/";
  if (request.starts_with(kBytes)) bytes = std::strtoull(request.data() + kBytes.size(), nullptr, 10);
  connection.close_after = request.find("Connection: close") != std::string_view::npos;
  connection.head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(bytes);
  connection.head += connection.close_after ? "\r\nConnection: close\r\n\r\n" : "\r\n\r\n";
  if (bytes <= kInMemory)
    connection.head.append(bytes, 'x');
  else
    connection.body_left = bytes;
  connection.request.clear();
}

enum class Progress { done, blocked, failed };

Progress send_some(Connection& connection, int file) {
  while (!connection.head.empty()) {
    const int more = connection.body_left > 0 ? MSG_MORE : 0;
    const ssize_t sent = send(connection.fd, connection.head.data(), connection.head.size(), MSG_NOSIGNAL | more);
    if (sent < 0) return errno == EAGAIN ? Progress::blocked : Progress::failed;
    connection.head.erase(0, static_cast<std::size_t>(sent));
  }
  while (connection.body_left > 0) {
    off_t offset = 0;
    const std::size_t count = connection.body_left < kFileBytes ? connection.body_left : kFileBytes;
    const ssize_t sent = sendfile(connection.fd, file, &offset, count);
    if (sent < 0) return errno == EAGAIN ? Progress::blocked : Progress::failed;
    connection.body_left -= static_cast<std::uint64_t>(sent);
  }
  return Progress::done;
}

/// Everything that can be done now; false when the connection is over.
bool serve(Connection& connection, int file) {
  for (;;) {
    if (!connection.head.empty() || connection.body_left > 0) {
      const Progress progress = send_some(connection, file);
      if (progress != Progress::done) return progress == Progress::blocked;
      if (connection.close_after) return false;
    }
    std::array<char, 4096> buffer;
    const ssize_t got = recv(connection.fd, buffer.data(), buffer.size(), 0);
    if (got < 0) return errno == EAGAIN;
    if (got == 0) return false;
    connection.request.append(buffer.data(), static_cast<std::size_t>(got));
    if (connection.request.ends_with("\r\n\r\n")) answer(connection);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: responder PORT\n"), 64;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  const int file = make_file();
  const int listener = listen_on(std::atoi(argv[1]));
  const int poller = epoll_create1(EPOLL_CLOEXEC);
  epoll_event interest{.events = EPOLLIN, .data = {.ptr = nullptr}};
  epoll_ctl(poller, EPOLL_CTL_ADD, listener, &interest);

  std::array<epoll_event, 256> events;
  for (;;) {
    const int ready = epoll_wait(poller, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < ready; ++i) {
      auto* connection = static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr);
      if (connection == nullptr) {
        for (int fd; (fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
          auto fresh = std::make_unique<Connection>();
          fresh->fd = fd;
          if (!serve(*fresh, file)) {
            close(fd);
            continue;
          }
          interest = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = fresh.release()}};
          epoll_ctl(poller, EPOLL_CTL_ADD, fd, &interest);
        }
      } else if (!serve(*connection, file)) {
        close(connection->fd);
        delete connection;
      }
    }
  }
}
