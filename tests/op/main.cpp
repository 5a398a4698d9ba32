// flexgemm-op-test: drives every op of every backend from one list of cases against the float64 reference.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <flexgemm/flexgemm.hpp>

#include "op/cases.hpp"
#include "op/random.hpp"
#include "op/runner.hpp"

namespace flexgemm::op_test {

namespace {

constexpr int exit_failed = 1;
constexpr int exit_skipped = 4;

struct Options {
  std::vector<std::string> devices;
  std::string filter;
  std::string algorithm;
  std::string shard = "0/1";
  Sample sample = Sample::pairwise;
  std::uint64_t seed = 1;
  bool verbose = false;
  bool complete = false;
  int repeat = 5;
};

const char* name(Sample sample) {
  switch (sample) {
    case Sample::touch:
      return "touch";
    case Sample::small:
      return "small";
    case Sample::pairwise:
      return "pairwise";
    case Sample::full:
      break;
  }
  return "full";
}

struct Summary {
  int passed = 0;
  int failed = 0;
  int unsupported = 0;
};

using SceneKey = std::tuple<int, int, int, int, int, bool, bool, std::int64_t>;

SceneKey scene_key(const Case& problem) {
  return {problem.kernel.x, problem.kernel.y,  problem.kernel.z, problem.dilation,
          problem.batch,    problem.huge_grid, problem.checked,  problem.rows};
}

/// Keeps the scene of the last case: cases come in the order of their scenes.
class SceneCache {
 public:
  explicit SceneCache(const Context& context) : context_(context) {}
  const Scene& of(const Case& problem, std::uint64_t seed) {
    if (!scene_ || key_ != scene_key(problem)) {
      scene_.reset();
      scene_ = std::make_unique<Scene>(make_scene(context_, problem, seed));
      key_ = scene_key(problem);
    }
    return *scene_;
  }

