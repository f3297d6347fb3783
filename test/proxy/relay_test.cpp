#include "proxy/relay.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>

#include "common/error.hpp"
#include "common/pipe.hpp"
#include "common/thread.hpp"
#include "common/without_descriptors.hpp"
#include "proxy/session_fixture.hpp"

using namespace farol;
using namespace farol::test;

namespace {

constexpr Buffers kSmall{16 * 1024, 16 * 1024};

/// Sends `bytes` in the background, then a FIN. When nobody takes them there is no FIN, and the test says so.
class Sender {
 public:
  Sender(const Peer& to, const std::string& bytes) : thread_("sender", [this, &to, &bytes] { send(to, bytes); }) {}
  ~Sender() {
    thread_.join();
    CHECK(stuck_ == "");
  }
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;
  bool sent_all() {
    thread_.join();
    return sent_all_;
  }

 private:
  void send(const Peer& to, const std::string& bytes) {
    try {
      sent_all_ = to.send(bytes);
      to.shutdown_write();
    } catch (const std::exception& error) {  // here it would end the program
      stuck_ = error.what();
    }
  }

  bool sent_all_ = false;
  std::string stuck_;
  Thread thread_;
};

/// Fills the connection from `from` until it takes no more; returns what went in.
std::size_t fill(const Peer& from) {
  const std::string chunk(64 * kKiB, 'x');
  std::size_t total = 0;
  for (int idle = 0; idle < 20; ++idle) {
    while (const std::size_t sent = from.send_some(chunk)) {
      total += sent;
      idle = 0;
    }
    (void)from.readable(10ms);  // gives the relay time to take some
  }
  return total;
}

/// A session that has both its connections: a byte has come through.
Pair established(const ProxyUnderTest& proxy, const ScriptedServer& server) {
  Pair pair = connect_through(proxy, server);
  REQUIRE(pair.client.send("?"));
  REQUIRE(pair.server.read(1) == "?");
  return pair;
}

/// The proxy's end of a connection: this process has both.
int other_end(const Peer& peer) {
  for (int fd = 0; fd < 4096; ++fd) {
    SockAddr raw;
    if (::getpeername(fd, raw.get(), &raw.size) == 0 && Address::from(raw) == peer.local()) return fd;
  }
  throw std::runtime_error("nobody is at the other end of " + peer.local().text());
}

/// Makes splice(2) into the socket fail: the kernel does it for no descriptor that appends.
void refuse_splice_into(int socket) {
  check("fcntl", ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) | O_APPEND));
  PipePool pool(1);
  const auto pipe = pool.take();
  REQUIRE(pipe);
  REQUIRE(::write(pipe->write_end.get(), "x", 1) == 1);
  REQUIRE(::splice(pipe->read_end.get(), nullptr, socket, nullptr, 1, 0) == -1);
}

}  // namespace

TEST_CASE("relay: bytes go both ways, in order", "[relay]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()});
  Pair pair = connect_through(proxy, server);
  for (const std::string word : {"ping", "again"}) {
    REQUIRE(pair.client.send(word));
    CHECK(pair.server.read(word.size()) == word);
    REQUIRE(pair.server.send("<" + word + ">"));
    CHECK(pair.client.read(word.size() + 2) == "<" + word + ">");
  }
  pair.client.close();
  CHECK(pair.server.read_to_end().end == Peer::End::eof);
  pair.server.close();
  auto line = proxy.next_session();
  CHECK(line["bytes_in"] == "9");
  CHECK(line["bytes_out"] == "13");
  CHECK(line["retries"] == "0");
  CHECK(line["cause"] == "--");
  CHECK(line["backend"] == server.address().text());
}

