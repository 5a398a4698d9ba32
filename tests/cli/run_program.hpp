#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace flexgemm::test {

/// What a program left behind. `exit_code` is 128 + the signal's number if a signal ended it.
struct ProgramRun {
  int exit_code = -1;
  std::string out;
  std::string err;
};

enum class Stderr { pipe, terminal };

/// Starts `command` (a program's path and its arguments), reads what it prints, and waits for its end.
ProgramRun run_command(const std::vector<std::string>& command, Stderr stderr_kind = Stderr::pipe);

/// Starts flexgemm-run with these arguments.
ProgramRun flexgemm_run(std::vector<std::string> arguments, Stderr stderr_kind = Stderr::pipe);

/// Starts flexgemm-run by /bin/sh: `program` in the text stands for its quoted path.
ProgramRun flexgemm_run_in_shell(const std::string& script);

/// Runs flexgemm-run with --json, checks that it succeeded with nothing on stderr, and parses its stdout.
nlohmann::json flexgemm_run_json(std::vector<std::string> arguments);

/// Checks that the run ended with this exit code, one sentence on stderr that names the program and contains
/// `words`, and nothing on stdout.
void check_refused(const ProgramRun& run, int exit_code, const std::string& words);

}  // namespace flexgemm::test
