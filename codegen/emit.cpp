#include "emit.hpp"

#include <set>
#include <stdexcept>

#include "embedded_templates.hpp"
#include "expression.hpp"
#include "resources.hpp"
#include "text.hpp"

namespace flexgemm::codegen {

namespace {

const EmbeddedTemplate& find_template(std::string_view path) {
  for (const EmbeddedTemplate& candidate : embedded_templates()) {
    if (candidate.path == path) return candidate;
  }
  throw std::logic_error("templates/" + std::string(path) + " is not embedded in this library");
}

/// Appends a template with every template that it includes in place of the first #include of it.
class TemplateExpander {
 public:
  explicit TemplateExpander(std::string& source) : source_(source) {}

  void expand(std::string_view path) {
    if (!expanded_.emplace(path).second) return;
    std::string text;
    for (const std::string_view piece : find_template(path).pieces) text += piece;
    std::string_view rest = text;
    while (!rest.empty()) {
      const std::size_t line_end = rest.find('\n');
      append_line(path, rest.substr(0, line_end));
      rest.remove_prefix(line_end == std::string_view::npos ? rest.size() : line_end + 1);
    }
  }

 private:
  void append_line(std::string_view path, std::string_view line) {
    constexpr std::string_view include = "#include \"";
    if (line == "#pragma once") return;
    if (line.starts_with(include)) {
      line.remove_prefix(include.size());
      expand(line.substr(0, line.find('"')));
    } else if (line.starts_with("#include")) {
      throw std::logic_error("templates/" + std::string(path) +
                             " includes a file outside templates/: " + std::string(line));
    } else {
      source_.append(line).push_back('\n');
    }
  }

