#pragma once

#include <string>
#include <vector>

namespace flexgemm::bench {

/// Rows of cells under a header; the first `left_columns` columns are flush left, the others flush right.
class Table {
 public:
  Table(std::vector<std::string> header, std::size_t left_columns)
      : rows_{std::move(header)}, left_columns_(left_columns) {}

  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const noexcept { return rows_.size() == 1; }
  /// Lines with a line break each: columns two blanks apart, or a Markdown table.
  std::string text(bool markdown) const;

 private:
  std::vector<std::vector<std::string>> rows_;
  std::size_t left_columns_;
};

}  // namespace flexgemm::bench
