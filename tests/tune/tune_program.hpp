#pragma once

#include <string>
#include <vector>

#include "run_program.hpp"

namespace flexgemm::test {

/// Starts flexgemm-tune with these arguments; FLEXGEMM_CACHE_DIR is `cache`, or a folder that does not exist.
ProgramRun flexgemm_tune(const std::vector<std::string>& arguments, const std::string& cache = "",
                         Stderr stderr_kind = Stderr::pipe);

/// Runs flexgemm-tune with --json, checks the exit code and that nothing is on stderr, and parses its stdout.
nlohmann::json flexgemm_tune_json(std::vector<std::string> arguments, const std::string& cache = "",
                                  int exit_code = 0);

/// Checks that the run ended with this exit code, one sentence on stderr that names the program and contains
/// `words`, and nothing on stdout.
void check_tune_refused(const ProgramRun& run, int exit_code, const std::string& words);

}  // namespace flexgemm::test
