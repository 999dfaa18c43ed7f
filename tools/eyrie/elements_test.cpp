#include "tools/eyrie/elements.h"

#include <eyrie/runtime.h>
#include <gtest/gtest.h>

#include <cmath>

namespace eyrie::cli {
namespace {

double Decode(uint32_t type, uint64_t bits) {
  uint8_t data[16] = {};
  StoreBits(type, data, 0, bits);
  return LoadReal(type, data, 0);
}

uint64_t Encode(uint32_t type, double value) {
  uint8_t data[16] = {};
  EXPECT_TRUE(StoreReal(type, data, 0, value)) << value;
  return LoadBits(type, data, 0);
}

TEST(Elements, EveryCodeOfASmallFloatSurvives) {
  for (uint32_t type : {EYRIE_F16, EYRIE_BF16, EYRIE_F8E4M3FN, EYRIE_F8E4M3FNUZ, EYRIE_F8E5M2, EYRIE_F8E5M2FNUZ,
                        EYRIE_F8E8M0FNU, EYRIE_F4E2M1FN}) {
    for (uint64_t bits = 0; bits < uint64_t{1} << eyrie_type_bits(type); ++bits) {
      double value = Decode(type, bits);
      if (!std::isnan(value)) EXPECT_EQ(Encode(type, value), bits) << eyrie_type_name(type) << " " << value;
    }
  }
}

TEST(Elements, KnownCodes) {
  EXPECT_EQ(Decode(EYRIE_F16, 0x3c00), 1);
  EXPECT_EQ(Decode(EYRIE_F16, 0x7bff), 65504);
  EXPECT_EQ(Decode(EYRIE_BF16, 0xc040), -3);
  EXPECT_EQ(Decode(EYRIE_F8E4M3FN, 0x7e), 448);
  EXPECT_TRUE(std::isnan(Decode(EYRIE_F8E4M3FN, 0x7f)));
  EXPECT_EQ(Decode(EYRIE_F8E4M3FNUZ, 0x7f), 240);
  EXPECT_TRUE(std::isnan(Decode(EYRIE_F8E4M3FNUZ, 0x80)));
  EXPECT_EQ(Decode(EYRIE_F8E5M2, 0x7b), 57344);
  EXPECT_TRUE(std::isinf(Decode(EYRIE_F8E5M2, 0x7c)));
  EXPECT_EQ(Decode(EYRIE_F8E5M2FNUZ, 0x7f), 57344);
  EXPECT_EQ(Decode(EYRIE_F8E8M0FNU, 128), 2);
  EXPECT_EQ(Decode(EYRIE_F4E2M1FN, 7), 6);
  EXPECT_EQ(Decode(EYRIE_I4, 0xf), -1);
  EXPECT_EQ(Decode(EYRIE_U2, 3), 3);
}

TEST(Elements, RoundingIsToNearestEven) {
  EXPECT_EQ(Encode(EYRIE_F16, 2049), 0x6800u);
  EXPECT_EQ(Encode(EYRIE_F16, 2051), 0x6802u);
  EXPECT_EQ(Encode(EYRIE_F16, 65520), 0x7c00u);
  EXPECT_EQ(Encode(EYRIE_F16, 65519), 0x7bffu);
  EXPECT_EQ(Encode(EYRIE_F4E2M1FN, 100), 7u);
  EXPECT_EQ(Encode(EYRIE_F4E2M1FN, 2.5), 4u);
  EXPECT_EQ(Encode(EYRIE_F8E4M3FN, 1e9), 0x7fu);
}

TEST(Elements, TextIsReadExactly) {
  uint8_t data[16] = {};
  EXPECT_TRUE(StoreText(EYRIE_I64, data, 0, "9007199254740993"));
  EXPECT_EQ(ElementText(EYRIE_I64, data, 0), "9007199254740993");
  EXPECT_TRUE(StoreText(EYRIE_U64, data, 0, "18446744073709551615"));
  EXPECT_EQ(ElementText(EYRIE_U64, data, 0), "18446744073709551615");
  EXPECT_TRUE(StoreText(EYRIE_BOOL, data, 0, "true"));
  EXPECT_EQ(ElementText(EYRIE_BOOL, data, 0), "true");
  EXPECT_TRUE(StoreText(EYRIE_I4, data, 1, "-8"));
  EXPECT_EQ(ElementText(EYRIE_I4, data, 1), "-8");
  for (const char* bad : {"", " 1", "x", "1.5", "128", "-129", "1e3"})
    EXPECT_FALSE(StoreText(EYRIE_I8, data, 0, bad)) << bad;
  EXPECT_FALSE(StoreText(EYRIE_U64, data, 0, "-1"));
  EXPECT_FALSE(StoreText(EYRIE_I64, data, 0, "9223372036854775808"));
  EXPECT_FALSE(StoreText(EYRIE_F32, data, 0, "0.5f"));
}

}  // namespace
}  // namespace eyrie::cli
