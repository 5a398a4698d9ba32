#include "scene/ply_header.hpp"

#include <algorithm>
#include <string_view>

#include "scene/fail.hpp"
#include "scene/text_scanner.hpp"

namespace flexgemm::scene {
namespace {

using Words = std::vector<std::string_view>;

std::optional<ScalarType> ply_type(std::string_view name) {
  if (name == "char" || name == "int8") return ScalarType::i8;
  if (name == "uchar" || name == "uint8") return ScalarType::u8;
  if (name == "short" || name == "int16") return ScalarType::i16;
  if (name == "ushort" || name == "uint16") return ScalarType::u16;
  if (name == "int" || name == "int32") return ScalarType::i32;
  if (name == "uint" || name == "uint32") return ScalarType::u32;
  if (name == "float" || name == "float32") return ScalarType::f32;
  if (name == "double" || name == "float64") return ScalarType::f64;
  return std::nullopt;
}

std::optional<PlyEncoding> ply_encoding(const Words& words) {
  if (words.size() != 3 || words[2] != "1.0") return std::nullopt;
  if (words[1] == "ascii") return PlyEncoding::ascii;
  if (words[1] == "binary_little_endian") return PlyEncoding::little_endian;
  if (words[1] == "binary_big_endian") return PlyEncoding::big_endian;
  return std::nullopt;
}

std::optional<PlyElement> ply_element(const Words& words) {
  if (words.size() != 3) return std::nullopt;
  const std::optional<std::int64_t> count = parse_count(words[2]);
  if (!count) return std::nullopt;
  return PlyElement{.name = std::string(words[1]), .count = *count, .properties = {}};
}

std::optional<PlyProperty> ply_property(const Words& words) {
  const bool is_list = words.size() == 5 && words[1] == "list";
  if (!is_list && words.size() != 3) return std::nullopt;
  const auto type = ply_type(words[words.size() - 2]);
  const auto length_type = is_list ? ply_type(words[2]) : std::nullopt;
  if (!type || (is_list && (!length_type || !is_integer(*length_type)))) return std::nullopt;
  return PlyProperty{.name = std::string(words.back()), .type = *type, .length_type = length_type};
}

}  // namespace

bool PlyElement::has_list() const noexcept {
  return std::any_of(properties.begin(), properties.end(),
                     [](const PlyProperty& property) { return property.length_type.has_value(); });
}

std::uint64_t PlyElement::row_bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const PlyProperty& property : properties)
    bytes += size_of(property.length_type.value_or(property.type));
  return bytes;
}

PlyHeader parse_ply_header(std::span<const std::uint8_t> bytes, const std::string& source) {
  TextScanner scanner({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, source);
  if (scanner.next_line() != "ply") fail_input(source, "not a PLY file: the first line is not 'ply'");
  PlyHeader header;
  bool has_format = false;
  while (true) {
    const std::optional<std::string_view> line = scanner.next_line();
    if (!line) fail_input(source, "the PLY header is truncated: there is no end_header");
    const Words words = split_words(*line);
    if (words.empty() || words[0] == "comment" || words[0] == "obj_info") continue;
    if (words[0] == "end_header" && words.size() == 1) break;
    bool understood = false;
    if (words[0] == "format" && !has_format) {
      const auto encoding = ply_encoding(words);
      understood = has_format = encoding.has_value();
      header.encoding = encoding.value_or(PlyEncoding::ascii);
    } else if (words[0] == "element") {
      auto element = ply_element(words);
      understood = element.has_value();
      if (element) header.elements.push_back(std::move(*element));
    } else if (words[0] == "property" && !header.elements.empty()) {
      auto property = ply_property(words);
      understood = property.has_value();
      if (property) header.elements.back().properties.push_back(std::move(*property));
    }
    if (!understood)
      fail_input(source, "the PLY header has a line that cannot be understood: {}", quote(*line));
  }
  if (!has_format) fail_input(source, "the PLY header has no format line");
  header.data_offset = scanner.position();
  return header;
}

}  // namespace flexgemm::scene
