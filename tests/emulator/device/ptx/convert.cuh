#pragma once

#include "config.cuh"

// templates/ptx/convert.cuh for the emulated machine.

namespace flexgemm {

inline float to_float(float value) { return value; }
inline float to_float(f16_t value) { return emulator::widen(value.bits, emulator::Number::f16); }
inline float to_float(bf16_t value) { return emulator::widen(value.bits, emulator::Number::bf16); }

template <class Storage>
inline Storage from_float(float value);
template <>
inline float from_float<float>(float value) {
  return value;
}
template <>
inline f16_t from_float<f16_t>(float value) {
  return {emulator::narrow(value, emulator::Number::f16)};
}
template <>
inline bf16_t from_float<bf16_t>(float value) {
  return {emulator::narrow(value, emulator::Number::bf16)};
}

inline unsigned round_to_tf32(unsigned bits) { return emulator::round_to_tf32(bits); }

}  // namespace flexgemm
