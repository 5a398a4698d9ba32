#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "choice/priced_choices.hpp"
#include "codegen/emit.hpp"

using namespace flexgemm;
using namespace flexgemm::detail;

namespace {

const TargetDevice hopper{.architecture = codegen::parse_architecture("sm_90a"), .multiprocessors = 132};

PassShape layer(std::int64_t channels, std::int64_t rows, DType dtype = DType::f16) {
  PassShape pass;
  pass.in_channels = channels;
  pass.out_channels = channels;
  pass.volume = 27;
  pass.dtype = dtype;
  pass.rows = rows;
  pass.pairs = rows * 8;
  return pass;
}

/// A kernel's time as it was measured.
struct Recorded {
  codegen::PassPlan plan;
  double ms = 0;
};

/// One layer of recorded_times.txt.
struct RecordedShape {
  std::string title;
  codegen::GemmProblem problem;
  codegen::MapStatistics map;
  std::vector<Recorded> times;
};

codegen::RowWalk walk_of(const std::string& algorithm) {
  if (algorithm == "explicit_gemm") return codegen::RowWalk::gathered;
  return algorithm.starts_with("masked") ? codegen::RowWalk::masked : codegen::RowWalk::dense;
}

/// `counted`: with the steps that the map was found to have; else they are estimated.
std::vector<RecordedShape> read_times(bool counted) {
  std::ifstream file(FLEXGEMM_RECORDED_TIMES);
  REQUIRE(file.good());
  std::vector<RecordedShape> shapes;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string kind;
    words >> kind;
    if (kind == "shape") {
      RecordedShape& shape = shapes.emplace_back();
      std::string scene, type;
      words >> scene >> shape.problem.in_channels >> shape.problem.out_channels >> type >> shape.map.rows >>
          shape.map.pairs;
      for (std::int64_t& steps : shape.map.steps) words >> steps;
      if (!counted) shape.map.steps = {};
      shape.title = scene + " " + type;
      shape.map.volume = 27;
      shape.problem.architecture = hopper.architecture;
      shape.problem.compute = type == "f16" ? codegen::ElementType::f16 : codegen::ElementType::tf32;
      shape.problem.volume = 27;
      shape.problem.rows = shape.map.rows;
    } else if (kind == "time") {
      std::string algorithm, kernel;
      Recorded recorded;
      words >> algorithm >> recorded.plan.splits >> kernel >> recorded.ms;
      recorded.plan.walk = walk_of(algorithm);
      recorded.plan.spec = codegen::parse_spec(kernel);
      shapes.back().times.push_back(recorded);
    }
    REQUIRE(!words.fail());
  }
  return shapes;
}

/// Kendall's rank correlation of two sequences.
double rank_correlation(const std::vector<double>& first, const std::vector<double>& second) {
  double agreeing = 0;
  double pairs = 0;
  for (std::size_t i = 0; i < first.size(); ++i) {
    for (std::size_t j = i + 1; j < first.size(); ++j) {
      const double product = (first[i] - first[j]) * (second[i] - second[j]);
      agreeing += product > 0 ? 1 : product < 0 ? -1 : 0;
      ++pairs;
    }
  }
  return agreeing / pairs;
}

}  // namespace

TEST_CASE("the model's choice is close to the best of the recorded times, geometric mean within 6 percent") {
  for (const bool counted : {true, false}) {
    double sum = 0;
    const auto shapes = read_times(counted);
    REQUIRE(shapes.size() >= 20);
    for (const RecordedShape& shape : shapes) {
      const Recorded* chosen = nullptr;
      double least = 0;
      double best = 0;
      for (const Recorded& recorded : shape.times) {
        const double predicted = codegen::predicted_ms(shape.problem, shape.map, recorded.plan);
        if (chosen == nullptr || predicted < least) {
          chosen = &recorded;
          least = predicted;
        }
        best = best == 0 ? recorded.ms : std::min(best, recorded.ms);
      }
      INFO(shape.title << ", chosen " << codegen::to_string(chosen->plan.spec) << " at " << chosen->ms
                       << " ms, best " << best);
      CHECK(chosen->ms <= best * 1.35);
      sum += std::log(chosen->ms / best);
    }
    CHECK(std::exp(sum / static_cast<double>(shapes.size())) <= 1.06);
  }
}

