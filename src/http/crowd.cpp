#include "http/crowd.hpp"

namespace farol::http {

void Crowd::Place::enter() {
  if (crowd_ == nullptr) return;
  MutexLock lock(crowd_->mutex_);
  std::list<Place*>& places = crowd_->places_;
  at_ = places.insert(places.end(), this);
  inside_ = true;
  if (places.size() <= crowd_->most_) return;
  Place& first = *places.front();
  places.pop_front();
  first.inside_ = false;
  first.make_room();
}

void Crowd::Place::leave() {
  if (crowd_ == nullptr) return;
  MutexLock lock(crowd_->mutex_);
  if (inside_) crowd_->places_.erase(at_);
  inside_ = false;
}

void Crowd::Place::got_on() {
  if (crowd_ == nullptr) return;
  MutexLock lock(crowd_->mutex_);
  std::list<Place*>& places = crowd_->places_;
  if (inside_) places.splice(places.end(), places, at_);
}

}  // namespace farol::http
