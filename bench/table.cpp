#include "table.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace flexgemm::bench {

std::string Table::text(bool markdown) const {
  std::vector<std::size_t> widths(rows_.front().size());
  for (const auto& row : rows_) {
    for (std::size_t column = 0; column < row.size(); ++column)
      widths[column] = std::max(widths[column], row[column].size());
  }
  std::string result;
  for (std::size_t line = 0; line < rows_.size(); ++line) {
    std::string text = markdown ? "|" : "";
    for (std::size_t column = 0; column < rows_[line].size(); ++column) {
      const std::string cell = column < left_columns_
                                   ? fmt::format("{:<{}}", rows_[line][column], widths[column])
                                   : fmt::format("{:>{}}", rows_[line][column], widths[column]);
      text += markdown ? " " + cell + " |" : (column == 0 ? "" : " ") + cell;
    }
    while (!markdown && text.ends_with(' ')) text.pop_back();
    result += text + '\n';
    if (markdown && line == 0) {
      result += '|';
      for (std::size_t column = 0; column < widths.size(); ++column)
        result += column < left_columns_ ? "---|" : "---:|";
      result += '\n';
    }
  }
  return result;
}

}  // namespace flexgemm::bench
