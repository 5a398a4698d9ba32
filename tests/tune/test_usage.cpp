#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <flexgemm/version.hpp>

#include "tune_program.hpp"

using namespace flexgemm::test;
using Catch::Matchers::ContainsSubstring;

namespace {

struct BadUse {
  std::vector<std::string> arguments;
  const char* words;
};

void check_bad_usage(const std::vector<BadUse>& cases) {
  for (const BadUse& bad : cases) {
    CAPTURE(bad.arguments);
    check_tune_refused(flexgemm_tune(bad.arguments), 2, bad.words);
  }
}

}  // namespace

TEST_CASE("the program explains itself, its subcommands and its exit codes") {
  const ProgramRun run = flexgemm_tune({"--help"});
  CHECK(run.exit_code == 0);
  CHECK(run.err == "");
  for (const char* words :
       {"emit", "Examples", "Exit codes", "2  bad usage", "3  bad input", "5  no such device"}) {
    CHECK_THAT(run.out, ContainsSubstring(words));
  }
  CHECK(flexgemm_tune({"--version"}).out == std::string("flexgemm-tune ") + flexgemm::version() + "\n");
}

TEST_CASE("bad usage of the program gets one sentence and exit code 2") {
  check_bad_usage({{{}, "subcommand"},
                   {{"no-such"}, "no-such"},
                   {{"emit", "--no-such"}, "--no-such"},
                   {{"--json"}, "--json"}});
}

TEST_CASE("bad usage of emit gets one sentence and exit code 2") {
  const std::vector<std::string> layer{"emit", "--ci", "64", "--co", "64", "--n", "1000", "--arch", "sm_80"};
  const auto with = [&layer](std::vector<std::string> more) {
    more.insert(more.begin(), layer.begin(), layer.end());
    return more;
  };
  check_bad_usage({{{"emit"}, "--arch is missing"},
                   {{"emit", "--spec"}, "--spec"},
                   {{"emit", "--spec", "abc"}, "found \"abc\""},
                   {{"emit", "--spec", "abc", "--ci", "3"}, "no other option"},
                   {{"emit", "--spec", "abc", "--list"}, "no other option"},
                   {{"emit", "--arch", "sm_80"}, "--ci is missing"},
                   {{"emit", "--arch", "sm_80", "--ci", "3"}, "--co is missing"},
                   {{"emit", "--arch", "sm_80", "--ci", "3", "--co", "3"}, "--n is missing"},
                   {{"emit", "--arch", "sm_80", "--ci", "0", "--co", "3", "--n", "1"}, "--ci is '0'"},
                   {{"emit", "--arch", "sm_80", "--ci", "3", "--co", "9999999", "--n", "1"}, "9999999"},
                   {{"emit", "--arch", "volta", "--ci", "3", "--co", "3", "--n", "1"}, "volta"},
                   {{"emit", "--arch", "sm_70", "--ci", "3", "--co", "3", "--n", "1"}, "sm_70"},
                   {with({"--kernel", "8"}), "'8'"},
                   {with({"--kernel", "3,3"}), "one number or three"},
                   {with({"--dilation", "0"}), "--dilation is '0'"},
                   {with({"--dtype", "f64"}), "'f64'"},
                   {with({"--dtype", "i32"}), "'i32'"},
                   {with({"--op", "backward"}), "'backward'"},
                   {with({"--algorithm", "winograd"}), "'winograd'"},
                   {with({"--pairs-per-voxel", "28"}), "at most 27"},
                   {with({"--pairs-per-voxel", "-1"}), "'-1'"},
                   {with({"--pairs-per-voxel", "nan"}), "'nan'"},
                   {with({"--epilogue", "softmax"}), "'softmax'"},
                   {with({"--epilogue", "relu+silu"}), "'silu'"},
                   {with({"--epilogue", "expression:acc +"}), "expression"},
                   {with({"--op", "grad_input", "--epilogue", "relu"}), "only forward"},
                   {with({"--multiprocessors", "0"}), "--multiprocessors is '0'"},
                   {with({"--net", "net.json"}), "--net"}});
}

