#include <filesystem>
#include <system_error>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include <flexgemm/system.hpp>

#include "common/failure.hpp"
#include "common/terminal.hpp"
#include "common/text_table.hpp"
#include "tune/cache_json.hpp"
#include "tune/cache_options.hpp"
#include "tune/command.hpp"

namespace flexgemm::tune {

namespace {

enum class Health { good, note, bad };

const char* name(Health health) {
  switch (health) {
    case Health::good:
      return "ok";
    case Health::note:
      return "note";
    case Health::bad:
      break;
  }
  return "PROBLEM";
}

/// One thing that was looked at.
struct Finding {
  Health health = Health::good;
  std::string subject;  ///< "driver", "cuda:0", "nvrtc", "cache", ...
  std::string what;
  std::string remedy;  ///< empty for what is in order
};

Finding driver_finding(const SystemInformation& system) {
  if (!system.has_cuda_backend) {
    return {
        Health::note, "driver", "this build of FlexGEMM has no CUDA backend",
        "Where GPUs are wanted, install a CUDA toolkit 12.4 or newer and configure with -DFLEXGEMM_CUDA=ON."};
  }
  if (system.driver_problem.empty())
    return {Health::good, "driver", "supports CUDA " + system.driver_version, ""};
  return {Health::note, "driver", system.driver_problem,
          "On a machine with a GPU, install or update NVIDIA's driver, and give the process (or its "
          "container) the "
          "GPU: nvidia-smi must list it. Without a GPU this is in order: compile, emit and the pack commands "
          "work."};
}

Finding gpu_finding(const GpuInformation& gpu) {
  const std::string subject = fmt::format("cuda:{}", gpu.ordinal);
  const std::string what = fmt::format("{}, {}, {} SMs", gpu.name, gpu.architecture, gpu.multiprocessors);
  if (gpu.problem.empty()) return {Health::good, subject, what, ""};
  return {Health::bad, subject, what + ": " + gpu.problem,
          "Hide it with CUDA_VISIBLE_DEVICES, or use another device."};
}

Finding compiler_finding(const SystemInformation& system) {
  if (!system.has_cuda_backend) return {Health::note, "nvrtc", system.compiler_problem, "As above."};
  if (!system.compiler_problem.empty()) {
    return {
        Health::note, "nvrtc", system.compiler_problem,
        "Kernels that are in the cache or in a pack run without it. To compile new ones, install the package "
        "cuda-nvrtc of CUDA 12 or newer, or set CUDA_HOME to a toolkit."};
  }
  const auto& architectures = system.compiler_architectures;
  return {Health::good, "nvrtc",
          fmt::format("version {}, for {} to {}", system.compiler_version, architectures.front(),
                      architectures.back()),
          ""};
}

Finding worker_finding(const SystemInformation& system) {
  if (!system.compile_worker.empty()) return {Health::good, "worker", system.compile_worker, ""};
  return {Health::note, "worker", "the program flexgemm-compile-worker was not found",
          "Kernels are compiled one after the other. Install it with the library, or name it in "
          "FLEXGEMM_COMPILE_WORKER."};
}

/// The folder is not there yet, but can be made.
bool can_be_made(const std::filesystem::path& folder) {
  std::error_code error;
  if (std::filesystem::exists(std::filesystem::symlink_status(folder, error))) return false;
  std::filesystem::path above = std::filesystem::absolute(folder, error);
  while (above.has_relative_path() && !std::filesystem::exists(above, error)) above = above.parent_path();
  return std::filesystem::is_directory(above, error) && access(above.c_str(), W_OK | X_OK) == 0;
}

bool is_serious(const CacheFinding& finding) {
  switch (finding.kind) {
    case CacheFinding::Kind::no_folder:
      return finding.path.empty() || !can_be_made(finding.path);
    case CacheFinding::Kind::switched_off:
    case CacheFinding::Kind::outdated:
    case CacheFinding::Kind::set_aside:
    case CacheFinding::Kind::left_over:
      return false;
    default:
      return true;
  }
}

class DoctorCommand final : public Command {
 public:
  explicit DoctorCommand(CLI::App& program) {
    app = program.add_subcommand("doctor", "look for what keeps GPUs or the cache from working");
    flags_.declare(*app);
  }

