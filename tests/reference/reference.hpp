#pragma once

#include <cstdint>
#include <vector>

#include <flexgemm/neighbor_map.hpp>

/// The oracle: submanifold convolution in float64, written for obviousness, sharing no code with the library.
/// Every backend is judged by it. Uses all processors; results do not depend on their number.
namespace flexgemm::reference {

/// Neighbor map by an ordered dictionary of coordinates: int32 [N, V], -1 for none. Of equal coordinates the
/// lowest row is found. Rows outside the grid have no neighbors and are nobody's neighbor.
std::vector<std::int32_t> neighbor_map(const std::int32_t* coords, std::int64_t rows, const Grid& grid,
                                       const SubmanifoldOptions& options);

/// A map in host memory: `indices` is int32 [rows, volume].
struct MapView {
  const std::int32_t* indices;
  std::int64_t rows;
  int volume;
};

/// Rows `selected` of the output, float64 [selected.size(), Co]; all rows for an empty selection.
/// feats [rows, Ci], weight [Co, V, Ci], bias [Co] or nullptr.
std::vector<double> forward(const MapView& map, const double* feats, const double* weight, const double* bias,
                            std::int64_t in_channels, std::int64_t out_channels,
                            const std::vector<std::int64_t>& selected = {});

/// [rows, Ci]
std::vector<double> grad_input(const MapView& map, const double* grad_out, const double* weight,
                               std::int64_t in_channels, std::int64_t out_channels);
/// [Co, V, Ci]
std::vector<double> grad_weight(const MapView& map, const double* grad_out, const double* feats,
                                std::int64_t in_channels, std::int64_t out_channels);
/// [Co]
std::vector<double> grad_bias(const double* grad_out, std::int64_t rows, std::int64_t out_channels);

/// ||result - expected|| / ||expected||; infinity if any result is not finite; ||result|| if expected is all
/// zeros.
double relative_error(const std::vector<double>& result, const std::vector<double>& expected);

/// DESIGN.md's bound for a compute type: f32 1e-6, tf32 1e-3, f16 1e-3, bf16 8e-3.
double tolerance(DType dtype);

}  // namespace flexgemm::reference
