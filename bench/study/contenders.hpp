#pragma once

#include <string>
#include <vector>

#include "farol.hpp"
#include "rivals.hpp"
#include "simulation.hpp"

namespace farol::study {

/// A policy with its settings, under a name for the tables.
struct Contender {
  std::string name;
  MakeDispatcher make;
};

Contender farol_as(std::string name, const Farol::Settings& settings);
Contender rival_as(std::string name, const Rival::Settings& settings);

/// What every mean is relative to: least connections, by the product's own policy and liveness, without agents' figures.
Contender reference();
/// `weighted` with probes every `interval` seconds and the constants that go with it, changed or not.
Contender weighted(std::string name, double interval, const std::function<void(proxy::WeightedConfig&)>& change = {});

/// Everyone in the headline table; the first is `weighted` at its default, and reference() is among them.
std::vector<Contender> field();
/// `weighted` as it is, and with one thing taken away or changed at a time.
std::vector<Contender> ablations();
/// `weighted` as it is, and with each weight and constant halved and doubled.
std::vector<Contender> weights();
/// Those who know something old, for ages from 0.1 s to 30 s.
std::vector<Contender> by_staleness(double interval);
inline constexpr double kIntervals[] = {0.1, 0.3, 1, 2, 5, 10, 30};

}  // namespace farol::study