  const char* notes() const override {
    return R"(
Looks at the driver, every GPU, NVRTC, the compiling worker program, the cache's folder, its permissions and every
byte in it, and says what to do about each thing that is not in order. Changes nothing. Exit code 4 if there is a
problem; a machine without a GPU or without NVRTC is none.

Examples
  flexgemm-tune doctor
  flexgemm-tune doctor --json | jq .findings
)";
  }

  int run() override {
    const SystemInformation system = system_information();
    const CacheReport cache = diagnose_cache(flags_.options());
    std::vector<Finding> findings{driver_finding(system)};
    for (const GpuInformation& gpu : system.gpus) findings.push_back(gpu_finding(gpu));
    findings.push_back(compiler_finding(system));
    if (system.has_cuda_backend) findings.push_back(worker_finding(system));
    findings.push_back(cache_finding(cache));
    for (const CacheFinding& finding : cache.findings) {
      findings.push_back({is_serious(finding) ? Health::bad : Health::note, "cache",
                          finding.path.empty()
                              ? finding.problem
                              : fmt::format("{}: {}", finding.path.string(), finding.problem),
                          finding.remedy});
    }
    bool healthy = true;
    for (const Finding& finding : findings) healthy &= finding.health != Health::bad;
    if (flags_.json()) {
      print_findings_json(system, cache, findings, healthy);
    } else {
      cli::print(text_of_findings(findings, healthy));
    }
    return healthy ? cli::exit_ok : cli::exit_verification_failed;
  }

 private:
  static Finding cache_finding(const CacheReport& cache) {
    if (cache.folder.empty()) return {Health::note, "cache", "none", "The findings below say why."};
    return {Health::good, "cache",
            fmt::format("{} (from {}): {}, {}; {} kernels of {} MiB, at most {} MiB; {} tuning results",
                        cache.folder.string(), cache.origin, cache.usable ? "usable" : "not usable",
                        cache.writable ? "writable" : "not writable", cache.kernels, cache.kernel_bytes >> 20,
                        cache.limit_bytes >> 20, cache.tuning_entries),
            ""};
  }

  static std::string text_of_findings(const std::vector<Finding>& findings, bool healthy) {
    std::string text;
    for (const Finding& finding : findings) {
      text += fmt::format("{:<8} {:<8} {}\n", name(finding.health), finding.subject, finding.what);
      if (!finding.remedy.empty()) text += fmt::format("{:<17} -> {}\n", "", finding.remedy);
    }
    return text + (healthy ? "\nno problem was found\n" : "\nthere are problems\n");
  }

  static void print_findings_json(const SystemInformation& system, const CacheReport& cache,
                                  const std::vector<Finding>& findings, bool healthy) {
    const auto or_null = [](const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); };
    Json gpus = Json::array();
    for (const GpuInformation& gpu : system.gpus) {
      gpus.push_back({{"ordinal", gpu.ordinal},
                      {"name", gpu.name},
                      {"architecture", gpu.architecture},
                      {"multiprocessors", gpu.multiprocessors},
                      {"problem", or_null(gpu.problem)}});
    }
    Json list = Json::array();
    for (const Finding& finding : findings) {
      list.push_back({{"health", name(finding.health)},
                      {"subject", finding.subject},
                      {"what", finding.what},
                      {"remedy", or_null(finding.remedy)}});
    }
    print_json({{"healthy", healthy},
                {"version", flexgemm::version()},
                {"cuda_backend", system.has_cuda_backend},
                {"driver",
                 {{"version", or_null(system.driver_version)}, {"problem", or_null(system.driver_problem)}}},
                {"gpus", std::move(gpus)},
                {"nvrtc",
                 {{"version", or_null(system.compiler_version)},
                  {"problem", or_null(system.compiler_problem)},
                  {"architectures", system.compiler_architectures}}},
                {"worker", or_null(system.compile_worker)},
                {"cache",
                 {{"folder", or_null(cache.folder.string())},
                  {"origin", cache.origin},
                  {"usable", cache.usable},
                  {"writable", cache.writable},
                  {"kernels", cache.kernels},
                  {"kernel_bytes", cache.kernel_bytes},
                  {"limit_bytes", cache.limit_bytes},
                  {"tuning_entries", cache.tuning_entries},
                  {"findings", to_json(cache.findings)}}},
                {"findings", std::move(list)}});
  }

  CacheFlags flags_;
};

}  // namespace

CommandPointer make_doctor_command(CLI::App& program) { return std::make_unique<DoctorCommand>(program); }

}  // namespace flexgemm::tune
