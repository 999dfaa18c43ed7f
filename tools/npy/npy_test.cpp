#include "tools/npy/npy.h"

#include <gtest/gtest.h>

#include <cstring>

namespace eyrie::npy {
namespace {

std::string File(const std::string& header, const std::string& data) {
  std::string file("\x93NUMPY\x01\x00", 8);
  file += static_cast<char>(header.size() & 0xff);
  file += static_cast<char>(header.size() >> 8);
  return file + header + data;
}

Span SpanOf(const std::string& text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }

std::string ErrorOf(const std::string& file) {
  Array array;
  std::string error;
  EXPECT_FALSE(ReadNpy(SpanOf(file), &array, &error));
  return error;
}

Array Read(const std::string& file) {
  Array array;
  std::string error;
  EXPECT_TRUE(ReadNpy(SpanOf(file), &array, &error)) << error;
  return array;
}

std::string Text(const Array& array) {
  return std::string(reinterpret_cast<const char*>(array.data.data()), array.data.size());
}

TEST(Npy, WhatIsWrittenIsRead) {
  std::vector<std::vector<int64_t>> shapes = {{}, {0}, {7}, {2, 3}, {2, 0, 3}};
  for (const std::vector<int64_t>& shape : shapes) {
    size_t count = 1;
    for (int64_t dim : shape) count *= static_cast<size_t>(dim);
    std::string data(count * 4, 'x');
    std::string header = NpyHeader("<f4", shape);
    EXPECT_EQ(header.size() % 64, 0u);
    Array array = Read(header + data);
    EXPECT_EQ(array.shape, shape);
    EXPECT_EQ(array.Descr(), "<f4");
    EXPECT_EQ(Text(array), data);
  }
}

TEST(Npy, FortranOrderBecomesRowMajor) {
  Array array = Read(File("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }\n", "adbecf"));
  EXPECT_EQ(Text(array), "abcdef");
}

TEST(Npy, BigEndianBecomesLittleEndian) {
  Array array = Read(File("{'descr': '>u2', 'fortran_order': False, 'shape': (2,), }", "abcd"));
  EXPECT_EQ(array.Descr(), "<u2");
  EXPECT_EQ(Text(array), "badc");
}

TEST(Npy, VersionsTwoAndThreeAreRead) {
  std::string header = "{'descr': '<U1', 'fortran_order': False, 'shape': (), }\n";
  for (char version : {2, 3}) {
    std::string file("\x93NUMPY", 6);
    file += version;
    file += std::string(1, '\0') + static_cast<char>(header.size()) + std::string(3, '\0') + header + "a" +
            std::string(3, '\0');
    EXPECT_EQ(Read(file).kind, 'U');
  }
}

TEST(Npy, HostileHeadersAreRefused) {
  EXPECT_EQ(ErrorOf(""), "it is not an .npy file");
  EXPECT_EQ(ErrorOf("not an array at all"), "it is not an .npy file");
  EXPECT_EQ(ErrorOf(std::string("\x93NUMPY\x09\x00\x00\x00", 10)), "its .npy version 9 is not known");
  EXPECT_EQ(ErrorOf(std::string("\x93NUMPY\x01\x00\xff\xff", 10)), "it ends within its header");
  auto descr = [](const std::string& type) {
    return ErrorOf(File("{'descr': '" + type + "', 'fortran_order': False, 'shape': (1,), }", "abcd"));
  };
  EXPECT_EQ(descr("|O"), "the element type '|O' is not supported");
  EXPECT_EQ(descr("<f3"), "the element type '<f3' is not supported");
  EXPECT_EQ(descr("<f99999999999"), "the element type '<f99999999999' is not supported");
  auto shape = [](const std::string& text) {
    return ErrorOf(File("{'descr': '<f4', 'fortran_order': False, 'shape': " + text + ", }", "abcd"));
  };
  EXPECT_EQ(shape("(-1,)"), "the shape is not a tuple of numbers");
  EXPECT_EQ(shape("(1"), "the shape is not a tuple of numbers");
  EXPECT_EQ(shape("(99999999999999999999,)"), "a dimension is too large");
  EXPECT_EQ(shape("(4611686018427387904, 4)"), "its shape 4611686018427387904x4 is too large");
  EXPECT_EQ(shape("(2,)"), "its shape needs 8 bytes of data, it has 4");
  std::string many = "(";
  for (int i = 0; i < 65; ++i) many += "1,";
  EXPECT_EQ(shape(many + ")"), "the shape has more than 64 dimensions");
  EXPECT_EQ(ErrorOf(File("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "abcd")),
            "arrays of structures are not supported");
  EXPECT_EQ(ErrorOf(File("{'descr': '<f4', 'fortran_order': 1, 'shape': (1,), }", "abcd")),
            "fortran_order is neither True nor False");
  EXPECT_EQ(ErrorOf(File("{'descr': '<f4', 'descr': '<f4', }", "")), "the header has an unknown or repeated key");
  EXPECT_EQ(ErrorOf(File("{'descr': '<f4', }", "")), "the header lacks descr, fortran_order or shape");
  EXPECT_EQ(ErrorOf(File("{'descr': '<f4", "")), "the header has an unfinished string");
  EXPECT_EQ(ErrorOf(File("{", "")), "the header lacks a string");
  EXPECT_EQ(ErrorOf(File("[]", "")), "the header is not a dictionary");
  EXPECT_EQ(ErrorOf(File("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } x", "abcd")),
            "the header has text after its dictionary");
}

TEST(Npy, EveryCutAndEveryFlippedBitIsHandled) {
  std::string file = NpyHeader("<f4", {2, 3}) + std::string(24, 'x');
  for (size_t size = 0; size < file.size(); ++size) ErrorOf(file.substr(0, size));
  for (size_t bit = 0; bit < file.size() * 8; ++bit) {
    std::string broken = file;
    broken[bit / 8] = static_cast<char>(broken[bit / 8] ^ (1 << (bit % 8)));
    Array array;
    std::string error;
    if (!ReadNpy(SpanOf(broken), &array, &error)) EXPECT_NE(error, "");
  }
}

}  // namespace
}  // namespace eyrie::npy
