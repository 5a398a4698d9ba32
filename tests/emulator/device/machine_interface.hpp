#pragma once

// What emulated kernels call. The templates' ptx layer is replaced by these functions; everything above it is
// the product's own source. Kernels are compiled into shared objects that find the functions in the test
// program. Kept free of standard headers, so that a kernel compiles in a second.

#pragma GCC visibility push(default)

namespace flexgemm::emulator {

struct Index {
  unsigned x = 0, y = 0, z = 0;
};

/// The coordinates of the thread that runs.
struct ThreadView {
  Index thread, block, block_size, grid;
};
extern const ThreadView* current_view;

enum class Number : int { f32, tf32, f16, bf16 };

// Barriers. All may suspend the calling thread.
void block_barrier();
void warp_barrier();
void named_barrier(int id, int threads);
/// Lets other threads run: between two looks at memory that another block changes.
void spin();

// Global memory. A pointer outside every buffer ends the launch with an error.
void check_global(const void* pointer, int bytes);

// Shared memory and asynchronous copies into it.
unsigned shared_offset(const void* pointer);
void copy_async(unsigned target, const void* source, int bytes, bool valid);
void copy_commit();
void copy_wait(int pending);
void copy_wait_all();
/// The copies so far arrive at `barrier` when they have landed, some time or other.
void copy_arrive(unsigned barrier);
void fence_async_proxy();
/// `blocks`: a bit for each block of the cluster that the box goes to; 0: the calling one alone.
void copy_box(unsigned blocks, unsigned target, const void* map, unsigned barrier, int x, int y, int z);

// Clusters.
unsigned cluster_rank();
void cluster_barrier();
void barrier_arrive_in(unsigned barrier, unsigned rank);

// Barriers in shared memory.
void barrier_init(unsigned barrier, int arrivals);
void barrier_arrive(unsigned barrier, int expected_bytes);
void barrier_wait(unsigned barrier, unsigned parity);

// Collective instructions of a warp.
void load_matrix(unsigned* fragment, unsigned address, bool transposed);
void multiply_fragments(float* d, const unsigned* a, unsigned b0, unsigned b1, Number type);
unsigned exchange(unsigned value, int source_lane);
bool any(bool value);

// Collective instructions of a warpgroup: d is 64 x columns, spread over 128 threads.
void wgmma(float* d, int columns, unsigned long long a, unsigned long long b, Number type, bool a_mn_major,
           bool b_mn_major);
/// The same with the first operand in registers, 64 rows of 32 bytes spread over the 128 threads: they must
/// stay as they are until the product was waited for.
void wgmma_registers(float* d, int columns, const unsigned* a, unsigned long long b, Number type,
                     bool mn_major);
void wgmma_commit();
void wgmma_wait(int pending);

// Conversions, round to nearest even; tf32 rounds half away from zero, as cvt.rna does.
float widen(unsigned short bits, Number type);
unsigned short narrow(float value, Number type);
unsigned round_to_tf32(unsigned bits);

}  // namespace flexgemm::emulator

#pragma GCC visibility pop
