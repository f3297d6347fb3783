#pragma once

#include <array>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace farol::proxyctl {

/// What `proxyctl top` shows, from the bodies of GET /api/v1/status. Pure; texts are printable, what is not there is
/// empty or "-".

/// A score's components, in the order of the bar.
inline constexpr std::array<const char*, 6> kParts = {"rtt", "tcp", "loss", "cpu", "memory", "doubt"};
inline constexpr std::string_view kPartLetters = "rtlcmd";

struct TopRow {
  std::string id;  ///< "address/pool", as the proxy calls it; for orders, not for the terminal
  std::string backend, pool, state;
  std::optional<double> score;
  std::array<double, kParts.size()> parts{};
  std::optional<double> rtt_ms, loss, tcp, cpu, memory, age_ms;
  std::optional<double> active, rate;  ///< rate: connections a second
};

struct TopView {
  /// The most important first: what and how long, connections, who was turned away.
  std::vector<std::string> headlines;
  std::vector<TopRow> rows;
};

/// `before` is the status that came before it (null: there is none): rates are from the difference of the two, by the
/// proxy's own time. None where a counter fell: it is another process.
TopView top_view(const nlohmann::json& status, const nlohmann::json& before);

}  // namespace farol::proxyctl
