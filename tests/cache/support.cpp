#include "support.hpp"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iterator>
#include <random>
#include <stdexcept>

#include <fmt/format.h>
#include <grp.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/kernel_file.hpp"
#include "codegen/candidates.hpp"
#include "codegen/emit.hpp"
#include "codegen/text.hpp"

namespace flexgemm::cache_test {

namespace {

/// The library reads its verbosity once: before anything else happens here.
[[maybe_unused]] const int verbose = ::setenv("FLEXGEMM_VERBOSE", "1", 1);

std::vector<char> made_image(std::uint64_t seed, std::size_t bytes) {
  std::mt19937_64 generator(seed);
  std::vector<char> image(bytes);
  for (char& byte : image) byte = static_cast<char>(generator() >> 56);
  const std::string elf =
      "\x7f"
      "ELF";
  std::copy(elf.begin(), elf.end(), image.begin());
  return image;
}

}  // namespace

MadeKernel made_kernel(std::uint64_t number, std::size_t image_bytes) {
  MadeKernel kernel;
  kernel.hash = codegen::hexadecimal(number * 0x9e3779b97f4a7c15U + 1);
  kernel.spec.in_channels = static_cast<int>(number % 100000) + 1;
  kernel.compiled = {.image = made_image(number, image_bytes), .is_ptx = false, .log = "ptxas info : made"};
  return kernel;
}

KernelImage image_of(const MadeKernel& kernel) {
  return {.spec = codegen::to_string(kernel.spec),
          .hash = kernel.hash,
          .is_ptx = kernel.compiled.is_ptx,
          .image = kernel.compiled.image,
          .log = kernel.compiled.log};
}

KernelImage current_kernel(int number, const char* architecture) {
  codegen::GemmProblem problem;
  problem.architecture = codegen::parse_architecture(architecture);
  problem.compute = codegen::ElementType::f16;
  problem.in_channels = 16 * (number + 1);
  problem.out_channels = 32;
  problem.volume = 27;
  problem.rows = 100000;
  const codegen::KernelSpec spec = codegen::default_gemm(problem, codegen::OutputType::storage);
  return {.spec = codegen::to_string(spec),
          .hash = codegen::source_hash(spec),
          .is_ptx = false,
          .image = made_image(static_cast<std::uint64_t>(number), 2000),
          .log = "made"};
}

TuningEntry made_entry(std::int64_t number, std::int64_t devices) {
  const auto candidate = [&](std::int64_t which) {
    TuningCandidate made;
    made.algorithm = which % 2 == 0 ? Algorithm::masked_implicit_gemm : Algorithm::implicit_gemm_splitk;
    made.kernel = fmt::format("implicit_gemm.candidate{}", number + which);
    made.splits = static_cast<int>(which) + 1;
    made.layout = which == 1 ? "blocks of 64 k rows, \"quoted\" \xc3\xa9" : "";
    made.predicted_ms = 0.1 * static_cast<double>(number + which);
    if (which != 2) made.measured_ms = 0.3 / static_cast<double>(number + which + 1);
    if (which == 2) made.problem = "3 of 128 sampled rows are wrong.";
    return made;
  };
  TuningEntry entry;
  entry.key = {.device = fmt::format("NVIDIA Test {}", number % devices),
               .architecture = "sm_90a",
               .multiprocessors = 132,
               .op = Op::forward,
               .dtype = DType::f16,
               .result_dtype = DType::f16,
               .in_channels = number / devices + 1,
               .out_channels = 64,
               .volume = 27,
               .rows_bucket = 17,
               .pairs_bucket = 6,
               .epilogue = "bias_f32",
               .algorithm = Algorithm::automatic,
               .template_hash = codegen::template_hash()};
  entry.winner = candidate(0);
  entry.runner_up = candidate(1);
  entry.candidates = {candidate(0), candidate(1), candidate(2)};
  entry.rows = 123456789012;
  entry.pairs = 987654321098;
  entry.date = fmt::format("2026-01-01T00:00:{:02}Z", number % 60);
  entry.version = "0.1.0";
  return entry;
}

std::shared_ptr<const detail::CacheFolder> cache_in(const std::filesystem::path& folder,
                                                    std::uint64_t limit_bytes) {
  return *detail::CacheFolder::locate({.enabled = true, .folder = folder, .limit_bytes = limit_bytes});
}

CacheOptions options_for(const std::filesystem::path& folder) {
  return {.enabled = true, .folder = folder, .limit_bytes = 0};
}

std::vector<char> read_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw std::runtime_error("cannot read " + file.string());
  return {std::istreambuf_iterator<char>(stream), {}};
}

void write_file(const std::filesystem::path& file, const std::vector<char>& bytes) {
  std::filesystem::remove(file);  // ext4 waits for the disk when a file is emptied and written again
  std::ofstream stream(file, std::ios::binary);
  stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!stream.flush()) throw std::runtime_error("cannot write " + file.string());
}

std::vector<std::string> files_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

ChildResult in_child(const std::function<bool()>& action, std::optional<uid_t> user) {
  int ends[2];
  if (::pipe(ends) != 0) throw std::runtime_error("no pipe");
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("no child process");
  if (child == 0) {
    ::alarm(60);
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
    int status = 3;
    try {
      if (!user || (::setgroups(0, nullptr) == 0 && ::setgid(*user) == 0 && ::setuid(*user) == 0)) {
        status = action() ? 0 : 1;
      }
    } catch (const std::exception& error) {
      fmt::print(stderr, "exception: {}\n", error.what());
      status = 2;
    }
    ::_exit(status);
  }
  ::close(ends[1]);
  ChildResult result;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::read(ends[0], buffer, sizeof(buffer))) > 0;) {
    result.log.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

std::optional<uid_t> ordinary_user() {
  if (::geteuid() != 0) return std::nullopt;
  return nobody;
}

void give_to(const std::filesystem::path& folder, std::optional<uid_t> user) {
  if (!user) return;
  const auto give = [&](const std::filesystem::path& path) {
    if (::lchown(path.c_str(), *user, *user) != 0) throw std::runtime_error("cannot chown " + path.string());
  };
  give(folder);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) give(entry.path());
}

}  // namespace flexgemm::cache_test
