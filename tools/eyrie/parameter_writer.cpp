// Files of parameters, written: Eyrie's archive (abi/parameter_archive.h), safetensors and .npz.
#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "abi/crc32c.h"
#include "abi/module_format.h"
#include "abi/parameter_archive.h"
#include "tools/eyrie/command.h"
#include "tools/eyrie/parameter_set.h"
#include "tools/eyrie/tensor.h"
#include "tools/npy/file.h"
#include "tools/npy/zip.h"

namespace eyrie::cli {
namespace {

using Rows = std::vector<std::pair<std::string, const Parameter*>>;

uint64_t RoundUp(uint64_t value, uint64_t alignment) { return (value + alignment - 1) / alignment * alignment; }

constexpr char kZeros[abi::kArchiveDataAlignment] = {};

// The tensors that can be stored, in order. Derived ones are of use only where their checks can be stored with them.
Rows Collect(const ParameterSet& set, bool with_derived) {
  Rows rows;
  for (const auto& [name, parameter] : set.parameters()) {
    CheckUsable(name, parameter);
    if (name.empty() || name.size() > abi::kMaxParameterName || name.find('\0') != std::string::npos)
      Fail("the tensor '" + name + "' needs a name of 1 to " + std::to_string(abi::kMaxParameterName) +
           " bytes without zero bytes");
    if (parameter.dims.size() > EYRIE_MAX_RANK)
      Fail("the tensor '" + name + "' has " + std::to_string(parameter.dims.size()) + " dimensions, limit " +
           std::to_string(EYRIE_MAX_RANK));
    if (with_derived || !parameter.is_derived) rows.emplace_back(name, &parameter);
  }
  return rows;
}

bool Write(npy::OutputFile* file, const void* data, size_t size) { return size == 0 || file->Write(data, size); }

uint32_t PaddedCrc(npy::Span data) {
  uint32_t crc = abi::Crc32c(data.data, data.size);
  return abi::Crc32c(kZeros, RoundUp(data.size, abi::kArchiveTensorAlignment) - data.size, crc);
}

bool WriteArchive(const Rows& rows, npy::OutputFile* file) {
  abi::ArchiveHeader header = {};
  std::memcpy(header.magic, abi::kArchiveMagic, sizeof(header.magic));
  header.format_major = abi::kArchiveMajor;
  header.format_minor = abi::kArchiveMinor;
  header.byte_order_mark = abi::kByteOrderMark;
  header.entry_count = static_cast<uint32_t>(rows.size());
  std::string names, dims, index;
  for (const auto& [name, parameter] : rows) {
    names += name + '\0';
    for (int64_t dim : parameter->dims) dims.append(reinterpret_cast<const char*>(&dim), sizeof(dim));
  }
  header.dim_count = static_cast<uint32_t>(dims.size() / 8);
  header.name_bytes = names.size();
  uint64_t index_end = sizeof(header) + rows.size() * sizeof(abi::ArchiveEntry) + dims.size() + names.size();
  uint64_t at = header.data_offset = RoundUp(index_end, abi::kArchiveDataAlignment);
  for (const auto& [name, parameter] : rows) {
    abi::ArchiveEntry entry = {};
    entry.offset = at;
    entry.size = parameter->data.size;
    entry.crc = PaddedCrc(parameter->data);
    entry.source_check = parameter->source_check;
    entry.name_size = static_cast<uint32_t>(name.size());
    entry.element_type = static_cast<uint8_t>(parameter->type);
    entry.rank = static_cast<uint8_t>(parameter->dims.size());
    entry.flags = parameter->is_derived ? abi::kArchiveDerived : 0;
    index.append(reinterpret_cast<const char*>(&entry), sizeof(entry));
    at += RoundUp(entry.size, abi::kArchiveTensorAlignment);
  }
  index += dims + names;
  header.file_size = at;
  header.index_crc = abi::Crc32c(index.data(), index.size());
  header.header_crc = abi::Crc32c(&header, offsetof(abi::ArchiveHeader, header_crc));
  bool good = file->Write(&header, sizeof(header)) && Write(file, index.data(), index.size()) &&
              Write(file, kZeros, header.data_offset - index_end);
  for (const auto& [name, parameter] : rows) {
    size_t size = parameter->data.size;
    good = good && Write(file, parameter->data.data, size) &&
           Write(file, kZeros, RoundUp(size, abi::kArchiveTensorAlignment) - size);
  }
  return good;
}

const char* SafetensorsType(const std::string& name, const Parameter& parameter) {
  switch (parameter.type) {
    case EYRIE_F64:
      return "F64";
    case EYRIE_F32:
      return "F32";
    case EYRIE_F16:
      return "F16";
    case EYRIE_BF16:
      return "BF16";
    case EYRIE_F8E4M3FN:
      return "F8_E4M3";
    case EYRIE_F8E5M2:
      return "F8_E5M2";
    case EYRIE_F8E8M0FNU:
      return "F8_E8M0";
    case EYRIE_I64:
      return "I64";
    case EYRIE_I32:
      return "I32";
    case EYRIE_I16:
      return "I16";
    case EYRIE_I8:
      return "I8";
    case EYRIE_U64:
      return "U64";
    case EYRIE_U32:
      return "U32";
    case EYRIE_U16:
      return "U16";
    case EYRIE_U8:
      return "U8";
    case EYRIE_BOOL:
      return "BOOL";
    case EYRIE_COMPLEX64:
      return "C64";
    default:
      Fail("the tensor '" + name + "' is of type " + parameter.type_name + ", which safetensors lacks");
  }
}

bool WriteSafetensors(const Rows& given, npy::OutputFile* file) {
  // Widest elements first, as the format's own library does it: all are then aligned.
  Rows rows = given;
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    uint32_t x = eyrie_type_bits(a.second->type), y = eyrie_type_bits(b.second->type);
    return x != y ? x > y : a.first < b.first;
  });
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  uint64_t at = 0;
  for (const auto& [name, parameter] : rows) {
    header[name] = {{"dtype", SafetensorsType(name, *parameter)},
                    {"shape", parameter->dims},
                    {"data_offsets", {at, at + parameter->data.size}}};
    at += parameter->data.size;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception&) {
    Fail("a tensor has a name that is not UTF-8");
  }
  text.resize(RoundUp(text.size(), 8), ' ');
  uint64_t size = text.size();
  bool good = file->Write(&size, sizeof(size)) && file->Write(text.data(), text.size());
  for (const auto& [name, parameter] : rows) good = good && Write(file, parameter->data.data, parameter->data.size);
  return good;
}

