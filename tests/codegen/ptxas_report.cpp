#include "ptxas_report.hpp"

#include <charconv>

namespace flexgemm::test {

namespace {

/// The integer that stands right before `words`.
std::optional<int> number_before(std::string_view log, std::string_view words) {
  const std::size_t end = log.find(words);
  if (end == std::string_view::npos) return {};
  std::size_t begin = end;
  while (begin > 0 && log[begin - 1] >= '0' && log[begin - 1] <= '9') --begin;
  int value = 0;
  if (std::from_chars(log.data() + begin, log.data() + end, value).ec != std::errc{}) return {};
  return value;
}

}  // namespace

std::optional<PtxasReport> parse_ptxas_report(std::string_view log) {
  const auto registers = number_before(log, " registers");
  const auto stack = number_before(log, " bytes stack frame");
  const auto stores = number_before(log, " bytes spill stores");
  const auto loads = number_before(log, " bytes spill loads");
  if (!registers || !stack || !stores || !loads) return {};
  const bool serialized = log.find("instructions are serialized") != std::string_view::npos;
  return PtxasReport{*registers, *stack, *stores, *loads, serialized};
}

}  // namespace flexgemm::test
