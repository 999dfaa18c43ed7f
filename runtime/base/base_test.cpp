// Status, arrays, text, checksums.
#include <gtest/gtest.h>

#include "abi/crc32c.h"
#include "runtime/base/allocator.h"
#include "runtime/base/checked.h"
#include "runtime/base/queue.h"
#include "runtime/base/text.h"
#include "runtime/testing/session.h"

namespace eyrie::rt {
namespace {

TEST(Status, CarriesCodeAndMessage) {
  EXPECT_TRUE(Status().ok());
  EXPECT_STREQ(Status().message(), "");
  Status status = Error(EYRIE_NOT_FOUND, "no %s in %d", "egg", 3);
  EXPECT_EQ(status.code(), EYRIE_NOT_FOUND);
  EXPECT_STREQ(status.message(), "no egg in 3");
  status = Annotate(std::move(status), "nest %d", 7);
  EXPECT_STREQ(status.message(), "nest 7: no egg in 3");
  EXPECT_TRUE(Annotate(Status(), "x").ok());
  std::string longer(5000, 'x');
  EXPECT_EQ(strlen(Error(EYRIE_INTERNAL, "%s", longer.c_str()).message()), 5000u);
  EXPECT_STREQ(OutOfMemory().message(), "out of memory");
  EXPECT_STREQ(eyrie_code_name(EYRIE_INCOMPATIBLE), "INCOMPATIBLE");
  EXPECT_STREQ(eyrie_code_name(static_cast<eyrie_code_t>(31)), "UNKNOWN");
}

TEST(Queue, RemovesFromAnyPlace) {
  struct Node {
    int value;
    Node* next;
  };
  for (int removed = 0; removed < 3; ++removed) {
    Node nodes[4] = {{0, nullptr}, {1, nullptr}, {2, nullptr}, {3, nullptr}};
    Queue<Node, &Node::next> queue;
    for (int i = 0; i < 3; ++i) queue.Push(&nodes[i]);
    EXPECT_TRUE(queue.Remove(&nodes[removed]));
    EXPECT_FALSE(queue.Remove(&nodes[removed]));
    queue.Push(&nodes[3]);
    for (int i = 0; i < 4; ++i)
      if (i != removed) EXPECT_EQ(queue.Pop(), &nodes[i]);
    EXPECT_TRUE(queue.empty());
    queue.Push(&nodes[0]);
    EXPECT_TRUE(queue.Remove(&nodes[0]));
    EXPECT_EQ(queue.Pop(), nullptr);
    queue.Push(&nodes[1]);
    EXPECT_EQ(queue.Pop(), &nodes[1]);
  }
}

TEST(Array, GrowsAndKeepsItsMemory) {
  Allocator allocator{eyrie_allocator_t{}};
  {
    Array<int> array(allocator);
    for (int i = 0; i < 1000; ++i) ASSERT_OK(array.Push(i));
    EXPECT_EQ(array[999], 999);
    uint64_t before = allocator.allocations();
    array.Clear();
    ASSERT_OK(array.Resize(1000));
    EXPECT_EQ(array[999], 0);
    EXPECT_EQ(allocator.allocations(), before);
    EXPECT_FALSE(array.Reserve(SIZE_MAX / 4).ok());
    EXPECT_EQ(array.size(), 1000u);
  }
  EXPECT_EQ(allocator.bytes(), 0u);
  EXPECT_GE(allocator.peak_bytes(), 4000u);
}

TEST(Text, IsCutAndCounted) {
  char memory[8];
  Text text(memory, sizeof(memory));
  text.Print("%s", "egg");
  text.Print(" and %d more", 12);
  EXPECT_STREQ(memory, "egg and");
  EXPECT_EQ(text.size(), strlen("egg and 12 more"));
}

TEST(Checked, Ranges) {
  EXPECT_TRUE(InRange(0, 0, 0));
  EXPECT_TRUE(InRange(4, 4, 8));
  EXPECT_FALSE(InRange(4, 5, 8));
  EXPECT_FALSE(InRange(UINT64_MAX, 2, 8));
  EXPECT_FALSE(InRange(2, UINT64_MAX, 8));
}

TEST(Crc32c, HardwareAndTableAgree) {
  EXPECT_EQ(abi::Crc32c("123456789", 9), 0xe3069283u);
  std::vector<uint8_t> bytes(1000);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 37);
  for (size_t size : {0u, 1u, 7u, 8u, 9u, 1000u}) {
    EXPECT_EQ(abi::Crc32c(bytes.data(), size), ~abi::crc32c_detail::Portable(~0u, bytes.data(), size));
    EXPECT_EQ(abi::Crc32c(bytes.data() + size / 2, size - size / 2, abi::Crc32c(bytes.data(), size / 2)),
              abi::Crc32c(bytes.data(), size));
  }
}

TEST(Types, SizesOfTensors) {
  size_t bytes = 0;
  const int64_t dims[] = {3, 5};
  EXPECT_OK(Status(eyrie_tensor_bytes(EYRIE_F32, 2, dims, &bytes)));
  EXPECT_EQ(bytes, 60u);
  EXPECT_OK(Status(eyrie_tensor_bytes(EYRIE_I4, 2, dims, &bytes)));
  EXPECT_EQ(bytes, 8u);
  EXPECT_OK(Status(eyrie_tensor_bytes(EYRIE_COMPLEX128, 0, nullptr, &bytes)));
  EXPECT_EQ(bytes, 16u);
  const int64_t huge[] = {int64_t{1} << 32, int64_t{1} << 32, 0};
  EXPECT_OK(Status(eyrie_tensor_bytes(EYRIE_F32, 3, huge, &bytes)));
  EXPECT_EQ(bytes, 0u);
  EXPECT_STATUS(Status(eyrie_tensor_bytes(EYRIE_F32, 2, huge, &bytes)), EYRIE_OUT_OF_RANGE, "2^64");
  EXPECT_STATUS(Status(eyrie_tensor_bytes(99, 2, dims, &bytes)), EYRIE_INVALID_ARGUMENT, "99");
  EXPECT_OK(Status(eyrie_tensor_bytes(EYRIE_STRING, 2, dims, &bytes)));
  EXPECT_EQ(bytes, 15 * sizeof(eyrie_string_t));
  EXPECT_EQ(eyrie_type_bits(EYRIE_STRING), 8 * sizeof(eyrie_string_t));
  EXPECT_OK(Status(eyrie_tensor_bytes(EYRIE_SEQUENCE, 1, dims, &bytes)));
  EXPECT_EQ(bytes, 3 * sizeof(eyrie_tensor_t));
  EXPECT_EQ(eyrie_type_bits(EYRIE_SEQUENCE), 0u);
  EXPECT_EQ(eyrie_type_name(EYRIE_SEQUENCE), nullptr);
  EXPECT_EQ(eyrie_type_from_name("bf16"), static_cast<uint32_t>(EYRIE_BF16));
  EXPECT_EQ(eyrie_type_from_name("x"), 0u);
  EXPECT_STREQ(eyrie_type_npy(EYRIE_F16), "<f2");
}

}  // namespace
}  // namespace eyrie::rt
