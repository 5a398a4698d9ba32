// Trains a small submanifold network to tell which voxels of a surface lie inside a shape.
//   train_segmentation DEVICE [OTHER]     DEVICE, OTHER: cpu or cuda:N
// Three 3x3x3 convolutions of this library with ReLU between them; ReLU, the loss and SGD with momentum are
// plain C++ here. With OTHER it trains there as well and compares the two loss curves. Exit codes: 0 ok, 1
// the accuracy stays at or below 95 percent or the curves part, 4 a device is not there.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include <flexgemm/flexgemm.hpp>

using namespace flexgemm;

namespace {

constexpr int extent = 40;  // cells an axis
constexpr int steps = 200;
constexpr float rate = 0.3F;
constexpr float momentum = 0.9F;

/// Occupied voxels with their position as features and, as labels, whether they lie inside a torus.
struct Scene {
  std::vector<std::int32_t> coords;  // [n, 4]
  std::vector<float> feats;          // [n, 3]
  std::vector<float> labels;         // [n] 1: inside
  std::int64_t n = 0;
};

Scene make_scene() {
  Scene scene;
  for (int x = 0; x < extent; ++x) {
    for (int y = 0; y < extent; ++y) {
      for (int z = 0; z < extent; ++z) {
        const auto angle = [](int cell) { return static_cast<float>(cell) * 0.45F; };
        const float gyroid = std::sin(angle(x)) * std::cos(angle(y)) +
                             std::sin(angle(y)) * std::cos(angle(z)) +
                             std::sin(angle(z)) * std::cos(angle(x));
        if (std::abs(gyroid) > 0.2F) continue;  // a thin sheet that fills the cube
        const auto centred = [](int cell) { return static_cast<float>(2 * cell - extent + 1) / extent; };
        const float u = centred(x);
        const float v = centred(y);
        const float w = centred(z);
        const float ring = std::sqrt(u * u + v * v) - 0.55F;
        scene.coords.insert(scene.coords.end(), {0, x, y, z});
        scene.feats.insert(scene.feats.end(), {u, v, w});
        scene.labels.push_back(ring * ring + w * w < 0.35F * 0.35F ? 1.0F : 0.0F);
        ++scene.n;
      }
    }
  }
  return scene;
}

/// A tensor of floats on the device.
class Tensor {
 public:
  Tensor(const Context& context, const Shape& shape, const std::vector<float>& values)
      : context_(context), shape_(shape), buffer_(context.allocate(values.size() * sizeof(float))) {
    set(values);
  }
  void set(const std::vector<float>& values) {
    context_.copy_to_device(buffer_.data(), values.data(), buffer_.bytes());
  }
  std::vector<float> get() const {
    std::vector<float> values(buffer_.bytes() / sizeof(float));
    context_.copy_to_host(values.data(), buffer_.data(), buffer_.bytes());
    return values;
  }
  TensorView view() const { return {buffer_.data(), DType::f32, shape_}; }

