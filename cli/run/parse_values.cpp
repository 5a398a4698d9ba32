#include "run/parse_values.hpp"

#include <charconv>
#include <cmath>
#include <limits>
#include <system_error>

#include "run/failure.hpp"

namespace flexgemm::run {

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

}  // namespace flexgemm::run
