// pack, unpack, verify, merge and clear: the cache and packs as files.
#include <algorithm>
#include <filesystem>

#include <CLI/CLI.hpp>

#include "common/failure.hpp"
#include "common/terminal.hpp"
#include "common/text_table.hpp"
#include "tune/cache_json.hpp"
#include "tune/cache_options.hpp"
#include "tune/command.hpp"

namespace flexgemm::tune {

namespace {

using cli::fail;

/// Prints what changed: "WHAT: 12 kernels (345 KiB), 3 tuning results", then what was skipped.
int print_change(const CacheFlags& flags, const std::string& what, const CacheChange& change) {
  if (flags.json()) {
    Json object = to_json(change);
    object["what"] = what;
    print_json(object);
    return cli::exit_ok;
  }
  std::string text =
      fmt::format("{}: {} kernels ({} KiB), {} tuning results", what, change.kernels,
                  cli::with_separators(static_cast<std::int64_t>(change.bytes >> 10)), change.tuning_entries);
  if (change.other_files > 0) text += fmt::format(", {} other files", change.other_files);
  cli::print(text + "\n" + text_of(change.findings));
  return cli::exit_ok;
}

class PackCommand final : public Command {
 public:
  explicit PackCommand(CLI::App& program) {
    app = program.add_subcommand("pack", "write what the cache holds into a pack");
    app->add_option("PACK", file_, "the file to write")->required()->type_name("");
    app->add_option("--arch", architectures_, "only kernels and results of these; default: all")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->type_name("ARCH,...");
    app->add_flag("--no-kernels", no_kernels_, "tuning results alone");
    app->add_flag("--no-tuning", no_tuning_, "kernels alone");
    app->add_flag("--outdated", outdated_, "also entries of older templates");
    flags_.declare(*app);
  }
  const char* notes() const override {
    return R"(
The pack appears under its name when it is complete on disk. Equal content gives equal bytes.

Examples
  flexgemm-tune pack h200.pack --arch sm_90a
  flexgemm-tune pack results.pack --no-kernels
)";
  }
  int run() override {
    if (no_kernels_ && no_tuning_) {
      fail(ErrorCode::invalid_argument, "--no-kernels and --no-tuning leave nothing to pack");
    }
    PackFilter filter{
        .architectures = {}, .kernels = !no_kernels_, .tuning = !no_tuning_, .outdated = outdated_};
    for (const std::string& architecture : architectures_) {
      filter.architectures.push_back(complete({architecture, 0}).architecture);
    }
    return print_change(flags_, file_, pack_cache(file_, flags_.options(), filter));
  }

 private:
  CacheFlags flags_;
  std::string file_;
  std::vector<std::string> architectures_;
  bool no_kernels_ = false;
  bool no_tuning_ = false;
  bool outdated_ = false;
};

class UnpackCommand final : public Command {
 public:
  explicit UnpackCommand(CLI::App& program) {
    app = program.add_subcommand("unpack", "add what packs hold to the cache");
    app->add_option("PACK", files_, "the packs")->required()->type_name("");
    flags_.declare(*app);
  }
  const char* notes() const override {
    return R"(
Every byte of a pack is checked before anything of it is believed; one that is not sound changes nothing. Of two
tuning results for one key the newer stays. A pack is code that the GPU runs: take it from those you trust.

Examples
  flexgemm-tune unpack net.pack
  flexgemm-tune unpack a.pack b.pack --cache /var/cache/flexgemm
)";
  }
  int run() override {
    CacheChange sum;
    for (const std::string& file : files_) {
      CacheChange change = unpack(file, flags_.options());
      sum.kernels += change.kernels;
      sum.tuning_entries += change.tuning_entries;
      sum.other_files += change.other_files;
      sum.bytes += change.bytes;
      sum.findings.insert(sum.findings.end(), change.findings.begin(), change.findings.end());
    }
    return print_change(flags_, flags_.place(), sum);
  }

 private:
  CacheFlags flags_;
  std::vector<std::string> files_;
};