TEST_CASE("every subcommand explains itself with its options, an example and the exit codes") {
  for (const char* subcommand :
       {"tune", "list", "show", "emit", "compile", "doctor", "pack", "unpack", "verify", "merge", "clear"}) {
    CAPTURE(subcommand);
    const ProgramRun run = flexgemm_tune({subcommand, "--help"});
    CHECK(run.exit_code == 0);
    CHECK(run.err == "");
    CHECK_THAT(run.out, ContainsSubstring("--json"));
    CHECK_THAT(run.out, ContainsSubstring(std::string("flexgemm-tune ") + subcommand));
    CHECK_THAT(run.out, ContainsSubstring("Example"));
    CHECK_THAT(run.out, ContainsSubstring("Exit codes"));
  }
}

TEST_CASE("bad usage of tune gets one sentence and exit code 2") {
  const std::vector<std::string> layer{"tune", "--ci", "8", "--co", "8", "--n", "100"};
  const auto with = [&layer](std::vector<std::string> more) {
    more.insert(more.begin(), layer.begin(), layer.end());
    return more;
  };
  check_bad_usage({{{"tune"}, "--ci is missing"},
                   {{"tune", "sphere:8", "--co", "3"}, "--ci is missing"},
                   {{"tune", "sphere:0", "--ci", "3", "--co", "3"}, "'0'"},
                   {{"tune", "sphere:8", "sphere:9", "--ci", "3", "--co", "3"}, "sphere:9"},
                   {{"tune", "sphere:8", "--ci", "3", "--co", "3", "--n", "7"}, "has its own voxels"},
                   {with({"--device", "cpu"}), "nothing to tune"},
                   {with({"--device", "tpu"}), "'tpu'"},
                   {with({"--budget", "-1"}), "--budget is '-1'"},
                   {with({"--budget", "soon"}), "'soon'"},
                   {with({"--jobs", "-1"}), "--jobs is '-1'"},
                   {with({"--candidates", "x"}), "--candidates is 'x'"},
                   {with({"--voxel-size", "0"}), "--voxel-size is '0'"},
                   {with({"--cache", ""}), "--cache is empty"},
                   {with({"--net", "net.json"}), "--net"}});
}

TEST_CASE("bad usage of compile gets one sentence and exit code 2") {
  check_bad_usage(
      {{{"compile"}, "--arch"},
       {{"compile", "--arch", "sm_80", "--out", "p"}, "--ci is missing"},
       {{"compile", "--arch", "sm_80", "--ci", "8", "--co", "8", "--n", "9"}, "--out"},
       {{"compile", "--arch", "", "--ci", "8", "--co", "8", "--n", "9", "--out", "p"}, "architecture"},
       {{"compile", "--arch", "sm_80,", "--ci", "8", "--co", "8", "--n", "9", "--out", "p"}, "architecture"},
       {{"compile", "--arch", "sm_80,gfx90a", "--ci", "8", "--co", "8", "--n", "9", "--out", "p"}, "gfx90a"},
       {{"compile", "--arch", "sm_90,sm_90a", "--ci", "8", "--co", "8", "--n", "9", "--out", "p"}, "twice"},
       {{"compile", "--arch", "sm_80", "--ci", "8", "--co", "8", "--n", "9", "--out", ""}, "--out is empty"},
       {{"compile", "--arch", "sm_80", "--ci", "8", "--co", "8", "--n", "9", "--out", "p", "--jobs", "no"},
        "--jobs is 'no'"}});
}

TEST_CASE("bad usage of the commands for caches and packs gets one sentence and exit code 2") {
  check_bad_usage({{{"list", "extra"}, "extra"},
                   {{"list", "--cache"}, "--cache"},
                   {{"list", "--cache", ""}, "--cache is empty"},
                   {{"show"}, "ID"},
                   {{"show", "a", "b"}, "b"},
                   {{"pack"}, "PACK"},
                   {{"pack", "p", "--no-kernels", "--no-tuning"}, "nothing to pack"},
                   {{"pack", "p", "--arch", "sm_1"}, "sm_1"},
                   {{"unpack"}, "PACK"},
                   {{"merge"}, "DIR"},
                   {{"merge", ""}, "DIR is empty"},
                   {{"clear", "everything"}, "everything"},
                   {{"doctor", "--fix"}, "--fix"},
                   {{"verify", "--deep"}, "--deep"}});
}
