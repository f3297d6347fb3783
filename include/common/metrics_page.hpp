#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/histogram.hpp"

namespace farol {

enum class MetricType { counter, gauge, histogram };

/// Writes a page of metrics in Prometheus' text format, version 0.0.4. All samples of a family follow its beginning.
/// No I/O; not thread-safe.
class MetricsPage {
 public:
  /// Begins a family. `name` lives until the next one begins; `help` is one line.
  void family(std::string_view name, MetricType type, std::string_view help);
  /// One sample of it; `labels` are those of label(), joined by commas, or none.
  void sample(std::string_view labels, double value);
  void sample(std::string_view labels, std::uint64_t value);
  /// A family of one sample without labels.
  void single(std::string_view name, MetricType type, std::string_view help, double value);
  /// All samples of one histogram, in seconds.
  void histogram(std::string_view labels, const HistogramCounts& counts);

  [[nodiscard]] std::string take() { return std::move(text_); }

  static constexpr const char* kContentType = "text/plain; version=0.0.4; charset=utf-8";

 private:
  void begin(std::string_view suffix, std::string_view labels);

  std::string_view family_;
  std::string text_;
};

/// `name="value"`, whatever the value holds: what would end it or its line is escaped, and other bytes that are no
/// printable ASCII are shown as '?'.
std::string label(std::string_view name, std::string_view value);

}  // namespace farol
