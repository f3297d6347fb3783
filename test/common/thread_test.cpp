#include "common/thread.hpp"

#include <pthread.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <string>

#include "common/stop_event.hpp"

using namespace farol;

TEST_CASE("thread: it has a name, cut to what the kernel takes", "[thread]") {
  std::string name(32, '\0');
  Thread("a-name-that-is-too-long", [&] { ::pthread_getname_np(::pthread_self(), name.data(), name.size()); }).join();
  CHECK(std::string(name.c_str()) == "a-name-that-is-");
}

TEST_CASE("thread: it has the stack that it was given, at least the smallest that works", "[thread]") {
  const auto stack_of = [](std::size_t wanted) {
    std::size_t size = 0;
    Thread("stack", [&] {
      pthread_attr_t attributes;
      ::pthread_getattr_np(::pthread_self(), &attributes);
      ::pthread_attr_getstacksize(&attributes, &size);
      ::pthread_attr_destroy(&attributes);
    }, wanted).join();
    return size;
  };
  CHECK(stack_of(1024 * 1024) >= 1024 * 1024);
  CHECK(stack_of(1024 * 1024) < 2 * 1024 * 1024);
  CHECK(stack_of(0) >= 64 * 1024);
}

TEST_CASE("thread: its destructor and its assignment join it", "[thread]") {
  std::atomic<int> ended{0};
  {
    Thread thread("one", [&] { ++ended; });
    CHECK(thread.joinable());
    thread = Thread("two", [&] { ++ended; });
    CHECK(ended >= 1);
  }
  CHECK(ended == 2);
}

TEST_CASE("thread: joining twice or nothing is harmless", "[thread]") {
  Thread nothing;
  nothing.join();
  CHECK_FALSE(nothing.joinable());
  auto something = Thread::try_start("some", [] {});
  REQUIRE(something);
  something->join();
  something->join();
  CHECK_FALSE(something->joinable());
}
