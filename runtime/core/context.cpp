#include <cmath>
#include <utility>

#include <flexgemm/context.hpp>

#include "core/backend.hpp"
#include "core/fail.hpp"
#include "core/validate.hpp"

namespace flexgemm {

using namespace detail;

namespace {

void require_copy_pointers(const char* call, const void* target, const void* source, std::size_t bytes) {
  if (target != nullptr && source != nullptr) return;
  fail(ErrorCode::invalid_argument, "{} of {} bytes was given a null pointer as its {}", call, bytes,
       target == nullptr ? "target" : "source");
}

void require_tuning(const TuningOptions& options) {
  if (options.jobs < 0) {
    fail(ErrorCode::invalid_argument, "TuningOptions::jobs is {}; use 0 for one a processor", options.jobs);
  }
  if (std::isnan(options.budget_seconds)) {
    fail(ErrorCode::invalid_argument, "TuningOptions::budget_seconds is NaN; use 0 for no limit");
  }
}

}  // namespace

Buffer::Buffer(std::shared_ptr<Backend> backend, void* data, std::size_t bytes, Stream stream) noexcept
    : backend_(std::move(backend)), data_(data), bytes_(bytes), stream_(stream) {}

Buffer::Buffer(Buffer&& other) noexcept { *this = std::move(other); }

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    release();
    backend_ = std::move(other.backend_);
    data_ = std::exchange(other.data_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
    stream_ = other.stream_;
  }
  return *this;
}

Buffer::~Buffer() { release(); }

void Buffer::release() noexcept {
  if (data_ != nullptr) backend_->deallocate(std::exchange(data_, nullptr), bytes_, stream_);
  bytes_ = 0;
  backend_.reset();
}

Context::Context(std::shared_ptr<Backend> backend) noexcept : backend_(std::move(backend)) {}

Context Context::open(Device device, const ContextOptions& options) {
  if (options.threads < 0) {
    fail(ErrorCode::invalid_argument, "ContextOptions::threads is {}; use 0 for all processors",
         options.threads);
  }
  require_tuning(options.tuning);
  return Context(device.is_cpu() ? open_cpu_backend(options) : open_cuda_backend(device.ordinal(), options));
}

Device Context::device() const { return backend_->device(); }
std::string Context::description() const { return backend_->description(); }
MemoryStatistics Context::memory() const { return backend_->memory(); }

TuningOptions Context::tuning() const { return backend_->tuning(); }

void Context::set_tuning(const TuningOptions& options) {
  require_tuning(options);
  backend_->set_tuning(options);
}

void Context::load_kernel_pack(const std::filesystem::path& file) { backend_->load_kernel_pack(file); }

NeighborMap Context::submanifold_map(const ConstTensorView& coords, const Grid& grid,
                                     const SubmanifoldOptions& options, Stream stream) const {
  require_kernel(options.kernel);
  require_dilation(options.dilation);
  require_grid(grid);
  if (coords.shape.rank() != 2 || coords.shape[1] != 4) {
    fail(ErrorCode::invalid_argument, "coords has the shape {}; it must be [N, 4]: batch, x, y, z",
         to_string(coords.shape));
  }
  require_type("coords", coords, DType::i32);
  const std::int64_t rows = coords.shape[0];
  if (rows > max_rows) {
    fail(ErrorCode::invalid_argument, "coords has {} rows; at most {} are supported", rows, max_rows);
  }
  require_data("coords", coords);
  return NeighborMap(backend_->submanifold_map({.coords = static_cast<const std::int32_t*>(coords.data),
                                                .rows = rows,
                                                .grid = grid,
                                                .options = options},
                                               stream));
}

Conv3d Context::conv3d(const Conv3dOptions& options) const {
  require_kernel(options.kernel);
  require_channels("in_channels", options.in_channels);
  require_channels("out_channels", options.out_channels);
  if (options.dtype == DType::i32) {
    fail(ErrorCode::invalid_argument, "a convolution cannot have the type i32; use f32, tf32, f16 or bf16");
  }
  return Conv3d(backend_, options);
}

Buffer Context::allocate(std::size_t bytes, Stream stream) const {
  void* data = bytes == 0 ? nullptr : backend_->allocate(bytes, stream);
  return Buffer(backend_, data, bytes, stream);
}

void Context::copy_to_device(void* target, const void* source, std::size_t bytes, Stream stream) const {
  if (bytes == 0) return;
  require_copy_pointers("copy_to_device", target, source, bytes);
  backend_->copy_to_device(target, source, bytes, stream);
}

void Context::copy_to_host(void* target, const void* source, std::size_t bytes, Stream stream) const {
  if (bytes == 0) return;
  require_copy_pointers("copy_to_host", target, source, bytes);
  backend_->copy_to_host(target, source, bytes, stream);
}

void Context::synchronize(Stream stream) const { backend_->synchronize(stream); }

}  // namespace flexgemm
