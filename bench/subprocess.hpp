#pragma once

#include <map>
#include <string>
#include <vector>

namespace flexgemm::bench {

struct ProcessResult {
  int exit_code = -1;  ///< -1: ended by a signal
  double seconds = 0;  ///< from before its start until after its end
  std::string output;  ///< standard output
  std::string errors;  ///< standard error
};

/// Runs a program to its end, with these variables added to the environment. Throws Error{io} if it cannot be
/// started.
ProcessResult run_process(const std::vector<std::string>& command,
                          const std::map<std::string, std::string>& environment);

/// A new empty folder that only this user can enter, removed with all in it when the object dies.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

}  // namespace flexgemm::bench
