#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include <flexgemm/device.hpp>
#include <flexgemm/dtype.hpp>
#include <flexgemm/export.hpp>
#include <flexgemm/neighbor_map.hpp>
#include <flexgemm/tensor_view.hpp>

namespace flexgemm {

namespace detail {
class Backend;
class VoxelizerData;
}  // namespace detail

/// What a Voxelizer is made for.
struct VoxelizerOptions {
  std::int64_t max_points = 0;               ///< of a frame, at least 1
  std::int64_t max_voxels = 0;               ///< of a frame, at least 1
  int columns = 4;                           ///< of a point: x, y, z and what else it has; 3 to 64
  std::array<float, 3> low{};                ///< lower corner of the grid, metres
  std::array<float, 3> voxel_size{1, 1, 1};  ///< metres; positive and finite
  Grid grid{};                               ///< batch 1; cells along each axis, fewer than 2^62 in all
  DType dtype = DType::f32;                  ///< of the features: f32, f16 or bf16
};

/// Points to voxels with the mean of their points, in memory taken once: nothing is allocated or read back by
/// a run, so on a GPU it may be captured in a CUDA graph.
///
/// The cell of a point is floor((point - low) / voxel_size) in float; a point is dropped if a column of it is
/// NaN or infinite, or if it lies outside [low, low + extents * voxel_size), and one that rounds behind the
/// last cell belongs to it. A voxel's features are the mean of its points over all columns (x, y, z
/// included), summed in double in the points' order, so the same points give the same bits. Voxels come in
/// the order of their cells: x, then y, then z. A handle: all copies are the same voxelizer, whose runs must
/// follow each other in stream order; it must stay until their work is done.
class FLEXGEMM_API Voxelizer {
 public:
  /// An empty handle; only assignment, destruction and `operator bool` are allowed on it.
  Voxelizer() noexcept = default;
  explicit operator bool() const noexcept { return data_ != nullptr; }

  const VoxelizerOptions& options() const;

  /// Enqueues a run over the first `point_count` of `points`: f32 [max_points, columns], i32 [1]. Writes
  /// `coords` i32 [max_voxels, 4] (batch 0, x, y, z), `feats` [max_voxels, columns] and `voxel_count` i32
  /// [1]; rows from voxel_count on are left alone. If there are more voxels than max_voxels, voxel_count says
  /// how many there would be, and the last ones are lost; points beyond max_points are not read. Throws
  /// Error{invalid_argument}, Error{driver}.
  void run(const ConstTensorView& points, const ConstTensorView& point_count, const TensorView& coords,
           const TensorView& feats, const TensorView& voxel_count, Stream stream = {}) const;

  /// Whether a run since the last reset lost points or voxels. Waits for the stream.
  bool overflowed(Stream stream = {}) const;
  /// Forgets that, in stream order.
  void reset(Stream stream = {}) const;

 private:
  friend class Context;
  Voxelizer(std::shared_ptr<detail::Backend> backend,
            std::shared_ptr<const detail::VoxelizerData> data) noexcept;
  std::shared_ptr<detail::Backend> backend_;
  std::shared_ptr<const detail::VoxelizerData> data_;
};

}  // namespace flexgemm
