#pragma once

#include <bit>

namespace flexgemm::emulator {

/// What the matrix unit reads of a tf32 operand: it ignores the lower 13 bits.
inline float tf32_operand(unsigned bits) { return std::bit_cast<float>(bits & 0xffffe000u); }

}  // namespace flexgemm::emulator
