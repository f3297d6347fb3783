// What a choice costs: choosing a back-end, counting the connection, and giving it back (Google Benchmark).

#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "proxy/backend_table_access.hpp"
#include "proxy/source_hash.hpp"

namespace {

using namespace farol;
using namespace farol::proxy;

constexpr TimePoint kNow{std::chrono::hours(1000)};

/// A table with `size` back-ends whose agents have reported loads that differ.
class Table {
 public:
  Table(Policy policy, std::size_t size) : table_(options(policy, size)), pool_(table_.name_pool("default")) {
    for (std::size_t i = 0; i < size; ++i) add(i);
    table_.tick(kNow);
  }

  std::optional<Lease> acquire(std::uint64_t client) { return table_.acquire(pool_, {{}, kNow, client}); }
  void tick() { table_.tick(kNow); }

 private:
  static BackendTable::Options options(Policy policy, std::size_t size) {
    BackendTable::Options options;
    options.policy = policy;
    options.max_backends = std::max<std::size_t>(size, 1);
    return options;
  }
  void add(std::size_t i) {
    const auto rows = table_.access();
    const Address address = Address::ipv4(0x0a000000 + static_cast<std::uint32_t>(i), 80);
    Backend& backend = *rows.add({address, monitoring::pool_id("default")}, Source::agent);
    backend.adopt({}, i, kNow);
    monitoring::ProbeResponse response;
    response.listening = true;
    response.load = {static_cast<std::uint16_t>(i * 37 % 5000), static_cast<std::uint16_t>(i * 91 % 6000), 0, 0};
    backend.take_load(response, kNow);
    rows.refresh(backend, kNow);
  }

  BackendTable table_;
  Pool& pool_;
};

/// One table for all threads of a run. It stays until the next run, for a thread may still be giving back.
class Choice : public benchmark::Fixture {
 public:
  void SetUp(const benchmark::State& state) override {
    if (state.thread_index() != 0) return;
    table_.reset();
    table_ = std::make_unique<Table>(static_cast<Policy>(state.range(0)), static_cast<std::size_t>(state.range(1)));
  }

 protected:
  std::unique_ptr<Table> table_;
};

/// What one thread does: it holds some connections, so that loads differ, and with each choice gives the oldest back.
class Chooser {
 public:
  explicit Chooser(int thread) : client_(static_cast<std::uint64_t>(thread)) {}
  void choose(Table& table) {
    std::optional<Lease> lease = table.acquire(client_ += 0x9e3779b97f4a7c15);
    held_[oldest_].reset();
    held_[oldest_].emplace(std::move(*lease));
    oldest_ = (oldest_ + 1) % held_.size();
  }

 private:
  std::vector<std::optional<Lease>> held_ = std::vector<std::optional<Lease>>(64);
  std::size_t oldest_ = 0;
  std::uint64_t client_;
};

/// Nothing but choosing: two threads share what one gets at best, for a choice is one critical section.
BENCHMARK_DEFINE_F(Choice, acquire)(benchmark::State& state) {
  Chooser chooser(state.thread_index());
  for (auto _ : state) chooser.choose(*table_);
  state.SetItemsProcessed(state.iterations());
}

/// As relays choose: each connection is other work as well, here 50 µs, less than one costs a relay. Two threads should
/// serve twice as many as one.
BENCHMARK_DEFINE_F(Choice, serve)(benchmark::State& state) {
  Chooser chooser(state.thread_index());
  for (auto _ : state) {
    chooser.choose(*table_);
    for (const TimePoint until = Clock::now() + std::chrono::microseconds(50); Clock::now() < until;) continue;
  }
  state.SetItemsProcessed(state.iterations());
}

/// What the alarm thread does ten times a second.
BENCHMARK_DEFINE_F(Choice, tick)(benchmark::State& state) {
  for (auto _ : state) table_->tick();
}

void sizes(benchmark::internal::Benchmark* bench, std::initializer_list<Policy> policies) {
  bench->ArgNames({"policy", "backends"});
  for (const Policy policy : policies)
    for (const std::int64_t backends : {16, 1000, 10000}) bench->Args({static_cast<std::int64_t>(policy), backends});
}

BENCHMARK_REGISTER_F(Choice, acquire)
    ->Apply([](auto* bench) {
      sizes(bench, {Policy::weighted, Policy::report, Policy::least_connections, Policy::round_robin,
                    Policy::source_hash});
    })
    ->Threads(1)
    ->Threads(2)
    ->UseRealTime();
BENCHMARK_REGISTER_F(Choice, serve)
    ->Apply([](auto* bench) { sizes(bench, {Policy::weighted}); })
    ->Threads(1)
    ->Threads(2)
    ->UseRealTime();
BENCHMARK_REGISTER_F(Choice, tick)->Apply([](auto* bench) { sizes(bench, {Policy::weighted}); });

}  // namespace

BENCHMARK_MAIN();
