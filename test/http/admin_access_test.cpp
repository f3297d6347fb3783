#include "http/admin_access.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>

using namespace farol;
using namespace farol::http;

namespace {

const Address kLoopback = *Address::parse("127.0.0.1:8404"), kLoopback6 = *Address::parse("[::1]:8404");
const Address kPublic = *Address::parse("192.0.2.1:8404"), kEverywhere = *Address::parse("0.0.0.0:8404");
const Token kToken = Token::parse("correct-horse-battery", "test");

Request request(const std::string& host) {
  Request result;
  result.fields = {{"Host", host}};
  return result;
}

Request change(const std::string& authorization = {}, const std::string& origin = {}) {
  Request result = request("127.0.0.1:8404");
  result.method = "POST";
  result.fields.push_back({"Content-Type", "application/json"});
  if (!authorization.empty()) result.fields.push_back({"Authorization", authorization});
  if (!origin.empty()) result.fields.push_back({"Origin", origin});
  return result;
}

int status(const std::optional<AdminAccess::Refusal>& refusal) { return refusal ? refusal->status : 200; }

}  // namespace

TEST_CASE("AdminAccess: a name that a stranger may point here is refused on every address", "[admin]") {
  const Address listen = GENERATE(kLoopback, kLoopback6, kPublic, kEverywhere);
  const AdminAccess access(listen, std::nullopt, {"farol.example"});
  char own[256] = {};
  REQUIRE(::gethostname(own, sizeof own - 1) == 0);
  for (const char* host : {"127.0.0.1:8404", "192.0.2.1", "[::1]:8404", "[2001:db8::1]", "localhost:8404", "LOCALHOST",
                                 "farol.example:8404", "Farol.Example", static_cast<const char*>(own), ""})
    CHECK(status(access.refuses(request(host))) == 200);
  for (const char* host : {"evil.example:8404", "127.0.0.1.evil.example", "localhost.evil.example", "farol.example.evil",
                           "127.0.0.1@evil.example", "2130706433", "0x7f000001", "[", "[::1", "<script>"}) {
    INFO(host);
    CHECK(status(access.refuses(request(host))) == 403);
  }
}

TEST_CASE("AdminAccess: without a token changes come through loopback only", "[admin]") {
  CHECK(status(AdminAccess(kLoopback).refuses_change(change())) == 200);
  CHECK(status(AdminAccess(kLoopback6).refuses_change(change())) == 200);
  for (const Address& listen : {kPublic, kEverywhere}) {
    const auto refusal = AdminAccess(listen).refuses_change(change("Bearer x"));
    REQUIRE(refusal);
    CHECK(refusal->status == 403);
    CHECK(refusal->words.find("--admin-token-file") != std::string::npos);
  }
}

TEST_CASE("AdminAccess: where there is a token every change has to show it", "[admin]") {
  const Address listen = GENERATE(kLoopback, kPublic, kEverywhere);
  const AdminAccess access(listen, kToken);
  for (const char* right : {"Bearer correct-horse-battery", "bearer correct-horse-battery"})
    CHECK(status(access.refuses_change(change(right))) == 200);
  for (const char* wrong : {"", "Bearer", "Bearer ", "Bearer correct-horse-batter", "Bearer correct-horse-battery1",
                            "Bearer correct-horse-batterz", "Basic correct-horse-battery", "correct-horse-battery"}) {
    INFO(wrong);
    const auto refusal = access.refuses_change(change(wrong));
    REQUIRE(refusal);
    CHECK(refusal->status == 401);
    CHECK(refusal->words.find("horse") == std::string::npos);
  }
}

TEST_CASE("AdminAccess: no page of another origin changes anything, token or not", "[admin]") {
  const AdminAccess access(kPublic, kToken);
  const std::string token = "Bearer " + kToken.text();
  CHECK(status(access.refuses_change(change(token, "http://127.0.0.1:8404"))) == 200);
  for (const char* stranger : {"http://evil.example", "http://evil.example:8404", "null", "http://127.0.0.1.evil.example",
                               "http://127.0.0.1", "http://127.0.0.1:3000", "http://192.0.2.66:8404", "127.0.0.1:8404"}) {
    INFO(stranger);
    CHECK(status(access.refuses_change(change(token, stranger))) == 403);
  }
}

TEST_CASE("AdminAccess: what a form can send changes nothing", "[admin]") {
  for (const char* type : {"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx"}) {
    Request form = change();
    form.fields[1].value = type;
    CHECK(status(AdminAccess(kLoopback).refuses_change(form)) == 415);
  }
  Request utf8 = change();
  utf8.fields[1].value = "Application/JSON ; charset=utf-8";
  CHECK(status(AdminAccess(kLoopback).refuses_change(utf8)) == 200);
}
