#include "emulator/machine.hpp"

#include <algorithm>
#include <cstring>
#include <sstream>

#include "emulator/state.hpp"

namespace flexgemm::emulator {

Machine* machine = nullptr;
const ThreadView* current_view = nullptr;

namespace {

constexpr std::size_t stack_bytes = 256 * 1024;
constexpr unsigned char canary = 0xa5;
/// Rounds in which nobody did anything but look at memory that nobody changes.
constexpr int most_idle_rounds = 20'000;

}  // namespace

Machine::Machine(const Program& program, const Launch& launch, std::uint64_t seed)
    : launch_(launch), random_(seed) {
  for (const Program::Instance& instance : program.instances()) residents_.push_back({&instance, nullptr});
  for (unsigned y = 0; y < launch.grid.y; ++y) {
    for (unsigned x = 0; x < launch.grid.x; x += static_cast<unsigned>(launch.cluster))
      waiting_blocks_.push_back({x, y, 0});
  }
  std::shuffle(waiting_blocks_.begin(), waiting_blocks_.end(), random_);
}

void Machine::fail(const std::string& what) const {
  const ThreadView& at = current_->view;
  throw MachineError("thread " + std::to_string(at.thread.x) + " of block (" + std::to_string(at.block.x) +
                     ", " + std::to_string(at.block.y) + "): " + what);
}

unsigned char* Machine::shared(unsigned offset, int bytes) {
  if (static_cast<std::int64_t>(offset) + bytes > block().shared_bytes) {
    fail("bytes " + std::to_string(offset) + " to " + std::to_string(offset + static_cast<unsigned>(bytes)) +
         " of shared memory, of which there are " + std::to_string(block().shared_bytes));
  }
  return block().instance->shared + offset;
}

void Machine::suspend(ThreadState state, std::string reason) {
  Thread& thread = *current_;
  thread.state = state;
  thread.waits_for = std::move(reason);
  scheduler_ = std::move(scheduler_).resume();
}

void Machine::wake(std::vector<Thread*>& threads) {
  for (Thread* thread : threads) thread->state = ThreadState::ready;
  threads.clear();
}

std::unique_ptr<Block> Machine::start_block(const Program::Instance& instance, Index index) {
  auto block = std::make_unique<Block>();
  block->instance = &instance;
  block->shared_bytes = launch_.shared_bytes;
  block->copied.resize(static_cast<std::size_t>(launch_.shared_bytes / 16 + 1));
  block->warps.resize(static_cast<std::size_t>((launch_.threads + 31) / 32));
  block->warpgroups.resize(static_cast<std::size_t>((launch_.threads + 127) / 128));
  std::memset(instance.shared, 0xff, static_cast<std::size_t>(launch_.shared_bytes));
  std::memset(instance.shared + launch_.shared_bytes, canary,
              static_cast<std::size_t>(Program::shared_capacity - launch_.shared_bytes));
  for (int i = 0; i < launch_.threads; ++i) {
    auto thread = std::make_unique<Thread>();
    thread->view = {.thread = {static_cast<unsigned>(i), 0, 0},
                    .block = index,
                    .block_size = {static_cast<unsigned>(launch_.threads), 1, 1},
                    .grid = launch_.grid};
    thread->block = block.get();
    thread->index = i;
    Thread* self = thread.get();
    thread->fiber = boost::context::fiber(
        std::allocator_arg, boost::context::fixedsize_stack(stack_bytes),
        [this, self, entry = instance.entry](boost::context::fiber&& scheduler) {
          scheduler_ = std::move(scheduler);
          try {
            entry(launch_.parameters);
            const bool landed = self->open_copies.empty() &&
                                std::all_of(self->copy_groups.begin(), self->copy_groups.end(),
                                            [](const std::vector<Copy>& group) { return group.empty(); });
            if (!landed) fail("it ends before its copies have landed");
          } catch (const MachineError& error) {
            if (!failure_) failure_ = error.what();
          }
          self->state = ThreadState::done;
          return std::move(scheduler_);
        });
    block->warps[static_cast<std::size_t>(i / 32)].lanes.push_back(self);
    block->threads.push_back(std::move(thread));
  }
  for (Warp& warp : block->warps) warp.priority = random_();
  return block;
}

void Machine::start_blocks() {
  const auto size = static_cast<std::size_t>(launch_.cluster);
  for (std::size_t first = 0; first + size <= residents_.size(); first += size) {
    if (residents_[first].block != nullptr || waiting_blocks_.empty()) continue;
    std::vector<Block*> cluster;
    for (std::size_t rank = 0; rank < size; ++rank) {
      Resident& resident = residents_[first + rank];
      Index index = waiting_blocks_.back();
      index.x += static_cast<unsigned>(rank);
      resident.block = start_block(*resident.instance, index);
      resident.block->rank = static_cast<unsigned>(rank);
      cluster.push_back(resident.block.get());
    }
    for (Block* block : cluster) block->cluster = cluster;
    waiting_blocks_.pop_back();
  }
}

bool Machine::is_over(const Block& block) {
  return std::all_of(block.threads.begin(), block.threads.end(),
                     [](const auto& thread) { return thread->state == ThreadState::done; });
}

void Machine::retire(std::unique_ptr<Block>& block) {
  const unsigned char* shared = block->instance->shared;
  const bool intact = std::all_of(shared + block->shared_bytes, shared + Program::shared_capacity,
                                  [](unsigned char byte) { return byte == canary; });
  if (!intact)
    failure_ = "a block wrote behind its " + std::to_string(block->shared_bytes) + " bytes of shared memory";
  if (!block->boxes.empty() || !block->arriving.empty())
    failure_ = "a block ended before copies that arrive at its barriers landed";
  block.reset();
}

/// The ready warp of highest priority. Priorities change now and then, so that any warp may fall behind at
/// any point, and stay behind for long. If none is ready, any of those that only look at memory: by priority
/// one of them could be passed over until the launch is taken for a deadlock.
Warp* Machine::pick() {
  Warp* best = nullptr;
  std::vector<Warp*> spinning;
  for (const Resident& resident : residents_) {
    if (resident.block == nullptr) continue;
    for (Warp& warp : resident.block->warps) {
      bool ready = false;
      bool spins = false;
      for (const Thread* lane : warp.lanes) {
        ready |= lane->state == ThreadState::ready;
        spins |= lane->state == ThreadState::spinning;
      }
      if (ready && (best == nullptr || warp.priority > best->priority)) best = &warp;
      if (spins && !ready) spinning.push_back(&warp);
    }
  }
  if (best != nullptr) {
    idle_rounds_ = 0;
    if (chance(64)) best->priority = random_();
    return best;
  }
  if (spinning.empty()) return nullptr;
  ++idle_rounds_;
  return spinning[random_() % spinning.size()];
}

void Machine::resume(Warp& warp) {
  for (Thread* lane : warp.lanes) {
    if (lane->state != ThreadState::ready && lane->state != ThreadState::spinning) continue;
    lane->state = ThreadState::ready;
    current_ = lane;
    current_view = &lane->view;
    lane->fiber = std::move(lane->fiber).resume();
    if (failure_) return;
  }
}

namespace {

/// Takes one of `waiting` at random.
template <class Copies>
Copies take_one(std::vector<Copies>& waiting, std::uint64_t random) {
  const std::size_t index = random % waiting.size();
  Copies taken = std::move(waiting[index]);
  waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(index));
  return taken;
}

}  // namespace

