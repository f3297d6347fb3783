#include "proxy/backend_table_access.hpp"

#include <algorithm>

namespace farol::proxy {

// The lock is held from construction to destruction; the analysis cannot follow it across these methods.

BackendTable::Access BackendTable::access() { return Access(*this); }

BackendTable::Access::Access(BackendTable& table) NO_THREAD_SAFETY_ANALYSIS : table_(table) { table_.mutex_.lock(); }
BackendTable::Access::~Access() NO_THREAD_SAFETY_ANALYSIS { table_.mutex_.unlock(); }

BackendTable::Rows& BackendTable::Access::rows() const NO_THREAD_SAFETY_ANALYSIS { return table_.rows_; }

Backend* BackendTable::Access::by_id(std::uint64_t id) const NO_THREAD_SAFETY_ANALYSIS {
  const auto row = table_.rows_.find(id);
  return row == table_.rows_.end() ? nullptr : row->second.get();
}

Backend* BackendTable::Access::by_peer(const Address& peer) const NO_THREAD_SAFETY_ANALYSIS {
  const auto row = table_.by_peer_.find(peer);
  return row == table_.by_peer_.end() ? nullptr : row->second;
}

Backend* BackendTable::Access::by_key(const BackendKey& key) const NO_THREAD_SAFETY_ANALYSIS {
  const auto row = table_.by_key_.find(key);
  return row == table_.by_key_.end() ? nullptr : row->second;
}

bool BackendTable::Access::is_served(const Backend& backend) const NO_THREAD_SAFETY_ANALYSIS {
  return table_.options_.served.contains(backend.pool_name);
}

Backend* BackendTable::Access::add(const BackendKey& key, Source source) const NO_THREAD_SAFETY_ANALYSIS {
  if (table_.rows_.size() >= table_.options_.max_backends) return nullptr;
  Pool& pool = table_.pool(key.pool, {});
  const std::uint64_t id = table_.next_id_++;
  auto row = std::make_unique<Backend>(id, key, pool.name, source, table_.options_.weighted);
  Backend* backend = row.get();
  backend->max_connections = table_.options_.max_connections;
  backend->require_agent = table_.options_.require_agent;
  if (const auto order = table_.orders_.find(key); order != table_.orders_.end()) backend->admin = order->second;
  pool.add(*backend);
  table_.by_key_[key] = backend;
  table_.rows_.emplace(id, std::move(row));
  return backend;
}

void BackendTable::Access::index_peer(Backend& backend, const Address& peer, TimePoint now) const
    NO_THREAD_SAFETY_ANALYSIS {
  ++table_.membership_version_;
  const auto old = table_.by_peer_.find(backend.agent.path.peer);
  if (old != table_.by_peer_.end() && old->second == &backend) table_.by_peer_.erase(old);
  if (peer.family() == AF_UNSPEC) return;
  Backend*& holder = table_.by_peer_[peer];
  if (holder != nullptr && holder != &backend) leave(*holder, Departure::elsewhere, now);
  holder = &backend;
}

void BackendTable::Access::leave(Backend& backend, Departure how, TimePoint now) const {
  ++table_.membership_version_;
  backend.agent.leaving = true;
  backend.agent.departure = how;
  schedule_probe(backend, TimePoint::max());
  refresh(backend, now);
}

void BackendTable::Access::retire(Backend& backend, TimePoint now) const {
  give_up_key(backend);
  index_peer(backend, Address(), now);
  leave(backend, Departure::configuration, now);
}

void BackendTable::Access::give_up_key(const Backend& backend) const NO_THREAD_SAFETY_ANALYSIS {
  const auto holder = table_.by_key_.find(backend.key);
  if (holder != table_.by_key_.end() && holder->second == &backend) table_.by_key_.erase(holder);
}

void BackendTable::Access::refresh(Backend& backend, TimePoint now) const NO_THREAD_SAFETY_ANALYSIS {
  table_.refresh(backend, now);
}

bool BackendTable::Access::remove(Backend& backend) const NO_THREAD_SAFETY_ANALYSIS {
  const auto entry = table_.pools_.find(backend.key.pool);
  if (!entry->second.remove(backend)) return false;
  index_peer(backend, Address(), TimePoint());
  schedule_probe(backend, TimePoint::max());
  table_.looks_.put(backend, TimePoint::max());
  give_up_key(backend);
  // A pool that only its agents spoke of goes with the last of them.
  if (entry->second.members.empty() && entry->second.name.starts_with('#')) table_.pools_.erase(entry);
  table_.rows_.erase(backend.id);
  return true;
}

void BackendTable::Access::schedule_probe(Backend& backend, TimePoint due) const NO_THREAD_SAFETY_ANALYSIS {
  if (table_.probes_.put(backend, due)) table_.probe_bell_.ring();
}

TimePoint BackendTable::Access::next_probe() const NO_THREAD_SAFETY_ANALYSIS { return table_.probes_.next(); }

Backend* BackendTable::Access::take_due_probe(TimePoint now) const NO_THREAD_SAFETY_ANALYSIS {
  Backend* due = table_.probes_.due(now);
  if (due != nullptr) table_.probes_.put(*due, TimePoint::max());
  return due;
}

monitoring::ProbeRequest BackendTable::Access::make_probe(Backend& backend, std::uint64_t nonce, TimePoint now,
                                                          Duration timeout) const {
  look_by(backend, now + timeout);
  return backend.make_probe(nonce, now, timeout);
}

void BackendTable::Access::look_by(Backend& backend, TimePoint due) const NO_THREAD_SAFETY_ANALYSIS {
  table_.looks_.bring_forward(backend, due);
}

std::vector<Backend*> BackendTable::Access::take_due_looks(TimePoint now) const NO_THREAD_SAFETY_ANALYSIS {
  std::vector<Backend*> due;
  while (Backend* backend = table_.looks_.due(now)) {
    due.push_back(backend);
    table_.looks_.put(*backend, TimePoint::max());
  }
  return due;
}

}  // namespace farol::proxy
