#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <flexgemm/flexgemm.hpp>

#include "measuring_device.hpp"
#include "suite.hpp"

namespace flexgemm::bench {

/// A scene on the device.
struct SceneOnDevice {
  std::string name;
  std::shared_ptr<void> coords;  ///< int32 [voxels, 4]
  std::int64_t voxels = 0;
  Grid grid;
  int layers = 2;  ///< of its networks
};

/// Memory that one call of a pass reads and writes.
struct PassTensors {
  std::shared_ptr<void> first;   ///< feats (forward), grad_out
  std::shared_ptr<void> second;  ///< weight (forward, grad_input), feats
  std::shared_ptr<void> result;
};

/// One layer C -> C of 3x3x3 with bias on one scene in one type: its passes, its map and its networks. Holds
/// a context of its own, so that the context's peak memory is this layer's, and only one map at any time.
class LayerBench {
 public:
  using Note = std::function<void(const std::string&)>;

  /// `gradient_type`: of the weight gradients, f32 or the storage type.
  LayerBench(MeasuringDevice& device, const SceneOnDevice& scene, std::int64_t channels, DType dtype,
             DType gradient_type, const Repeats& repeats, Note note);

  /// Measures everything once more; `progress` is told of each row.
  void measure_round(const std::function<void(const std::string&)>& progress);
  /// What all rounds so far add up to.
  std::vector<nlohmann::ordered_json> rows() const;
  const NeighborMap& map() const noexcept { return map_; }

 private:
  struct Record {
    std::string op;
    KernelChoice choice;
    double flop = 0;
    std::int64_t least_bytes = 0;
    std::size_t peak_bytes = 0;
    int layers = 0;
    std::vector<CallTimes> rounds;
    nlohmann::ordered_json parts;  ///< of a map: the times that it is made of
    std::string failure;
  };

  /// Runs `body` for the row of `op`; a failure that concerns only this row is kept in it.
  void guarded(const std::string& op, const std::function<void(const std::string&)>& progress,
               const std::function<void(Record&)>& body);
  Record& record(const std::string& op);

  KernelChoice choice(Op op) const;
  void rebuild_map(bool checked = true);
  bool serves(Op op);
  void measure_pass(Op op, Record& record);
  void measure_map(Record& record);
  void measure_inference(Record& record);
  void measure_training(Record& record);

  std::shared_ptr<void> random_rows(std::uint64_t seed);
  std::shared_ptr<void> random_weight(std::uint64_t seed);
  PassTensors pass_tensors(Op op, int set);
  void run_pass(Op op, const PassTensors& tensors);
  void run_forward(const void* feats, const void* weight, void* out);

  Shape rows_shape() const { return {map_.rows(), channels_}; }
  Shape weight_shape() const { return {channels_, 3, 3, 3, channels_}; }
  std::int64_t row_elements() const { return scene_.voxels * channels_; }
  std::int64_t weight_elements() const { return channels_ * channels_ * 27; }
  std::int64_t element_bytes() const { return static_cast<std::int64_t>(size_of(dtype_)); }
  std::int64_t gradient_bytes() const {
    return weight_elements() * static_cast<std::int64_t>(size_of(gradient_type_));
  }
  std::int64_t least_bytes(Op op) const;
  double flop() const;

  MeasuringDevice& device_;
  const SceneOnDevice& scene_;
  std::int64_t channels_;
  DType dtype_;
  DType gradient_type_;
  const Repeats& repeats_;
  Note note_;
  Context context_;
  Conv3d conv_;
  NeighborMap map_;
  std::shared_ptr<void> bias_;  ///< f32 [C]
  std::vector<std::unique_ptr<Record>> records_;
  std::array<std::optional<bool>, 3> served_;
};

}  // namespace flexgemm::bench
