#include <cmath>
#include <cstdlib>
#include <ctime>

#include <fmt/format.h>

#include "cache/tuning_store.hpp"
#include "codegen/emit.hpp"

namespace flexgemm {

int rows_bucket(std::int64_t rows) noexcept {
  int bucket = 0;
  for (; rows > 1; rows /= 2) ++bucket;
  return bucket;
}

int pairs_bucket(double pairs_per_row) noexcept {
  if (!(pairs_per_row > 1)) return 0;
  return static_cast<int>(std::lround(2 * std::log2(pairs_per_row)));
}

namespace detail {

namespace {

double octaves(double from, double to) noexcept {
  return from > 0 && to > 0 ? std::abs(std::log2(to / from)) : 64;
}

}  // namespace

std::optional<double> tuning_distance(const TuningKey& asked, const TuningKey& stored) noexcept {
  if (asked.op != stored.op || asked.dtype != stored.dtype || asked.result_dtype != stored.result_dtype ||
      asked.volume != stored.volume || asked.architecture != stored.architecture ||
      asked.algorithm != stored.algorithm || asked.template_hash != stored.template_hash) {
    return std::nullopt;
  }
  double distance =
      octaves(static_cast<double>(asked.in_channels), static_cast<double>(stored.in_channels)) +
      octaves(static_cast<double>(asked.out_channels), static_cast<double>(stored.out_channels)) +
      octaves(asked.multiprocessors, stored.multiprocessors);
  distance += 0.25 * std::abs(asked.rows_bucket - stored.rows_bucket);
  distance += 0.25 * std::abs(asked.pairs_bucket - stored.pairs_bucket);
  if (asked.epilogue != stored.epilogue) distance += 0.5;
  if (asked.device != stored.device) distance += 0.125;
  return distance;
}

std::string to_string(const TuningKey& key) {
  std::string text =
      fmt::format("{} {} {} -> {} v{} n2^{} pairs{} {} on {}, {}, {} SMs", name(key.op), name(key.dtype),
                  key.in_channels, key.out_channels, key.volume, key.rows_bucket, key.pairs_bucket,
                  name(key.algorithm), key.device, key.architecture, key.multiprocessors);
  if (key.result_dtype != key.dtype) text += fmt::format(", result {}", name(key.result_dtype));
  if (!key.epilogue.empty()) text += ", epilogue " + key.epilogue;
  return text;
}

std::string utc_now() { return utc_text(std::time(nullptr)); }

std::string utc_text(std::time_t time) {
  std::tm parts{};
  gmtime_r(&time, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

}  // namespace detail
}  // namespace flexgemm
