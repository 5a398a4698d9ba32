#include "scene/pcd_header.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

#include "scene/fail.hpp"
#include "scene/text_scanner.hpp"

namespace flexgemm::scene {
namespace {

using Words = std::vector<std::string_view>;
using Entries = std::map<std::string_view, Words>;  // keyword -> its values

constexpr std::array<std::string_view, 10> keywords{"VERSION", "FIELDS", "SIZE",      "TYPE",   "COUNT",
                                                    "WIDTH",   "HEIGHT", "VIEWPOINT", "POINTS", "DATA"};

std::optional<ScalarType> pcd_type(std::string_view type, std::string_view size) {
  if (type == "I" && size == "1") return ScalarType::i8;
  if (type == "U" && size == "1") return ScalarType::u8;
  if (type == "I" && size == "2") return ScalarType::i16;
  if (type == "U" && size == "2") return ScalarType::u16;
  if (type == "I" && size == "4") return ScalarType::i32;
  if (type == "U" && size == "4") return ScalarType::u32;
  if (type == "I" && size == "8") return ScalarType::i64;
  if (type == "U" && size == "8") return ScalarType::u64;
  if (type == "F" && size == "4") return ScalarType::f32;
  if (type == "F" && size == "8") return ScalarType::f64;
  return std::nullopt;
}

/// Lines up to and with DATA.
Entries read_entries(TextScanner& scanner, const std::string& source) {
  Entries entries;
  while (!entries.contains("DATA")) {
    const std::optional<std::string_view> line = scanner.next_line();
    if (!line) fail_input(source, "the PCD header is truncated: there is no DATA line");
    Words words = split_words(*line);
    if (words.empty() || words[0].starts_with('#')) continue;
    const auto keyword = std::find(keywords.begin(), keywords.end(), words[0]);
    if (keyword == keywords.end() || entries.contains(*keyword))
      fail_input(source, "not a PCD file, or a damaged one: unknown or repeated header line {}",
                 quote(*line));
    words.erase(words.begin());
    entries.emplace(*keyword, std::move(words));
  }
  return entries;
}

std::string_view single(const Entries& entries, std::string_view keyword, std::string_view otherwise) {
  const auto found = entries.find(keyword);
  if (found == entries.end()) return otherwise;
  return found->second.size() == 1 ? found->second[0] : std::string_view{};
}

std::int64_t count_of(const Entries& entries, std::string_view keyword, std::string_view otherwise,
                      const std::string& source) {
  const std::string_view word = single(entries, keyword, otherwise);
  const std::optional<std::int64_t> value = parse_count(word);
  if (!value) fail_input(source, "PCD {} is {}; it must be one number, 0 or more", keyword, quote(word));
  return *value;
}

const Words& per_field(const Entries& entries, std::string_view keyword, std::size_t fields,
                       const std::string& source) {
  static const Words none;
  const auto found = entries.find(keyword);
  const Words& words = found == entries.end() ? none : found->second;
  if (words.size() != fields)
    fail_input(source, "PCD FIELDS has {} names but {} has {} values", fields, keyword, words.size());
  return words;
}

std::vector<PcdField> parse_fields(const Entries& entries, const std::string& source) {
  const auto names = entries.find("FIELDS");
  if (names == entries.end()) fail_input(source, "the PCD header has no FIELDS line");
  const std::size_t number = names->second.size();
  const Words& sizes = per_field(entries, "SIZE", number, source);
  const Words& types = per_field(entries, "TYPE", number, source);
  const Words ones(number, "1");
  const Words& counts = entries.contains("COUNT") ? per_field(entries, "COUNT", number, source) : ones;
  std::vector<PcdField> fields;
  for (std::size_t i = 0; i < number; ++i) {
    const std::optional<ScalarType> type = pcd_type(types[i], sizes[i]);
    if (!type)
      fail_input(source,
                 "PCD field {} has TYPE {} and SIZE {}; known are I and U of 1, 2, 4, 8 and F of 4, 8",
                 quote(names->second[i]), quote(types[i]), quote(sizes[i]));
    const std::optional<std::int64_t> count = parse_count(counts[i]);
    if (!count || *count < 1 || *count > max_columns)
      fail_input(source, "PCD field {} has COUNT {}; it must be 1 to {}", quote(names->second[i]),
                 quote(counts[i]), max_columns);
    fields.push_back({.name = std::string(names->second[i]), .type = *type, .count = *count});
  }
  return fields;
}

/// Returns the number of columns.
int assign_columns(std::vector<PcdField>& fields, const std::string& source) {
  constexpr std::array<std::string_view, 3> axes{"x", "y", "z"};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    int found = 0;
    for (PcdField& field : fields) {
      if (field.name != axes[axis]) continue;
      field.column = static_cast<int>(axis);
      found += field.count == 1 ? 1 : 2;
    }
    if (found != 1) fail_input(source, "PCD FIELDS must have exactly one {}, with COUNT 1", axes[axis]);
  }
  std::int64_t columns = 3;
  for (PcdField& field : fields) {
    if (field.column >= 0 || field.name == "_") continue;
    field.column = static_cast<int>(columns);
    columns += field.columns();
    if (columns > max_columns)
      fail_input(source, "the PCD fields have more than {} values a point", max_columns);
  }
  return static_cast<int>(columns);
}

std::int64_t parse_points(const Entries& entries, const std::string& source) {
  const bool has_points = entries.contains("POINTS");
  if (!has_points && !entries.contains("WIDTH")) fail_input(source, "the PCD header has no POINTS line");
  const std::int64_t points = has_points ? count_of(entries, "POINTS", "", source) : 0;
  if (!entries.contains("WIDTH")) return points;
  const std::int64_t width = count_of(entries, "WIDTH", "", source);
  const std::int64_t height = count_of(entries, "HEIGHT", "1", source);
  const bool overflow = height > 0 && width > INT64_MAX / height;
  if (overflow || (has_points && width * height != points))
    fail_input(source, "PCD WIDTH {} times HEIGHT {} is not POINTS {}", width, height, points);
  return width * height;
}

PcdEncoding parse_encoding(const Entries& entries, const std::string& source) {
  const std::string_view word = single(entries, "DATA", "");
  if (word == "ascii") return PcdEncoding::ascii;
  if (word == "binary") return PcdEncoding::binary;
  if (word == "binary_compressed") return PcdEncoding::binary_compressed;
  fail_input(source, "PCD DATA is {}; known are ascii, binary and binary_compressed", quote(word));
}

}  // namespace

std::uint64_t PcdHeader::row_bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const PcdField& field : fields) bytes += field.bytes();
  return bytes;
}

std::uint64_t PcdHeader::row_values() const noexcept {
  std::uint64_t values = 0;
  for (const PcdField& field : fields) values += static_cast<std::uint64_t>(field.count);
  return values;
}

PcdHeader parse_pcd_header(std::span<const std::uint8_t> bytes, const std::string& source) {
  TextScanner scanner({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, source);
  const Entries entries = read_entries(scanner, source);
  const std::string_view version = single(entries, "VERSION", ".7");
  if (version != ".7" && version != "0.7" && version != ".6" && version != "0.6" && version != ".5" &&
      version != "0.5")
    fail_input(source, "the PCD version {} is unknown; versions 0.5 to 0.7 can be read", quote(version));
  PcdHeader header;
  header.encoding = parse_encoding(entries, source);
  header.fields = parse_fields(entries, source);
  header.columns = assign_columns(header.fields, source);
  header.points = parse_points(entries, source);
  header.data_offset = scanner.position();
  return header;
}

}  // namespace flexgemm::scene
