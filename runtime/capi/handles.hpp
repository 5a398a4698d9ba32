#pragma once

// What is behind the handles: the C++ object, and the caller's allocator, which has to outlive it.

#include <memory>

#include <flexgemm/context.hpp>
#include <flexgemm/flexgemm_types.h>
#include <flexgemm/frame_map.hpp>
#include <flexgemm/plan.hpp>
#include <flexgemm/voxelizer.hpp>

#include "capi/guard.hpp"

namespace flexgemm::capi {

/// The two functions of a flexgemm_allocator as the library's hook.
class FunctionAllocator final : public Allocator {
 public:
  explicit FunctionAllocator(const flexgemm_allocator& functions) noexcept : functions_(functions) {}
  void* allocate(std::size_t bytes, Stream stream) noexcept override {
    return functions_.allocate(functions_.user_data, bytes, stream.handle());
  }
  void deallocate(void* pointer, std::size_t bytes, Stream stream) noexcept override {
    functions_.deallocate(functions_.user_data, pointer, bytes, stream.handle());
  }

 private:
  flexgemm_allocator functions_;
};

using SharedAllocator = std::shared_ptr<FunctionAllocator>;

}  // namespace flexgemm::capi

// Members die in reverse order: the object before the allocator that it gives its memory back to.

struct flexgemm_context {
  flexgemm::capi::SharedAllocator allocator;
  flexgemm::Context context;
};

struct flexgemm_map {
  flexgemm::capi::SharedAllocator allocator;
  flexgemm::NeighborMap map;
};

struct flexgemm_conv3d {
  flexgemm::capi::SharedAllocator allocator;
  flexgemm::Conv3d conv;
};

struct flexgemm_plan {
  flexgemm::capi::SharedAllocator allocator;
  flexgemm::Plan plan;
};

struct flexgemm_frame_map {
  flexgemm::capi::SharedAllocator allocator;
  flexgemm::FrameMap frames;
};

struct flexgemm_voxelizer {
  flexgemm::capi::SharedAllocator allocator;
  flexgemm::Voxelizer voxelizer;
};

struct flexgemm_buffer {
  flexgemm::capi::SharedAllocator allocator;
  flexgemm::Buffer buffer;
};

struct flexgemm_tune_report {
  flexgemm::TuneReport report;
};
