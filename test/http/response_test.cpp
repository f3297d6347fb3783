#include "http/response.hpp"

#include <catch2/catch.hpp>
#include <stdexcept>

#include "http/text.hpp"

using namespace farol::http;

namespace {

const auto kEpoch = std::chrono::system_clock::from_time_t(784111777);

}  // namespace

TEST_CASE("a response is serialised with the fields every response has") {
  const Response response = Response(404).body("text/plain", "no\n").add("X-One", "1");
  CHECK(serialise(response, {.keep_alive = true, .head_only = false, .now = kEpoch}) ==
        "HTTP/1.1 404 Not Found\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain\r\nX-One: "
        "1\r\nContent-Length: 3\r\nX-Content-Type-Options: nosniff\r\nConnection: keep-alive\r\n\r\nno\n");
}

TEST_CASE("HEAD has the fields of GET and no body; 204 and 304 have neither length nor body") {
  const std::string head = serialise(plain(200, "ok"), {.keep_alive = false, .head_only = true, .now = kEpoch});
  CHECK(head.find("Content-Length: 3\r\n") != std::string::npos);
  CHECK(head.find("Connection: close\r\n\r\n") == head.size() - 21);
  for (const int status : {204, 304}) {
    const std::string text = serialise(Response(status), {.keep_alive = true, .head_only = false, .now = kEpoch});
    CHECK(text.find("Content-Length") == std::string::npos);
  }
}

TEST_CASE("a field cannot be ended early by what it holds") {
  Response response;
  for (const std::string value : {"a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\x7f"})
    CHECK_THROWS_AS(response.add("X", value), std::invalid_argument);
  CHECK_THROWS_AS(response.add("X", std::string_view("a\0b", 3)), std::invalid_argument);
  for (const char* name : {"", "a b", "a:", "a\r\n"}) CHECK_THROWS_AS(response.add(name, "v"), std::invalid_argument);
  CHECK_NOTHROW(response.add("X-Tab", "a\tb \xc3\xa9"));
}

TEST_CASE("a target's query is what stands between ? and #") {
  CHECK(query_of("/a?b=%31#c") == "b=%31");
  CHECK(query_of("http://host/a?b?c") == "b?c");
  CHECK(query_of("/a#b?c").empty());
}

TEST_CASE("targets, percent-encoding and hosts") {
  CHECK(path_of("/a/b?c#d") == "/a/b");
  CHECK(path_of("http://h:80/a?b") == "/a");
  CHECK(path_of("HTTP://h") == "/");
  CHECK(path_of("http://h?x") == "/");
  CHECK(path_of("/?u=http://h/x") == "/");
  CHECK_FALSE(path_of("*"));
  CHECK_FALSE(path_of("h:80"));
  CHECK_FALSE(path_of("http:///x"));
  CHECK_FALSE(path_of("ftp://h/x"));
  CHECK_FALSE(path_of(""));

  CHECK(percent_decode("a%2Fb%5b%5D+%25") == "a/b[]+%");
  for (const char* wrong : {"%", "a%2", "%g0", "%2g", "%+1", "% 1", "%-1"}) CHECK_FALSE(percent_decode(wrong));

  CHECK(host_of("[::1]:80") == "::1");
  CHECK(host_of("localhost:80") == "localhost");
  CHECK(host_of("10.0.0.1") == "10.0.0.1");
  CHECK(host_of("[::1").empty());
}
