#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include <flexgemm/version.hpp>

#include "common/failure.hpp"
#include "common/terminal.hpp"
#include "tune/command.hpp"
#include "tune/interrupt.hpp"

namespace {

using namespace flexgemm;
using namespace flexgemm::tune;

constexpr const char* description =
    "Measures kernels, fills the kernel cache and makes kernel packs, before anything goes live.";

constexpr std::string_view program_notes = R"(
flexgemm-tune SUBCOMMAND --help explains each with examples.

The cache is $FLEXGEMM_CACHE_DIR, else $XDG_CACHE_HOME/flexgemm, else ~/.cache/flexgemm; --cache DIR names
another. Every subcommand takes --json and then prints one object and nothing else. Ctrl-C ends the work; what
was finished by then is kept, and the next run goes on from there.

Examples
  flexgemm-tune tune --net net.json --device all
  flexgemm-tune compile --arch sm_80,sm_90a --net net.json --out net.pack
  flexgemm-tune unpack net.pack
  flexgemm-tune doctor
)";

constexpr std::string_view exit_codes = R"(
Exit codes
  0  done
  1  failed: out of memory, a failure of the driver or the compiler, or a bug
  2  bad usage: an option that is unknown, malformed or impossible
  3  bad input or output: a file or folder that cannot be read, understood, trusted or written
  4  damage was found (verify, doctor), or a layer has no result (tune, compile)
  5  no such device
  128 + N  ended by signal N, as 130 after Ctrl-C; what was finished is kept
)";

std::vector<CommandPointer> make_commands(CLI::App& program) {
  std::vector<CommandPointer> commands;
  for (const auto make : {make_tune_command, make_list_command, make_show_command, make_emit_command,
                          make_compile_command, make_pack_command, make_unpack_command, make_verify_command,
                          make_merge_command, make_clear_command, make_doctor_command}) {
    commands.push_back(make(program));
  }
  return commands;
}

std::string help(const CLI::App& program, const std::vector<CommandPointer>& commands) {
  std::string text = program.help();  // of the subcommand if there is one
  const char* notes = program_notes.data();
  for (const CommandPointer& command : commands) {
    if (command->app->parsed()) notes = command->notes();
  }
  return text + notes + std::string(exit_codes);
}

int run_program(int argc, const char* const* argv) {
  CLI::App program{description, "flexgemm-tune"};
  const std::string version = std::string("flexgemm-tune ") + flexgemm::version() + "\n";
  program.set_version_flag("--version", version);
  program.get_formatter()->column_width(34);
  program.require_subcommand(0, 1);  // none is reported below: CLI11 would not name an unknown word
  const std::vector<CommandPointer> commands = make_commands(program);
  try {
    program.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    cli::print(help(program, commands));
    return cli::exit_ok;
  } catch (const CLI::CallForVersion&) {
    cli::print(version);
    return cli::exit_ok;
  } catch (const CLI::ParseError& error) {
    std::string name = "flexgemm-tune";
    for (const CommandPointer& command : commands) {
      if (command->app->parsed()) name += " " + command->app->get_name();
    }
    cli::fail(ErrorCode::invalid_argument, "{}; see {} --help", error.what(), name);
  }
  watch_for_interrupts();
  for (const CommandPointer& command : commands) {
    if (!command->app->parsed()) continue;
    const int code = command->run();
    return interrupted() != 0 ? 128 + interrupted() : code;
  }
  cli::fail(ErrorCode::invalid_argument, "a subcommand is missing; see flexgemm-tune --help");
}

}  // namespace

int main(int argc, char** argv) {
  return cli::run_guarded("flexgemm-tune", "use fewer voxels or channels",
                          [&] { return run_program(argc, argv); });
}
