#include "tools/npy/zip.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

namespace eyrie::npy {
namespace {

Span SpanOf(const std::string& text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }
std::string Text(const Bytes& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

std::string Temporary(const char* name) { return testing::TempDir() + name + std::to_string(getpid()); }

// An archive of the two stored entries a = "hello" and folder/b = "".
std::string Archive() {
  std::string path = Temporary("zip_test");
  OutputFile file;
  EXPECT_TRUE(file.Open(path)) << file.error();
  ZipWriter writer(&file);
  EXPECT_TRUE(writer.Add("a", SpanOf("he"), SpanOf("llo")));
  EXPECT_TRUE(writer.Add("folder/b", {}, {}));
  EXPECT_TRUE(writer.Finish() && file.Commit()) << file.error();
  Bytes bytes;
  std::string error;
  EXPECT_TRUE(ReadFile(path, &bytes, &error)) << error;
  unlink(path.c_str());
  return Text(bytes);
}

void Put(std::string* text, size_t at, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) (*text)[at + static_cast<size_t>(i)] = static_cast<char>(value >> (8 * i));
}

// An archive of one deflated entry "a".
std::string Deflated(const std::string& content, uint64_t claimed_size) {
  std::string packed(content.size() + 1024, '\0');
  z_stream stream = {};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  std::string local(31, '\0'), entry(47, '\0'), end(22, '\0');
  local[30] = entry[46] = 'a';
  Put(&local, 0, 0x04034b50, 4);
  Put(&local, 26, 1, 2);
  Put(&entry, 0, 0x02014b50, 4);
  Put(&entry, 10, 8, 2);
  Put(&entry, 16, crc32_z(0, SpanOf(content).data, content.size()), 4);
  Put(&entry, 20, packed.size(), 4);
  Put(&entry, 24, claimed_size, 4);
  Put(&entry, 28, 1, 2);
  Put(&end, 0, 0x06054b50, 4);
  Put(&end, 10, 1, 2);
  Put(&end, 12, entry.size(), 4);
  Put(&end, 16, local.size() + packed.size(), 4);
  return local + packed + entry + end;
}

std::string ErrorOf(const std::string& archive) {
  ZipReader reader;
  std::string error;
  if (!reader.Open(SpanOf(archive), &error)) return error;
  for (const ZipEntry& entry : reader.entries()) {
    Bytes bytes;
    if (!reader.Extract(entry, &bytes, &error)) return error;
  }
  return "";
}

TEST(Zip, WhatIsWrittenIsRead) {
  std::string archive = Archive();
  ZipReader reader;
  std::string error;
  ASSERT_TRUE(reader.Open(SpanOf(archive), &error)) << error;
  ASSERT_EQ(reader.entries().size(), 2u);
  Bytes bytes;
  ASSERT_NE(reader.Find("a"), nullptr);
  ASSERT_TRUE(reader.Extract(*reader.Find("a"), &bytes, &error)) << error;
  EXPECT_EQ(Text(bytes), "hello");
  ASSERT_NE(reader.Find("folder/b"), nullptr);
  ASSERT_TRUE(reader.Extract(*reader.Find("folder/b"), &bytes, &error)) << error;
  EXPECT_EQ(bytes.size(), 0u);
  EXPECT_EQ(reader.Find("b"), nullptr);
}

TEST(Zip, DeflatedEntriesAreRead) {
  std::string content;
  for (int i = 0; i < 10000; ++i) content += std::to_string(i * 7919);
  std::string archive = Deflated(content, content.size());
  ZipReader reader;
  std::string error;
  Bytes bytes;
  ASSERT_TRUE(reader.Open(SpanOf(archive), &error)) << error;
  ASSERT_TRUE(reader.Extract(reader.entries()[0], &bytes, &error)) << error;
  EXPECT_EQ(Text(bytes), content);
}

TEST(Zip, SizesThatDeflateCannotReachTakeNoMemory) {
  EXPECT_EQ(ErrorOf(Deflated("abc", 0xfffffff0)), "its entry 'a' has an impossible size");
  EXPECT_EQ(ErrorOf(Deflated("abc", 4)), "its entry 'a' is damaged");
  EXPECT_EQ(ErrorOf(Deflated("abc", 2)), "its entry 'a' is damaged");
}

TEST(Zip, HostileArchivesAreRefused) {
  EXPECT_EQ(ErrorOf(""), "it is not a zip archive");
  EXPECT_EQ(ErrorOf(std::string(100, 'x')), "it is not a zip archive, or it is cut off");
  std::string archive = Archive();
  size_t directory = archive.find("PK\x01\x02"), end = archive.find("PK\x05\x06");
  auto with = [&](size_t at, uint64_t value, int bytes) {
    std::string broken = archive;
    Put(&broken, at, value, bytes);
    return ErrorOf(broken);
  };
  EXPECT_EQ(with(end + 4, 1, 1), "archives in several parts are not supported");
  EXPECT_EQ(with(end + 10, 60000, 2), "its directory is damaged");
  EXPECT_EQ(with(end + 16, 0xfffffff0, 4), "its directory is damaged");
  EXPECT_EQ(with(directory + 8, 1, 2), "its entry 'a' is encrypted");
  EXPECT_EQ(with(directory + 10, 99, 2), "its entry 'a' is compressed in a way that is not supported");
  EXPECT_EQ(with(directory + 16, 1, 4), "its entry 'a' is damaged: its checksum differs");
  EXPECT_EQ(with(directory + 24, 6, 4), "its entry 'a' has an impossible size");
  EXPECT_EQ(with(directory + 42, 0xfffffff0, 4), "its entry 'a' is damaged");
  EXPECT_EQ(with(26, 0xffff, 2), "its entry 'a' is cut off");
}

TEST(Zip, EveryCutAndEveryFlippedBitIsHandled) {
  for (const std::string& archive : {Archive(), Deflated("hello hello hello", 17)}) {
    for (size_t size = 0; size < archive.size(); ++size) EXPECT_NE(ErrorOf(archive.substr(0, size)), "");
    for (size_t bit = 0; bit < archive.size() * 8; ++bit) {
      std::string broken = archive;
      broken[bit / 8] = static_cast<char>(broken[bit / 8] ^ (1 << (bit % 8)));
      ErrorOf(broken);
    }
  }
}

}  // namespace
}  // namespace eyrie::npy
