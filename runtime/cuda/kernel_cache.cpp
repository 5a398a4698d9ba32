#include "cuda/kernel_cache.hpp"

#include <array>
#include <chrono>
#include <limits>
#include <utility>

#include "core/fail.hpp"
#include "core/log.hpp"
#include "cuda/driver.hpp"
#include "cuda/nvrtc.hpp"

namespace flexgemm::detail {

namespace {

/// Dynamic shared memory that a kernel gets without asking.
constexpr int default_shared_bytes = 48 * 1024;

int attribute(CUfunction function, CUfunction_attribute which) {
  int value = 0;
  FLEXGEMM_DRIVER(cuFuncGetAttribute, &value, which, function);
  return value;
}

CUmodule load_module(const CompiledKernel& compiled, const std::string& name) {
  std::array<char, 4096> log{};
  std::array options{CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  std::array<void*, 2> values{log.data(), reinterpret_cast<void*>(log.size())};
  CUmodule module = nullptr;
  const CUresult result = driver().cuModuleLoadDataEx(&module, compiled.image.data(), options.size(),
                                                      options.data(), values.data());
  if (result == CUDA_SUCCESS) return module;
  try {
    check_driver(result, "cuModuleLoadDataEx");
  } catch (const Error& error) {
    log.back() = '\0';
    fail(error.code(), "the kernel {} could not be loaded: {} {}", name, error.what(), log.data());
  }
  return nullptr;  // not reached: check_driver throws
}

}  // namespace

Kernel::Kernel(const codegen::KernelSpec& spec, const CompiledKernel& compiled)
    : spec_(spec),
      shape_(codegen::launch_shape(spec)),
      module_(load_module(compiled, codegen::to_string(spec))) {
  try {
    find_function();
  } catch (...) {
    driver().cuModuleUnload(module_);
    throw;
  }
}

void Kernel::find_function() {
  FLEXGEMM_DRIVER(cuModuleGetFunction, &function_, module_, codegen::entry_name);
  registers_ = attribute(function_, CU_FUNC_ATTRIBUTE_NUM_REGS);
  local_bytes_ = attribute(function_, CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES);
  if (shape_.shared_bytes > default_shared_bytes) {
    FLEXGEMM_DRIVER(cuFuncSetAttribute, function_, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                    shape_.shared_bytes);
  }
}

Kernel::~Kernel() { driver().cuModuleUnload(module_); }

void Kernel::require_grid(std::int64_t blocks_x, std::int64_t blocks_y) const {
  constexpr std::int64_t most_x = std::numeric_limits<std::int32_t>::max();
  constexpr std::int64_t most_y = 65535;
  if (blocks_x < 1 || blocks_x > most_x || blocks_y < 1 || blocks_y > most_y) {
    fail(ErrorCode::unsupported,
         "the kernel {} would need a grid of {} x {} blocks; 1 x 1 to {} x {} can be launched",
         codegen::to_string(spec_), blocks_x, blocks_y, most_x, most_y);
  }
}

void Kernel::record(std::int64_t blocks_x, std::int64_t blocks_y, const void* parameters, std::size_t bytes,
                    PassRecorder& recorder) const {
  require_grid(blocks_x, blocks_y);
  recorder.record_launch(function_, static_cast<std::uint32_t>(blocks_x),
                         static_cast<std::uint32_t>(blocks_y), static_cast<std::uint32_t>(shape_.threads),
                         static_cast<std::uint32_t>(shape_.shared_bytes), parameters, bytes);
}

void Kernel::launch_with(std::int64_t blocks_x, std::int64_t blocks_y, void* argument, Stream stream) const {
  require_grid(blocks_x, blocks_y);
  if (verbosity() >= 2) {
    log(2, "launch {} grid {}x{} threads {} shared {}", codegen::to_string(spec_), blocks_x, blocks_y,
        shape_.threads, shape_.shared_bytes);
  }
  std::array<void*, 1> arguments{argument};
  FLEXGEMM_DRIVER(cuLaunchKernel, function_, static_cast<unsigned>(blocks_x), static_cast<unsigned>(blocks_y),
                  1, static_cast<unsigned>(shape_.threads), 1, 1, static_cast<unsigned>(shape_.shared_bytes),
                  stream.handle(), arguments.data(), nullptr);
}

KernelCache::KernelCache(const CudaDevice& device, std::shared_ptr<KernelStore> store,
                         std::shared_ptr<KernelCompiler> compiler)
    : device_(device), store_(std::move(store)), compiler_(std::move(compiler)) {}

KernelCache::~KernelCache() {
  const ContextScope scope(device_);
  driver().cuCtxSynchronize();  // kernels may still be running
  entries_.clear();
}

std::shared_ptr<KernelCache::Entry> KernelCache::entry_of(const codegen::KernelSpec& spec) {
  const std::lock_guard lock(mutex_);
  auto& slot = entries_[spec];
  if (slot == nullptr) slot = std::make_shared<Entry>();
  return slot;
}

const Kernel& KernelCache::get(const codegen::KernelSpec& spec) {
  const std::shared_ptr<Entry> entry = entry_of(spec);
  const std::lock_guard lock(entry->mutex);
  if (entry->kernel == nullptr) entry->kernel = make(spec);
  return *entry->kernel;
}

/// A kernel that another thread is making just now is not.
bool KernelCache::is_missing(const codegen::KernelSpec& spec) {
  const std::shared_ptr<Entry> entry = entry_of(spec);
  const std::unique_lock lock(entry->mutex, std::try_to_lock);
  if (!lock.owns_lock() || entry->kernel != nullptr) return false;
  return store_ == nullptr || !store_->load(codegen::source_hash(spec), spec);
}

void KernelCache::prepare(const std::function<std::vector<codegen::KernelSpec>()>& specs) {
  if (compiler_ == nullptr || !compiler_->serves()) return;
  std::vector<codegen::KernelSpec> missing = specs();
  std::erase_if(missing, [this](const codegen::KernelSpec& spec) { return !is_missing(spec); });
  compiler_->request(missing);
}

void KernelCache::adopt(const codegen::KernelSpec& spec, const CompiledKernel& compiled) {
  const std::shared_ptr<Entry> entry = entry_of(spec);
  const std::lock_guard lock(entry->mutex);
  if (entry->kernel != nullptr) return;
  entry->kernel = std::make_unique<const Kernel>(spec, compiled);
  if (store_ != nullptr) store_->save(codegen::source_hash(spec), spec, compiled);
}

namespace {

class Stopwatch {
 public:
  double milliseconds() const {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

std::unique_ptr<const Kernel> KernelCache::load(const std::string& hash, const codegen::KernelSpec& spec) {
  if (store_ == nullptr) return nullptr;
  const Stopwatch stopwatch;
  const auto stored = store_->load(hash, spec);
  if (!stored) return nullptr;
  try {
    auto kernel = std::make_unique<const Kernel>(spec, *stored);
    log(1, "loaded {} in {:.1f} ms, {} registers", codegen::to_string(spec), stopwatch.milliseconds(),
        kernel->registers());
    return kernel;
  } catch (const Error& error) {  // made by a newer compiler than this driver understands, for one
    if (error.code() != ErrorCode::driver) throw;
    store_->refuse(hash, spec, error.what());
    return nullptr;
  }
}

std::unique_ptr<const Kernel> KernelCache::make(const codegen::KernelSpec& spec) {
  if (const auto reason = codegen::rejection(spec)) {
    fail(ErrorCode::unsupported, "the kernel {} cannot be built: {}", codegen::to_string(spec), *reason);
  }
  const std::string hash = codegen::source_hash(spec);
  if (auto kernel = load(hash, spec)) return kernel;
  const Stopwatch stopwatch;
  const CompiledKernel compiled =
      compiler_ != nullptr ? compiler_->get(spec)
                           : compile_source(codegen::emit(spec), codegen::to_string(spec), spec.architecture);
  auto kernel = std::make_unique<const Kernel>(spec, compiled);
  log(1, "compiled {} in {:.1f} ms, {} registers{}", codegen::to_string(spec), stopwatch.milliseconds(),
      kernel->registers(),
      kernel->local_bytes() > 0 ? fmt::format(", {} bytes of local memory", kernel->local_bytes()) : "");
  if (store_ != nullptr) store_->save(hash, spec, compiled);
  return kernel;
}

}  // namespace flexgemm::detail
