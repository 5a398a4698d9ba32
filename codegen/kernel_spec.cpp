#include "kernel_spec.hpp"

#include <charconv>
#include <optional>
#include <stdexcept>
#include <vector>

#include "expression.hpp"
#include "text.hpp"

namespace flexgemm::codegen {

namespace {

constexpr ElementType element_types[] = {ElementType::f32, ElementType::tf32, ElementType::f16,
                                         ElementType::bf16};
constexpr KernelKind kernel_kinds[] = {
    KernelKind::implicit_gemm,        KernelKind::persistent_gemm, KernelKind::resident_gemm,
    KernelKind::gather_rows,          KernelKind::reduce_partials, KernelKind::grad_weight,
    KernelKind::resident_grad_weight, KernelKind::reduce_gradient, KernelKind::transpose_weights};
constexpr MmaPath mma_paths[] = {MmaPath::ffma, MmaPath::mma_sync, MmaPath::wgmma};
constexpr BiasType bias_types[] = {BiasType::none, BiasType::f32, BiasType::storage};
constexpr OutputType output_types[] = {OutputType::storage, OutputType::partial, OutputType::chained};

const char* text_of(BiasType bias) noexcept {
  switch (bias) {
    case BiasType::none:
      return "bias0";
    case BiasType::f32:
      return "bias_f32";
    case BiasType::storage:
      return "bias_storage";
  }
  return "?";
}

const char* text_of(OutputType output) noexcept {
  switch (output) {
    case OutputType::storage:
      return "storage";
    case OutputType::partial:
      return "partial";
    case OutputType::chained:
      return "chained";
  }
  return "?";
}
const char* text_of(ElementType type) noexcept { return name(type); }
const char* text_of(KernelKind kind) noexcept { return name(kind); }
const char* text_of(MmaPath mma) noexcept { return name(mma); }

bool is_plain(char character) noexcept {
  return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
         (character >= '0' && character <= '9') ||
         std::string_view("_(),+-").find(character) != std::string_view::npos;
}

constexpr std::string_view epilogue_prefix = "ep_";

/// An epilogue as a field of a spec's text: no dot, nothing that a file name or a JSON string dislikes.
std::string escaped(std::string_view epilogue) {
  std::string field;
  for (const char character : epilogue) {
    if (is_plain(character)) {
      field += character;
    } else {
      constexpr std::string_view digits = "0123456789abcdef";
      const auto byte = static_cast<unsigned char>(character);
      field.append({'~', digits[byte / 16], digits[byte % 16]});
    }
  }
  return field;
}

/// Inverse of `escaped`; nothing for a field that it does not write.
std::optional<std::string> unescaped(std::string_view field) {
  std::string epilogue;
  while (!field.empty()) {
    if (field.front() != '~') {
      epilogue += field.front();
      field.remove_prefix(1);
      continue;
    }
    unsigned value = 0;
    const char* first = field.data() + 1;
    if (field.size() < 3 || std::from_chars(first, first + 2, value, 16).ptr != first + 2) return {};
    epilogue += static_cast<char>(value);
    field.remove_prefix(3);
  }
  return epilogue;
}

/// Reads the dot-separated fields of a spec's text, one after the other.
class FieldReader {
 public:
  explicit FieldReader(std::string_view text) : text_(text), rest_(text) {}

  /// One field that must be the text of one of `values`.
  template <class Value, std::size_t count>
  Value one_of(const Value (&values)[count], const char* what) {
    const std::string_view field = next(what);
    for (const Value value : values) {
      if (field == text_of(value)) return value;
    }
    fail(field, what);
  }

  /// One field made of `prefix` and integers that `separator` parts, such as t128x64x32.
  std::vector<int> numbers(std::string_view prefix, std::size_t count, const char* what,
                           char separator = 'x') {
    const std::string_view field = next(what);
    if (!field.starts_with(prefix)) fail(field, what);
    std::string_view digits = field.substr(prefix.size());
    std::vector<int> values;
    while (values.size() < count) {
      int value = 0;
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
      if (error != std::errc{} || value < 0) fail(field, what);
      digits.remove_prefix(static_cast<std::size_t>(end - digits.data()));
      values.push_back(value);
      if (values.size() == count) break;
      if (!digits.starts_with(separator)) fail(field, what);
      digits.remove_prefix(1);
    }
    if (!digits.empty()) fail(field, what);
    return values;
  }

  bool comes(std::string_view prefix) const { return rest_ && rest_->starts_with(prefix); }

  int number(std::string_view prefix, const char* what) { return numbers(prefix, 1, what).front(); }

  std::string_view next(const char* what) {
    if (!rest_) fail("", what);
    const std::size_t dot = rest_->find('.');
    const std::string_view field = rest_->substr(0, dot);
    if (dot == std::string_view::npos) {
      rest_.reset();
    } else {
      rest_->remove_prefix(dot + 1);
    }
    return field;
  }

  /// The epilogue's field if it comes next; it must be the canonical text of an expression.
  std::string optional_epilogue() {
    if (!rest_ || !rest_->starts_with(epilogue_prefix)) return {};
    const std::string_view field = next("an epilogue");
    const std::optional<std::string> text = unescaped(field.substr(epilogue_prefix.size()));
    try {
      if (text && to_string(Expression::parse(*text, true)) == *text) return *text;
    } catch (const ExpressionError& error) {
      fail(field, (std::string("an epilogue (") + error.what() + ")").c_str());
    }
    fail(field, "the canonical text of an epilogue");
  }

  void expect_end() {
    if (rest_) fail(*rest_, "the end of the text");
  }

