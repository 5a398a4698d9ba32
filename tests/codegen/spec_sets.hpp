#pragma once

#include <string>
#include <vector>

#include "codegen/candidates.hpp"

namespace flexgemm::test {

/// Problems that stand for all: every type, Ci and Co of every alignment and size class, V of every class,
/// with and without bias, finished and partial output, few and many rows.
struct RepresentativeProblem {
  codegen::GemmProblem problem;
  codegen::OutputType output;
};
std::vector<RepresentativeProblem> representative_problems(const codegen::Architecture& architecture);

/// What decides the registers a kernel needs: its tile, its pipeline, its types and how it loads. Specs that
/// agree in it differ in constants, in the epilogue and in the blocks a multiprocessor that they are made
/// for.
std::string code_path(const codegen::KernelSpec& spec);

struct SpecSet {
  std::vector<codegen::KernelSpec> specs;
  std::vector<bool> is_default;  ///< of the same length: whether some problem gets this code path by default
};

/// Default choices of all representative problems, one spec a code path.
SpecSet default_specs(const codegen::Architecture& architecture);

/// A covering set over the candidate lists of all representative problems: every shape (tile, pipeline,
/// warps) and every default choice's code path, each made for the most blocks a multiprocessor; every tile of
/// every type; within a type any two of (loads, padding, kernel volume, bias, output, store width) together;
/// and the kernels without candidates.
SpecSet candidate_specs(const codegen::Architecture& architecture);

}  // namespace flexgemm::test
