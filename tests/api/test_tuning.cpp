#include <catch2/catch_test_macros.hpp>

#include <flexgemm/flexgemm.hpp>

#include "support.hpp"

using namespace flexgemm;
using namespace flexgemm::api_test;

TEST_CASE("tuning policies have names that parse back") {
  for (const TuningPolicy policy : {TuningPolicy::never, TuningPolicy::on_miss, TuningPolicy::force}) {
    CHECK(parse_tuning_policy(name(policy)) == policy);
  }
  check_error(ErrorCode::invalid_argument, {"sometimes"}, [] { (void)parse_tuning_policy("sometimes"); });
}

TEST_CASE("tuning is refused with a sentence where there is nothing to tune") {
  const Context context = Context::open(Device::cpu(), {.threads = 1});
  const std::int32_t coords[] = {0, 1, 1, 1};
  const NeighborMap map = context.submanifold_map({coords, DType::i32, {1, 4}}, {1, 4, 4, 4});
  const Conv3d conv = context.conv3d({.in_channels = 4, .out_channels = 4});
  check_error(ErrorCode::unsupported, {"CPU"}, [&] { (void)conv.tune(map, {}); });
  check_error(ErrorCode::invalid_argument, {"jobs is -1"}, [&] { (void)conv.tune(map, {.jobs = -1}); });
  check_error(ErrorCode::invalid_argument, {"bias"},
              [&] { (void)conv.tune(map, {.pass = {.op = Op::grad_input, .bias = DType::f32}}); });
  const NeighborMap empty = context.submanifold_map({nullptr, DType::i32, {0, 4}}, {1, 4, 4, 4});
  check_error(ErrorCode::invalid_argument, {"no rows"}, [&] { (void)conv.tune(empty, {}); });
}
