#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/fd.hpp"

namespace farol {

/// How a running program is followed by another process of it, a newer one perhaps, without a moment in which nobody
/// serves: the old one starts it, hands it the sockets over a unix socket (SCM_RIGHTS, unix(7)) and goes on serving until
/// the new one says that it does. One that fails leaves the old one as it was. Main's thread.

/// What the old one leaves.
struct Legacy {
  std::vector<int> sockets;  ///< bound; they stay open here too
  std::string notes;         ///< whatever the program wants to tell itself
};

/// The program that this process runs, by the path that a newer version of it will have: the one it was started by, where
/// `name`, its first argument, says so. Call at the start.
std::string own_program(const std::string& name);

/// Starts `program` with `arguments` (the first is its name), leaves it `legacy` and waits until it serves; its process id.
/// `when_it_begins` is called when it is about to: what only one of the two can do is for it from then on. Throws StartError
/// with what became of it otherwise, at the latest at `deadline`.
pid_t start_successor(const std::string& program, const std::vector<std::string>& arguments, const Legacy& legacy,
                      TimePoint deadline, const std::function<void()>& when_it_begins);

/// The old one, as the new one sees it.
class Predecessor {
 public:
  /// Who started this process in order to be followed by it, with all that it leaves; nothing when nobody did. Throws
  /// StartError. Call before there are threads.
  static std::optional<Predecessor> find();

  std::vector<Fd> sockets;
  std::string notes;

  /// "I am about to serve": it holds back.
  void begin() const;
  /// "From here on I serve": it lets go.
  void take_over();

 private:
  explicit Predecessor(Fd channel) : channel_(std::move(channel)) {}

  Fd channel_;
};

}  // namespace farol