 private:
  Context context_;
  SceneKey key_;
  std::unique_ptr<Scene> scene_;
};

/// The cases of this shard: those of one scene stay together, and every shard gets about the same work.
std::vector<Case> cases_of_shard(const Options& options) {
  int shard = 0;
  int shards = 1;
  char rest = 0;
  if (std::sscanf(options.shard.c_str(), "%d/%d%c", &shard, &shards, &rest) != 2 || shard < 0 ||
      shard >= shards)
    throw CLI::ValidationError("--shard", "'" + options.shard + "' is not I/N with 0 <= I < N");
  std::vector<Case> cases = make_cases(options.sample, options.seed);
  std::map<SceneKey, double> work;
  for (const Case& problem : cases) {
    const double elements =
        static_cast<double>(problem.rows) *
        static_cast<double>(problem.in_channels + problem.out_channels + problem.volume());
    work[scene_key(problem)] += 1e6 + dense_work(problem) + 50 * elements;
  }
  std::vector<std::pair<double, SceneKey>> heavy_first;
  for (const auto& [key, amount] : work) heavy_first.emplace_back(amount, key);
  std::sort(heavy_first.rbegin(), heavy_first.rend());
  std::vector<double> load(static_cast<std::size_t>(shards), 0);
  std::map<SceneKey, int> shard_of;
  for (const auto& [amount, key] : heavy_first) {
    const auto lightest = std::min_element(load.begin(), load.end());
    *lightest += amount;
    shard_of[key] = static_cast<int>(lightest - load.begin());
  }
  std::erase_if(cases, [&](const Case& problem) {
    return shard_of[scene_key(problem)] != shard ||
           (!options.algorithm.empty() && problem.algorithm != parse_algorithm(options.algorithm)) ||
           to_string(problem).find(options.filter) == std::string::npos;
  });
  return cases;
}

/// Case seeds depend on the case alone, so that a case can be repeated by itself with --filter.
std::uint64_t seed_of(const Case& problem, std::uint64_t seed) {
  std::uint64_t hash = seed;
  for (const char letter : to_string(problem)) hash = random_bits(hash, static_cast<std::uint64_t>(letter));
  return hash;
}

std::uint64_t scene_seed(const Case& problem, std::uint64_t seed) {
  return random_bits(seed, static_cast<std::uint64_t>(problem.rows * 8 + problem.batch));
}

Outcome test_case(const Context& context, SceneCache& scenes, const Case& problem, std::uint64_t seed) {
  try {
    return run_case(context, scenes.of(problem, scene_seed(problem, seed)), problem, seed_of(problem, seed));
  } catch (const std::exception& error) {
    return {Status::failed, INFINITY, error.what()};
  }
}

void test(const Context& context, const Options& options, Summary& summary) {
  SceneCache scenes(context);
  for (const Case& problem : cases_of_shard(options)) {
    const auto begin = std::chrono::steady_clock::now();
    const Outcome outcome = test_case(context, scenes, problem, options.seed);
    const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - begin;
    const char* verdict = "ok";
    if (outcome.status == Status::passed) ++summary.passed;
    if (outcome.status == Status::unsupported) {
      ++summary.unsupported;
      verdict = "unsupported";
    }
    if (outcome.status == Status::failed) {
      ++summary.failed;
      verdict = "FAILED";
    }
    if (!options.verbose && outcome.status != Status::failed) continue;
    fmt::print("{:<11} {:.2e} {:8.1f} ms  {}{}{}\n", verdict, outcome.error, elapsed.count(),
               to_string(problem), outcome.message.empty() ? "" : ": ", outcome.message);
    if (outcome.status == Status::failed)
      fmt::print(
          "            repeat with: flexgemm-op-test test --device {} --sample {} --seed {} --filter '{}'\n",
          to_string(context.device()), name(options.sample), options.seed, to_string(problem));
    std::fflush(stdout);
  }
}

/// Prints the cases and what the backend would run for each.
void list(const Context& context, const Options& options, Summary& summary) {
  SceneCache scenes(context);
  for (const Case& problem : cases_of_shard(options)) {
    std::string kernel = "neighbor map";
    if (problem.subject != Subject::map) {
      try {
        const Scene& scene = scenes.of(problem, scene_seed(problem, options.seed));
        kernel = Problem(context, scene, problem, options.seed).choice().kernel;
      } catch (const Error& error) {
        if (error.code() != ErrorCode::unsupported) throw;
        ++summary.unsupported;
        kernel = fmt::format("unsupported: {}", error.what());
      }
    }
    fmt::print("{} -> {}\n", to_string(problem), kernel);
  }
}

/// Times a few problems of real networks' sizes on a sheet of 100,000 voxels; medians.
void perf(const Context& context, const Options& options, Summary& summary) {
  SceneCache scenes(context);
  fmt::print("{:<100} {:>10} {:>12}\n", context.description(), "ms", "GFLOP/s");
  for (const std::int64_t channels : {32, 64, 128}) {
    for (const Subject subject : {Subject::forward, Subject::grad_input, Subject::grad_weight}) {
      for (const Algorithm algorithm :
           {Algorithm::automatic, Algorithm::explicit_gemm, Algorithm::implicit_gemm,
            Algorithm::implicit_gemm_splitk, Algorithm::masked_implicit_gemm,
            Algorithm::masked_implicit_gemm_splitk}) {
        for (const DType dtype : {DType::f32, DType::tf32, DType::f16, DType::bf16}) {
          Case problem;
          problem.subject = subject;
          problem.algorithm = algorithm;
          problem.dtype = dtype;
          problem.in_channels = problem.out_channels = channels;
          problem.rows = 100'000;
          if (to_string(problem).find(options.filter) == std::string::npos) continue;
          const Scene& scene = scenes.of(problem, scene_seed(problem, options.seed));
          const double flop =
              2.0 * static_cast<double>(scene.map.pairs()) * static_cast<double>(channels * channels);
          std::string columns = fmt::format("{:>10} {:>12}", "-", "unsupported");
          try {
            Problem prepared(context, scene, problem, options.seed);
            prepared.run();
            std::vector<double> times;
            for (int i = 0; i < options.repeat; ++i) {
              const auto begin = std::chrono::steady_clock::now();
              prepared.launch();
              context.synchronize();
              times.push_back(
                  std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
            }
            std::sort(times.begin(), times.end());
            const double median = times[times.size() / 2];
            columns = fmt::format("{:>10.3f} {:>12.1f}", median * 1e3, flop / median * 1e-9);
            ++summary.passed;
          } catch (const Error& error) {
            if (error.code() != ErrorCode::unsupported) throw;
            ++summary.unsupported;
          }
          fmt::print("{:<100} {}\n", to_string(problem), columns);
          std::fflush(stdout);
        }
      }
    }
  }
}

/// Opens the device of a run; none where it does not exist.
std::optional<Context> open(const std::string& device) {
  try {
    return Context::open(Device::parse(device));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::no_device) throw;
    fmt::print("skipped {}: {}\n", device, error.what());
    return std::nullopt;
  }
}

int run(const CLI::App& app, const Options& options) {
  std::vector<std::string> devices = options.devices;
  if (devices.empty()) {
    devices.emplace_back("cpu");
    if (cuda_device_count() > 0) devices.emplace_back("cuda:0");
  }
  Summary summary;
  bool skipped = false;
  for (const std::string& device : devices) {
    const std::optional<Context> context = open(device);
    skipped |= !context;
    if (!context) continue;
    if (app.got_subcommand("list")) list(*context, options, summary);
    if (app.got_subcommand("perf")) perf(*context, options, summary);
    if (app.got_subcommand("test")) test(*context, options, summary);
  }
  if (skipped && summary.failed + summary.passed + summary.unsupported == 0) return exit_skipped;
  if (app.got_subcommand("test"))
    fmt::print("op test: {} passed, {} failed, {} unsupported\n", summary.passed, summary.failed,
               summary.unsupported);
  const bool incomplete = options.complete && summary.unsupported > 0;
  return summary.failed > 0 || incomplete ? exit_failed : 0;
}

}  // namespace

}  // namespace flexgemm::op_test

