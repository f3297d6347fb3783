#include "proxy/weighted.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <cmath>
#include <span>
#include <vector>

using namespace farol::proxy;
using namespace std::chrono_literals;

namespace {

const WeightedConfig kConfig;
constexpr double kConnection = 0.03;  ///< what one connection weighs: the report's 0.3 for ten

LoadView says(double rtt_ms, double cpu, double memory, double foreign = 0) {
  LoadView view;
  view.reporting = true;
  view.rtt_ms = rtt_ms;
  view.cpu = cpu;
  view.memory = memory;
  view.foreign = foreign;
  return view;
}

LoadView serving(double open, double busy) {
  LoadView view = says(0, 0, 0);
  view.open = open;
  view.busy = busy;
  return view;
}

LoadView answering(double milliseconds, double trust = 1) {
  LoadView view = says(0, 0, 0);
  view.first_byte = std::log(milliseconds * 1000);
  view.first_byte_trust = trust;
  return view;
}

using Views = std::vector<LoadView>;

/// The scores of a whole pool at one moment.
std::vector<WeightedScore> scores(const Views& views, const WeightedConfig& config = kConfig) {
  const PoolView pool = survey(views, config);
  std::vector<WeightedScore> all;
  for (const LoadView& view : views) all.push_back(weighted_score(view, pool, config));
  return all;
}

}  // namespace

TEST_CASE("weighted: the report's Test 2, part by part", "[weighted]") {
  // Figure 5.10: one says 100 %, 100 % and 100 connections, the other 89 % of memory.
  Views pool = {says(3, 1, 1, 100), says(8, .07, .89)};
  const ScoreComponents full = scores(pool)[0].components, honest = scores(pool)[1].components;
  CHECK(full.rtt == Approx(.045));
  CHECK(full.tcp == Approx(3));
  CHECK(full.cpu == Approx(.5 + .25));
  CHECK(full.memory == Approx(.5 + 1));
  CHECK(full.sum() == Approx(5.295));
  CHECK(honest.rtt == Approx(.12));
  CHECK(honest.tcp == 0);
  CHECK(honest.cpu == Approx(.035));
  CHECK(honest.memory == Approx(.445 + .12 / .23));
  CHECK(honest.sum() == Approx(1.1217).margin(.0001));
  for (const ScoreComponents& parts : {full, honest}) {
    CHECK(parts.loss == 0);
    CHECK(parts.doubt == 0);
  }
  // The other one gets nothing until the honest one serves 139 at once.
  pool[1].open = pool[1].busy = 139;
  CHECK(scores(pool)[1].components.sum() < scores(pool)[0].components.sum());
  pool[1].open = pool[1].busy = 140;
  CHECK(scores(pool)[1].components.sum() > scores(pool)[0].components.sum());
}

TEST_CASE("weighted: a score is a line over own load, and the sum of its parts", "[weighted]") {
  LoadView slow = answering(400);
  slow.open = slow.busy = 7;
  slow.weight = 2;
  const Views pool = {serving(12, 3), slow, says(10, .9, .9, 5), answering(100)};
  const auto all = scores(pool);
  for (std::size_t i = 0; i < pool.size(); ++i) {
    const double load = own_load(pool[i].open, pool[i].busy, kConfig);
    CHECK(all[i].components.sum() == Approx(all[i].base + all[i].per_load * load));
  }
  CHECK(all[0].per_load == Approx(kConnection));
  CHECK(own_load(12, 3, kConfig) == Approx(3 + 9 * .05));  // those on which nothing is owed count little
}

TEST_CASE("weighted: no cut at a threshold, but a ramp", "[weighted]") {
  const auto parts = [](double cpu, double memory) { return scores({says(0, cpu, memory)})[0].components; };
  CHECK(parts(.77, .77).cpu == Approx(.385));
  CHECK(parts(.77, .77).memory == Approx(.385));
  CHECK(parts(.7701, .7701).sum() < .78);  // the report would say 100
  CHECK(parts(.885, 0).cpu == Approx(.4425 + .125));
  CHECK(parts(1, 1).cpu == Approx(.5 + .25));
  CHECK(parts(1, 1).memory == Approx(.5 + 1));
}

TEST_CASE("weighted: losses count beyond what chance explains beside the pool's median", "[weighted]") {
  Views pool(5, says(0, 0, 0));
  const auto loss_of_first = [&pool] { return scores(pool)[0].components.loss; };
  const double band = 2 / 99.0;  // no loss elsewhere, 99 probes behind an estimate, two standard deviations
  pool[0].loss = band - .001;
  CHECK(loss_of_first() == 0);
  pool[0].loss = band + .01;
  CHECK(loss_of_first() == Approx(.3));  // one per cent: ten connections
  for (LoadView& each : pool) each.loss = .05;
  CHECK(loss_of_first() == 0);  // the network loses everybody's
  SECTION("failures of connections have a wider band") {
    pool[0].loss = 0;
    pool[0].failure = 2 / 31.0 - .001;
    CHECK(loss_of_first() == 0);
    pool[0].failure = 2 / 31.0 + .02;
    CHECK(loss_of_first() == Approx(.6));
  }
  SECTION("the worse of both counts, not the sum") {
    for (LoadView& each : pool) each.loss = 0;
    pool[0].loss = band + .01;
    pool[0].failure = 2 / 31.0 + .02;
    CHECK(loss_of_first() == Approx(.6));
  }
}

