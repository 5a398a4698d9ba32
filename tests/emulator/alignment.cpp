#include <cstdint>
#include <string>

#include "emulator/state.hpp"

// What the compiler calls when an access in emulated code is not aligned as its type demands
// (-fsanitize=alignment): a GPU refuses it with "misaligned address", this machine's processor would not.

namespace {

/// The layout that compilers agree on (ubsan_handlers.h of compiler-rt).
struct TypeMismatch {
  const char* file;
  std::uint32_t line;
  std::uint32_t column;
  const void* type;
  unsigned char log_alignment;
  unsigned char kind;
};

}  // namespace

extern "C" __attribute__((visibility("default"), noreturn)) void __ubsan_handle_type_mismatch_v1_abort(
    const TypeMismatch* mismatch, std::uintptr_t address) {
  flexgemm::emulator::machine->fail(std::string(mismatch->file) + ":" + std::to_string(mismatch->line) +
                                    " accesses " + std::to_string(1u << mismatch->log_alignment) +
                                    " aligned bytes at " + std::to_string(address));
}
