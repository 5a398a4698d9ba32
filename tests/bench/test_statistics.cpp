#include <cmath>

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include "measuring_device.hpp"
#include "random_value.hpp"
#include "row.hpp"
#include "statistics.hpp"

using namespace flexgemm;
using namespace flexgemm::bench;
using Catch::Approx;

TEST_CASE("the median of an even number of samples is the mean of the middle two") {
  const Summary even = summarize({4, 1, 3, 10});
  CHECK(even.median == Approx(3.5));
  CHECK(even.least == 1);
  CHECK(even.most == 10);
  CHECK(even.samples == 4);
  CHECK(summarize({9, 2, 5}).median == Approx(5));
}

TEST_CASE("a row's spread is that of its rounds' medians, and its median that of all samples") {
  CallTimes first;
  first.call_ms = {1.0, 1.0, 9.0};
  CallTimes second;
  second.call_ms = {1.1, 1.1, 1.1};
  nlohmann::ordered_json row;
  add_times(row, {first, second});
  CHECK(row["call_ms"]["median"].get<double>() == Approx(1.1));
  CHECK(row["call_ms"]["spread"].get<double>() == Approx(0.1));
  CHECK(row["call_ms"]["samples"] == 6);
  CHECK_FALSE(row.contains("graph_ms"));
  nlohmann::ordered_json one_round;
  add_times(one_round, {first});
  CHECK_FALSE(one_round["call_ms"].contains("spread"));
}

TEST_CASE("at least the asked repetitions are made, however slow a call is") {
  const Repeat repeat{.least = 20, .most = 100, .seconds = 0.1};
  CHECK(repetitions(repeat, 13.0) == 20);
  CHECK(repetitions(repeat, 2.0) == 50);
  CHECK(repetitions(repeat, 0.001) == 100);
  CHECK(repetitions(repeat, 0) == 100);
}

TEST_CASE("random data has mean 0 and deviation 1, is not zero, and differs by seed") {
  double sum = 0;
  double squares = 0;
  double product = 0;
  constexpr int count = 100000;
  for (int i = 0; i < count; ++i) {
    const double value = random_value(7, static_cast<std::uint64_t>(i));
    const double other = random_value(8, static_cast<std::uint64_t>(i));
    sum += value;
    squares += value * value;
    product += value * other;
  }
  CHECK(std::abs(sum / count) < 0.02);
  CHECK(squares / count == Approx(1).epsilon(0.02));
  CHECK(std::abs(product / count) < 0.02);
  CHECK(to_float(stored<f16>(random_value(7, 3))) == Approx(random_value(7, 3)).epsilon(0.001));
}
