#include <string>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <flexgemm/flexgemm.hpp>

#include "cuda/driver.hpp"

using namespace flexgemm;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("a machine without a driver has no CUDA devices and says what was looked for") {
  if (detail::driver_problem().empty()) SKIP("this machine has a CUDA driver");
  CHECK(cuda_device_count() == 0);
  try {
    Context::open(Device::cuda(0));
    FAIL("cuda:0 was opened without a driver");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::no_device);
    CHECK_THAT(error.what(), ContainsSubstring("cuda:0 cannot be opened"));
    CHECK_THAT(error.what(), ContainsSubstring("driver"));
    CHECK_THAT(error.what(), ContainsSubstring("use the device cpu"));
    if (detail::driver_problem().starts_with("no NVIDIA driver was found")) {
      CHECK_THAT(error.what(), ContainsSubstring("libcuda.so.1"));
    }
  }
}

TEST_CASE("an ordinal beyond the last device is refused with the number of devices") {
  if (cuda_device_count() == 0) SKIP("this machine has no CUDA device");
  try {
    Context::open(Device::cuda(cuda_device_count()));
    FAIL("a device that does not exist was opened");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::no_device);
    CHECK_THAT(error.what(), ContainsSubstring(std::to_string(cuda_device_count()) + " CUDA device"));
  }
}