class VerifyCommand final : public Command {
 public:
  explicit VerifyCommand(CLI::App& program) {
    app = program.add_subcommand("verify", "check every byte of packs, or of the cache");
    app->add_option("PACK", files_, "the packs; none: the cache")->type_name("");
    flags_.declare(*app);
  }
  const char* notes() const override {
    return R"(
Changes nothing. Exit code 4 if a pack or a file of the cache is damaged, foreign or of a newer version, 3 if one
cannot be read at all.

Examples
  flexgemm-tune verify net.pack
  flexgemm-tune verify --json
)";
  }
  int run() override { return files_.empty() ? verify_cache() : verify_packs(); }

 private:
  int verify_packs() const {
    bool sound = true;
    Json packs = Json::array();
    std::string text;
    for (const std::string& file : files_) {
      std::error_code error;
      if (!std::filesystem::is_regular_file(file, error)) {
        fail(ErrorCode::io, "{}: {}", file, error ? error.message() : "is not a file");
      }
      try {
        const PackContents contents = verify_pack(file);
        const auto current = std::count_if(contents.kernels.begin(), contents.kernels.end(),
                                           [](const KernelEntry& kernel) { return kernel.current; });
        Json architectures = Json::object();
        for (const KernelEntry& kernel : contents.kernels) {
          Json& count = architectures[kernel.architecture];
          count = count.is_null() ? 1 : count.get<int>() + 1;
        }
        packs.push_back({{"pack", file},
                         {"sound", true},
                         {"bytes", contents.bytes},
                         {"kernels", contents.kernels.size()},
                         {"current_kernels", current},
                         {"architectures", std::move(architectures)},
                         {"tuning_entries", contents.tuning.size()},
                         {"problem", nullptr}});
        text += fmt::format("{}: sound, {} bytes, {} kernels ({} of this version), {} tuning results\n", file,
                            cli::with_separators(static_cast<std::int64_t>(contents.bytes)),
                            contents.kernels.size(), current, contents.tuning.size());
      } catch (const Error& problem) {
        if (problem.code() != ErrorCode::io) throw;
        sound = false;
        packs.push_back({{"pack", file}, {"sound", false}, {"problem", problem.what()}});
        text += fmt::format("NOT SOUND: {}\n", problem.what());
      }
    }
    if (flags_.json()) {
      print_json({{"sound", sound}, {"packs", std::move(packs)}});
    } else {
      cli::print(text);
    }
    return sound ? cli::exit_ok : cli::exit_verification_failed;
  }

  int verify_cache() const {
    const CacheReport report = diagnose_cache(flags_.options());
    const bool sound =
        std::none_of(report.findings.begin(), report.findings.end(), [](const CacheFinding& finding) {
          return finding.kind == CacheFinding::Kind::damaged || finding.kind == CacheFinding::Kind::foreign ||
                 finding.kind == CacheFinding::Kind::newer ||
                 finding.kind == CacheFinding::Kind::unreadable ||
                 finding.kind == CacheFinding::Kind::untrusted;
        });
    if (flags_.json()) {
      print_json({{"sound", sound},
                  {"folder", report.folder.string()},
                  {"kernels", report.kernels},
                  {"kernel_bytes", report.kernel_bytes},
                  {"tuning_entries", report.tuning_entries},
                  {"findings", to_json(report.findings)}});
    } else {
      cli::print(fmt::format("{}: {}, {} kernels, {} tuning results\n", flags_.place(),
                             sound ? "sound" : "NOT SOUND", report.kernels, report.tuning_entries) +
                 text_of(report.findings));
    }
    return sound ? cli::exit_ok : cli::exit_verification_failed;
  }

  CacheFlags flags_;
  std::vector<std::string> files_;
};

class MergeCommand final : public Command {
 public:
  explicit MergeCommand(CLI::App& program) {
    app = program.add_subcommand("merge", "add what another cache holds to this one");
    app->add_option("DIR", source_, "the other cache's folder")->required()->type_name("");
    flags_.declare(*app);
  }
  const char* notes() const override {
    return R"(
Both may be in use. Of two tuning results for one key the newer stays.

Example
  flexgemm-tune merge /mnt/build/cache --cache /var/cache/flexgemm
)";
  }
  int run() override {
    if (source_.empty()) fail(ErrorCode::invalid_argument, "DIR is empty; it takes the other cache's folder");
    std::error_code error;
    if (!std::filesystem::is_directory(source_, error)) {
      fail(ErrorCode::io, "{}: {}", source_, error ? error.message() : "is not a folder");
    }
    return print_change(flags_, flags_.place(), merge_cache(source_, flags_.options()));
  }

 private:
  CacheFlags flags_;
  std::string source_;
};

class ClearCommand final : public Command {
 public:
  explicit ClearCommand(CLI::App& program) {
    app = program.add_subcommand("clear", "empty the cache");
    app->add_flag("--kernels", kernels_, "kernels alone");
    app->add_flag("--tuning", tuning_, "tuning results alone");
    app->add_flag("--outdated", outdated_,
                  "only entries of older templates, and files set aside or left over");
    flags_.declare(*app);
  }
  const char* notes() const override {
    return R"(
Programs that run go on: what they have loaded stays loaded.

Examples
  flexgemm-tune clear --outdated
  flexgemm-tune clear --kernels --cache /var/cache/flexgemm
)";
  }
  int run() override {
    const bool both = kernels_ == tuning_;
    const CacheChange change =
        clear_cache(flags_.options(),
                    {.kernels = kernels_ || both, .tuning = tuning_ || both, .only_outdated = outdated_});
    return print_change(flags_, fmt::format("removed from {}", flags_.place()), change);
  }

 private:
  CacheFlags flags_;
  bool kernels_ = false;
  bool tuning_ = false;
  bool outdated_ = false;
};

}  // namespace

CommandPointer make_pack_command(CLI::App& program) { return std::make_unique<PackCommand>(program); }
CommandPointer make_unpack_command(CLI::App& program) { return std::make_unique<UnpackCommand>(program); }
CommandPointer make_verify_command(CLI::App& program) { return std::make_unique<VerifyCommand>(program); }
CommandPointer make_merge_command(CLI::App& program) { return std::make_unique<MergeCommand>(program); }
CommandPointer make_clear_command(CLI::App& program) { return std::make_unique<ClearCommand>(program); }

}  // namespace flexgemm::tune
