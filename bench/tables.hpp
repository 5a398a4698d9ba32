#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace flexgemm::bench {

/// The results as tables for a terminal of 160 columns, or as Markdown for docs/performance.md. Cells that
/// were not measured hold a dash.
std::string results_tables(const nlohmann::ordered_json& results, bool markdown);

/// The ceilings alone.
std::string ceilings_table(const nlohmann::ordered_json& ceilings, bool markdown);

}  // namespace flexgemm::bench
