// What commands do: fills, copies, dispatches and barriers in all sizes and places.
#include <cstring>

#include "runtime/testing/cts.h"

namespace eyrie::rt::hal {
namespace {

TEST_P(Cts, EmptySubmissions) {
  ASSERT_OK(commands->Begin());
  EXPECT_OK(commands->Barrier());
  EXPECT_OK(commands->Barrier());
  EXPECT_TRUE(commands->empty());
  Semaphore timeline(0);
  SemaphoreValue signal = {&timeline, 1};
  ASSERT_OK(Submit({&signal, 1}));
  EXPECT_EQ(timeline.value(), 1u);
  // Commands that do nothing, between barriers.
  Buffer* buffer = Allocate(64);
  ASSERT_OK(commands->Begin());
  for (int i = 0; i < 3; ++i) {
    EXPECT_OK(commands->Barrier());
    EXPECT_OK(Dispatch(0, {0}, {{buffer, 64, 0}, {buffer, 0, 0}, {buffer, 7, 0}}, 0));
    EXPECT_OK(commands->Copy({buffer, 3, 0}, {buffer, 3, 0}));
    EXPECT_OK(commands->Fill({buffer, 64, 0}, 1, 1));
  }
  EXPECT_OK(commands->Barrier());
  ASSERT_OK(Submit());
  ASSERT_OK(device->Submit({commands, {}, {}, nullptr, {}}));
  device->ReleaseBuffer(buffer);
}

TEST_P(Cts, EmptyBuffers) {
  Buffer *empty = Allocate(0), *buffer = Allocate(64);
  auto imported = device->ImportHostMemory(nullptr, 0, true);
  ASSERT_OK(std::move(imported.status()));
  ASSERT_OK(commands->Begin());
  for (Buffer* each : {empty, imported.value()}) {
    EXPECT_EQ(each->size(), 0u);
    Binding nothing = {each, 0, 0};
    EXPECT_OK(commands->Copy(nothing, {buffer, 64, 0}));
    EXPECT_OK(commands->Copy({buffer, 0, 0}, nothing));
    for (uint32_t bytes : {1u, 2u, 4u, 8u}) EXPECT_OK(commands->Fill(nothing, 5, bytes));
    EXPECT_OK(Dispatch(0, {0}, {nothing, nothing, nothing}, 3));  // workgroups that touch nothing
    EXPECT_EQ(commands->Fill({each, 0, 1}, 5, 1).code(), EYRIE_OUT_OF_RANGE);
    EXPECT_EQ(commands->Fill({each, 1, 0}, 5, 1).code(), EYRIE_OUT_OF_RANGE);
  }
  ASSERT_OK(Submit());
  for (Buffer* each : {empty, imported.value(), buffer}) device->ReleaseBuffer(each);
}

TEST_P(Cts, FillsOfAllPatterns) {
  constexpr uint64_t kSize = (uint64_t{3} << 18) + 100;  // more than one piece of a thread
  Buffer* buffer = Allocate(kSize);
  for (uint32_t bytes : {1u, 2u, 4u, 8u})
    for (uint64_t pattern : {uint64_t{0}, uint64_t{0x7777777777777777}, uint64_t{0x8182838485868788}})
      for (uint64_t offset : {0u, 1u, 5u, 16u})
        for (uint64_t length : {uint64_t{0}, uint64_t{bytes}, uint64_t{24}, (kSize - offset) / 8 * 8}) {
          memset(buffer->host(), 0x55, kSize);
          ASSERT_OK(commands->Begin());
          ASSERT_OK(commands->Fill({buffer, offset, length}, pattern, bytes));
          ASSERT_OK(Submit());
          if (!GetParam().runs) continue;
          for (uint64_t i = 0; i < kSize; ++i) {
            bool is_inside = i >= offset && i - offset < length;
            auto expected = static_cast<uint8_t>(is_inside ? pattern >> 8 * ((i - offset) % bytes) : 0x55);
            ASSERT_EQ(buffer->host()[i], expected) << bytes << " " << offset << " " << length << " " << i;
          }
        }
  device->ReleaseBuffer(buffer);
}

TEST_P(Cts, CopiesAtAnyOffset) {
  constexpr uint64_t kSize = (uint64_t{5} << 18) + 77;
  Buffer *source = Allocate(kSize), *destination = Allocate(kSize);
  for (uint64_t i = 0; i < kSize; ++i) source->host()[i] = static_cast<uint8_t>(i * 7 + i / 251);
  for (uint64_t from : {0u, 1u, 3u, 63u})
    for (uint64_t to : {0u, 1u, 2u, 65u})
      for (uint64_t length : {uint64_t{0}, uint64_t{1}, uint64_t{7}, uint64_t{4097}, kSize - 65}) {
        memset(destination->host(), 0xee, kSize);
        ASSERT_OK(commands->Begin());
        ASSERT_OK(commands->Copy({source, from, length}, {destination, to, length}));
        ASSERT_OK(Submit());
        if (!GetParam().runs) continue;
        ASSERT_EQ(memcmp(destination->host() + to, source->host() + from, length), 0);
        if (to) EXPECT_EQ(destination->host()[to - 1], 0xee);
        if (to + length < kSize) EXPECT_EQ(destination->host()[to + length], 0xee);
      }
  // Within one buffer, side by side.
  ASSERT_OK(commands->Begin());
  EXPECT_OK(commands->Copy({source, 1, 1001}, {source, 1002, 1001}));
  EXPECT_EQ(commands->Copy({source, 1, 1001}, {source, 1001, 1001}).code(), EYRIE_INVALID_ARGUMENT);
  EXPECT_EQ(commands->Copy({source, 1001, 1001}, {source, 1, 1001}).code(), EYRIE_INVALID_ARGUMENT);
  ASSERT_OK(Submit());
  if (GetParam().runs) EXPECT_EQ(memcmp(source->host() + 1, source->host() + 1002, 1001), 0);
  for (Buffer* each : {source, destination}) device->ReleaseBuffer(each);
}

TEST_P(Cts, VeryManyCommands) {
  constexpr uint64_t kCount = 70000;  // more than 16 bits
  Buffer* buffer = Allocate(kCount * 16);
  auto* words = reinterpret_cast<uint32_t*>(buffer->host());
  for (bool has_barriers : {false, true}) {
    memset(buffer->host(), 0, buffer->size());
    ASSERT_OK(commands->Begin());
    for (uint64_t i = 0; i < kCount; ++i) {
      ASSERT_OK(commands->Fill({buffer, i * 16, 4}, i, 4));
      if (has_barriers) ASSERT_OK(commands->Barrier());
      ASSERT_OK(Dispatch(3, {4}, {{buffer, i * 16 + 4, 12}}, 3));
    }
    ASSERT_OK(Submit());
    if (!GetParam().runs) continue;
    for (uint64_t i = 0; i < kCount; ++i) {
      const uint32_t expected[] = {static_cast<uint32_t>(i), 1, 2, 3};
      ASSERT_EQ(memcmp(words + i * 4, expected, sizeof(expected)), 0) << i;
    }
  }
  device->ReleaseBuffer(buffer);
}

// Every kind of command after every other: reads after writes, writes after reads, writes after writes.
TEST_P(Cts, BarriersOrderWrites) {
  constexpr uint64_t kCount = 200000;  // floats in each part, of many workgroups
  constexpr uint64_t kBytes = kCount * sizeof(float);
  Buffer* buffer = Allocate(3 * kBytes);
  auto* values = reinterpret_cast<float*>(buffer->host());
  memset(buffer->host(), 0, buffer->size());
  const Binding parts[3] = {{buffer, 0, kBytes}, {buffer, kBytes, kBytes}, {buffer, 2 * kBytes, kBytes}};
  auto add = [&](int a, int b, int c) {
    return Dispatch(0, {kCount}, {parts[a], parts[b], parts[c]}, (kCount + 63) / 64);
  };
  constexpr float kOne = 1;
  uint32_t one;
  memcpy(&one, &kOne, sizeof(one));
  ASSERT_OK(commands->Begin());
  ASSERT_OK(commands->Fill(parts[0], 0, 4));
  for (int round = 0; round < 20; ++round) {
    ASSERT_OK(commands->Fill(parts[1], one, 4));
    ASSERT_OK(commands->Barrier());
    ASSERT_OK(add(0, 1, 2));  // after the fill
    ASSERT_OK(commands->Barrier());
    ASSERT_OK(commands->Copy(parts[2], parts[0]));  // after the dispatch that reads 0 and writes 2
    ASSERT_OK(commands->Fill(parts[1], 0, 8));
    ASSERT_OK(commands->Barrier());
    ASSERT_OK(add(0, 0, 1));  // over the fill, after the copy
    ASSERT_OK(commands->Barrier());
    ASSERT_OK(add(0, 1, 2));  // over what was copied
    ASSERT_OK(commands->Barrier());
    ASSERT_OK(commands->Copy(parts[1], parts[2]));
    ASSERT_OK(commands->Barrier());
  }
  ASSERT_OK(Submit());
  if (GetParam().runs)
    for (uint64_t i = 0; i < kCount; ++i) {
      ASSERT_EQ(values[i], 20.0f);
      ASSERT_EQ(values[kCount + i], 40.0f);
      ASSERT_EQ(values[2 * kCount + i], 40.0f);
    }
  device->ReleaseBuffer(buffer);
}

TEST_P(Cts, EveryKernelError) {
  if (!GetParam().runs) return;
  struct {
    int64_t error;
    eyrie_code_t code;
    const char* text;
  } errors[] = {{1, EYRIE_INVALID_ARGUMENT, "fail: an index is out of range"},
                {2, EYRIE_INVALID_ARGUMENT, "fail: an integer is divided by zero"},
                {3, EYRIE_INVALID_ARGUMENT, "fail: a value breaks a condition"},
                {-7, EYRIE_INTERNAL, "fail: the kernel returned the unknown error -7"}};
  Buffer* buffer = Allocate(4 * 64);
  for (const auto& each : errors)
    for (uint64_t workgroups : {1u, 1000u}) {
      memset(buffer->host(), 0, 4 * 64);
      ASSERT_OK(commands->Begin());
      ASSERT_OK(Dispatch(3, {4}, {{buffer, 0, 256}}, 64));
      ASSERT_OK(commands->Barrier());
      ASSERT_OK(Dispatch(1, {each.error}, {}, workgroups));
      ASSERT_OK(commands->Barrier());
      ASSERT_OK(commands->Fill({buffer, 0, 4}, 99, 4));
      EXPECT_STATUS(Submit(), each.code, each.text);
      // What came before has been done, what came after has not; and again, when it is submitted again.
      EXPECT_EQ(buffer->host()[0], 1);
      EXPECT_STATUS(device->Submit({commands, {}, {}, nullptr, {}}), each.code, each.text);
      // The device goes on.
      ASSERT_OK(commands->Begin());
      ASSERT_OK(Dispatch(1, {0}, {}, workgroups));
      ASSERT_OK(commands->Fill({buffer, 0, 4}, 99, 4));
      EXPECT_OK(Submit());
      EXPECT_EQ(buffer->host()[0], 99);
    }
  device->ReleaseBuffer(buffer);
}

}  // namespace
}  // namespace eyrie::rt::hal
