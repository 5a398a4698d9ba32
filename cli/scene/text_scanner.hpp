#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace flexgemm::scene {

/// Reads lines, words and numbers from text in memory and names the line when one is wrong. Independent of
/// the locale. The text must outlive the scanner.
class TextScanner {
 public:
  /// Begins at `position`, which must not be beyond the text.
  TextScanner(std::string_view text, std::string source, std::size_t position = 0)
      : text_(text), source_(std::move(source)), position_(position) {}

  /// The next line without its end (\n or \r\n), or nothing at the end of the text.
  std::optional<std::string_view> next_line();

  /// The next word between white space; empty at the end of the text.
  std::string_view next_word();

  /// The next word as a float, rounded to nearest; nan and inf are numbers. Error{io} for anything else;
  /// `row` and `kind` (such as "vertex") say in the message what was being read.
  float next_number(std::string_view kind, std::int64_t row);

  /// The next word as a list length, 0 or more. Errors as in next_number.
  std::int64_t next_length(std::string_view kind, std::int64_t row);

  /// Error{io} unless only white space is left.
  void expect_end(std::string_view last_thing);

  std::size_t position() const noexcept { return position_; }
  std::size_t remaining() const noexcept { return text_.size() - position_; }

 private:
  void skip_space() noexcept;
  float number_from(std::string_view word, std::string_view kind, std::int64_t row) const;
  /// Line of the last word, counted from 1 in the whole text.
  std::int64_t line() const;

  std::string_view text_;
  std::string source_;
  std::size_t position_;
};

/// The words of a line.
std::vector<std::string_view> split_words(std::string_view line);

/// A whole word as a decimal integer from 0 to 2^63 - 1, or nothing.
std::optional<std::int64_t> parse_count(std::string_view word);

}  // namespace flexgemm::scene
