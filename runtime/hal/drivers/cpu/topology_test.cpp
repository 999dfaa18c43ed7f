// The order of processors, on machines that are only folders.
#include "runtime/hal/drivers/cpu/topology.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <mutex>
#include <set>
#include <string>

#include "runtime/hal/drivers/cpu/cpu_device.h"
#include "runtime/hal/drivers/cpu/system_file.h"
#include "runtime/testing/fake_files.h"

namespace eyrie::rt::hal::cpu {
namespace {

using Numbers = std::vector<uint32_t>;

class TopologyTest : public testing::FakeFiles {
 protected:
  void WriteOfCpu(uint32_t cpu, const std::string& file, const std::string& text) {
    Write("system/cpu/cpu" + std::to_string(cpu) + "/" + file, text + "\n");
  }
  // Processors 0 and 1 share a core, 2 and 3, ...
  void WriteNeighbours(uint32_t first, uint32_t last) {
    for (uint32_t cpu = first; cpu <= last; ++cpu)
      WriteOfCpu(cpu, "topology/thread_siblings_list",
                 std::to_string(cpu & ~1u) + (cpu % 2 ? "-" : ",") + std::to_string(cpu | 1));
  }
  void WriteNode(uint32_t node, const std::string& cpus) {
    Write("system/node/node" + std::to_string(node) + "/cpulist", cpus + "\n");
  }
  Numbers Order(std::vector<uint64_t> allowed, uint32_t home = 0) {
    EXPECT_TRUE(topology.Read(root.c_str(), allowed, home).ok());
    Numbers order;
    for (const CpuPlace& place : topology.places()) order.push_back(place.cpu);
    return order;
  }
  // Those on which thread number `thread` may run; empty: anywhere.
  Numbers CpusOf(uint32_t thread) {
    Numbers cpus;
    std::span<const uint64_t> mask = topology.MaskOf(thread);
    for (uint32_t cpu = 0; cpu < mask.size() * 64; ++cpu)
      if (mask[cpu / 64] >> cpu % 64 & 1) cpus.push_back(cpu);
    return cpus;
  }

