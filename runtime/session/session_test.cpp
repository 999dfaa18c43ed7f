// Modules through the public C API.
#include "runtime/testing/session.h"

#include <gtest/gtest.h>

#include <cstring>

#include "eyrie/runtime.h"

namespace eyrie::rt::testing {
namespace {

using abi::VmOp;

TEST(Session, RunsAModule) {
  Session session(AddScaleModule());
  std::vector<float> a(3 * 8), b(3 * 8);
  for (int i = 0; i < 24; ++i) a[i] = i, b[i] = 2 * i;
  eyrie_tensor_t inputs[2] = {F32(a, {3, 8}), F32(b, {3, 8})}, output = {};
  ASSERT_OK(session.Call(inputs, 2, &output, 1));
  EXPECT_EQ(output.rank, 2u);
  EXPECT_EQ(output.dims[0], 3);
  EXPECT_EQ(output.size_bytes, 96u);
  for (int i = 0; i < 24; ++i) EXPECT_EQ(static_cast<float*>(output.data)[i], 3.0f * i * (i % 8 + 1));
}

TEST(Session, UsesTheCallersOutput) {
  Session session(AddScaleModule());
  std::vector<float> a(16, 1), b(16, 2), y(16);
  eyrie_tensor_t inputs[2] = {F32(a, {2, 8}), F32(b, {2, 8})};
  eyrie_tensor_t output = {};
  output.data = y.data();
  output.size_bytes = 60;
  EXPECT_STATUS(session.Call(inputs, 2, &output, 1), EYRIE_INVALID_ARGUMENT, "output 0 'y' needs 64 bytes");
  EXPECT_EQ(output.rank, 0u);
  output.size_bytes = 64;
  ASSERT_OK(session.Call(inputs, 2, &output, 1));
  EXPECT_EQ(y[15], 24.0f);
  output.data = a.data();
  EXPECT_STATUS(session.Call(inputs, 2, &output, 1), EYRIE_INVALID_ARGUMENT, "overlap");
}

TEST(Session, RefusesWrongInputs) {
  Session session(AddScaleModule());
  std::vector<float> a(64), b(64);
  eyrie_tensor_t good[2] = {F32(a, {2, 8}), F32(b, {2, 8})}, output = {};
  auto refuse = [&](auto change, const char* message) {
    eyrie_tensor_t inputs[2] = {good[0], good[1]};
    change(inputs);
    EXPECT_STATUS(session.Call(inputs, 2, &output, 1), EYRIE_INVALID_ARGUMENT, message);
    output = {};
    EXPECT_OK(session.Call(good, 2, &output, 1));
    output = {};
  };
  refuse([&](eyrie_tensor_t* in) { in[0] = F32(a, {8, 2}); }, "input 0 'a': expected nx8xf32, got 8x2xf32");
  refuse([&](eyrie_tensor_t* in) { in[0] = F32(a, {8}); }, "expected nx8xf32, got 8xf32");
  refuse([&](eyrie_tensor_t* in) { in[1] = F32(b, {3, 8}); }, "dimension 'n' is 2 in input 0, but 3 in input 1 'b'");
  refuse([&](eyrie_tensor_t* in) { in[0].type = EYRIE_I32; }, "expected nx8xf32, got 2x8xi32");
  refuse([&](eyrie_tensor_t* in) { in[0].type = 99; }, "got 2x8x?");
  refuse([&](eyrie_tensor_t* in) { in[0].dims[0] = -1; }, "got -1x8xf32");
  refuse([&](eyrie_tensor_t* in) { in[0].rank = 1000; }, "rank 1000");
  refuse([&](eyrie_tensor_t* in) { in[0].data = nullptr; }, "no data");
  refuse([&](eyrie_tensor_t* in) { in[0].size_bytes = 63; }, "takes 64 bytes, but only 63");
  refuse([&](eyrie_tensor_t* in) { in[0].data = reinterpret_cast<char*>(a.data()) + 1; }, "not aligned");
  EXPECT_STATUS(session.Call(good, 1, &output, 1), EYRIE_INVALID_ARGUMENT, "takes 2 inputs, got 1");
  EXPECT_STATUS(session.Call(good, 2, &output, 0), EYRIE_INVALID_ARGUMENT, "gives 1 outputs");
  EXPECT_STATUS(Status(eyrie_call(session.instance, 7, good, 2, &output, 1, nullptr)), EYRIE_NOT_FOUND, "function 7");
  eyrie_tensor_t huge[2] = {good[0], good[1]};
  huge[0].dims[0] = huge[1].dims[0] = int64_t{1} << 62;
  EXPECT_STATUS(session.Call(huge, 2, &output, 1), EYRIE_OUT_OF_RANGE, "elements");
}

TEST(Session, TakesEmptyTensors) {
  Session session(AddScaleModule());
  eyrie_tensor_t inputs[2] = {}, output = {};
  for (eyrie_tensor_t& input : inputs) {
    input.type = EYRIE_F32;
    input.rank = 2;
    input.dims[1] = 8;
  }
  ASSERT_OK(session.Call(inputs, 2, &output, 1));
  EXPECT_EQ(output.size_bytes, 0u);
  EXPECT_NE(output.data, nullptr);
  EXPECT_EQ(output.dims[0], 0);
}

TEST(Session, DoesNotAllocateAfterTheFirstCall) {
  for (uint32_t threads : {0u, 3u}) {
    Session session(AddScaleModule(), threads);
    std::vector<float> a(8 * 1000), b(8 * 1000);
    eyrie_tensor_t inputs[2] = {F32(a, {1000, 8}), F32(b, {1000, 8})}, output = {};
    ASSERT_OK(session.Call(inputs, 2, &output, 1));
    eyrie_runtime_stats_t before, after;
    eyrie_runtime_get_stats(session.runtime, &before);
    for (int i = 0; i < 100; ++i) {
      output = {};
      ASSERT_OK(session.Call(inputs, 2, &output, 1));
      inputs[0].dims[0] = inputs[1].dims[0] = 1 + i;  // smaller shapes fit in what is there
    }
    eyrie_runtime_get_stats(session.runtime, &after);
    EXPECT_EQ(before.allocations, after.allocations);
    EXPECT_EQ(before.bytes, after.bytes);
  }
}

TEST(Session, GivesTheSameForAnyNumberOfThreads) {
  std::vector<float> a(8 * 4099), b(8 * 4099);
  for (size_t i = 0; i < a.size(); ++i) a[i] = 0.37f * i, b[i] = 1.0f / (i + 1);
  std::vector<float> first;
  for (uint32_t threads : {0u, 1u, 2u, 4u, 7u}) {
    Session session(AddScaleModule(), threads);
    for (int round = 0; round < 20; ++round) {
      eyrie_tensor_t inputs[2] = {F32(a, {4099, 8}), F32(b, {4099, 8})}, output = {};
      ASSERT_OK(session.Call(inputs, 2, &output, 1));
      auto* data = static_cast<float*>(output.data);
      if (first.empty()) first.assign(data, data + a.size());
      ASSERT_EQ(memcmp(first.data(), data, a.size() * 4), 0);
    }
  }
}

TEST(Session, ReportsKernelErrors) {
  for (uint32_t threads : {0u, 4u}) {
    for (auto [code, status, message] : {std::tuple{1, EYRIE_INVALID_ARGUMENT, "index is out of range"},
                                         std::tuple{2, EYRIE_INVALID_ARGUMENT, "divided by zero"},
                                         std::tuple{-7, EYRIE_INTERNAL, "unknown error -7"}}) {
      Module module = AddScaleModule();
      Function f;
      f.Const(0, code).Const(1, 100).Op(VmOp::kDispatch, {2, 1, 1, 1, 1, 0, 0}).Op(VmOp::kReturn);
      f.name = "broken";
      module.functions.push_back(f);
      Session session(module, threads);
      EXPECT_STATUS(Status(eyrie_call(session.instance, 1, nullptr, 0, nullptr, 0, nullptr)), status, message);
      session.ExpectGoodCall();
    }
  }
}

TEST(Session, GivesKernelsLocalMemory) {
  for (uint32_t threads : {0u, 4u}) {
    Module module = AddScaleModule();
    Function f;
    f.name = "local";
    f.results = {{"y", 17, {1000}}};
    f.Const(0, 4).Const(1, 1000).Const(2, 1).Const(3, 0).Const(4, 4000);
    f.Op(VmOp::kBufResult, {0, 0, 1, 1}).Op(VmOp::kDispatch, {3, 1, 2, 2, 1, 0, 1, 0, 3, 4}).Op(VmOp::kReturn);
    module.functions.push_back(f);
    Session session(module, threads);
    eyrie_tensor_t output = {};
    ASSERT_OK(Status(eyrie_call(session.instance, 1, nullptr, 0, &output, 1, nullptr)));
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(static_cast<int32_t*>(output.data)[i], i + 1);
  }
}

TEST(Session, StopsEndlessPrograms) {
  Module module = AddScaleModule();
  Function spin;
  spin.name = "spin";
  spin.Op(VmOp::kBr, {0});
  Function dispatches;
  dispatches.name = "dispatches";
  dispatches.Const(0, 1).Op(VmOp::kDispatch, {4, 0, 0, 0, 0, 0}).Op(VmOp::kBr, {0});
  module.functions.push_back(spin);
  module.functions.push_back(dispatches);
  Session session(module);
  eyrie_call_options_t options = {sizeof(options), 20000000};
  for (uint32_t function : {1u, 2u}) {
    EXPECT_STATUS(Status(eyrie_call(session.instance, function, nullptr, 0, nullptr, 0, &options)),
                  EYRIE_DEADLINE_EXCEEDED, "");
    session.ExpectGoodCall();
  }
  pthread_t thread;
  auto cancel = [](void* instance) -> void* {
    usleep(20000);
    eyrie_instance_cancel(static_cast<eyrie_instance_t*>(instance));
    return nullptr;
  };
  pthread_create(&thread, nullptr, cancel, session.instance);
  EXPECT_STATUS(Status(eyrie_call(session.instance, 1, nullptr, 0, nullptr, 0, nullptr)), EYRIE_CANCELLED, "");
  pthread_join(thread, nullptr);
  session.ExpectGoodCall();
}

TEST(Session, RunsManyInstancesAtOnce) {
  Session session(AddScaleModule(), 3);
  auto work = [](void* argument) -> void* {
    auto& session = *static_cast<Session*>(argument);
    eyrie_instance_t* instance;
    EXPECT_OK(Status(eyrie_instance_create(session.module, nullptr, &instance)));
    std::vector<float> a(8 * 200, 1), b(8 * 200, 2);
    eyrie_tensor_t inputs[2] = {F32(a, {200, 8}), F32(b, {200, 8})};
    for (int i = 0; i < 200; ++i) {
      eyrie_tensor_t output = {};
      EXPECT_OK(Status(eyrie_call(instance, 0, inputs, 2, &output, 1, nullptr)));
      EXPECT_EQ(static_cast<float*>(output.data)[1599], 24.0f);
    }
    eyrie_instance_destroy(instance);
    return nullptr;
  };
  pthread_t threads[4];
  for (pthread_t& thread : threads) pthread_create(&thread, nullptr, work, &session);
  for (pthread_t& thread : threads) pthread_join(thread, nullptr);
}

TEST(Session, Reflects) {
  Session session(AddScaleModule());
  eyrie_module_info_t info;
  eyrie_module_get_info(session.module, &info);
  EXPECT_EQ(info.function_count, 1u);
  EXPECT_EQ(info.section_count, 5u);
  uint32_t index = 9;
  EXPECT_OK(Status(eyrie_module_find(session.module, "", &index)));
  EXPECT_OK(Status(eyrie_module_find(session.module, "main", &index)));
  EXPECT_EQ(index, 0u);
  EXPECT_STATUS(Status(eyrie_module_find(session.module, "x", &index)), EYRIE_NOT_FOUND, "it has: main");
  eyrie_value_info_t value;
  EXPECT_OK(Status(eyrie_module_argument(session.module, 0, 1, &value)));
  EXPECT_STREQ(value.name, "b");
  EXPECT_EQ(value.dims[0].size, -1);
  EXPECT_STREQ(value.dims[0].symbol, "n");
  EXPECT_EQ(value.dims[1].size, 8);
  EXPECT_STATUS(Status(eyrie_module_result(session.module, 0, 1, &value)), EYRIE_NOT_FOUND, "result 1");
  eyrie_export_info_t item;
  EXPECT_OK(Status(eyrie_module_export(session.module, 1, &item)));
  EXPECT_STREQ(item.symbol, "scale");
  EXPECT_STREQ(eyrie_module_export_node(session.module, 1, 0), "node_of_scale");
  EXPECT_STREQ(eyrie_module_export_node(session.module, 1, 1), "second");
  EXPECT_EQ(eyrie_module_export_node(session.module, 1, 2), nullptr);
  EXPECT_EQ(item.node_count, 2u);
  size_t needed = 0;
  EXPECT_OK(Status(eyrie_module_disassemble(session.module, 0, nullptr, 0, &needed)));
  std::vector<char> text(needed);
  EXPECT_OK(Status(eyrie_module_disassemble(session.module, 0, text.data(), text.size(), nullptr)));
  EXPECT_EQ(strlen(text.data()) + 1, needed);
  EXPECT_NE(strstr(text.data(), "cmd.dispatch add#0, r7, r5, r5, [r2], {b0[r4, r3], b1[r4, r3], b3[r4, r3]}"), nullptr)
      << text.data();
}

TEST(Session, LeavesTheMemoryAsItWas) {
  eyrie_runtime_t* runtime;
  ASSERT_OK(Status(eyrie_runtime_create(nullptr, &runtime)));
  std::vector<uint8_t> bytes = AddScaleModule().Build();
  eyrie_runtime_stats_t before, after;
  eyrie_runtime_get_stats(runtime, &before);
  for (int i = 0; i < 50; ++i) {
    Session session(runtime, bytes);
    session.ExpectGoodCall();
  }
  eyrie_runtime_get_stats(runtime, &after);
  EXPECT_EQ(before.bytes, after.bytes);
  eyrie_runtime_destroy(runtime);
}

// Resident memory, in bytes.
uint64_t Resident() {
  FILE* file = fopen("/proc/self/statm", "r");
  unsigned long long total = 0, resident = 0;
  if (!file || fscanf(file, "%llu %llu", &total, &resident) != 2) return 0;
  fclose(file);
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

TEST(Session, MapsWeightsAndDoesNotReadThem) {
  constexpr uint64_t kSize = uint64_t{400} << 20;
  // A file with a hole of 400 MB: its header is that of a module with as many weights.
  Module module = AddScaleModule();
  module.weights.assign(abi::kWeightChunk, 0);
  std::vector<uint8_t> bytes = module.Build();
  uint32_t chunk_crc, last = 4;
  abi::SectionEntry checks, weights;
  memcpy(&checks, &bytes[64 + 3 * sizeof(checks)], sizeof(checks));
  memcpy(&weights, &bytes[64 + last * sizeof(weights)], sizeof(weights));
  memcpy(&chunk_crc, &bytes[checks.offset], 4);
  bytes.resize(checks.offset);
  std::vector<uint32_t> crcs(kSize / abi::kWeightChunk, chunk_crc);
  bytes.insert(bytes.end(), reinterpret_cast<uint8_t*>(crcs.data()),
               reinterpret_cast<uint8_t*>(crcs.data() + crcs.size()));
  bytes.resize((bytes.size() + 4095) / 4096 * 4096);
  checks.size = crcs.size() * 4;
  weights.offset = bytes.size();
  weights.size = kSize;
  memcpy(&bytes[64 + 3 * sizeof(checks)], &checks, sizeof(checks));
  memcpy(&bytes[64 + last * sizeof(weights)], &weights, sizeof(weights));
  uint64_t file_size = bytes.size() + kSize;
  memcpy(&bytes[offsetof(abi::FileHeader, file_size)], &file_size, 8);
  Reseal(bytes);
  char path[] = "/tmp/eyrie_weights_XXXXXX";
  int fd = mkstemp(path);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  ASSERT_EQ(ftruncate(fd, static_cast<off_t>(file_size)), 0);
  close(fd);

  Session session(AddScaleModule());
  uint64_t before = Resident();
  eyrie_module_t* loaded = nullptr;
  EXPECT_OK(Status(eyrie_module_load_file(session.runtime, path, nullptr, &loaded)));
  EXPECT_LT(Resident() - before, uint64_t{20} << 20);
  EXPECT_OK(Status(eyrie_module_verify(loaded)));
  eyrie_module_destroy(loaded);
  unlink(path);
}

}  // namespace
}  // namespace eyrie::rt::testing
