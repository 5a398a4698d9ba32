#include "spec_sets.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "codegen/emit.hpp"
#include "codegen/resources.hpp"

namespace flexgemm::test {

using codegen::BiasType;
using codegen::ElementType;
using codegen::GemmProblem;
using codegen::KernelKind;
using codegen::KernelSpec;
using codegen::OutputType;

namespace {

std::string number(int value) { return std::to_string(value); }

/// On the matrix unit f16 and bf16 kernels differ in the name of one instruction, not in registers.
const char* register_class(const KernelSpec& spec) {
  const bool is_half = spec.compute == ElementType::f16 || spec.compute == ElementType::bf16;
  return is_half && spec.mma != codegen::MmaPath::ffma ? "half" : name(spec.compute);
}

bool is_gradient(const KernelSpec& spec) {
  return spec.kind == KernelKind::grad_weight || spec.kind == KernelKind::resident_grad_weight;
}

/// Columns of a block's accumulators: those of all its offsets for grad_weight.
int columns_of(const KernelSpec& spec) {
  return spec.kind == KernelKind::grad_weight ? codegen::gradient_columns(spec) : spec.column_tile;
}

std::string shape_of(const KernelSpec& spec) {
  return std::string(name(spec.kind)) + "." + register_class(spec) + "." + name(spec.mma) + ".t" +
         number(spec.row_tile) + "x" + number(columns_of(spec)) + "x" + number(spec.k_tile) + ".s" +
         number(spec.stages) + ".c" + number(spec.cluster) + ".w" + number(spec.warps_m) + "x" +
         number(spec.warps_n) + (spec.weight_major == codegen::WeightMajor::mn ? ".mn" : "");
}

/// How the flattened reduction is walked: one step a K tile, several, or K tiles that straddle steps.
std::string walk_of(const KernelSpec& spec) {
  if (is_gradient(spec)) return spec.offsets == 1 ? "one" : "offsets";
  if (spec.in_channels % spec.k_tile == 0) return "whole";
  return spec.in_channels < spec.k_tile ? "several" : "straddling";
}

std::string load_of(const KernelSpec& spec) {
  return walk_of(spec) + ".vec" + number(spec.feats_vector_bytes) + "." + number(spec.weight_vector_bytes);
}

std::vector<std::string> factors_of(const KernelSpec& spec) {
  const bool padded = spec.kind == KernelKind::grad_weight
                          ? spec.out_channels % spec.row_tile != 0 || spec.volume % spec.offsets != 0
                          : spec.out_channels % spec.column_tile != 0;
  return {load_of(spec),
          padded ? "padded" : "full",
          spec.volume == 1    ? "dense"
          : spec.volume <= 27 ? "volume"
                              : "large_volume",
          "bias" + number(static_cast<int>(spec.bias)),
          "epilogue" + spec.epilogue,
          spec.output == OutputType::storage ? "storage" : "partial",
          "store" + number(spec.output_vector_bytes)};
}

/// Over a set of candidate lists: the most blocks a multiprocessor that specs of one shape, or of one code
/// path, are asked for. Those have the fewest registers: if they do not spill, none of the others does.
class TightestBlocks {
 public:
  void add(const KernelSpec& spec) {
    for (const std::string& key : {shape_of(spec), code_path(spec)}) {
      blocks_[key] = std::max(blocks_[key], spec.min_blocks);
    }
  }
  bool is_reached(const std::string& key, const KernelSpec& spec) const {
    return blocks_.at(key) == spec.min_blocks;
  }

