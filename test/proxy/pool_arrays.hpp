#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "proxy/policy.hpp"

namespace farol::test {

/// A pool as a policy sees it, without a table.
struct PoolArrays {
  explicit PoolArrays(const std::vector<double>& keys) {
    for (const double each : keys) add(each, 1);
  }
  void add(double a_key, double a_share) {
    identity.push_back(identity.size() * 0x9e3779b97f4a7c15 + 12345);
    key.push_back(a_key);
    chosen_at.push_back(0);
    share.push_back(a_share);
    open.push_back(0);
    credit.push_back(0);
  }
  proxy::Candidates candidates() { return {key, chosen_at, share, open, identity, credit}; }

  std::vector<double> key;
  std::vector<std::uint64_t> chosen_at;
  std::vector<double> share;
  std::vector<std::uint32_t> open;
  std::vector<std::uint64_t> identity;
  std::vector<double> credit;
};

}  // namespace farol::test
