#pragma once

#include <mutex>

// Clang's thread-safety analysis (clang -Wthread-safety) proves at compile time that guarded members are touched only
// under their mutex; g++ sees nothing of it. libstdc++'s std::mutex carries no annotations, hence the thin wrapper.
#if defined(__clang__)
#define FAROL_TSA(x) __attribute__((x))
#else
#define FAROL_TSA(x)
#endif
#define CAPABILITY(name) FAROL_TSA(capability(name))
#define SCOPED_CAPABILITY FAROL_TSA(scoped_lockable)
#define GUARDED_BY(mutex) FAROL_TSA(guarded_by(mutex))
#define REQUIRES(mutex) FAROL_TSA(requires_capability(mutex))
#define ACQUIRE(...) FAROL_TSA(acquire_capability(__VA_ARGS__))
#define RELEASE(...) FAROL_TSA(release_capability(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS FAROL_TSA(no_thread_safety_analysis)

namespace farol {

/// A std::mutex that the analysis understands. Every class that has one says under it which members it guards.
class CAPABILITY("mutex") Mutex {
 public:
  void lock() ACQUIRE() { mutex_.lock(); }
  void unlock() RELEASE() { mutex_.unlock(); }
  /// For std::condition_variable only, which insists on the standard type.
  std::mutex& native() { return mutex_; }

 private:
  std::mutex mutex_;
};

/// Holds a Mutex for a scope.
class SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() RELEASE() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

}  // namespace farol
