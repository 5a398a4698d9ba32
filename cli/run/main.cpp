#include <cstdio>
#include <string>

#include "common/failure.hpp"
#include "common/terminal.hpp"
#include "run/options.hpp"
#include "run/output_folder.hpp"
#include "run/pipeline.hpp"
#include "run/report.hpp"

namespace {

using namespace flexgemm;
using namespace flexgemm::run;
using namespace flexgemm::cli;

std::string failed_verification(const Verification& verification) {
  std::string sentence = fmt::format("verification failed: {} wrong map entries in {} rows; relative errors",
                                     verification.map_mismatches, verification.rows);
  for (const double error : verification.layer_errors) sentence += fmt::format(" {:.2e}", error);
  return sentence + fmt::format(", of which none may exceed {:.0e}", verification.tolerance);
}

int run_program(int argc, const char* const* argv) {
  const CommandLine command_line = parse_command_line(argc, argv);
  if (!command_line.options) {
    print(command_line.information);
    return exit_ok;
  }
  const RunOptions& options = *command_line.options;
  if (!options.out.empty()) require_writable_folder(options.out);
  const RunResult result = [&] {
    const ProgressLine line;
    return run_scene(options, [&line](const std::string& stage) { line.show(stage + " ..."); });
  }();
  const bool failed = result.verification && !result.verification->passed();
  if (!options.out.empty() && !failed) {
    write_folder(options.out, {result.feats, options.channels.back(), result.coords});
  }
  print(options.json ? json(options, result) : table(options, result));
  if (!failed) return exit_ok;
  std::fprintf(stderr, "flexgemm-run: %s\n", failed_verification(*result.verification).c_str());
  return exit_verification_failed;
}

}  // namespace

int main(int argc, char** argv) {
  return run_guarded("flexgemm-run", "use larger voxels, fewer channels or a smaller scene",
                     [&] { return run_program(argc, argv); });
}