TEST_CASE("the model ranks the recorded times") {
  double sum = 0;
  const auto shapes = read_times(false);
  for (const RecordedShape& shape : shapes) {
    std::vector<double> predicted, measured;
    for (const Recorded& recorded : shape.times) {
      predicted.push_back(codegen::predicted_ms(shape.problem, shape.map, recorded.plan));
      measured.push_back(recorded.ms);
    }
    CAPTURE(shape.title);
    const double correlation = rank_correlation(predicted, measured);
    CHECK(correlation > 0.3);
    sum += correlation;
  }
  CHECK(sum / static_cast<double>(shapes.size()) > 0.6);
}

TEST_CASE("the estimate of steps meets the recorded counts within 17 percent") {
  for (const RecordedShape& shape : read_times(true)) {
    codegen::MapStatistics uncounted = shape.map;
    uncounted.steps = {};
    for (std::size_t i = 0; i < codegen::MapStatistics::heights.size(); ++i) {
      const double estimated = codegen::masked_steps(uncounted, codegen::MapStatistics::heights[i]);
      const auto counted = static_cast<double>(shape.map.steps[i]);
      CAPTURE(shape.title, codegen::MapStatistics::heights[i], estimated, counted);
      CHECK(std::abs(estimated / counted - 1) <= 0.175);
    }
  }
}

TEST_CASE("counted steps are taken as they are, and those between by the nearest heights") {
  codegen::MapStatistics map{.rows = 12800, .pairs = 100000, .volume = 27, .steps = {}};
  map.steps[2] = 3000;  // 64 rows
  map.steps[4] = 1000;  // 256 rows
  CHECK(codegen::masked_steps(map, 64) == 3000);
  const double between = codegen::masked_steps(map, 128) / 100;  // a tile of 128 rows
  CHECK(between > 3000.0 / 200);
  CHECK(between < 1000.0 / 50);
  CHECK(codegen::masked_steps(map, 16) / 800 < 3000.0 / 200);
}

