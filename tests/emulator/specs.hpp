#pragma once

#include <vector>

#include "codegen/kernel_spec.hpp"

namespace flexgemm::emulator {

/// Specs that meet every template, tile shape, type and way of loading of the candidate lists, on layers
/// small enough for the model.
std::vector<codegen::KernelSpec> emulated_specs();

}  // namespace flexgemm::emulator
