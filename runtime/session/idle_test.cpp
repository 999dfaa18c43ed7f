// What threads do while there is nothing to do.
#include <gtest/gtest.h>

#include <ctime>

#include "eyrie/runtime.hpp"
#include "runtime/testing/session.h"

namespace eyrie::rt::testing {
namespace {

double ProcessorSeconds() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Of all threads of the process, while this one sleeps for a fifth of a second after a call.
double IdleSeconds(Session& session) {
  session.ExpectGoodCall();
  timespec pause = {0, 10000000};
  nanosleep(&pause, nullptr);
  double begin = ProcessorSeconds();
  pause.tv_nsec = 200000000;
  nanosleep(&pause, nullptr);
  return ProcessorSeconds() - begin;
}

TEST(Idle, WorkersSleepUnlessTheyMustNot) {
  std::vector<uint8_t> module = AddScaleModule().Build();
  for (bool low_latency : {false, true}) {
    eyrie_runtime_options_t options = {};
    options.struct_size = sizeof(options);
    options.threads = 3;
    options.low_latency = low_latency;
    Runtime runtime;
    ASSERT_TRUE(runtime.Create(options).ok());
    Session session(runtime.get(), module);
    double seconds = IdleSeconds(session);
    if (low_latency)
      EXPECT_GT(seconds, 0.02);  // a busy machine does not give more
    else
      EXPECT_LT(seconds, 0.005);
  }
}

TEST(Idle, FencesAreWaitedForWithoutSleep) {
  std::vector<uint8_t> module = AddScaleModule().Build();
  eyrie_runtime_options_t options = {};
  options.struct_size = sizeof(options);
  options.threads = 2;
  options.low_latency = 1;
  Runtime runtime;
  ASSERT_TRUE(runtime.Create(options).ok());
  Session session(runtime.get(), module);
  Fence fence;
  ASSERT_TRUE(fence.Create(runtime).ok());
  double begin = ProcessorSeconds();
  EXPECT_EQ(fence.Wait(1, 100000000).code(), EYRIE_DEADLINE_EXCEEDED);
  EXPECT_GT(ProcessorSeconds() - begin, 0.02);
  std::vector<float> a(8, 1), b(8, 2);
  eyrie_tensor_t inputs[2] = {F32(a, {1, 8}), F32(b, {1, 8})};
  for (uint64_t value = 1; value < 100; ++value) {
    eyrie_tensor_t output = {};
    ASSERT_OK(
        Status(eyrie_call_async(session.instance, 0, inputs, 2, &output, 1, nullptr, nullptr, 0, fence.At(value))));
    ASSERT_TRUE(fence.Wait(value).ok());
    EXPECT_EQ(static_cast<float*>(output.data)[7], 24.0f);
  }
}

}  // namespace
}  // namespace eyrie::rt::testing
