#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace farol {

/// A user of this machine, whom a program started as root becomes once its ports are bound.
struct Account {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
};

/// Whom to become: the named one; without a name `farol`, or `nobody` where there is no such user. Empty when this
/// process is not root's and nobody is named: it stays who it is. Throws UsageError for a user that does not exist, or
/// whom only root could become.
std::optional<Account> account_to_become(const std::string& name);

/// Becomes `account`, with its groups, and can never again be anybody else or gain privileges by executing a program. Of
/// root's capabilities only CAP_NET_BIND_SERVICE is left, for listeners to come, here and in a process that follows this one. Who becomes root stays as it is. To be
/// called before there are threads. Throws StartError.
void become(const Account& account);

/// Its memory is for nobody but root: no core dump, and not to be traced by its own user. A process that root started
/// and that became somebody is like that; one that it executes is not.
bool memory_is_private();
/// Makes it so. Throws StartError.
void make_memory_private();

/// Throws StartError unless this process could read the file again: `what` is its name in the message.
void check_readable(const std::string& path, const std::string& what);

}  // namespace farol
