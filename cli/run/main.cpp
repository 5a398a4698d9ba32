#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <system_error>

#include <unistd.h>

#include "run/failure.hpp"
#include "run/options.hpp"
#include "run/output_folder.hpp"
#include "run/pipeline.hpp"
#include "run/report.hpp"

namespace {

using namespace flexgemm;
using namespace flexgemm::run;

/// The stage at work, on stderr where that is a terminal; erased when the run is over.
class ProgressLine {
 public:
  ProgressLine() : shown_(isatty(STDERR_FILENO) == 1) {}
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine() { show(""); }
  void show(const std::string& stage) const {
    if (shown_) std::fprintf(stderr, "\r\033[K%s%s", stage.c_str(), stage.empty() ? "" : " ...");
  }

 private:
  bool shown_;
};

/// A reader that has seen enough and closed the pipe is no failure.
void print(const std::string& text) {
  errno = 0;
  const bool written =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (!written && errno != EPIPE) {
    fail(ErrorCode::io, "cannot write to standard output: {}", std::generic_category().message(errno));
  }
}

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
    return run_scene(options, [&line](const std::string& stage) { line.show(stage); });
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
  // A closed pipe and a limit on the size of files are write errors like others.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    return run_program(argc, argv);
  } catch (const Error& error) {
    const bool out_of_memory = error.code() == ErrorCode::out_of_memory;
    std::fprintf(stderr, "flexgemm-run: %s%s\n", out_of_memory ? "out of memory: " : "", error.what());
    return exit_code(error.code());
  } catch (const std::bad_alloc&) {
    std::fputs("flexgemm-run: out of memory: use larger voxels, fewer channels or a smaller scene\n", stderr);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "flexgemm-run: internal error, please report it: %s\n", error.what());
  }
  return exit_failure;
}
