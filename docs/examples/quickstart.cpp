#include <cstdint>
#include <cstdio>
#include <vector>

#include <flexgemm/flexgemm.hpp>

using namespace flexgemm;

int main() {
  const Context context = Context::open(cuda_device_count() > 0 ? Device::cuda(0) : Device::cpu());
  const auto upload = [&context](const auto& host) {
    Buffer buffer = context.allocate(host.size() * sizeof(host[0]));
    context.copy_to_device(buffer.data(), host.data(), buffer.bytes());
    return buffer;
  };

  std::vector<std::int32_t> voxels;  // a stair: batch, x, y, z
  for (int x = 0; x < 64; ++x) {
    for (int y = 0; y < 64; ++y) voxels.insert(voxels.end(), {0, x, y, x / 4});
  }
  const std::int64_t n = 64 * 64;
  const Buffer coords = upload(voxels);
  const Buffer feats = upload(std::vector<float>(n * 16, 1.0F));
  const Buffer weight = upload(std::vector<float>(32 * 27 * 16, 1.0F / 512));
  const Buffer out = context.allocate(n * 32 * sizeof(float));

  const NeighborMap map = context.submanifold_map({coords.data(), DType::i32, {n, 4}}, {1, 64, 64, 16});
  const Conv3d conv = context.conv3d({.in_channels = 16, .out_channels = 32, .kernel = {3, 3, 3}});
  conv.forward(map, {feats.data(), DType::f32, {n, 16}}, {weight.data(), DType::f32, {32, 3, 3, 3, 16}},
               /*bias=*/{}, {out.data(), DType::f32, {n, 32}});

  std::vector<float> result(n * 32);
  context.copy_to_host(result.data(), out.data(), out.bytes());
  double sum = 0;  // every pair of neighbors adds 16 * 32 / 512 = 1
  for (const float value : result) sum += value;
  std::printf("%lld voxels, %lld pairs, sum %.0f\n", static_cast<long long>(map.rows()),
              static_cast<long long>(map.pairs()), sum);
}
