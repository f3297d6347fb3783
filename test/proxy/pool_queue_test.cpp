#include <atomic>
#include <catch2/catch.hpp>
#include <list>
#include <semaphore>
#include <string>
#include <vector>

#include "common/thread.hpp"
#include "proxy/monitoring_fixture.hpp"
#include "proxy/pool.hpp"

// What a back-end may have at most, and who gets the next place.

using namespace farol;
using namespace farol::proxy;
using namespace farol::test;

namespace {

constexpr std::size_t kRoom = 100;  ///< in the queue

struct TestWaiter final : Waiter {
  explicit TestWaiter(const Request& wanted = {}) : Waiter(wanted) {}
  void chosen() noexcept override { ++times_told; }
  int times_told = 0;
};

/// A pool of configured back-ends, each with so many connections at most.
struct LimitedPool {
  explicit LimitedPool(std::uint32_t most, Policy policy = Policy::weighted) : bench(options(most, policy)) {}

  static BackendTable::Options options(std::uint32_t most, Policy policy) {
    BackendTable::Options result;
    result.policy = policy;
    result.max_connections = most;
    return result;
  }
  Backend& add(const char* address, bool backup = false) {
    Backend& added = bench.add_static(address);
    added.backup = backup;
    set(added, true);
    return added;
  }
  void set(Backend& backend, bool accepts) {
    backend.take_check(accepts, bench.now, bench.timers);
    bench.table.access().refresh(backend, bench.now);
  }
  void order(Backend& backend, AdminState state) {
    CHECK(bench.table.set_state(backend.name(), state, bench.now) == ProxyView::Change::done);
  }
  std::optional<Lease> acquire(const std::vector<std::uint64_t>& tried = {}) {
    return bench.table.acquire(pool(), {tried, bench.now, 0});
  }
  Pool::Joined join(TestWaiter& waiter, std::size_t most = kRoom) { return pool().join(waiter, most, bench.now); }
  /// What was chosen for one that waited, as its session takes it.
  std::optional<Lease> take(TestWaiter& waiter) {
    const auto choice = pool().leave(waiter);
    if (!choice) return std::nullopt;
    return std::optional<Lease>(std::in_place, bench.table, *choice, bench.now);
  }
  Pool& pool() { return bench.table.name_pool(std::string(monitoring::kDefaultPool)); }

  Bench bench;
};

}  // namespace

TEST_CASE("Pool: a back-end never has more connections than it may, whatever the policy", "[pool][queue]") {
  const Policy policy = GENERATE(from_range(std::begin(kPolicies), std::end(kPolicies)));
  CAPTURE(to_string(policy));
  LimitedPool t(3, policy);
  const Backend &one = t.add("10.0.0.1:80"), &two = t.add("10.0.0.2:80");
  std::list<Lease> open;
  for (int i = 0; i < 6; ++i) open.push_back(std::move(*t.acquire()));
  CHECK(one.signals.open() == 3);
  CHECK(two.signals.open() == 3);
  CHECK_FALSE(t.acquire());
  const Address freed = open.front().address();
  open.pop_front();
  const auto again = t.acquire();
  REQUIRE(again);
  CHECK(again->address() == freed);
  CHECK_FALSE(t.acquire());
}

TEST_CASE("Pool: it is never exceeded by many who choose at once", "[pool][queue]") {
  constexpr int kThreads = 4, kEach = 2000;
  LimitedPool t(2);
  const Backend &one = t.add("10.0.0.1:80"), &two = t.add("10.0.0.2:80");
  Pool& pool = t.pool();
  std::atomic<int> inside{0}, most{0}, served{0};
  {
    std::vector<Thread> threads;
    for (int i = 0; i < kThreads * 2; ++i)
      threads.emplace_back("chooser", [&] {
        for (int k = 0; k < kEach; ++k) {
          const auto lease = t.bench.table.acquire(pool, {{}, kStart, 0});
          if (!lease) continue;
          const int now = ++inside;
          for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) continue;
          ++served;
          --inside;
        }
      });
  }
  CHECK(most <= 4);
  CHECK(served > 0);
  CHECK(one.signals.open() + two.signals.open() == 0);
}

