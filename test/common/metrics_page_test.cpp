#include "common/metrics_page.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <limits>

using namespace farol;
using namespace std::chrono_literals;

TEST_CASE("MetricsPage: families with their samples", "[metrics]") {
  MetricsPage page;
  page.family("a_total", MetricType::counter, "How many.");
  page.sample({}, std::uint64_t{18'446'744'073'709'551'615U});
  page.family("b", MetricType::gauge, "How much.");
  page.sample(label("x", "1") + "," + label("y", "2"), 0.25);
  page.sample(label("x", "2"), 3.0);
  CHECK(page.take() ==
        "# HELP a_total How many.\n# TYPE a_total counter\na_total 18446744073709551615\n"
        "# HELP b How much.\n# TYPE b gauge\nb{x=\"1\",y=\"2\"} 0.25\nb{x=\"2\"} 3\n");
}

TEST_CASE("MetricsPage: a histogram's buckets are cumulated and its times are seconds", "[metrics]") {
  constexpr auto bounds = std::to_array<Duration>({100us, 2500ms});
  const HistogramCounts counts{bounds, {4, 0, 2}, 7'250'000};
  MetricsPage page;
  page.family("t_seconds", MetricType::histogram, "Times.");
  page.histogram(label("pool", "web"), counts);
  page.histogram({}, {bounds, {0, 1, 0}, 1});
  CHECK(page.take() ==
        "# HELP t_seconds Times.\n# TYPE t_seconds histogram\n"
        "t_seconds_bucket{pool=\"web\",le=\"0.0001\"} 4\nt_seconds_bucket{pool=\"web\",le=\"2.5\"} 4\n"
        "t_seconds_bucket{pool=\"web\",le=\"+Inf\"} 6\nt_seconds_sum{pool=\"web\"} 7.25\nt_seconds_count{pool=\"web\"} 6\n"
        "t_seconds_bucket{le=\"0.0001\"} 0\nt_seconds_bucket{le=\"2.5\"} 1\nt_seconds_bucket{le=\"+Inf\"} 1\n"
        "t_seconds_sum 1e-06\nt_seconds_count 1\n");
}

TEST_CASE("label: no value can end it, its sample or its line", "[metrics]") {
  CHECK(label("pool", "web-1.a") == R"(pool="web-1.a")");
  CHECK(label("pool", "a\"} 1\nforged 2") == R"(pool="a\"} 1\nforged 2")");
  CHECK(label("pool", "back\\slash") == R"(pool="back\\slash")");
  CHECK(label("pool", "<script>alert('x')</script>") == R"(pool="<script>alert('x')</script>")");
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text = label("x", std::string(1, static_cast<char>(byte)));
    CHECK(text.find_first_not_of(" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~") ==
          std::string::npos);
    CHECK(text.find('"', 3) == (byte == '"' ? 4 : text.size() - 1));
  }
}
