#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <flexgemm/context.hpp>

namespace flexgemm::bench {

/// How often something is measured: at least `least` times, then until `seconds` are spent or `most` is
/// reached.
struct Repeat {
  int least = 20;
  int most = 100;
  double seconds = 0.15;
};

/// Times of one call, from several repetitions.
struct CallTimes {
  std::vector<double> graph_ms;  ///< a call inside a replayed CUDA graph; empty on the CPU
  int graph_calls = 0;           ///< calls in that graph
  std::vector<double> call_ms;   ///< a single call on an idle device, until its work is done
  std::vector<double> host_us;   ///< the enqueue alone, by the host's clock; empty on the CPU
  std::optional<int> clock_mhz;  ///< of the multiprocessors, while graphs ran
  std::string note;              ///< what is unusual about these times
};

/// What the device can do at best. Samples in the order in which they were taken.
struct Ceilings {
  std::map<std::string, std::vector<double>> matrix_tflops;  ///< by the name of the type
  std::vector<double> copy_gigabytes;                        ///< read plus written, 10^9 bytes a second
  std::vector<std::string> notes;                            ///< what could not be measured, and why
};

/// A device with a clock. Everything runs on `stream()`. Failures are flexgemm::Error.
class MeasuringDevice {
 public:
  virtual ~MeasuringDevice() = default;

  virtual Device device() const = 0;
  virtual ContextOptions context_options() const { return {}; }
  virtual Stream stream() const { return {}; }
  /// Name, driver, clocks and whatever else identifies the machine's device.
  virtual nlohmann::ordered_json description() = 0;

  /// Takes samples of every ceiling: before and after the rows.
  virtual void sample_ceilings() = 0;
  /// Called before every row: a device that others slow down samples its ceilings here too.
  virtual void prepare_row() {}
  virtual const Ceilings& ceilings() const = 0;
  /// The figure of a series of samples that counts.
  virtual double ceiling_of(const std::vector<double>& samples) const = 0;

  /// Memory outside of the library's accounts. Throws Error{out_of_memory}.
  virtual std::shared_ptr<void> allocate(std::size_t bytes) = 0;
  virtual void upload(void* target, const void* source, std::size_t bytes) = 0;
  /// Fills `count` elements of a storage type with scale * random_value(seed, i).
  virtual void fill_random(void* target, DType dtype, std::int64_t count, std::uint64_t seed,
                           float scale) = 0;
  /// How many sets of `set_bytes` a loop must rotate over, so that none is found in the last-level cache.
  virtual int rotating_sets(std::int64_t set_bytes) const = 0;

  /// Times `call(set)` with the sets in turn, after a warm-up of one call a set.
  virtual CallTimes measure_pass(const std::function<void(int)>& call, int sets, const Repeat& repeat) = 0;
  /// Milliseconds of `call` on an idle device until its work is done, each time after an untimed `prepare`;
  /// one repetition to warm up is left out.
  virtual std::vector<double> measure_calls(const std::function<void()>& prepare,
                                            const std::function<void()>& call, const Repeat& repeat) = 0;
};

/// Opens a device for measuring; `threads` are the CPU backend's, 0 for all.
std::unique_ptr<MeasuringDevice> open_measuring_device(Device device, int threads);

std::unique_ptr<MeasuringDevice> open_measuring_cpu(int threads);
/// Throws Error{no_device} in a build without CUDA.
std::unique_ptr<MeasuringDevice> open_measuring_gpu(int ordinal);

/// Repetitions that fit `repeat` when one takes `estimate_ms`.
int repetitions(const Repeat& repeat, double estimate_ms) noexcept;

}  // namespace flexgemm::bench
