#pragma once

#include <functional>
#include <string>

namespace flexgemm::cli {

/// One line about the work in progress, on stderr where that is a terminal; erased when the object dies.
class ProgressLine {
 public:
  ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine();
  /// Replaces the line; an empty text erases it.
  void show(const std::string& text) const;

 private:
  bool shown_;
};

/// Writes to standard output. A reader that has seen enough and closed the pipe is no failure; anything else
/// throws Error{io}.
void print(const std::string& text);

/// A program's main(): runs `body` and turns what it throws into one sentence "PROGRAM: ..." on stderr and
/// the exit code for it. `memory_advice` completes "out of memory: ". Closed pipes and limits on the size of
/// files become write errors like others.
int run_guarded(const char* program, const char* memory_advice, const std::function<int()>& body);

}  // namespace flexgemm::cli
