#include <limits>

#include <flexgemm/dlpack.hpp>
#include <flexgemm/flexgemm.hpp>

#include "api/support.hpp"
#include "capi/support.hpp"
#include "dlpack_caller.h"

using namespace flexgemm;
using namespace flexgemm::capi_test;
using api_test::check_error;

namespace {

/// A [2, 3] float tensor of another library, for a test to break.
struct Foreign {
  float values[6] = {1, 2, 3, 4, 5, 6};
  std::int64_t shape[6] = {2, 3, 1, 1, 1, 1};
  std::int64_t strides[6] = {3, 1, 1, 1, 1, 1};
  DLTensor tensor{};
  Foreign() {
    tensor.data = values;
    tensor.device = {kDLCPU, 0};
    tensor.ndim = 2;
    tensor.dtype = {kDLFloat, 32, 1};
    tensor.shape = shape;
    tensor.strides = strides;
  }
  Foreign(const Foreign&) = delete;
  Foreign& operator=(const Foreign&) = delete;
};

/// Both the C++ and the C helper refuse the tensor with these words.
void check_refused(const Foreign& foreign, std::initializer_list<std::string> texts) {
  check_error(ErrorCode::invalid_argument, texts, [&] { (void)view_dlpack(foreign.tensor, Device::cpu()); });
  const Owned<flexgemm_context> context = open_cpu();
  auto view = zeroed<flexgemm_tensor>();
  check_failure(c_tensor_from_dlpack(context.get(), &foreign.tensor, &view), FLEXGEMM_INVALID_ARGUMENT,
                texts);
}

template <class Change>
void check_refused_after(const Change& change, std::initializer_list<std::string> texts) {
  Foreign foreign;
  change(foreign);
  check_refused(foreign, texts);
}

}  // namespace

TEST_CASE("a DLPack tensor becomes a view of the same memory") {
  Foreign foreign;
  const TensorView view = view_dlpack(foreign.tensor, Device::cpu());
  CHECK(view.data == foreign.values);
  CHECK(view.dtype == DType::f32);
  CHECK(view.shape == Shape{2, 3});
  const Owned<flexgemm_context> context = open_cpu();
  auto tensor = zeroed<flexgemm_tensor>();
  require_ok(c_tensor_from_dlpack(context.get(), &foreign.tensor, &tensor));
  CHECK(tensor.data == foreign.values);
  CHECK(tensor.rank == 2);
  CHECK(tensor.shape[1] == 3);

  foreign.tensor.byte_offset = 12;  // the second row
  foreign.shape[0] = 1;
  foreign.strides[0] = 77;  // of an extent of 1: means nothing
  CHECK(view_dlpack(foreign.tensor, Device::cpu()).data == foreign.values + 3);
  foreign.tensor.strides = nullptr;
  foreign.tensor.device = {kDLCUDAHost, 0};
  CHECK(view_dlpack(foreign.tensor, Device::cpu()).shape == Shape{1, 3});
  foreign.shape[0] = 0;
  foreign.tensor.data = nullptr;
  CHECK(view_dlpack(foreign.tensor, Device::cpu()).present());
  const std::pair<DLDataType, DType> types[] = {{{kDLFloat, 32, 1}, DType::f32},
                                                {{kDLFloat, 16, 1}, DType::f16},
                                                {{kDLBfloat, 16, 1}, DType::bf16},
                                                {{kDLInt, 32, 1}, DType::i32}};
  for (const auto& [type, dtype] : types) {
    foreign.tensor.dtype = type;
    CHECK(view_dlpack(foreign.tensor, Device::cpu()).dtype == dtype);
  }
}

