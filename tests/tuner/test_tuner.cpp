#include <cmath>
#include <deque>
#include <limits>
#include <stdexcept>

#include <catch2/catch_test_macros.hpp>

#include <flexgemm/error.hpp>

#include "tuner/tuner.hpp"

using namespace flexgemm;
using namespace flexgemm::detail;

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// A device that follows a script: what each candidate's time and error are, and what its calls throw.
struct Script {
  struct Behaviour {
    double ms = 1;
    double error = 1e-4;
    bool fails_to_launch = false;
    bool kills_device = false;
  };
  std::vector<Behaviour> candidates;
  double seconds = 0;  ///< a clock that moves when something is measured or compiled
};

class ScriptedDevice final : public TunerDevice {
 public:
  explicit ScriptedDevice(Script& script) : script_(script) {}
  double check(std::size_t candidate) override {
    checked.push_back(candidate);
    const Script::Behaviour& behaviour = script_.candidates.at(candidate);
    lost_ = behaviour.kills_device;
    if (behaviour.fails_to_launch || lost_) throw Error(ErrorCode::driver, "the launch failed");
    return behaviour.error;
  }
  double tolerance() const override { return 1e-3; }
  std::vector<double> time(std::size_t candidate, int samples) override {
    std::vector<double> times;
    const double ms = script_.candidates.at(candidate).ms;
    for (int i = 0; i < samples; ++i) {
      script_.seconds += 0.01;
      times.push_back(ms * (1 + 0.001 * static_cast<double>((timed.size() + i) % 3)));
    }
    timed.insert(timed.end(), static_cast<std::size_t>(samples), candidate);
    return times;
  }
  bool lost() const noexcept override { return lost_; }

  std::vector<std::size_t> checked;
  std::vector<std::size_t> timed;

 private:
  Script& script_;
  bool lost_ = false;
};

/// Compiles at once, except for the kernels that a test makes fail or never finish.
class ScriptedCompiler final : public TunerCompiler {
 public:
  explicit ScriptedCompiler(Script& script) : script_(script) {}
  void request(std::size_t kernel) override {
    requested.push_back(kernel);
    if (kernel != endless) queue_.push_back(kernel);
  }
  std::optional<Outcome> wait(std::chrono::milliseconds timeout) override {
    if (queue_.empty()) {
      script_.seconds += static_cast<double>(timeout.count()) / 1000;
      return std::nullopt;
    }
    const std::size_t kernel = queue_.front();
    queue_.pop_front();
    return Outcome{kernel, kernel == broken ? "NVRTC rejected it" : ""};
  }

  std::size_t broken = 1000;
  std::size_t endless = 1000;
  std::vector<std::size_t> requested;

 private:
  Script& script_;
  std::deque<std::size_t> queue_;
};

/// Candidates with one kernel each, predicted to take 1, 2, 3 ... ms or as told.
struct Fixture {
  Script script;
  std::vector<TunerCandidate> candidates;
  ScriptedDevice device{script};
  ScriptedCompiler compiler{script};
  TunerLimits limits;
  TunerHooks hooks;

  explicit Fixture(const std::vector<double>& times, double prediction = 1) {
    for (const double ms : times) {
      candidates.push_back({.predicted_ms = prediction, .kernels = {candidates.size()}});
      script.candidates.push_back({.ms = ms});
    }
    hooks.clock = [this] { return script.seconds; };
  }
  TunerOutcome run() { return run_tuner(candidates, compiler, device, limits, hooks); }
};

}  // namespace

TEST_CASE("the fastest candidate wins, and each kernel is requested once, the best predicted first") {
  Fixture fixture({3, 1, 2});
  fixture.candidates[2].kernels = {2, 1};
  const TunerOutcome outcome = fixture.run();
  CHECK(outcome.winner == 1);
  CHECK(outcome.end == TuneEnd::complete);
  CHECK(fixture.compiler.requested == std::vector<std::size_t>{0, 1, 2});
  CHECK(outcome.measurements[1].samples.size() > outcome.measurements[0].samples.size() - 5);
}

TEST_CASE("a wrong, an infinite and a NaN result disqualify the fastest candidate, and say why") {
  for (const double error : {0.5, std::numeric_limits<double>::infinity(), not_a_number}) {
    Fixture fixture({1, 2});
    fixture.script.candidates[0].error = error;
    const TunerOutcome outcome = fixture.run();
    CHECK(outcome.winner == 1);
    CHECK(!outcome.measurements[0].disqualified.empty());
    CHECK(outcome.measurements[0].samples.empty());
  }
}

