#pragma once

#include <cstddef>
#include <list>

#include "common/mutex.hpp"

namespace farol::http {

/// All connections of one server, those first whose clients have not got on for longest: neither a request has come nor
/// a part of an answer been taken. When there are more than so many the first has to go, so nobody can keep others out by
/// connecting and saying nothing, or by asking and not reading. Owned by who serves; outlives the connections. Any thread.
class Crowd {
 public:
  explicit Crowd(std::size_t most) : most_(most) {}
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

  /// A connection's place, from its start to its end.
  class Place {
   public:
    /// Without a crowd it does nothing. The newcomer never is who has to go.
    explicit Place(Crowd* crowd) : crowd_(crowd) {}
    /// To be called before the connection goes, by its destructor at the latest.
    void leave();
    /// The client has got on.
    void got_on();
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

   protected:
    void enter();
    ~Place() = default;

   private:
    friend class Crowd;
    /// It has to go: to end the connection, and to come back by leave(). Under the crowd's lock, on any thread: short.
    virtual void make_room() noexcept = 0;

    Crowd* const crowd_;
    // The crowd's, under its lock.
    bool inside_ = false;
    std::list<Place*>::iterator at_{};
  };

 private:
  const std::size_t most_;
  Mutex mutex_;
  std::list<Place*> places_ GUARDED_BY(mutex_);  ///< less those who were told to go
};

}  // namespace farol::http
