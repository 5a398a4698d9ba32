#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace flexgemm::cli {

/// Rows of text in columns that are as wide as they must be, two blanks apart.
class TextTable {
 public:
  /// The first `left` columns are aligned to the left, the others to the right.
  TextTable(std::vector<std::string> header, std::size_t left);

  /// Adds a row of as many cells as the header has.
  void add(std::vector<std::string> cells);
  bool empty() const noexcept { return rows_.size() == 1; }
  /// Lines without trailing blanks.
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
  std::size_t left_;
};

/// "1,234,567".
std::string with_separators(std::int64_t count);

}  // namespace flexgemm::cli
