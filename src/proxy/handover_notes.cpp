#include "proxy/handover_notes.hpp"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <type_traits>

#include "proxy/backend_table_access.hpp"

namespace farol::proxy {
namespace {

using nlohmann::json;
using Agent = HandoverNotes::Agent;

json agent_json(const Agent& agent) {
  const AgentPath& path = agent.path;
  return {{"agent", path.peer.text()},
          {"local", path.local.family() == AF_UNSPEC ? json() : json(path.local.text())},
          {"interface", path.interface},
          {"port", agent.port},
          {"pool", agent.pool},
          {"boot_id", agent.boot_id},
          {"interval_ms", std::chrono::duration_cast<std::chrono::milliseconds>(agent.register_interval).count()},
          {"draining", agent.draining},
          {"silent", agent.silent}};
}

/// The field as a Value; throws std::exception where it is missing or is none.
template <typename Value>
Value field(const json& object, const char* name) {
  const json& value = object.at(name);
  if constexpr (std::is_unsigned_v<Value> && !std::is_same_v<Value, bool>)
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > std::numeric_limits<Value>::max())
      throw std::out_of_range(name);
  return value.get<Value>();
}

std::optional<Agent> parse_agent(const json& text) {
  const auto peer = Address::parse(field<std::string>(text, "agent"));
  const json& local = text.at("local");
  const auto ours = local.is_null() ? Address() : Address::parse(local.get<std::string>());
  if (!peer || peer->port() == 0 || peer->is_wildcard() || !ours) return std::nullopt;
  Agent agent;
  agent.path = {*peer, *ours, field<unsigned>(text, "interface")};
  agent.port = field<std::uint16_t>(text, "port");
  agent.pool = field<std::uint32_t>(text, "pool");
  agent.boot_id = field<std::uint64_t>(text, "boot_id");
  agent.register_interval = std::chrono::milliseconds(field<std::uint32_t>(text, "interval_ms"));
  agent.draining = field<bool>(text, "draining");
  agent.silent = field<bool>(text, "silent");
  return agent.port == 0 ? std::nullopt : std::optional(agent);
}

void take_order(HandoverNotes& notes, const json& text) {
  const auto address = Address::parse(field<std::string>(text, "backend"));
  for (const AdminState state : {AdminState::drain, AdminState::maint})
    if (address && text.at("state") == to_string(state)) notes.orders[{*address, field<std::uint32_t>(text, "pool")}] = state;
}

/// Calls `take` for each element of the list that is called `name`; one that it throws at is passed over.
template <typename Take>
void take_each(const json& all, const char* name, const Take& take) {
  const auto list = all.find(name);
  if (list == all.end() || !list->is_array()) return;
  for (const json& each : *list) {
    try {
      take(each);
    } catch (const std::exception&) {
    }
  }
}

}  // namespace

std::string format_notes(const HandoverNotes& notes) {
  json orders = json::array(), agents = json::array(), kept = json::array();
  for (const auto& [key, state] : notes.orders)
    orders.push_back({{"backend", key.address.text()}, {"pool", key.pool}, {"state", to_string(state)}});
  for (const Agent& agent : notes.agents) agents.push_back(agent_json(agent));
  for (const Address& address : notes.kept) kept.push_back(address.text());
  return json({{"engine", notes.engine},
               {"memory_is_private", notes.memory_is_private},
               {"kept", std::move(kept)},
               {"agents", std::move(agents)},
               {"orders", std::move(orders)}})
      .dump();
}

HandoverNotes parse_notes(std::string_view text) {
  HandoverNotes notes;
  const json all = json::parse(text, nullptr, false);
  if (!all.is_object()) return notes;
  if (const auto engine = all.find("engine"); engine != all.end() && engine->is_string()) notes.engine = *engine;
  if (const auto found = all.find("memory_is_private"); found != all.end()) notes.memory_is_private = *found == true;
  take_each(all, "kept", [&](const json& each) {
    if (const auto address = Address::parse(each.get<std::string>())) notes.kept.push_back(*address);
  });
  take_each(all, "agents", [&](const json& each) {
    if (const auto agent = parse_agent(each)) notes.agents.push_back(*agent);
  });
  take_each(all, "orders", [&](const json& each) { take_order(notes, each); });
  return notes;
}

std::vector<Agent> agents_of(BackendTable& table) {
  std::vector<Agent> agents;
  const BackendTable::Access rows(table);
  for (const auto& [id, row] : rows.rows()) {
    const Backend::AgentInfo& agent = row->agent;
    if (row->source == Source::agent && !agent.leaving)
      agents.push_back({agent.path, row->key.address.port(), row->key.pool, agent.boot_id, agent.register_interval,
                        agent.draining, agent.silent});
  }
  return agents;
}

void add_agents(BackendTable& table, const std::vector<Agent>& agents, const MonitoringConfig& timers, TimePoint now) {
  const BackendTable::Access rows(table);
  for (const Agent& agent : agents) {
    const BackendKey key{agent.path.peer.with_port(agent.port), agent.pool};
    Backend* row = rows.by_key(key) == nullptr ? rows.add(key, Source::agent) : nullptr;
    if (row == nullptr) continue;  // configured meanwhile, or the table is full
    rows.index_peer(*row, agent.path.peer, now);
    row->adopt(agent.path, agent.boot_id, now);
    row->agent.register_interval = agent.register_interval;
    row->agent.draining = agent.draining;
    row->agent.silent = agent.silent;
    if (agent.silent) row->next_check = now;
    row->next_alive_check = now + timers.alive_interval;
    rows.refresh(*row, now);
    rows.schedule_probe(*row, now);
  }
}

std::size_t unheard_agents(BackendTable& table) {
  const BackendTable::Access rows(table);
  return static_cast<std::size_t>(std::count_if(rows.rows().begin(), rows.rows().end(), [](const auto& row) {
    const Backend& backend = *row.second;
    return backend.source == Source::agent && !backend.agent.silent && !backend.estimates().has_report();
  }));
}

}  // namespace farol::proxy
