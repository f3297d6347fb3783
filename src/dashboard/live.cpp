#include "dashboard/live.hpp"

#include "http/body_source.hpp"

namespace farol::dashboard {
namespace {

constexpr std::size_t kStack = 256 * 1024;
constexpr Duration kRendering = std::chrono::milliseconds(20);  ///< after a sample; who comes too early looks again

std::shared_ptr<const std::string> framed(std::string_view name, const Feed::Text& text) {
  auto event = std::make_shared<std::string>();
  event->reserve(text.json->size() + 64);
  event->append("event: ").append(name).append("\nid: ").append(std::to_string(text.sample));
  event->append("\ndata: ").append(*text.json).append("\n\n");
  return event;
}

}  // namespace

/// One stream. Between two events it sleeps until the next is due, so the engine's cut wakes it.
class Live::Watcher final : public http::BodySource {
 public:
  explicit Watcher(Live& live) : live_(live) {}
  ~Watcher() override { --live_.watchers_; }

  Task<std::span<const std::byte>> next(Io& io) override {
    if (!present_) {
      const Feed::Text all = live_.feed_.snapshot();
      seen_ = all.sample;
      present_ = framed("snapshot", all);
      co_return bytes();
    }
    for (;;) {
      Next next = live_.after(seen_);
      if (next.lost) co_return std::span<const std::byte>{};
      if (next.event) {
        ++seen_;
        present_ = std::move(next.event);
        co_return bytes();
      }
      const Wait wait = co_await io.sleep(next.look_again);
      if (wait == Wait::cut || live_.over_) co_return std::span<const std::byte>{};
    }
  }

 private:
  [[nodiscard]] std::span<const std::byte> bytes() const { return std::as_bytes(std::span(*present_)); }

  Live& live_;
  std::uint64_t seen_ = 0;
  Event present_;
};

Live::Live(Feed& feed, Duration interval) : feed_(feed), interval_(interval) {
  feed_.sample(Clock::now(), std::chrono::system_clock::now());
  thread_ = Thread("dashboard", [this] { run(); }, kStack);
}

Live::~Live() {
  stop_.fire();
  thread_.join();
}

http::Response Live::events() {
  if (watchers_.fetch_add(1) >= kMostWatchers) {
    --watchers_;
    return http::plain(503, "too many dashboards are open").add("Retry-After", "10");
  }
  http::Response response;
  response.stream_on("text/event-stream", std::make_unique<Watcher>(*this));
  return response;
}

void Live::run() {
  for (TimePoint next = Clock::now() + interval_; !stop_.wait_until(next); next += interval_) {
    const TimePoint now = Clock::now();
    if (now > next + interval_) next = now;  // a machine that slept has nothing to make up for
    feed_.sample(now, std::chrono::system_clock::now());
    publish();
    MutexLock lock(mutex_);
    next_sample_ = next + interval_;
  }
}

void Live::publish() {
  Event event;
  std::uint64_t sample = 0;
  if (watchers() > 0) {
    const Feed::Text text = feed_.changes();
    sample = text.sample;
    event = framed("tick", text);
  }
  MutexLock lock(mutex_);
  if (!event) return events_.clear();
  if (sample != newest_ + 1) events_.clear();
  newest_ = sample;
  events_.push_back(std::move(event));
  if (events_.size() > kKept) events_.pop_front();
}

Live::Next Live::after(std::uint64_t sample) {
  MutexLock lock(mutex_);
  const TimePoint soon = std::max(next_sample_, Clock::now()) + kRendering;
  if (events_.empty() || sample >= newest_) return {nullptr, false, soon};
  const std::uint64_t oldest = newest_ - events_.size() + 1;
  if (sample + 1 < oldest) return {nullptr, true, soon};
  return {events_[sample + 1 - oldest], false, soon};
}

}  // namespace farol::dashboard
