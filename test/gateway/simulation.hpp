#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "gateway/fetcher.hpp"

namespace farol::gateway_test {

using namespace gateway;
using namespace std::chrono_literals;

/// What a path does to datagrams, each way.
struct Weather {
  double loss = 0, duplicated = 0, delayed = 0, corrupted = 0;  ///< shares
  Duration delay = 100us;     ///< one way
  Duration jitter = 0us;      ///< a delayed one comes up to so much later: behind others
};

std::vector<std::uint8_t> pattern(std::size_t size, unsigned seed);

/// A file server in virtual time: answers in the order it is asked, at the speed of its line.
struct FakeServer {
  struct File {
    std::shared_ptr<const std::vector<std::uint8_t>> content;
    std::int64_t mtime_ns = 1;
    bool hashed = true;
    std::optional<transfer::NotFoundReason> broken{};
  };
  std::map<std::string, File> files{};
  std::map<std::string, File> replaced{};  ///< versions before those: whoever names their tag still gets them
  Weather weather{};
  double bytes_per_second = 200e6;
  bool alive = true;
  bool large_packets = true;  ///< false: what is longer than 500 bytes vanishes
  TimePoint line_free{};
  std::uint64_t requests = 0, chunks = 0;
};

/// Clients, gateway and servers in one thread and in virtual time, the same for the same seed.
class Simulation {
 public:
  explicit Simulation(unsigned seed, Fetcher::Options options = {});
  ~Simulation();

  /// Registers a server, now.
  ServerId join(const FakeServer& server);
  void leave(ServerId id) { fetcher.remove_server(now, id); }
  FakeServer& server(ServerId id) { return servers_.at(id); }
  /// Everybody has this file.
  void give_all(const std::string& path, const FakeServer::File& file);

  /// A client that asks for bytes of a file and reads what comes.
  struct Download {
    std::optional<Failure> failure;
    std::optional<transfer::FileInfo> version;
    std::vector<std::uint8_t> bytes;
    bool done = false;
    TimePoint began{}, ended{};
    std::size_t most_buffers = 0;
  };
  const Download& get(const std::string& path, std::uint64_t first = 0, std::uint64_t end = ~std::uint64_t{0},
                      double bytes_per_second = 1e12);
  void abandon(const Download& download);
  void at(Duration from_now, std::function<void()> what) { events_.emplace(now + from_now, std::move(what)); }
  /// Until every download is done, or so long.
  void run(Duration limit = 120s);
  /// So long, whatever happens.
  void pass(Duration time);

  TimePoint now{std::chrono::hours(1)};
  Fetcher fetcher;
  std::uint64_t sent_chunks = 0;
  std::vector<Fetcher::Event> told;

 private:
  class Client;

  void beat(ServerId id);
  void carry(ServerId id, const transfer::Header& header, transfer::Message message, std::size_t size, bool to_server);
  void serve(ServerId id, RequestId request, const transfer::RequestFile& asked);
  void flush();
  void step(TimePoint end);
  bool chance(double share) { return std::uniform_real_distribution<>()(random_) < share; }

  std::mt19937 random_;
  std::multimap<TimePoint, std::function<void()>> events_;
  std::map<ServerId, FakeServer> servers_;
  std::vector<std::unique_ptr<Client>> clients_;
  ServerId next_server_ = 1;
  int at_once_ = 0;  ///< steps without time going on
};

}  // namespace farol::gateway_test
