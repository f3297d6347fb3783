#include "common/privileges.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <functional>
#include <string>

#include "common/error.hpp"
#include "common/listener.hpp"
#include "common/temporary_directory.hpp"
#include "proxy/session_fixture.hpp"

using namespace farol;
using namespace farol::test;

namespace {

/// A line of /proc/self/status, without its name.
std::string own_status(const std::string& name) {
  std::ifstream status("/proc/self/status");
  std::string word, value;
  while (status >> word)
    if (word == name + ":" && status >> value) return value;
  return {};
}

/// In a process of its own, which has become nobody.
void as_nobody(const std::function<std::string()>& body) {
  if (::geteuid() != 0) {
    WARN("skipped: only root can become somebody else");
    return;
  }
  CHECK(in_child([&] {
          become(*account_to_become("nobody"));
          return body();
        }) == "");
}

}  // namespace

TEST_CASE("privileges: who is named must exist", "[privileges]") {
  CHECK_THROWS_WITH(account_to_become("no-such-user"), "--user: there is no user 'no-such-user' on this machine");
  if (::geteuid() == 0) CHECK(account_to_become("root")->uid == 0);
}

TEST_CASE("privileges: root becomes somebody without being told, others stay who they are", "[privileges]") {
  if (::geteuid() == 0) CHECK(account_to_become("").value().uid != 0);
  as_nobody([] { return account_to_become("") ? "nobody becomes somebody" : ""; });
  as_nobody([] { return account_to_become("nobody") ? "nobody becomes nobody once more" : ""; });
  as_nobody([]() -> std::string {
    try {
      account_to_become("root");
    } catch (const UsageError& error) {
      return error.what() == std::string("--user: only root can become root") ? "" : error.what();
    }
    return "nobody becomes root";
  });
}

TEST_CASE("privileges: who was root has nothing left of it but the low ports", "[privileges]") {
  as_nobody([] { return ::geteuid() == 0 || ::getegid() == 0 ? "still root" : ""; });
  as_nobody([] { return ::setuid(0) == 0 ? "root again" : ""; });
  as_nobody([] { return own_status("CapEff") == "0000000000000400" ? "" : own_status("CapEff"); });
  as_nobody([] { return own_status("CapPrm") == "0000000000000400" ? "" : own_status("CapPrm"); });
  as_nobody([] { return own_status("NoNewPrivs") == "1" ? "" : "may gain privileges"; });
  as_nobody([] { return own_status("Groups") == "0" ? "root's group" : ""; });
}

TEST_CASE("privileges: a listener can have twins when its user has changed", "[privileges]") {
  if (::geteuid() != 0) {
    WARN("skipped: only root can become somebody else");
    return;
  }
  CHECK(in_child([]() -> std::string {
          enter_network_of_our_own();
          const Listener low(Address::ipv4(0x7f000001, 80));
          const Account nobody = *account_to_become("nobody");
          low.give_to(nobody.uid);
          become(nobody);
          const Listener& twin = low.twin(1);
          return twin.address() == low.address() ? "" : twin.address().text();
        }) == "");
}

TEST_CASE("privileges: a file that cannot be read again is named, with the way out", "[privileges]") {
  const TemporaryDirectory directory;
  directory.write("key", "secret");
  const std::string path = directory.at("key");
  CHECK_NOTHROW(check_readable(path, "key file"));
  as_nobody([&]() -> std::string {
    try {
      check_readable(path, "key file");
    } catch (const StartError& error) {
      const std::string expected = "key file " + path +
                                   " cannot be read by the user nobody, as whom this program runs: Permission denied "
                                   "(chown nobody it, or --user root)";
      return error.what() == expected ? "" : error.what();
    }
    return "it can be read";
  });
}
