#include "runtime/testing/parameter_files.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "abi/crc32c.h"
#include "abi/module_format.h"
#include "abi/parameter_archive.h"
#include "runtime/parameters/crc32.h"

namespace eyrie::rt::testing {
namespace {

void PadTo(std::string& bytes, size_t alignment) {
  while (bytes.size() % alignment) bytes += '\0';
}

void Append(std::string& bytes, uint64_t value, size_t size) {
  bytes.append(reinterpret_cast<const char*>(&value), size);
}

std::string Join(const std::vector<int64_t>& numbers) {
  std::string text;
  for (int64_t number : numbers) text += (text.empty() ? "" : ", ") + std::to_string(number);
  return text;
}

}  // namespace

NamedTensor FloatTensor(const std::string& name, const std::vector<int64_t>& dims, const std::vector<float>& values) {
  return {name, 2, dims, std::string(reinterpret_cast<const char*>(values.data()), values.size() * 4)};
}

uint32_t ArchiveCrc(const NamedTensor& tensor) {
  std::string padded = tensor.bytes;
  PadTo(padded, abi::kArchiveTensorAlignment);
  return abi::Crc32c(padded.data(), padded.size());
}

std::string WriteArchive(const std::vector<NamedTensor>& tensors) {
  abi::ArchiveHeader header = {};
  memcpy(header.magic, abi::kArchiveMagic, sizeof(header.magic));
  header.format_major = abi::kArchiveMajor;
  header.byte_order_mark = abi::kByteOrderMark;
  header.entry_count = static_cast<uint32_t>(tensors.size());
  std::string names, dims, data;
  for (const NamedTensor& tensor : tensors) {
    names += tensor.name + '\0';
    dims.append(reinterpret_cast<const char*>(tensor.dims.data()), tensor.dims.size() * 8);
    header.dim_count += static_cast<uint32_t>(tensor.dims.size());
  }
  header.name_bytes = names.size();
  uint64_t index_end = sizeof(header) + tensors.size() * sizeof(abi::ArchiveEntry) + dims.size() + names.size();
  header.data_offset =
      (index_end + abi::kArchiveDataAlignment - 1) / abi::kArchiveDataAlignment * abi::kArchiveDataAlignment;
  std::string index;
  for (const NamedTensor& tensor : tensors) {
    abi::ArchiveEntry entry = {};
    entry.offset = header.data_offset + data.size();
    entry.size = tensor.bytes.size();
    entry.crc = ArchiveCrc(tensor);
    entry.source_check = tensor.source_check;
    entry.name_size = static_cast<uint32_t>(tensor.name.size());
    entry.element_type = tensor.type;
    entry.rank = static_cast<uint8_t>(tensor.dims.size());
    entry.flags = tensor.flags;
    index.append(reinterpret_cast<const char*>(&entry), sizeof(entry));
    data += tensor.bytes;
    PadTo(data, abi::kArchiveTensorAlignment);
  }
  header.file_size = header.data_offset + data.size();
  std::string file(reinterpret_cast<const char*>(&header), sizeof(header));
  file += index + dims + names;
  file.resize(header.data_offset);
  file += data;
  ResealArchive(file);
  return file;
}

void ResealArchive(std::string& archive) {
  abi::ArchiveHeader header;
  memcpy(&header, archive.data(), sizeof(header));
  uint64_t size = header.entry_count * sizeof(abi::ArchiveEntry) + header.dim_count * uint64_t{8} + header.name_bytes;
  if (size <= archive.size() - sizeof(header)) header.index_crc = abi::Crc32c(archive.data() + sizeof(header), size);
  header.header_crc = abi::Crc32c(&header, offsetof(abi::ArchiveHeader, header_crc));
  memcpy(archive.data(), &header, sizeof(header));
}

std::string WriteSafetensors(const std::string& header, const std::string& data) {
  std::string file;
  Append(file, header.size(), 8);
  return file + header + data;
}

std::string WriteSafetensors(const std::vector<NamedTensor>& tensors) {
  std::string header = "{\"__metadata__\": {\"format\": \"pt\"}", data;
  for (const NamedTensor& tensor : tensors) {
    header += ", \"" + tensor.name + "\": {\"dtype\": \"F32\", \"shape\": [" + Join(tensor.dims) +
              "], \"data_offsets\": [" + std::to_string(data.size()) + ", ";
    data += tensor.bytes;
    header += std::to_string(data.size()) + "]}";
  }
  return WriteSafetensors(header + "}", data);
}

std::string WriteNpz(const std::vector<NamedTensor>& tensors, const NpzOptions& options) {
  std::string file, directory;
  for (const NamedTensor& tensor : tensors) {
    std::string header = "{'descr': '" + options.descr + "', 'fortran_order': " + options.order + ", 'shape': (" +
                         Join(tensor.dims) + (tensor.dims.size() == 1 ? ",), }" : "), }");
    std::string member("\x93NUMPY\x01\x00", 8);
    Append(member, header.size(), 2);
    member += header + tensor.bytes;
    uint32_t crc = parameters::Crc32(reinterpret_cast<const uint8_t*>(member.data()), member.size());
    std::string name = tensor.name + options.suffix;
    uint64_t offset = file.size(), size = options.zip64 ? UINT32_MAX : member.size();
    Append(file, 0x04034b50, 4);
    Append(file, 0, 4);
    Append(file, options.method, 2);
    Append(file, 0, 4);
    Append(file, crc, 4);
    Append(file, size, 4);
    Append(file, size, 4);
    Append(file, name.size(), 2);
    Append(file, 0, 2);
    file += name + member;
    Append(directory, 0x02014b50, 4);
    Append(directory, 0, 6);
    Append(directory, options.method, 2);
    Append(directory, 0, 4);
    Append(directory, crc, 4);
    Append(directory, size, 4);
    Append(directory, size, 4);
    Append(directory, name.size(), 2);
    Append(directory, options.zip64 ? 28 : 0, 2);
    Append(directory, 0, 8);
    Append(directory, 0, 2);
    Append(directory, options.zip64 ? UINT32_MAX : offset, 4);
    directory += name;
    if (!options.zip64) continue;
    Append(directory, 1, 2);
    Append(directory, 24, 2);
    Append(directory, member.size(), 8);
    Append(directory, member.size(), 8);
    Append(directory, offset, 8);
  }
  uint64_t offset = file.size();
  file += directory;
  Append(file, 0x06054b50, 4);
  Append(file, 0, 4);
  Append(file, tensors.size(), 2);
  Append(file, tensors.size(), 2);
  Append(file, directory.size(), 4);
  Append(file, offset, 4);
  Append(file, 0, 2);
  return file;
}

std::string WriteGguf() {
  GgufBuilder file;
  file.Header(3, 2, 4);
  file.Text("general.name").Add<uint32_t>(8).Text("test");
  file.Text("general.alignment").Add<uint32_t>(4).Add<uint32_t>(64);
  file.Text("tokens").Add<uint32_t>(9).Add<uint32_t>(8).Add<uint64_t>(2).Text("a").Text("b");
  file.Text("scales").Add<uint32_t>(9).Add<uint32_t>(6).Add<uint64_t>(1).Add<float>(1.5f);
  file.Row("w", {3, 2}, 0, 0).Row("q", {32, 2}, 8, 64).Pad(64);
  for (float value : {1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f}) file.Add(value);
  file.Pad(64);
  file.bytes += std::string(68, '\x01');
  return file.Pad(64).bytes;
}

TemporaryFile::TemporaryFile(const std::string& bytes) {
  char name[] = "/tmp/eyrie-test-XXXXXX";
  int fd = mkstemp(name);
  path_ = name;
  FILE* file = fdopen(fd, "wb");
  fwrite(bytes.data(), 1, bytes.size(), file);
  fclose(file);
}

TemporaryFile::~TemporaryFile() { unlink(path_.c_str()); }

}  // namespace eyrie::rt::testing