TEST_CASE("Pool: one back-end may have other limits than the rest", "[pool][queue]") {
  LimitedPool t(1);
  t.add("10.0.0.1:80");
  Backend& large = t.add("10.0.0.2:80");
  large.max_connections = 4;
  t.set(large, true);
  std::vector<Lease> open;
  for (int i = 0; i < 5; ++i) open.push_back(std::move(*t.acquire()));
  CHECK(large.signals.open() == 4);
  CHECK_FALSE(t.acquire());
}

TEST_CASE("Pool: a backup takes what the others have no room for, one that looks dead does not", "[pool][queue]") {
  LimitedPool t(1);
  Backend& one = t.add("10.0.0.1:80");
  const Backend& backup = t.add("10.0.0.2:80", true);
  Backend& dead = t.add("10.0.0.3:80");
  t.set(dead, false);
  const auto first = t.acquire(), second = t.acquire();
  CHECK(first->id() == one.id);
  CHECK(second->id() == backup.id);
  CHECK_FALSE(t.acquire());
  CHECK_FALSE(t.acquire({one.id}));                           // the backup is only full
  CHECK(t.acquire({one.id, backup.id})->id() == dead.id);     // nobody else is left
  t.order(one, AdminState::maint);
  CHECK_FALSE(t.acquire());
}

TEST_CASE("Pool: who waits is served first come first served, as room is made", "[pool][queue]") {
  LimitedPool t(1);
  t.add("10.0.0.1:80");
  auto lease = t.acquire();
  std::list<TestWaiter> waiters(3);
  for (TestWaiter& waiter : waiters) CHECK(t.join(waiter) == Pool::Joined::waits);
  CHECK(t.pool().waiting() == 3);
  for (TestWaiter& waiter : waiters) {
    CHECK(waiter.times_told == 0);
    lease.reset();
    CHECK(waiter.times_told == 1);
    CHECK_FALSE(t.acquire());  // nobody overtakes
    auto next = t.take(waiter);
    REQUIRE(next);
    lease.emplace(std::move(*next));
  }
  CHECK(t.pool().waiting() == 0);
  lease.reset();
  CHECK(t.acquire());
}

TEST_CASE("Pool: who comes just as room is made does not overtake who waits", "[pool][queue]") {
  LimitedPool t(1);
  Backend& only = t.add("10.0.0.1:80");
  REQUIRE(t.pool().choose({{}, t.bench.now, 0}));  // without a lease, which would serve the queue at its end
  TestWaiter waiter;
  REQUIRE(t.join(waiter) == Pool::Joined::waits);
  only.signals.mark();
  only.signals.closed(true);
  CHECK_FALSE(t.acquire());
  CHECK(waiter.times_told == 1);
  CHECK(t.take(waiter));
}

TEST_CASE("Pool: a connection that ends before a client joins the queue is not missed", "[pool][queue]") {
  LimitedPool t(1);
  t.add("10.0.0.1:80");
  auto lease = t.acquire();
  CHECK_FALSE(t.acquire());
  lease.reset();  // nobody waits yet
  TestWaiter waiter;
  CHECK(t.join(waiter) == Pool::Joined::waits);
  CHECK(waiter.times_told == 1);
  CHECK(t.take(waiter));
}

TEST_CASE("Pool: nobody is forgotten in the queue, however many come and go at once", "[pool][queue]") {
  constexpr int kThreads = 4, kEach = 3000;
  LimitedPool t(1);
  const Backend& only = t.add("10.0.0.1:80");
  Pool& pool = t.pool();
  struct Sleeper final : Waiter {
    Sleeper() : Waiter({}) {}
    void chosen() noexcept override { told.release(); }
    std::binary_semaphore told{0};
  };
  std::atomic<int> served{0}, forgotten{0};
  {
    std::vector<Thread> threads;
    for (int i = 0; i < kThreads; ++i)
      threads.emplace_back("client", [&] {
        for (int k = 0; k < kEach; ++k) {
          auto lease = t.bench.table.acquire(pool, {{}, kStart, 0});
          if (!lease) {
            Sleeper sleeper;
            if (pool.join(sleeper, kRoom, kStart) != Pool::Joined::waits) continue;
            if (!sleeper.told.try_acquire_for(10s)) ++forgotten;
            const auto choice = pool.leave(sleeper);
            if (!choice) return;
            lease.emplace(t.bench.table, *choice, kStart);
          }
          ++served;
        }
      });
  }
  CHECK(forgotten == 0);
  CHECK(served == kThreads * kEach);
  CHECK(only.signals.open() == 0);
  CHECK(pool.waiting() == 0);
}

