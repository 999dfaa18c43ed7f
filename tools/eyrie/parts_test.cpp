#include "tools/eyrie/parts.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tools/eyrie/testing/errors.h"

namespace eyrie::cli {
namespace {

const std::vector<Value> kValues = {{"x", EYRIE_F32, {}},
                                    {"s", EYRIE_F32, {}, true, true},
                                    {"s.1", EYRIE_I64, {}},
                                    {"a=b", EYRIE_F32, {{-1, nullptr}, {3, nullptr}}, true, false}};

TEST(Parts, TypesAreWritten) {
  EXPECT_EQ(TypeText(kValues[1]), "sequence of f32");
  EXPECT_EQ(TypeText(kValues[3]), "sequence of ?x3xf32");
  EXPECT_EQ(TypeText(ElementOf(kValues[1], 7)), "f32 of any rank");
  EXPECT_EQ(ElementOf(kValues[3], 7).name, "a=b.7");
}

TEST(Parts, NamesOfValuesWin) {
  Part part;
  ASSERT_TRUE(FindPart(kValues, "s.0", &part));
  EXPECT_EQ(part.kind, Part::kElement);
  ASSERT_TRUE(FindPart(kValues, "s.1", &part));
  EXPECT_EQ(part.kind, Part::kWhole);
  EXPECT_EQ(part.value, 2u);
  ASSERT_TRUE(FindPart(kValues, "s.len", &part));
  EXPECT_EQ(part.kind, Part::kLength);
  for (const char* name : {"y", "x.0", "x.len", "s.", "s.-1", "s.01", "s.1.0", ".0", "s.9999999999999999999", "s.size"})
    EXPECT_FALSE(FindPart(kValues, name, &part)) << name;
}

TEST(Parts, TheLongestNameIsTaken) {
  std::string rest;
  Part part = SplitName(kValues, "a=b.12=f32=0.5", &rest, "--input");
  EXPECT_EQ(part.value, 3u);
  EXPECT_EQ(part.index, 12u);
  EXPECT_EQ(rest, "f32=0.5");
  EXPECT_EQ(ErrorOf([&] { SplitName(kValues, "x.0=1", &rest, "--input"); }),
            "--input: there is no 'x.0'; there is 'x' f32, 's' sequence of f32, 's.1' i64, 'a=b' sequence of ?x3xf32");
  EXPECT_EQ(ErrorOf([&] { SplitName(kValues, "x", &rest, "--input"); }), "--input 'x': expected NAME=... or @FILE.npz");
}

TEST(Parts, LengthsAgreeWithElements) {
  const Value& s = kValues[1];
  uint64_t zero = 0, two = 2, many = uint64_t{1} << 60;
  EXPECT_EQ(SettleLength(s, &zero, {}), 0u);
  EXPECT_EQ(SettleLength(s, nullptr, {0, 1, 2}), 3u);
  EXPECT_EQ(SettleLength(s, &two, {0, 1}), 2u);
  EXPECT_EQ(ErrorOf([&] { SettleLength(s, &two, {0, 1, 2}); }), "'s.len' is 2, but there is 's.2'");
  EXPECT_EQ(ErrorOf([&] { SettleLength(s, nullptr, {1, 3}); }),
            "the sequence 's' has 4 elements, of which there is no 's.0', 's.2'");
  EXPECT_EQ(
      ErrorOf([&] { SettleLength(s, &many, {1}); }),
      "the sequence 's' has 1152921504606846976 elements, of which there is no 's.0', 's.2', 's.3', 's.4', 's.5', "
      "'s.6', 's.7', 's.8', 's.9', 's.10', ...");
}

npy::Array Integer(char kind, uint32_t size, int64_t value) {
  npy::Array array;
  array.kind = kind;
  array.item_size = size;
  EXPECT_TRUE(npy::Bytes::Allocate(size, &array.data));
  std::memcpy(array.data.data(), &value, size);
  return array;
}

TEST(Parts, LengthsAreIntegersOfAnyType) {
  EXPECT_EQ(LengthFromArray(Integer('i', 8, 3), "s.len", "f"), 3u);
  EXPECT_EQ(LengthFromArray(Integer('u', 1, 200), "s.len", "f"), 200u);
  EXPECT_EQ(ErrorOf([] { LengthFromArray(Integer('i', 1, -1), "s.len", "f"); }),
            "'s.len': expected the number of elements, found -1 in f");
  EXPECT_EQ(ErrorOf([] { LengthFromArray(Integer('f', 4, 0), "s.len", "f"); }),
            "'s.len': expected one integer, found dtype '<f4' of shape scalar in f");
}

}  // namespace
}  // namespace eyrie::cli
