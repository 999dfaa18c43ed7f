// Weights are in memory once: for all instances of a module, all modules of a file and all processes that use it. What
// the system counts (/proc/self/smaps) decides.
#include <gtest/gtest.h>

#if defined(__linux__)
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "runtime/testing/session.h"

namespace eyrie::rt::testing {
namespace {

constexpr size_t kWeights = size_t{8} << 20;
constexpr uint64_t kLittle = 256;  // kB

// Kilobytes.
struct Pages {
  uint64_t mappings = 0, resident = 0, proportional = 0, shared = 0, owned = 0, anonymous = 0;
};

// Of the mappings whose name contains `part`; of all for an empty one. False if the system does not say.
bool Count(const std::string& part, Pages* pages) {
  FILE* file = fopen("/proc/self/smaps", "re");
  if (!file) return false;
  *pages = {};
  char line[1024], key[64];
  bool counts = false, found = false;
  while (fgets(line, sizeof(line), file)) {
    unsigned long long begin, end, value;
    if (sscanf(line, "%llx-%llx ", &begin, &end) == 2) {
      counts = strstr(line, part.c_str()) != nullptr;
      pages->mappings += counts;
    } else if (counts && sscanf(line, "%63[^:]: %llu kB", key, &value) == 2) {
      std::string name = key;
      found |= name == "Pss";
      if (name == "Rss") pages->resident += value;
      if (name == "Pss") pages->proportional += value;
      if (name.starts_with("Shared_C") || name.starts_with("Shared_D")) pages->shared += value;
      if (name.starts_with("Private_C") || name.starts_with("Private_D")) pages->owned += value;
      if (name == "Anonymous") pages->anonymous += value;
    }
  }
  fclose(file);
  return found;
}

// y = all weights.
Module WeightsModule() {
  using abi::VmOp;
  Function f;
  f.results = {{"y", EYRIE_U8, {-1}}};
  f.Const(0, kWeights).Const(1, 0).Op(VmOp::kBufWeights, {0}).Op(VmOp::kBufResult, {1, 0, 1, 0});
  f.Op(VmOp::kCopy, {0, 1, 1, 1, 0}).Op(VmOp::kSubmitWait).Op(VmOp::kReturn);
  // Nothing is read.
  Function idle;
  idle.Op(VmOp::kReturn);
  idle.name = "idle";
  Module module = AddScaleModule();
  module.functions = {f, idle};
  module.weights.resize(kWeights);
  for (size_t i = 0; i < kWeights; ++i) module.weights[i] = static_cast<uint8_t>(i * 2654435761u >> 13);
  return module;
}

// A file of 8 MB of weights.
class Sharing : public ::testing::Test {
 protected:
  void SetUp() override {
    Pages pages;
    if (!Count("", &pages)) GTEST_SKIP() << "/proc/self/smaps does not count";
    int descriptor = mkstemp(path.data());
    ASSERT_GE(descriptor, 0);
    std::vector<uint8_t> bytes = WeightsModule().Build();
    ASSERT_EQ(write(descriptor, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    close(descriptor);
    file_kilobytes = bytes.size() >> 10;
  }
  void TearDown() override { unlink(path.c_str()); }

  std::string path = "/tmp/eyrie_sharing_XXXXXX";
  uint64_t file_kilobytes = 0;
};

// A runtime and a module of the file, with an instance that has been called.
struct User {
  explicit User(const std::string& path) {
    EXPECT_OK(Status(eyrie_runtime_create(nullptr, &runtime)));
    EXPECT_OK(Status(eyrie_module_load_file(runtime, path.c_str(), nullptr, &module)));
    Call(&first);
  }
  ~User() {
    eyrie_instance_destroy(first);
    eyrie_module_destroy(module);
    eyrie_runtime_destroy(runtime);
  }
  void Call(eyrie_instance_t** instance) {
    EXPECT_OK(Status(eyrie_instance_create(module, nullptr, instance)));
    eyrie_tensor_t output = {};
    output.data = y.data();
    output.size_bytes = y.size();
    EXPECT_OK(Status(eyrie_call(*instance, 0, nullptr, 0, &output, 1, nullptr)));
    EXPECT_EQ(y[kWeights - 1], static_cast<uint8_t>((kWeights - 1) * 2654435761u >> 13));
  }
  eyrie_runtime_t* runtime = nullptr;
  eyrie_module_t* module = nullptr;
  eyrie_instance_t* first = nullptr;
  std::vector<uint8_t> y = std::vector<uint8_t>(kWeights);  // for all calls
};

TEST_F(Sharing, InstancesOfOneModule) {
  User user(path);
  Pages before, after, all_before, all_after;
  ASSERT_TRUE(Count(path, &before) && Count("", &all_before));
  EXPECT_EQ(before.mappings, 1u);
  EXPECT_GE(before.resident + kLittle, file_kilobytes);
  EXPECT_EQ(before.anonymous, 0u);  // no page was copied
  eyrie_instance_t* second;
  user.Call(&second);
  ASSERT_TRUE(Count(path, &after) && Count("", &all_after));
  EXPECT_EQ(after.mappings, 1u);
  EXPECT_EQ(after.resident, before.resident);
  EXPECT_LT(all_after.anonymous, all_before.anonymous + kLittle);
  eyrie_instance_destroy(second);
}

TEST_F(Sharing, WeightsThatNoCallReadsAreNotKept) {
  eyrie_runtime_t* runtime;
  eyrie_module_t* module;
  eyrie_instance_t* instance;
  ASSERT_OK(Status(eyrie_runtime_create(nullptr, &runtime)));
  ASSERT_OK(Status(eyrie_module_load_file(runtime, path.c_str(), nullptr, &module)));
  ASSERT_OK(Status(eyrie_instance_create(module, nullptr, &instance)));
  uint32_t idle;
  ASSERT_OK(Status(eyrie_module_find(module, "idle", &idle)));
  ASSERT_OK(Status(eyrie_call(instance, idle, nullptr, 0, nullptr, 0, nullptr)));  // has checked all weights
  Pages pages;
  ASSERT_TRUE(Count(path, &pages));
  EXPECT_LE(pages.resident, file_kilobytes / 2);  // the system may map 2 MB for the bytecode's sake
  eyrie_instance_destroy(instance);
  eyrie_module_destroy(module);
  eyrie_runtime_destroy(runtime);
}

TEST_F(Sharing, ModulesOfOneFile) {
  User one(path), two(path);
  Pages pages;
  ASSERT_TRUE(Count(path, &pages));
  EXPECT_EQ(pages.mappings, 2u);
  EXPECT_GE(pages.resident + 2 * kLittle, 2 * file_kilobytes);
  EXPECT_LE(pages.proportional, file_kilobytes + kLittle);  // the same pages, mapped twice
  EXPECT_EQ(pages.anonymous, 0u);
}

TEST_F(Sharing, Processes) {
  int to_parent[2], to_child[2];
  ASSERT_EQ(pipe(to_parent), 0);
  ASSERT_EQ(pipe(to_child), 0);
  pid_t child = fork();
  ASSERT_GE(child, 0);
  char byte = 0;
  if (child == 0) {
    close(to_child[1]);
    {
      User user(path);
      Pages own;
      bool is_ready = !::testing::Test::HasFailure() && write(to_parent[1], &byte, 1) == 1;
      // Until the parent has counted, or is gone.
      is_ready = is_ready && read(to_child[0], &byte, 1) == 1 && Count(path, &own);
      bool shares = own.shared + kLittle >= file_kilobytes && own.owned <= kLittle && own.anonymous == 0;
      _exit(is_ready && shares ? 0 : 1);
    }
  }
  close(to_parent[1]);
  User user(path);
  ASSERT_EQ(read(to_parent[0], &byte, 1), 1) << "the child failed";
  Pages pages;
  ASSERT_TRUE(Count(path, &pages));
  EXPECT_EQ(write(to_child[1], &byte, 1), 1);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "the child counts otherwise";
  EXPECT_GE(pages.shared + kLittle, file_kilobytes);
  EXPECT_LE(pages.owned, kLittle);
  EXPECT_EQ(pages.anonymous, 0u);
  EXPECT_LE(pages.proportional, file_kilobytes / 2 + kLittle);
  for (int descriptor : {to_parent[0], to_child[0], to_child[1]}) close(descriptor);
}

}  // namespace
}  // namespace eyrie::rt::testing
#endif
