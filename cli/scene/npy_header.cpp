#include "scene/npy_header.hpp"

#include <charconv>
#include <optional>
#include <string_view>

#include "scene/fail.hpp"

namespace flexgemm::scene {
namespace {

/// Reads the one Python dictionary literal that a .npy header is.
class HeaderDictionary {
 public:
  HeaderDictionary(std::string_view text, const std::string& source) : text_(text), source_(source) {}

  NpyHeader parse() {
    NpyHeader header;
    bool has_descr = false;
    bool has_order = false;
    bool has_shape = false;
    expect('{');
    while (peek() != '}') {
      const std::string_view key = quoted_text();
      expect(':');
      if (key == "descr" && !has_descr) {
        header.descr = descr();
        has_descr = true;
      } else if (key == "fortran_order" && !has_order) {
        header.fortran_order = boolean();
        has_order = true;
      } else if (key == "shape" && !has_shape) {
        header.shape = shape();
        has_shape = true;
      } else {
        fail_input(source_, "the .npy header has an unknown or repeated key {}", quote(key));
      }
      if (peek() == ',') ++position_;
    }
    ++position_;
    if (position_ < text_.size() && peek() != '\0') damaged();
    if (!has_descr || !has_order || !has_shape)
      fail_input(source_, "the .npy header lacks {}",
                 !has_descr ? "'descr'" : (!has_order ? "'fortran_order'" : "'shape'"));
    return header;
  }

 private:
  [[noreturn]] void damaged() const {
    fail_input(source_, "the .npy header is damaged at character {}: {}", position_,
               quote(text_.substr(position_)));
  }

  /// The next character that is not white space, or NUL at the end; moves up to it.
  char peek() {
    while (position_ < text_.size() && (text_[position_] == ' ' || text_[position_] == '\n')) ++position_;
    return position_ < text_.size() ? text_[position_] : '\0';
  }

  void expect(char character) {
    if (peek() != character) damaged();
    ++position_;
  }

  std::string_view quoted_text() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') damaged();
    const std::size_t end = text_.find(quote, position_ + 1);
    if (end == std::string_view::npos) damaged();
    const std::string_view result = text_.substr(position_ + 1, end - position_ - 1);
    position_ = end + 1;
    return result;
  }

  /// A type: a string, or a list (structured type), kept as text.
  std::string descr() {
    if (peek() != '[') return std::string(quoted_text());
    const std::size_t begin = position_;
    int depth = 0;
    do {
      const char next = peek();
      if (next == '\'' || next == '"') {
        quoted_text();
        continue;
      }
      if (next == '\0') damaged();
      if (next == '[' || next == '(') ++depth;
      if (next == ']' || next == ')') --depth;
      ++position_;
    } while (depth > 0);
    return std::string(text_.substr(begin, position_ - begin));
  }

  bool boolean() {
    peek();
    for (const bool value : {false, true}) {
      const std::string_view word = value ? "True" : "False";
      if (!text_.substr(position_).starts_with(word)) continue;
      position_ += word.size();
      return value;
    }
    damaged();
  }

  std::vector<std::int64_t> shape() {
    std::vector<std::int64_t> extents;
    expect('(');
    while (peek() != ')') {
      std::int64_t extent = 0;
      const char* const begin = text_.data() + position_;
      const auto [stop, error] = std::from_chars(begin, text_.data() + text_.size(), extent);
      if (error != std::errc() || extent < 0) damaged();
      position_ += static_cast<std::size_t>(stop - begin);
      if (peek() == 'L') ++position_;  // long integers of Python 2
      extents.push_back(extent);
      if (peek() != ')') expect(',');
    }
    ++position_;
    return extents;
  }

  std::string_view text_;
  const std::string& source_;
  std::size_t position_ = 0;
};

std::optional<ScalarType> scalar_type_from(std::string_view code) {
  if (code == "i1") return ScalarType::i8;
  if (code == "u1") return ScalarType::u8;
  if (code == "i2") return ScalarType::i16;
  if (code == "u2") return ScalarType::u16;
  if (code == "i4") return ScalarType::i32;
  if (code == "u4") return ScalarType::u32;
  if (code == "i8") return ScalarType::i64;
  if (code == "u8") return ScalarType::u64;
  if (code == "f2") return ScalarType::f16;
  if (code == "f4") return ScalarType::f32;
  if (code == "f8") return ScalarType::f64;
  return std::nullopt;
}

}  // namespace

NpyHeader parse_npy_header(std::span<const std::uint8_t> bytes, const std::string& source) {
  constexpr std::string_view magic = "\x93NUMPY";
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!text.starts_with(magic)) fail_input(source, "not a .npy file: the first bytes are not \\x93NUMPY");
  if (bytes.size() < 12) fail_input(source, "the .npy file is truncated: it has {} bytes", bytes.size());
  const unsigned version = bytes[6];
  if (version < 1 || version > 3 || bytes[7] != 0)
    fail_input(source, "the .npy version {}.{} is unknown; versions 1.0, 2.0 and 3.0 can be read", version,
               bytes[7]);
  const std::size_t begin = version == 1 ? 10 : 12;
  const std::size_t length = version == 1 ? load<std::uint16_t>(&bytes[8]) : load<std::uint32_t>(&bytes[8]);
  if (length > max_npy_header_bytes)
    fail_input(source, "the .npy header claims {} bytes; at most {} are accepted", length,
               max_npy_header_bytes);
  if (length > bytes.size() - begin)
    fail_input(source, "the .npy file is truncated: its header claims {} bytes and {} follow", length,
               bytes.size() - begin);
  NpyHeader header = HeaderDictionary(text.substr(begin, length), source).parse();
  header.data_offset = begin + length;
  return header;
}

NpyPointLayout npy_point_layout(const NpyHeader& header, const std::string& source) {
  const std::string_view descr = header.descr;
  const char order = descr.empty() ? '\0' : descr[0];
  const auto type = scalar_type_from(descr.substr(descr.empty() ? 0 : 1));
  if (!type || (order != '<' && order != '>' && order != '=' && order != '|'))
    fail_input(source, "the array has type {}; points must be plain integers or floats such as '<f4'",
               quote(descr));
  const std::vector<std::int64_t>& shape = header.shape;
  if (shape.size() != 2 || shape[1] < 3 || shape[1] > max_columns)
    fail_input(source, "the array has shape {}; points need shape (N, C) with 3 <= C <= {}",
               shape_text(shape), max_columns);
  const std::uint64_t row_bytes = static_cast<std::uint64_t>(shape[1]) * size_of(*type);
  if (static_cast<std::uint64_t>(shape[0]) > (std::uint64_t{1} << 62) / row_bytes)
    fail_input(source, "the array claims shape {}, more than any file can hold", shape_text(shape));
  return {.type = *type,
          .order = order == '>' ? std::endian::big : std::endian::little,
          .points = shape[0],
          .columns = shape[1],
          .data_bytes = static_cast<std::uint64_t>(shape[0]) * row_bytes};
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  constexpr std::size_t longest = 8;
  std::string result = "(";
  for (std::size_t axis = 0; axis < shape.size() && axis < longest; ++axis)
    result += fmt::format("{}{}", axis == 0 ? "" : ", ", shape[axis]);
  if (shape.size() > longest) result += ", ...";
  return result + (shape.size() == 1 ? ",)" : ")");
}

}  // namespace flexgemm::scene