TEST_CASE("weighted: a slow back-end's connections count several times", "[weighted]") {
  const auto slowness = [](double milliseconds, double trust = 1) {
    Views pool = {answering(milliseconds, trust), answering(100), answering(100)};
    pool[0].open = pool[0].busy = 4;
    // slow · (load + 1) − 1 connections
    return (scores(pool)[0].components.tcp / kConnection + 1) / 5;
  };
  CHECK(slowness(50) == Approx(1));   // fast ones get no bonus: their counts are low by themselves
  CHECK(slowness(149) == Approx(1));
  CHECK(slowness(300) == Approx(2));
  CHECK(slowness(1200) == Approx(8));
  CHECK(slowness(60'000) == Approx(8));
  CHECK(slowness(900, .5) == Approx(2));  // √9 / 1.5: half of it is believed
  CHECK(slowness(60'000, 0) == Approx(1));
}

TEST_CASE("weighted: of two the faster is the measure", "[weighted]") {
  const auto two = scores({answering(400), answering(100)});
  CHECK(two[0].per_load == Approx(kConnection * 4 / 1.5));
  CHECK(two[1].per_load == Approx(kConnection));
}

TEST_CASE("weighted: weight and slow start divide the connections", "[weighted]") {
  LoadView heavy = serving(5, 5), light = serving(0, 0), fresh = serving(0, 0);
  heavy.weight = 3;
  fresh.ramp = .1;
  const auto all = scores({heavy, light, fresh});
  CHECK(all[0].components.tcp == Approx(kConnection * (6 / 3.0 - 1)));
  CHECK(all[1].components.tcp == Approx(0).margin(1e-12));
  CHECK(all[2].components.tcp == Approx(kConnection * (1 / .1 - 1)));
  CHECK(scores({heavy})[0].base < all[1].base);  // idle, the heavy one comes first
}

TEST_CASE("weighted: others' connections are taken to be as busy as ours", "[weighted]") {
  LoadView shared = serving(10, 5);  // half of ours
  shared.foreign = 8;
  const double foreign = 8 * (.5 + .05 * .5);
  CHECK(scores({shared})[0].components.tcp == Approx(kConnection * (foreign + own_load(10, 5, kConfig))));
}

TEST_CASE("weighted: one that does not report is scored as the mean of those that do", "[weighted]") {
  Views pool = {says(10, .2, .4, 2), says(30, .4, .6, 6), says(999, 1, 1, 999)};
  pool[2].reporting = false;
  const auto all = scores(pool);
  const ScoreComponents mean = all[2].components;
  CHECK(mean.rtt == Approx((all[0].components.rtt + all[1].components.rtt) / 2));
  CHECK(mean.tcp == Approx((all[0].components.tcp + all[1].components.tcp) / 2));
  CHECK(mean.cpu == Approx((all[0].components.cpu + all[1].components.cpu) / 2));
  CHECK(mean.memory == Approx((all[0].components.memory + all[1].components.memory) / 2));
}

TEST_CASE("weighted: when more than half do not report only our own figures are compared", "[weighted]") {
  Views pool = {says(300, 1, 1, 50), serving(2, 2), serving(1, 1)};
  pool[1].reporting = false;
  CHECK_FALSE(survey(std::span(pool).first(2), kConfig).blind);  // half of them report
  pool[2].reporting = false;
  CHECK(survey(pool, kConfig).blind);
  const auto all = scores(pool);
  for (std::size_t i = 0; i < pool.size(); ++i)
    CHECK(all[i].components.sum() == Approx(kConnection * pool[i].busy));
  pool[0].failure = .5;  // is our own figure
  CHECK(scores(pool)[0].components.loss > 0);
}

TEST_CASE("weighted: an agent's word makes a back-end better by one average load, and worse without limit", "[weighted]") {
  Views pool(4, says(0, .8, .6, 10));
  for (LoadView& each : pool) each.open = each.busy = 6;
  pool[0].cpu = pool[0].memory = pool[0].foreign = 0;  // says that it is idle
  const auto total = [&pool](std::size_t i) { return scores(pool)[i].components.sum(); };
  CHECK(total(1) - total(0) == Approx(6 * kConnection));
  CHECK(scores(pool)[0].components.doubt > 0);
  CHECK(scores(pool)[1].components.doubt == 0);
  pool[0] = says(0, 1, 1, 100);  // says that it is full
  CHECK(scores(pool)[0].components.doubt == 0);
  CHECK(total(0) - total(1) > 100 * kConnection);
}

TEST_CASE("weighted: a pool of nobody has a view", "[weighted]") {
  const PoolView pool = survey({}, kConfig);
  CHECK(pool.load == 0);
  CHECK(pool.busy_share == 1);
  CHECK_FALSE(pool.first_byte);
}

TEST_CASE("weighted: smoothing follows the probe interval", "[weighted]") {
  const auto taus = [](farol::Duration interval) {
    const WeightedConfig config = WeightedConfig::for_interval(interval);
    return std::vector<farol::Duration>{config.cpu_tau, config.rtt_tau, config.foreign_tau};
  };
  CHECK(taus(1s) == std::vector<farol::Duration>{10s, 2s, 2s});
  CHECK(taus(5s) == std::vector<farol::Duration>{40s, 10s, 10s});
  CHECK(taus(3s) == std::vector<farol::Duration>{25s, 6s, 6s});
  CHECK(taus(100ms) == taus(1s));
}
