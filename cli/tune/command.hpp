#pragma once

#include <memory>
#include <string>

namespace CLI {
class App;
}

namespace flexgemm::tune {

/// A subcommand of flexgemm-tune. Constructed before the command line is read, when it declares its options.
class Command {
 public:
  virtual ~Command() = default;
  /// Does the work, prints the result, and returns the exit code. Throws Error.
  virtual int run() = 0;
  /// What --help says after the options: details, examples.
  virtual const char* notes() const = 0;

  CLI::App* app = nullptr;  ///< set by those who construct it
};

using CommandPointer = std::unique_ptr<Command>;

// One a subcommand, each in a file of its name.
CommandPointer make_tune_command(CLI::App& program);
CommandPointer make_list_command(CLI::App& program);
CommandPointer make_show_command(CLI::App& program);
CommandPointer make_emit_command(CLI::App& program);
CommandPointer make_compile_command(CLI::App& program);
CommandPointer make_doctor_command(CLI::App& program);
CommandPointer make_pack_command(CLI::App& program);
CommandPointer make_unpack_command(CLI::App& program);
CommandPointer make_verify_command(CLI::App& program);
CommandPointer make_merge_command(CLI::App& program);
CommandPointer make_clear_command(CLI::App& program);

}  // namespace flexgemm::tune
