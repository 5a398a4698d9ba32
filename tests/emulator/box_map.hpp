#pragma once

namespace flexgemm::emulator {

/// What stands in for a tensor map (CUDA driver API, cuTensorMapEncodeTiled) in the parameters of an emulated
/// kernel: a tensor of three dimensions, fastest first, read in boxes with the 128-byte swizzle.
struct BoxMap {
  const unsigned char* data;
  long long stride_y;  ///< bytes
  long long stride_z;
  int size[3];  ///< elements
  int box[3];
  int element_bytes;
};
static_assert(sizeof(BoxMap) <= 128, "a tensor map has 128 bytes");

}  // namespace flexgemm::emulator
