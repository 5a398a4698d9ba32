#include "common/text_table.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

namespace flexgemm::cli {

TextTable::TextTable(std::vector<std::string> header, std::size_t left)
    : rows_{std::move(header)}, left_(left) {}

void TextTable::add(std::vector<std::string> cells) {
  cells.resize(rows_.front().size());
  rows_.push_back(std::move(cells));
}

std::string TextTable::text() const {
  std::vector<std::size_t> widths(rows_.front().size(), 0);
  for (const auto& row : rows_) {
    for (std::size_t column = 0; column < row.size(); ++column) {
      widths[column] = std::max(widths[column], row[column].size());
    }
  }
  std::string text;
  for (const auto& row : rows_) {
    for (std::size_t column = 0; column < row.size(); ++column) {
      const std::string blanks(widths[column] - row[column].size(), ' ');
      text += column == 0 ? "" : "  ";
      text += column < left_ ? row[column] + blanks : blanks + row[column];
    }
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
  }
  return text;
}

std::string with_separators(std::int64_t count) {
  std::string digits = fmt::format("{}", count);
  for (std::ptrdiff_t place = std::ssize(digits) - 3; place > 0; place -= 3) {
    digits.insert(static_cast<std::size_t>(place), ",");
  }
  return digits;
}

}  // namespace flexgemm::cli
