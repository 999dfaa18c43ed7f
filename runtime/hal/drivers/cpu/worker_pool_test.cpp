// Every index exactly once, for any number of threads; errors; two users at once.
#include "runtime/hal/drivers/cpu/worker_pool.h"

#include <gtest/gtest.h>

#include <memory>

namespace eyrie::rt::hal::cpu {
namespace {

struct Job {
  std::unique_ptr<std::atomic<uint32_t>[]> counts;
  uint64_t fail_at = UINT64_MAX;
};

int32_t Count(void* context, uint64_t begin, uint64_t end, void*) {
  auto& job = *static_cast<Job*>(context);
  for (; begin < end; ++begin) {
    if (begin == job.fail_at) return 42;
    job.counts[begin].fetch_add(1, std::memory_order_relaxed);
  }
  return 0;
}

TEST(WorkerPool, RunsEveryIndexOnce) {
  for (uint32_t threads : {0u, 1u, 2u, 3u, 8u}) {
    Allocator allocator{eyrie_allocator_t{}};
    WorkerPool pool(allocator, {.threads = threads});
    EXPECT_EQ(pool.thread_count(), threads ? threads : 1u);
    for (uint64_t count : {0u, 1u, 2u, 3u, 7u, 64u, 1000u, 100003u}) {
      for (int round = 0; round < (count < 100 ? 200 : 3); ++round) {
        Job job = {std::make_unique<std::atomic<uint32_t>[]>(count + 1)};
        EXPECT_EQ(pool.Run(count, Count, &job, nullptr), 0);
        for (uint64_t i = 0; i < count; ++i)
          ASSERT_EQ(job.counts[i].load(), 1u) << threads << " threads, index " << i << " of " << count;
      }
    }
  }
}

TEST(WorkerPool, KeepsAnError) {
  Allocator allocator{eyrie_allocator_t{}};
  WorkerPool pool(allocator, {.threads = 4});
  for (uint64_t at : {0u, 1u, 500u, 999u}) {
    Job job = {std::make_unique<std::atomic<uint32_t>[]>(1000), at};
    EXPECT_EQ(pool.Run(1000, Count, &job, nullptr), 42);
  }
  Job job = {std::make_unique<std::atomic<uint32_t>[]>(1000)};
  EXPECT_EQ(pool.Run(1000, Count, &job, nullptr), 0);  // and works again
}

TEST(WorkerPool, ServesManyThreads) {
  Allocator allocator{eyrie_allocator_t{}};
  WorkerPool pool(allocator, {.threads = 3, .spin_us = 50});
  pthread_t threads[4];
  for (pthread_t& thread : threads)
    pthread_create(
        &thread, nullptr,
        [](void* argument) -> void* {
          for (int round = 0; round < 300; ++round) {
            Job job = {std::make_unique<std::atomic<uint32_t>[]>(97)};
            EXPECT_EQ(static_cast<WorkerPool*>(argument)->Run(97, Count, &job, nullptr), 0);
            for (int i = 0; i < 97; ++i) EXPECT_EQ(job.counts[i].load(), 1u);
          }
          return nullptr;
        },
        &pool);
  for (pthread_t& thread : threads) pthread_join(thread, nullptr);
}

TEST(WorkerPool, ReusesSleepingWorkers) {
  Allocator allocator{eyrie_allocator_t{}};
  WorkerPool pool(allocator, {.threads = 2, .spin_us = 1});
  for (int round = 0; round < 20; ++round) {
    timespec pause = {0, 2000000};
    nanosleep(&pause, nullptr);
    Job job = {std::make_unique<std::atomic<uint32_t>[]>(50)};
    EXPECT_EQ(pool.Run(50, Count, &job, nullptr), 0);
  }
}

}  // namespace
}  // namespace eyrie::rt::hal::cpu
