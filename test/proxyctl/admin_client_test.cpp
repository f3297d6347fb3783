#include "proxyctl/admin_client.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "common/error.hpp"
#include "common/listener.hpp"
#include "http/http_fixture.hpp"

using namespace farol;

// That client and endpoint understand each other is tested with the endpoint: test/proxy/admin_test.cpp.

TEST_CASE("proxyctl's client says where it looked and why it failed") {
  std::string nobody;
  {
    const Listener listener(*Address::parse("127.0.0.1:0"));
    nobody = "http://" + listener.address().text();
  }
  CHECK_THROWS_WITH(proxyctl::AdminClient(nobody).status(),
                    "cannot reach " + nobody + ": Connection refused (is reverseProxy running with --admin there?)");
  CHECK_THROWS_AS(proxyctl::AdminClient("file:///etc/passwd"), UsageError);
  CHECK_THROWS_AS(proxyctl::AdminClient("http://[::1").status(), UsageError);
}

TEST_CASE("proxyctl's client takes no other program's OK for the proxy's") {
  http::Limits limits;
  limits.request.body_bytes = 1024;
  const http_test::TestServer other(
      http::at_once([](const auto&) { return http::Response(200).body("application/json", "{\"state\": 1}"); }),
      limits);
  const proxyctl::AdminClient client("http://" + other.address().text());
  CHECK_THROWS_WITH(client.set_state("10.0.0.1:80", "drain"),
                    Catch::Contains("does not say what became of 10.0.0.1:80"));
}

TEST_CASE("a back-end's name is one segment of a path") {
  CHECK(proxyctl::percent_encode("[::1]:80/web") == "%5B%3A%3A1%5D%3A80%2Fweb");
  CHECK(proxyctl::percent_encode("a-b._~9\xc3") == "a-b._~9%C3");
}