bool WriteNpz(const Rows& rows, npy::OutputFile* file) {
  npy::ZipWriter archive(file);
  for (const auto& [name, parameter] : rows) {
    eyrie_tensor_t tensor = {};
    tensor.data = const_cast<uint8_t*>(parameter->data.data);
    tensor.size_bytes = parameter->data.size;
    tensor.type = parameter->type;
    tensor.rank = static_cast<uint32_t>(parameter->dims.size());
    std::copy(parameter->dims.begin(), parameter->dims.end(), tensor.dims);
    NpyFile array = ToNpy(tensor, name);
    npy::Span head{reinterpret_cast<const uint8_t*>(array.header.data()), array.header.size()};
    if (!archive.Add(name + ".npy", head, array.data)) return false;
  }
  return archive.Finish();
}

struct Writer {
  const char* extension;
  bool keeps_derived;
  bool (*write)(const Rows& rows, npy::OutputFile* file);
};
constexpr Writer kWriters[] = {
    {".eyp", true, WriteArchive}, {".safetensors", false, WriteSafetensors}, {".npz", false, WriteNpz}};

const Writer& WriterFor(const std::string& path) {
  for (const Writer& writer : kWriters)
    if (path.ends_with(writer.extension)) return writer;
  FailUsage("cannot write '" + path + "': expected a name that ends with .eyp, .safetensors or .npz");
}

}  // namespace

void CheckOutputFormat(const std::string& path) { WriterFor(path); }

void WriteParameters(const ParameterSet& set, const std::string& path) {
  const Writer& writer = WriterFor(path);
  Rows rows = Collect(set, writer.keeps_derived);
  npy::OutputFile file;
  if (!file.Open(path) || !writer.write(rows, &file) || !file.Commit()) Fail(file.error());
}

}  // namespace eyrie::cli
