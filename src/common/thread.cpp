#include "common/thread.hpp"

#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <climits>
#include <system_error>

#include "common/sanitizers.hpp"

namespace farol {
namespace {

// Sanitizers keep red zones and shadow frames on the stack.
constexpr std::size_t kMinimumStack = kAddressSanitizer || kThreadSanitizer ? 512 * 1024 : 64 * 1024;

}  // namespace

struct Thread::Running {
  pthread_t id{};
  std::string name;
  std::function<void()> body;
};

void Thread::Joined::operator()(Running* running) const noexcept {
  ::pthread_join(running->id, nullptr);
  delete running;
}

int Thread::start(std::unique_ptr<Running, Joined>& out, std::string name, std::function<void()> body,
                  std::size_t stack_bytes) {
  auto running = std::make_unique<Running>();
  running->name = std::move(name).substr(0, 15);
  running->body = std::move(body);
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, std::max(stack_bytes, kMinimumStack));
  const auto entry = [](void* argument) -> void* {
    auto* self = static_cast<Running*>(argument);
    ::pthread_setname_np(::pthread_self(), self->name.c_str());
    self->body();
    return nullptr;
  };
  const int error = ::pthread_create(&running->id, &attributes, entry, running.get());
  ::pthread_attr_destroy(&attributes);
  if (error == 0) out.reset(running.release());
  return error;
}

Thread::Thread(std::string name, std::function<void()> body, std::size_t stack_bytes) {
  if (const int error = start(running_, name, std::move(body), stack_bytes); error != 0)
    throw std::system_error(error, std::generic_category(), "start thread " + name);
}

std::optional<Thread> Thread::try_start(std::string name, std::function<void()> body, std::size_t stack_bytes) {
  Thread thread;
  if (start(thread.running_, std::move(name), std::move(body), stack_bytes) != 0) return std::nullopt;
  return thread;
}

Thread& Thread::operator=(Thread&& other) noexcept {
  running_ = std::move(other.running_);
  return *this;
}

void Thread::interrupt() const noexcept {
  static const int handled = [] {
    struct sigaction nothing {};
    nothing.sa_handler = [](int) {};  // without SA_RESTART
    return ::sigaction(SIGURG, &nothing, nullptr);
  }();
  if (handled == 0) ::pthread_kill(running_->id, SIGURG);
}

void prefer_throughput() noexcept {
  const sched_param none{};
  ::sched_setscheduler(0, SCHED_BATCH, &none);
}

void Thread::join() noexcept { running_.reset(); }

}  // namespace farol
