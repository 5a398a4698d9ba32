#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace flexgemm::bench {

/// One time of one row in two runs.
struct Difference {
  std::string row;    ///< "sphere:64 C=1024 f16 forward graph_ms"
  double before = 0;  ///< median, ms
  double after = 0;
  double change = 0;  ///< after / before - 1
  double bound =
      0;  ///< what the change must exceed to count: the larger spread of the two, at least 2 percent
  bool counts() const noexcept { return change > bound || change < -bound; }
  bool slower() const noexcept { return change > bound; }
};

struct Comparison {
  std::vector<Difference> differences;     ///< of all times that both runs have
  std::vector<std::string> only_one_side;  ///< rows of one run alone
  bool any_slower() const noexcept;
};

Comparison compare(const nlohmann::ordered_json& before, const nlohmann::ordered_json& after);

/// The differences that count, slower ones first, and a line that sums up; with `all` every difference.
std::string comparison_text(const Comparison& comparison, bool all);

}  // namespace flexgemm::bench
