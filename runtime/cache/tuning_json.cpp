// The text of tuning files. The only file that knows a JSON library.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cache/sha256.hpp"
#include "cache/tuning_file.hpp"

namespace flexgemm::detail {

namespace {

using Json = nlohmann::ordered_json;
using Kind = CacheFinding::Kind;

constexpr std::string_view opening = "{\n  \"format\": \"flexgemm-tuning\",\n  \"version\": ";
constexpr std::string_view before_digest = ",\n  \"sha256\": \"";
constexpr std::size_t digest_digits = 64;

std::string text_of(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json candidate_json(const TuningCandidate& candidate) {
  Json json;
  json["algorithm"] = name(candidate.algorithm);
  json["kernel"] = candidate.kernel;
  json["splits"] = candidate.splits;
  if (!candidate.layout.empty()) json["layout"] = candidate.layout;
  const auto time = [&json](const char* what, std::optional<double> milliseconds) {
    if (milliseconds && std::isfinite(*milliseconds)) json[what] = *milliseconds;
  };
  time("predicted_ms", candidate.predicted_ms);
  time("measured_ms", candidate.measured_ms);
  if (!candidate.problem.empty()) json["problem"] = candidate.problem;
  return json;
}

Json key_json(const TuningKey& key) {
  Json json;
  json["device"] = key.device;
  json["architecture"] = key.architecture;
  json["multiprocessors"] = key.multiprocessors;
  json["op"] = name(key.op);
  json["dtype"] = name(key.dtype);
  json["result_dtype"] = name(key.result_dtype);
  json["in_channels"] = key.in_channels;
  json["out_channels"] = key.out_channels;
  json["volume"] = key.volume;
  json["rows_bucket"] = key.rows_bucket;
  json["pairs_bucket"] = key.pairs_bucket;
  json["epilogue"] = key.epilogue;
  json["algorithm"] = name(key.algorithm);
  json["template_hash"] = key.template_hash;
  return json;
}

std::string entry_text(const TuningEntry& entry) {
  std::string text = fmt::format("    {{\n      \"key\": {},\n", text_of(key_json(entry.key)));
  text += fmt::format("      \"winner\": {},\n", text_of(candidate_json(entry.winner)));
  if (entry.runner_up)
    text += fmt::format("      \"runner_up\": {},\n", text_of(candidate_json(*entry.runner_up)));
  text += fmt::format("      \"rows\": {},\n      \"pairs\": {},\n", entry.rows, entry.pairs);
  text += fmt::format("      \"date\": {},\n      \"version\": {},\n", text_of(entry.date),
                      text_of(entry.version));
  text += "      \"candidates\": [";
  for (std::size_t i = 0; i < entry.candidates.size(); ++i) {
    text += (i == 0 ? "\n        " : ",\n        ") + text_of(candidate_json(entry.candidates[i]));
  }
  return text + "]\n    }";
}

/// Digest of a file's text with the digits of the digest, which start at `position`, read as zeros.
std::string digest_of(std::span<const char> text, std::size_t position) {
  const std::string zeros(digest_digits, '0');
  Sha256 sum;
  sum.add(text.first(position)).add(zeros).add(text.subspan(position + digest_digits));
  return hexadecimal(sum.finish());
}

/// Reads members that must be there with the right type; remembers whether all were.
class JsonReader {
 public:
  template <class Value>
  void member(const Json& json, const char* what, Value& value) {
    const auto found = json.is_object() ? json.find(what) : json.end();
    if (!json.is_object() || found == json.end()) {
      ok_ = false;
    } else {
      assign(*found, value);
    }
  }
  template <class Value>
  void optional_member(const Json& json, const char* what, Value& value) {
    if (json.is_object() && json.contains(what)) member(json, what, value);
  }

  bool ok() const { return ok_; }
  void fail() { ok_ = false; }

  void candidate(const Json& json, TuningCandidate& value) {
    member(json, "algorithm", value.algorithm);
    member(json, "kernel", value.kernel);
    member(json, "splits", value.splits);
    optional_member(json, "layout", value.layout);
    optional_member(json, "predicted_ms", value.predicted_ms);
    optional_member(json, "measured_ms", value.measured_ms);
    optional_member(json, "problem", value.problem);
  }

  void key(const Json& json, TuningKey& value) {
    member(json, "device", value.device);
    member(json, "architecture", value.architecture);
    member(json, "multiprocessors", value.multiprocessors);
    member(json, "op", value.op);
    member(json, "dtype", value.dtype);
    member(json, "result_dtype", value.result_dtype);
    member(json, "in_channels", value.in_channels);
    member(json, "out_channels", value.out_channels);
    member(json, "volume", value.volume);
    member(json, "rows_bucket", value.rows_bucket);
    member(json, "pairs_bucket", value.pairs_bucket);
    member(json, "epilogue", value.epilogue);
    member(json, "algorithm", value.algorithm);
    member(json, "template_hash", value.template_hash);
  }

  void entry(const Json& json, TuningEntry& value) {
    if (!json.is_object() || !json.contains("key") || !json.contains("winner") ||
        !json.contains("candidates") || !json["candidates"].is_array()) {
      return fail();
    }
    key(json["key"], value.key);
    candidate(json["winner"], value.winner);
    if (json.contains("runner_up")) candidate(json["runner_up"], value.runner_up.emplace());
    member(json, "rows", value.rows);
    member(json, "pairs", value.pairs);
    member(json, "date", value.date);
    member(json, "version", value.version);
    for (const Json& each : json["candidates"]) candidate(each, value.candidates.emplace_back());
  }

 private:
  void assign(const Json& json, std::string& value) {
    if (!json.is_string()) return fail();
    value = json.get<std::string>();
  }
  void assign(const Json& json, std::int64_t& value) {
    if (!json.is_number_integer()) return fail();
    value = json.get<std::int64_t>();
  }
  void assign(const Json& json, int& value) {
    std::int64_t wide = 0;
    assign(json, wide);
    if (wide < std::numeric_limits<int>::min() || wide > std::numeric_limits<int>::max()) return fail();
    value = static_cast<int>(wide);
  }
  void assign(const Json& json, std::optional<double>& value) {
    if (!json.is_number()) return fail();
    value = json.get<double>();
  }
  template <class Enumeration, std::size_t count>
  void assign_name(const Json& json, Enumeration& value, const Enumeration (&all)[count]) {
    for (const Enumeration each : all) {
      if (json.is_string() && json.get_ref<const std::string&>() == name(each)) {
        value = each;
        return;
      }
    }
    fail();
  }
  void assign(const Json& json, Op& value) {
    assign_name(json, value, {Op::forward, Op::grad_input, Op::grad_weight});
  }
  void assign(const Json& json, DType& value) {
    assign_name(json, value, {DType::f32, DType::tf32, DType::f16, DType::bf16});
  }
  void assign(const Json& json, Algorithm& value) {
    assign_name(json, value,
                {Algorithm::automatic, Algorithm::explicit_gemm, Algorithm::implicit_gemm,
                 Algorithm::implicit_gemm_splitk, Algorithm::masked_implicit_gemm,
                 Algorithm::masked_implicit_gemm_splitk});
  }

  bool ok_ = true;
};

/// The version, and where the digits of the digest begin; 0 if the text does not open as a tuning file does.
struct Opening {
  std::uint64_t version = 0;
  std::size_t digest = 0;
};

Opening read_opening(std::string_view text) {
  Opening result;
  if (!text.starts_with(opening)) return result;
  const char* begin = text.data() + opening.size();
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), result.version);
  if (error != std::errc{}) return result;
  const auto position = static_cast<std::size_t>(end - text.data());
  if (text.substr(position).starts_with(before_digest)) result.digest = position + before_digest.size();
  return result;
}

}  // namespace

