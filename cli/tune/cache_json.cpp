#include "tune/cache_json.hpp"

#include <cmath>

#include <fmt/format.h>

namespace flexgemm::tune {

namespace {

Json or_null(const std::optional<double>& value) { return value ? number_or_null(*value) : Json(nullptr); }

}  // namespace

Json to_json(const TuningKey& key) {
  return {{"device", key.device},
          {"architecture", key.architecture},
          {"multiprocessors", key.multiprocessors},
          {"op", name(key.op)},
          {"dtype", name(key.dtype)},
          {"result_dtype", name(key.result_dtype)},
          {"in_channels", key.in_channels},
          {"out_channels", key.out_channels},
          {"volume", key.volume},
          {"rows_bucket", key.rows_bucket},
          {"pairs_bucket", key.pairs_bucket},
          {"epilogue", key.epilogue},
          {"algorithm", name(key.algorithm)},
          {"template_hash", key.template_hash}};
}

Json to_json(const TuningCandidate& candidate) {
  return {{"algorithm", name(candidate.algorithm)},
          {"kernel", candidate.kernel},
          {"splits", candidate.splits},
          {"layout", candidate.layout},
          {"predicted_ms", or_null(candidate.predicted_ms)},
          {"measured_ms", or_null(candidate.measured_ms)},
          {"problem", candidate.problem}};
}

Json to_json(const TuningEntry& entry, bool candidates) {
  Json object{{"id", entry_name(entry.key)},
              {"key", to_json(entry.key)},
              {"rows", entry.rows},
              {"pairs", entry.pairs},
              {"date", entry.date},
              {"version", entry.version},
              {"winner", to_json(entry.winner)},
              {"runner_up", entry.runner_up ? to_json(*entry.runner_up) : Json(nullptr)}};
  if (candidates) {
    object["candidates"] = Json::array();
    for (const TuningCandidate& candidate : entry.candidates)
      object["candidates"].push_back(to_json(candidate));
  }
  return object;
}

Json to_json(const KernelEntry& kernel) {
  return {{"hash", kernel.hash},          {"architecture", kernel.architecture},
          {"spec", kernel.spec},          {"bytes", kernel.bytes},
          {"is_ptx", kernel.is_ptx},      {"current", kernel.current},
          {"last_used", kernel.last_used}};
}

Json to_json(const CacheFinding& finding) {
  return {{"kind", name(finding.kind)},
          {"path", finding.path.string()},
          {"problem", finding.problem},
          {"remedy", finding.remedy}};
}

Json to_json(const std::vector<CacheFinding>& findings) {
  Json list = Json::array();
  for (const CacheFinding& finding : findings) list.push_back(to_json(finding));
  return list;
}

Json to_json(const CacheChange& change) {
  return {{"kernels", change.kernels},
          {"tuning_entries", change.tuning_entries},
          {"other_files", change.other_files},
          {"bytes", change.bytes},
          {"findings", to_json(change.findings)}};
}

std::string describe(const TuningKey& key) {
  std::string text = fmt::format("{} {} {} -> {} v{}, n 2^{}, {:.1f} pairs, {}", name(key.op),
                                 name(key.dtype), key.in_channels, key.out_channels, key.volume,
                                 key.rows_bucket, std::exp2(key.pairs_bucket / 2.0), key.epilogue);
  if (key.op == Op::grad_weight) text += fmt::format(", result {}", name(key.result_dtype));
  if (key.algorithm != Algorithm::automatic) text += fmt::format(", {}", name(key.algorithm));
  return text;
}

std::string entry_name(const TuningKey& key) {
  std::uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a
  for (const char character : to_json(key).dump(-1, ' ', true, Json::error_handler_t::replace)) {
    hash = (hash ^ static_cast<unsigned char>(character)) * 0x100000001b3U;
  }
  return fmt::format("{:012x}", hash & 0xffffffffffff);
}

std::string milliseconds(const std::optional<double>& value) {
  return value ? fmt::format("{:.4f}", *value) : "-";
}

std::string text_of(const std::vector<CacheFinding>& findings) {
  std::string text;
  for (const CacheFinding& finding : findings) {
    text += fmt::format("{}: {}\n  {}\n  {}\n", name(finding.kind), finding.path.string(), finding.problem,
                        finding.remedy);
  }
  return text;
}

}  // namespace flexgemm::tune
