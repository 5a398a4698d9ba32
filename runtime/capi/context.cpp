#include <string>
#include <vector>

#include <flexgemm/flexgemm.h>
#include <flexgemm/flexgemm.hpp>

#include "capi/convert.hpp"
#include "capi/handles.hpp"
#include "capi/structs.hpp"

using namespace flexgemm;
using namespace flexgemm::capi;

namespace {

SharedAllocator make_allocator(const flexgemm_allocator* given) {
  if (given == nullptr) return nullptr;
  const flexgemm_allocator functions = read_struct(given, "options->allocator");
  require_pointer(reinterpret_cast<const void*>(functions.allocate), "options->allocator->allocate");
  require_pointer(reinterpret_cast<const void*>(functions.deallocate), "options->allocator->deallocate");
  return std::make_shared<FunctionAllocator>(functions);
}

ContextOptions to_options(const flexgemm_context_options& given, Allocator* allocator) {
  ContextOptions options;
  options.threads = given.threads;
  options.allocator = allocator;
  options.cuda_context = static_cast<CUctx_st*>(given.cuda_context);
  options.cache.enabled = given.disable_cache == 0;
  if (given.cache_folder != nullptr) options.cache.folder = given.cache_folder;
  options.cache.limit_bytes = given.cache_limit_bytes;
  options.tuning.policy = to_tuning_policy(given.tuning_policy);
  options.tuning.jobs = given.tuning_jobs;
  options.tuning.budget_seconds =
      to_budget(given.tuning_budget_ms, options.tuning.budget_seconds, "options->tuning_budget_ms");
  const std::vector<std::string> packs =
      to_texts(given.kernel_packs, given.kernel_pack_count, "options->kernel_packs");
  options.kernel_packs.assign(packs.begin(), packs.end());
  return options;
}

}  // namespace

flexgemm_status flexgemm_cuda_device_count(int32_t* count) {
  return guarded([&] {
    require_pointer(count, "count");
    *count = cuda_device_count();
  });
}

flexgemm_status flexgemm_context_open(flexgemm_device_kind kind, int32_t ordinal,
                                      const flexgemm_context_options* options, flexgemm_context** context) {
  return guarded([&] {
    require_target(context, "context");
    const Device device = to_device(kind, ordinal);
    const flexgemm_context_options given = read_optional_struct(options, "options");
    SharedAllocator allocator = make_allocator(given.allocator);
    Context opened = Context::open(device, to_options(given, allocator.get()));
    *context = new flexgemm_context{{std::move(allocator), std::move(opened)}};
  });
}

void flexgemm_context_destroy(flexgemm_context* context) { delete context; }

flexgemm_status flexgemm_context_get_device(const flexgemm_context* context, flexgemm_device_kind* kind,
                                            int32_t* ordinal) {
  return guarded([&] {
    require_pointer(context, "context");
    const Device device = context->object.device();
    if (kind != nullptr) *kind = device.is_cpu() ? FLEXGEMM_DEVICE_CPU : FLEXGEMM_DEVICE_CUDA;
    if (ordinal != nullptr) *ordinal = device.ordinal();
  });
}

flexgemm_status flexgemm_context_get_description(const flexgemm_context* context, char* buffer,
                                                 size_t capacity, size_t* length) {
  return guarded([&] {
    require_pointer(context, "context");
    write_text(context->object.description(), buffer, capacity, length, "buffer");
  });
}

flexgemm_status flexgemm_context_get_memory(const flexgemm_context* context,
                                            flexgemm_memory_statistics* statistics) {
  return guarded([&] {
    require_pointer(context, "context");
    const MemoryStatistics memory = context->object.memory();
    write_struct(statistics, {0, memory.current_bytes, memory.peak_bytes}, "statistics");
  });
}

flexgemm_status flexgemm_context_synchronize(const flexgemm_context* context, void* stream) {
  return guarded([&] {
    require_pointer(context, "context");
    context->object.synchronize(to_stream(stream));
  });
}

flexgemm_status flexgemm_buffer_create(const flexgemm_context* context, size_t bytes, void* stream,
                                       flexgemm_buffer** buffer) {
  return guarded([&] {
    require_target(buffer, "buffer");
    require_pointer(context, "context");
    *buffer = new flexgemm_buffer{{context->allocator, context->object.allocate(bytes, to_stream(stream))}};
  });
}

void flexgemm_buffer_destroy(flexgemm_buffer* buffer) { delete buffer; }

flexgemm_status flexgemm_buffer_get_data(const flexgemm_buffer* buffer, void** data) {
  return guarded([&] {
    require_target(data, "data");
    require_pointer(buffer, "buffer");
    *data = buffer->object.data();
  });
}

flexgemm_status flexgemm_buffer_get_bytes(const flexgemm_buffer* buffer, size_t* bytes) {
  return guarded([&] {
    require_pointer(bytes, "bytes");
    require_pointer(buffer, "buffer");
    *bytes = buffer->object.bytes();
  });
}

flexgemm_status flexgemm_copy_to_device(const flexgemm_context* context, void* target, const void* source,
                                        size_t bytes, void* stream) {
  return guarded([&] {
    require_pointer(context, "context");
    context->object.copy_to_device(target, source, bytes, to_stream(stream));
  });
}

flexgemm_status flexgemm_copy_to_host(const flexgemm_context* context, void* target, const void* source,
                                      size_t bytes, void* stream) {
  return guarded([&] {
    require_pointer(context, "context");
    context->object.copy_to_host(target, source, bytes, to_stream(stream));
  });
}
