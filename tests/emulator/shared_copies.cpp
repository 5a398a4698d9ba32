#include <algorithm>
#include <cstring>
#include <string>

#include "emulator/box_map.hpp"
#include "emulator/global_memory.hpp"
#include "emulator/state.hpp"

// Asynchronous copies into shared memory, and the barriers in shared memory that they complete.

namespace flexgemm::emulator {

namespace {

std::string address_text(const void* pointer) {
  return std::to_string(reinterpret_cast<std::uintptr_t>(pointer));
}

/// Writes what the copies bring. Behind a barrier it is for the readers to fence, else for the thread.
void land(Thread& thread, const std::vector<Copy>& copies, unsigned barrier = 0, unsigned phase = 0) {
  Block& block = *thread.block;
  for (const Copy& copy : copies) {
    unsigned char* target = block.instance->shared + copy.target;
    if (copy.valid) {
      std::memcpy(target, copy.source, static_cast<std::size_t>(copy.bytes));
    } else {
      std::memset(target, 0, static_cast<std::size_t>(copy.bytes));
    }
    block.copied[copy.target / 16] = {.writer = thread.index + 1, .barrier = barrier, .phase = phase};
    if (barrier == 0) thread.unfenced.push_back(copy.target / 16);
  }
}

PhaseBarrier& barrier_at(Block& block, unsigned address) {
  auto& barriers = block.barriers;
  const auto found = barriers.find(address);
  if (found == barriers.end())
    machine->fail("the barrier at byte " + std::to_string(address) + " was never initialized");
  return found->second;
}

void complete_phase_if_due(PhaseBarrier& barrier) {
  if (barrier.pending != 0 || barrier.bytes != 0) return;
  ++barrier.phase;
  barrier.pending = barrier.arrivals;
  for (Thread* thread : barrier.waiting) thread->state = ThreadState::ready;
  barrier.waiting.clear();
}

/// One arrival, by whoever it is.
void count_arrival(PhaseBarrier& at, unsigned barrier) {
  if (--at.pending < 0)
    machine->fail("more than " + std::to_string(at.arrivals) +
                  " arrivals in one phase of the barrier at byte " + std::to_string(barrier));
  complete_phase_if_due(at);
}

void arrive(Block& block, unsigned barrier, int expected_bytes) {
  PhaseBarrier& at = barrier_at(block, barrier);
  at.bytes += expected_bytes;
  count_arrival(at, barrier);
  // Those whom it wakes may go first, and far ahead, before this thread does anything else.
  if (machine->chance(4)) machine->suspend(ThreadState::ready, "its turn");
}

}  // namespace

void check_global(const void* pointer, int bytes) {
  if (!is_in_a_buffer(pointer, static_cast<std::size_t>(bytes)))
    machine->fail("it reads " + std::to_string(bytes) + " bytes at " + address_text(pointer) +
                  ", outside every buffer");
  if (reinterpret_cast<std::uintptr_t>(pointer) % static_cast<std::uintptr_t>(bytes) != 0)
    machine->fail("it reads " + std::to_string(bytes) + " bytes at " + address_text(pointer) +
                  ", not a multiple of them");
}

unsigned shared_offset(const void* pointer) {
  return static_cast<unsigned>(static_cast<const unsigned char*>(pointer) -
                               machine->block().instance->shared);
}

void land_copies(Thread& thread, std::size_t pending) {
  while (thread.copy_groups.size() > pending) {
    land(thread, thread.copy_groups.front());
    thread.copy_groups.pop_front();
  }
}

void copy_async(unsigned target, const void* source, int bytes, bool valid) {
  Thread& thread = machine->current();
  unsigned char* shared = machine->shared(target, bytes);
  if (target % static_cast<unsigned>(bytes) != 0)
    machine->fail("cp.async of " + std::to_string(bytes) + " bytes to byte " + std::to_string(target) +
                  " of shared memory");
  if (valid) check_global(source, bytes);
  std::memset(shared, 0xff, static_cast<std::size_t>(bytes));
  thread.open_copies.push_back({target, source, bytes, valid});
}

void copy_commit() {
  Thread& thread = machine->current();
  thread.copy_groups.push_back(std::move(thread.open_copies));
  thread.open_copies.clear();
  if (machine->chance(8)) land_copies(thread, 0);
}

void copy_wait(int pending) {
  Thread& thread = machine->current();
  land_copies(thread, static_cast<std::size_t>(pending));
  while (!thread.copy_groups.empty() && thread.copy_groups.front().empty()) thread.copy_groups.pop_front();
}

void copy_wait_all() {
  Thread& thread = machine->current();
  copy_commit();
  land_copies(thread, 0);
  std::vector<ArrivingCopies>& arriving = thread.block->arriving;
  for (std::size_t i = arriving.size(); i-- > 0;) {
    if (arriving[i].thread != &thread) continue;
    const ArrivingCopies copies = std::move(arriving[i]);
    arriving.erase(arriving.begin() + static_cast<std::ptrdiff_t>(i));
    Machine::deliver(*thread.block, copies);
  }
}

void copy_arrive(unsigned barrier) {
  Thread& thread = machine->current();
  barrier_at(*thread.block, barrier);
  ArrivingCopies arriving{&thread, std::move(thread.open_copies), barrier};
  thread.open_copies.clear();
  for (const std::vector<Copy>& group : thread.copy_groups)
    arriving.copies.insert(arriving.copies.begin(), group.begin(), group.end());
  thread.copy_groups.clear();
  thread.block->arriving.push_back(std::move(arriving));
}

void fence_async_proxy() {
  Thread& thread = machine->current();
  std::vector<CopiedBytes>& copied = thread.block->copied;
  for (const unsigned granule : thread.unfenced) {
    CopiedBytes& bytes = copied[granule];
    if (bytes.writer == thread.index + 1 && bytes.barrier == 0) bytes.writer = 0;
  }
  thread.unfenced.clear();
  thread.phases_fenced = thread.phases_seen;
}

void barrier_init(unsigned barrier, int arrivals) {
  machine->shared(barrier, 8);
  machine->block().barriers[barrier] = {.arrivals = arrivals, .pending = arrivals};
}

void barrier_arrive(unsigned barrier, int expected_bytes) {
  arrive(machine->block(), barrier, expected_bytes);
}

void barrier_arrive_in(unsigned barrier, unsigned rank) {
  Block& block = *machine->block().cluster.at(rank);
  if (std::all_of(block.threads.begin(), block.threads.end(),
                  [](const auto& thread) { return thread->state == ThreadState::done; }))
    machine->fail("it arrives in a block of its cluster that has ended");
  arrive(block, barrier, 0);
}
void barrier_wait(unsigned barrier, unsigned parity) {
  for (;;) {
    PhaseBarrier& at = barrier_at(machine->block(), barrier);
    if ((at.phase & 1) != parity) {
      machine->current().phases_seen[barrier] = at.phase;
      return;
    }
    at.waiting.push_back(&machine->current());
    machine->suspend(ThreadState::blocked, "the barrier at byte " + std::to_string(barrier) + ", parity " +
                                               std::to_string(parity) + " (" + std::to_string(at.phase) +
                                               " phases complete)");
  }
}

void copy_box(unsigned blocks, unsigned target, const void* map, unsigned barrier, int x, int y, int z) {
  const BoxMap& box = *static_cast<const BoxMap*>(map);
  const int bytes = box.box[0] * box.box[1] * box.box[2] * box.element_bytes;
  Block& sender = machine->block();
  machine->shared(target, bytes);
  if (blocks == 0) blocks = 1u << sender.rank;
  for (const Block* block : sender.cluster) {
    if ((blocks >> block->rank & 1) != 0)
      std::memset(block->instance->shared + target, 0xff, static_cast<std::size_t>(bytes));
  }
  sender.boxes.push_back({blocks, target, barrier, map, {x, y, z}});
}

namespace {

void deliver_to(Block& block, const BoxCopy& copy) {
  const BoxMap& map = *static_cast<const BoxMap*>(copy.map);
  const int row_bytes = map.box[0] * map.element_bytes;
  for (int z = 0; z < map.box[2]; ++z) {
    for (int y = 0; y < map.box[1]; ++y) {
      const int row = z * map.box[1] + y;
      for (int x = 0; x < map.box[0]; ++x) {
        const int at[3] = {copy.at[0] + x, copy.at[1] + y, copy.at[2] + z};
        const unsigned plain = copy.target + static_cast<unsigned>(row * row_bytes + x * map.element_bytes);
        const unsigned swizzled = plain ^ ((plain >> 7 & 7u) << 4);
        unsigned char* target = block.instance->shared + swizzled;
        const bool inside = at[0] >= 0 && at[0] < map.size[0] && at[1] >= 0 && at[1] < map.size[1] &&
                            at[2] >= 0 && at[2] < map.size[2];
        if (inside) {
          std::memcpy(target,
                      map.data + at[0] * map.element_bytes + at[1] * map.stride_y + at[2] * map.stride_z,
                      static_cast<std::size_t>(map.element_bytes));
        } else {
          std::memset(target, 0, static_cast<std::size_t>(map.element_bytes));
        }
      }
    }
  }
  PhaseBarrier& barrier = block.barriers.at(copy.barrier);
  barrier.bytes -= static_cast<long long>(row_bytes) * map.box[1] * map.box[2];
  complete_phase_if_due(barrier);
}

}  // namespace

void Machine::deliver(Block& block, const ArrivingCopies& copies) {
  PhaseBarrier& barrier = block.barriers.at(copies.barrier);
  land(*copies.thread, copies.copies, copies.barrier, barrier.phase);
  count_arrival(barrier, copies.barrier);
}

void Machine::deliver(Block& sender, const BoxCopy& copy) {
  for (Block* block : sender.cluster) {
    if ((copy.blocks >> block->rank & 1) != 0) deliver_to(*block, copy);
  }
}

}  // namespace flexgemm::emulator
