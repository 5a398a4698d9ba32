#include <CLI/CLI.hpp>

#include "common/failure.hpp"
#include "common/parse_values.hpp"
#include "common/terminal.hpp"
#include "tune/command.hpp"
#include "tune/layer_options.hpp"
#include "tune/output.hpp"

namespace flexgemm::tune {

namespace {

using cli::fail;

class EmitCommand final : public Command {
 public:
  explicit EmitCommand(CLI::App& program) {
    app = program.add_subcommand("emit", "print the CUDA source of a kernel");
    app->add_option("--spec", spec_, "the kernel, by the text of its spec")->type_name("TEXT");
    layer_.declare(*app, /*scene=*/false);
    app->add_option("--arch", architecture_, "architecture to choose a layer's kernel for, such as sm_90a")
        ->type_name("ARCH");
    app->add_option("--multiprocessors", multiprocessors_,
                    "of the GPU; default: the architecture's best known")
        ->type_name("N");
    app->add_flag("--list", list_, "print the specs of all kernels of the layer instead");
    app->add_flag("--json", json_, "print one JSON object: every kernel with its spec, hash and source");
  }

  const char* notes() const override {
    return R"(
Give --spec, as FLEXGEMM_VERBOSE=1 and the other subcommands print it, or a layer and --arch: then the source is
that of the kernel which forms the products, chosen as on such a GPU with nothing tuned. A layer may need others
(a reduction, a gather, a transpose): --list names them all. The source stands alone and includes nothing.

Examples
  flexgemm-tune emit --op forward --algorithm masked_implicit_gemm_splitk --ci 64 --co 64 --kernel 3 --n 100000 \
    --dtype f16 --arch sm_90a > kernel.cu && nvcc -std=c++20 -arch=sm_90a -cubin kernel.cu
  flexgemm-tune emit --ci 64 --co 64 --n 100000 --arch sm_80 --list
  flexgemm-tune emit --spec SPEC | less
)";
  }

  int run() override {
    if (app->count("--spec") != 0) {
      if (layer_.given() || app->count("--arch") != 0 || app->count("--multiprocessors") != 0 || list_) {
        fail(ErrorCode::invalid_argument, "--spec says everything: it goes with no other option but --json");
      }
      print_kernels({}, {spec_});
      return cli::exit_ok;
    }
    if (app->count("--arch") == 0) {
      fail(ErrorCode::invalid_argument, "--arch is missing; give it with a layer, or give --spec");
    }
    const std::vector<LayerRequest> layers = layer_.layers();
    if (layers.size() != 1) {
      fail(ErrorCode::invalid_argument, "--net has {} layers; emit takes one", layers.size());
    }
    TargetGpu gpu{architecture_, 0};
    if (app->count("--multiprocessors") != 0) {
      gpu.multiprocessors =
          static_cast<int>(cli::parse_integer("--multiprocessors", multiprocessors_, 1, 4096));
    }
    const PassKernels kernels = pass_kernels(description_of(layers.front()), gpu);
    print_kernels(name(kernels.choice.algorithm), kernels.kernels);
    return cli::exit_ok;
  }

 private:
  void print_kernels(const std::string& algorithm, const std::vector<std::string>& specs) const {
    if (json_) {
      Json kernels = Json::array();
      for (const std::string& spec : specs) {
        kernels.push_back({{"spec", spec}, {"hash", kernel_hash(spec)}, {"source", kernel_source(spec)}});
      }
      Json object{{"kernels", std::move(kernels)}};
      if (!algorithm.empty()) object["algorithm"] = algorithm;
      print_json(object);
    } else if (list_) {
      std::string lines;
      for (const std::string& spec : specs) lines += spec + "\n";
      cli::print(lines);
    } else {
      cli::print(kernel_source(specs.front()));
    }
  }

  LayerOptions layer_;
  std::string spec_, architecture_, multiprocessors_;
  bool list_ = false;
  bool json_ = false;
};

}  // namespace

CommandPointer make_emit_command(CLI::App& program) { return std::make_unique<EmitCommand>(program); }

}  // namespace flexgemm::tune
