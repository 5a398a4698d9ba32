#include "emulator/specs.hpp"

#include <array>
#include <set>
#include <string>

#include "codegen/candidates.hpp"
#include "codegen/resources.hpp"

namespace flexgemm::emulator {

using namespace flexgemm::codegen;

namespace {

struct Layer {
  int in_channels, out_channels, volume;
};

/// Aligned and odd channels, one offset and many, K tiles of one step, of several, and across steps.
constexpr std::array layers = {Layer{64, 64, 27}, Layer{128, 256, 8}, Layer{3, 16, 27},   Layer{17, 5, 27},
                               Layer{96, 200, 9}, Layer{72, 136, 27}, Layer{16, 32, 125}, Layer{256, 96, 1},
                               Layer{24, 40, 12}, Layer{32, 40, 27},  Layer{16, 8, 12},   Layer{16, 16, 27},
                               Layer{128, 96, 27}};

std::string number(int value) { return std::to_string(value); }

/// What makes two kernels different programs. The model knows f16 and bf16 apart by their conversions alone.
std::vector<std::string> features(const KernelSpec& spec) {
  const std::string path = std::string(name(spec.kind)) + name(spec.mma) +
                           (uses_async_copy(spec) ? "async" : "") +
                           (spec.weight_major == WeightMajor::mn ? "mn" : "");
  const std::string typed = path + name(spec.compute);
  const std::string sized = path + (spec.compute == ElementType::bf16 ? "f16" : name(spec.compute));
  return {sized + "tile" + number(spec.row_tile) + "x" + number(spec.column_tile) + "x" +
              number(spec.k_tile) + "w" + number(spec.warps_m) + "x" + number(spec.warps_n) + "c" +
              number(spec.cluster),
          sized + "vec" + number(spec.feats_vector_bytes) + number(spec.weight_vector_bytes) +
              number(spec.output_vector_bytes),
          sized + "offsets" + number(spec.offsets) + "stages" + number(spec.stages),
          typed + "layer" + number(spec.in_channels),
          typed + "finish" + number(static_cast<int>(spec.bias)) + spec.epilogue +
              number(static_cast<int>(spec.output))};
}

class Collection {
 public:
  explicit Collection(std::vector<KernelSpec>& specs) : specs_(specs) {}
  void add(const KernelSpec& spec) {
    bool adds = false;
    for (const std::string& feature : features(spec)) adds |= seen_.insert(feature).second;
    if (adds) specs_.push_back(spec);
  }

 private:
  std::vector<KernelSpec>& specs_;
  std::set<std::string> seen_;
};

void add_candidates(Collection& collection, const GemmProblem& problem, OutputType output) {
  for (KernelSpec spec : gemm_candidates(problem, output)) {
    collection.add(spec);
    if (spec.kind == KernelKind::persistent_gemm && spec.cluster == 1 && output == OutputType::storage) {
      spec.output = OutputType::chained;
      collection.add(spec);
    }
  }
}

void add_problem(Collection& collection, GemmProblem problem, OutputType output) {
  add_candidates(collection, problem, output);
  collection.add(gather_rows_spec(problem));
  if (problem.kind == KernelKind::grad_weight) {
    collection.add(reduce_gradient_spec(problem, (problem.volume + 1) / 2, output));
  } else {
    collection.add(reduce_partials_spec(problem));
    collection.add(transpose_weights_spec(problem, problem.weight_alignment));
  }
}

}  // namespace

std::vector<KernelSpec> emulated_specs() {
  constexpr std::array biases = {BiasType::none, BiasType::f32, BiasType::storage};
  std::vector<KernelSpec> specs;
  Collection collection(specs);
  for (const char* architecture : {"sm_90a", "sm_80", "sm_75"}) {
    std::size_t index = 0;
    for (const ElementType compute :
         {ElementType::f16, ElementType::bf16, ElementType::tf32, ElementType::f32}) {
      for (const Layer& layer : layers) {
        GemmProblem problem{.architecture = parse_architecture(architecture),
                            .compute = compute,
                            .in_channels = layer.in_channels,
                            .out_channels = layer.out_channels,
                            .volume = layer.volume,
                            .rows = 100'000,
                            .resident = layer.volume <= 32,
                            .bias = biases[index % biases.size()],
                            .unoffered = true,
                            .epilogue = index % 4 == 1 ? "relu((acc+bias)*scale+shift+residual)" : ""};
        add_problem(collection, problem, OutputType::storage);
        problem.bias = BiasType::none;
        problem.epilogue.clear();
        add_problem(collection, problem, OutputType::partial);
        problem.given_weight_alignment = 16;
        add_candidates(collection, problem, OutputType::storage);
        add_candidates(collection, problem, OutputType::partial);
        problem.given_weight_alignment = 0;
        GemmProblem unaligned = problem;  // addresses that fewer bytes divide, for loads and for stores
        unaligned.output_alignment = 4;
        add_candidates(collection, unaligned, OutputType::storage);
        unaligned.feats_alignment = 8;
        unaligned.weight_alignment = 4;
        add_candidates(collection, unaligned, OutputType::storage);
        problem.kind = KernelKind::grad_weight;
        unaligned.kind = KernelKind::grad_weight;
        add_candidates(collection, unaligned, OutputType::storage);
        add_problem(collection, problem, OutputType::storage);
        add_problem(collection, problem, OutputType::partial);
        ++index;
      }
    }
  }
  return specs;
}

}  // namespace flexgemm::emulator
