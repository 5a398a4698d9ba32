#include <cmath>

#include "op/fused.hpp"
#include "op/runner.hpp"

namespace flexgemm::op_test {

namespace {

/// Uploads a tensor into memory of its own; the margins around it are NaN, so that a read outside shows.
DeviceTensor to_device(const Context& context, const HostTensor& source, bool unaligned) {
  DeviceTensor target(context, source.dtype(), source.shape(), unaligned);
  target.upload(source);
  return target;
}

}  // namespace

Scene make_scene(const Context& context, const Case& problem, std::uint64_t seed) {
  Scene scene;
  scene.cloud = voxel_cloud(problem.rows, problem.batch, problem.huge_grid, seed);
  const SubmanifoldOptions options{.kernel = problem.kernel,
                                   .dilation = {problem.dilation, problem.dilation, problem.dilation},
                                   .checked = problem.checked};
  {
    const std::size_t bytes = scene.cloud.coords.size() * sizeof(std::int32_t);
    const Buffer coords = context.allocate(bytes);
    context.copy_to_device(coords.data(), scene.cloud.coords.data(), bytes);
    scene.map =
        context.submanifold_map({coords.data(), DType::i32, {problem.rows, 4}}, scene.cloud.grid, options);
    context.synchronize();
  }
  scene.reference_indices =
      reference::neighbor_map(scene.cloud.coords.data(), problem.rows, scene.cloud.grid, options);
  std::vector<std::int32_t> indices(scene.reference_indices.size());
  std::int64_t pairs = 0;
  for (const std::int32_t index : scene.reference_indices) pairs += index >= 0;
  if (scene.map.rows() != problem.rows || scene.map.volume() != problem.volume()) {
    scene.map_fault = "the map has another shape than [N, V]";
  } else if (scene.map.pairs() != pairs) {
    scene.map_fault = "the map counts " + std::to_string(scene.map.pairs()) + " pairs, the reference " +
                      std::to_string(pairs);
  } else {
    context.copy_to_host(indices.data(), scene.map.indices().data, indices.size() * sizeof(std::int32_t));
    if (indices != scene.reference_indices) scene.map_fault = "the map differs from the reference's";
  }
  return scene;
}

Problem::Problem(const Context& context, const Scene& scene, const Case& problem, std::uint64_t seed)
    : context_(context),
      scene_(scene),
      case_(problem),
      conv_(context.conv3d({.in_channels = problem.in_channels,
                            .out_channels = problem.out_channels,
                            .kernel = problem.kernel,
                            .dtype = problem.dtype,
                            .algorithm = problem.algorithm,
                            .epilogue = all_fused()[static_cast<std::size_t>(problem.fused)].epilogue})) {
  const Epilogue& epilogue = conv_.options().epilogue;
  const std::int64_t ci = case_.in_channels;
  const std::int64_t co = case_.out_channels;
  const Extent3 kernel = case_.kernel;
  const bool all = case_.together;
  const auto make = [&](HostTensor& host, std::optional<DeviceTensor>& device, DType dtype, Shape shape,
                        double deviation, std::uint64_t stream) {
    host = HostTensor::random(dtype, shape, deviation, seed * 16 + stream);
    device.emplace(to_device(context_, host, case_.unaligned));
  };
  const double weight_deviation = 1.0 / std::sqrt(static_cast<double>(case_.volume() * ci));
  if (case_.subject == Subject::forward || case_.subject == Subject::grad_weight || all)
    make(feats_, device_feats_, case_.dtype, {case_.rows, ci}, 1.0, 0);
  if (case_.subject == Subject::forward || case_.subject == Subject::grad_input || all)
    make(weight_, device_weight_, case_.dtype, {co, kernel.x, kernel.y, kernel.z, ci}, weight_deviation, 1);
  if (case_.subject == Subject::forward && case_.bias)
    make(bias_, device_bias_, case_.float_companion ? DType::f32 : case_.dtype, {co}, 1.0, 2);
  if (epilogue.residual) make(residual_, device_residual_, case_.dtype, {case_.rows, co}, 1.0, 5);
  if (epilogue.scale_shift) {
    make(scale_, device_scale_, DType::f32, {co}, 1.0, 6);
    make(shift_, device_shift_, DType::f32, {co}, 1.0, 7);
  }
  if (case_.subject != Subject::forward)
    make(grad_out_, device_grad_out_, case_.dtype, {case_.rows, co}, 1.0, 3);
  make_outputs(seed * 16 + 4);
}

void Problem::make_outputs(std::uint64_t seed) {
  const std::int64_t ci = case_.in_channels;
  const std::int64_t co = case_.out_channels;
  const Extent3 kernel = case_.kernel;
  const DType companion = case_.float_companion ? DType::f32 : case_.dtype;
  const auto add = [&](Subject subject, DType dtype, Shape shape) {
    if (subject == case_.subject) {
      output_.emplace(context_, dtype, shape, case_.unaligned);
      if (case_.accumulate) initial_ = HostTensor::random(dtype, shape, 1.0, seed);
    } else if (case_.together) {
      other_outputs_.emplace_back(context_, dtype, shape, case_.unaligned);
    }
  };
  if (case_.subject == Subject::forward) {
    add(Subject::forward, case_.dtype, {case_.rows, co});
    return;
  }
  add(Subject::grad_input, case_.dtype, {case_.rows, ci});
  add(Subject::grad_weight, companion, {co, kernel.x, kernel.y, kernel.z, ci});
  add(Subject::grad_bias, companion, {co});
}

Gradients Problem::gradients() {
  Gradients gradients;
  gradients.accumulate = case_.accumulate;
  auto other = other_outputs_.begin();
  const auto view = [&](Subject subject) -> TensorView {
    if (subject == case_.subject) return output_->view();
    return case_.together ? (other++)->view() : TensorView{};
  };
  gradients.input = view(Subject::grad_input);
  gradients.weight = view(Subject::grad_weight);
  gradients.bias = view(Subject::grad_bias);
  return gradients;
}

KernelChoice Problem::choice() const {
  switch (case_.subject) {
    case Subject::grad_input:
      return conv_.choice(scene_.map, Op::grad_input);
    case Subject::grad_weight:
      return conv_.choice(scene_.map, Op::grad_weight);
    case Subject::map:
    case Subject::forward:
    case Subject::grad_bias:
      break;
  }
  return conv_.choice(scene_.map, Op::forward);
}

void Problem::reset_outputs() {
  output_->poison();
  if (case_.accumulate) output_->upload(initial_);
  for (DeviceTensor& other : other_outputs_) other.poison();
}

void Problem::launch() {
  const auto view = [](const std::optional<DeviceTensor>& tensor) -> ConstTensorView {
    return tensor ? ConstTensorView(tensor->view()) : ConstTensorView();
  };
  if (case_.subject == Subject::forward) {
    conv_.forward(scene_.map, view(device_feats_), view(device_weight_), output_->view(),
                  {.bias = view(device_bias_),
                   .residual = view(device_residual_),
                   .scale = view(device_scale_),
                   .shift = view(device_shift_)});
  } else {
    conv_.backward(scene_.map, view(device_grad_out_), view(device_feats_), view(device_weight_),
                   gradients());
  }
}

void Problem::run() {
  reset_outputs();
  launch();
  context_.synchronize();
}

}  // namespace flexgemm::op_test