int main(int argc, char** argv) {
  using namespace flexgemm::op_test;
  CLI::App app("Drives every op of every backend from one list of cases against a float64 reference.");
  app.require_subcommand(1);
  app.fallthrough();
  Options options;
  app.add_option("--device", options.devices,
                 "cpu or cuda:N; may be repeated (default: all kinds there are)");
  app.add_option("--filter", options.filter, "only cases whose line contains this text");
  app.add_option("--algorithm", options.algorithm, "only cases that pin this algorithm (auto: none)");
  app.add_option("--seed", options.seed, "seed of the sample and of all data")->capture_default_str();
  app.add_option("--shard", options.shard, "I/N: the I-th of N parts of the list")->capture_default_str();
  app.add_option("--sample", options.sample,
                 "touch, small, pairwise, or full: pairwise for each algorithm x type")
      ->transform(CLI::CheckedTransformer(std::map<std::string, Sample>{{"touch", Sample::touch},
                                                                        {"small", Sample::small},
                                                                        {"pairwise", Sample::pairwise},
                                                                        {"full", Sample::full}}));
  app.add_option("--repeat", options.repeat, "perf: timed runs of a case")->check(CLI::Range(1, 1000));
  app.add_flag("--verbose", options.verbose, "test: print every case, not only failures");
  app.add_flag("--complete", options.complete, "test: fail if the backend refuses any case as unsupported");
  app.add_subcommand("test", "run the cases and judge them; exit 1 if any failed, 4 if no device is there");
  app.add_subcommand("perf", "time a few problems");
  app.add_subcommand("list", "print the cases and the kernel that would run for each");
  try {
    app.parse(argc, argv);
    return run(app, options);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "flexgemm-op-test: %s\n", error.what());
    return exit_failed;
  }
}
