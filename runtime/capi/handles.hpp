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

/// What every handle is. Members die in reverse order: the object before the allocator that it gives its
/// memory back to.
template <class Object>
struct Handle {
  SharedAllocator allocator;
  Object object;
};

}  // namespace flexgemm::capi

struct flexgemm_context : flexgemm::capi::Handle<flexgemm::Context> {};
struct flexgemm_map : flexgemm::capi::Handle<flexgemm::NeighborMap> {};
struct flexgemm_conv3d : flexgemm::capi::Handle<flexgemm::Conv3d> {};
struct flexgemm_plan : flexgemm::capi::Handle<flexgemm::Plan> {};
struct flexgemm_frame_map : flexgemm::capi::Handle<flexgemm::FrameMap> {};
struct flexgemm_voxelizer : flexgemm::capi::Handle<flexgemm::Voxelizer> {};
struct flexgemm_buffer : flexgemm::capi::Handle<flexgemm::Buffer> {};

struct flexgemm_tune_report {
  flexgemm::TuneReport report;
};