TEST_CASE("Pool: who waits is served when a back-end joins or comes back", "[pool][queue]") {
  LimitedPool t(0, Policy::report);
  TestWaiter first, second;
  CHECK_FALSE(t.acquire());
  CHECK(t.join(first) == Pool::Joined::waits);
  CHECK(t.join(second) == Pool::Joined::waits);
  Backend& joined = t.add("10.0.0.1:80");
  CHECK(first.times_told == 1);
  CHECK(second.times_told == 1);  // one back-end has room for all
  CHECK(t.take(first));
  CHECK(t.take(second));

  t.order(joined, AdminState::drain);
  TestWaiter third;
  CHECK(t.join(third) == Pool::Joined::waits);
  t.bench.table.tick(t.bench.now);
  CHECK(third.times_told == 0);
  t.order(joined, AdminState::ready);
  CHECK(third.times_told == 1);
  CHECK(t.take(third)->id() == joined.id);
}

TEST_CASE("Pool: a backup that comes back serves who waits for the full ones", "[pool][queue]") {
  LimitedPool t(1);
  t.add("10.0.0.1:80");
  Backend& backup = t.add("10.0.0.2:80", true);
  t.order(backup, AdminState::maint);
  const auto lease = t.acquire();
  TestWaiter waiter;
  CHECK(t.join(waiter) == Pool::Joined::waits);
  CHECK(waiter.times_told == 0);
  t.order(backup, AdminState::ready);
  CHECK(waiter.times_told == 1);
  CHECK(t.take(waiter)->id() == backup.id);
}

TEST_CASE("Pool: the queue has an end, and who leaves it makes room", "[pool][queue]") {
  LimitedPool t(0);
  TestWaiter one, two, three;
  CHECK(t.join(one, 2) == Pool::Joined::waits);
  CHECK(t.join(two, 2) == Pool::Joined::waits);
  CHECK(t.join(three, 2) == Pool::Joined::full);
  CHECK_FALSE(t.take(one));
  CHECK(t.pool().waiting() == 1);
  CHECK(t.join(three, 2) == Pool::Joined::waits);
  t.add("10.0.0.1:80");
  CHECK(two.times_told + three.times_told == 2);
  CHECK(one.times_told == 0);
  CHECK(t.take(two));
  CHECK(t.take(three));
}

TEST_CASE("Pool: a place that was given to a client that has left goes to the next", "[pool][queue]") {
  LimitedPool t(1);
  t.add("10.0.0.1:80");
  auto lease = t.acquire();
  TestWaiter gone, next;
  t.join(gone);
  t.join(next);
  lease.reset();
  REQUIRE(gone.times_told == 1);
  t.take(gone).reset();  // it did not want it any more
  CHECK(next.times_told == 1);
  CHECK(t.take(next));
}

TEST_CASE("Pool: who was refused waits for those who are only full, and for nobody else", "[pool][queue]") {
  LimitedPool t(1);
  Backend &refusing = t.add("10.0.0.1:80"), &busy = t.add("10.0.0.2:80");
  auto lease = t.acquire({refusing.id});
  REQUIRE(lease->id() == busy.id);
  const std::vector<std::uint64_t> tried{refusing.id}, all{refusing.id, busy.id};
  CHECK_FALSE(t.acquire(all));
  TestWaiter hopeless{{all}}, picky{{tried}};
  CHECK(t.join(hopeless) == Pool::Joined::in_vain);
  REQUIRE_FALSE(t.acquire(tried));
  REQUIRE(t.join(picky) == Pool::Joined::waits);
  const auto other = t.acquire();  // what is of no use to it is not kept from others
  REQUIRE(other);
  CHECK(other->id() == refusing.id);
  TestWaiter after;
  CHECK(t.join(after) == Pool::Joined::waits);
  lease.reset();
  CHECK(picky.times_told == 1);
  CHECK(after.times_told == 0);
  CHECK(t.take(picky)->id() == busy.id);
  CHECK(after.times_told == 1);  // at the end of that one
  CHECK(t.take(after)->id() == busy.id);
}

TEST_CASE("Pool: the limit is shown", "[pool][queue]") {
  LimitedPool t(7);
  t.add("10.0.0.1:80");
  CHECK(t.bench.table.status(t.bench.now)[0].connections_most == 7);
}
