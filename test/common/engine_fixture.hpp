#pragma once

#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "proxy/session_fixture.hpp"

namespace farol::test {

/// An engine with a handler of the test's own.
class EngineUnderTest {
 public:
  EngineUnderTest(EngineKind kind, Handler handler, EngineOptions options = {}) : name_(naming(kind)) {
    options.reactors = 2;
    engine_ = start_engine(kind, {listener_}, std::move(handler), options, log_.log());
  }
  [[nodiscard]] Peer client() const { return Peer::connect(listener_->address()); }
  [[nodiscard]] const Address& address() const { return listener_->address(); }
  Engine& operator*() const { return *engine_; }
  Engine* operator->() const { return engine_.get(); }
  LogPipe& log() { return log_; }
  [[nodiscard]] const std::shared_ptr<const Listener>& listener() const { return listener_; }
  void end() { engine_.reset(); }

 private:
  const Catch::ScopedMessage name_;
  LogPipe log_;
  const std::shared_ptr<const Listener> listener_ = std::make_shared<Listener>(Address::ipv4(0x7f000001, 0));
  std::unique_ptr<Engine> engine_;
};

/// What a supervised connection of these tests does when it is cut.
class Cuttable final : public Supervised {
 public:
  explicit Cuttable(Channel& channel) : channel_(channel) {}
  bool expired(TimePoint) override { return false; }
  void cut(bool) override { channel_.shut_down(); }

 private:
  Channel& channel_;
};

/// Sends back what it is sent.
inline Task<> echo(Io& io, Accepted client) {
  Channel channel(io, std::move(client.socket));
  Cuttable cuttable(channel);
  const Supervision supervision(io, cuttable);
  for (;;) {
    const IoResult got = channel.read(io.scratch());
    if (got.status == IoResult::Status::again) {
      const Wait wait = co_await channel.readable();
      if (wait == Wait::cut) co_return;
      continue;
    }
    if (got.status != IoResult::Status::ok) co_return;
    const auto heard = io.scratch().first(got.bytes);
    const std::vector<std::byte> copy(heard.begin(), heard.end());
    Task<bool> writing = write_all(channel, copy, kNever);
    const bool written = co_await writing;
    if (!written) co_return;
  }
}

inline bool echoes(const Peer& client) { return client.send("hello") && client.read(5) == "hello"; }

}  // namespace farol::test
