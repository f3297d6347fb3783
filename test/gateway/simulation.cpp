#include "gateway/simulation.hpp"

#include <algorithm>
#include <stdexcept>

namespace farol::gateway_test {
namespace {

using namespace transfer;

/// Of samples only: good enough to tell patterns apart.
Sha256 fake_hash(const std::vector<std::uint8_t>& bytes) {
  std::uint64_t h = 14695981039346656037ULL + bytes.size();
  for (std::size_t i = 0; i < bytes.size(); i += 1 + bytes.size() / 256) h = (h ^ bytes[i]) * 1099511628211ULL;
  Sha256 result{};
  for (std::size_t i = 0; i < 8; ++i) result[i] = static_cast<std::uint8_t>(h >> (8 * i));
  return result;
}

FileInfo info_of(const FakeServer::File& file) {
  FileInfo info{.size = file.content->size(), .mtime_ns = file.mtime_ns, .stat_tag = {}, .content = {}};
  info.stat_tag = stat_tag_of(info.size, info.mtime_ns);
  if (file.hashed) info.content = fake_hash(*file.content);
  return info;
}

bool has_tag(const FileInfo& info, const VersionTag& tag) {
  return tag == VersionTag{} || tag == info.stat_tag || (info.content && tag == content_tag_of(*info.content));
}

}  // namespace

std::vector<std::uint8_t> pattern(std::size_t size, unsigned seed) {
  std::vector<std::uint8_t> bytes(size);
  std::uint32_t state = seed * 2654435761U + 1;
  for (std::uint8_t& byte : bytes) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    byte = static_cast<std::uint8_t>(state);
  }
  return bytes;
}

class Simulation::Client final : public Waiter {
 public:
  Client(Simulation& world, const std::string& path, std::uint64_t first, std::uint64_t end, double speed)
      : world_(world), first_(first), end_(end), speed_(speed), id_(world.fetcher.open(world.now, path, *this)) {
    download.began = world.now;
    step();
  }
  ~Client() { finish(); }
  void ring() noexcept override {
    world_.at(0us, [this] { step(); });
  }
  void finish() {
    if (std::exchange(download.done, true)) return;
    download.ended = world_.now;
    world_.fetcher.finish(id_);
  }

  Download download;

 private:
  void step() {
    if (download.done) return;
    if (!download.version) {
      const auto look = world_.fetcher.look(id_);
      download.failure = look.failure;
      if (look.failure) return finish();
      if (!look.version) return;
      download.version = look.version;
      world_.fetcher.fetch(world_.now, id_, first_, std::min(end_, look.version->size));
    }
    for (;;) {
      const Transfer& transfer = *world_.fetcher.find(id_);
      download.most_buffers = std::max(download.most_buffers, transfer.window->buffers());
      if (transfer.window->finished()) return finish();
      auto taken = world_.fetcher.take(world_.now, id_, std::move(used_));
      download.failure = taken.failure;
      if (taken.failure) return finish();
      if (!taken.piece) return;
      const auto* bytes = taken.piece->buffer.get() + taken.piece->offset;
      download.bytes.insert(download.bytes.end(), bytes, bytes + taken.piece->size);
      used_ = std::move(taken.piece->buffer);
      const Duration pause = from_seconds(static_cast<double>(taken.piece->size) / speed_);
      if (pause > 1us) return world_.at(pause, [this] { step(); });
    }
  }

  Simulation& world_;
  const std::uint64_t first_, end_;
  const double speed_;
  const TransferId id_;
  SegmentBuffer used_;
};

Simulation::Simulation(unsigned seed, Fetcher::Options options) : fetcher(options), random_(seed) {}
Simulation::~Simulation() = default;

ServerId Simulation::join(const FakeServer& server) {
  const ServerId id = next_server_++;
  servers_[id] = server;
  fetcher.add_server(now, id, "s" + std::to_string(id), Address::ipv4(0x7f000001, static_cast<std::uint16_t>(id)),
                     2 * server.weather.delay);
  at(1s, [this, id] { beat(id); });
  return id;
}

void Simulation::give_all(const std::string& path, const FakeServer::File& file) {
  for (auto& [id, server] : servers_) server.files[path] = file;
}

const Simulation::Download& Simulation::get(const std::string& path, std::uint64_t first, std::uint64_t end, double speed) {
  clients_.push_back(std::make_unique<Client>(*this, path, first, end, speed));
  return clients_.back()->download;
}

