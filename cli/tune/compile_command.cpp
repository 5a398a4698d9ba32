#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include "common/failure.hpp"
#include "common/parse_values.hpp"
#include "common/terminal.hpp"
#include "common/text_table.hpp"
#include "tune/command.hpp"
#include "tune/interrupt.hpp"
#include "tune/layer_options.hpp"
#include "tune/output.hpp"

namespace flexgemm::tune {

namespace {

using cli::fail;

/// The kernels of one architecture, and what became of them.
struct ArchitectureReport {
  std::string architecture;
  std::size_t kernels = 0;
  std::size_t compiled = 0;
  std::uint64_t bytes = 0;
};

class CompileCommand final : public Command {
 public:
  explicit CompileCommand(CLI::App& program) {
    app = program.add_subcommand("compile", "compile a network's kernels into a pack, on any machine");
    app->add_option("--arch", architectures_, "architectures to compile for, such as sm_80,sm_90a")
        ->required()
        ->type_name("ARCH,...");
    layer_.declare(*app, /*scene=*/false);
    app->add_option("--out", out_, "the pack to write")->required()->type_name("PACK");
    app->add_option("--multiprocessors", multiprocessors_,
                    "of the GPU; default: each architecture's best known")
        ->type_name("N");
    app->add_option("--jobs", jobs_, "worker processes; 0: one a processor, at most 16")
        ->type_name("N")
        ->capture_default_str();
    app->add_flag("--list", list_, "print the specs that would be compiled, and stop");
    app->add_flag("--json", json_, "print one JSON object");
  }

  const char* notes() const override {
    return R"(
Needs NVRTC and no GPU. For each layer and architecture the pack gets every kernel that a program may ask for when
it runs the layer untuned: from half to twice the voxels of the description and within 1.25x of its pairs; forward
with no bias, a float bias and one of the layer's type; grad_weight in float and in the layer's type. Tensors are taken to be aligned to 16 bytes, as allocators make them. What
an older pack at --out has is not compiled again if it is still current. After Ctrl-C, or when a kernel failed, what
was compiled is in PACK.partial, from which the same command goes on. Ship the pack and name it in ContextOptions::kernel_packs, or `flexgemm-tune unpack` it.

Examples
  flexgemm-tune compile --arch sm_80,sm_86,sm_89,sm_90a,sm_120a --net net.json --out net.pack
  flexgemm-tune compile --arch sm_90a --ci 64 --co 64 --n 100000 --dtype f16 --out layer.pack --jobs 8
)";
  }

  int run() override {
    const int jobs = static_cast<int>(cli::parse_integer("--jobs", jobs_, 0, 1024));
    if (out_.empty()) fail(ErrorCode::invalid_argument, "--out is empty; it takes the pack to write");
    collect_specs();
    if (list_) return print_list();
    require_writable_place();
    keep_old_kernels();
    compile(jobs);
    const bool whole = failures_.empty() && interrupted() == 0;
    save(whole);
    print_report(whole);
    return failures_.empty() ? cli::exit_ok : cli::exit_verification_failed;
  }

 private:
  void collect_specs() {
    std::vector<PassDescription> passes;
    for (const LayerRequest& layer : layer_.layers()) passes.push_back(description_of(layer));
    int multiprocessors = 0;
    if (app->count("--multiprocessors") != 0) {
      multiprocessors = static_cast<int>(cli::parse_integer("--multiprocessors", multiprocessors_, 1, 4096));
    }
    std::set<std::string> seen;
    std::string_view rest = architectures_;
    for (;;) {
      const std::size_t comma = rest.find(',');
      const TargetGpu gpu = complete({std::string(rest.substr(0, comma)), multiprocessors});
      if (!seen.insert(gpu.architecture).second) {
        fail(ErrorCode::invalid_argument, "--arch is '{}', which names {} twice", architectures_,
             gpu.architecture);
      }
      const std::vector<std::string> specs = kernels_for_pack(passes, gpu);
      reports_.push_back({gpu.architecture, specs.size(), 0, 0});
      for (const std::string& spec : specs) {
        specs_.push_back(spec);
        report_of_.push_back(reports_.size() - 1);
      }
      if (comma == std::string_view::npos) return;
      rest.remove_prefix(comma + 1);
    }
  }

  int print_list() const {
    if (json_) {
      print_json({{"kernels", specs_}});
    } else {
      std::string lines;
      for (const std::string& spec : specs_) lines += spec + "\n";
      cli::print(lines);
    }
    return cli::exit_ok;
  }

  void require_writable_place() const;
  void keep_old_kernels();
  void save(bool whole) const;
  std::string partial_file() const { return out_ + ".partial"; }

