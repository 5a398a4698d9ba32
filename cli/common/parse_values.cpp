#include "common/parse_values.hpp"

#include <charconv>
#include <cmath>
#include <limits>
#include <system_error>

#include "common/failure.hpp"

namespace flexgemm::cli {

namespace {

std::vector<std::string_view> split_at_commas(std::string_view text) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t comma = text.find(',');
    parts.push_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

/// The whole of `text` as a number; false if it is anything else or does not fit.
template <class T>
bool read_whole(std::string_view text, T& value) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && stop == end;
}

}  // namespace

std::int64_t parse_integer(std::string_view option, std::string_view text, std::int64_t least,
                           std::int64_t most) {
  std::int64_t value = 0;
  if (!read_whole(text, value) || value < least || value > most) {
    fail(ErrorCode::invalid_argument, "{} is '{}'; it must be a whole number between {} and {}", option, text,
         least, most);
  }
  return value;
}

std::uint64_t parse_seed(std::string_view option, std::string_view text) {
  std::uint64_t value = 0;
  if (!read_whole(text, value)) {
    fail(ErrorCode::invalid_argument, "{} is '{}'; it must be a whole number between 0 and {}", option, text,
         std::numeric_limits<std::uint64_t>::max());
  }
  return value;
}

std::vector<std::int64_t> parse_integers(std::string_view option, std::string_view text, std::int64_t least,
                                         std::int64_t most) {
  std::vector<std::int64_t> values;
  for (const std::string_view part : split_at_commas(text)) {
    std::int64_t value = 0;
    if (!read_whole(part, value) || value < least || value > most) {
      fail(ErrorCode::invalid_argument, "{} is '{}', but '{}' is not a whole number between {} and {}",
           option, text, part, least, most);
    }
    values.push_back(value);
  }
  return values;
}

std::vector<double> parse_numbers(std::string_view option, std::string_view text) {
  std::vector<double> values;
  for (const std::string_view part : split_at_commas(text)) {
    double value = 0;
    if (!read_whole(part, value) || !std::isfinite(value)) {
      fail(ErrorCode::invalid_argument, "{} is '{}', but '{}' is not a finite number", option, text, part);
    }
    values.push_back(value);
  }
  return values;
}

Extent3 parse_extent(std::string_view option, std::string_view text, std::int64_t most) {
  const std::vector<std::int64_t> values = parse_integers(option, text, 1, most);
  if (values.size() != 1 && values.size() != 3) {
    fail(ErrorCode::invalid_argument, "{} is '{}'; it takes one number or three", option, text);
  }
  const auto extent = [&](std::size_t axis) {
    return static_cast<std::int32_t>(values.size() == 1 ? values[0] : values[axis]);
  };
  return {extent(0), extent(1), extent(2)};
}

DType parse_feature_type(std::string_view text) {
  const DType dtype = parse_dtype(text);
  if (dtype == DType::i32) {
    fail(ErrorCode::invalid_argument, "--dtype is '{}'; use f32, tf32, f16 or bf16", text);
  }
  return dtype;
}

}  // namespace flexgemm::cli
