// The simulation behind the constants of `weighted`: the product's own rules in virtual time, beside other policies'.
//   study headline | ablation | weights | staleness | one SCENARIO    [--seeds N] [--threads N]
// Prints tables in Markdown; the same for the same arguments, on any machine.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "contenders.hpp"

namespace farol::study {
namespace {

/// The median over the seeds of what one contender did in one scenario.
struct Cell {
  double p50 = 0, p99 = 0, p999 = 0, failed = 0, fault_share = 0, fault_failed = 0, deepest = 0;
};

/// Rows: scenarios; columns: contenders.
using Grid = std::vector<std::vector<Cell>>;

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

Cell middle(const std::vector<Outcome>& runs) {
  const auto of = [&runs](auto field) {
    std::vector<double> values;
    for (const Outcome& run : runs) values.push_back(static_cast<double>(run.*field));
    return median(std::move(values));
  };
  return {of(&Outcome::p50),         of(&Outcome::p99),          of(&Outcome::p999),   of(&Outcome::failed),
          of(&Outcome::fault_share), of(&Outcome::fault_failed), of(&Outcome::deepest)};
}

struct Options {
  unsigned seeds = 3, threads = std::max(1U, std::thread::hardware_concurrency());
};

/// Every contender in every scenario with every seed, on several threads; runs share nothing.
Grid run_all(const std::vector<Scenario>& scenarios, const std::vector<Contender>& contenders, const Options& options) {
  const std::size_t per_row = contenders.size() * options.seeds, count = scenarios.size() * per_row;
  std::vector<Outcome> outcomes(count);
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < count; i = next++)
      outcomes[i] = simulate(scenarios[i / per_row], contenders[i % per_row / options.seeds].make, i % options.seeds + 1);
  };
  std::vector<std::jthread> threads;
  for (unsigned t = 0; t < options.threads; ++t) threads.emplace_back(work);
  threads.clear();
  Grid grid(scenarios.size());
  for (std::size_t i = 0; i < count; i += options.seeds) {
    const auto first = outcomes.begin() + static_cast<std::ptrdiff_t>(i);
    grid[i / per_row].push_back(middle({first, first + options.seeds}));
  }
  return grid;
}

void print_extent(std::size_t scenarios, const Options& options) {
  fmt::print("{} scenarios, {}.\n\n", scenarios,
             options.seeds == 1 ? "one seed" : fmt::format("median of {} seeds", options.seeds));
}

double geometric_mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += std::log(value);
  return std::exp(sum / static_cast<double>(values.size()));
}

std::size_t place_of(const std::vector<Contender>& contenders, const std::string& name) {
  return static_cast<std::size_t>(
      std::ranges::find_if(contenders, [&](const Contender& one) { return one.name == name; }) - contenders.begin());
}

double best_of(const std::vector<Cell>& row) { return std::ranges::min_element(row, {}, &Cell::p99)->p99; }

/// p99 of each contender in each scenario, in milliseconds.
void print_p99(const std::vector<Scenario>& scenarios, const std::vector<Contender>& contenders, const Grid& grid) {
  fmt::print("| p99, ms |");
  for (const Contender& one : contenders) fmt::print(" {} |", one.name);
  fmt::print("\n|---|");
  for (std::size_t i = 0; i < contenders.size(); ++i) fmt::print("--:|");
  fmt::print("\n");
  for (std::size_t s = 0; s < scenarios.size(); ++s) {
    fmt::print("| {} |", scenarios[s].name);
    for (const Cell& cell : grid[s]) {
      const char* mark = cell.p99 <= best_of(grid[s]) * 1.005 ? "**" : "";
      fmt::print(" {0}{1:.0f}{0} |", mark, cell.p99);
    }
    fmt::print("\n");
  }
  fmt::print("\n");
}

void print_means(const std::vector<Scenario>& scenarios, const std::vector<Contender>& contenders, const Grid& grid) {
  const std::size_t base = place_of(contenders, reference().name);
  fmt::print("| policy | p99 ÷ least connections, geometric mean | … without faults | … with a fault | "
             "worst ÷ best of a scenario | in | sink: failed |\n|---|--:|--:|--:|--:|---|--:|\n");
  for (std::size_t c = 0; c < contenders.size(); ++c) {
    std::vector<double> all, steady, faulty;
    std::pair<double, std::string> worst;
    double sink = 0;
    for (std::size_t s = 0; s < scenarios.size(); ++s) {
      const double ratio = grid[s][c].p99 / grid[s][base].p99;
      all.push_back(ratio);
      (scenarios[s].fault == Fault::none ? steady : faulty).push_back(ratio);
      worst = std::max(worst, {grid[s][c].p99 / best_of(grid[s]), scenarios[s].name});
      if (scenarios[s].name == "sink") sink = grid[s][c].fault_failed;
    }
    fmt::print("| {} | {:.3f} | {:.3f} | {:.3f} | {:.2f} | {} | {:.2f} % |\n", contenders[c].name, geometric_mean(all),
               geometric_mean(steady), geometric_mean(faulty), worst.first, worst.second, sink * 100);
  }
  fmt::print("\n");
}

/// Where the first contender is more than 10 % behind the best.
void print_behind(const std::vector<Scenario>& scenarios, const std::vector<Contender>& contenders, const Grid& grid) {
  fmt::print("| p99, ms | {} | the best | | ratio |\n|---|--:|---|--:|--:|\n", contenders[0].name);
  for (std::size_t s = 0; s < scenarios.size(); ++s) {
    const auto best = std::ranges::min_element(grid[s], {}, &Cell::p99);
    const double ours = grid[s][0].p99;
    if (ours > best->p99 * 1.1)
      fmt::print("| {} | {:.0f} | {} | {:.0f} | {:.2f} |\n", scenarios[s].name, ours,
                 contenders[static_cast<std::size_t>(best - grid[s].begin())].name, best->p99, ours / best->p99);
  }
  fmt::print("\n");
}

