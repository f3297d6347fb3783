#pragma once

#include <string>
#include <utility>
#include <vector>

#include "common/log.hpp"

namespace farol::proxy {

/// Log lines written down under a lock and logged after it. One thread.
class Notices {
 public:
  void add(LogLevel level, std::string message, std::vector<LogField> fields) {
    lines_.push_back({level, std::move(message), std::move(fields)});
  }
  void write(const Logger& log) const {
    for (const Line& line : lines_) log.log(line.level, line.message, std::span<const LogField>(line.fields));
  }

 private:
  struct Line {
    LogLevel level;
    std::string message;
    std::vector<LogField> fields;
  };
  std::vector<Line> lines_;
};

}  // namespace farol::proxy