TEST_CASE("what a DLPack tensor may not be is said in one sentence") {
  check_refused_after([](Foreign& f) { f.strides[0] = 4; }, {"[2, 3]", "strides [4, 1]", "not contiguous"});
  check_refused_after(
      [](Foreign& f) {
        f.strides[0] = 1;
        f.strides[1] = 2;
      },
      {"strides [1, 2]"});
  check_refused_after([](Foreign& f) { f.strides[1] = -1; }, {"strides [3, -1]"});
  check_refused_after([](Foreign& f) { f.tensor.dtype.lanes = 4; }, {"4 lanes"});
  check_refused_after([](Foreign& f) { f.tensor.dtype.bits = 64; }, {"float64", "float32"});
  check_refused_after([](Foreign& f) { f.tensor.dtype = {kDLUInt, 8, 1}; }, {"uint8"});
  check_refused_after([](Foreign& f) { f.tensor.dtype = {200, 16, 1}; }, {"type 200"});
  check_refused_after([](Foreign& f) { f.tensor.device = {kDLCUDA, 1}; }, {"cuda:1", "cpu"});
  check_refused_after([](Foreign& f) { f.tensor.device.device_type = kDLVulkan; }, {"type 7"});
  check_refused_after([](Foreign& f) { f.tensor.ndim = 0; }, {"0 dimensions"});
  check_refused_after([](Foreign& f) { f.tensor.ndim = 6; }, {"6 dimensions"});
  check_refused_after([](Foreign& f) { f.tensor.ndim = -3; }, {"-3 dimensions"});
  check_refused_after([](Foreign& f) { f.tensor.shape = nullptr; }, {"no shape"});
  check_refused_after([](Foreign& f) { f.shape[1] = -3; }, {"dimension 1", "-3"});
  check_refused_after([](Foreign& f) { f.shape[0] = f.shape[1] = INT64_MAX; }, {"2^63"});
  check_refused_after([](Foreign& f) { f.tensor.data = nullptr; }, {"null pointer"});
  check_refused_after(
      [](Foreign& f) {
        f.tensor.data = nullptr;
        f.tensor.byte_offset = 16;
      },
      {"null pointer"});
  check_refused_after([](Foreign& f) { f.tensor.byte_offset = 2; }, {"multiple of its element size 4"});
  check_refused_after([](Foreign& f) { f.tensor.byte_offset = std::numeric_limits<std::uint64_t>::max(); },
                      {"byte offset", "address space"});
  Foreign foreign;
  check_error(ErrorCode::invalid_argument, {"lies on cpu", "cuda:2"},
              [&] { (void)view_dlpack(foreign.tensor, Device::cuda(2)); });
  foreign.tensor.device = {kDLCUDA, 2};
  CHECK(view_dlpack(foreign.tensor, Device::cuda(2)).present());
  foreign.tensor.device.device_type = kDLCUDAManaged;
  CHECK(view_dlpack(foreign.tensor, Device::cuda(2)).present());
  check_error(ErrorCode::invalid_argument, {"managed memory of cuda:2", "cuda:0"},
              [&] { (void)view_dlpack(foreign.tensor, Device::cuda(0)); });
  const Owned<flexgemm_context> context = open_cpu();
  auto view = zeroed<flexgemm_tensor>();
  check_failure(c_tensor_from_dlpack(context.get(), nullptr, &view), FLEXGEMM_INVALID_ARGUMENT,
                {"argument tensor is NULL"});
}

TEST_CASE("a managed tensor is taken over once, and its deleter called once") {
  Foreign foreign;
  int deleted = 0;
  DLManagedTensor managed{foreign.tensor, &deleted,
                          [](DLManagedTensor* self) { ++*static_cast<int*>(self->manager_ctx); }};
  {
    DlpackTensor first(&managed, Device::cpu());
    CHECK(first.view().data == foreign.values);
    const DlpackTensor second = std::move(first);
    CHECK(second.view().data == foreign.values);
    CHECK(deleted == 0);
  }
  CHECK(deleted == 1);
  managed.dl_tensor.ndim = 0;  // refused: stays the caller's
  check_error(ErrorCode::invalid_argument, {"0 dimensions"}, [&] { DlpackTensor(&managed, Device::cpu()); });
  CHECK(deleted == 1);
  managed.dl_tensor.ndim = 2;
  managed.deleter = nullptr;  // allowed by DLPack
  { const DlpackTensor undeletable(&managed, Device::cpu()); }
  check_error(ErrorCode::invalid_argument, {"features is a null pointer"},
              [] { DlpackTensor(nullptr, Device::cpu(), "features"); });
}

