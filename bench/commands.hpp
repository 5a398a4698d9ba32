#pragma once

#include <functional>

#include <CLI/CLI.hpp>

namespace flexgemm::bench {

/// What a subcommand does once the command line is parsed; returns the exit code.
using Command = std::function<int()>;

// Each declares its subcommand and sets `command` when it is chosen.
void declare_suite(CLI::App& app, Command& command, int argc, char** argv);
void declare_diff(CLI::App& app, Command& command);
void declare_tables(CLI::App& app, Command& command);
void declare_ceilings(CLI::App& app, Command& command);
void declare_cold(CLI::App& app, Command& command);
void declare_tuning(CLI::App& app, Command& command);

}  // namespace flexgemm::bench
