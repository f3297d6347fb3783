#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace farol::dashboard {

/// The rows that are shown, each as one JSON text, and what became of those shown before. Not thread-safe: its owner
/// guards it.
class Sheet {
 public:
  using Rows = std::map<std::string, std::string>;  ///< JSON by id

  /// Turns over a new leaf for the next sample, still blank. What was not rendered is nothing to compare with.
  void turn();
  [[nodiscard]] bool blank() const { return blank_; }
  void fill(Rows rows);

  /// "[…,…]": every row.
  [[nodiscard]] std::string all() const;
  /// Those that are new or other than on the leaf before; all of them where that was blank.
  [[nodiscard]] std::string changed() const;
  /// ["id",…] of the leaf before that are no more.
  [[nodiscard]] std::string gone() const;

 private:
  Rows now_, before_;
  bool blank_ = true;
};

}  // namespace farol::dashboard
