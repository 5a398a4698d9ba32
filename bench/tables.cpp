#include "tables.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "table.hpp"

namespace flexgemm::bench {

namespace {

using Json = nlohmann::ordered_json;

/// The number at a path of keys, or none.
std::optional<double> number(const Json& row, std::initializer_list<const char*> path) {
  const Json* at = &row;
  for (const char* key : path) {
    if (!at->is_object() || !at->contains(key)) return std::nullopt;
    at = &(*at)[key];
  }
  return at->is_number() ? std::optional(at->get<double>()) : std::nullopt;
}

std::string cell(const Json& row, std::initializer_list<const char*> path, const char* format,
                 double scale = 1) {
  const auto value = number(row, path);
  return value ? fmt::format(fmt::runtime(format), *value * scale) : "-";
}

/// Milliseconds with four digits that count.
std::string milliseconds(const Json& row, std::initializer_list<const char*> path) {
  const auto value = number(row, path);
  if (!value) return "-";
  if (*value < 10) return fmt::format("{:.4f}", *value);
  return fmt::format("{:.2f}", *value);
}

std::string text(const Json& row, const char* key) {
  return row.contains(key) && row[key].is_string() ? row[key].get<std::string>() : "-";
}

std::string integer(const Json& row, const char* key) {
  return row.contains(key) ? fmt::format("{}", row[key].get<std::int64_t>()) : "-";
}

using Wanted = std::function<bool(const std::string& op)>;

template <class AddRow>
void for_rows(const Json& results, const Wanted& wanted, const AddRow& add) {
  for (const Json& row : results["rows"]) {
    if (!row.contains("failed") && wanted(row["op"].get<std::string>())) add(row);
  }
}

bool is_pass(const std::string& op) { return op == "forward" || op.starts_with("grad_"); }

Table pass_table(const Json& results) {
  const bool on_cpu = results.value("on_cpu", false);
  Table table({"scene", "C", "type", "pass", "graph ms", "min", "call ms", "min", "host us", "TFLOP/s",
               on_cpu ? "%sgemm" : "%ceil", "limit ms", "%limit", "waste", "MB", "peak MB", "x kernel",
               "x call", "spread%"},
              4);
  for_rows(results, is_pass, [&](const Json& row) {
    const char* main = row.contains("graph_ms") ? "graph_ms" : "call_ms";
    table.add({text(row, "scene"), integer(row, "channels"), text(row, "dtype"), text(row, "op"),
               milliseconds(row, {"graph_ms", "median"}), milliseconds(row, {"graph_ms", "min"}),
               milliseconds(row, {"call_ms", "median"}), milliseconds(row, {"call_ms", "min"}),
               cell(row, {"host_us", "median"}, "{:.1f}"),
               cell(row, {"useful_tflops"}, on_cpu ? "{:.3f}" : "{:.1f}"),
               cell(row, {on_cpu ? "percent_of_sgemm" : "percent_of_ceiling"}, "{:.1f}"),
               milliseconds(row, {"limit_ms"}), cell(row, {"percent_of_limit"}, "{:.1f}"),
               cell(row, {"waste"}, "{:.2f}"), cell(row, {"least_bytes"}, "{:.1f}", 1e-6),
               cell(row, {"peak_bytes"}, "{:.0f}", 1e-6), cell(row, {"baseline", "kernel_ratio"}, "{:.2f}"),
               cell(row, {"baseline", "call_ratio"}, "{:.2f}"), cell(row, {main, "spread"}, "{:.1f}", 100)});
  });
  return table;
}

Table map_table(const Json& results) {
  Table table({"scene", "C", "type", "voxels", "pairs", "build ms", "min", "unchecked ms",
               "build + layout ms", "min", "limit ms", "x baseline", "spread%"},
              3);
  for_rows(
      results, [](const std::string& op) { return op == "map"; },
      [&](const Json& row) {
        table.add({text(row, "scene"), integer(row, "channels"), text(row, "dtype"), integer(row, "voxels"),
                   integer(row, "pairs"), milliseconds(row, {"parts", "build_ms", "median"}),
                   milliseconds(row, {"parts", "build_ms", "min"}),
                   milliseconds(row, {"parts", "build_unchecked_ms", "median"}),
                   milliseconds(row, {"call_ms", "median"}), milliseconds(row, {"call_ms", "min"}),
                   milliseconds(row, {"limit_ms"}), cell(row, {"baseline", "call_ratio"}, "{:.2f}"),
                   cell(row, {"call_ms", "spread"}, "{:.1f}", 100)});
      });
  return table;
}

Table network_table(const Json& results) {
  Table table({"scene", "C", "type", "network", "layers", "ms", "min", "TFLOP/s", "limit ms", "%limit",
               "peak MB", "x baseline", "spread%"},
              4);
  for_rows(
      results, [](const std::string& op) { return op.starts_with("net_"); },
      [&](const Json& row) {
        table.add({text(row, "scene"), integer(row, "channels"), text(row, "dtype"),
                   text(row, "op").substr(4), integer(row, "layers"),
                   milliseconds(row, {"call_ms", "median"}), milliseconds(row, {"call_ms", "min"}),
                   cell(row, {"useful_tflops"}, "{:.3g}"), milliseconds(row, {"limit_ms"}),
                   cell(row, {"percent_of_limit"}, "{:.1f}"), cell(row, {"peak_bytes"}, "{:.0f}", 1e-6),
                   cell(row, {"baseline", "call_ratio"}, "{:.2f}"),
                   cell(row, {"call_ms", "spread"}, "{:.1f}", 100)});
      });
  return table;
}

Table kernel_table(const Json& results) {
  Table table({"scene", "C", "pass", "algorithm", "kernel"}, 5);
  for_rows(results, is_pass, [&](const Json& row) {
    table.add({text(row, "scene"), integer(row, "channels"), text(row, "op"), text(row, "algorithm"),
               text(row, "kernel")});
  });
  return table;
}

std::string heading(std::string_view title, bool markdown) {
  return markdown ? fmt::format("\n#### {}\n\n", title) : fmt::format("\n{}\n", title);
}

/// "; 1755 to 1980 MHz while rows ran", or nothing where clocks were not read.
std::string clocks(const Json& results) {
  std::optional<double> least;
  std::optional<double> most;
  for (const Json& row : results["rows"]) {
    const auto clock = number(row, {"clock_mhz"});
    if (!clock) continue;
    least = std::min(least.value_or(*clock), *clock);
    most = std::max(most.value_or(*clock), *clock);
  }
  return least ? fmt::format("; {:.0f} to {:.0f} MHz while rows ran", *least, *most) : "";
}

std::string about(const Json& results, bool markdown) {
  const Json& device = results["device"];
  std::string line = text(device, "name");
  for (const auto& [key, label] : {std::pair{"driver", "driver"},
                                   {"driver_cuda", "CUDA of the driver"},
                                   {"runtime_cuda", "CUDA runtime"},
                                   {"cublas", "cuBLAS"}}) {
    if (device.contains(key)) line += fmt::format(", {} {}", label, text(device, key));
  }
  line += fmt::format("; {}; commit {}", text(results["machine"], "date"), text(results, "commit"));
  if (device.contains("state")) line += "; " + device["state"].dump();
  line += clocks(results);
  return (markdown ? "Measured on " : "") + line + (markdown ? ".\n\n" : "\n");
}

}  // namespace

std::string ceilings_table(const Json& ceilings, bool markdown) {
  Table table({"ceiling", "used", "first half", "last half", "samples"}, 1);
  const auto add = [&](const std::string& title, const Json& series) {
    table.add({title, cell(series, {"used"}, "{:.5g}"), cell(series, {"first_half"}, "{:.5g}"),
               cell(series, {"last_half"}, "{:.5g}"), integer(series, "samples")});
  };
  for (const auto& [dtype, series] : ceilings["matrix_tflops"].items())
    add(fmt::format("dense {} GEMM, TFLOP/s", dtype), series);
  if (ceilings.contains("copy_gigabytes")) add("copy (read + written), GB/s", ceilings["copy_gigabytes"]);
  return table.text(markdown);
}

std::string results_tables(const Json& results, bool markdown) {
  std::string all = about(results, markdown) + ceilings_table(results["ceilings"], markdown);
  const auto add = [&](std::string_view title, const Table& table) {
    if (!table.empty()) all += heading(title, markdown) + table.text(markdown);
  };
  add("Passes of one 3x3x3 layer C -> C", pass_table(results));
  add("Maps (build, and with what the forward kernel needs)", map_table(results));
  add("Networks (map, then identical layers)", network_table(results));
  add("Kernels", kernel_table(results));
  for (const Json& row : results["rows"]) {
    if (row.contains("failed")) {
      all += fmt::format("\n{} C={} {} {} failed: {}\n", text(row, "scene"), integer(row, "channels"),
                         text(row, "dtype"), text(row, "op"), text(row, "failed"));
    } else if (row.contains("note")) {
      all += fmt::format("\n{} C={} {} {}: {}\n", text(row, "scene"), integer(row, "channels"),
                         text(row, "dtype"), text(row, "op"), text(row, "note"));
    }
  }
  for (const Json& note : results["notes"]) all += fmt::format("\nNote: {}\n", note.get<std::string>());
  return all;
}

}  // namespace flexgemm::bench
