#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "cuda/pair_part.hpp"

namespace {

using flexgemm::detail::blocks_a_run;
using flexgemm::detail::PairLine;
using flexgemm::detail::PairPart;

struct Taken {
  std::int64_t step;  // of its share
  std::int64_t run;
};

/// Every part of every share, and of each group the runs that its parts take.
struct Cut {
  std::vector<std::int64_t> share_runs;
  std::vector<std::vector<Taken>> groups;
  int parts = 0;
};

Cut cut(const PairLine& line, int shares) {
  Cut cut{.share_runs = std::vector<std::int64_t>(static_cast<std::size_t>(shares)),
          .groups = std::vector<std::vector<Taken>>(static_cast<std::size_t>(line.groups))};
  for (int share = 0; share < shares; ++share) {
    const int last = share + 1 == shares ? line.groups - 1 : line.first_group(share + 1);
    for (int group = line.first_group(share); group <= last; ++group) {
      const PairPart part = line.part(share, group);
      CHECK(part.group == group);
      CHECK(share + group == cut.parts);  // the number that the kernels give it
      ++cut.parts;
      cut.share_runs[static_cast<std::size_t>(share)] += part.runs;
      const std::int64_t begin = std::max<std::int64_t>(line.begin(group) - share * line.length, 0);
      for (std::int32_t i = 0; i < part.runs; ++i)
        cut.groups[static_cast<std::size_t>(group)].push_back({begin + i, part.run(i)});
    }
  }
  return cut;
}

std::vector<std::int64_t> drawn_groups(std::mt19937& random, int groups, std::int64_t most_runs) {
  std::vector<std::int64_t> begin{0};
  for (int group = 0; group < groups; ++group) {
    const bool empty = random() % 5 == 0;
    begin.push_back(begin.back() +
                    (empty ? 0 : blocks_a_run * static_cast<std::int64_t>(random() % (most_runs + 1))));
  }
  return begin;
}

}  // namespace

TEST_CASE("shares take every run of every group once, as equally as whole runs allow") {
  std::mt19937 random(20261130);
  for (int trial = 0; trial < 3000; ++trial) {
    const int groups = 1 + static_cast<int>(random() % 30);
    const std::vector<std::int64_t> begin = drawn_groups(random, groups, trial % 3 == 0 ? 3 : 200);
    const std::int64_t places =
        std::max<std::int64_t>(PairLine::places(begin.back() / blocks_a_run, groups), 1);
    const PairLine line{.group_begin = begin.data(),
                        .groups = groups,
                        .length = 1 + static_cast<std::int64_t>(random() % static_cast<unsigned>(places))};
    const int shares = static_cast<int>((places + line.length - 1) / line.length);
    const Cut taken = cut(line, shares);
    CHECK(taken.parts == shares + groups - 1);
    for (const std::int64_t runs : taken.share_runs) CHECK(runs <= line.length);
    for (int group = 0; group < groups; ++group) {
      std::vector<Taken> of_group = taken.groups[static_cast<std::size_t>(group)];
      std::sort(of_group.begin(), of_group.end(),
                [](const Taken& a, const Taken& b) { return a.run < b.run; });
      const std::int64_t first = begin[static_cast<std::size_t>(group)] / blocks_a_run;
      REQUIRE(static_cast<std::int64_t>(of_group.size()) ==
              begin[static_cast<std::size_t>(group) + 1] / blocks_a_run - first);
      for (std::size_t i = 0; i < of_group.size(); ++i) {
        REQUIRE(of_group[i].run == first + static_cast<std::int64_t>(i));
        // Runs are taken in the order in which shares get to them: all parts move through the rows together.
        if (i > 0) REQUIRE(of_group[i].step >= of_group[i - 1].step);
      }
    }
  }
}

TEST_CASE("groups keep pace with each other, whatever their lengths") {
  std::mt19937 random(7);
  for (int trial = 0; trial < 20; ++trial) {
    constexpr int groups = 27, shares = 264;
    std::vector<std::int64_t> begin{0};
    for (int group = 0; group < groups; ++group)
      begin.push_back(begin.back() + blocks_a_run * static_cast<std::int64_t>(4000 + random() % 6000));
    const std::int64_t places = PairLine::places(begin.back() / blocks_a_run, groups);
    const PairLine line{
        .group_begin = begin.data(), .groups = groups, .length = (places + shares - 1) / shares};
    const Cut taken = cut(line, static_cast<int>((places + line.length - 1) / line.length));
    double most = 0;  // distance of a run's place in its group from the time at which it is taken
    for (int group = 0; group + 1 < groups; ++group) {  // the last share of all may be short
      const std::int64_t first = begin[static_cast<std::size_t>(group)] / blocks_a_run;
      const auto count = static_cast<double>(taken.groups[static_cast<std::size_t>(group)].size());
      for (const Taken& run : taken.groups[static_cast<std::size_t>(group)]) {
        most = std::max(most, std::abs(static_cast<double>(run.run - first) / count -
                                       static_cast<double>(run.step) / static_cast<double>(line.length)));
      }
    }
    CHECK(most < 0.08);
  }
}