TEST_CASE("buffers, maps and owned views go out as DLPack tensors until the consumer deletes them") {
  const Context context = Context::open(Device::cpu());
  DLManagedTensor* tensor = to_dlpack(context.allocate(2 * 3 * 2), DType::f16, {2, 3}, context.device());
  CHECK(context.memory().current_bytes == 12);
  CHECK(tensor->dl_tensor.ndim == 2);
  CHECK(tensor->dl_tensor.shape[1] == 3);
  CHECK(tensor->dl_tensor.strides[0] == 3);
  CHECK(tensor->dl_tensor.strides[1] == 1);
  CHECK(tensor->dl_tensor.dtype.code == kDLFloat);
  CHECK(tensor->dl_tensor.dtype.bits == 16);
  CHECK(tensor->dl_tensor.device.device_type == kDLCPU);
  {
    const DlpackTensor back(tensor, context.device());  // round trip
    CHECK(back.view().shape == Shape{2, 3});
    CHECK(back.view().dtype == DType::f16);
  }
  CHECK(context.memory().current_bytes == 0);
  check_error(ErrorCode::invalid_argument, {"12 bytes", "[2, 4]"}, [&] {
    (void)to_dlpack(context.allocate(12), DType::f16, {2, 4}, context.device());
  });
  CHECK(context.memory().current_bytes == 0);
  check_error(ErrorCode::invalid_argument, {"absent view"},
              [&] { (void)to_dlpack(ConstTensorView(), context.device(), 0); });

  const auto owner = std::make_shared<std::vector<float>>(4);
  tensor = to_dlpack(ConstTensorView(owner->data(), {4}), context.device(), owner);
  CHECK(owner.use_count() == 2);
  tensor->deleter(tensor);
  CHECK(owner.use_count() == 1);

  const std::int32_t voxel[4] = {0, 0, 0, 0};
  tensor = to_dlpack(context.submanifold_map({voxel, {1, 4}}, {1, 1, 1, 1}));
  CHECK(tensor->dl_tensor.shape[1] == 27);
  CHECK(tensor->dl_tensor.dtype.code == kDLInt);
  CHECK(static_cast<const std::int32_t*>(tensor->dl_tensor.data)[13] == 0);  // itself
  tensor->deleter(tensor);
  CHECK(context.memory().current_bytes == 0);
}

TEST_CASE("the C helpers hand buffers and maps out") {
  Owned<flexgemm_context> context = open_cpu();
  const auto held = [&context] {
    auto memory = zeroed<flexgemm_memory_statistics>();
    require_ok(flexgemm_context_get_memory(context.get(), &memory));
    return memory.current_bytes;
  };
  flexgemm_buffer* buffer = nullptr;
  require_ok(flexgemm_buffer_create(context.get(), 24, nullptr, &buffer));
  DLManagedTensor* tensor = nullptr;
  const std::int64_t shape[3] = {2, 3, 2};
  const auto refused = [&](flexgemm_dtype dtype, int32_t rank, std::initializer_list<std::int64_t> extents) {
    const std::vector<std::int64_t> given(extents);
    check_failure(c_buffer_to_dlpack(context.get(), buffer, dtype, rank, given.data(), &tensor),
                  FLEXGEMM_INVALID_ARGUMENT, {});
    CHECK(tensor == nullptr);
  };
  refused(FLEXGEMM_F32, 3, {2, 3, 2});
  refused(FLEXGEMM_F16, 2, {INT64_MAX, INT64_MAX});
  refused(FLEXGEMM_F16, 2, {-1, 3});
  refused(FLEXGEMM_F16, 0, {1});
  refused(9, 1, {1});
  check_failure(c_buffer_to_dlpack(nullptr, buffer, FLEXGEMM_F16, 3, shape, &tensor),
                FLEXGEMM_INVALID_ARGUMENT, {"context is NULL"});
  check_failure(c_buffer_to_dlpack(context.get(), nullptr, FLEXGEMM_F16, 3, shape, &tensor),
                FLEXGEMM_INVALID_ARGUMENT, {"buffer is NULL"});
  require_ok(c_buffer_to_dlpack(context.get(), buffer, FLEXGEMM_BF16, 3, shape, &tensor));
  CHECK(tensor->dl_tensor.ndim == 3);
  CHECK(tensor->dl_tensor.strides[0] == 6);
  CHECK(tensor->dl_tensor.dtype.code == kDLBfloat);
  CHECK(held() == 24);
  auto view = zeroed<flexgemm_tensor>();
  require_ok(c_tensor_from_dlpack(context.get(), &tensor->dl_tensor, &view));
  CHECK(view.dtype == FLEXGEMM_BF16);
  CHECK(view.shape[2] == 2);
  tensor->deleter(tensor);
  CHECK(held() == 0);

  const Layer layer;
  Owned<flexgemm_map> map = layer.map(context.get());
  require_ok(c_map_to_dlpack(context.get(), map.get(), &tensor));
  map.reset();
  CHECK(tensor->dl_tensor.shape[0] == layer.rows);
  CHECK(tensor->dl_tensor.shape[1] == 27);
  CHECK(held() > 0);
  tensor->deleter(tensor);
  CHECK(held() == 0);
  check_failure(c_map_to_dlpack(context.get(), nullptr, &tensor), FLEXGEMM_INVALID_ARGUMENT, {"map is NULL"});
}
