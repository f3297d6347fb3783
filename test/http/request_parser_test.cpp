#include "http/request_parser.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

using farol::http::Request;
using farol::http::RequestParser;
using Outcome = RequestParser::Outcome;

namespace {

constexpr RequestParser::Limits kWithBody{.body_bytes = 64};

Outcome feed(RequestParser& parser, std::string_view text) {
  return parser.feed(std::as_bytes(std::span(text)));
}

/// Everything a stream of bytes says, in words: comparable.
struct Reading {
  std::vector<std::string> requests;
  int refused = 0;
  std::string reason;
  bool operator==(const Reading&) const = default;
};

std::string in_words(const Request& request) {
  std::string out = request.method + " " + request.target + " " + std::to_string(request.version) +
                    (request.keep_alive ? " keep" : " close");
  for (const auto& field : request.fields) out += "|" + field.name + "=" + field.value;
  return out + "|" + request.body;
}

/// Reads `text` in pieces of at most `piece` bytes.
Reading read(const std::string& text, std::size_t piece, const RequestParser::Limits& limits = kWithBody) {
  RequestParser parser(limits);
  Reading reading;
  for (std::size_t from = 0; from < text.size(); from += piece) {
    Outcome outcome = feed(parser, std::string_view(text).substr(from, piece));
    for (; outcome == Outcome::request; outcome = parser.feed({})) reading.requests.push_back(in_words(parser.take()));
    if (outcome == Outcome::need_more) continue;
    reading.refused = parser.refusal().status;
    reading.reason = parser.refusal().reason;
    break;
  }
  return reading;
}

int refused(const std::string& text, const RequestParser::Limits& limits = kWithBody) {
  const Reading reading = read(text, text.size(), limits);
  CHECK(reading.requests.empty());
  return reading.refused;
}

const std::string kGet = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

}  // namespace

TEST_CASE("a request is read with its fields and body") {
  RequestParser parser(kWithBody);
  REQUIRE(feed(parser,
               "POST /api?x=1 HTTP/1.1\r\nHost: localhost:8404\r\nX-Two: 1\r\nx-two:  2 \r\nContent-Length: "
               "4\r\n\r\nbodyGET") == Outcome::request);
  const Request request = parser.take();
  CHECK(request.method == "POST");
  CHECK(request.target == "/api?x=1");
  CHECK(request.version == 11);
  CHECK(request.keep_alive);
  CHECK(request.field("HOST") == "localhost:8404");
  CHECK(request.field("X-Two") == "1");
  CHECK(request.count("X-TWO") == 2);
  CHECK(request.field("absent").empty());
  CHECK(request.body == "body");
  CHECK(parser.started());  // "GET"
}

TEST_CASE("keep-alive follows version and Connection") {
  const auto keeps = [](const std::string& version, const std::string& fields) {
    RequestParser parser(kWithBody);
    REQUIRE(feed(parser, "GET / HTTP/" + version + "\r\nHost: x\r\n" + fields + "\r\n") == Outcome::request);
    return parser.take().keep_alive;
  };
  CHECK(keeps("1.1", ""));
  CHECK_FALSE(keeps("1.1", "Connection: close\r\n"));
  CHECK_FALSE(keeps("1.1", "Connection: foo, CLOSE\r\n"));
  CHECK_FALSE(keeps("1.0", ""));
  CHECK(keeps("1.0", "Connection: keep-alive\r\n"));
}

TEST_CASE("HTTP/1.0 needs no Host") {
  CHECK(read("GET / HTTP/1.0\r\n\r\n", 100).requests.size() == 1);
}

TEST_CASE("pipelined requests come one by one, empty lines between them are skipped") {
  const std::string post = "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
  const Reading reading = read("\r\n" + kGet + post + "\r\n\r\n" + kGet, 1000);
  CHECK(reading.refused == 0);
  REQUIRE(reading.requests.size() == 3);
  CHECK(reading.requests[1] == "POST /b 11 keep|Host=x|Content-Length=3|abc");
  CHECK(reading.requests[2] == reading.requests[0]);
}

