#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "emulator/numbers.hpp"
#include "emulator/state.hpp"

// wgmma (PTX ISA, asynchronous warpgroup-level matrix instructions): operands in shared memory in the
// 128-byte swizzle, products that run until somebody waits for them.

namespace flexgemm::emulator {

namespace {

/// A matrix descriptor (PTX ISA, matrix descriptor format).
struct Descriptor {
  unsigned start, leading, stride;

  explicit Descriptor(unsigned long long bits)
      : start(static_cast<unsigned>(bits & 0x3fff) << 4),
        leading(static_cast<unsigned>(bits >> 16 & 0x3fff) << 4),
        stride(static_cast<unsigned>(bits >> 32 & 0x3fff) << 4) {
    if (bits >> 62 != 1) machine->fail("a matrix descriptor without the 128-byte swizzle");
  }

  /// Address of element (mn, k), before the swizzle.
  unsigned plain(int mn, int k, int element_bytes, bool mn_major) const {
    const auto m = static_cast<unsigned>(mn);
    const auto kk = static_cast<unsigned>(k);
    const auto size = static_cast<unsigned>(element_bytes);
    if (!mn_major) return start + m / 8 * stride + m % 8 * 128 + kk * size;
    return start + m / 64 * leading + kk / 8 * stride + kk % 8 * 128 + m % 64 * size;
  }
};

/// Refuses what cp.async wrote at byte `address` if it is not visible to the warpgroup's products: the writer
/// fenced it, or each of the warpgroup's threads did behind the barrier at which the copy arrived.
void check_published(unsigned address) {
  const Block& block = machine->block();
  const CopiedBytes& bytes = block.copied[address / 16];
  if (bytes.writer == 0) return;
  Warpgroup& group = machine->warpgroup();
  if (bytes.barrier != 0) {
    const std::pair<unsigned, unsigned> arrival{bytes.barrier, bytes.phase};
    if (group.published == arrival) return;
    const auto first = static_cast<std::size_t>(machine->current().index / 128 * 128);
    bool published = true;
    for (std::size_t i = first; i < first + 128; ++i) {
      const auto& fenced = block.threads[i]->phases_fenced;
      const auto found = fenced.find(bytes.barrier);
      published = published && found != fenced.end() && found->second > bytes.phase;
    }
    if (published) {
      group.published = arrival;
      return;
    }
  }
  machine->fail("wgmma reads what cp.async of thread " + std::to_string(bytes.writer - 1) +
                " wrote without fence.proxy.async, at byte " + std::to_string(address));
}

/// The operand [rows, depth] as floats.
std::vector<float> read_operand(const Product& product, unsigned long long descriptor, bool mn_major,
                                int rows, int depth) {
  const Descriptor layout(descriptor);
  const int bytes = product.type == Number::tf32 ? 4 : 2;
  std::vector<float> values(static_cast<std::size_t>(rows) * static_cast<std::size_t>(depth));
  for (int row = 0; row < rows; ++row) {
    for (int k = 0; k < depth; ++k) {
      const unsigned plain = layout.plain(row, k, bytes, mn_major);
      const unsigned address = plain ^ ((plain >> 7 & 7u) << 4);
      const unsigned char* at = machine->shared(address, bytes);
      check_published(address);
      float& value = values[static_cast<std::size_t>(row * depth + k)];
      if (bytes == 4) {
        unsigned bits;
        std::memcpy(&bits, at, 4);
        value = tf32_operand(bits);
      } else {
        unsigned short bits;
        std::memcpy(&bits, at, 2);
        value = widen(bits, product.type);
      }
    }
  }
  return values;
}

/// The operand [64, depth] that lies in registers, as floats (PTX ISA, figures of wgmma's register
/// fragments).
std::vector<float> read_registers(const Product& product, int depth) {
  std::vector<float> values(static_cast<std::size_t>(64 * depth));
  for (int thread = 0; thread < 128; ++thread) {
    for (int i = 0; i < 4; ++i) {
      const unsigned bits = product.a_registers[static_cast<std::size_t>(thread)][i];
      const int row = thread / 32 * 16 + thread % 32 / 4 + i % 2 * 8;
      const int first = (thread % 4 + i / 2 * 4) * depth / 8;  // of one tf32 or two 16-bit numbers
      float* at = values.data() + row * depth + first;
      if (product.type == Number::tf32) {
        at[0] = tf32_operand(bits);
      } else {
        at[0] = widen(static_cast<unsigned short>(bits), product.type);
        at[1] = widen(static_cast<unsigned short>(bits >> 16), product.type);
      }
    }
  }
  return values;
}

void compute(const Product& product) {
  const int depth = product.type == Number::tf32 ? 8 : 16;
  const std::vector<float> a = product.registers
                                   ? read_registers(product, depth)
                                   : read_operand(product, product.a, product.a_mn_major, 64, depth);
  const std::vector<float> b = read_operand(product, product.b, product.b_mn_major, product.columns, depth);
  for (int thread = 0; thread < 128; ++thread) {
    float* d = product.d[static_cast<std::size_t>(thread)];
    for (int i = 0; i < product.columns / 2; ++i) {
      const int row = thread / 32 * 16 + thread % 32 / 4 + i / 2 % 2 * 8;
      const int column = i / 4 * 8 + thread % 4 * 2 + i % 2;
      const float* first = a.data() + row * depth;
      const float* second = b.data() + column * depth;
      float sum = d[i];
      for (int k = 0; k < depth; ++k) sum += first[k] * second[k];
      d[i] = sum;
    }
  }
}

/// Computes the products before number `end` that all threads have issued.
void compute_until(Warpgroup& group, int end) {
  while (group.computed < end && !group.products.empty() && group.products.front().arrived == 128) {
    compute(group.products.front());
    group.products.pop_front();
    ++group.computed;
  }
}

/// The calling thread's part of a product: `d` and, if a is there, `registers`.
void issue(const Product& wanted, float* d, const unsigned* registers) {
  Thread& thread = machine->current();
  Warpgroup& group = machine->warpgroup();
  const auto index = static_cast<std::size_t>(thread.products_issued++ - group.computed);
  if (index == group.products.size()) group.products.push_back(wanted);
  Product& product = group.products[index];
  if (product.a != wanted.a || product.b != wanted.b || product.columns != wanted.columns ||
      product.registers != wanted.registers)
    machine->fail("warps of one warpgroup multiply different tiles");
  product.d[static_cast<std::size_t>(thread.index % 128)] = d;
  product.a_registers[static_cast<std::size_t>(thread.index % 128)] = registers;
  if (++product.arrived < 128) return;
  machine->wake(group.waiting);
  if (machine->chance(2)) compute_until(group, thread.products_issued);
}

/// Checks the registers of the thread's products before number `end`, which it has just waited for.
void release_registers(Thread& thread, int end) {
  while (!thread.held_registers.empty() && thread.held_registers.front().product < end) {
    const HeldRegisters& held = thread.held_registers.front();
    if (!std::equal(held.issued.begin(), held.issued.end(), held.registers))
      machine->fail("registers that wgmma reads were changed before anybody waited for it");
    thread.held_registers.pop_front();
  }
}

}  // namespace

void wgmma(float* d, int columns, unsigned long long a, unsigned long long b, Number type, bool a_mn_major,
           bool b_mn_major) {
  issue(
      {.a = a, .b = b, .columns = columns, .type = type, .a_mn_major = a_mn_major, .b_mn_major = b_mn_major},
      d, nullptr);
}

void wgmma_registers(float* d, int columns, const unsigned* a, unsigned long long b, Number type,
                     bool mn_major) {
  Thread& thread = machine->current();
  thread.held_registers.push_back(
      {.product = thread.products_issued, .registers = a, .issued = {a[0], a[1], a[2], a[3]}});
  issue({.a = 0, .b = b, .columns = columns, .type = type, .b_mn_major = mn_major, .registers = true}, d, a);
}

void wgmma_commit() {
  Thread& thread = machine->current();
  thread.product_groups.push_back(thread.products_issued);
}

void wgmma_wait(int pending) {
  Thread& thread = machine->current();
  Warpgroup& group = machine->warpgroup();
  int end = 0;
  while (thread.product_groups.size() > static_cast<std::size_t>(pending)) {
    end = thread.product_groups.front();
    thread.product_groups.pop_front();
  }
  for (compute_until(group, end); group.computed < end; compute_until(group, end)) {
    group.waiting.push_back(&thread);
    machine->suspend(ThreadState::blocked, "wgmma that other warps have not issued");
  }
  release_registers(thread, end);
}

}  // namespace flexgemm::emulator