 private:
  Context context_;
  Shape shape_;
  Buffer buffer_;
};

/// Numbers that SGD moves. The host keeps them; the device gets a copy.
struct Parameter {
  Parameter(const Context& context, const Shape& shape, std::vector<float> start)
      : values(std::move(start)),
        speed(values.size()),
        device(context, shape, values),
        gradient(context, shape, values) {}
  void descend() {
    const std::vector<float> slope = gradient.get();
    for (std::size_t i = 0; i < values.size(); ++i) {
      speed[i] = momentum * speed[i] - rate * slope[i];
      values[i] += speed[i];
    }
    device.set(values);
  }
  std::vector<float> values;
  std::vector<float> speed;
  Tensor device;
  Tensor gradient;
};

/// A convolution with its parameters, its output, and the gradient of its input.
struct Layer {
  Layer(const Context& context, std::int64_t n, std::int64_t in, std::int64_t out, std::mt19937& random)
      : conv(context.conv3d({.in_channels = in, .out_channels = out, .kernel = {3, 3, 3}})),
        weight(context, {out, 3, 3, 3, in},
               start(out * 27 * in, std::sqrt(2.0F / static_cast<float>(12 * in)), random)),
        bias(context, {out}, std::vector<float>(static_cast<std::size_t>(out))),
        output(context, {n, out}, std::vector<float>(static_cast<std::size_t>(n * out))),
        grad_input(context, {n, in}, std::vector<float>(static_cast<std::size_t>(n * in))) {}
  static std::vector<float> start(std::int64_t count, float deviation, std::mt19937& random) {
    std::vector<float> values(static_cast<std::size_t>(count));
    // Twelve bits of the generator, the same on every machine; about normal by the sum of four.
    for (float& value : values) {
      float sum = 0;
      for (int i = 0; i < 4; ++i) sum += static_cast<float>(random() >> 20) / 4096.0F - 0.5F;
      value = sum * 1.7320508F * deviation;
    }
    return values;
  }
  Conv3d conv;
  Parameter weight;
  Parameter bias;
  Tensor output;
  Tensor grad_input;
};

struct Training {
  std::vector<double> losses;  // of every step
  double accuracy = 0;         // of the last step
};

Training train(const Context& context, const Scene& scene) {
  std::mt19937 random(1);
  const auto coords = context.allocate(scene.coords.size() * sizeof(std::int32_t));
  context.copy_to_device(coords.data(), scene.coords.data(), coords.bytes());
  const NeighborMap map =
      context.submanifold_map({coords.data(), DType::i32, {scene.n, 4}}, {1, extent, extent, extent});
  const Tensor input(context, {scene.n, 3}, scene.feats);
  std::vector<Layer> layers;
  layers.reserve(3);
  layers.emplace_back(context, scene.n, 3, 16, random);
  layers.emplace_back(context, scene.n, 16, 16, random);
  layers.emplace_back(context, scene.n, 16, 1, random);

  Training training;
  for (int step = 0; step < steps; ++step) {
    const Tensor* feats = &input;
    for (Layer& layer : layers) {
      layer.conv.forward(map, feats->view(), layer.weight.device.view(), layer.bias.device.view(),
                         layer.output.view());
      feats = &layer.output;
      if (&layer == &layers.back()) break;
      std::vector<float> values = layer.output.get();
      for (float& value : values) value = std::max(value, 0.0F);
      layer.output.set(values);
    }
    // Logistic loss, and its slope in place of the logits.
    std::vector<float> logits = layers.back().output.get();
    double loss = 0;
    std::int64_t right = 0;
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const float label = scene.labels[i];
      right += (logits[i] > 0) == (label > 0.5F);
      loss += std::max(logits[i], 0.0F) - logits[i] * label + std::log1p(std::exp(-std::abs(logits[i])));
      logits[i] = (1 / (1 + std::exp(-logits[i])) - label) / static_cast<float>(scene.n);
    }
    training.losses.push_back(loss / static_cast<double>(scene.n));
    training.accuracy = static_cast<double>(right) / static_cast<double>(scene.n);
    if (step % 20 == 0 || step == steps - 1)
      std::printf("step %3d  loss %.4f  accuracy %.1f %%\n", step, training.losses.back(),
                  100 * training.accuracy);

    layers.back().output.set(logits);
    for (std::size_t l = layers.size(); l-- > 0;) {
      Layer& layer = layers[l];
      const Tensor& from = l == 0 ? input : layers[l - 1].output;
      Gradients gradients{
          .input = {}, .weight = layer.weight.gradient.view(), .bias = layer.bias.gradient.view()};
      if (l > 0) gradients.input = layer.grad_input.view();
      layer.conv.backward(map, layer.output.view(), from.view(), layer.weight.device.view(), gradients);
      if (l > 0) {  // ReLU passes a slope on where it passed a value on
        std::vector<float> slope = layer.grad_input.get();
        const std::vector<float> passed = from.get();
        for (std::size_t i = 0; i < slope.size(); ++i) slope[i] = passed[i] > 0 ? slope[i] : 0;
        layers[l - 1].output.set(slope);
      }
      layer.weight.descend();
      layer.bias.descend();
    }
  }
  return training;
}

Training train_on(const char* device, const Scene& scene) {
  const Context context = Context::open(Device::parse(device));
  std::printf("%s\n", context.description().c_str());
  return train(context, scene);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: train_segmentation DEVICE [OTHER]\n");
    return 2;
  }
  try {
    const Scene scene = make_scene();
    std::printf("%lld voxels\n", static_cast<long long>(scene.n));
    const Training first = train_on(argv[1], scene);
    bool ok = first.accuracy > 0.95;
    if (argc == 3) {
      const Training second = train_on(argv[2], scene);
      double apart = 0;
      for (std::size_t i = 0; i < first.losses.size(); ++i)
        apart = std::max(apart, std::abs(first.losses[i] - second.losses[i]) / second.losses[i]);
      std::printf("loss curves: at most %.2e of the loss apart\n", apart);
      ok = ok && second.accuracy > 0.95 && apart < 0.01;
    }
    return ok ? 0 : 1;
  } catch (const Error& error) {
    std::fprintf(stderr, "train_segmentation: %s\n", error.what());
    return error.code() == ErrorCode::no_device ? 4 : 1;
  }
}
