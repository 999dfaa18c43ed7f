#include "tools/eyrie/strings.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tools/eyrie/elements.h"
#include "tools/eyrie/testing/errors.h"

namespace eyrie::cli {
namespace {

eyrie_tensor_t View(const std::vector<eyrie_string_t>& strings) {
  eyrie_tensor_t tensor = {};
  tensor.data = const_cast<eyrie_string_t*>(strings.data());
  tensor.size_bytes = strings.size() * sizeof(eyrie_string_t);
  tensor.type = EYRIE_STRING;
  tensor.rank = 1;
  tensor.dims[0] = static_cast<int64_t>(strings.size());
  return tensor;
}

npy::Array ReadBack(const NpyFile& file) {
  std::string bytes = file.header + std::string(reinterpret_cast<const char*>(file.data.data), file.data.size), error;
  npy::Array array;
  EXPECT_TRUE(npy::ReadNpy({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, &array, &error)) << error;
  return array;
}

npy::Array ArrayOf(char kind, uint32_t item_size, const std::string& bytes) {
  npy::Array array;
  array.kind = kind;
  array.item_size = item_size;
  array.shape = {item_size == 0 ? 1 : static_cast<int64_t>(bytes.size() / item_size)};
  EXPECT_TRUE(npy::Bytes::Allocate(bytes.size(), &array.data));
  if (!bytes.empty()) std::memcpy(array.data.data(), bytes.data(), bytes.size());
  return array;
}

std::string At(const Tensor& tensor, size_t index) { return std::string(LoadString(tensor.data.data(), index)); }

TEST(Strings, WhatIsWrittenIsRead) {
  std::vector<eyrie_string_t> strings = {{"a", 1}, {nullptr, 0}, {"\xe2\x82\xac\xf0\x9f\xa6\x85", 7}, {"x\0y", 3}};
  npy::Array array = ReadBack(StringsToNpy(View(strings), "y"));
  EXPECT_EQ(array.Descr(), "<U3");
  Tensor tensor = StringsFromArray(array, "x", "a file");
  ASSERT_EQ(tensor.count(), 4u);
  for (size_t i = 0; i < 4; ++i)
    EXPECT_EQ(At(tensor, i), std::string(strings[i].size ? strings[i].data : "", strings[i].size));
}

TEST(Strings, EmptyTensorsAndEmptyStringsHaveOneCharacter) {
  EXPECT_EQ(ReadBack(StringsToNpy(View({}), "y")).Descr(), "<U1");
  EXPECT_EQ(ReadBack(StringsToNpy(View({{nullptr, 0}}), "y")).Descr(), "<U1");
}

TEST(Strings, BytesAreTakenAsTheyAre) {
  Tensor tensor = StringsFromArray(ArrayOf('S', 2, std::string("ab\xff\0\0\0", 6)), "x", "a file");
  EXPECT_EQ(At(tensor, 0), "ab");
  EXPECT_EQ(At(tensor, 1), "\xff");
  EXPECT_EQ(At(tensor, 2), "");
}

TEST(Strings, WhatIsNoTextIsRefused) {
  std::string surrogate("a\0\0\0\x00\xd8\0\0", 8);
  EXPECT_EQ(ErrorOf([&] { StringsFromArray(ArrayOf('U', 4, surrogate), "x", "'f'"); }),
            "'x': element 1 has U+D800, which is not a character, in 'f'");
  EXPECT_EQ(ErrorOf([&] { StringsFromArray(ArrayOf('U', 0, ""), "x", "'f'"); }),
            "'x': found strings of size zero in 'f'");
  EXPECT_EQ(ErrorOf([&] { StringsToNpy(View({{"a", 1}, {"\xff", 1}}), "y"); }),
            "'y': element 1 is not UTF-8 (\"\\xff\"), so that an .npy file cannot hold it");
}

TEST(Strings, OneStringForAll) {
  Tensor tensor = MakeStrings({2, 2}, {"ab"});
  EXPECT_EQ(At(tensor, 3), "ab");
  tensor = MakeStrings({2}, {"ab", "c"});
  Tensor moved = std::move(tensor);
  EXPECT_EQ(At(moved, 0), "ab");
  EXPECT_EQ(At(moved, 1), "c");
  EXPECT_EQ(MakeStrings({0}, {""}).count(), 0u);
}

TEST(Strings, PrintedInQuotes) {
  EXPECT_EQ(Quoted("say \"it's\"\n\\ \xc3\xa9"), "\"say \\\"it's\\\"\\x0a\\\\ \xc3\xa9\"");
  EXPECT_EQ(Quoted("\xff\xc3\xa9"), "\"\\xff\\xc3\\xa9\"");
  eyrie_string_t strings[] = {{"a", 1}, {"bcd", 3}};
  std::vector<eyrie_string_t> list(strings, strings + 2);
  EXPECT_EQ(TensorText(View(list)), "[\"a\" \"bcd\"]\n");
}

}  // namespace
}  // namespace eyrie::cli
