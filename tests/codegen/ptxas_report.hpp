#pragma once

#include <optional>
#include <string_view>

namespace flexgemm::test {

/// What ptxas -v says of the one kernel of a program.
struct PtxasReport {
  int registers = 0;
  int stack_bytes = 0;
  int spill_store_bytes = 0;
  int spill_load_bytes = 0;
  /// Whether ptxas made wgmma's products wait for each other, as it does where it sees a hazard in them.
  bool serialized = false;

  bool uses_local_memory() const { return stack_bytes + spill_store_bytes + spill_load_bytes > 0; }
};

/// Reads the report out of a compile log; nothing if a number of it is missing.
std::optional<PtxasReport> parse_ptxas_report(std::string_view log);

}  // namespace flexgemm::test