void Simulation::abandon(const Download& download) {
  for (const auto& client : clients_)
    if (&client->download == &download) client->finish();
}

void Simulation::beat(ServerId id) {
  carry(id, {.type = PacketType::heartbeat}, Heartbeat{}, 80, false);
  at(1s, [this, id] { beat(id); });
}

void Simulation::carry(ServerId id, const Header& header, Message message, std::size_t size, bool to_server) {
  const FakeServer& server = servers_.at(id);
  const Weather& weather = server.weather;
  const bool vanishes = !server.large_packets && !to_server && size > 500;
  if (!server.alive || vanishes || chance(weather.loss) || chance(weather.corrupted)) return;
  for (int copies = chance(weather.duplicated) ? 2 : 1; copies > 0; --copies) {
    Duration delay = weather.delay;
    if (chance(weather.delayed)) delay += from_seconds(to_seconds(weather.jitter) * std::uniform_real_distribution<>()(random_));
    at(delay, [this, id, header, message, to_server] {
      const auto found = servers_.find(id);
      if (found == servers_.end() || !found->second.alive) return;
      if (!to_server)
        fetcher.receive(now, id, header, message);
      else if (const auto* request = std::get_if<RequestFile>(&message))
        serve(id, header.request, *request);
    });
  }
}

void Simulation::serve(ServerId id, RequestId request, const RequestFile& asked) {
  FakeServer& server = servers_.at(id);
  ++server.requests;
  Header header{.type = PacketType::file_info, .request = request};
  const auto refuse = [&](NotFoundReason reason) { carry(id, header, FileNotFound{reason}, 66, false); };
  const auto found = server.files.find(asked.path);
  if (found == server.files.end()) return refuse(NotFoundReason::not_found);
  const auto older = server.replaced.find(asked.path);
  const bool want_older =
      older != server.replaced.end() && asked.tag != VersionTag{} && has_tag(info_of(older->second), asked.tag);
  const FakeServer::File& file = want_older ? older->second : found->second;
  if (file.broken) return refuse(*file.broken);
  const FileInfo info = info_of(file);
  if (!has_tag(info, asked.tag)) return refuse(NotFoundReason::version_changed);
  if (asked.mode == RequestMode::stat) return carry(id, header, info, 130, false);
  for (std::uint64_t i = 0; i < kMaskChunks; ++i) {
    const std::uint64_t chunk = asked.first_chunk + i, from = chunk * asked.chunk_size;
    if ((asked.mask >> i & 1) == 0 || from >= info.size) continue;
    const std::size_t size = std::min<std::size_t>(asked.chunk_size, info.size - from);
    server.line_free = std::max(server.line_free, now) + from_seconds(static_cast<double>(size) / server.bytes_per_second);
    ++server.chunks;
    ++sent_chunks;
    const std::span data(file.content->data() + from, size);
    at(server.line_free - now, [this, id, request, chunk, data, keep = file.content] {
      carry(id, {.type = PacketType::file_chunk, .request = request}, FileChunk{chunk, false, data}, data.size() + 72, false);
    });
  }
}

void Simulation::flush() {
  fetcher.advance(now);
  for (auto& out : fetcher.take_outgoing()) {
    const std::size_t size = 100;
    carry(out.server, {.type = type_of(out.message), .request = out.request}, std::move(out.message), size, true);
  }
  for (auto& event : fetcher.take_events()) told.push_back(event);
}

void Simulation::run(Duration limit) {
  const TimePoint end = now + limit;
  const auto all_done = [&] {
    return !clients_.empty() &&
           std::all_of(clients_.begin(), clients_.end(), [](const auto& client) { return client->download.done; });
  };
  flush();
  while (!all_done() && now < end) step(end);
}

void Simulation::pass(Duration time) {
  const TimePoint end = now + time;
  flush();
  while (now < end) step(end);
}

void Simulation::step(TimePoint end) {
  const TimePoint next = std::min({events_.empty() ? kNever : events_.begin()->first, fetcher.next_deadline(now), end});
  if (next <= now && ++at_once_ > 10'000) throw std::logic_error("time stands still: a deadline that nothing meets");
  if (next > now) at_once_ = 0;
  now = std::max(now, next);
  for (int batch = 0; batch < 64 && !events_.empty() && events_.begin()->first <= now; ++batch) {
    const auto what = std::move(events_.begin()->second);
    events_.erase(events_.begin());
    what();
  }
  flush();
}

}  // namespace farol::gateway_test
