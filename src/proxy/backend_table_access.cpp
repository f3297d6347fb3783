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

Backend* BackendTable::Access::add(const BackendKey& key, Source source) const NO_THREAD_SAFETY_ANALYSIS {
  if (table_.rows_.size() >= table_.options_.max_backends) return nullptr;
  Pool& pool = table_.pool(key.pool, {});
  const std::uint64_t id = table_.next_id_++;
  auto row = std::make_unique<Backend>(id, key, pool.name, source, table_.options_.weighted);
  Backend* backend = row.get();
  backend->max_connections = table_.options_.max_connections;
  backend->require_agent = table_.options_.require_agent;
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
  if (holder != nullptr && holder != &backend) leave(*holder, now);
  holder = &backend;
}

void BackendTable::Access::leave(Backend& backend, TimePoint now) const {
  ++table_.membership_version_;
  backend.agent.leaving = true;
  schedule_probe(backend, TimePoint::max());
  refresh(backend, now);
}

void BackendTable::Access::refresh(Backend& backend, TimePoint now) const NO_THREAD_SAFETY_ANALYSIS {
  table_.refresh(backend, now);
}

bool BackendTable::Access::remove(Backend& backend) const NO_THREAD_SAFETY_ANALYSIS {
  const auto entry = table_.pools_.find(backend.key.pool);
  if (!entry->second.remove(backend)) return false;
  index_peer(backend, Address(), TimePoint());
  schedule_probe(backend, TimePoint::max());
  table_.by_key_.erase(backend.key);
  // A pool that only its agents spoke of goes with the last of them.
  if (entry->second.members.empty() && entry->second.name.starts_with('#')) table_.pools_.erase(entry);
  table_.rows_.erase(backend.id);
  return true;
}

void BackendTable::Access::schedule_probe(Backend& backend, TimePoint due) const NO_THREAD_SAFETY_ANALYSIS {
  table_.probes_.erase({backend.next_probe, backend.id});
  backend.next_probe = due;
  if (due == TimePoint::max()) return;
  const bool earliest = table_.probes_.empty() || due < table_.probes_.begin()->first;
  table_.probes_.emplace(due, backend.id);
  if (earliest) table_.probe_bell_.ring();
}

TimePoint BackendTable::Access::next_probe() const NO_THREAD_SAFETY_ANALYSIS {
  return table_.probes_.empty() ? TimePoint::max() : table_.probes_.begin()->first;
}

Backend* BackendTable::Access::take_due_probe(TimePoint now) const NO_THREAD_SAFETY_ANALYSIS {
  if (table_.probes_.empty() || table_.probes_.begin()->first > now) return nullptr;
  Backend* backend = by_id(table_.probes_.begin()->second);
  table_.probes_.erase(table_.probes_.begin());
  backend->next_probe = TimePoint::max();
  return backend;
}

}  // namespace farol::proxy
