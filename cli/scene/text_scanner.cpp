#include "scene/text_scanner.hpp"

#include <algorithm>
#include <charconv>

#include "scene/fail.hpp"

namespace flexgemm::scene {
namespace {

constexpr bool is_space(char character) noexcept {
  return character == ' ' || (character >= '\t' && character <= '\r');
}

/// A word of white-space separated text starting at or after `position`, which moves behind it.
std::string_view take_word(std::string_view text, std::size_t& position) {
  while (position < text.size() && is_space(text[position])) ++position;
  const std::size_t begin = position;
  while (position < text.size() && !is_space(text[position])) ++position;
  return text.substr(begin, position - begin);
}

}  // namespace

std::optional<std::string_view> TextScanner::next_line() {
  if (position_ == text_.size()) return std::nullopt;
  const std::size_t end = text_.find('\n', position_);
  std::string_view line = text_.substr(position_, end == std::string_view::npos ? end : end - position_);
  position_ = end == std::string_view::npos ? text_.size() : end + 1;
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::string_view TextScanner::next_word() { return take_word(text_, position_); }

void TextScanner::skip_space() noexcept {
  while (position_ < text_.size() && is_space(text_[position_])) ++position_;
}

float TextScanner::next_number(std::string_view kind, std::int64_t row) {
  skip_space();
  const char* const end = text_.data() + text_.size();
  float value = 0;
  const auto [stop, error] = std::from_chars(text_.data() + position_, end, value);
  if (error == std::errc() && (stop == end || is_space(*stop))) {
    position_ = static_cast<std::size_t>(stop - text_.data());
    return value;
  }
  return number_from(next_word(), kind, row);
}

float TextScanner::number_from(std::string_view word, std::string_view kind, std::int64_t row) const {
  if (word.empty()) fail_input(source_, "the text ends at {} {}; the file is truncated", kind, row);
  const std::string_view digits = word.starts_with('+') ? word.substr(1) : word;
  const char* const end = digits.data() + digits.size();
  double value = 0;  // float's parser refuses what rounds to zero or overflows; double's takes it
  const auto [stop, error] = std::from_chars(digits.data(), end, value);
  if (stop != end || error != std::errc() || digits.starts_with('+'))
    fail_input(source_, "line {}: {} of {} {} is not a number", line(), quote(word), kind, row);
  return static_cast<float>(value);
}

std::int64_t TextScanner::next_length(std::string_view kind, std::int64_t row) {
  const std::string_view word = next_word();
  if (word.empty()) fail_input(source_, "the text ends at {} {}; the file is truncated", kind, row);
  const std::optional<std::int64_t> length = parse_count(word);
  if (!length)
    fail_input(source_, "line {}: {} of {} {} is not the length of a list", line(), quote(word), kind, row);
  return *length;
}

void TextScanner::expect_end(std::string_view last_thing) {
  const std::string_view word = next_word();
  if (word.empty()) return;
  fail_input(source_, "line {}: {} follows {}; the header announces less than the file holds", line(),
             quote(word), last_thing);
}

std::int64_t TextScanner::line() const {
  return 1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(position_), '\n');
}

std::vector<std::string_view> split_words(std::string_view line) {
  std::vector<std::string_view> words;
  std::size_t position = 0;
  for (std::string_view word = take_word(line, position); !word.empty(); word = take_word(line, position))
    words.push_back(word);
  return words;
}

std::optional<std::int64_t> parse_count(std::string_view word) {
  std::int64_t value = 0;
  const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || stop != word.data() + word.size() || value < 0) return std::nullopt;
  return value;
}

}  // namespace flexgemm::scene
