#include "diff.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "table.hpp"

namespace flexgemm::bench {

namespace {

constexpr double least_bound = 0.02;

using Json = nlohmann::ordered_json;

std::map<std::string, const Json*> rows_by_name(const Json& results) {
  std::map<std::string, const Json*> rows;
  for (const Json& row : results["rows"]) {
    if (row.contains("failed")) continue;
    rows[fmt::format("{} C={} {} {}", row["scene"].get<std::string>(), row["channels"].get<std::int64_t>(),
                     row["dtype"].get<std::string>(), row["op"].get<std::string>())] = &row;
  }
  return rows;
}

void compare_time(const std::string& name, const char* time, const Json& before, const Json& after,
                  std::vector<Difference>& differences) {
  if (!before.contains(time) || !after.contains(time)) return;
  Difference difference{.row = name + " " + time,
                        .before = before[time]["median"].get<double>(),
                        .after = after[time]["median"].get<double>()};
  if (difference.before <= 0 || difference.after <= 0) return;
  difference.change = difference.after / difference.before - 1;
  difference.bound =
      std::max({least_bound, before[time].value("spread", 0.0), after[time].value("spread", 0.0)});
  differences.push_back(std::move(difference));
}

}  // namespace

bool Comparison::any_slower() const noexcept {
  return std::any_of(differences.begin(), differences.end(),
                     [](const Difference& one) { return one.slower(); });
}

Comparison compare(const Json& before, const Json& after) {
  Comparison comparison;
  const auto old_rows = rows_by_name(before);
  const auto new_rows = rows_by_name(after);
  for (const auto& [name, row] : old_rows) {
    const auto found = new_rows.find(name);
    if (found == new_rows.end()) {
      comparison.only_one_side.push_back(name + " (first file only)");
      continue;
    }
    for (const char* time : {"graph_ms", "call_ms"})
      compare_time(name, time, *row, *found->second, comparison.differences);
  }
  for (const auto& [name, row] : new_rows) {
    if (!old_rows.contains(name)) comparison.only_one_side.push_back(name + " (second file only)");
  }
  std::stable_sort(comparison.differences.begin(), comparison.differences.end(),
                   [](const Difference& a, const Difference& b) { return a.change > b.change; });
  return comparison;
}

std::string comparison_text(const Comparison& comparison, bool all) {
  Table table({"row", "before ms", "after ms", "change", "bound", ""}, 1);
  int slower = 0;
  int faster = 0;
  for (const Difference& one : comparison.differences) {
    slower += one.slower() ? 1 : 0;
    faster += one.counts() && !one.slower() ? 1 : 0;
    if (!all && !one.counts()) continue;
    const char* verdict = one.slower() ? "slower" : (one.counts() ? "faster" : "within spread");
    table.add({one.row, fmt::format("{:.4f}", one.before), fmt::format("{:.4f}", one.after),
               fmt::format("{:+.1f}%", 100 * one.change), fmt::format("{:.1f}%", 100 * one.bound), verdict});
  }
  std::string text = table.empty() ? "" : table.text(false);
  for (const std::string& row : comparison.only_one_side) text += row + '\n';
  text += fmt::format("{} times compared: {} slower, {} faster, {} within the spread\n",
                      comparison.differences.size(), slower, faster,
                      static_cast<int>(comparison.differences.size()) - slower - faster);
  return text;
}

}  // namespace flexgemm::bench
