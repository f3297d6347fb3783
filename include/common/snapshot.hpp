#pragma once

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <utility>

#include "common/spin_mutex.hpp"

namespace farol {

/// A value that is replaced as a whole while others use it: everybody keeps what they were given, for as long as they
/// want. The count is in the value, so that who keeps it needs one pointer. Any thread.
template <typename Value>
class Snapshot {
 public:
  struct Kept : Value, boost::intrusive_ref_counter<Kept, boost::thread_safe_counter> {
    explicit Kept(Value value) : Value(std::move(value)) {}
  };
  using Pointer = boost::intrusive_ptr<const Kept>;

  explicit Snapshot(Value first) : value_(new Kept(std::move(first))) {}

  [[nodiscard]] Pointer get() const {
    SpinLock lock(mutex_);
    return value_;
  }
  void set(Value next) {
    Pointer fresh(new Kept(std::move(next)));
    SpinLock lock(mutex_);
    value_.swap(fresh);  // the old one goes after the lock
  }

 private:
  mutable SpinMutex mutex_;
  Pointer value_ GUARDED_BY(mutex_);
};

}  // namespace farol