TEST_CASE("relay: a half-close by the client lets the reply through", "[relay]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()});
  Pair pair = connect_through(proxy, server);
  REQUIRE(pair.client.send("request"));
  pair.client.shutdown_write();
  const Peer::Rest request = pair.server.read_to_end();
  CHECK(request.bytes == "request");
  CHECK(request.end == Peer::End::eof);
  const std::string reply = seeded_bytes(200'000, 1);
  const Sender sending(pair.server, reply);
  const Peer::Rest heard = pair.client.read_to_end();
  CHECK(heard.bytes == reply);
  CHECK(heard.end == Peer::End::eof);
  CHECK(proxy.next_session()["cause"] == "--");
}

TEST_CASE("relay: a half-close by the server lets the client go on sending", "[relay]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()});
  Pair pair = connect_through(proxy, server);
  REQUIRE(pair.server.send("enough"));
  pair.server.shutdown_write();
  CHECK(pair.client.read_to_end().bytes == "enough");
  const std::string upload = seeded_bytes(300'000, 2);
  const Sender sending(pair.client, upload);
  const Peer::Rest heard = pair.server.read_to_end();
  CHECK(heard.bytes == upload);
  CHECK(heard.end == Peer::End::eof);
}

TEST_CASE("relay: a server may speak first", "[relay]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()});
  Pair pair = connect_through(proxy, server);
  REQUIRE(pair.server.send("220 ready\r\n"));
  CHECK(pair.client.read(11) == "220 ready\r\n");
}

TEST_CASE("relay: many megabytes each way at once through small buffers arrive whole", "[relay]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server(kSmall);
  ProxyUnderTest proxy(engine, {server.address()});
  Pair pair = connect_through(proxy, server, kSmall);
  const std::string up = seeded_bytes(64 * kMiB / kScale, 3), down = seeded_bytes(64 * kMiB / kScale, 4);
  Sender upload(pair.client, up), download(pair.server, down);
  Peer::Rest at_client;
  {
    const Thread reading("reader", [&] { at_client = pair.client.read_to_end(); });
    const Peer::Rest at_server = pair.server.read_to_end();
    CHECK(sha256(at_server.bytes) == sha256(up));
  }
  CHECK(sha256(at_client.bytes) == sha256(down));
  CHECK(upload.sent_all());
  CHECK(download.sent_all());
  auto line = proxy.next_session();
  CHECK(line["bytes_in"] == std::to_string(up.size()));
  CHECK(line["bytes_out"] == std::to_string(down.size()));
  CHECK(line["cause"] == "--");
}

TEST_CASE("relay: a slow reader is waited for when the server has closed", "[relay]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()});
  Pair pair = connect_through(proxy, server, kSmall);
  const std::string file = seeded_bytes(8 * kMiB, 5);
  {
    // The client does not read until the server has said all, except for what makes room for that.
    Sender sending(pair.server, file);
    std::string begin;
    while (begin.size() < 4 * kMiB) begin += pair.client.read(64 * kKiB);
    CHECK(begin == file.substr(0, begin.size()));
    const std::string rest = pair.client.read(file.size() - begin.size());
    CHECK(rest == file.substr(begin.size()));
    CHECK(sending.sent_all());
  }
  CHECK(pair.client.read_to_end().end == Peer::End::eof);
}

TEST_CASE("relay: what the proxy still holds arrives after both sides have closed theirs", "[relay]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()});
  Pair pair = connect_through(proxy, server, kSmall);
  pair.client.shutdown_write();
  CHECK(pair.server.read_to_end().bytes.empty());
  const std::string reply = seeded_bytes(40'000, 6);
  REQUIRE(pair.server.send(reply));
  pair.server.close();
  CHECK(proxy.next_session()["cause"] == "--");  // the session is over, and the client has not read a byte
  const Peer::Rest heard = pair.client.read_to_end();
  CHECK(heard.bytes == reply);
  CHECK(heard.end == Peer::End::eof);
}

TEST_CASE("relay: single bytes are passed on without waiting for more", "[relay]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()});
  Pair pair = connect_through(proxy, server);
  const int on = 1;
  ::setsockopt(pair.client.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(pair.server.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  constexpr int kBytes = 1000 / static_cast<int>(kScale);
  const TimePoint started = Clock::now();
  for (int i = 0; i < kBytes; ++i) {
    const std::string byte(1, static_cast<char>(i));
    REQUIRE(pair.client.send(byte));
    REQUIRE(pair.server.read(1) == byte);
    REQUIRE(pair.server.send(byte));
    REQUIRE(pair.client.read(1) == byte);
  }
  CHECK(Clock::now() - started < kBytes * 20ms);  // Nagle against delayed acknowledgements costs 40 ms each
}

TEST_CASE("relay: the server gets what a client sent before its reset, then a reset", "[relay]") {
  const auto engine = GENERATE(every_engine());
  const bool server_is_sending = GENERATE(false, true);
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()});
  for (int round = 0; round < 20; ++round) {
    Pair pair = connect_through(proxy, server);
    const std::string before = seeded_bytes(100'000, 7);
    REQUIRE(pair.client.send(before));
    CHECK(pair.server.read(1) == before.substr(0, 1));  // the relay has begun
    if (server_is_sending) fill(pair.server);
    // All of it must have left the client: a reset discards what is still in its buffers.
    const std::string rest = pair.server.read(before.size() - 1);
    CHECK(rest == before.substr(1));
    REQUIRE(pair.client.send("last words"));
    pair.client.wait_until_received();
    pair.client.reset();
    const Peer::Rest heard = pair.server.read_to_end();
    CHECK(heard.bytes == "last words");
    CHECK(heard.end == Peer::End::reset);
    CHECK(proxy.next_session()["cause"] == "CD");
  }
}

TEST_CASE("relay: a client that closes while the server sends ends the session", "[relay]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()});
  Pair pair = connect_through(proxy, server);
  fill(pair.server);
  pair.client.close();  // with unread bytes: that is a reset
  CHECK(pair.server.read_to_end().end == Peer::End::reset);
  CHECK(proxy.next_session()["cause"] == "CD");
}

TEST_CASE("relay: a reset by the client ends a session whose server does not read", "[relay]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server(kSmall);
  ProxyUnderTest proxy(engine, {server.address()});
  Pair pair = connect_through(proxy, server, kSmall);
  fill(pair.client);
  pair.client.reset();
  pair.server.send_some("a word that nobody is there to hear");
  CHECK(proxy.next_session()["cause"] == "CD");
  REQUIRE(eventually([&] { return proxy.engine().active() == 0; }));
  CHECK(pair.server.read_to_end().end == Peer::End::reset);
}

TEST_CASE("relay: the client gets what a server sent before its reset, then an end", "[relay]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()});
  for (int round = 0; round < 20; ++round) {
    Pair pair = connect_through(proxy, server);
    REQUIRE(pair.client.send("hello"));
    CHECK(pair.server.read(5) == "hello");
    const std::string reply = seeded_bytes(1000, 8);
    REQUIRE(pair.server.send(reply));
    pair.server.wait_until_received();
    const TimePoint reset_at = Clock::now();
    pair.server.reset();
    const Peer::Rest heard = pair.client.read_to_end();
    CHECK(Clock::now() - reset_at < kAtOnce);
    CHECK(heard.bytes == reply);
    CHECK(heard.end == Peer::End::eof);
    CHECK(proxy.next_session()["cause"] == "SD");
  }
}

TEST_CASE("relay: a server that dies in the middle of a transfer ends the session at once", "[relay]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()});
  Pair pair = connect_through(proxy, server);
  REQUIRE(pair.server.send(seeded_bytes(100'000, 9)));
  CHECK(pair.client.read(50'000).size() == 50'000);
  REQUIRE(pair.client.send("a request that the server never reads"));
  const TimePoint died_at = Clock::now();
  pair.server.close();
  pair.client.read_to_end();
  CHECK(Clock::now() - died_at < kAtOnce);
  pair.client.close();
  proxy.next_session();
}

TEST_CASE("relay: when both sides are reset the session does not wait for the dead", "[relay]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()});
  Pair pair = connect_through(proxy, server, kSmall);
  fill(pair.server);  // the client reads nothing, so the proxy holds bytes that will never be acknowledged
  pair.server.reset();
  (void)pair.client.readable(100ms);
  const TimePoint reset_at = Clock::now();
  pair.client.reset();
  proxy.next_session();
  CHECK(Clock::now() - reset_at < 2s);
}

TEST_CASE("relay: a server that answers and closes without reading the upload is heard", "[relay]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()});
  for (int round = 0; round < 10; ++round) {
    Pair pair = connect_through(proxy, server);
    const std::string upload(16 * kMiB, 'u'), reply = seeded_bytes(100'000, 10);
    Sender sending(pair.client, upload);
    CHECK(pair.server.read(10).size() == 10);
    REQUIRE(pair.server.send(reply));
    pair.server.wait_until_received();
    pair.server.close();  // with unread bytes: that is a reset
    const bool whole = pair.client.read(reply.size()) == reply;
    CHECK(whole);
    pair.client.read_to_end();
    proxy.next_session();
  }
}

TEST_CASE("relay: without descriptors for a pipe a stream is copied", "[relay]") {
  const auto engine = GENERATE(every_engine());
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()});
  Pair pair = established(proxy, server);
  const std::string file = seeded_bytes(8 * kMiB / kScale, 13);
  {
    const WithoutDescriptors none;
    Sender sending(pair.server, file);
    CHECK(sha256(pair.client.read_to_end().bytes) == sha256(file));
    CHECK(sending.sent_all());
  }
  pair.client.close();
  CHECK(proxy.next_session()["cause"] == "--");
}

TEST_CASE("relay: a stream whose sink refuses to be spliced to is copied, with what was in the pipe", "[relay]") {
  const auto engine = GENERATE(every_engine());
  const std::size_t before = GENERATE(std::size_t{0}, kMiB);  // refused from the start, or in mid-stream
  const ScriptedServer server;
  ProxyUnderTest proxy(engine, {server.address()});
  Pair pair = established(proxy, server);
  const std::string file = seeded_bytes(8 * kMiB, 14);
  if (before == 0) refuse_splice_into(other_end(pair.client));
  Sender sending(pair.server, file);
  std::string heard = pair.client.read(before);
  if (before > 0) refuse_splice_into(other_end(pair.client));
  heard += pair.client.read_to_end().bytes;
  CHECK(sha256(heard) == sha256(file));
  CHECK(sending.sent_all());
  pair.client.close();
  auto line = proxy.next_session();
  CHECK(line["bytes_out"] == std::to_string(file.size()));
  CHECK(line["cause"] == "--");
}
