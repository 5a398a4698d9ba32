#include "tune_program.hpp"

#include <algorithm>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace flexgemm::test {

ProgramRun flexgemm_tune(const std::vector<std::string>& arguments, const std::string& cache,
                         Stderr stderr_kind) {
  const std::string folder = cache.empty() ? "/nonexistent/flexgemm-cache" : cache;
  std::vector<std::string> command{"/usr/bin/env", "FLEXGEMM_CACHE_DIR=" + folder, FLEXGEMM_TUNE_PROGRAM};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run_command(command, stderr_kind);
}

nlohmann::json flexgemm_tune_json(std::vector<std::string> arguments, const std::string& cache,
                                  int exit_code) {
  arguments.emplace_back("--json");
  const ProgramRun run = flexgemm_tune(arguments, cache);
  CAPTURE(run.out);
  CHECK(run.err == "");
  REQUIRE(run.exit_code == exit_code);
  return nlohmann::json::parse(run.out);  // throws if anything but one JSON value was printed
}

void check_tune_refused(const ProgramRun& run, int exit_code, const std::string& words) {
  CHECK(run.exit_code == exit_code);
  CHECK(run.out == "");
  CHECK_THAT(run.err, Catch::Matchers::StartsWith("flexgemm-tune: "));
  CHECK_THAT(run.err, Catch::Matchers::ContainsSubstring(words));
  CHECK(std::count(run.err.begin(), run.err.end(), '\n') == 1);
}

}  // namespace flexgemm::test