  void compile(int jobs) {
    std::vector<std::string> missing;
    std::vector<std::size_t> positions;
    for (std::size_t index = 0; index < specs_.size(); ++index) {
      if (kept_.contains(specs_[index])) continue;
      missing.push_back(specs_[index]);
      positions.push_back(index);
    }
    const cli::ProgressLine line;
    std::size_t done = 0;
    const auto show = [&] { line.show(fmt::format("compiling {} of {} kernels ...", done, missing.size())); };
    show();
    compile_kernels(missing, {.jobs = jobs,
                              .finished =
                                  [&](std::size_t position, const KernelImage& kernel) {
                                    add(positions[position], kernel);
                                    ++added_;
                                    ++done;
                                    show();
                                  },
                              .failed =
                                  [&](std::size_t position, const std::string& problem) {
                                    failures_.push_back({missing[position], problem});
                                    ++done;
                                    show();
                                  },
                              .cancelled = [] { return interrupted() != 0; }});
  }

  void add(std::size_t index, const KernelImage& kernel) {
    builder_.add(kernel);
    ArchitectureReport& report = reports_[report_of_[index]];
    ++report.compiled;
    report.bytes += kernel.image.size();
  }

  void print_report(bool whole) const {
    if (json_) {
      Json rows = Json::array();
      for (const ArchitectureReport& report : reports_) {
        rows.push_back({{"architecture", report.architecture},
                        {"kernels", report.kernels},
                        {"in_pack", report.compiled},
                        {"bytes", report.bytes}});
      }
      Json failed = Json::array();
      for (const auto& [spec, problem] : failures_) failed.push_back({{"spec", spec}, {"problem", problem}});
      print_json({{"pack", out_},
                  {"complete", whole},
                  {"compiled", added_},
                  {"kept", kept_.size()},
                  {"architectures", std::move(rows)},
                  {"failures", std::move(failed)}});
      return;
    }
    cli::TextTable table({"architecture", "kernels", "in the pack", "KiB"}, 1);
    for (const ArchitectureReport& report : reports_) {
      table.add({report.architecture, fmt::format("{}", report.kernels), fmt::format("{}", report.compiled),
                 cli::with_separators(static_cast<std::int64_t>(report.bytes >> 10))});
    }
    std::string text =
        table.text() + fmt::format("\n{}: {} kernels compiled, {} kept{}\n", out_, added_, kept_.size(),
                                   whole ? "" : "; not complete, run the same command again");
    for (const auto& [spec, problem] : failures_) text += fmt::format("failed: {}: {}\n", spec, problem);
    cli::print(text);
  }

  LayerOptions layer_;
  std::string architectures_, out_, multiprocessors_;
  std::string jobs_ = "0";
  bool list_ = false;
  bool json_ = false;
  std::vector<ArchitectureReport> reports_;
  std::vector<std::string> specs_;
  std::vector<std::size_t> report_of_;  // of each spec
  std::set<std::string> kept_;          // specs whose kernels an earlier run has left in the pack
  std::size_t added_ = 0;
  std::vector<std::pair<std::string, std::string>> failures_;
  PackBuilder builder_;
};

/// Asked before the work starts.
void CompileCommand::require_writable_place() const {
  const std::filesystem::path file = out_;
  const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : ".";
  errno = 0;
  if (access(folder.c_str(), W_OK | X_OK) != 0) {
    fail(ErrorCode::io, "{}: cannot be written: {}: {}", out_, folder.string(),
         std::generic_category().message(errno));
  }
  if (std::filesystem::is_directory(file)) fail(ErrorCode::io, "{}: cannot be written: it is a folder", out_);
}

void CompileCommand::keep_old_kernels() {
  std::map<std::string, std::size_t> wanted;
  for (std::size_t index = 0; index < specs_.size(); ++index) wanted.emplace(specs_[index], index);
  for (const std::string& file : {out_, partial_file()}) {
    std::error_code error;
    if (!std::filesystem::exists(file, error)) continue;
    std::vector<KernelImage> kernels;
    try {
      kernels = read_pack_kernels(file);
    } catch (const Error& damage) {
      // What stands at --out may be something else that somebody needs.
      if (damage.code() != ErrorCode::io || file == out_) throw;
      continue;
    }
    for (const KernelImage& kernel : kernels) {
      const auto found = wanted.find(kernel.spec);
      if (found != wanted.end() && kept_.insert(kernel.spec).second) add(found->second, kernel);
    }
  }
}

/// A pack at --out is always complete; what an interrupted run has made waits beside it.
void CompileCommand::save(bool whole) const {
  std::error_code ignored;
  if (whole) {
    builder_.write(out_);
    std::filesystem::remove(partial_file(), ignored);
  } else if (added_ > 0) {
    builder_.write(partial_file());
  }
}

}  // namespace

CommandPointer make_compile_command(CLI::App& program) { return std::make_unique<CompileCommand>(program); }

}  // namespace flexgemm::tune
