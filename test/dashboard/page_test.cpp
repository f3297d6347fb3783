#include "dashboard/page.hpp"

#include <catch2/catch.hpp>
#include <regex>

using namespace farol;
using dashboard::Page;

namespace {

http::Request request(const std::string& known = "") {
  http::Request result;
  result.method = "GET";
  result.target = "/";
  if (!known.empty()) result.fields.push_back({"If-None-Match", known});
  return result;
}

}  // namespace

TEST_CASE("the page is one document that asks nobody else", "[dashboard]") {
  const http::Response response = Page().respond(request());
  CHECK(response.status() == 200);
  CHECK(response.field("Content-Type") == "text/html; charset=utf-8");
  const std::string& page = response.body();
  CHECK(page.find("uPlot") != std::string::npos);
  CHECK(page.find("new EventSource(") != std::string::npos);
  CHECK(page.find("\"/api/v1/events\"") != std::string::npos);
  CHECK(page.find("<!-- ") == std::string::npos);
  CHECK_FALSE(std::regex_search(page, std::regex("(src|href)=\"?(https?:)?//")));
  CHECK_FALSE(std::regex_search(page, std::regex("<[a-z]+[^>]* (style|on[a-z]+)=")));
}

TEST_CASE("our scripts never turn data into markup", "[dashboard]") {
  const std::string page = Page().respond(request()).body();
  const std::string ours = page.substr(page.find("\"use strict\";\n// Small words"));
  for (const char* word : {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("})
    CHECK(ours.find(word) == std::string::npos);
}

TEST_CASE("the page's policy permits its own parts by hash and nothing else", "[dashboard]") {
  const std::string policy(Page().respond(request()).field("Content-Security-Policy"));
  CHECK(policy.find("default-src 'none'") == 0);
  CHECK(std::regex_search(policy, std::regex("script-src 'sha256-[A-Za-z0-9+/]{43}=' 'sha256-[A-Za-z0-9+/]{43}=';")));
  CHECK(std::regex_search(policy, std::regex("style-src 'sha256-[A-Za-z0-9+/]{43}=';")));
  CHECK(policy.find("connect-src 'self'") != std::string::npos);
  CHECK(policy.find("frame-ancestors 'none'") != std::string::npos);
  CHECK(policy.find("unsafe") == std::string::npos);
}

TEST_CASE("who has the page already is told that it is the same", "[dashboard]") {
  const Page page;
  const std::string tag(page.respond(request()).field("ETag"));
  const http::Response again = page.respond(request(tag));
  CHECK(again.status() == 304);
  CHECK(again.body().empty());
  CHECK(again.field("ETag") == tag);
  CHECK(again.field("Cache-Control") == "no-cache");
  CHECK(page.respond(request("\"other\"")).status() == 200);
}
