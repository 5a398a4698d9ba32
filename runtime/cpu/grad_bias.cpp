#include "cpu/grad_bias.hpp"

#include <algorithm>

#include "cpu/host_buffer.hpp"
#include "cpu/storage.hpp"

namespace flexgemm::detail {

void run_grad_bias(CpuDevice& device, const void* grad_out, DType storage, std::int64_t rows,
                   std::int64_t channels, void* grad_bias, DType grad_bias_dtype, bool accumulate) {
  const std::int64_t chunk_rows = std::max<std::int64_t>(2048, divide_up(rows, 1024));
  const std::int64_t chunks = divide_up(rows, chunk_rows);
  HostBuffer<double> sums(device.memory, chunks * channels);
  HostBuffer<float> converted(device.memory, device.pool.threads() * channels);
  device.pool.parallel_for(chunks, [&](std::int64_t chunk, int worker) {
    double* own = sums.data() + chunk * channels;
    float* row = converted.data() + worker * channels;
    std::fill(own, own + channels, 0.0);
    const std::int64_t end = std::min(rows, (chunk + 1) * chunk_rows);
    for (std::int64_t n = chunk * chunk_rows; n < end; ++n) {
      load_elements(device.kernels, grad_out, storage, n * channels, channels, row);
      for (std::int64_t c = 0; c < channels; ++c) own[c] += static_cast<double>(row[c]);
    }
  });
  for (std::int64_t c = 0; c < channels; ++c) {
    double sum = accumulate ? static_cast<double>(load_element(grad_bias, grad_bias_dtype, c)) : 0.0;
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk) sum += sums[chunk * channels + c];
    store_element(grad_bias, grad_bias_dtype, c, static_cast<float>(sum));
  }
}

}  // namespace flexgemm::detail