  [[noreturn]] void fail(std::string_view field, const char* what) const {
    throw std::invalid_argument("kernel spec \"" + std::string(text_) + "\": expected " + what +
                                ", found \"" + std::string(field) + "\"");
  }

 private:
  std::string_view text_;
  std::optional<std::string_view> rest_;
};

}  // namespace

bool has_offsets(KernelKind kind) noexcept {
  return kind == KernelKind::grad_weight || kind == KernelKind::resident_grad_weight ||
         kind == KernelKind::reduce_gradient;
}

const char* name(ElementType type) noexcept {
  switch (type) {
    case ElementType::f32:
      return "f32";
    case ElementType::tf32:
      return "tf32";
    case ElementType::f16:
      return "f16";
    case ElementType::bf16:
      return "bf16";
  }
  return "?";
}

const char* name(KernelKind kind) noexcept {
  switch (kind) {
    case KernelKind::implicit_gemm:
      return "implicit_gemm";
    case KernelKind::persistent_gemm:
      return "persistent_gemm";
    case KernelKind::gather_rows:
      return "gather_rows";
    case KernelKind::reduce_partials:
      return "reduce_partials";
    case KernelKind::grad_weight:
      return "grad_weight";
    case KernelKind::resident_gemm:
      return "resident_gemm";
    case KernelKind::resident_grad_weight:
      return "resident_grad_weight";
    case KernelKind::reduce_gradient:
      return "reduce_gradient";
    case KernelKind::transpose_weights:
      return "transpose_weights";
  }
  return "?";
}

const char* name(MmaPath mma) noexcept {
  switch (mma) {
    case MmaPath::ffma:
      return "ffma";
    case MmaPath::mma_sync:
      return "mma_sync";
    case MmaPath::wgmma:
      return "wgmma";
  }
  return "?";
}

int storage_bytes(ElementType type) noexcept {
  return type == ElementType::f16 || type == ElementType::bf16 ? 2 : 4;
}

std::string to_string(const KernelSpec& spec) {
  const auto number = [](int value) { return std::to_string(value); };
  std::string text = name(spec.kind);
  text += std::string(".") + name(spec.compute) + "." + name(spec.mma);
  text += ".ci" + number(spec.in_channels) + ".co" + number(spec.out_channels) + ".v" + number(spec.volume);
  if (has_offsets(spec.kind)) text += ".g" + number(spec.offsets);
  text += ".t" + number(spec.row_tile) + "x" + number(spec.column_tile) + "x" + number(spec.k_tile);
  text += ".s" + number(spec.stages) + ".w" + number(spec.warps_m) + "x" + number(spec.warps_n) + ".b" +
          number(spec.min_blocks);
  if (spec.cluster != 1) text += ".c" + number(spec.cluster);
  if (spec.weight_major == WeightMajor::mn) text += ".mn";
  text += ".vec" + number(spec.feats_vector_bytes) + "." + number(spec.weight_vector_bytes) + "." +
          number(spec.output_vector_bytes);
  text += std::string(".") + text_of(spec.bias);
  if (!spec.epilogue.empty()) text += "." + std::string(epilogue_prefix) + escaped(spec.epilogue);
  text += std::string(".") + text_of(spec.output) + "." + to_string(spec.architecture);
  return text;
}

KernelSpec parse_spec(std::string_view text) {
  FieldReader reader(text);
  KernelSpec spec;
  spec.kind = reader.one_of(
      kernel_kinds,
      "implicit_gemm, persistent_gemm, resident_gemm, gather_rows, reduce_partials, grad_weight, "
      "resident_grad_weight, reduce_gradient or transpose_weights");
  spec.compute = reader.one_of(element_types, "f32, tf32, f16 or bf16");
  spec.mma = reader.one_of(mma_paths, "ffma, mma_sync or wgmma");
  spec.in_channels = reader.number("ci", "the input channels, such as ci64");
  spec.out_channels = reader.number("co", "the output channels, such as co64");
  spec.volume = reader.number("v", "the kernel volume, such as v27");
  if (has_offsets(spec.kind)) {
    spec.offsets = reader.number("g", "the offsets a block, such as g3");
  }
  const std::vector<int> tile = reader.numbers("t", 3, "row, column and K tile, such as t128x64x32");
  spec.row_tile = tile[0];
  spec.column_tile = tile[1];
  spec.k_tile = tile[2];
  spec.stages = reader.number("s", "the pipeline stages, such as s4");
  const std::vector<int> warps = reader.numbers("w", 2, "the warps, such as w4x2");
  spec.warps_m = warps[0];
  spec.warps_n = warps[1];
  spec.min_blocks = reader.number("b", "the blocks a multiprocessor, such as b2");
  if (reader.comes("c")) spec.cluster = reader.number("c", "the blocks of a cluster, such as c2");
  if (reader.comes("mn")) {
    reader.next("mn");
    spec.weight_major = WeightMajor::mn;
  }
  spec.feats_vector_bytes = reader.number("vec", "the bytes a load of feats, such as vec16");
  spec.weight_vector_bytes = reader.number("", "the bytes a load of weights, such as 16");
  spec.output_vector_bytes = reader.number("", "the bytes a store, such as 16");
  spec.bias = reader.one_of(bias_types, "bias0, bias_f32 or bias_storage");
  spec.epilogue = reader.optional_epilogue();
  spec.output = reader.one_of(output_types, "storage, partial or chained");
  spec.architecture = parse_architecture(reader.next("an architecture, such as sm_90a"));
  reader.expect_end();
  if (to_string(spec) != text) reader.fail(text, ("the canonical text " + to_string(spec)).c_str());
  return spec;
}

std::string spec_hash(const KernelSpec& spec) { return hexadecimal(fnv1a(to_string(spec))); }

}  // namespace flexgemm::codegen