void headline(const Options& options) {
  const std::vector<Contender> contenders = field();
  const Grid grid = run_all(suite(), contenders, options);
  print_extent(grid.size(), options);
  print_means(suite(), contenders, grid);
  print_behind(suite(), contenders, grid);
  print_p99(suite(), contenders, grid);
}

/// What happens to the mean when something is changed, and the three scenarios in which that shows most.
void changes(const std::vector<Contender>& variants, const char* head, const Options& options) {
  std::vector<Contender> contenders = variants;
  contenders.push_back(reference());
  const Grid grid = run_all(suite(), contenders, options);
  print_extent(grid.size(), options);
  fmt::print("| {} | p99 ÷ least connections | sink: failed | where it shows: p99 in ms, as it is → so |\n|---|--:|--:|---|\n",
             head);
  for (std::size_t c = 0; c < variants.size(); ++c) {
    std::vector<double> ratios;
    std::vector<std::pair<double, std::size_t>> moved;  // by how much, scenario
    double sink = 0;
    for (std::size_t s = 0; s < grid.size(); ++s) {
      ratios.push_back(grid[s][c].p99 / grid[s].back().p99);
      moved.push_back({std::abs(std::log(grid[s][c].p99 / grid[s][0].p99)), s});
      if (suite()[s].name == "sink") sink = grid[s][c].fault_failed;
    }
    std::ranges::sort(moved, std::greater<>());
    std::string shows;
    for (std::size_t i = 0; i < 3 && moved[i].first > std::log(1.1); ++i) {
      const std::size_t s = moved[i].second;
      shows += fmt::format("{}{} {:.0f} → {:.0f}", i > 0 ? ", " : "", suite()[s].name, grid[s][0].p99, grid[s][c].p99);
    }
    fmt::print("| {} | {:.3f} | {:.2f} % | {} |\n", variants[c].name, geometric_mean(ratios), sink * 100,
               shows.empty() && c > 0 ? "nowhere by 10 %" : shows);
  }
  fmt::print("\n");
}

void staleness(const Options& options) {
  std::vector<Contender> contenders{reference()};
  for (const double interval : kIntervals)
    for (Contender& one : by_staleness(interval)) contenders.push_back(std::move(one));
  const Grid grid = run_all(suite(), contenders, options);
  const std::size_t kinds = by_staleness(1).size();
  print_extent(grid.size(), options);
  fmt::print("| p99 ÷ least connections, geometric mean |");
  for (const double interval : kIntervals) fmt::print(" {} s |", interval);
  fmt::print("\n|---|");
  for (std::size_t i = 0; i < std::size(kIntervals); ++i) fmt::print("--:|");
  fmt::print("\n");
  for (std::size_t kind = 0; kind < kinds; ++kind) {
    fmt::print("| {} |", contenders[1 + kind].name);
    for (std::size_t i = 0; i < std::size(kIntervals); ++i) {
      std::vector<double> ratios;
      for (const auto& row : grid) ratios.push_back(row[1 + i * kinds + kind].p99 / row[0].p99);
      fmt::print(" {:.3f} |", geometric_mean(ratios));
    }
    fmt::print("\n");
  }
  fmt::print("\n");
}

void one_scenario(const std::string& name, const Options& options) {
  const std::vector<Scenario> scenarios{scenario(name)};
  const std::vector<Contender> contenders = field();
  const Grid grid = run_all(scenarios, contenders, options);
  fmt::print("| {} | p50 | p99 | p99.9 | failed | to the faulty one | deepest queue |\n|---|--:|--:|--:|--:|--:|--:|\n",
             name);
  for (std::size_t c = 0; c < contenders.size(); ++c) {
    const Cell& cell = grid[0][c];
    fmt::print("| {} | {:.1f} | {:.1f} | {:.1f} | {:.3f} % | {:.2f} % | {:.0f} |\n", contenders[c].name, cell.p50,
               cell.p99, cell.p999, cell.failed * 100, cell.fault_share * 100, cell.deepest);
  }
}

int run(int argc, char** argv) {
  CLI::App app("The simulation behind the constants of `weighted`.", "study");
  Options options;
  std::string name;
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--seeds", options.seeds, "runs of each scenario; their median counts")->check(CLI::Range(1, 1000));
  app.add_option("--threads", options.threads)->check(CLI::Range(1, 256))->capture_default_str();
  app.add_subcommand("headline", "everyone over the whole suite")->callback([&] { headline(options); });
  app.add_subcommand("ablation", "`weighted` without one thing at a time")->callback([&] {
    changes(ablations(), "without", options);
  });
  app.add_subcommand("weights", "each constant halved and doubled")->callback([&] {
    changes(weights(), "changed", options);
  });
  app.add_subcommand("staleness", "probes from every 0.1 s to every 30 s")->callback([&] { staleness(options); });
  auto* one = app.add_subcommand("one", "everyone in one scenario");
  one->add_option("scenario", name)->required();
  one->callback([&] { one_scenario(name, options); });
  CLI11_PARSE(app, argc, argv);
  return 0;
}

}  // namespace
}  // namespace farol::study

int main(int argc, char** argv) try {
  return farol::study::run(argc, argv);
} catch (const std::exception& error) {
  fmt::print(stderr, "study: {}\n", error.what());
  return 1;
}
