#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace farol::model {

/// What a load consists of; all times in seconds. Everything is drawn before the first byte is sent, from the seed alone,
/// so that every proxy is asked the same at the same moments.
struct LoadSpec {
  double seconds = 30;
  double rate = 100;                 ///< sessions per second
  std::string arrivals = "poisson";  ///< burst: 2.5 times the rate in the first second of five; or batch
  int batch = 0;                     ///< sessions that arrive one after another within 50 ms, every `batch_every`
  double batch_every = 5;
  std::string work = "exponential";  ///< of the CPU time: exponential, bimodal, pareto (bounded), fixed
  double work_mean = 0.05;
  double wait_mean = 0;              ///< exponential, after the CPU time; 0: none
  double long_share = 0;             ///< of the sessions: they live for `long_life` and ask every `think`, both exponential
  double long_life = 10, think = 2;
  std::size_t targets = 1;           ///< a session goes to one of them at random
  std::uint64_t seed = 1;
};

struct Request {
  double due = 0;
  double work = 0, wait = 0;
};

struct Session {
  std::size_t target = 0;
  std::vector<Request> requests;  ///< never empty
  [[nodiscard]] bool keep() const { return requests.size() > 1; }
};

class Scheduler {
 public:
  explicit Scheduler(const LoadSpec& spec) : spec_(spec), random_(spec.seed) {}

  /// All sessions in the order of their first request.
  std::vector<Session> sessions() {
    std::vector<Session> all;
    for (const double due : arrivals()) {
      Session& session = all.emplace_back();
      session.target = std::uniform_int_distribution<std::size_t>(0, spec_.targets - 1)(random_);
      session.requests.push_back(request(due));
      if (spec_.long_share <= 0 || uniform() >= spec_.long_share) continue;
      const double end = std::min(due + exponential(spec_.long_life), spec_.seconds);
      for (double next = due + exponential(spec_.think); next < end; next += exponential(spec_.think))
        session.requests.push_back(request(next));
    }
    return all;
  }

 private:
  std::vector<double> arrivals() {
    std::vector<double> times;
    if (spec_.arrivals == "batch") {
      constexpr double kWithin = 0.05;  // less than a tick or a probe interval, and enough to connect so often
      for (double at = 1; at < spec_.seconds; at += spec_.batch_every)
        for (int i = 0; i < spec_.batch; ++i) times.push_back(at + kWithin * i / spec_.batch);
      return times;
    }
    if (spec_.arrivals != "poisson" && spec_.arrivals != "burst")
      throw std::runtime_error("arrivals are poisson, burst or batch");
    const bool bursty = spec_.arrivals == "burst";
    // Of variable rate: the gap is drawn for the rate of the moment (at most one gap too long at a step).
    for (double at = 0;;) {
      const double factor = !bursty ? 1 : std::fmod(at, 5) < 1 ? 2.5 : 0.625;
      at += exponential(1) / (spec_.rate * factor);
      if (at >= spec_.seconds) break;
      times.push_back(at);
    }
    return times;
  }

  Request request(double due) {
    return {due, work(), spec_.wait_mean > 0 ? exponential(spec_.wait_mean) : 0};
  }

  double work() {
    if (spec_.work == "exponential") return exponential(spec_.work_mean);
    if (spec_.work == "fixed") return spec_.work_mean;
    if (spec_.work == "bimodal") return exponential(spec_.work_mean * (uniform() < 0.9 ? 0.5 : 5.5));
    if (spec_.work == "pareto") return spec_.work_mean * bounded_pareto();
    throw std::runtime_error("work is exponential, fixed, bimodal or pareto");
  }

  /// Mean 1, shape 1.5, the largest 1000 times the smallest.
  double bounded_pareto() {
    constexpr double kShape = 1.5, kRatio = 1000;
    const double tail = std::pow(kRatio, -kShape);
    const double mean = kShape / (kShape - 1) * (1 - std::pow(kRatio, 1 - kShape)) / (1 - tail);
    return std::pow(1 - uniform() * (1 - tail), -1 / kShape) / mean;
  }

  double uniform() { return std::uniform_real_distribution<double>()(random_); }
  double exponential(double mean) { return mean * std::exponential_distribution<double>()(random_); }

  const LoadSpec spec_;
  std::mt19937_64 random_;
};

}  // namespace farol::model
