#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

namespace farol {

template <typename T>
class Task;

/// Whose tasks are that nobody awaits: told of the end of each, with what it threw, if it did. The frame is gone by then.
class TaskOwner {
 public:
  virtual void ended(const std::exception_ptr& error) noexcept = 0;

 protected:
  ~TaskOwner() = default;
};

namespace detail {

/// What both promises share: the awaiting coroutine goes on when this one ends; exceptions travel to it.
class PromiseBase {
 public:
  struct Final {
    bool await_ready() const noexcept { return false; }
    template <typename Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> ended) const noexcept {
      const PromiseBase& promise = ended.promise();
      if (promise.continuation_) return promise.continuation_;
      if (promise.owner_ != nullptr) let_go(ended, *promise.owner_, promise.error_);
      return std::noop_coroutine();
    }
    void await_resume() const noexcept {}
  };
  std::suspend_always initial_suspend() const noexcept { return {}; }
  Final final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { error_ = std::current_exception(); }
  void continue_with(std::coroutine_handle<> waiting) noexcept { continuation_ = waiting; }
  void belong_to(TaskOwner& owner) noexcept { owner_ = &owner; }

 protected:
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  static void let_go(std::coroutine_handle<> ended, TaskOwner& owner, const std::exception_ptr error) {
    ended.destroy();
    owner.ended(error);
  }
  std::coroutine_handle<> continuation_;
  TaskOwner* owner_ = nullptr;
  std::exception_ptr error_;
};

template <typename T>
class Promise : public PromiseBase {
 public:
  Task<T> get_return_object() noexcept;
  template <typename U>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }
  T take() {
    rethrow();
    return std::move(*value_);
  }

 private:
  std::optional<T> value_;
};
template <>
class Promise<void> : public PromiseBase {
 public:
  Task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void take() const { rethrow(); }
};

}  // namespace detail

/// A coroutine that starts when it is awaited (or start()ed) and is owned by whoever holds the Task: destroying the
/// Task destroys the frame, so it must not be suspended in a wait then. One awaiter, once. Exceptions reach the awaiter.
/// Not thread-safe: a task runs on one thread at a time.
template <typename T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  Task() = default;
  explicit Task(Handle handle) noexcept : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (handle_) handle_.destroy();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  /// False for a Task that holds no coroutine.
  [[nodiscard]] explicit operator bool() const { return static_cast<bool>(handle_); }
  /// Runs until the end or the first wait that suspends.
  void start() { handle_.resume(); }
  [[nodiscard]] bool done() const { return handle_.done(); }
  /// Who goes on when the task, started and not done yet, ends.
  void continue_with(std::coroutine_handle<> waiting) { handle_.promise().continue_with(waiting); }
  /// Starts a task that nobody awaits: it destroys itself when it ends, and tells its owner.
  void let_go(TaskOwner& owner) && {
    const Handle handle = std::exchange(handle_, {});
    handle.promise().belong_to(owner);
    handle.resume();
  }
  /// The result of a finished task; rethrows what it threw.
  T result() { return handle_.promise().take(); }

  bool await_ready() const noexcept { return false; }
  /// Runs the task to its end or its first wait. One that ends at once goes on without suspending anybody: with
  /// symmetric transfer (no tail call under sanitizers) a loop over such tasks would use up the stack.
  bool await_suspend(std::coroutine_handle<> waiting) noexcept {
    handle_.resume();
    if (handle_.done()) return false;
    handle_.promise().continue_with(waiting);
    return true;
  }
  T await_resume() { return handle_.promise().take(); }

 private:
  Handle handle_;
};

template <typename T>
Task<T> detail::Promise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}

inline Task<void> detail::Promise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}

}  // namespace farol