TEST_CASE("what could smuggle a request is refused") {
  const std::string start = "POST / HTTP/1.1\r\nHost: x\r\n";
  const std::string next = "\r\nGET /second HTTP/1.1\r\nHost: x\r\n\r\n";
  CHECK(refused(start + "Content-Length: 1\r\nContent-Length: 2\r\n" + next) == 400);
  CHECK(refused(start + "Content-Length: 2\r\nContent-Length: 2\r\n" + next) == 400);
  CHECK(refused(start + "Content-Length: 2, 2\r\n" + next) == 400);
  CHECK(refused(start + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" + next) == 400);
  CHECK(refused(start + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n" + next) == 400);
  CHECK(refused(start + "Transfer-Encoding: gzip\r\nContent-Length: 5\r\n" + next) == 400);
  CHECK(refused(start + "Transfer-Encoding: chunked\r\n\r\n-1\r\n" + next) == 400);
  CHECK(refused(start + "Transfer-Encoding : chunked\r\n" + next) == 400);
  CHECK(refused(start + "Transfer-Encoding:\r\n chunked\r\n" + next) == 400);
  CHECK(refused(start + "Content-Length : 5\r\n" + next) == 400);
  CHECK(refused(start + "Content-Length: +5\r\n" + next) == 400);
  CHECK(refused(start + "Content-Length: -5\r\n" + next) == 400);
  CHECK(refused(start + "Content-Length: 0x5\r\n" + next) == 400);
  CHECK(refused(start + "Content-Length: 5 5\r\n" + next) == 400);
  CHECK(refused(start + "Content-Length:\r\n" + next) == 400);
  CHECK(refused(start + "Content-Length: 99999999999999999999999\r\n" + next) >= 400);
  CHECK(refused(start + std::string("X: a\0b\r\n", 8) + next) == 400);
  CHECK(refused(start + "X: a\rb\r\n" + next) == 400);
  CHECK(refused(start + "X: a\nY: b\r\n" + next) == 400);
  CHECK(refused(start + "X: a\r\n folded\r\n" + next) == 400);
  CHECK(refused(start + ": nameless\r\n" + next) == 400);
  CHECK(refused(start + "no colon\r\n" + next) == 400);
  CHECK(refused("GET / HTTP/1.1\r\n Host: x\r\n\r\n") == 400);
}

TEST_CASE("HTTP/1.1 wants exactly one Host, and a host in it") {
  CHECK(refused("GET / HTTP/1.1\r\n\r\n") == 400);
  CHECK(refused("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n") == 400);
  CHECK(refused("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n") == 400);
  CHECK(refused("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n") == 400);
  CHECK(refused("GET / HTTP/1.1\r\nHost: a b\r\n\r\n") == 400);
  CHECK(refused("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n") == 400);
}

TEST_CASE("unknown versions, methods and grammar have their status") {
  CHECK(refused("GET / HTTP/2.0\r\nHost: x\r\n\r\n") == 505);
  CHECK(refused("GET / HTTP/1.2\r\nHost: x\r\n\r\n") == 505);
  CHECK(refused("GET / HTTP/0.9\r\nHost: x\r\n\r\n") == 505);
  CHECK(refused("GET / HTTP/11\r\nHost: x\r\n\r\n") == 400);
  CHECK(refused("GET /\r\nHost: x\r\n\r\n") == 400);
  CHECK(refused("GET  / HTTP/1.1\r\nHost: x\r\n\r\n") == 400);
  CHECK(refused("BREW / HTTP/1.1\r\nHost: x\r\n\r\n") == 501);
  CHECK(refused("get / HTTP/1.1\r\nHost: x\r\n\r\n") == 501);
  CHECK(refused(std::string(40, 'A')) == 501);
  CHECK(refused("G<T / HTTP/1.1\r\nHost: x\r\n\r\n") == 400);
  CHECK(refused("\x16\x03\x01") == 400);  // TLS, refused at its first byte
}

TEST_CASE("header, target and body have their limits") {
  const auto padded = [](std::size_t total) {
    std::string text = "GET / HTTP/1.1\r\nHost: x\r\nX: ";
    return text + std::string(total - text.size() - 4, 'a') + "\r\n\r\n";
  };
  CHECK(read(padded(16 * 1024), 1 << 20).requests.size() == 1);
  CHECK(refused(padded(16 * 1024 + 1)) == 431);
  CHECK(refused("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(1 << 20, 'a')) == 431);

  const auto target = [](std::size_t size) {
    return "GET /" + std::string(size - 1, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n";
  };
  CHECK(read(target(8 * 1024), 1 << 20).requests.size() == 1);
  CHECK(refused(target(8 * 1024 + 1)) == 414);

  const auto body = [](std::size_t size) {
    return "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" +
           std::string(size, 'b');
  };
  CHECK(read(body(64), 1 << 20).requests.size() == 1);
  CHECK(refused(body(65)) == 413);
  CHECK(refused(body(1), {}) == 413);
  CHECK(read(body(0), 1 << 20, {}).requests.size() == 1);
}

TEST_CASE("100-continue is asked for once, and not when the body is here") {
  const std::string head = "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
  RequestParser parser(kWithBody);
  REQUIRE(feed(parser, head) == Outcome::need_more);
  CHECK(parser.take_continue());
  CHECK_FALSE(parser.take_continue());
  REQUIRE(feed(parser, "ok") == Outcome::request);
  CHECK(parser.take().body == "ok");

  RequestParser second(kWithBody);
  REQUIRE(feed(second, head + "o") == Outcome::need_more);
  CHECK_FALSE(second.take_continue());
}

TEST_CASE("how the bytes are cut changes nothing") {
  const std::string post = "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
  const std::vector<std::string> streams = {
      kGet + post + kGet,
      "\r\n\r\n" + kGet + "\r\n" + post,
      kGet + "\rGET / HTTP/1.1\r\n\r\n",
      kGet + "GET / HTTP/1.1\r\nHost: x\r\nX: a\nb: c\r\n\r\n",
      post + "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
      "GET /" + std::string(9000, 'a'),
      "GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(17000, 'a'),
      "GET / HTTP/3.0\r\nHost: x\r\n\r\n",
  };
  for (const std::string& stream : streams)
    for (const std::size_t piece : {1, 2, 3, 7, 1000}) CHECK(read(stream, piece) == read(stream, stream.size()));
}

TEST_CASE("mutated requests never upset the parser, however they are cut") {
  std::mt19937 random(20240615);
  const auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
  const std::string seed = kGet +
                           "POST /x?y HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 3\r\nExpect: "
                           "100-continue\r\n\r\nabcGET http://h/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
  const std::vector<std::string> words = {"\r\n",
                                          "\r",
                                          "\n",
                                          " ",
                                          ":",
                                          "Content-Length: 1\r\n",
                                          "Host: y\r\n",
                                          "%00",
                                          "Transfer-Encoding: chunked\r\n",
                                          std::string(1, '\0'),
                                          "HTTP/1.1",
                                          "\xff"};
  for (int round = 0; round < 50'000; ++round) {
    std::string text = seed;
    for (std::size_t change = 0; change <= below(4); ++change) {
      const std::size_t at = below(text.size());
      switch (below(4)) {
        case 0:
          text[at] = static_cast<char>(below(256));
          break;
        case 1:
          text.erase(at, 1 + below(8));
          break;
        case 2:
          text.insert(at, words[below(words.size())]);
          break;
        default:
          text.insert(at, text.substr(below(text.size()), below(40)));
      }
    }
    const Reading whole = read(text, text.size());
    const Reading pieces = read(text, 1 + below(20));
    if (!(whole == pieces)) FAIL("cutting changed the result of:\n" + text);
    if (whole.refused != 0 && whole.refused < 400) FAIL("refused without a status");
  }
}
