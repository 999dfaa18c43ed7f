#include "runtime/hal/drivers/cpu/cpu_count.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <string>

#include "runtime/testing/fake_files.h"

namespace eyrie::rt::hal::cpu {
namespace {

using CpuCount = testing::FakeFiles;

TEST_F(CpuCount, ReadsVersionTwo) {
  Write("a/b/cpu.max", "max 100000\n");
  EXPECT_EQ(QuotaCpus("0::/a/b\n", root.c_str()), UINT32_MAX);
  Write("a/cpu.max", "250000 100000\n");
  EXPECT_EQ(QuotaCpus("0::/a/b\n", root.c_str()), 3u);  // of the group above
  Write("a/b/cpu.max", "50000 100000\n");
  EXPECT_EQ(QuotaCpus("0::/a/b\n", root.c_str()), 1u);
  Write("cpu.max", "400000 100000\n");
  EXPECT_EQ(QuotaCpus("0::/\n", root.c_str()), 4u);  // as inside a container
}

TEST_F(CpuCount, ReadsVersionOne) {
  Write("cpu/x/cpu.cfs_quota_us", "150000\n");
  Write("cpu/x/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(QuotaCpus("3:memory:/x\n2:cpuacct,cpu:/x\n", root.c_str()), 2u);
  Write("cpu/x/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(QuotaCpus("2:cpu,cpuacct:/x\n", root.c_str()), UINT32_MAX);
}

TEST_F(CpuCount, TakesOddFiles) {
  for (const char* text : {"", "\n", ":", "::", "0::", "0::x\n", "no colons at all", "0::/absent\n\n\n"})
    EXPECT_EQ(QuotaCpus(text, root.c_str()), UINT32_MAX) << text;
  EXPECT_EQ(QuotaCpus(("0::/" + std::string(5000, 'x')).c_str(), root.c_str()), UINT32_MAX);
  for (const char* text : {"", "x", "0 0", "-5 7", "10 0", "10"}) {
    Write("cpu.max", text);
    EXPECT_EQ(QuotaCpus("0::/\n", root.c_str()), UINT32_MAX) << text;
  }
}

TEST_F(CpuCount, RespectsTheAffinityMask) {
  cpu_set_t old, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof(old), &old), 0);
  CPU_ZERO(&one);
  for (int i = 0; i < CPU_SETSIZE; ++i)
    if (CPU_ISSET(i, &old)) {
      CPU_SET(i, &one);
      break;
    }
  if (sched_setaffinity(0, sizeof(one), &one) != 0) GTEST_SKIP() << "the mask cannot be set here";
  EXPECT_EQ(UsableCpus(), 1u);
  sched_setaffinity(0, sizeof(old), &old);
}

}  // namespace
}  // namespace eyrie::rt::hal::cpu
