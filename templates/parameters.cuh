#pragma once

// Kernel arguments, passed by value. The host mirrors these structs in runtime/cuda/kernel_parameters.hpp:
// same members, same order, pointers and 64-bit integers only first, so that both sides agree on the layout.

namespace flexgemm {

/// implicit_gemm: out[order[m], co] = bias[co] + sum over the steps of m's tile and ci of
///   feats[step_rows[step, m], ci] * weight[co, step_offset[step], ci].
/// Tile t owns the slots [t * row_tile, (t + 1) * row_tile) of `order` and the steps [tile_begin[t],
/// tile_begin[t + 1]).
struct ImplicitGemmParameters {
  const void* feats;            // [*, Ci] storage type
  const void* weight;           // [Co, V, Ci] storage type
  const void* bias;             // [Co] or null
  void* output;                 // [rows, Co] storage type, or float partials [splits, rows, Co]
  const int* order;             // [tiles * row_tile] output row of a slot, -1: none
  const long long* tile_begin;  // [tiles + 1]
  const int* step_offset;       // [steps] kernel offset v
  const int* step_rows;         // [steps, row_tile] input row, -1: none
  const int* tile_order;        // [tiles] tile that a block column takes, or null: the identity
  const void* residual;         // [rows, Co] storage type, if the epilogue reads it
  const float* scale;           // [Co], likewise
  const float* shift;           // [Co], likewise
  long long rows;               // output rows, for the stride of partials
  int tiles;                    // row tiles
  int splits;                   // parts of the reduction: 1 unless output is partial
};
// grid: x = tiles * column_tiles (column tile fastest), y = splits

/// A tensor map as the driver encodes it (cuTensorMapEncodeTiled): opaque.
struct alignas(64) TensorMap {
  unsigned long long words[16];
};

/// persistent_gemm: what implicit_gemm computes, for `groups` groups of offsets at once. Tile t belongs to
/// group t / tiles_per_group and visits offsets of this group only; each group has an order of its own, with
/// every row in it. storage output has one group. Partial output holds each group's sums apart. Chained
/// output is finished: each group adds to `sums` in the order of groups, the last one stores the result.
struct PersistentGemmParameters {
  TensorMap weight;             // [Co, V, Ci] storage type, box [column_tile, 1, k_tile], 128-byte swizzle;
                                // MN-major: [Ci, V, Co], box [k_tile, 1, 64]
  const void* feats;            // [*, Ci] storage type
  const void* bias;             // [Co] or null
  void* output;                 // [rows, Co] storage type, or float partials [groups, rows, Co]
  float* sums;                  // chained: [rows, Co], else null
  const int* order;             // [tiles * row_tile] output row of a slot, -1: none
  const long long* tile_begin;  // [tiles + 1]
  const int* step_offset;       // [steps] kernel offset v
  const int* step_rows;         // [steps, row_tile] input row, -1: none
  const int* tile_order;        // [tiles] tiles in the order of work, group by group, or null: the identity
  int* counters;                // [1], chained: [1 + groups * column_tiles]: zeros
  const void* residual;         // [rows, Co] storage type, if the epilogue reads it
  const float* scale;           // [Co], likewise
  const float* shift;           // [Co], likewise
  long long rows;               // output rows, for the stride of partials
  int tiles;                    // row tiles of all groups
  int tiles_per_group;
  int mirrored;  // MN-major weights: 1: those of offset v lie at V - 1 - v, else 0
};
// grid: x = at most tiles * column_tiles blocks; each claims items (column tile fastest) until there are
// none. Clusters of kCluster blocks share items, whose tiles have kCluster * kRowTile rows, and take them in
// turns; the box of `weight` then has column_tile / kCluster rows.

/// gather_rows: gathered[r, v, ci] = feats[indices[first_row + r, v], ci], zero where the index is -1.
struct GatherRowsParameters {
  const void* feats;   // [*, Ci]
  const int* indices;  // [N, V]
  void* gathered;      // [rows, V * Ci]
  long long first_row;
  long long rows;
};
// grid: x = any number of blocks (grid-stride over rows * V)

/// reduce_partials: out[i] = partials[0][i] + partials[1][i] + ... + bias[i % Co], in this order.
struct ReducePartialsParameters {
  const float* partials;  // [splits, rows * Co]
  const void* bias;       // [Co] or null
  void* output;           // [rows, Co] storage type
  const void* residual;   // [rows, Co] storage type, if the epilogue reads it
  const float* scale;     // [Co], likewise
  const float* shift;     // [Co], likewise
  const int* live_rows;   // rows that there are, or null: all
  long long rows;
  int splits;
  int unused;
};
// grid: x = any number of blocks (grid-stride over rows * Co / vector)

/// transpose_weights: transposed[ci, v, co] = weight[co, v', ci], v' = mirrored ? V - 1 - v : v.
struct TransposeWeightsParameters {
  const void* weight;  // [Co, V, Ci]
  void* transposed;    // [Ci, V, Co]
  int mirrored;
  int unused;
};
// grid: x = any number of blocks (stride over tiles of 64 x 64)

/// grad_weight: output[co, v, ci] = sum over the pairs (n, m) of offset v of grad_out[n, co] * feats[m, ci].
/// The offsets are cut into groups of kOffsets; each owns a list of runs of 64 pairs.
/// Split, the runs of all groups are cut into shares of one length, one for all blocks of a row of the grid;
/// a share's runs of a group are a part. A part is 8 integers, W, X, Y, R, its group, its number of runs and
/// two unused: run i of a part is number R + W * i + min(i, X) + max(i - Y, 0) of the list. Why that is so,
/// runtime/cuda/pair_part.hpp says.
struct GradWeightParameters {
  const void* feats;       // [*, Ci]
  const void* grad_out;    // [*, Co]
  void* output;            // [Co, V, Ci] storage type or float; split: float [parts, Co, kOffsets * Ci]
  const int* pairs;        // [runs, 2, 1 + kOffsets, 32] row of grad_out, rows of feats; -1: none
  const int* parts;        // [parts, 8]; of a split those without runs write nothing
  const int* share_begin;  // [shares + 1] first part of a share; null: not split, a part a row of the grid
  int accumulate;          // 1: add to what output holds
  int unused;
};
// grid: x = row_tiles * column_tiles (column tile fastest), y = shares, or groups

/// resident_grad_weight: the sums of grad_weight, always split, from the resident layout: rows in blocks of
/// kRowTile slots that are close in space, so that the distinct input rows of a block, cut into phases of
/// offsets where they are too many, fit in shared memory. Group g of offsets is [g * kOffsets, (g + 1) *
/// kOffsets); its part p sums the blocks p, p + parts, ...
struct ResidentGradWeightParameters {
  const void* feats;              // [*, Ci]
  const void* grad_out;           // [*, Co]
  float* output;                  // [groups, parts, Co, kOffsets * Ci]
  const int* order;               // [blocks * kRowTile] row of grad_out of a slot, -1: none
  const unsigned* masks;          // [blocks * kRowTile / 16] offsets that one of 16 slots has
  const unsigned short* locals;   // [blocks, V, kRowTile] position of the neighbor | color << 13; 0: none
  const int* phase_begin;         // [blocks + 1] first phase of a block, which has at least one
  const unsigned* phase_offsets;  // [phases] offsets of a phase that the block has
  const long long* input_begin;   // [phases + 1] first input of a phase
  const unsigned* inputs;         // row of feats | color << 29, at positions 1, 2, ... of its phase
  int blocks;
  int parts;  // of a group
};
// grid: x = groups, y = parts

/// resident_gemm: what implicit_gemm computes, from the resident layout: rows in blocks of kRowTile slots
/// that are close in space, so that the distinct input rows of a block, cut into phases of offsets where they
/// are too many, fit in shared memory. Members of the layout as resident_grad_weight's.
struct ResidentGemmParameters {
  const void* feats;              // [*, Ci] storage type
  const void* weight;             // [Co, V, Ci] storage type
  const void* bias;               // [Co] or null
  void* output;                   // [rows, Co] storage type
  const int* order;               // [blocks * kRowTile] output row of a slot, -1: none
  const unsigned* masks;          // [blocks * kRowTile / 16]
  const unsigned short* locals;   // [blocks, V, kRowTile]
  const int* phase_begin;         // [blocks + 1]
  const unsigned* phase_offsets;  // [phases]
  const long long* input_begin;   // [phases + 1]
  const unsigned* inputs;         // [input_begin[phases]]
  const void* residual;           // [rows, Co] storage type, if the epilogue reads it
  const float* scale;             // [Co], likewise
  const float* shift;             // [Co], likewise
  long long rows;                 // output rows
};
// grid: x = blocks

/// reduce_gradient: output[co, v, ci] = partials[p][co, v % kOffsets, ci] summed over the parts p of v's
/// group, in their order: those in [part_range[group][0], part_range[group][1]).
struct ReduceGradientParameters {
  const float* partials;  // [parts, Co, kOffsets * Ci]
  const int* part_range;  // [groups, 2], or null: group_parts a group
  void* output;           // [Co, V, Ci] storage type, or float where the spec says partial
  int accumulate;         // 1: add to what output holds, first of all
  int group_parts;
};
// grid: x = any number of blocks (grid-stride over Co * V * Ci / vector)

}  // namespace flexgemm
