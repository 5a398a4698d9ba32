#include <bit>
#include <cstring>

#include <flexgemm/half.hpp>

#include "emulator/numbers.hpp"
#include "emulator/state.hpp"

// Collective instructions of a warp (PTX ISA: ldmatrix, mma, shfl, vote) and conversions (cvt).

namespace flexgemm::emulator {

namespace {

/// Runs `action` once all lanes have come; each lane's operand is then at operand(lane).
template <class Operand, class Action>
void collectively(Operand& operand, const char* what, const Action& action) {
  machine->current().operand = &operand;
  Warp& warp = machine->warp();
  machine->meet(warp.meeting, 32, what, [&] {
    action([&](std::size_t lane) -> Operand& {
      return *const_cast<Operand*>(static_cast<const Operand*>(warp.lanes[lane]->operand));
    });
  });
}

struct Matrices {
  unsigned* fragment;
  unsigned address;
};

struct Fragments {
  float* d;
  const unsigned* a;
  unsigned b[2];
};

/// Element `index` (0 or 1) of a register of two 16-bit numbers, or the register as tf32.
float element(unsigned bits, int index, Number type) {
  if (type == Number::tf32) return tf32_operand(bits);
  return widen(static_cast<unsigned short>(bits >> (16 * index)), type);
}

}  // namespace

float widen(unsigned short bits, Number type) {
  return type == Number::f16 ? to_float(f16{bits}) : to_float(bf16{bits});
}

unsigned short narrow(float value, Number type) {
  return type == Number::f16 ? to_f16(value).bits : to_bf16(value).bits;
}

unsigned round_to_tf32(unsigned bits) {
  const bool is_finite = (bits & 0x7f800000u) != 0x7f800000u;
  return is_finite ? (bits + 0x1000u) & 0xffffe000u : bits;
}

void load_matrix(unsigned* fragment, unsigned address, bool transposed) {
  Matrices operand{fragment, address};
  collectively(operand, transposed ? "ldmatrix.trans" : "ldmatrix", [&](const auto& lane_operand) {
    for (std::size_t i = 0; i < 4; ++i) {
      std::uint16_t matrix[8][8];
      for (std::size_t row = 0; row < 8; ++row) {
        const unsigned at = lane_operand(i * 8 + row).address;
        if (at % 16 != 0) machine->fail("ldmatrix of a row at byte " + std::to_string(at));
        std::memcpy(matrix[row], machine->shared(at, 16), 16);
      }
      for (std::size_t lane = 0; lane < 32; ++lane) {
        const std::size_t major = lane / 4;
        const std::size_t minor = lane % 4 * 2;
        const unsigned low = transposed ? matrix[minor][major] : matrix[major][minor];
        const unsigned high = transposed ? matrix[minor + 1][major] : matrix[major][minor + 1];
        lane_operand(lane).fragment[i] = low | high << 16;
      }
    }
  });
}

void multiply_fragments(float* d, const unsigned* a, unsigned b0, unsigned b1, Number type) {
  Fragments operand{d, a, {b0, b1}};
  collectively(operand, "mma", [&](const auto& lane_operand) {
    const int per_register = type == Number::tf32 ? 1 : 2;
    const std::size_t half = type == Number::tf32 ? 4 : 8;  // columns of a register's half of K
    float first[16][16];
    float second[8][16];
    for (std::size_t lane = 0; lane < 32; ++lane) {
      const Fragments& each = lane_operand(lane);
      for (int e = 0; e < per_register; ++e) {
        const std::size_t k = lane % 4 * static_cast<std::size_t>(per_register) + static_cast<std::size_t>(e);
        for (std::size_t part = 0; part < 2; ++part) {
          first[lane / 4][k + part * half] = element(each.a[part * 2], e, type);
          first[lane / 4 + 8][k + part * half] = element(each.a[part * 2 + 1], e, type);
          second[lane / 4][k + part * half] = element(each.b[part], e, type);
        }
      }
    }
    for (std::size_t lane = 0; lane < 32; ++lane) {
      for (std::size_t i = 0; i < 4; ++i) {
        const std::size_t row = lane / 4 + i / 2 * 8;
        const std::size_t column = lane % 4 * 2 + i % 2;
        float sum = lane_operand(lane).d[i];
        for (std::size_t k = 0; k < 2 * half; ++k) sum += first[row][k] * second[column][k];
        lane_operand(lane).d[i] = sum;
      }
    }
  });
}

unsigned exchange(unsigned value, int source_lane) {
  struct Exchange {
    unsigned value;
    int source;
    unsigned received;
  } operand{value, source_lane, 0};
  collectively(operand, "shfl", [&](const auto& lane_operand) {
    for (std::size_t lane = 0; lane < 32; ++lane) {
      auto& each = lane_operand(lane);
      each.received = lane_operand(static_cast<std::size_t>(each.source)).value;
    }
  });
  return operand.received;
}

bool any(bool value) {
  struct Vote {
    bool value;
    bool result;
  } operand{value, false};
  collectively(operand, "vote", [&](const auto& lane_operand) {
    bool result = false;
    for (std::size_t lane = 0; lane < 32; ++lane) result |= lane_operand(lane).value;
    for (std::size_t lane = 0; lane < 32; ++lane) lane_operand(lane).result = result;
  });
  return operand.result;
}

}  // namespace flexgemm::emulator
