#include "op/cases.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <functional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "op/fused.hpp"

namespace flexgemm::op_test {

namespace {

constexpr std::array all_subjects{Subject::map, Subject::forward, Subject::grad_input, Subject::grad_weight,
                                  Subject::grad_bias};
constexpr std::array all_algorithms{Algorithm::automatic,
                                    Algorithm::explicit_gemm,
                                    Algorithm::implicit_gemm,
                                    Algorithm::implicit_gemm_splitk,
                                    Algorithm::masked_implicit_gemm,
                                    Algorithm::masked_implicit_gemm_splitk};
constexpr std::array all_dtypes{DType::f32, DType::tf32, DType::f16, DType::bf16};
constexpr std::array<std::int64_t, 13> all_channels{1, 3, 4, 5, 16, 17, 32, 64, 96, 128, 200, 256, 1024};
constexpr std::array<Extent3, 6> all_kernels{
    {{1, 1, 1}, {3, 3, 3}, {3, 1, 5}, {2, 3, 4}, {5, 5, 5}, {7, 7, 7}}};
/// 129 first: it stands for "any" where a row of the experiment has no need of another.
constexpr std::array<std::int64_t, 6> all_rows{129, 1, 31, 128, 5000, 252392};

/// What one run may cost.
struct Limits {
  double work;      ///< multiply-accumulates, as if every row had every neighbor
  double gathered;  ///< elements of the gathered operand [N, V * max(Ci, Co)], also of [N, V] and [N, C]
  std::int64_t rows;
};

Limits limits_of(Sample sample) {
  if (sample == Sample::touch || sample == Sample::small) return {1.4e8, 5e7, 5000};
  return {2.5e9, 3e8, 252392};
}

/// A factor: how many levels it has, and how a level is written into a case.
struct Factor {
  int levels;
  std::function<void(Case&, int)> apply;
};

template <class T, std::size_t Count>
Factor choose(const std::array<T, Count>& values, T Case::*member) {
  return {static_cast<int>(Count), [&values, member](Case& problem, int level) {
            problem.*member = values[static_cast<std::size_t>(level)];
          }};
}

Factor flag(bool Case::*member) {
  return {2, [member](Case& problem, int level) { problem.*member = level == 1; }};
}

Factor pick(int Case::*member, int first, int second) {
  return {2, [=](Case& problem, int level) { problem.*member = level == 0 ? first : second; }};
}

/// The epilogue; an expression decides by itself whether there is a bias.
Factor fused() {
  return {static_cast<int>(all_fused().size()), [](Case& problem, int level) {
            const Fused& chosen = all_fused()[static_cast<std::size_t>(level)];
            problem.fused = level;
            if (!chosen.epilogue.formula.empty()) problem.bias = chosen.names_bias;
          }};
}

Factor algorithm_and_dtype() {
  return {static_cast<int>(all_algorithms.size() * all_dtypes.size()), [](Case& problem, int level) {
            problem.algorithm = all_algorithms[static_cast<std::size_t>(level) / all_dtypes.size()];
            problem.dtype = all_dtypes[static_cast<std::size_t>(level) % all_dtypes.size()];
          }};
}

/// The first level of a factor is its cheapest: least_cost puts it where nothing is decided.
std::vector<Factor> factors_of(Subject subject) {
  const Factor rows = choose(all_rows, &Case::rows);
  const Factor kernel = choose(all_kernels, &Case::kernel);
  const Factor in_channels = choose(all_channels, &Case::in_channels);
  const Factor out_channels = choose(all_channels, &Case::out_channels);
  const Factor dilation = pick(&Case::dilation, 1, 2);
  const Factor batch = pick(&Case::batch, 1, 3);
  switch (subject) {
    case Subject::map:
      return {rows, kernel, dilation, batch, flag(&Case::huge_grid), flag(&Case::checked)};
    case Subject::forward:
      return {rows,
              kernel,
              in_channels,
              out_channels,
              dilation,
              batch,
              flag(&Case::bias),
              fused(),
              flag(&Case::float_companion),
              flag(&Case::unaligned),
              algorithm_and_dtype()};
    case Subject::grad_input:
      return {rows,
              kernel,
              in_channels,
              out_channels,
              dilation,
              batch,
              flag(&Case::together),
              flag(&Case::unaligned),
              algorithm_and_dtype()};
    case Subject::grad_weight:
      return {rows,
              kernel,
              in_channels,
              out_channels,
              dilation,
              batch,
              flag(&Case::together),
              flag(&Case::accumulate),
              flag(&Case::float_companion),
              flag(&Case::unaligned),
              algorithm_and_dtype()};
    case Subject::grad_bias:
      return {rows,
              out_channels,
              flag(&Case::accumulate),
              flag(&Case::float_companion),
              flag(&Case::unaligned),
              choose(all_dtypes, &Case::dtype)};
  }
  return {};
}

Case case_of(Subject subject, const std::vector<Factor>& factors, const Levels& levels) {
  Case problem;
  problem.subject = subject;
  for (std::size_t i = 0; i < factors.size(); ++i) factors[i].apply(problem, std::max(0, levels[i]));
  return problem;
}

/// Cases that hold every level of every factor once. Without rows, pairs of levels have nothing to meet in.
std::vector<Case> one_level_each(Subject subject, const std::vector<Factor>& factors) {
  int most = 0;
  for (const Factor& factor : factors) most = std::max(most, factor.levels);
  std::vector<Case> cases;
  for (int i = 0; i < most; ++i) {
    Levels levels;
    for (const Factor& factor : factors) levels.push_back(i % factor.levels);
    cases.push_back(case_of(subject, factors, levels));
  }
  return cases;
}

double cost_of(const Case& problem, const Limits& limits) {
  const double work = dense_work(problem);
  // Fewer rows than 129 save nothing worth having, so they are not preferred.
  const double rows = static_cast<double>(std::max<std::int64_t>(problem.rows, 129));
  const double channels = static_cast<double>(std::max(problem.in_channels, problem.out_channels));
  const bool convolution = problem.subject != Subject::map && problem.subject != Subject::grad_bias;
  const double gathered = rows * channels * (convolution ? static_cast<double>(problem.volume()) : 1.0);
  if (problem.rows > limits.rows || work > limits.work || gathered > limits.gathered) return INFINITY;
  return work + 10 * gathered + 100 * rows;
}

std::tuple<int, int, int, int, int, int, std::int64_t> scene_key(const Case& problem) {
  return {problem.kernel.x, problem.kernel.y,  problem.kernel.z, problem.dilation,
          problem.batch,    problem.huge_grid, problem.rows};
}

/// What a case meets, each as a text.
std::vector<std::string> features_of(const Case& problem) {
  const std::string subject = std::string(name(problem.subject)) + " ";
  const auto has = [&](const char* what, std::int64_t value) {
    return subject + what + std::to_string(value);
  };
  const std::string kernel_class = std::to_string(static_cast<int>(problem.algorithm)) + "/" +
                                   std::to_string(static_cast<int>(problem.dtype)) + "/";
  return {subject + kernel_class + (problem.unaligned ? "unaligned" : "aligned"),
          has("accumulate", problem.accumulate),
          has("companion", problem.float_companion),
          has("together", problem.together),
          has("bias", problem.bias),
          has("fused", problem.fused),
          has("volume", problem.volume()),
          has("huge grid", problem.huge_grid),
          has("checked", problem.checked)};
}

/// The cheapest cases with some rows that together meet every feature.
std::vector<Case> touching(std::vector<Case> cases) {
  constexpr std::int64_t fewest_rows = 31;
  std::erase_if(cases, [](const Case& problem) { return problem.rows < fewest_rows; });
  std::stable_sort(cases.begin(), cases.end(),
                   [](const Case& a, const Case& b) { return dense_work(a) < dense_work(b); });
  std::set<std::string> met;
  std::erase_if(cases, [&](const Case& problem) {
    bool adds = false;
    for (const std::string& feature : features_of(problem)) adds |= met.insert(feature).second;
    return !adds;
  });
  return cases;
}

}  // namespace

const char* name(Subject subject) {
  switch (subject) {
    case Subject::map:
      return "map";
    case Subject::forward:
      return "forward";
    case Subject::grad_input:
      return "grad_input";
    case Subject::grad_weight:
      return "grad_weight";
    case Subject::grad_bias:
      return "grad_bias";
  }
  return "unknown";
}

std::string to_string(const Case& problem) {
  std::string text = name(problem.subject);
  const bool has_tensors = problem.subject != Subject::map;
  if (has_tensors) {
    text += fmt::format(" {} {} Ci={} Co={}", name(problem.algorithm), name(problem.dtype),
                        problem.in_channels, problem.out_channels);
  }
  text += fmt::format(" kernel={}x{}x{} dilation={} batch={} N={}", problem.kernel.x, problem.kernel.y,
                      problem.kernel.z, problem.dilation, problem.batch, problem.rows);
  const char* companion = problem.float_companion ? "f32" : name(storage_type(problem.dtype));
  if (problem.subject == Subject::forward) {
    text += fmt::format(" bias={} epilogue={}", problem.bias ? companion : "none",
                        all_fused()[static_cast<std::size_t>(problem.fused)].name);
  }
  if (problem.subject == Subject::grad_weight || problem.subject == Subject::grad_bias)
    text += fmt::format(" gradient={}", companion);
  if (problem.accumulate) text += " accumulate";
  if (problem.together) text += " together";
  if (problem.unaligned) text += " unaligned";
  if (problem.huge_grid) text += " huge_grid";
  if (!problem.checked) text += " unchecked";
  return text;
}

double dense_work(const Case& problem) {
  const double rows = static_cast<double>(problem.rows);
  const double volume = static_cast<double>(problem.volume());
  if (problem.subject == Subject::map) return rows * volume;
  if (problem.subject == Subject::grad_bias) return rows * static_cast<double>(problem.out_channels);
  return rows * volume * static_cast<double>(problem.in_channels) * static_cast<double>(problem.out_channels);
}

Experiment experiment_of(Subject subject, Sample sample) {
  const std::vector<Factor> factors = factors_of(subject);
  Experiment experiment;
  for (const Factor& factor : factors) experiment.level_counts.push_back(factor.levels);
  experiment.least_cost = [subject, factors, limits = limits_of(sample)](const Levels& levels) {
    return cost_of(case_of(subject, factors, levels), limits);
  };
  return experiment;
}

std::vector<Case> make_cases(Sample sample, std::uint64_t seed) {
  std::vector<Case> cases;
  for (const Subject subject : all_subjects) {
    const std::vector<Factor> factors = factors_of(subject);
    const bool each_variant =
        sample == Sample::full && subject != Subject::map && subject != Subject::grad_bias;
    const int variants = each_variant ? factors.back().levels : 1;
    for (int variant = 0; variant < variants; ++variant) {
      Experiment experiment = experiment_of(subject, sample);
      if (each_variant) experiment.level_counts.back() = 1;
      const std::uint64_t stream =
          seed * 1000 + static_cast<std::uint64_t>(subject) * 100 + static_cast<std::uint64_t>(variant);
      for (const Levels& levels : pairwise_cover(experiment, stream)) {
        Case problem = case_of(subject, factors, levels);
        if (each_variant) factors.back().apply(problem, variant);
        cases.push_back(problem);
      }
    }
    for (Case problem : one_level_each(subject, factors)) {
      problem.rows = 0;
      cases.push_back(problem);
    }
  }
  if (sample == Sample::touch) cases = touching(std::move(cases));
  std::stable_sort(cases.begin(), cases.end(),
                   [](const Case& a, const Case& b) { return scene_key(a) < scene_key(b); });
  return cases;
}

}  // namespace flexgemm::op_test
