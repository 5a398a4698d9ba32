#include <stdexcept>
#include <utility>

#include <flexgemm/kernels.hpp>

#include "codegen/emit.hpp"
#include "core/fail.hpp"
#include "cuda/nvrtc.hpp"
#include "tuner/compile_pool.hpp"

namespace flexgemm {

using namespace detail;

namespace {

codegen::KernelSpec parse(const std::string& text) {
  try {
    codegen::KernelSpec spec = codegen::parse_spec(text);
    if (const auto reason = codegen::rejection(spec)) throw std::invalid_argument(*reason);
    return spec;
  } catch (const std::invalid_argument& error) {
    fail(ErrorCode::invalid_argument, "the kernel {} cannot be compiled: {}", text, error.what());
  }
}

}  // namespace

void compile_kernels(std::span<const std::string> specs, const CompileOptions& options) {
  if (options.jobs < 0) {
    fail(ErrorCode::invalid_argument, "CompileOptions::jobs is {}; use 0 for one a processor", options.jobs);
  }
  if (specs.empty()) return;
  if (!nvrtc_problem().empty()) fail(ErrorCode::compile, "kernels cannot be compiled: {}", nvrtc_problem());
  CompilePool pool({.jobs = options.jobs, .worker_path = compile_worker_path()});
  for (const std::string& text : specs) pool.submit(parse(text));
  constexpr std::chrono::milliseconds patience{100};
  while (pool.pending() > 0) {
    if (options.cancelled && options.cancelled()) return;
    std::optional<CompileOutcome> outcome = pool.wait(patience);
    if (!outcome) continue;
    const std::string& text = specs[outcome->ticket];
    if (!outcome->kernel) {
      if (options.failed) options.failed(outcome->ticket, outcome->problem);
    } else if (options.finished) {
      options.finished(outcome->ticket, {.spec = text,
                                         .hash = kernel_hash(text),
                                         .is_ptx = outcome->kernel->is_ptx,
                                         .image = std::move(outcome->kernel->image),
                                         .log = std::move(outcome->kernel->log)});
    }
  }
}

}  // namespace flexgemm
