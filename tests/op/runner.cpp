#include "op/runner.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include <fmt/format.h>

#include "op/fused.hpp"
#include "op/random.hpp"
#include "op/submap.hpp"

namespace flexgemm::op_test {

namespace {

/// Multiply-accumulates that the reference may spend on one draw of a case.
constexpr double reference_budget = 1e8;
/// A relative error says little about fewer numbers: smaller results are drawn several times and judged
/// together.
constexpr std::int64_t least_elements = 64;

/// Elements of a result that were checked, and what they should be.
struct Comparison {
  std::vector<double> result;
  std::vector<double> expected;
};

std::vector<double> decode(const HostTensor& tensor) {
  std::vector<double> values(static_cast<std::size_t>(tensor.elements()));
  for (std::int64_t i = 0; i < tensor.elements(); ++i) values[static_cast<std::size_t>(i)] = tensor.at(i);
  return values;
}

/// Rows of a [N, columns] tensor, padded with zeros to `rows` rows.
std::vector<double> decode_rows(const HostTensor& tensor, const std::vector<std::int64_t>& selected,
                                std::int64_t rows) {
  const std::int64_t columns = tensor.shape()[1];
  std::vector<double> values(static_cast<std::size_t>(rows * columns));
  for (std::size_t i = 0; i < selected.size(); ++i) {
    for (std::int64_t c = 0; c < columns; ++c) {
      values[i * static_cast<std::size_t>(columns) + static_cast<std::size_t>(c)] =
          tensor.at(selected[i] * columns + c);
    }
  }
  return values;
}

/// Columns of a [N, columns] tensor.
std::vector<double> decode_columns(const HostTensor& tensor, const std::vector<std::int64_t>& selected) {
  const std::int64_t columns = tensor.shape()[1];
  std::vector<double> values;
  values.reserve(static_cast<std::size_t>(tensor.shape()[0]) * selected.size());
  for (std::int64_t row = 0; row < tensor.shape()[0]; ++row) {
    for (const std::int64_t c : selected) values.push_back(tensor.at(row * columns + c));
  }
  return values;
}

/// Rows to check so that the reference stays within its budget.
std::vector<std::int64_t> rows_to_check(const Scene& scene, const Case& problem, std::uint64_t seed) {
  const double pairs = static_cast<double>(std::max<std::int64_t>(1, scene.map.pairs()));
  const double per_row = pairs / std::max<double>(1, static_cast<double>(problem.rows)) *
                         static_cast<double>(problem.in_channels * problem.out_channels);
  const double affordable = std::clamp(reference_budget / per_row, 64.0, 2e4);
  return sample_of(problem.rows, static_cast<std::int64_t>(affordable), seed);
}

/// Applies the case's epilogue to the sums of the chosen output rows.
void finish_expected(const Problem& problem, const Case& parameters, const std::vector<std::int64_t>& rows,
                     std::vector<double>& sums) {
  const Fused& fused = all_fused()[static_cast<std::size_t>(parameters.fused)];
  const std::int64_t columns = parameters.out_channels;
  const auto value = [](const HostTensor& tensor, std::int64_t index) {
    return tensor.elements() == 0 ? 0.0 : tensor.at(index);
  };
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const auto channel = static_cast<std::int64_t>(i) % columns;
    const std::int64_t row = rows[i / static_cast<std::size_t>(columns)];
    sums[i] = fused.expected({.acc = sums[i],
                              .bias = value(problem.bias(), channel),
                              .residual = value(problem.residual(), row * columns + channel),
                              .scale = value(problem.scale(), channel),
                              .shift = value(problem.shift(), channel),
                              .channel = static_cast<double>(channel)});
  }
}

Comparison compare_forward(const Problem& problem, const Scene& scene, const Case& parameters,
                           const HostTensor& output, std::uint64_t seed) {
  const std::vector<std::int64_t> rows = rows_to_check(scene, parameters, seed);
  const Submap submap = submap_of_outputs(scene.reference_map(), rows);
  const std::vector<double> feats = decode_rows(problem.feats(), submap.inputs, submap.rows);
  const std::vector<double> weight = decode(problem.weight());
  Comparison comparison;
  comparison.expected = reference::forward(submap.view(), feats.data(), weight.data(), nullptr,
                                           parameters.in_channels, parameters.out_channels);
  comparison.expected.resize(rows.size() * static_cast<std::size_t>(parameters.out_channels));
  finish_expected(problem, parameters, rows, comparison.expected);
  comparison.result = decode_rows(output, rows, static_cast<std::int64_t>(rows.size()));
  return comparison;
}

Comparison compare_grad_input(const Problem& problem, const Scene& scene, const Case& parameters,
                              const HostTensor& output, std::uint64_t seed) {
  const std::vector<std::int64_t> rows = rows_to_check(scene, parameters, seed);
  const Submap submap = submap_of_inputs(scene.reference_map(), rows);
  const std::vector<double> grad_out = decode_rows(problem.grad_out(), submap.outputs, submap.rows);
  const std::vector<double> weight = decode(problem.weight());
  Comparison comparison;
  comparison.expected = reference::grad_input(submap.view(), grad_out.data(), weight.data(),
                                              parameters.in_channels, parameters.out_channels);
  comparison.expected.resize(rows.size() * static_cast<std::size_t>(parameters.in_channels));
  comparison.result = decode_rows(output, rows, static_cast<std::int64_t>(rows.size()));
  return comparison;
}

Comparison compare_grad_weight(const Problem& problem, const Scene& scene, const Case& parameters,
                               const HostTensor& output, std::uint64_t seed) {
  const double products =
      reference_budget / static_cast<double>(std::max<std::int64_t>(1, scene.map.pairs()));
  const std::int64_t ci = parameters.in_channels;
  const std::int64_t co = parameters.out_channels;
  const auto most_outputs = static_cast<std::int64_t>(std::clamp(std::sqrt(products), 2.0, 2000.0));
  const std::vector<std::int64_t> outputs = sample_of(co, most_outputs, seed);
  const auto most_inputs =
      static_cast<std::int64_t>(std::clamp(products / static_cast<double>(outputs.size()), 2.0, 2000.0));
  const std::vector<std::int64_t> inputs = sample_of(ci, most_inputs, seed + 1);
  const std::vector<double> grad_out = decode_columns(problem.grad_out(), outputs);
  const std::vector<double> feats = decode_columns(problem.feats(), inputs);
  Comparison comparison;
  comparison.expected = reference::grad_weight(scene.reference_map(), grad_out.data(), feats.data(),
                                               static_cast<std::int64_t>(inputs.size()),
                                               static_cast<std::int64_t>(outputs.size()));
  std::size_t i = 0;
  for (const std::int64_t o : outputs) {
    for (std::int64_t v = 0; v < parameters.volume(); ++v) {
      for (const std::int64_t c : inputs) {
        const std::int64_t element = (o * parameters.volume() + v) * ci + c;
        if (parameters.accumulate) comparison.expected[i] += problem.initial().at(element);
        comparison.result.push_back(output.at(element));
        ++i;
      }
    }
  }
  return comparison;
}

Comparison compare_grad_bias(const Problem& problem, const Case& parameters, const HostTensor& output) {
  const std::vector<double> grad_out = decode(problem.grad_out());
  Comparison comparison;
  comparison.expected = reference::grad_bias(grad_out.data(), parameters.rows, parameters.out_channels);
  for (std::size_t i = 0; i < comparison.expected.size(); ++i) {
    if (parameters.accumulate) comparison.expected[i] += problem.initial().at(static_cast<std::int64_t>(i));
  }
  comparison.result = decode(output);
  return comparison;
}

Comparison compare(const Problem& problem, const Scene& scene, const Case& parameters,
                   const HostTensor& output, std::uint64_t seed) {
  switch (parameters.subject) {
    case Subject::forward:
      return compare_forward(problem, scene, parameters, output, seed);
    case Subject::grad_input:
      return compare_grad_input(problem, scene, parameters, output, seed);
    case Subject::grad_weight:
      return compare_grad_weight(problem, scene, parameters, output, seed);
    case Subject::grad_bias:
      return compare_grad_bias(problem, parameters, output);
    case Subject::map:
      break;
  }
  return {};
}

std::int64_t draws_of(const Case& problem) {
  std::int64_t elements = 0;
  switch (problem.subject) {
    case Subject::forward:
    case Subject::grad_input:
      // A row's outputs share its few inputs, and their rounding.
      elements = problem.rows * std::min(problem.in_channels, problem.out_channels);
      break;
    case Subject::grad_weight:
      elements = problem.out_channels * problem.volume() * problem.in_channels;
      break;
    case Subject::map:
    case Subject::grad_bias:
      elements = problem.out_channels;
      break;
  }
  return elements == 0 ? 1 : (least_elements + elements - 1) / elements;
}

/// One draw: runs twice, appends what was checked to `all`. Returns what is wrong, or nothing.
std::string run_draw(const Context& context, const Scene& scene, const Case& parameters, std::uint64_t seed,
                     Comparison& all) {
  Problem problem(context, scene, parameters, seed);
  const KernelChoice choice = problem.choice();
  if (choice.algorithm == Algorithm::automatic) return "choice() returned no algorithm";
  const bool pinned =
      parameters.algorithm != Algorithm::automatic && parameters.subject != Subject::grad_bias;
  if (pinned && choice.algorithm != parameters.algorithm)
    return fmt::format("choice() returned {}, not the pinned algorithm", name(choice.algorithm));
  problem.run();
  const HostTensor first = problem.output().download();
  if (!problem.output().margins_intact()) return "memory around the output was written";
  problem.run();
  if (problem.output().download().bytes() != first.bytes()) return "two runs gave different bits";
  if (!first.all_finite()) return "the output holds poison or values that are not finite";
  const Comparison comparison = compare(problem, scene, parameters, first, seed);
  all.result.insert(all.result.end(), comparison.result.begin(), comparison.result.end());
  all.expected.insert(all.expected.end(), comparison.expected.begin(), comparison.expected.end());
  return {};
}

}  // namespace

Outcome run_case(const Context& context, const Scene& scene, const Case& problem, std::uint64_t seed) {
  if (!scene.map_fault.empty()) return {Status::failed, INFINITY, scene.map_fault};
  if (problem.subject == Subject::map) return {};
  try {
    Comparison all;
    const std::int64_t draws = draws_of(problem);
    for (std::int64_t draw = 0; draw < draws; ++draw) {
      const std::uint64_t draw_seed = random_bits(seed, static_cast<std::uint64_t>(draw)) >> 8;
      const std::string fault = run_draw(context, scene, problem, draw_seed, all);
      if (!fault.empty()) return {Status::failed, INFINITY, fault};
    }
    const double error = reference::relative_error(all.result, all.expected);
    const double bound = reference::tolerance(problem.dtype);
    if (error <= bound) return {Status::passed, error, {}};
    return {Status::failed, error, fmt::format("relative error {:.3g} exceeds {:.3g}", error, bound)};
  } catch (const Error& error) {
    return {error.code() == ErrorCode::unsupported ? Status::unsupported : Status::failed, INFINITY,
            error.what()};
  }
}

}  // namespace flexgemm::op_test
