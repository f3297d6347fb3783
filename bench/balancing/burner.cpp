// The check of the emulation: back-ends that really burn CPU, each on a core of its own, one thread for each request, so
// that the kernel's scheduler shares the core. Speaks like `backends` (see there) and reads the same pool file, of which
// only service, report, speed and window count; a slower back-end burns longer.
#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <ctime>
#include <deque>
#include <fstream>
#include <iostream>
#include <list>
#include <memory>
#include <thread>

#include "common/clock.hpp"
#include "common/listener.hpp"
#include "pool_file.hpp"

namespace farol::balancing {
namespace {

struct Backend {
  Backend(const BackendSpec& given, std::size_t number) : spec(given), index(number), service(given.service) {}
  const BackendSpec spec;
  const std::size_t index;
  Listener service;
  std::atomic<std::int64_t> burned_us{0};
  std::atomic<unsigned> connections{0}, served{0};
};

double thread_cpu() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

void burn(double seconds, Backend& backend) {
  const double from = thread_cpu();
  double done = 0;
  while (done < seconds) {
    for (double until = std::min(done + 0.001, seconds); done < until;) done = thread_cpu() - from;
    backend.burned_us += 1000;
  }
}

void serve(Fd client, Backend& backend) {
  cpu_set_t core;
  CPU_ZERO(&core);
  CPU_SET(backend.index % std::thread::hardware_concurrency(), &core);
  pthread_setaffinity_np(pthread_self(), sizeof core, &core);
  const sched_param ordinary{};
  pthread_setschedparam(pthread_self(), SCHED_OTHER, &ordinary);  // shared fairly, and below the load and the proxy
  ++backend.connections;
  std::array<char, 256> line{};
  double work_us = 0;
  if (recv(client.get(), line.data(), line.size() - 1, 0) > 0 && std::sscanf(line.data(), "%lf", &work_us) == 1) {
    burn(work_us / 1e6 / backend.spec.speed, backend);
    const std::string answer = fmt::format("{}\n", backend.index);
    (void)!send(client.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
    ++backend.served;
  }
  --backend.connections;
}

void accept_all(Backend& backend) {
  std::list<std::jthread> requests;
  Fd client;
  Address peer;
  while (backend.service.accept(client, peer) != Listener::Outcome::closed)
    if (client) requests.emplace_back(serve, std::move(client), std::ref(backend));
}

void report(Backend& backend, double window, const std::atomic<bool>& over) {
  std::deque<std::pair<TimePoint, std::int64_t>> meter;
  while (!over) {
    const TimePoint now = Clock::now();
    meter.push_back({now, backend.burned_us});
    while (meter.size() > 2 && meter[1].first <= now - from_seconds(window)) meter.pop_front();
    const double seconds = std::max(1e-3, to_seconds(now - meter.front().first));
    const double cpu = std::min(1.0, static_cast<double>(backend.burned_us - meter.front().second) / 1e6 / seconds);
    if (backend.spec.report != "-") {
      const std::string fresh = backend.spec.report + ".new";
      std::ofstream(fresh) << fmt::format("cpu={:.2f},mem=40,tcp={}\n", cpu * 100, backend.connections.load());
      std::rename(fresh.c_str(), backend.spec.report.c_str());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

int run(const char* path) {
  std::ifstream file(path);
  const PoolSpec pool = read_pool(file);
  std::vector<std::unique_ptr<Backend>> backends;
  for (const BackendSpec& spec : pool.backends) backends.push_back(std::make_unique<Backend>(spec, backends.size()));
  std::atomic<bool> over{false};
  {
    std::vector<std::jthread> threads;
    for (const auto& backend : backends) {
      threads.emplace_back(accept_all, std::ref(*backend));
      threads.emplace_back(report, std::ref(*backend), pool.cpu_window, std::cref(over));
    }
    fmt::print("ready\n");
    std::fflush(stdout);
    for (std::string line; std::getline(std::cin, line);) {
    }
    over = true;
    for (const auto& backend : backends) backend->service.close_listening();
  }
  fmt::print("{{\"late_p99_us\": 0, \"late_max_us\": 0, \"backends\": [");
  for (const auto& backend : backends)
    fmt::print("{}{{\"served\": {}, \"cpu_used\": {:.3f}, \"sessions\": []}}", backend->index > 0 ? ", " : "",
               backend->served.load(), static_cast<double>(backend->burned_us) / 1e6);
  fmt::print("]}}\n");
  return 0;
}

}  // namespace
}  // namespace farol::balancing

int main(int argc, char** argv) try {
  if (argc != 2) return fmt::print(stderr, "usage: burner POOL-FILE\n"), 64;
  return farol::balancing::run(argv[1]);
} catch (const std::exception& error) {
  fmt::print(stderr, "burner: {}\n", error.what());
  return 1;
}