  Allocator allocator{eyrie_allocator_t{}};
  Topology topology{allocator};
};

TEST_F(TopologyTest, HybridIntel) {
  // 4 fast cores of 2 threads, then 4 slow ones.
  Write("cpu_core/cpus", "0-7\n");
  Write("cpu_atom/cpus", "8-11\n");
  WriteNeighbours(0, 7);
  EXPECT_EQ(Order({0xFFF}), Numbers({0, 2, 4, 6, 8, 9, 10, 11, 1, 3, 5, 7}));
  EXPECT_EQ(CpusOf(1), Numbers({0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(CpusOf(4), Numbers({8, 9, 10, 11}));
  EXPECT_EQ(CpusOf(8), CpusOf(0));
  EXPECT_EQ(CpusOf(12), Numbers());  // more threads than processors
  EXPECT_FALSE(topology.SpansNodes(12));
  // The affinity mask: 1 is the first of its core if 0 is not allowed; of the fast ones only 1 and 6.
  EXPECT_EQ(Order({0x342}), Numbers({1, 6, 8, 9}));
  EXPECT_EQ(CpusOf(0), Numbers({1, 6}));
}

TEST_F(TopologyTest, BigLittleWithThreeKinds) {
  for (uint32_t cpu = 0; cpu < 8; ++cpu) WriteOfCpu(cpu, "cpu_capacity", cpu < 4 ? "414" : cpu < 7 ? "870" : "1024");
  EXPECT_EQ(Order({0xFF}), Numbers({7, 4, 5, 6, 0, 1, 2, 3}));
  EXPECT_EQ(CpusOf(0), Numbers({7}));
  EXPECT_EQ(CpusOf(2), Numbers({4, 5, 6}));
  EXPECT_EQ(CpusOf(7), Numbers({0, 1, 2, 3}));
}

TEST_F(TopologyTest, ClocksThatDifferALittleAreOneKind) {
  for (uint32_t cpu = 0; cpu < 4; ++cpu) {
    WriteOfCpu(cpu, "cpu_capacity", "1024");
    WriteOfCpu(cpu, "cpufreq/cpuinfo_max_freq", std::to_string(5000000 + 100000 * cpu));
  }
  WriteNeighbours(0, 3);
  EXPECT_EQ(Order({0xF}), Numbers({0, 2, 1, 3}));
  EXPECT_EQ(CpusOf(1), Numbers());  // all alike: the system may choose
  WriteOfCpu(2, "cpufreq/cpuinfo_max_freq", "3800000");
  EXPECT_EQ(Order({0xF}), Numbers({0, 2, 1, 3}));
  EXPECT_EQ(CpusOf(1), Numbers({2}));
  WriteOfCpu(0, "cpufreq/cpuinfo_max_freq", "3900000");
  EXPECT_EQ(Order({0xF}), Numbers({0, 2, 1, 3}));  // the second threads of cores are the fast ones here
  EXPECT_EQ(CpusOf(0), Numbers({0, 2}));
  EXPECT_EQ(CpusOf(2), Numbers({1, 3}));
}

TEST_F(TopologyTest, TwoNodes) {
  // As servers number them: 0-3 and 8-11 on node 0, and 8 is the second thread of 0's core.
  for (uint32_t cpu = 0; cpu < 16; ++cpu)
    WriteOfCpu(cpu, "topology/core_cpus_list", std::to_string(cpu % 8) + "," + std::to_string(cpu % 8 + 8));
  Write("system/node/online", "0-1\n");
  WriteNode(0, "0-3,8-11");
  WriteNode(1, "4-7,12-15");
  EXPECT_EQ(Order({0xFFFF}), Numbers({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}));
  EXPECT_EQ(CpusOf(3), Numbers({0, 1, 2, 3, 8, 9, 10, 11}));
  EXPECT_EQ(CpusOf(4), Numbers({4, 5, 6, 7, 12, 13, 14, 15}));
  EXPECT_FALSE(topology.SpansNodes(4));
  EXPECT_TRUE(topology.SpansNodes(5));
  // From the other node.
  EXPECT_EQ(Order({0xFFFF}, 13), Numbers({4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11}));
  EXPECT_EQ(CpusOf(0), Numbers({4, 5, 6, 7, 12, 13, 14, 15}));
}

TEST_F(TopologyTest, MoreThan64Processors) {
  Write("system/node/online", "0,2\n");
  WriteNode(0, "0-63");
  WriteNode(2, "64-127");
  Numbers order = Order({~uint64_t{0}, ~uint64_t{0}}, 100);
  ASSERT_EQ(order.size(), 128u);
  EXPECT_EQ(order[0], 64u);
  EXPECT_EQ(order[64], 0u);
  EXPECT_EQ(CpusOf(64).size(), 64u);
}

TEST_F(TopologyTest, NothingIsSaid) {
  EXPECT_EQ(Order({0xB}), Numbers({0, 1, 3}));
  EXPECT_EQ(CpusOf(0), Numbers());
  EXPECT_EQ(Order({}), Numbers());
  EXPECT_FALSE(topology.SpansNodes(8));
}

TEST_F(TopologyTest, OddFiles) {
  for (const char* text :
       {"", "\n", "x", "-", "3-", "3-1", "0-99999999999", ",,", "1,,2", "4294967295", "0-4294967294"}) {
    Write("system/node/online", text);
    WriteNode(0, text);
    Write("cpu_core/cpus", text);
    for (uint32_t cpu = 0; cpu < 4; ++cpu) {
      WriteOfCpu(cpu, "topology/thread_siblings_list", text);
      WriteOfCpu(cpu, "cpu_capacity", text);
    }
    Numbers order = Order({0xF});
    EXPECT_EQ(std::set<uint32_t>(order.begin(), order.end()), std::set<uint32_t>({0, 1, 2, 3})) << text;
  }
}

TEST_F(TopologyTest, ReadsItsOwnMachine) {
  cpu_set_t own;
  ASSERT_EQ(sched_getaffinity(0, sizeof(own), &own), 0);
  ASSERT_TRUE(topology.ReadOwn(allocator, "/sys/devices").ok());
  EXPECT_EQ(topology.places().size(), static_cast<size_t>(CPU_COUNT(&own)));
  for (const CpuPlace& place : topology.places()) EXPECT_TRUE(CPU_ISSET(place.cpu, &own));
}

// Two processors of this machine, made two nodes: the worker runs on the other one, and memory is touched by both.
class TwoNodes : public TopologyTest {
 protected:
  void SetUp() override {
    TopologyTest::SetUp();
    ASSERT_TRUE(topology.ReadOwn(allocator, "/sys/devices").ok());
    if (topology.places().size() < 2) GTEST_SKIP() << "needs two processors";
    cpu_set_t own;
    ASSERT_EQ(sched_getaffinity(0, sizeof(own), &own), 0);
    if (sched_setaffinity(0, sizeof(own), &own) != 0) GTEST_SKIP() << "masks cannot be set here";
    Write("system/node/online", "0-1");
    std::string others;
    home = sched_getcpu();
    for (const CpuPlace& place : topology.places())
      if (place.cpu != home) others += (others.empty() ? "" : ",") + std::to_string(place.cpu);
    WriteNode(0, std::to_string(home));
    WriteNode(1, others);
    ASSERT_TRUE(topology.ReadOwn(allocator, root.c_str()).ok());
  }
  uint32_t home = 0;
};

struct Seen {
  std::mutex mutex;
  std::vector<std::pair<pthread_t, uint64_t>> pieces;
  cpu_set_t worker_mask;
};

TEST_F(TwoNodes, WorkersRunWhereTheyArePlaced) {
  pthread_t self = pthread_self();
  struct Job {
    pthread_t caller;
    Seen seen;
  } job{self, {}};
  auto note = [](void* context, uint64_t begin, uint64_t end, void*) -> int32_t {
    auto& job = *static_cast<Job*>(context);
    std::lock_guard lock(job.seen.mutex);
    for (; begin < end; ++begin) job.seen.pieces.push_back({pthread_self(), begin});
    if (!pthread_equal(pthread_self(), job.caller))
      sched_getaffinity(0, sizeof(job.seen.worker_mask), &job.seen.worker_mask);
    return 0;
  };
  WorkerPool pool(allocator, {.threads = 2}, &topology);
  ASSERT_EQ(pool.RunOwn(1000, note, &job, /*patience_ns=*/uint64_t{60} * 1000000000), 0);
  ASSERT_EQ(job.seen.pieces.size(), 1000u);
  for (auto [thread, index] : job.seen.pieces) EXPECT_EQ(!!pthread_equal(thread, self), index < 500) << index;
  Numbers allowed = CpusOf(1);
  EXPECT_EQ(static_cast<size_t>(CPU_COUNT(&job.seen.worker_mask)), allowed.size());
  for (uint32_t cpu : allowed) EXPECT_TRUE(CPU_ISSET(cpu, &job.seen.worker_mask));
}

TEST_F(TwoNodes, ThePartOfABusyThreadIsTakenOver) {
  std::atomic<bool> hold{true};
  struct Blocker : Task {
    std::atomic<bool>* hold;
    std::atomic<bool> began{false};
  } blocker;
  blocker.hold = &hold;
  blocker.run = [](Task* task) {
    auto* self = static_cast<Blocker*>(task);
    self->began = true;
    while (*self->hold) CpuRelax();
  };
  // The pool ends, and waits for the task, before what the task uses.
  WorkerPool pool(allocator, {.threads = 2}, &topology);
  ASSERT_TRUE(pool.Post(&blocker));
  while (!blocker.began) CpuRelax();
  std::atomic<uint64_t> done{0};
  auto count = [](void* context, uint64_t begin, uint64_t end, void*) -> int32_t {
    *static_cast<std::atomic<uint64_t>*>(context) += end - begin;
    return 0;
  };
  EXPECT_EQ(pool.RunOwn(1000, count, &done, 1000000), 0);
  EXPECT_EQ(done, 1000u);
  hold = false;
}

TEST_F(TwoNodes, LargeBuffersAreTouched) {
  for (bool two_nodes : {false, true}) {
    auto device = CreateCpuDevice(allocator, {.threads = 2}, two_nodes ? root.c_str() : "/nowhere");
    ASSERT_TRUE(device.ok());
    constexpr size_t kSize = size_t{64} << 20;
    auto buffer = device.value()->AllocateBuffer(kSize);
    ASSERT_TRUE(buffer.ok());
    std::vector<unsigned char> resident(kSize / 4096);
    ASSERT_EQ(mincore(buffer.value()->host(), kSize, resident.data()), 0);
    size_t pages = 0;
    for (unsigned char page : resident) pages += page & 1;
    if (two_nodes)
      EXPECT_EQ(pages, resident.size());
    else
      EXPECT_LT(pages, resident.size() / 2);
    device.value()->ReleaseBuffer(buffer.value());
    device.value()->Destroy();
  }
}

}  // namespace
}  // namespace eyrie::rt::hal::cpu
