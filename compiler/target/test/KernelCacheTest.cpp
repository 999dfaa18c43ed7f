#include "compiler/target/KernelCache.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "gtest/gtest.h"
#include <chrono>
#include <thread>

using eyrie::target::KernelCache;

namespace {
struct KernelCacheTest : testing::Test {
  void SetUp() override { ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("eyrie-cache", folder)); }
  void TearDown() override { llvm::sys::fs::remove_directories(folder); }

  static std::string key(llvm::StringRef text) { return KernelCache::keyOf({text}); }
  static KernelCache::Kernel kernel(size_t size) {
    return {64, "func.func @f() { return }", llvm::SmallVector<char, 0>(size, 'x')};
  }
  llvm::SmallString<128> folder;
};

TEST_F(KernelCacheTest, FindsWhatWasStored) {
  KernelCache cache(folder);
  EXPECT_FALSE(cache.find(key("a")));
  cache.store(key("a"), kernel(1000));
  auto found = cache.find(key("a"));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->localMemory, 64);
  EXPECT_EQ(found->workgroups, kernel(0).workgroups);
  EXPECT_EQ(found->object, kernel(1000).object);
  EXPECT_FALSE(cache.find(key("b")));
}

TEST_F(KernelCacheTest, KeysTellPartsApart) {
  EXPECT_NE(KernelCache::keyOf({"ab", "c"}), KernelCache::keyOf({"a", "bc"}));
  EXPECT_EQ(KernelCache::keyOf({"ab", "c"}), KernelCache::keyOf({"ab", "c"}));
}

TEST_F(KernelCacheTest, RemovesWhatWasUsedLongestAgo) {
  KernelCache cache(folder, /*mostBytes=*/5000);
  for (std::string name : {"old", "used", "new"}) {
    cache.store(key(name), kernel(2000));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (name == "used")
      EXPECT_TRUE(cache.find(key("old"))); // now "used" is the oldest
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  cache.evict();
  EXPECT_FALSE(cache.find(key("used")));
  EXPECT_TRUE(cache.find(key("new")));
}

TEST_F(KernelCacheTest, KeepsNothingWithoutAFolder) {
  KernelCache cache("");
  cache.store(key("a"), kernel(10));
  EXPECT_FALSE(cache.isUsed());
  EXPECT_FALSE(cache.find(key("a")));
}
} // namespace
