#include "proxy/configured_backends.hpp"

#include <set>
#include <tuple>

#include "proxy/backend_table_access.hpp"

namespace farol::proxy {
namespace {

BackendKey key_of(const Config::StaticBackend& configured) {
  return {configured.address, monitoring::pool_id(configured.pool)};
}

/// True when something was different.
bool take_over(Backend& backend, const Config::StaticBackend& configured, std::uint32_t max_connections) {
  const auto wanted = std::tuple(configured.weight, configured.backup, configured.max_connections.value_or(max_connections));
  auto present = std::tie(backend.weight, backend.backup, backend.max_connections);
  if (present == wanted) return false;
  present = wanted;
  return true;
}

std::size_t retire_others(const BackendTable::Access& rows, const std::set<BackendKey>& wanted, TimePoint now) {
  std::vector<Backend*> retired;
  for (const auto& [id, row] : rows.rows()) {
    const bool wants_agents = !wanted.contains(row->key);  // or nobody
    if (wants_agents == (row->source == Source::configured) && !row->agent.leaving) retired.push_back(row.get());
  }
  for (Backend* backend : retired) {
    rows.retire(*backend, now);
    rows.remove(*backend);  // with its last connection, if it has any
  }
  return retired.size();
}

}  // namespace

BackendChanges configure_backends(BackendTable& table, const std::vector<Config::StaticBackend>& wanted,
                                  std::uint32_t max_connections, TimePoint now) {
  std::set<BackendKey> keys;
  for (const Config::StaticBackend& configured : wanted) {
    table.name_pool(configured.pool);
    keys.insert(key_of(configured));
  }
  BackendChanges changes;
  const BackendTable::Access rows(table);
  changes.removed = retire_others(rows, keys, now);
  for (const Config::StaticBackend& configured : wanted) {
    Backend* backend = rows.by_key(key_of(configured));
    const bool is_new = backend == nullptr;
    if (is_new) backend = rows.add(key_of(configured), Source::configured);
    if (backend == nullptr) {
      ++changes.left_out;
      continue;
    }
    const bool differs = take_over(*backend, configured, max_connections);
    if (is_new) backend->next_check = now;
    if (is_new || differs) rows.refresh(*backend, now);
    changes.added += is_new ? 1 : 0;
    changes.changed += !is_new && differs ? 1 : 0;
  }
  return changes;
}

}  // namespace farol::proxy
