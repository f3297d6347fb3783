#pragma once

#include <cstdint>
#include <vector>

#include "proxy/backend_table.hpp"

namespace farol::proxy {

/// Holds the table's lock. References to rows are good while it lives.
class BackendTable::Access {
 public:
  explicit Access(BackendTable& table);
  ~Access();
  Access(const Access&) = delete;
  Access& operator=(const Access&) = delete;

  [[nodiscard]] Rows& rows() const;
  [[nodiscard]] Backend* by_id(std::uint64_t id) const;
  [[nodiscard]] Backend* by_peer(const Address& peer) const;
  [[nodiscard]] Backend* by_key(const BackendKey& key) const;

  /// A listener sends clients to its pool.
  [[nodiscard]] bool is_served(const Backend& backend) const;

  /// A new row; nullptr when the table is full.
  Backend* add(const BackendKey& key, Source source) const;
  /// Lets the row be found by the address of its agent; an unspecified address only takes the old one away. A row that
  /// had this agent before is left behind: the agent stands for another service now.
  void index_peer(Backend& backend, const Address& peer, TimePoint now) const;
  /// The agent has left this row: no new connections, no probes; it goes with its last connection.
  void leave(Backend& backend, Departure how, TimePoint now) const;
  /// The configuration wants it no more, or another in its place, which may have its key from now on.
  void retire(Backend& backend, TimePoint now) const;
  /// False while it has connections: nothing happens then.
  bool remove(Backend& backend) const;
  /// Something in the row has changed: brings its standing in the choice up to date.
  void refresh(Backend& backend, TimePoint now) const;

  void schedule_probe(Backend& backend, TimePoint due) const;
  [[nodiscard]] TimePoint next_probe() const;
  /// The row whose probe is due; it leaves the schedule.
  [[nodiscard]] Backend* take_due_probe(TimePoint now) const;
  /// The next probe, at whose time-out the alarms look.
  [[nodiscard]] monitoring::ProbeRequest make_probe(Backend& backend, std::uint64_t nonce, TimePoint now,
                                                    Duration timeout) const;

  /// The alarms are to look at the row at `due` at the latest. refresh() sees to what the row itself says.
  void look_by(Backend& backend, TimePoint due) const;
  /// The rows that are to be looked at; each leaves the schedule.
  [[nodiscard]] std::vector<Backend*> take_due_looks(TimePoint now) const;

 private:
  void give_up_key(const Backend& backend) const;

  BackendTable& table_;
};

}  // namespace farol::proxy
