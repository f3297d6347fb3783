#include "common/metrics_page.hpp"

#include <fmt/format.h>

#include <iterator>

namespace farol {
namespace {

std::string_view type_name(MetricType type) {
  switch (type) {
    case MetricType::counter: return "counter";
    case MetricType::gauge: return "gauge";
    case MetricType::histogram: return "histogram";
  }
  return "untyped";
}

}  // namespace

void MetricsPage::family(std::string_view name, MetricType type, std::string_view help) {
  family_ = name;
  fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type_name(type));
}

void MetricsPage::begin(std::string_view suffix, std::string_view labels) {
  text_ += family_;
  text_ += suffix;
  if (!labels.empty()) {
    text_ += '{';
    text_ += labels;
    text_ += '}';
  }
  text_ += ' ';
}

void MetricsPage::sample(std::string_view labels, double value) {
  begin({}, labels);
  fmt::format_to(std::back_inserter(text_), "{}\n", value);
}

void MetricsPage::sample(std::string_view labels, std::uint64_t value) {
  begin({}, labels);
  fmt::format_to(std::back_inserter(text_), "{}\n", value);
}

void MetricsPage::single(std::string_view name, MetricType type, std::string_view help, double value) {
  family(name, type, help);
  sample({}, value);
}

void MetricsPage::histogram(std::string_view labels, const HistogramCounts& counts) {
  const std::string prefix = labels.empty() ? std::string() : std::string(labels) + ",";
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < counts.counts.size(); ++i) {
    below += counts.counts[i];
    begin("_bucket", prefix + label("le", i < counts.bounds.size() ? fmt::format("{}", to_seconds(counts.bounds[i]))
                                                                  : "+Inf"));
    fmt::format_to(std::back_inserter(text_), "{}\n", below);
  }
  begin("_sum", labels);
  fmt::format_to(std::back_inserter(text_), "{}\n", static_cast<double>(counts.sum_us) / 1e6);
  begin("_count", labels);
  fmt::format_to(std::back_inserter(text_), "{}\n", below);
}

std::string label(std::string_view name, std::string_view value) {
  std::string text(name);
  text += "=\"";
  for (const char c : value) {
    if (c == '"' || c == '\\')
      text += {'\\', c};
    else if (c == '\n')
      text += "\\n";
    else
      text += c >= 0x20 && c < 0x7f ? c : '?';
  }
  text += '"';
  return text;
}

}  // namespace farol