TEST_CASE("a kernel that does not compile and one that does not launch cost only their candidates") {
  Fixture fixture({1, 1.5, 2, 2.5});
  fixture.compiler.broken = 0;
  fixture.candidates[2].kernels = {2, 0};
  fixture.script.candidates[1].fails_to_launch = true;
  const TunerOutcome outcome = fixture.run();
  CHECK(outcome.winner == 3);
  CHECK(outcome.measurements[0].disqualified == "NVRTC rejected it");
  CHECK(outcome.measurements[1].disqualified == "the launch failed");
  CHECK(outcome.measurements[2].disqualified == "NVRTC rejected it");
  CHECK(fixture.device.checked == std::vector<std::size_t>{1, 3});
}

TEST_CASE("a device that is lost ends tuning with its error") {
  Fixture fixture({1, 2});
  fixture.script.candidates[0].kills_device = true;
  CHECK_THROWS_AS(fixture.run(), Error);
}

TEST_CASE("no candidate that works means no winner") {
  Fixture fixture({1, 2});
  fixture.compiler.broken = 1;
  fixture.script.candidates[0].error = not_a_number;
  const TunerOutcome outcome = fixture.run();
  CHECK(!outcome.winner);
  CHECK(outcome.end == TuneEnd::complete);
}

TEST_CASE("the budget ends tuning with the best candidate found by then") {
  Fixture fixture(std::vector<double>(100, 1.0));
  fixture.script.candidates[2].ms = 0.5;
  fixture.script.candidates[90].ms = 0.1;
  fixture.limits.budget_seconds = 0.5;
  const TunerOutcome outcome = fixture.run();
  CHECK(outcome.winner == 2);
  CHECK(outcome.end == TuneEnd::budget);
  CHECK(fixture.script.seconds < 0.7);
}

TEST_CASE("a compilation that never ends is ended by the budget") {
  Fixture fixture({1, 2});
  fixture.compiler.endless = 0;
  fixture.limits.budget_seconds = 5;
  const TunerOutcome outcome = fixture.run();
  CHECK(outcome.winner == 1);
  CHECK(outcome.end == TuneEnd::budget);
}

TEST_CASE("cancelling keeps what is known") {
  Fixture fixture({2, 1, 0.5});
  fixture.hooks.cancelled = [&fixture] { return fixture.device.checked.size() >= 2; };
  const TunerOutcome outcome = fixture.run();
  CHECK(outcome.end == TuneEnd::cancelled);
  CHECK(outcome.winner == 1);
  CHECK(outcome.measurements[2].samples.empty());
}

TEST_CASE("what a progress callback throws ends tuning") {
  Fixture fixture({1, 2});
  fixture.hooks.progress = [](const TunerOutcome&, int, std::optional<std::size_t>) {
    throw std::runtime_error("enough");
  };
  CHECK_THROWS_AS(fixture.run(), std::runtime_error);
}

TEST_CASE("progress tells of every candidate") {
  Fixture fixture({1, 2, 3});
  fixture.script.candidates[1].error = not_a_number;
  std::vector<std::size_t> told;
  int most_compiled = 0;
  fixture.hooks.progress = [&](const TunerOutcome& so_far, int compiled, std::optional<std::size_t> latest) {
    if (latest) told.push_back(*latest);
    most_compiled = std::max(most_compiled, compiled);
    CHECK(so_far.measurements.size() == 3);
  };
  fixture.run();
  CHECK(told == std::vector<std::size_t>{0, 1, 2});
  CHECK(most_compiled == 3);
}

TEST_CASE("candidates far above the leader are passed over, unless all are asked for") {
  Fixture fixture({1, 1.1, 1.2, 1.3, 5, 6});
  for (std::size_t i = 0; i < 6; ++i) fixture.candidates[i].predicted_ms = fixture.script.candidates[i].ms;
  TunerOutcome outcome = fixture.run();
  CHECK(outcome.winner == 0);
  CHECK(fixture.device.checked.size() == 4);
  CHECK(outcome.measurements[5].disqualified.empty());
  CHECK(outcome.measurements[5].samples.empty());

  fixture.device.checked.clear();
  fixture.limits.exhaustive = true;
  outcome = fixture.run();
  CHECK(fixture.device.checked.size() == 6);
  for (const TunerMeasurement& measurement : outcome.measurements) CHECK(measurement.samples.size() == 7);
}

TEST_CASE("a model that is wrong by a constant factor passes nobody over") {
  Fixture fixture({10, 9, 8, 7, 6});  // predicted 1 each: ten times too fast
  const TunerOutcome outcome = fixture.run();
  CHECK(outcome.winner == 4);
  CHECK(fixture.device.checked.size() == 5);
}

TEST_CASE("close contenders are timed in turn until it does not matter") {
  Fixture fixture({1.0, 1.01, 2});
  const TunerOutcome outcome = fixture.run();
  CHECK(outcome.winner == 0);
  CHECK(outcome.measurements[0].samples.size() >= 31);
  CHECK(outcome.measurements[1].samples.size() >= 31);
  CHECK(outcome.measurements[2].samples.size() == 3);
}
