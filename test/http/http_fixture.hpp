#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "common/engine.hpp"
#include "common/error.hpp"
#include "common/listener.hpp"
#include "http/server.hpp"

namespace farol::http_test {

/// A responder served on a port of its own.
class TestServer {
 public:
  explicit TestServer(http::Responder responder, http::Limits limits = {}, EngineKind kind = EngineKind::threads,
                  const std::atomic<bool>* draining = nullptr)
      : limits_(limits),
        responder_(std::move(responder)),
        engine_(start_engine(
            kind, {listener_},
            [this, draining](Io& io, Accepted client) {
              return http::serve_connection(io, std::move(client), responder_, limits_, draining);
            },
            EngineOptions{}, log_)) {}
  [[nodiscard]] const Address& address() const { return listener_->address(); }
  [[nodiscard]] std::size_t active() const { return engine_->active(); }
  /// True when no connection is left within ten seconds.
  [[nodiscard]] bool becomes_idle() const {
    const auto limit = Clock::now() + std::chrono::seconds(10);
    while (active() > 0 && Clock::now() < limit) ::poll(nullptr, 0, 10);
    return active() == 0;
  }

 private:
  const Logger log_{-1, LogLevel::error, LogFormat::text};
  const http::Limits limits_;
  const http::Responder responder_;
  const std::shared_ptr<const Listener> listener_ = std::make_shared<Listener>(*Address::parse("127.0.0.1:0"));
  std::unique_ptr<Engine> engine_;
};

/// A client's socket, with a limit on every wait so that a test fails instead of hanging.
class Client {
 public:
  explicit Client(const TestServer& server, int receive_buffer = 0) : Client(server.address(), receive_buffer) {}
  explicit Client(const Address& address, int receive_buffer = 0)
      : fd_(check("socket", ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))) {
    if (receive_buffer > 0) ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    const SockAddr to = address.raw();
    check("connect", ::connect(fd_.get(), to.get(), to.size));
  }

  void say(std::string_view text) const {
    REQUIRE(::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
  }
  [[nodiscard]] bool has_heard(std::chrono::milliseconds within) const {
    pollfd ready{fd_.get(), POLLIN, 0};
    return ::poll(&ready, 1, static_cast<int>(within.count())) > 0;
  }
  void say_no_more() const { ::shutdown(fd_.get(), SHUT_WR); }

  /// What arrives until `enough` says so or the server closes.
  template <typename Enough>
  std::string hear(Enough enough) const {
    std::string heard;
    std::vector<char> buffer(64 * 1024);
    while (!enough(heard)) {
      pollfd ready{fd_.get(), POLLIN, 0};
      if (::poll(&ready, 1, 10'000) <= 0) return heard + "\n(nothing for 10 s)";
      const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
      if (got < 0) return heard + "\n(reset)";
      if (got == 0) break;
      heard.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return heard;
  }
  [[nodiscard]] std::string hear_to_end() const {
    return hear([](const std::string&) { return false; });
  }
  [[nodiscard]] std::string hear_until(const std::string& end) const {
    return hear([&](const std::string& heard) { return heard.find(end) != std::string::npos; });
  }

 private:
  Fd fd_;
};

inline std::string get(const std::string& target, const std::string& fields = "") {
  return "GET " + target + " HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n";
}
inline const std::string kClose = "Connection: close\r\n";

inline std::string body_of(const std::string& response) {
  const auto end = response.find("\r\n\r\n");
  return end == std::string::npos ? "(no header end)" : response.substr(end + 4);
}

inline bool begins(const std::string& text, const std::string& with) {
  return text.rfind(with, 0) == 0;
}

}  // namespace farol::http_test
