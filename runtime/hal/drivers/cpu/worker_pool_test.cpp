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

// Processor time of the calling thread.
uint64_t OwnTimeNs() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1000000000u + static_cast<uint64_t>(time.tv_nsec);
}

TEST(WorkerPool, CallerOfALongJobSleeps) {
  struct Slow {
    pthread_t caller;
    std::atomic<uint32_t> helped{0};
  };
  auto run = [](void* context, uint64_t, uint64_t, void*) -> int32_t {
    auto& slow = *static_cast<Slow*>(context);
    timespec pause = {0, 0};
    if (pthread_equal(pthread_self(), slow.caller)) {
      // Not before the other has begun.
      for (int i = 0; i < 1000 && !slow.helped; ++i) pause.tv_nsec = 100000, nanosleep(&pause, nullptr);
      return 0;
    }
    ++slow.helped;
    pause.tv_nsec = 100000000;
    nanosleep(&pause, nullptr);
    return 0;
  };
  for (bool never_sleep : {false, true}) {
    Allocator allocator{eyrie_allocator_t{}};
    WorkerPool pool(allocator, {.threads = 2, .never_sleep = never_sleep});
    Slow slow = {pthread_self()};
    uint64_t begin = NowNs(), own = OwnTimeNs();
    EXPECT_EQ(pool.Run(2, run, &slow, nullptr), 0);
    own = OwnTimeNs() - own;
    ASSERT_EQ(slow.helped, 1u);
    EXPECT_GE(NowNs() - begin, 100000000u);
    if (never_sleep)
      EXPECT_GT(own, 10000000u);
    else
      EXPECT_LT(own, 10000000u);
  }
}

}  // namespace
}  // namespace eyrie::rt::hal::cpu
