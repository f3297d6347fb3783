#include "common/privileges.hpp"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <initializer_list>
#include <memory>
#include <new>
#include <type_traits>

#include "common/error.hpp"

namespace farol {
namespace {

constexpr const char* kUsual[] = {"farol", "nobody"};

std::optional<Account> find_account(const std::string& name) {
  const passwd* found = ::getpwnam(name.c_str());
  if (found == nullptr) return std::nullopt;
  return Account{name, found->pw_uid, found->pw_gid};
}

void must(const char* what, int result) {
  if (result != 0) throw StartError(std::string("cannot give up root's privileges: ") + what + ": " + error_text(errno));
}

/// Sets what this process may do to the one thing that listening on a low port takes, if it was allowed that.
void keep_low_ports_only() {
  using Capabilities = std::unique_ptr<std::remove_pointer_t<cap_t>, int (*)(void*)>;
  const Capabilities now(::cap_get_proc(), ::cap_free), then(::cap_init(), ::cap_free);
  if (!now || !then) throw std::bad_alloc();
  const cap_value_t low_ports[] = {CAP_NET_BIND_SERVICE};
  cap_flag_value_t allowed = CAP_CLEAR;
  must("cap_get_flag", ::cap_get_flag(now.get(), low_ports[0], CAP_PERMITTED, &allowed));
  for (const cap_flag_t set : {CAP_PERMITTED, CAP_EFFECTIVE})
    must("cap_set_flag", ::cap_set_flag(then.get(), set, 1, low_ports, allowed));
  must("cap_set_flag", ::cap_set_flag(then.get(), CAP_INHERITABLE, 1, low_ports, allowed));
  must("cap_set_proc", ::cap_set_proc(then.get()));
  // A process that follows this one listens on low ports, too.
  if (allowed == CAP_SET) must("ambient", ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0));
}

}  // namespace

std::optional<Account> account_to_become(const std::string& name) {
  const bool root = ::geteuid() == 0;
  if (!name.empty()) {
    const auto named = find_account(name);
    if (!named) throw UsageError("--user: there is no user '" + name + "' on this machine");
    if (!root && named->uid != ::geteuid()) throw UsageError("--user: only root can become " + name);
    if (!root) return std::nullopt;
    return named;
  }
  if (!root) return std::nullopt;
  for (const char* usual : kUsual)
    if (auto account = find_account(usual)) return account;
  throw UsageError("--user: this machine has neither a user 'farol' nor 'nobody' (name one, or root to stay root)");
}

void become(const Account& account) {
  must("no_new_privs", ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  if (account.uid == 0) return;
  must("keep capabilities", ::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
  must("initgroups", ::initgroups(account.name.c_str(), account.gid));
  must("setresgid", ::setresgid(account.gid, account.gid, account.gid));
  must("setresuid", ::setresuid(account.uid, account.uid, account.uid));
  keep_low_ports_only();
}

bool memory_is_private() { return ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 1; }

void make_memory_private() { must("not dumpable", ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)); }

void check_readable(const std::string& path, const std::string& what) {
  if (::faccessat(AT_FDCWD, path.c_str(), R_OK, AT_EACCESS) == 0) return;
  const std::string trouble = error_text(errno);
  const passwd* self = ::getpwuid(::geteuid());
  const std::string name = self == nullptr ? std::to_string(::geteuid()) : self->pw_name;
  throw StartError(what + " " + path + " cannot be read by the user " + name + ", as whom this program runs: " + trouble +
                   " (chown " + name + " it, or --user root)");
}

}  // namespace farol
