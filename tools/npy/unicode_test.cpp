#include "tools/npy/unicode.h"

#include <gtest/gtest.h>

namespace eyrie::npy {
namespace {

TEST(Unicode, every_code_point_comes_back) {
  for (uint32_t code = 0; code < 0x110010; ++code) {
    std::string text;
    bool is_code = code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
    ASSERT_EQ(AppendUtf8(code, &text), is_code) << code;
    std::vector<uint32_t> codes;
    if (!is_code) continue;
    ASSERT_TRUE(ReadUtf8(text, &codes)) << code;
    ASSERT_EQ(codes, std::vector<uint32_t>{code});
  }
}

TEST(Unicode, broken_text_is_refused) {
  std::vector<uint32_t> codes;
  for (const char* text : {"\x80", "\xC3", "\xE2\x82", "\xF0\x9F\x98", "\xC0\xAF", "\xE0\x80\xAF",
                           "\xF8\x88\x80\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "a\xC3(", "\xFF"})
    EXPECT_FALSE(ReadUtf8(text, &codes)) << text;
  codes.clear();
  EXPECT_TRUE(ReadUtf8("", &codes));
  EXPECT_TRUE(codes.empty());
}

}  // namespace
}  // namespace eyrie::npy