bool Machine::deliver_something() {
  const std::size_t first = random_() % residents_.size();
  for (std::size_t i = 0; i < residents_.size(); ++i) {
    const Resident& resident = residents_[(first + i) % residents_.size()];
    if (resident.block == nullptr) continue;
    Block& block = *resident.block;
    const bool box = !block.boxes.empty() && (block.arriving.empty() || chance(2));
    if (box) {
      deliver(block, take_one(block.boxes, random_()));
    } else if (!block.arriving.empty()) {
      deliver(block, take_one(block.arriving, random_()));
    } else {
      continue;
    }
    return true;
  }
  return false;
}

void Machine::run() {
  for (;;) {
    start_blocks();
    const bool over =
        std::all_of(residents_.begin(), residents_.end(), [](const Resident& r) { return !r.block; });
    if (over) return;
    if (chance(16)) deliver_something();
    Warp* warp = pick();
    if (warp == nullptr || idle_rounds_ > most_idle_rounds) {
      if (!deliver_something()) throw MachineError(deadlock_report());
      idle_rounds_ = 0;
      continue;
    }
    resume(*warp);
    if (failure_) throw MachineError(*failure_);
    for (Resident& resident : residents_) {
      if (resident.block == nullptr || resident.block->rank != 0) continue;
      const std::vector<Block*> cluster = resident.block->cluster;
      if (!std::all_of(cluster.begin(), cluster.end(), [](const Block* block) { return is_over(*block); }))
        continue;
      for (Resident& each : residents_) {
        if (std::find(cluster.begin(), cluster.end(), each.block.get()) != cluster.end()) retire(each.block);
      }
    }
    if (failure_) throw MachineError(*failure_);
  }
}

std::string Machine::deadlock_report() const {
  std::ostringstream text;
  text << "deadlock: no thread can go on";
  for (const Resident& resident : residents_) {
    if (resident.block == nullptr) continue;
    const Index& at = resident.block->threads.front()->view.block;
    for (std::size_t w = 0; w < resident.block->warps.size(); ++w) {
      std::map<std::string, int> reasons;
      for (const Thread* lane : resident.block->warps[w].lanes)
        ++reasons[lane->state == ThreadState::done ? "the end" : lane->waits_for];
      text << "\n  block (" << at.x << ", " << at.y << ") warp " << w << ":";
      for (const auto& [reason, lanes] : reasons) text << " " << lanes << " at " << reason << ";";
    }
  }
  return text.str();
}

void run(const Program& program, const Launch& launch, std::uint64_t seed) {
  Machine running(program, launch, seed);
  machine = &running;
  struct Reset {
    ~Reset() { machine = nullptr; }
  } reset;
  running.run();
}

void block_barrier() {
  Block& block = machine->block();
  machine->meet(block.whole, static_cast<int>(block.threads.size()), "__syncthreads", [] {});
}

void named_barrier(int id, int threads) {
  machine->meet(machine->block().named[id], threads, "bar.sync", [] {});
}

unsigned cluster_rank() { return machine->block().rank; }

void cluster_barrier() {
  Block& first = *machine->block().cluster.front();
  const std::size_t threads = first.threads.size() * first.cluster.size();
  machine->meet(first.cluster_barrier, static_cast<int>(threads), "barrier.cluster", [] {});
}

void warp_barrier() {
  machine->meet(machine->warp().meeting, 32, "__syncwarp", [] {});
}

void spin() { machine->suspend(ThreadState::spinning, "a flag of another block"); }

}  // namespace flexgemm::emulator
