#include "gpu/timer.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "gpu/check.hpp"

namespace flexgemm::bench {

namespace {

/// A graph lasts about so long, so that its own launch is no part of a call's time worth mentioning.
constexpr double graph_ms = 1.5;
constexpr int least_graph_calls = 5;
/// Calls so long that few of them make a graph: their launches do not count anyway.
constexpr double long_call_ms = 4;
constexpr int long_graph_calls = 2;
constexpr int most_graph_calls = 512;

class TimedEvent {
 public:
  TimedEvent() { FLEXGEMM_BENCH_CUDA(cudaEventCreate, &event_); }
  ~TimedEvent() {
    if (event_ != nullptr) cudaEventDestroy(event_);
  }
  TimedEvent(TimedEvent&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
  TimedEvent(const TimedEvent&) = delete;
  TimedEvent& operator=(const TimedEvent&) = delete;

  void record(cudaStream_t stream) { FLEXGEMM_BENCH_CUDA(cudaEventRecord, event_, stream); }
  void wait() const { FLEXGEMM_BENCH_CUDA(cudaEventSynchronize, event_); }
  /// Since an earlier event; both are waited for.
  double milliseconds_since(const TimedEvent& earlier) const {
    wait();
    float milliseconds = 0;
    FLEXGEMM_BENCH_CUDA(cudaEventElapsedTime, &milliseconds, earlier.event_, event_);
    return milliseconds;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

/// Times of `samples` enqueued stretches of work, with one event between each two.
std::vector<double> time_stretches(cudaStream_t stream, const std::function<void()>& enqueue, int samples,
                                   const std::function<void()>& while_running) {
  std::vector<TimedEvent> events(static_cast<std::size_t>(samples) + 1);
  events[0].record(stream);
  for (int i = 0; i < samples; ++i) {
    enqueue();
    events[static_cast<std::size_t>(i) + 1].record(stream);
  }
  if (while_running) while_running();
  std::vector<double> times;
  for (std::size_t i = 0; i + 1 < events.size(); ++i)
    times.push_back(events[i + 1].milliseconds_since(events[i]));
  return times;
}

/// Calls captured into a graph that can be replayed. `problem` says why there is none.
class CapturedGraph {
 public:
  CapturedGraph(cudaStream_t stream, const std::function<void(int)>& call, int calls, int sets) {
    // Relaxed: a library may ask the driver about other streams and events while it enqueues.
    cudaError_t result = cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed);
    if (result != cudaSuccess) {
      fail("cudaStreamBeginCapture", result);
      return;
    }
    try {
      for (int i = 0; i < calls; ++i) call(i % sets);
    } catch (const std::exception& error) {
      problem_ = error.what();
    }
    result = cudaStreamEndCapture(stream, &graph_);  // also after a failure: it ends the capture
    if (!problem_.empty()) {
      cudaGetLastError();
      return;
    }
    if (result != cudaSuccess) {
      fail("cudaStreamEndCapture", result);
      return;
    }
    result = cudaGraphInstantiate(&executable_, graph_, 0);
    if (result != cudaSuccess) fail("cudaGraphInstantiate", result);
  }
  ~CapturedGraph() {
    if (executable_ != nullptr) cudaGraphExecDestroy(executable_);
    if (graph_ != nullptr) cudaGraphDestroy(graph_);
  }
  CapturedGraph(const CapturedGraph&) = delete;
  CapturedGraph& operator=(const CapturedGraph&) = delete;

  const std::string& problem() const noexcept { return problem_; }
  void launch(cudaStream_t stream) const { FLEXGEMM_BENCH_CUDA(cudaGraphLaunch, executable_, stream); }

 private:
  void fail(const char* call, cudaError_t result) {
    cudaGetLastError();
    problem_ = fmt::format("{}: {}", call, cudaGetErrorString(result));
  }

  cudaGraph_t graph_ = nullptr;
  cudaGraphExec_t executable_ = nullptr;
  std::string problem_;
};

int calls_a_graph(double estimate_ms, int sets) {
  if (estimate_ms >= long_call_ms) return long_graph_calls;
  const double wanted = graph_ms / std::max(estimate_ms, 1e-3);
  int calls = static_cast<int>(std::clamp<double>(std::ceil(wanted), least_graph_calls, most_graph_calls));
  calls = (calls + sets - 1) / sets * sets;  // every set as often as any other
  return calls;
}

}  // namespace

void GpuTimer::synchronize() const { FLEXGEMM_BENCH_CUDA(cudaStreamSynchronize, stream_); }

std::vector<double> GpuTimer::back_to_back(const std::function<void()>& call, int samples, int calls) const {
  for (int i = 0; i < 3; ++i) call();
  synchronize();
  const auto stretch = [&] {
    for (int i = 0; i < calls; ++i) call();
  };
  std::vector<double> times = time_stretches(stream_, stretch, samples, {});
  for (double& time : times) time /= calls;
  return times;
}

std::vector<double> GpuTimer::single_calls(const std::function<void()>& prepare,
                                           const std::function<void()>& call, const Repeat& repeat) const {
  TimedEvent start;
  TimedEvent stop;
  const auto once = [&] {
    prepare();
    synchronize();
    start.record(stream_);
    call();
    stop.record(stream_);
    return stop.milliseconds_since(start);
  };
  once();
  const double estimate_ms = once();
  std::vector<double> times;
  for (int i = 0, count = repetitions(repeat, estimate_ms); i < count; ++i) times.push_back(once());
  return times;
}

CallTimes GpuTimer::pass(const std::function<void(int)>& call, int sets, const Repeat& repeat,
                         const ReadClock& read_clock) const {
  for (int set = 0; set < sets; ++set) {
    call(set);
    if (set == 0) synchronize();  // after it, kernels and layouts exist
  }
  synchronize();
  TimedEvent start;
  TimedEvent stop;
  start.record(stream_);
  for (int i = 0; i < long_graph_calls; ++i) call(i % sets);
  stop.record(stream_);
  const double estimate_ms = stop.milliseconds_since(start) / long_graph_calls;

  CallTimes times;
  time_graph(call, sets, estimate_ms, repeat, read_clock, times);
  time_eager(call, sets, estimate_ms, repeat, times);
  return times;
}

void GpuTimer::time_graph(const std::function<void(int)>& call, int sets, double estimate_ms,
                          const Repeat& repeat, const ReadClock& read_clock, CallTimes& times) const {
  times.graph_calls = calls_a_graph(estimate_ms, sets);
  const CapturedGraph graph(stream_, call, times.graph_calls, sets);
  std::function<void()> stretch = [&] { graph.launch(stream_); };
  if (!graph.problem().empty()) {
    times.note = "no graph (" + graph.problem() + "): calls enqueued back to back instead";
    stretch = [&] {
      for (int i = 0; i < times.graph_calls; ++i) call(i % sets);
    };
  }
  stretch();  // the first launch uploads the graph
  synchronize();
  const int samples = repetitions(repeat, estimate_ms * times.graph_calls);
  times.graph_ms = time_stretches(stream_, stretch, samples, [&] { times.clock_mhz = read_clock(); });
  for (double& time : times.graph_ms) time /= times.graph_calls;
}

void GpuTimer::time_eager(const std::function<void(int)>& call, int sets, double estimate_ms,
                          const Repeat& repeat, CallTimes& times) const {
  TimedEvent start;
  TimedEvent stop;
  for (int i = 0, count = repetitions(repeat, estimate_ms); i < count; ++i) {
    synchronize();
    start.record(stream_);
    const auto begin = std::chrono::steady_clock::now();
    call(i % sets);
    const auto end = std::chrono::steady_clock::now();
    stop.record(stream_);
    times.call_ms.push_back(stop.milliseconds_since(start));
    times.host_us.push_back(std::chrono::duration<double, std::micro>(end - begin).count());
  }
}

}  // namespace flexgemm::bench
