#include "proxy/tcp_checks.hpp"

#include <sys/socket.h>

#include <algorithm>

#include "common/channel.hpp"
#include "common/socket_option.hpp"

namespace farol::proxy {
namespace {

TcpChecks::Outcome outcome_of(ConnectStart started) {
  switch (started) {
    case ConnectStart::done: return TcpChecks::Outcome::accepted;
    case ConnectStart::no_resources: return TcpChecks::Outcome::not_tried;
    case ConnectStart::refused: return TcpChecks::Outcome::refused;
    default: return TcpChecks::Outcome::unreachable;
  }
}

/// What the error of a connect that is decided says.
TcpChecks::Outcome outcome_of(int error) {
  switch (connect_error(error)) {
    case ConnectResult::connected: return TcpChecks::Outcome::accepted;
    case ConnectResult::refused: return TcpChecks::Outcome::refused;
    default: return TcpChecks::Outcome::unreachable;
  }
}

}  // namespace

void TcpChecks::start(std::uint64_t backend, const Address& service, TimePoint deadline) {
  Fd socket(::socket(service.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) {
    decided_.push_back({backend, Outcome::not_tried});
    return;
  }
  const ConnectStart started = start_connect(socket, service);
  if (started == ConnectStart::pending)
    running_.push_back({backend, std::move(socket), deadline});
  else
    decided_.push_back({backend, outcome_of(started)});
}

void TcpChecks::add_to(std::vector<pollfd>& set) const {
  for (const Running& check : running_) set.push_back({check.socket.get(), POLLOUT, 0});
}

std::vector<TcpChecks::Result> TcpChecks::collect(TimePoint now) {
  std::vector<Result> results;
  results.swap(decided_);
  std::erase_if(running_, [&](const Running& check) {
    pollfd state{check.socket.get(), POLLOUT, 0};
    const bool decided = ::poll(&state, 1, 0) > 0;
    if (!decided && now < check.deadline) return false;
    results.push_back({check.backend, decided ? outcome_of(socket_error(check.socket)) : Outcome::unreachable});
    return true;
  });
  return results;
}

}  // namespace farol::proxy
