#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/io.hpp"
#include "common/log.hpp"
#include "proxy/backend_table.hpp"
#include "proxy/counters.hpp"
#include "proxy/link.hpp"
#include "proxy/relay.hpp"

namespace farol::proxy {

/// What every session borrows. Constant while sessions run; owned by main.
struct SessionContext {
  BackendTable& table;
  Counters& counters;
  const Logger& log;
  std::vector<Pool*> pools;  ///< of each listener, by its index
  Duration connect_timeout{};
  int retries = 0;  ///< further attempts, each on another back-end
  Link::Limits limits;
};

/// One client connection from accept to close (the report's TrataClienteTCP): choose a back-end, connect, relay both
/// ways, account, log. Lives in its coroutine's frame.
class Session {
 public:
  Session(Io& io, Accepted client, const SessionContext& context);

  Task<> run();

 private:
  Task<std::optional<Lease>> connect();
  Task<> forward(Io& io);
  Task<> backward(Io& io);
  Task<> reset_server(Io& io);
  void judge_server() const;
  Task<> settle();
  Task<> delivered(Io& io, Channel& channel, TimePoint deadline);
  void log_end(const std::optional<Lease>& lease) const;
  void log_candidates(const Lease& lease) const;
  [[nodiscard]] std::string cause() const;

  Io& io_;
  const SessionContext& context_;
  const Address peer_;
  Pool& pool_;
  const TimePoint started_;
  Link link_;
  const Lease* lease_ = nullptr;  ///< while the relays run

  Duration connect_time_{};
  int retries_ = 0;
  const char* refused_as_ = nullptr;  ///< the cause when no back-end was reached
  RelayEnd forward_end_ = RelayEnd::eof;   ///< written by the thread that runs it, read after the join
  RelayEnd backward_end_ = RelayEnd::eof;
  std::atomic<std::uint64_t> bytes_in_{0}, bytes_out_{0};
};

/// The engine's handler: a Session as a coroutine.
Task<> serve_client(Io& io, Accepted client, const SessionContext& context);

}  // namespace farol::proxy
