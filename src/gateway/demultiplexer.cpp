#include "gateway/demultiplexer.hpp"

#include <poll.h>

#include <array>

#include "common/random.hpp"

namespace farol::gateway {
namespace {

using namespace transfer;

constexpr std::size_t kDatagramMemory = 2800;  ///< what one costs in the receive buffer, with the kernel's overhead
constexpr unsigned kLeastInFlight = 64;
constexpr int kBatches = 4;  ///< received before anything is sent
constexpr std::size_t kStack = 512 * 1024;

/// Never more in flight than the receive buffer holds, or answers are lost here at the end of their way.
Fetcher::Options fitted(Fetcher::Options options, const TransferSocket& socket) {
  const auto fits = static_cast<unsigned>(socket.receive_buffer() / kDatagramMemory);
  options.pool.max_in_flight = std::max(kLeastInFlight, std::min(options.pool.max_in_flight, fits));
  options.first_request = static_cast<RequestId>(random_bits());
  return options;
}

}  // namespace

Demultiplexer::Demultiplexer(TransferSocket socket, const Sessions::Options& sessions, Fetcher::Options fetching,
                             const Logger& log)
    : log_(log),
      socket_(std::move(socket)),
      sessions_(sessions, random_secret(), random_bits()),
      fetcher_(fitted(fetching, socket_)) {
  if (socket_.receive_buffer() < TransferSocket::kReceiveBuffer)
    log_.warn("the UDP receive buffer is smaller than asked for (raise net.core.rmem_max)",
              {{"bytes", socket_.receive_buffer()}, {"asked", TransferSocket::kReceiveBuffer}});
  thread_ = Thread("demultiplexer", [this] { run(); }, kStack);
}

void Demultiplexer::stop() {
  if (stopping_.exchange(true)) return;
  bell_.ring();
  thread_.join();
}

TransferId Demultiplexer::open(const std::string& path, Waiter& waiter) {
  TransferId id = 0;
  {
    MutexLock lock(mutex_);
    id = fetcher_.open(Clock::now(), path, waiter);
    if (stopping_) fetcher_.fail_all();
  }
  bell_.ring();
  return id;
}

void Demultiplexer::finish(TransferId id) {
  MutexLock lock(mutex_);
  fetcher_.finish(id);
}

Fetcher::Look Demultiplexer::look(TransferId id) {
  MutexLock lock(mutex_);
  return fetcher_.look(id);
}

void Demultiplexer::fetch(TransferId id, std::uint64_t first, std::uint64_t end) {
  {
    MutexLock lock(mutex_);
    fetcher_.fetch(Clock::now(), id, first, end);
  }
  bell_.ring();
}

Fetcher::Taken Demultiplexer::take(TransferId id, SegmentBuffer used) {
  Fetcher::Taken taken;
  {
    MutexLock lock(mutex_);
    taken = fetcher_.take(Clock::now(), id, std::move(used));
  }
  if (taken.more_to_ask) bell_.ring();
  return taken;
}

Demultiplexer::Tally Demultiplexer::tally(TransferId id) {
  MutexLock lock(mutex_);
  const Transfer* const transfer = fetcher_.find(id);
  return transfer == nullptr ? Tally{} : Tally{transfer->servers.size(), transfer->asked_again};
}

void Demultiplexer::run() {
  while (!stopping_) {
    bell_.clear();
    receive_all();
    advance();
  }
  {
    MutexLock lock(mutex_);
    fetcher_.fail_all();
  }
  say_goodbye();
}

/// Until the socket is empty, or nearly: time-outs are judged only by one who has looked at what came.
void Demultiplexer::receive_all() {
  const auto take = [this](Arrival& arrival) { receive(arrival); };
  for (int batch = 0; batch < kBatches; ++batch)
    if (socket_.receive(take) == 0) return;
}

void Demultiplexer::receive(Arrival& arrival) {
  std::array<std::uint8_t, kMaxDatagram> reply;
  const Sessions::Arrived arrived = sessions_.arrived(arrival.at, arrival.path, arrival.datagram, reply);
  if (arrived.reply > 0) socket_.send(arrival.path, std::span(reply).first(arrived.reply));
  if (arrived.dropped) return report_dropped(*arrived.dropped, arrival.path.peer);
  {
    MutexLock lock(mutex_);
    if (arrived.left) fetcher_.remove_server(arrival.at, *arrived.left);
    if (arrived.joined)
      fetcher_.add_server(arrival.at, arrived.joined->id, arrived.joined->name, arrived.joined->address, arrived.joined->rtt);
    if (arrived.message) fetcher_.receive(arrival.at, arrived.from, arrived.header, *arrived.message);
  }
  if (arrived.left && !arrived.joined) log_.info("Server left", {{"address", arrival.path.peer.text()}});
  if (arrived.joined) report_joined(*arrived.joined);
}

void Demultiplexer::advance() {
  std::vector<Fetcher::Outgoing> outgoing;
  std::vector<Fetcher::Event> events;
  TimePoint next;
  {
    MutexLock lock(mutex_);
    const TimePoint now = Clock::now();
    fetcher_.advance(now);
    outgoing = fetcher_.take_outgoing();
    events = fetcher_.take_events();
    next = fetcher_.next_deadline(now);
    socket_drops_ = socket_.drops();
  }
  send(std::move(outgoing));
  report(events);
  wait(next);
}

void Demultiplexer::send(std::vector<Fetcher::Outgoing> outgoing) {
  std::array<std::uint8_t, kMaxDatagram> datagram;
  for (const Fetcher::Outgoing& each : outgoing) {
    const std::size_t size = sessions_.seal(each.server, each.request, each.message, datagram);
    // Without room in the socket it is as good as lost on the way, and asked again like one that was.
    if (size > 0) socket_.send(sessions_.path(each.server), std::span(datagram).first(size));
  }
}

void Demultiplexer::wait(TimePoint until) {
  pollfd set[2] = {{socket_.fd(), POLLIN, 0}, {bell_.fd(), POLLIN, 0}};
  ::poll(set, 2, poll_timeout(until, Clock::now()));
}

void Demultiplexer::say_goodbye() {
  std::vector<Fetcher::Outgoing> goodbyes;
  for (const ServerId id : sessions_.confirmed()) goodbyes.push_back({id, 0, Goodbye{}});
  send(std::move(goodbyes));
}

void Demultiplexer::report_joined(const Sessions::Joined& joined) {
  std::size_t servers = 0;
  {
    MutexLock lock(mutex_);
    servers = fetcher_.pool().servers().size();
  }
  log_.info("Added server", {{"address", joined.address.text()}, {"name", joined.name}, {"servers", servers}});
}

void Demultiplexer::report(const std::vector<Fetcher::Event>& events) {
  for (const Fetcher::Event& event : events) {
    const auto line = [&](LogLevel level, const char* what) {
      log_.log(level, what, {{"address", event.address.text()}, {"name", event.name}});
    };
    switch (event.kind) {
      case Fetcher::Event::Kind::suspect:
        line(LogLevel::warn, "Server is silent");
        break;
      case Fetcher::Event::Kind::down:
        line(LogLevel::warn, "Server is down");
        break;
      case Fetcher::Event::Kind::back:
        line(LogLevel::info, "Server is back");
        break;
      case Fetcher::Event::Kind::left_out:
        line(LogLevel::warn, "Server is left out: its chunks do not arrive");
        break;
      case Fetcher::Event::Kind::delivers_again:
        line(LogLevel::info, "Server's chunks arrive again");
        break;
      case Fetcher::Event::Kind::forgotten:
        sessions_.remove(event.server);
        break;
    }
  }
}

void Demultiplexer::report_dropped(DropReason reason, const Address& peer) {
  {
    MutexLock lock(mutex_);
    ++dropped_[static_cast<std::size_t>(reason)];
  }
  std::uint64_t suppressed = 0;
  if (drop_log_.allow(Clock::now(), suppressed))
    log_.debug("datagram dropped", {{"source", peer.text()}, {"reason", to_string(reason)}, {"more", suppressed}});
}

PoolStatus Demultiplexer::status() const {
  PoolStatus status;
  MutexLock lock(mutex_);
  fetcher_.describe(Clock::now(), status);
  status.socket_drops = socket_drops_;
  for (std::size_t i = 0; i < dropped_.size(); ++i)
    status.dropped.push_back({std::string(to_string(static_cast<DropReason>(i))), dropped_[i]});
  status.dropped.push_back({"unexpected", fetcher_.unexpected()});
  return status;
}

}  // namespace farol::gateway
