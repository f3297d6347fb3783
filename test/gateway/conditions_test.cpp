#include "gateway/conditions.hpp"

#include <catch2/catch.hpp>

#include "http/text.hpp"

using namespace farol;
using namespace farol::gateway;

namespace {

const std::string kDate = "Sun, 06 Nov 1994 08:49:37 GMT", kLater = "Mon, 07 Nov 1994 08:49:37 GMT",
                  kEarlier = "Sat, 05 Nov 1994 08:49:37 GMT";

Validators strong() { return {"\"abc\"", *http::parse_http_date(kDate)}; }
Validators weak() { return {"W/\"abc\"", *http::parse_http_date(kDate)}; }

int status(std::vector<http::Field> fields, const Validators& validators = strong(), const std::string& method = "GET") {
  http::Request request;
  request.method = method;
  request.fields = std::move(fields);
  return judge(request, validators, 1000).status;
}

Verdict range(const std::string& value, std::uint64_t size = 1000) {
  http::Request request;
  request.method = "GET";
  request.fields = {{"Range", value}};
  return judge(request, strong(), size);
}

Verdict part(std::uint64_t first, std::uint64_t last) { return {206, ByteRange{first, last}}; }

}  // namespace

TEST_CASE("dates are read in their three forms", "[conditions]") {
  CHECK(http::http_date(*http::parse_http_date(kDate)) == kDate);
  CHECK(http::parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT") == http::parse_http_date(kDate));
  CHECK(http::parse_http_date("Sun Nov  6 08:49:37 1994") == http::parse_http_date(kDate));
  for (const char* none : {"", "yesterday", "Sun, 06 Nov 1994 08:49:37 GMT+1", "1994-11-06"})
    CHECK_FALSE(http::parse_http_date(none));
}

TEST_CASE("conditions are judged in their order", "[conditions]") {
  CHECK(status({}) == 200);
  CHECK(status({{"If-None-Match", "\"abc\""}}) == 304);
  CHECK(status({{"If-None-Match", "\"x\", W/\"abc\""}}) == 304);
  CHECK(status({{"If-None-Match", "\"x\""}, {"if-none-match", "\"abc\""}}) == 304);
  CHECK(status({{"If-None-Match", "*"}}) == 304);
  CHECK(status({{"If-None-Match", "\"ab\""}}) == 200);
  CHECK(status({{"If-None-Match", "\"x\""}, {"If-Modified-Since", kLater}}) == 200);
  CHECK(status({{"If-Modified-Since", kDate}}) == 304);
  CHECK(status({{"If-Modified-Since", kEarlier}}) == 200);
  CHECK(status({{"If-Modified-Since", "nonsense"}}) == 200);
  CHECK(status({{"If-Match", "\"abc\""}}) == 200);
  CHECK(status({{"If-Match", "\"x\""}}) == 412);
  CHECK(status({{"If-Match", "W/\"abc\""}}, weak()) == 412);
  CHECK(status({{"If-Match", "\"x\""}, {"If-None-Match", "\"abc\""}}) == 412);
  CHECK(status({{"If-Unmodified-Since", kEarlier}}) == 412);
  CHECK(status({{"If-Unmodified-Since", kDate}}) == 200);
}

TEST_CASE("one byte range is honoured, for GET", "[conditions]") {
  CHECK(range("bytes=0-0") == part(0, 0));
  CHECK(range("bytes=10-19") == part(10, 19));
  CHECK(range("Bytes = 10-19").status == 200);
  CHECK(range("bytes=990-") == part(990, 999));
  CHECK(range("bytes=990-99999999999999999999999") == part(990, 999));
  CHECK(range("bytes=-10") == part(990, 999));
  CHECK(range("bytes=-99999") == part(0, 999));
  CHECK(range("bytes=1000-").status == 416);
  CHECK(range("bytes=99999999999999999999999-").status == 416);
  CHECK(range("bytes=-0").status == 416);
  CHECK(range("bytes=0-", 0).status == 416);
  CHECK(range("bytes=-5", 0).status == 416);
  for (const char* whole : {"bytes=", "bytes=-", "bytes=5-4", "bytes=a-b", "bytes=1-2,5-6", "items=1-2", "bytes", "bytes=+1-2",
                            "bytes=1-2x", "bytes=--1"})
    CHECK(range(whole) == Verdict{200, std::nullopt});
  CHECK(status({{"Range", "bytes=1-2"}}, strong(), "HEAD") == 200);
  CHECK(status({{"Range", "bytes=1-2"}, {"Range", "bytes=1-2"}}) == 200);
}

TEST_CASE("If-Range wants the very same version", "[conditions]") {
  CHECK(status({{"Range", "bytes=1-2"}, {"If-Range", "\"abc\""}}) == 206);
  CHECK(status({{"Range", "bytes=1-2"}, {"If-Range", "\"x\""}}) == 200);
  CHECK(status({{"Range", "bytes=1-2"}, {"If-Range", "W/\"abc\""}}, weak()) == 200);
  CHECK(status({{"Range", "bytes=1-2"}, {"If-Range", kDate}}) == 206);
  CHECK(status({{"Range", "bytes=1-2"}, {"If-Range", kLater}}) == 200);
}
