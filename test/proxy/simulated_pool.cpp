#include "proxy/simulated_pool.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace farol::test {
namespace {

constexpr double kMeanWork = 0.050;  ///< seconds at speed 1

proxy::BackendTable::Options options(proxy::Policy policy, Duration interval) {
  proxy::BackendTable::Options options;
  options.policy = policy;
  options.weighted = proxy::WeightedConfig::for_interval(interval);
  return options;
}

}  // namespace

struct SimulatedPool::Running {
  Server is;
  std::uint64_t id = 0;  ///< of its row; 0: has not joined
  Address address;
  std::priority_queue<Job> jobs;
  double work = 0;  ///< done so far, for each of the jobs that were there all the time
  TimePoint last = kStart;
  double busy_s = 0, busy_at_probe = 0;
  TimePoint probed = kStart, next_probe = TimePoint::max();
};

double SimulatedPool::Result::fair_shares(std::size_t server) const {
  const double all = std::accumulate(chosen.begin(), chosen.end(), 0.0);
  return static_cast<double>(chosen[server]) * static_cast<double>(chosen.size()) / all;
}

SimulatedPool::SimulatedPool(proxy::Policy policy, std::vector<Server> servers, Duration probe_interval)
    : SimulatedPool(options(policy, probe_interval), std::move(servers), probe_interval, 1) {}

SimulatedPool::SimulatedPool(const proxy::BackendTable::Options& options, std::vector<Server> servers,
                             Duration probe_interval, std::uint64_t seed)
    : table_(options),
      pool_(table_.name_pool(std::string(monitoring::kDefaultPool))),
      interval_(probe_interval),
      random_(seed) {
  for (Server& server : servers) {
    servers_.push_back(std::make_unique<Running>());
    servers_.back()->is = std::move(server);
    servers_.back()->address = Address::ipv4(0x0a000000 + static_cast<std::uint32_t>(servers_.size()), 80);
  }
}

SimulatedPool::~SimulatedPool() = default;

void SimulatedPool::admit(std::size_t number) {
  Running& server = *servers_[number];
  const auto rows = table_.access();
  proxy::Backend* row = rows.add({server.address, default_pool()}, Source::agent);
  REQUIRE(row != nullptr);
  row->adopt({}, number + 1, now_);
  server.id = row->id;
  server.probed = server.last = now_;
  server.next_probe = now_;
}

double SimulatedPool::rate(const Running& server) {
  return server.is.speed * std::min(1.0, server.is.cores / static_cast<double>(server.jobs.size()));
}

void SimulatedPool::advance(Running& server, TimePoint to) const {
  const double seconds = to_seconds(to - server.last);
  server.last = to;
  if (server.jobs.empty()) return;
  server.busy_s += seconds * std::min(1.0, static_cast<double>(server.jobs.size()) / server.is.cores);
  server.work += seconds * rate(server);
}

TimePoint SimulatedPool::next_completion(const Running& server) const {
  if (server.jobs.empty()) return TimePoint::max();
  const double left = std::max(0.0, server.jobs.top().finish - server.work);
  return server.last + from_seconds(left / rate(server)) + 1ns;
}

void SimulatedPool::arrive(Result& result, bool counted) {
  auto lease = table_.acquire(pool_, {{}, now_, 0});
  REQUIRE(lease);
  const auto chosen = std::find_if(servers_.begin(), servers_.end(), [&](const auto& s) { return s->id == lease->id(); });
  Running& server = **chosen;
  if (counted) ++result.chosen[static_cast<std::size_t>(chosen - servers_.begin())];
  if (server.is.speed == 0) {
    lease->closed_early(now_);
    result.failed += counted ? 1 : 0;
    return;
  }
  lease->meter().connected(now_);
  lease->meter().client_spoke(now_);
  advance(server, now_);
  server.jobs.push({server.work + exponential(kMeanWork), now_, next_job_});
  leases_.emplace(next_job_++, std::move(*lease));
}

void SimulatedPool::complete(Running& server, std::vector<double>& latencies, bool counted) {
  const Job job = server.jobs.top();
  advance(server, now_);
  server.jobs.pop();
  leases_.at(job.number).meter().server_spoke(now_);
  leases_.erase(job.number);
  if (counted) latencies.push_back(to_ms(now_ - job.begun));
}

void SimulatedPool::probe(Running& server) {
  advance(server, now_);
  const auto rows = table_.access();
  proxy::Backend& row = *rows.by_id(server.id);
  const auto request = row.make_probe(row.last_sequence() + 1, now_, 500ms);
  monitoring::ProbeResponse answer{{80, default_pool(), row.agent.boot_id}, request.sequence, request.nonce, {}, true,
                                   false};
  const double span = std::max(1e-9, to_seconds(now_ - server.probed));
  const double noise = server.is.cpu_noise * std::uniform_real_distribution<double>(0, 1)(random_);
  const double cpu = std::min(1.0, (server.busy_s - server.busy_at_probe) / span + noise);
  const auto connections = static_cast<std::uint32_t>(server.jobs.size());
  answer.load = server.is.says.value_or(
      monitoring::Load{static_cast<std::uint16_t>(cpu * 10000), 4000, connections, connections});
  server.busy_at_probe = server.busy_s;
  server.probed = now_;
  server.next_probe = now_ + from_seconds(to_seconds(interval_) *
                                          std::uniform_real_distribution<double>(0.9, 1.1)(random_));
  row.take_response(answer, now_ + 1ms, 500ms);
  row.heard(now_);
  rows.refresh(row, now_);
}

SimulatedPool::Result SimulatedPool::run(double per_second, Duration from, Duration end) {
  Result result;
  result.chosen.resize(servers_.size());
  std::vector<double> latencies;
  TimePoint next_tick = kStart, next_arrival = kStart + 10ms;
  while (now_ < kStart + end) {
    TimePoint next = std::min(next_tick, next_arrival);
    for (const auto& server : servers_)
      next = std::min({next, server->id == 0 ? server->is.joins : server->next_probe, next_completion(*server)});
    now_ = std::max(now_, next);
    const bool counted = now_ >= kStart + from;
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      Running& server = *servers_[i];
      if (server.id == 0 && server.is.joins <= now_) admit(i);
      if (next_completion(server) <= now_) complete(server, latencies, counted);
      if (server.next_probe <= now_) probe(server);
    }
    if (next_tick <= now_) {
      table_.tick(now_);
      next_tick = now_ + proxy::kTick;
    }
    if (next_arrival <= now_) {
      arrive(result, counted);
      next_arrival = now_ + from_seconds(exponential(1 / per_second));
    }
  }
  leases_.clear();
  if (!latencies.empty()) {
    const auto p99 = latencies.begin() + static_cast<std::ptrdiff_t>(latencies.size() * 99 / 100);
    std::nth_element(latencies.begin(), p99, latencies.end());
    result.p99_ms = *p99;
  }
  return result;
}

}  // namespace farol::test