 private:
  std::map<std::string, int> blocks_;
};

/// What a covering set must hold at least once.
std::vector<std::string> coverage_of(const KernelSpec& spec, const std::set<std::string>& default_paths,
                                     const TightestBlocks& tightest) {
  const std::string type = std::string(name(spec.kind)) + name(spec.compute) +
                           (spec.weight_major == codegen::WeightMajor::mn ? "mn" : "");
  std::vector<std::string> items{type + "/" + number(spec.row_tile) + "x" + number(columns_of(spec))};
  const std::string shape = shape_of(spec);
  if (spec.kind == KernelKind::resident_grad_weight)  // its registers are those of its sums
    items.push_back(shape + ".ci" + number(spec.in_channels) + ".g" + number(spec.offsets));
  if (tightest.is_reached(shape, spec)) items.push_back(shape);
  const std::vector<std::string> factors = factors_of(spec);
  if (is_gradient(spec)) {  // its loops are not unrolled over vectors: shapes decide
    for (const std::string& factor : factors) items.push_back(type + "/" + factor);
    return items;
  }
  const std::string path = code_path(spec);
  if (default_paths.contains(path) && tightest.is_reached(path, spec)) items.push_back(path);
  for (std::size_t i = 0; i < factors.size(); ++i) {
    for (std::size_t j = i + 1; j < factors.size(); ++j) {
      items.push_back(type + "/" + factors[i] + "/" + factors[j]);
    }
  }
  return items;
}

struct BiasedOutput {
  BiasType bias;
  OutputType output;
};

/// None for most; then what networks use, and what needs most registers.
constexpr const char* epilogues[] = {"", "", "relu((acc+bias)*scale+shift+residual)",
                                     "", "", "gelu(acc+bias)*tanh(residual)+channel"};

constexpr BiasedOutput biased_outputs[] = {{BiasType::none, OutputType::storage},
                                           {BiasType::f32, OutputType::storage},
                                           {BiasType::storage, OutputType::storage},
                                           {BiasType::none, OutputType::partial}};

/// One order for every run, in which neighbors differ in everything: a covering set grows fast at first.
template <class Visit>
void visit_scattered(std::size_t count, const Visit& visit) {
  constexpr std::size_t stride = 7919;  // prime, so that every index comes once unless it divides count
  const std::size_t step = count % stride == 0 ? 1 : stride;
  for (std::size_t i = 0, at = 0; i < count; ++i, at = (at + step) % count) visit(at);
}

/// The problem as grad_input poses it, whose weights may be read as the caller gives them.
GemmProblem as_grad_input(GemmProblem problem) {
  const bool suits =
      problem.kind == KernelKind::implicit_gemm && problem.bias == BiasType::none && problem.epilogue.empty();
  problem.given_weight_alignment = suits ? 16 : 0;
  return problem;
}

/// The candidates, also those that only tests ask for and those of grad_input.
std::vector<KernelSpec> all_candidates(const RepresentativeProblem& each) {
  GemmProblem problem = each.problem;
  problem.unoffered = true;
  problem.resident = problem.volume <= 32;
  std::vector<KernelSpec> specs = gemm_candidates(problem, each.output);
  for (const KernelSpec& spec : gemm_candidates(as_grad_input(problem), each.output)) {
    if (spec.weight_major == codegen::WeightMajor::mn) specs.push_back(spec);
  }
  return specs;
}

std::set<std::string> default_code_paths(const std::vector<RepresentativeProblem>& problems) {
  std::set<std::string> paths;
  for (const RepresentativeProblem& each : problems) {
    paths.insert(code_path(default_gemm(each.problem, each.output)));
    paths.insert(code_path(default_gemm(as_grad_input(each.problem), each.output)));
  }
  return paths;
}

/// The helpers have no candidates: one spec a problem.
std::vector<KernelSpec> elementwise_specs(const std::vector<RepresentativeProblem>& problems) {
  std::vector<KernelSpec> specs;
  std::set<std::string> seen;
  for (const RepresentativeProblem& each : problems) {
    std::vector<KernelSpec> helpers{gather_rows_spec(each.problem)};
    if (each.problem.kind == KernelKind::grad_weight) {
      helpers.push_back(reduce_gradient_spec(each.problem, (each.problem.volume + 1) / 2, each.output));
    } else {
      helpers.push_back(reduce_partials_spec(each.problem));
      helpers.push_back(transpose_weights_spec(each.problem, each.problem.weight_alignment));
    }
    for (const KernelSpec& spec : helpers) {
      if (seen.insert(code_path(spec)).second) specs.push_back(spec);
    }
  }
  return specs;
}

}  // namespace

std::string code_path(const KernelSpec& spec) { return shape_of(spec) + "/" + load_of(spec); }

std::vector<RepresentativeProblem> representative_problems(const codegen::Architecture& architecture) {
  constexpr int channels[] = {3, 16, 17, 64, 128, 256, 1024};
  constexpr std::int64_t row_counts[] = {1000, 20'000, 1'000'000};
  std::vector<RepresentativeProblem> problems;
  std::size_t index = 0;
  for (const ElementType compute :
       {ElementType::f32, ElementType::tf32, ElementType::f16, ElementType::bf16}) {
    for (const int in_channels : channels) {
      for (const int out_channels : channels) {
        for (const int volume : {1, 27, 125, 343}) {
          for (const OutputType output : {OutputType::storage, OutputType::partial}) {
            problems.push_back({.problem = {.kind = KernelKind::grad_weight,
                                            .architecture = architecture,
                                            .compute = compute,
                                            .in_channels = in_channels,
                                            .out_channels = out_channels,
                                            .volume = volume,
                                            .rows = row_counts[index % 3],
                                            .resident = volume <= 32 && index % 2 == 0},
                                .output = output});
          }
          for (const BiasedOutput& each : biased_outputs) {
            const bool partial = each.output == OutputType::partial;
            problems.push_back({.problem = {.architecture = architecture,
                                            .compute = compute,
                                            .in_channels = in_channels,
                                            .out_channels = out_channels,
                                            .volume = volume,
                                            .rows = row_counts[index % 3],
                                            .bias = each.bias,
                                            .epilogue = partial ? "" : epilogues[index / 3 % 6]},
                                .output = each.output});
            ++index;
          }
        }
      }
    }
  }
  return problems;
}

SpecSet default_specs(const codegen::Architecture& architecture) {
  SpecSet set;
  std::set<std::string> seen;
  for (const RepresentativeProblem& each : representative_problems(architecture)) {
    const KernelSpec spec = default_gemm(each.problem, each.output);
    if (seen.insert(code_path(spec)).second) set.specs.push_back(spec);
  }
  set.is_default.assign(set.specs.size(), true);
  return set;
}

SpecSet candidate_specs(const codegen::Architecture& architecture) {
  const std::vector<RepresentativeProblem> problems = representative_problems(architecture);
  const std::set<std::string> defaults = default_code_paths(problems);
  TightestBlocks tightest;
  for (const RepresentativeProblem& each : problems) {
    for (const KernelSpec& spec : all_candidates(each)) tightest.add(spec);
  }
  SpecSet set;
  set.specs = elementwise_specs(problems);
  std::set<std::string> covered;
  visit_scattered(problems.size(), [&](std::size_t index) {
    for (const KernelSpec& spec : all_candidates(problems[index])) {
      bool adds = false;
      for (const std::string& item : coverage_of(spec, defaults, tightest))
        adds |= covered.insert(item).second;
      if (adds) set.specs.push_back(spec);
      if (adds && spec.kind == KernelKind::persistent_gemm && spec.cluster == 1 &&
          spec.output == OutputType::storage) {
        set.specs.push_back(spec);
        set.specs.back().output = OutputType::chained;
      }
    }
  });
  for (const KernelSpec& spec : set.specs) set.is_default.push_back(defaults.contains(code_path(spec)));
  return set;
}

}  // namespace flexgemm::test
