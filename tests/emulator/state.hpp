#pragma once

#include <array>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <boost/context/fiber.hpp>

#include "emulator/machine.hpp"

// The state of an emulated launch, shared by the files that model its instructions.

namespace flexgemm::emulator {

struct Block;
struct Thread;

/// One cp.async that has not landed.
struct Copy {
  unsigned target;
  const void* source;
  int bytes;
  bool valid;
};

/// Copies of a thread that arrive at a barrier when they have landed.
struct ArrivingCopies {
  Thread* thread;
  std::vector<Copy> copies;
  unsigned barrier;
};

/// Who wrote 16 bytes of shared memory by cp.async, and what makes them visible to wgmma.
struct CopiedBytes {
  int writer = 0;        ///< 1 + the thread; 0: nobody, or a fence of the writer has published them
  unsigned barrier = 0;  ///< at which the copy arrived, for readers to fence behind; 0: none
  unsigned phase = 0;    ///< of the barrier that the arrival was part of
};

/// Registers that a wgmma reads until it was waited for, and what they held when it was issued.
struct HeldRegisters {
  int product;  ///< number of the product
  const unsigned* registers;
  std::array<unsigned, 4> issued;
};

enum class ThreadState : std::uint8_t { ready, spinning, blocked, done };

struct Thread {
  ThreadView view;
  Block* block = nullptr;
  int index = 0;  ///< in the block
  boost::context::fiber fiber;
  ThreadState state = ThreadState::ready;
  std::string waits_for;

  std::vector<Copy> open_copies;  ///< not committed
  std::deque<std::vector<Copy>> copy_groups;
  std::vector<unsigned> unfenced;  ///< shared memory that this thread's copies wrote since its last fence
  std::map<unsigned, unsigned> phases_seen;    ///< by barrier: phases complete when this thread went on
  std::map<unsigned, unsigned> phases_fenced;  ///< the same at its last proxy fence
  const void* operand = nullptr;               ///< of the collective instruction that it waits in
  int products_issued = 0;
  std::deque<int> product_groups;  ///< products_issued at each commit that was not waited for
  std::deque<HeldRegisters> held_registers;
};

/// Threads that wait for each other: a barrier, or a collective instruction.
struct Meeting {
  std::vector<Thread*> arrived;
  const char* what = nullptr;
};

/// One wgmma of a warpgroup.
struct Product {
  unsigned long long a, b;
  int columns;
  Number type;
  bool a_mn_major = false;
  bool b_mn_major = false;
  bool registers = false;  ///< a is in registers
  int arrived = 0;
  std::array<float*, 128> d{};
  std::array<const unsigned*, 128> a_registers{};
};

struct Warpgroup {
  std::deque<Product> products;  ///< issued by some thread and not computed
  int computed = 0;              ///< products before these
  std::vector<Thread*> waiting{};
  std::pair<unsigned, unsigned> published{};  ///< barrier and phase whose copies its threads are known to see
};

/// A barrier in shared memory (PTX ISA, mbarrier).
struct PhaseBarrier {
  int arrivals = 0;
  int pending = 0;
  long long bytes = 0;  ///< announced and not delivered
  unsigned phase = 0;   ///< phases completed
  std::vector<Thread*> waiting{};
};

struct BoxCopy {
  unsigned blocks;  ///< of the cluster, a bit each
  unsigned target;
  unsigned barrier;
  const void* map;
  std::array<int, 3> at;
};

struct Warp {
  std::vector<Thread*> lanes;
  Meeting meeting;
  std::uint64_t priority = 0;
};

struct Block {
  const Program::Instance* instance = nullptr;
  int shared_bytes = 0;
  unsigned rank = 0;            ///< in its cluster
  std::vector<Block*> cluster;  ///< all of it, this one too
  Meeting cluster_barrier;      ///< of the first block, for all
  std::vector<std::unique_ptr<Thread>> threads;
  std::vector<Warp> warps;
  std::vector<Warpgroup> warpgroups;
  Meeting whole;
  std::map<int, Meeting> named;
  std::map<unsigned, PhaseBarrier> barriers;
  std::vector<BoxCopy> boxes;
  std::vector<ArrivingCopies> arriving;
  std::vector<CopiedBytes> copied;  ///< for each 16 bytes of shared memory
};

class Machine {
 public:
  Machine(const Program& program, const Launch& launch, std::uint64_t seed);
  void run();

  Thread& current() noexcept { return *current_; }
  Block& block() noexcept { return *current_->block; }
  Warp& warp() { return block().warps[static_cast<std::size_t>(current_->index / 32)]; }
  Warpgroup& warpgroup() { return block().warpgroups[static_cast<std::size_t>(current_->index / 128)]; }

  /// Lets the calling thread wait until somebody wakes it. `reason` is what a deadlock's report says.
  void suspend(ThreadState state, std::string reason);
  void wake(std::vector<Thread*>& threads);

  /// Joins a meeting of `expected` threads; the last one to come runs `action` and wakes the others.
  template <class Action>
  void meet(Meeting& meeting, int expected, const char* what, const Action& action) {
    if (!meeting.arrived.empty() && meeting.what != what)
      fail(std::string("some threads are at ") + meeting.what + " while others are at " + what);
    meeting.what = what;
    if (static_cast<int>(meeting.arrived.size()) + 1 < expected) {
      meeting.arrived.push_back(current_);
      suspend(ThreadState::blocked, what);
      return;
    }
    action();
    wake(meeting.arrived);
  }

  /// True once in `one_in` calls, at random.
  bool chance(unsigned one_in) { return random_() % one_in == 0; }
  /// Ends the launch: throws MachineError with the calling thread's place in front of `what`.
  [[noreturn]] void fail(const std::string& what) const;
  /// The bytes [offset, offset + bytes) of the calling block's shared memory.
  unsigned char* shared(unsigned offset, int bytes);
  static void deliver(Block& block, const BoxCopy& box);
  static void deliver(Block& block, const ArrivingCopies& copies);

 private:
  std::unique_ptr<Block> start_block(const Program::Instance& instance, Index index);
  void start_blocks();
  void resume(Warp& warp);
  Warp* pick();
  /// Lands a box, or copies that arrive at a barrier. False: there are none.
  bool deliver_something();
  static bool is_over(const Block& block);
  void retire(std::unique_ptr<Block>& block);
  std::string deadlock_report() const;

  const Launch& launch_;
  std::mt19937_64 random_;
  std::vector<Index> waiting_blocks_;
  struct Resident {
    const Program::Instance* instance;
    std::unique_ptr<Block> block;
  };
  std::vector<Resident> residents_;
  Thread* current_ = nullptr;
  boost::context::fiber scheduler_;
  std::optional<std::string> failure_;
  int idle_rounds_ = 0;
};

/// The launch that runs. The functions of machine_interface.hpp find it here.
extern Machine* machine;

/// Lands what a thread's copies have to write, oldest group first, until `pending` groups are left.
void land_copies(Thread& thread, std::size_t pending);

}  // namespace flexgemm::emulator
