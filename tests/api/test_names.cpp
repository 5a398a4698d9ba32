#include <set>
#include <string>

#include "api/support.hpp"

using namespace flexgemm;
using namespace flexgemm::api_test;

TEST_CASE("every element type parses from its name and its aliases") {
  for (const DType dtype : {DType::f32, DType::tf32, DType::f16, DType::bf16, DType::i32})
    CHECK(parse_dtype(name(dtype)) == dtype);
  for (const char* text : {"fp32", "float32"}) CHECK(parse_dtype(text) == DType::f32);
  for (const char* text : {"fp16", "float16", "half"}) CHECK(parse_dtype(text) == DType::f16);
  CHECK(parse_dtype("bfloat16") == DType::bf16);
  for (const char* text : {"", "F32", "f32 ", "f64", "fp8"})
    check_error(ErrorCode::invalid_argument, {"'" + std::string(text) + "'"}, [&] { parse_dtype(text); });
}

TEST_CASE("every algorithm parses from its name") {
  for (const Algorithm algorithm : {Algorithm::automatic, Algorithm::explicit_gemm, Algorithm::implicit_gemm,
                                    Algorithm::implicit_gemm_splitk, Algorithm::masked_implicit_gemm,
                                    Algorithm::masked_implicit_gemm_splitk})
    CHECK(parse_algorithm(name(algorithm)) == algorithm);
  CHECK(std::string(name(Algorithm::automatic)) == "auto");
  check_error(ErrorCode::invalid_argument, {"'gemm'", "masked_implicit_gemm_splitk"},
              [] { parse_algorithm("gemm"); });
}

TEST_CASE("every device parses from its name") {
  for (const Device device : {Device::cpu(), Device::cuda(0), Device::cuda(7)})
    CHECK(Device::parse(to_string(device)) == device);
  CHECK(Device::parse("cuda") == Device::cuda(0));
  for (const char* text : {"", "gpu", "cuda:", "cuda:-1", "cuda:x", "cuda:1x", "cuda: 1", "cuda:99999999999"})
    check_error(ErrorCode::invalid_argument, {"'" + std::string(text) + "'"}, [&] { Device::parse(text); });
}

TEST_CASE("ops and error codes have names of their own") {
  CHECK(std::string(name(Op::forward)) == "forward");
  CHECK(std::string(name(Op::grad_input)) == "grad_input");
  CHECK(std::string(name(Op::grad_weight)) == "grad_weight");
  std::set<std::string> names;
  for (int code = 0; code <= static_cast<int>(ErrorCode::internal); ++code)
    names.insert(name(static_cast<ErrorCode>(code)));
  CHECK(names.size() == static_cast<std::size_t>(ErrorCode::internal) + 1);
  CHECK(names.count("unknown") == 0);
}

TEST_CASE("the library's version is that of its headers") {
  CHECK(version() == std::to_string(FLEXGEMM_VERSION_MAJOR) + "." + std::to_string(FLEXGEMM_VERSION_MINOR) +
                         "." + std::to_string(FLEXGEMM_VERSION_PATCH));
}

TEST_CASE("element sizes and storage types are as documented") {
  CHECK(size_of(DType::f32) == 4);
  CHECK(size_of(DType::tf32) == 4);
  CHECK(size_of(DType::f16) == 2);
  CHECK(size_of(DType::bf16) == 2);
  CHECK(size_of(DType::i32) == 4);
  CHECK(storage_type(DType::tf32) == DType::f32);
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16, DType::i32})
    CHECK(storage_type(dtype) == dtype);
}

TEST_CASE("a shape refuses negative extents, too many dimensions and products beyond 63 bits") {
  CHECK(Shape{}.elements() == 1);
  CHECK(Shape{3, 0, 5}.elements() == 0);
  CHECK(Shape{1 << 20, 1 << 20, 1 << 20}.elements() == std::int64_t{1} << 60);
  CHECK(to_string(Shape{128, 64}) == "[128, 64]");
  CHECK(Shape{2, 3} == Shape{2, 3});
  CHECK(!(Shape{2, 3} == Shape{2, 3, 1}));
  check_error(ErrorCode::invalid_argument, {"-3", "1"}, [] { Shape{2, -3}; });
  check_error(ErrorCode::invalid_argument, {"5", "6"}, [] { Shape{1, 2, 3, 4, 5, 6}; });
  const Shape large{std::int64_t{1} << 32, std::int64_t{1} << 32};
  check_error(ErrorCode::invalid_argument, {"[4294967296, 4294967296]"}, [&] { (void)large.elements(); });
  CHECK(Shape{std::int64_t{1} << 32, std::int64_t{1} << 32, 0}.elements() == 0);
}

TEST_CASE("a view knows its bytes and whether it is there") {
  CHECK(!TensorView().present());
  CHECK(!ConstTensorView().present());
  CHECK(TensorView(nullptr, DType::f16, {0, 4}).present());
  CHECK(TensorView(nullptr, DType::f16, {3, 4}).bytes() == 24);
  CHECK(ConstTensorView(nullptr, DType::tf32, {3, 4}).bytes() == 48);
  bf16 element;
  CHECK(TensorView(&element, {1}).dtype == DType::bf16);
  CHECK(ConstTensorView(TensorView(&element, {1})).data == &element);
}
