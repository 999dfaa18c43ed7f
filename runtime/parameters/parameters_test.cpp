// The four formats: what is in good files, and that bad ones are refused (rows P1 to P9 of the contract for files).
// Best run under the address sanitizer: files lie on the heap, exactly as long as they are.
#include <gtest/gtest.h>

#include <random>

#include "runtime/parameters/parameter_file.h"
#include "runtime/testing/parameter_files.h"
#include "runtime/testing/session.h"

namespace eyrie::rt::testing {
namespace {

using parameters::Entry;
using parameters::ParameterFile;

struct Table {
  Allocator allocator{eyrie_allocator_t{}};
  std::vector<uint8_t> bytes;
  ParameterFile file{allocator};
  Status status;
  explicit Table(const std::string& text)
      : bytes(text.begin(), text.end()), status(file.Parse(bytes.data(), bytes.size())) {}

  const Entry* Find(const char* name) const { return file.Find(name, strlen(name)); }
  std::vector<int64_t> Dims(const char* name) const {
    const Entry* entry = Find(name);
    return entry ? std::vector<int64_t>(entry->dims, entry->dims + entry->rank) : std::vector<int64_t>{-1};
  }
  float Float(const char* name, size_t index) const {
    float value;
    memcpy(&value, file.DataOf(*Find(name)) + 4 * index, 4);
    return value;
  }
  Status VerifyAll() const {
    for (const Entry& entry : file.entries()) EYRIE_RETURN_IF_ERROR(file.Verify(entry));
    return {};
  }
};

Status Parse(const std::string& text) { return std::move(Table(text).status); }

std::vector<NamedTensor> Tensors() {
  return {FloatTensor("a", {2, 3}, {1, 2, 3, 4, 5, 6}), FloatTensor("b.weight", {}, {7}), FloatTensor("c", {0, 4}, {})};
}

void ExpectTensors(const Table& table) {
  ASSERT_TRUE(table.status.ok()) << table.status.message();
  ASSERT_EQ(table.file.entries().size(), 3u);
  EXPECT_EQ(table.Dims("a"), (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(table.Dims("b.weight"), (std::vector<int64_t>{}));
  EXPECT_EQ(table.Dims("c"), (std::vector<int64_t>{0, 4}));
  EXPECT_EQ(table.Float("a", 5), 6.0f);
  EXPECT_EQ(table.Float("b.weight", 0), 7.0f);
  EXPECT_EQ(table.Find("a")->type, uint32_t{EYRIE_F32});
  EXPECT_STREQ(table.Find("a")->type_name, "f32");
  EXPECT_EQ(table.Find("b"), nullptr);
  EXPECT_EQ(table.Find(""), nullptr);
  EXPECT_OK(table.VerifyAll());
}

TEST(Parameters, ReadEveryFormat) {
  for (const std::string& text : {WriteArchive(Tensors()), WriteSafetensors(Tensors()), WriteNpz(Tensors())})
    ExpectTensors(Table(text));
  NpzOptions zip64;
  zip64.zip64 = true;
  ExpectTensors(Table(WriteNpz(Tensors(), zip64)));
  Table gguf(WriteGguf());
  ASSERT_OK(std::move(gguf.status));
  EXPECT_EQ(gguf.Dims("w"), (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(gguf.Float("w", 3), 4.0f);
  EXPECT_EQ(gguf.Dims("q"), (std::vector<int64_t>{2, 32}));
  EXPECT_STREQ(gguf.Find("q")->type_name, "q8_0");
  EXPECT_NE(strstr(gguf.Find("q")->problem, "quantised"), nullptr);
}

TEST(Parameters, ArchiveLiesAsTheKernelsWantIt) {
  Table table(WriteArchive(Tensors()));
  ASSERT_OK(std::move(table.status));
  EXPECT_EQ(table.Find("a")->offset % 4096, 0u);
  for (const Entry& entry : table.file.entries()) EXPECT_EQ(entry.offset % 64, 0u);
}

TEST(Parameters, NothingOfTheFormatsIsRefused) {
  for (const char* text : {"", "x", "\0\0\0\0\0\0\0", "{\"a\":1}", "hello, world", "EYRPAR",
                           "\x7f"
                           "ELF"})
    EXPECT_STATUS(Parse(text), EYRIE_INVALID_ARGUMENT, "not a file of parameters");
}

// ---- Archives

TEST(Archive, EveryFlippedBitIsFound) {
  std::string good = WriteArchive(Tensors());
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    // In the padding behind the index one bit of each byte is enough.
    if (bit / 8 > 400 && bit / 8 < 4096 && bit % 8) continue;
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ 1 << bit % 8);
    Table table(bad);
    Status status = table.status.ok() ? table.VerifyAll() : std::move(table.status);
    ASSERT_FALSE(status.ok()) << "bit " << bit;
    if (bit >= 64) ASSERT_STREQ(eyrie_code_name(status.code()), "DATA_LOSS") << bit << status.message();
  }
}

TEST(Archive, EveryLengthIsRefused) {
  std::string good = WriteArchive(Tensors());
  for (size_t size = 0; size < good.size(); ++size) ASSERT_FALSE(Parse(good.substr(0, size)).ok()) << size;
  EXPECT_STATUS(Parse(good.substr(0, 100)), EYRIE_DATA_LOSS, "cut off");
  EXPECT_STATUS(Parse(good + "x"), EYRIE_DATA_LOSS, "longer than it should be");
}

// Overwrites a field of the header or of the first row, with checksums that agree.
template <typename T>
std::string WithField(size_t offset, T value) {
  std::string file = WriteArchive(Tensors());
  memcpy(file.data() + offset, &value, sizeof(value));
  ResealArchive(file);
  return file;
}

TEST(Archive, FieldsAreCheckedBehindGoodChecksums) {
  EXPECT_STATUS(Parse(WithField<uint16_t>(8, 2)), EYRIE_INCOMPATIBLE, "version 2.0");
  EXPECT_STATUS(Parse(WithField<uint64_t>(16, 1)), EYRIE_INCOMPATIBLE, "features 0x1");
  EXPECT_STATUS(Parse(WithField<uint32_t>(12, 0x04030201)), EYRIE_INCOMPATIBLE, "byte order");
  EXPECT_STATUS(Parse(WithField<uint64_t>(24, 1 << 30)), EYRIE_DATA_LOSS, "cut off");
  EXPECT_STATUS(Parse(WithField<uint32_t>(32, UINT32_MAX)), EYRIE_RESOURCE_EXHAUSTED, "limit");
  EXPECT_STATUS(Parse(WithField<uint32_t>(32, 1 << 20)), EYRIE_INVALID_ARGUMENT, "index does not lie in the file");
  EXPECT_STATUS(Parse(WithField<uint32_t>(36, UINT32_MAX)), EYRIE_INVALID_ARGUMENT, "index does not lie in the file");
  EXPECT_STATUS(Parse(WithField<uint64_t>(40, UINT64_MAX)), EYRIE_INVALID_ARGUMENT, "index does not lie in the file");
  EXPECT_STATUS(Parse(WithField<uint64_t>(48, 8192)), EYRIE_INVALID_ARGUMENT, "do not begin behind");
  for (uint64_t offset : {uint64_t{0}, uint64_t{4097}, uint64_t{4096 + 64}, UINT64_MAX})
    EXPECT_STATUS(Parse(WithField<uint64_t>(64, offset)), EYRIE_INVALID_ARGUMENT, "does not lie behind");
  for (uint64_t size : {UINT64_MAX, UINT64_MAX - 63, uint64_t{1} << 40})
    EXPECT_STATUS(Parse(WithField<uint64_t>(72, size)), EYRIE_INVALID_ARGUMENT, "does not lie behind");
  EXPECT_STATUS(Parse(WithField<uint64_t>(72, 23)), EYRIE_INVALID_ARGUMENT,
                "tensor 0: its type and shape take 24 bytes");
  for (uint32_t size : {0u, 2u, 100u, UINT32_MAX}) EXPECT_FALSE(Parse(WithField<uint32_t>(64 + 24, size)).ok()) << size;
  for (uint8_t type : {0, 48, 99})
    EXPECT_STATUS(Parse(WithField<uint8_t>(64 + 28, type)), EYRIE_INVALID_ARGUMENT, "element type");
  EXPECT_STATUS(Parse(WithField<uint8_t>(64 + 29, 255)), EYRIE_INVALID_ARGUMENT, "do not lie in the index");
  EXPECT_STATUS(Parse(WithField<uint8_t>(64 + 30, 2)), EYRIE_INVALID_ARGUMENT, "malformed");
  EXPECT_STATUS(Parse(WithField<uint8_t>(64 + 31, 1)), EYRIE_INVALID_ARGUMENT, "malformed");
  for (int64_t dim : {int64_t{-1}, INT64_MIN, INT64_MAX, int64_t{1} << 62})
    EXPECT_FALSE(Parse(WithField<int64_t>(64 + 3 * 32, dim)).ok()) << dim;
}

TEST(Archive, NamesAreInOrderAndDistinct) {
  auto write = [](const char* first, const char* second) {
    return WriteArchive({FloatTensor(first, {1}, {1}), FloatTensor(second, {1}, {1})});
  };
  EXPECT_OK(Parse(write("a", "aa")));
  EXPECT_STATUS(Parse(write("a", "a")), EYRIE_INVALID_ARGUMENT, "not in order");
  EXPECT_STATUS(Parse(write("b", "a")), EYRIE_INVALID_ARGUMENT, "not in order");
  EXPECT_STATUS(Parse(write("a", "\xff")), EYRIE_INVALID_ARGUMENT, "UTF-8");
  EXPECT_STATUS(Parse(WriteArchive({FloatTensor(std::string(4097, 'a'), {1}, {1})})), EYRIE_INVALID_ARGUMENT,
                "limit 4096");
}

// ---- safetensors

TEST(Safetensors, LengthsOfTheHeader) {
  std::string good = WriteSafetensors(Tensors());
  for (size_t size = 0; size < good.size(); ++size) ASSERT_FALSE(Parse(good.substr(0, size)).ok()) << size;
  auto with = [&](uint64_t length) {
    std::string bad = good;
    memcpy(bad.data(), &length, 8);
    return bad;
  };
  EXPECT_STATUS(Parse(with(good.size() - 7)), EYRIE_DATA_LOSS, "cut off");
  for (uint64_t length : {uint64_t{1} << 40, uint64_t{1} << 63, UINT64_MAX, uint64_t{100000001}})
    EXPECT_STATUS(Parse(with(length)), EYRIE_INVALID_ARGUMENT, "limit 100000000");
  EXPECT_FALSE(Parse(with(0)).ok());
  EXPECT_FALSE(Parse(with(1)).ok());
}

TEST(Safetensors, HeadersThatAreNotWhatTheyShouldBe) {
  struct Case {
    std::string header;
    const char* says;
  };
  auto tensor = [](const std::string& fields) { return "{\"a\": {" + fields + "}}"; };
  std::string rest = "\"dtype\": \"F32\", \"shape\": [2]";
  const Case cases[] = {
      {"{", "its header ends"},
      {"{]", "expected"},
      {"{\"a\"", "its header ends where ':'"},
      {"{\"a\": 1}", "expected '{'"},
      {"{\"a\": []}", "expected '{'"},
      {"{} {}", "nothing but spaces"},
      {"{\"a\xff\": 1}", "UTF-8"},
      {"{\"a\\u0000\": 1}", "\\u0000"},
      {"{\"a\\ud800\": 1}", "surrogates"},
      {"{\"a\\x\": 1}", "escape"},
      {"{\"a\n\": 1}", "character of a string"},
      {"{\"" + std::string(3000000, 'k') + "\": 1}", "too long"},
      {"{\"\": {" + rest + ", \"data_offsets\": [0, 8]}}", "has no name"},
      {"{\"__metadata__\": {\"a\": " + std::string(200000, '[') + "}}", "expected '\"'"},
      {"{\"a\": " + std::string(200000, '{') + "}", "expected '\"'"},
      {"{\"__metadata__\": {}, \"__metadata__\": {}}", "twice"},
      {tensor(rest), "missing"},
      {tensor(rest + ", \"data_offsets\": []"), "not two numbers"},
      {tensor(rest + ", \"data_offsets\": [0]"), "not two numbers"},
      {tensor(rest + ", \"data_offsets\": [0, 8, 8]"), "more than 2"},
      {tensor(rest + ", \"data_offsets\": [8, 0]"), "not two numbers in order"},
      {tensor(rest + ", \"data_offsets\": [-1, 8]"), "not negative"},
      {tensor(rest + ", \"data_offsets\": [0.0, 8]"), "whole number"},
      {tensor(rest + ", \"data_offsets\": [0, 8e0]"), "whole number"},
      {tensor(rest + ", \"data_offsets\": [0, \"8\"]"), "whole number"},
      {tensor(rest + ", \"data_offsets\": [00, 8]"), "whole number"},
      {tensor(rest + ", \"data_offsets\": [0, 16]"), "up to the data's size of 8"},
      {tensor(rest + ", \"data_offsets\": [0, 9223372036854775808]"), "below 2^63"},
      {tensor(rest + ", \"data_offsets\": [0, 4]"), "take 8 bytes, it has 4"},
      {tensor(rest + ", \"data_offsets\": [0, 8], \"x\": 1"), "unknown or there twice"},
      {tensor(rest + ", \"shape\": [2], \"data_offsets\": [0, 8]"), "unknown or there twice"},
      {tensor("\"dtype\": \"F33\", \"shape\": [2], \"data_offsets\": [0, 8]"), "unknown dtype 'F33'"},
      {tensor("\"dtype\": 1, \"shape\": [2], \"data_offsets\": [0, 8]"), "expected '\"'"},
      {tensor("\"dtype\": \"F32\", \"shape\": [4294967296, 4294967296], \"data_offsets\": [0, 8]"),
       "shape is too large"},
      {tensor("\"dtype\": \"U8\", \"shape\": [4], \"data_offsets\": [4, 8]"), "belong to no tensor"},
      {tensor("\"dtype\": \"U8\", \"shape\": [4], \"data_offsets\": [0, 4]"), "belong to no tensor"},
      {"{\"a\": {" + rest + ", \"data_offsets\": [0, 8]}, \"b\": {" + rest + ", \"data_offsets\": [0, 8]}}",
       "overlaps"},
      {"{\"a\": {\"dtype\": \"U8\", \"shape\": [4], \"data_offsets\": [0, 4]}, \"\\u0061\": {\"dtype\": \"U8\", "
       "\"shape\": "
       "[4], \"data_offsets\": [4, 8]}}",
       "two tensors have the name 'a'"},
      {"{\"a\": {\"dtype\": \"U8\", \"data_offsets\": [0, 8], \"shape\": [8" +
           [] {
             std::string ones;
             for (int i = 0; i < 32; ++i) ones += ", 1";
             return ones;
           }() +
           "]}}",
       "more than 32"},
  };
  for (const Case& row : cases) {
    SCOPED_TRACE(row.header.substr(0, 100));
    EXPECT_STATUS(Parse(WriteSafetensors(row.header, std::string(8, '\1'))), EYRIE_INVALID_ARGUMENT, row.says);
  }
}

TEST(Safetensors, NamesAreDecoded) {
  Table table(
      WriteSafetensors("{\"\\u00e4\\ud83d\\ude00\\n\\\"\": {\"dtype\": \"BOOL\", \"shape\": [1], "
                       "\"data_offsets\": [0, 1]}  }  ",
                       "\1"));
  ASSERT_OK(std::move(table.status));
  ASSERT_NE(table.Find("\xc3\xa4\xf0\x9f\x98\x80\n\""), nullptr);
  EXPECT_EQ(table.file.entries()[0].type, uint32_t{EYRIE_BOOL});
  EXPECT_OK(Parse(WriteSafetensors("{}", "")));
}

// ---- npz

TEST(Npz, WhatCannotBeUsedWhereItLies) {
  NpzOptions options;
  options.method = 8;
  EXPECT_STATUS(Parse(WriteNpz(Tensors(), options)), EYRIE_INVALID_ARGUMENT, "numpy.savez");
  options = {};
  options.suffix = ".txt";
  EXPECT_STATUS(Parse(WriteNpz(Tensors(), options)), EYRIE_INVALID_ARGUMENT, "does not end with .npy");
  auto problem = [](const NpzOptions& options) {
    Table table(WriteNpz({FloatTensor("a", {2, 3}, {1, 2, 3, 4, 5, 6})}, options));
    EXPECT_TRUE(table.status.ok()) << table.status.message();
    const Entry* entry = table.Find("a");
    return std::string(entry && entry->problem && !entry->type ? entry->problem : "none");
  };
  options = {};
  options.order = "True";
  EXPECT_NE(problem(options).find("Fortran"), std::string::npos);
  options = {};
  options.descr = ">f4";
  EXPECT_NE(problem(options).find("big-endian"), std::string::npos);
  for (const char* descr : {"|O", "<U4", "|V4", "f4", ""}) {
    options.descr = descr;
    EXPECT_NE(problem(options).find("no element type"), std::string::npos) << descr;
  }
  EXPECT_STATUS(Parse(WriteNpz({FloatTensor("a", {2, 3}, {1, 2, 3, 4, 5, 6}), FloatTensor("a", {1}, {1})})),
                EYRIE_INVALID_ARGUMENT, "two tensors have the name 'a'");
  EXPECT_STATUS(Parse(WriteNpz({FloatTensor("a", {2, 2}, {1, 2, 3, 4, 5, 6})})), EYRIE_INVALID_ARGUMENT,
                "take 16 bytes, it has 24");
}

TEST(Npz, FlippedBitsOfTensorsAreFound) {
  std::string good = WriteNpz(Tensors());
  size_t at = good.find("\x93NUMPY");
  for (size_t bit = 8 * (at + 20); bit < 8 * (at + 93); ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ 1 << bit % 8);
    Table table(bad);
    EXPECT_FALSE(table.status.ok() && table.VerifyAll().ok()) << bit;
  }
}

// ---- gguf

GgufBuilder OneTensor(uint32_t version = 3, uint64_t tensors = 1, uint64_t pairs = 0) {
  GgufBuilder file;
  file.Header(version, tensors, pairs);
  return file;
}

std::string Finished(GgufBuilder file, size_t data) {
  file.Pad(32).bytes += std::string(data, '\1');
  return file.bytes;
}

TEST(Gguf, HeadersThatAreNotWhatTheyShouldBe) {
  auto refused = [](const GgufBuilder& file, const char* says) {
    EXPECT_STATUS(Parse(Finished(file, 128)), EYRIE_INVALID_ARGUMENT, says);
  };
  refused(OneTensor(0), "big-endian");
  refused(OneTensor(0x03000000), "big-endian");
  refused(OneTensor(99), "version 99");
  refused(OneTensor(1), "version 1");
  refused(OneTensor(3, UINT64_MAX), "do not fit");
  refused(OneTensor(3, 0, UINT64_MAX), "do not fit");
  refused(OneTensor(3, 0, 1).Add<uint64_t>(UINT64_MAX), "do not lie in the file");
  refused(OneTensor(3, 0, 1).Text("k").Add<uint32_t>(13), "unknown type 13");
  refused(OneTensor(3, 0, 1).Text("k").Add<uint32_t>(8).Add<uint64_t>(UINT64_MAX), "do not lie in the file");
  refused(OneTensor(3, 0, 1).Text("k").Add<uint32_t>(9).Add<uint32_t>(0).Add<uint64_t>(UINT64_MAX), "does not lie");
  refused(OneTensor(3, 0, 1).Text("k").Add<uint32_t>(9).Add<uint32_t>(9).Add<uint64_t>(1), "unknown or an array");
  for (uint32_t alignment : {0u, 3u, 4u, 1u << 31, UINT32_MAX})
    refused(OneTensor(3, 0, 1).Text("general.alignment").Add<uint32_t>(4).Add(alignment), "power of two");
  refused(OneTensor(3, 0, 1).Text("general.alignment").Add<uint32_t>(10).Add<uint64_t>(32), "not a number of 32 bits");
}

TEST(Gguf, TensorsThatAreNotWhatTheyShouldBe) {
  auto refused = [](const std::vector<uint64_t>& dims, uint32_t type, uint64_t offset, const char* says) {
    EXPECT_STATUS(Parse(Finished(OneTensor().Row("a", dims, type, offset), 128)), EYRIE_INVALID_ARGUMENT, says);
  };
  refused({uint64_t{1} << 33, uint64_t{1} << 33}, 0, 0, "too much");
  refused({uint64_t{1} << 62}, 0, 0, "too many");
  refused({uint64_t{1} << 40}, 0, 0, "do not lie in the file");
  refused({0}, 0, 0, "is 0");
  refused({32}, 250, 0, "type 250 is unknown");
  refused({32}, 4, 0, "type 4 is unknown");
  refused({31}, 8, 0, "no whole blocks of 32");
  refused({32}, 0, 64, "do not lie in the file");
  refused({4}, 0, 1, "not aligned");
  refused({4}, 0, UINT64_MAX - 31, "do not lie in the file");
  refused({4}, 0, 64, "belong to no tensor");
  refused({4}, 0, 0, "belong to no tensor");
  EXPECT_STATUS(Parse(OneTensor().Text("a").Add<uint32_t>(UINT32_MAX).Pad(64).bytes), EYRIE_INVALID_ARGUMENT,
                "limit 4");
  auto two = OneTensor(3, 2).Row("a", {16}, 0, 0);
  EXPECT_STATUS(Parse(Finished(two.Row("a", {16}, 0, 64), 128)), EYRIE_INVALID_ARGUMENT, "two tensors have the name");
  two = OneTensor(3, 2).Row("a", {32}, 0, 0);
  EXPECT_STATUS(Parse(Finished(two.Row("b", {16}, 0, 64), 128)), EYRIE_INVALID_ARGUMENT, "overlaps");
}

TEST(Gguf, EveryLengthIsRefused) {
  std::string good = WriteGguf();
  // The last tensor's padding may be missing.
  for (size_t size = 0; size < good.size() - 60; ++size) ASSERT_FALSE(Parse(good.substr(0, size)).ok()) << size;
}

// ---- All of them: an error or a table in which every byte can be read, whatever the file says.

class Mutations : public ::testing::TestWithParam<int> {};

TEST_P(Mutations, NeverCrash) {
  const std::string files[] = {WriteArchive(Tensors()), WriteSafetensors(Tensors()), WriteNpz(Tensors()), WriteGguf()};
  const std::string& good = files[GetParam()];
  std::mt19937 random(static_cast<uint32_t>(GetParam()));
  auto below = [&](size_t limit) { return random() % limit; };
  uint64_t sum = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string bad = good;
    for (size_t changes = 1 + below(3); changes; --changes) {
      size_t at = below(bad.size());
      static constexpr uint64_t kWords[] = {0, UINT64_MAX, INT64_MAX, uint64_t{1} << 63, UINT32_MAX, 1, 65536};
      size_t room = std::min<size_t>(bad.size() - at, 8);
      uint64_t word = kWords[below(std::size(kWords))];
      switch (below(6)) {
        case 0:
          bad[at] = static_cast<char>(bad[at] ^ 1 << below(8));
          break;
        case 1:
          memcpy(bad.data() + at, &word, std::min<size_t>(room, 4));
          break;
        case 2:
          memcpy(bad.data() + at, &word, room);
          break;
        case 3:
          bad.erase(at, below(16));
          break;
        case 4:
          bad.insert(at, bad.substr(below(bad.size()), below(64)));
          break;
        default:
          bad.resize(at);
          break;
      }
      if (bad.empty()) bad = "x";
    }
    if (GetParam() == 0 && bad.size() > 64) ResealArchive(bad);
    Table table(bad);
    if (!table.status.ok()) {
      EXPECT_NE(table.status.code(), EYRIE_INTERNAL);
      continue;
    }
    for (const Entry& entry : table.file.entries()) {
      for (uint64_t i = 0; i < entry.size; ++i) sum += table.file.DataOf(entry)[i];
      (void)table.file.Verify(entry);
      EXPECT_EQ(table.file.Find(entry.name, entry.name_size), &entry);
    }
  }
  EXPECT_NE(sum, 0u);
  EXPECT_OK(Parse(good));
}

INSTANTIATE_TEST_SUITE_P(Formats, Mutations, ::testing::Range(0, 4));

// ---- The C interface

TEST(ParametersApi, OpensFindsAndVerifies) {
  eyrie_runtime_t* runtime = nullptr;
  ASSERT_OK(Status(eyrie_runtime_create(nullptr, &runtime)));
  TemporaryFile file(WriteArchive(Tensors()));
  for (int in_memory : {0, 1}) {
    eyrie_parameters_options_t options = {sizeof(options), EYRIE_VERIFY_FULL, in_memory};
    eyrie_parameters_t* parameters = nullptr;
    ASSERT_OK(Status(eyrie_parameters_open(runtime, file.path(), &options, &parameters)));
    EXPECT_STREQ(eyrie_parameters_format(parameters), "eyp");
    ASSERT_EQ(eyrie_parameters_count(parameters), 3u);
    size_t index = 99;
    ASSERT_OK(Status(eyrie_parameters_find(parameters, "b.weight", &index)));
    EXPECT_EQ(index, 1u);
    eyrie_parameter_info_t info;
    ASSERT_OK(Status(eyrie_parameters_entry(parameters, index, &info)));
    EXPECT_STREQ(info.name, "b.weight");
    EXPECT_EQ(*static_cast<const float*>(info.data), 7.0f);
    EXPECT_OK(Status(eyrie_parameters_verify(parameters)));
    EXPECT_STATUS(Status(eyrie_parameters_find(parameters, "x", &index)), EYRIE_NOT_FOUND, "no tensor 'x' in /tmp/");
    EXPECT_STATUS(Status(eyrie_parameters_entry(parameters, 3, &info)), EYRIE_NOT_FOUND, "no tensor 3");
    eyrie_parameters_destroy(parameters);
  }
  std::string bad = WriteArchive(Tensors());
  bad[4096] = static_cast<char>(bad[4096] ^ 1);
  TemporaryFile damaged(bad);
  eyrie_parameters_t* parameters = nullptr;
  eyrie_parameters_options_t full = {sizeof(full), EYRIE_VERIFY_FULL, 0};
  EXPECT_STATUS(Status(eyrie_parameters_open(runtime, damaged.path(), &full, &parameters)), EYRIE_DATA_LOSS,
                "tensor 'a'");
  EXPECT_EQ(parameters, nullptr);
  ASSERT_OK(Status(eyrie_parameters_open(runtime, damaged.path(), nullptr, &parameters)));
  EXPECT_STATUS(Status(eyrie_parameters_verify(parameters)), EYRIE_DATA_LOSS, "tensor 'a'");
  eyrie_parameters_destroy(parameters);
  eyrie_parameters_destroy(nullptr);
  for (const char* path : {"/tmp", "/dev/null", "/dev/zero", "/nonexistent", ""})
    EXPECT_FALSE(Status(eyrie_parameters_open(runtime, path, nullptr, &parameters)).ok()) << path;
  eyrie_runtime_destroy(runtime);
}

}  // namespace
}  // namespace eyrie::rt::testing
