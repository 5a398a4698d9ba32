#include <cmath>
#include <set>
#include <tuple>

#include <catch2/catch_test_macros.hpp>

#include "op/cases.hpp"
#include "op/pairwise.hpp"

using namespace flexgemm::op_test;

namespace {

using Pair = std::tuple<int, int, int, int>;

std::set<Pair> pairs_of(const std::vector<Levels>& rows) {
  std::set<Pair> pairs;
  for (const Levels& row : rows) {
    for (int a = 0; a < static_cast<int>(row.size()); ++a) {
      for (int b = a + 1; b < static_cast<int>(row.size()); ++b) {
        pairs.emplace(a, row[static_cast<std::size_t>(a)], b, row[static_cast<std::size_t>(b)]);
      }
    }
  }
  return pairs;
}

std::set<Pair> all_pairs(const std::vector<int>& counts) {
  std::set<Pair> pairs;
  for (int a = 0; a < static_cast<int>(counts.size()); ++a) {
    for (int b = a + 1; b < static_cast<int>(counts.size()); ++b) {
      for (int i = 0; i < counts[static_cast<std::size_t>(a)]; ++i) {
        for (int j = 0; j < counts[static_cast<std::size_t>(b)]; ++j) pairs.emplace(a, i, b, j);
      }
    }
  }
  return pairs;
}

}  // namespace

TEST_CASE("any two levels of any two factors of the op test meet") {
  for (const Subject subject :
       {Subject::map, Subject::forward, Subject::grad_input, Subject::grad_weight, Subject::grad_bias}) {
    for (const std::uint64_t seed : {1u, 2u, 99u}) {
      CAPTURE(name(subject), seed);
      const Experiment experiment = experiment_of(subject, Sample::pairwise);
      const std::vector<Levels> rows = pairwise_cover(experiment, seed);
      CHECK(impossible_pairs(experiment).empty());
      CHECK(pairs_of(rows) == all_pairs(experiment.level_counts));
      for (const Levels& row : rows) CHECK(std::isfinite(experiment.least_cost(row)));
      CHECK(rows == pairwise_cover(experiment, seed));
    }
  }
}

TEST_CASE("a pair that is forbidden is left out and reported, and no row breaks the limit") {
  const Experiment experiment{.level_counts = {2, 3, 2}, .least_cost = [](const Levels& row) {
                                return row[0] == 1 && row[1] == 2 ? INFINITY : 1.0 + row[1];
                              }};
  CHECK(impossible_pairs(experiment) == std::vector<std::vector<int>>{{0, 1, 1, 2}});
  std::set<Pair> expected = all_pairs(experiment.level_counts);
  expected.erase({0, 1, 1, 2});
  CHECK(pairs_of(pairwise_cover(experiment, 7)) == expected);
}

TEST_CASE("the list holds every algorithm with every type and no rows at all") {
  std::set<std::tuple<Subject, flexgemm::Algorithm, flexgemm::DType>> variants;
  std::set<Subject> without_rows;
  for (const Case& problem : make_cases(Sample::pairwise, 1)) {
    variants.emplace(problem.subject, problem.algorithm, problem.dtype);
    if (problem.rows == 0) without_rows.insert(problem.subject);
  }
  CHECK(without_rows.size() == 5);
  CHECK(variants.size() == 1 + 3 * 24 + 4);
}

TEST_CASE("the list for compute-sanitizer is short and still meets every algorithm with every type") {
  const std::vector<Case> cases = make_cases(Sample::touch, 1);
  std::set<std::tuple<Subject, flexgemm::Algorithm, flexgemm::DType>> variants;
  std::set<std::int64_t> volumes;
  for (const Case& problem : cases) {
    variants.emplace(problem.subject, problem.algorithm, problem.dtype);
    volumes.insert(problem.volume());
    CHECK(problem.rows > 0);
  }
  CHECK(variants.size() == 1 + 3 * 24 + 4);
  CHECK(volumes.contains(343));
  CHECK(cases.size() < make_cases(Sample::small, 1).size() / 4);
}