TEST_CASE("predicted times grow with rows and with channels, for every candidate") {
  for (const DType dtype : {DType::f16, DType::tf32, DType::f32}) {
    const auto few = priced_choices(hopper, layer(64, 50'000, dtype), statistics_of(layer(64, 50'000, dtype)),
                                    Breadth::all);
    for (const PricedChoice& small : few) {
      const PassShape more_rows = layer(64, 400'000, dtype);
      const auto large =
          choice_like(priced_choices(hopper, more_rows, statistics_of(more_rows), Breadth::all),
                      small.choice.algorithm, codegen::to_string(small.choice.spec), small.choice.splits);
      REQUIRE(large.has_value());
      CAPTURE(codegen::to_string(small.choice.spec));
      CHECK(small.predicted_ms > 0);
      CHECK(large->predicted_ms > small.predicted_ms);
      // Stages may differ between channel counts; the best choice tells.
    }
  }
  double before = 0;
  for (const std::int64_t channels : {16, 32, 64, 128, 256, 512, 1024}) {
    const PassShape pass = layer(channels, 100'000);
    const double best = priced_choices(hopper, pass, statistics_of(pass), Breadth::all).front().predicted_ms;
    CHECK(best > before);
    before = best;
  }
}

TEST_CASE("few rows of wide channels are split, and the choice fills the device") {
  for (const std::int64_t rows : {100, 500, 1000, 3000}) {
    const GemmChoice choice = choose_gemm(hopper, layer(1024, rows));
    const std::int64_t blocks = (rows + choice.spec.row_tile - 1) / choice.spec.row_tile *
                                ((1024 + choice.spec.column_tile - 1) / choice.spec.column_tile) *
                                choice.splits;
    CAPTURE(rows, codegen::to_string(choice.spec), choice.splits);
    CHECK(choice.splits > 1);
    CHECK(blocks >= hopper.multiprocessors / 3);
  }
  CHECK(choose_gemm(hopper, layer(64, 1'000'000)).splits == 1);
}

TEST_CASE("choices are deterministic, valid and obey a pinned algorithm, on every architecture") {
  for (const char* architecture : {"sm_75", "sm_80", "sm_86", "sm_89", "sm_90a", "sm_100a", "sm_120a"}) {
    const TargetDevice device{.architecture = codegen::parse_architecture(architecture),
                              .multiprocessors = 80};
    for (const DType dtype : {DType::f16, DType::bf16, DType::tf32, DType::f32}) {
      for (const std::int64_t channels : {3, 5, 16, 48, 256}) {
        for (const Op op : {Op::forward, Op::grad_input, Op::grad_weight}) {
          PassShape pass = layer(channels, 20'000, dtype);
          pass.op = op;
          const auto priced = priced_choices(device, pass, statistics_of(pass), Breadth::all);
          const auto again = priced_choices(device, pass, statistics_of(pass), Breadth::all);
          REQUIRE(priced.size() == again.size());
          for (std::size_t i = 0; i < priced.size(); ++i) {
            CHECK(priced[i].choice.spec == again[i].choice.spec);
            CHECK(!codegen::rejection(priced[i].choice.spec));
            CHECK(std::isfinite(priced[i].predicted_ms));
            if (i > 0) CHECK(priced[i].predicted_ms >= priced[i - 1].predicted_ms);
          }
          pass.algorithm = Algorithm::masked_implicit_gemm_splitk;
          for (const PricedChoice& one : priced_choices(device, pass, statistics_of(pass), Breadth::likely)) {
            CHECK(one.choice.algorithm == pass.algorithm);
            CHECK(one.choice.splits > 1);
          }
        }
      }
    }
  }
}

TEST_CASE("a tuned choice is found again, also for tensors that its kernel does not suit") {
  PassShape pass = layer(64, 100'000);
  const auto priced = priced_choices(hopper, pass, statistics_of(pass), Breadth::all);
  const GemmChoice tuned = priced.at(3).choice;
  const std::string kernel = codegen::to_string(tuned.spec);
  const auto same = choice_like(priced, tuned.algorithm, kernel, tuned.splits);
  REQUIRE(same.has_value());
  CHECK(same->choice.spec == tuned.spec);

  pass.first_alignment = 4;
  pass.bias = codegen::BiasType::f32;
  const auto adapted = choice_like(priced_choices(hopper, pass, statistics_of(pass), Breadth::all),
                                   tuned.algorithm, kernel, tuned.splits);
  REQUIRE(adapted.has_value());
  CHECK(adapted->choice.spec.row_tile == tuned.spec.row_tile);
  CHECK(adapted->choice.spec.feats_vector_bytes == 4);
  CHECK(!codegen::rejection(adapted->choice.spec));

  CHECK(!choice_like(priced, tuned.algorithm, "no spec at all", tuned.splits));
  CHECK(!choice_like(priced, tuned.algorithm, kernel, 5));
}

TEST_CASE("frames whose counts differ a little get the same kernels") {
  const PassShape one = with_rounded_counts(layer(64, 117'000));
  PassShape other = layer(64, 118'000);
  other.pairs += 1000;
  CHECK(with_rounded_counts(other) == one);
  CHECK(std::abs(static_cast<double>(one.rows) / 117'000 - 1) < 0.03);
  CHECK(with_rounded_counts(layer(64, 0)).rows == 0);
  CHECK(with_rounded_counts(layer(64, 1)).rows == 1);
}
