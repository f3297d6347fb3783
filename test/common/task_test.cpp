#include "common/task.hpp"

#include <catch2/catch.hpp>
#include <memory>
#include <stdexcept>
#include <string>

using namespace farol;

namespace {

Task<int> number(int n) { co_return n; }

Task<int> sum_below(int n) {
  if (n == 0) co_return 0;
  Task<int> less = sum_below(n - 1);
  const int sum = co_await less;
  co_return sum + n;
}

Task<std::string> fails(const std::string& why) {
  if (!why.empty()) throw std::runtime_error(why);
  co_return "fine";
}

Task<std::string> catches(std::string why) {
  try {
    Task<std::string> inner = fails(why);
    co_return co_await inner;
  } catch (const std::runtime_error& error) {
    co_return std::string("caught ") + error.what();
  }
}

Task<std::unique_ptr<int>> owned() { co_return std::make_unique<int>(7); }

/// Suspends once; the test resumes it.
struct Pause {
  std::coroutine_handle<>* waiting;
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> handle) const { *waiting = handle; }
  void await_resume() const {}
};

struct Guard {
  int* destroyed;
  ~Guard() { ++*destroyed; }
};

Task<> waits(std::coroutine_handle<>* waiting, int* destroyed) {
  const Guard guard{destroyed};
  const Pause pause{waiting};
  co_await pause;
}

Task<int> outer(std::coroutine_handle<>* waiting, int* destroyed) {
  Task<> inner = waits(waiting, destroyed);
  co_await inner;
  co_return 5;
}

template <typename T>
T run(Task<T> task) {
  task.start();
  REQUIRE(task.done());
  return task.result();
}

}  // namespace

TEST_CASE("task: it gives its value to who awaits it", "[task]") {
  CHECK(run(number(42)) == 42);
  CHECK(*run(owned()) == 7);
}

TEST_CASE("task: it does not start before it is started", "[task]") {
  std::coroutine_handle<> waiting;
  int destroyed = 0;
  {
    const Task<> never = waits(&waiting, &destroyed);
    CHECK_FALSE(never.done());
  }
  CHECK_FALSE(waiting);
  CHECK(destroyed == 0);
}

TEST_CASE("task: tasks nest", "[task]") { CHECK(run(sum_below(100)) == 5050); }

TEST_CASE("task: an exception reaches the awaiter, and only the awaiter", "[task]") {
  CHECK(run(catches("a reason")) == "caught a reason");
  CHECK(run(catches("")) == "fine");
  CHECK_THROWS_WITH(run(fails("out")), "out");
}

TEST_CASE("task: the awaiter goes on when a suspended task ends", "[task]") {
  std::coroutine_handle<> waiting;
  int destroyed = 0;
  Task<int> task = outer(&waiting, &destroyed);
  task.start();
  CHECK_FALSE(task.done());
  REQUIRE(waiting);
  waiting.resume();
  REQUIRE(task.done());
  CHECK(destroyed == 1);
  CHECK(task.result() == 5);
}

TEST_CASE("task: its frame goes with it", "[task]") {
  std::coroutine_handle<> waiting;
  int destroyed = 0;
  {
    Task<> first = waits(&waiting, &destroyed);
    first.start();
    Task<> second = std::move(first);
    second = Task<>();
    CHECK(destroyed == 1);
  }
  CHECK(destroyed == 1);
}

TEST_CASE("task: one that was let go takes its frame along, then tells its owner what it threw", "[task]") {
  struct Owner final : TaskOwner {
    void ended(const std::exception_ptr& error) noexcept override {
      ++count;
      failed = error != nullptr;
      frames_gone = *destroyed;
    }
    const int* destroyed = nullptr;
    int count = 0, frames_gone = 0;
    bool failed = false;
  } owner;
  std::coroutine_handle<> waiting;
  int destroyed = 0;
  owner.destroyed = &destroyed;
  waits(&waiting, &destroyed).let_go(owner);
  CHECK(owner.count == 0);
  waiting.resume();
  CHECK(owner.count == 1);
  CHECK(owner.frames_gone == 1);
  CHECK_FALSE(owner.failed);
  fails("out").let_go(owner);
  CHECK(owner.count == 2);
  CHECK(owner.failed);
}