std::string encode_tuning(const TuningEntries& entries) {
  std::string text = fmt::format("{}{}{}", opening, tuning_file_version, before_digest);
  const std::size_t position = text.size();
  text += std::string(digest_digits, '0') + "\",\n  \"entries\": [";
  const char* separator = "\n";
  for (const auto& [key, entry] : entries) {
    text += separator + entry_text(entry);
    separator = ",\n";
  }
  text += "\n  ]\n}\n";
  text.replace(position, digest_digits, digest_of(text, position));
  return text;
}

Outcome<TuningEntries, Damage> decode_tuning(std::span<const char> bytes) {
  const std::string_view text(bytes.data(), bytes.size());
  const Opening start = read_opening(text);
  if (start.version > tuning_file_version) {
    return Damage{Kind::newer, fmt::format("it has the format version {}; this library reads {}",
                                           start.version, tuning_file_version)};
  }
  if (start.version != tuning_file_version || start.digest == 0) {
    return Damage{opening.starts_with(text) ? Kind::damaged : Kind::foreign,
                  opening.starts_with(text) ? "it is cut off" : "it does not begin as a tuning file does"};
  }
  if (text.size() < start.digest + digest_digits ||
      digest_of(bytes, start.digest) != text.substr(start.digest, digest_digits)) {
    return Damage{Kind::damaged,
                  text.ends_with("\n  ]\n}\n") ? "its checksum does not match" : "it is cut off"};
  }
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  JsonReader reader;
  TuningEntries entries;
  if (!json.is_object() || !json.contains("entries") || !json["entries"].is_array()) reader.fail();
  if (reader.ok()) {
    for (const Json& each : json["entries"]) {
      TuningEntry entry;
      reader.entry(each, entry);
      entries.insert_or_assign(entry.key, entry);
    }
  }
  // Whole, but not written by this library: its checksum is right and its content is not.
  if (!reader.ok()) return Damage{Kind::foreign, "its content is not that of a tuning file"};
  return entries;
}

std::string tuning_file_name(const TuningKey& key) {
  std::string file;
  for (const char character : key.device) {
    const auto byte = static_cast<unsigned char>(character);
    const bool plain =
        (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9');
    if (plain || (character == '.' && !file.empty())) {
      file.push_back(character);
    } else if (character == ' ') {
      file.push_back('_');
    } else {
      file += fmt::format("%{:02X}", byte);
    }
  }
  const std::string rest = fmt::format("-{}-{}.json", key.architecture, key.multiprocessors);
  constexpr std::size_t most_name_bytes = 200;
  if (file.size() > most_name_bytes) file = hexadecimal(sha256(key.device));
  return file + rest;
}

bool is_tuning_file_name(const std::string& file) {
  return file.ends_with(".json") && !file.starts_with('.');
}

}  // namespace flexgemm::detail