  std::string& source_;
  std::set<std::string, std::less<>> expanded_;
};

const char* storage_name(ElementType type) {
  switch (type) {
    case ElementType::f16:
      return "flexgemm::f16_t";
    case ElementType::bf16:
      return "flexgemm::bf16_t";
    default:
      return "float";
  }
}

const char* enumerator(BiasType bias) {
  switch (bias) {
    case BiasType::f32:
      return "f32";
    case BiasType::storage:
      return "storage";
    default:
      return "none";
  }
}

const char* parameters_name(KernelKind kind) {
  switch (kind) {
    case KernelKind::persistent_gemm:
      return "PersistentGemmParameters";
    case KernelKind::gather_rows:
      return "GatherRowsParameters";
    case KernelKind::reduce_partials:
      return "ReducePartialsParameters";
    case KernelKind::grad_weight:
      return "GradWeightParameters";
    case KernelKind::resident_gemm:
      return "ResidentGemmParameters";
    case KernelKind::resident_grad_weight:
      return "ResidentGradWeightParameters";
    case KernelKind::reduce_gradient:
      return "ReduceGradientParameters";
    case KernelKind::transpose_weights:
      return "TransposeWeightsParameters";
    default:
      return "ImplicitGemmParameters";
  }
}

void append_constant(std::string& source, const char* type, const char* constant, const std::string& value) {
  source.append("  static constexpr ")
      .append(type)
      .append(" ")
      .append(constant)
      .append(" = ")
      .append(value)
      .append(";\n");
}

/// The epilogue as a function of the kernel's Config; operands that it does not read are never loaded.
void append_epilogue(std::string& source, const std::string& text) {
  const auto boolean = [&](const char* constant, bool value) {
    append_constant(source, "bool", constant, value ? "true" : "false");
  };
  boolean("kEpilogue", !text.empty());
  if (text.empty()) return;
  const Expression expression = Expression::parse(text, true);
  boolean("kReadsResidual", expression.uses(Operation::residual));
  boolean("kReadsScale", expression.uses(Operation::scale));
  boolean("kReadsShift", expression.uses(Operation::shift));
  source +=
      "  __device__ __forceinline__ static float epilogue(float acc, float bias, float residual, float "
      "scale,\n"
      "                                                   float shift, float channel) {\n"
      "    return " +
      to_cuda(expression) + ";\n  }\n";
}

void append_config(std::string& source, const KernelSpec& spec) {
  const auto integer = [&](const char* constant, int value) {
    append_constant(source, "int", constant, std::to_string(value));
  };
  const auto boolean = [&](const char* constant, bool value) {
    append_constant(source, "bool", constant, value ? "true" : "false");
  };
  const auto enumeration = [&](const std::string& type, const char* constant, const char* value) {
    append_constant(source, type.c_str(), constant, type + "::" + value);
  };
  source += "struct Config {\n";
  source += std::string("  using Storage = ") + storage_name(spec.compute) + ";\n";
  enumeration("flexgemm::ComputeType", "kCompute", name(spec.compute));
  enumeration("flexgemm::MmaPath", "kMma", name(spec.mma));
  integer("kInChannels", spec.in_channels);
  integer("kOutChannels", spec.out_channels);
  integer("kVolume", spec.volume);
  if (has_offsets(spec.kind)) integer("kOffsets", spec.offsets);
  if (is_resident(spec.kind)) integer("kCapacity", resident_capacity(spec));
  if (spec.kind == KernelKind::grad_weight) integer("kColumns", gradient_columns(spec));
  integer("kRowTile", spec.row_tile / spec.cluster);
  if (spec.kind == KernelKind::persistent_gemm) integer("kCluster", spec.cluster);
  integer("kColumnTile", spec.column_tile);
  integer("kKTile", spec.k_tile);
  integer("kStages", spec.stages);
  integer("kWarpsM", spec.warps_m);
  integer("kWarpsN", spec.warps_n);
  integer("kFeatsVectorBytes", spec.feats_vector_bytes);
  integer("kWeightVectorBytes", spec.weight_vector_bytes);
  integer("kOutputVectorBytes", spec.output_vector_bytes);
  integer("kThreads", block_threads(spec));
  integer("kSharedBytes", shared_bytes(spec));
  integer("kArchitecture", spec.architecture.number() * 10);
  enumeration("flexgemm::BiasType", "kBias", enumerator(spec.bias));
  boolean("kPartialOutput", spec.output == OutputType::partial);
  if (spec.kind == KernelKind::persistent_gemm) {
    integer("kMinBlocks", spec.min_blocks);
    boolean("kChained", spec.output == OutputType::chained);
    boolean("kWeightMnMajor", spec.weight_major == WeightMajor::mn);
  }
  boolean("kAsyncCopy", uses_async_copy(spec));
  append_epilogue(source, spec.epilogue);
  source += "};\n\n";
}

void append_entry(std::string& source, const KernelSpec& spec) {
  const std::string cluster =
      spec.cluster == 1 ? "" : "__cluster_dims__(" + std::to_string(spec.cluster) + ", 1, 1) ";
  source += "extern \"C\" __global__ void " + cluster + "__launch_bounds__(" +
            std::to_string(block_threads(spec)) + ", " + std::to_string(spec.min_blocks) + ")\n    " +
            entry_name + "(const __grid_constant__ flexgemm::" + parameters_name(spec.kind) +
            " parameters) {\n  flexgemm::" + name(spec.kind) + "<Config>(parameters);\n}\n";
}

}  // namespace

std::string emit(const KernelSpec& spec) {
  if (const std::optional<std::string> reason = rejection(spec)) {
    throw std::invalid_argument("kernel spec " + to_string(spec) + ": " + *reason);
  }
  std::string source = "// " + to_string(spec) + "\n";
  TemplateExpander(source).expand(std::string("kernels/") + name(spec.kind) + ".cuh");
  source += "\n";
  append_config(source, spec);
  append_entry(source, spec);
  return source;
}

std::string source_hash(const KernelSpec& spec) {
  return hexadecimal(fnv1a(to_string(spec.architecture), fnv1a(emit(spec))));
}

const std::string& template_hash() {
  static const std::string hash = [] {
    std::uint64_t value = fnv1a_offset_basis;
    for (const EmbeddedTemplate& file : embedded_templates()) {
      value = fnv1a("\n", fnv1a(file.path, value));
      for (const std::string_view piece : file.pieces) value = fnv1a(piece, value);
    }
    return hexadecimal(value);
  }();
  return hash;
}

}  // namespace flexgemm::codegen
