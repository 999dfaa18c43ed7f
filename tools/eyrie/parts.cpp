#include "tools/eyrie/parts.h"

#include <algorithm>
#include <cstring>

#include "tools/eyrie/command.h"
#include "tools/npy/file.h"
#include "tools/npy/zip.h"

namespace eyrie::cli {
namespace {

npy::Array ReadArray(npy::Span file, const std::string& name) {
  npy::Array array;
  std::string error;
  if (!npy::ReadNpy(file, &array, &error)) Fail("cannot read " + name + ": " + error);
  return array;
}

npy::Bytes ReadWhole(const std::string& path) {
  npy::Bytes bytes;
  std::string error;
  if (!npy::ReadFile(path, &bytes, &error)) Fail(error);
  return bytes;
}

}  // namespace

bool ReadCount(std::string_view text, uint64_t* count) {
  if (text.empty() || text.size() > 18 || (text.size() > 1 && text[0] == '0')) return false;
  uint64_t value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  *count = value;
  return true;
}

Value Part::Describe(const std::vector<Value>& values) const {
  const Value& whole = values[value];
  if (kind == kElement) return ElementOf(whole, index);
  return kind == kLength ? Value{whole.name + ".len", EYRIE_I64, {}} : whole;
}

bool FindPart(const std::vector<Value>& values, std::string_view name, Part* part) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i].name != name) continue;
    *part = {i, Part::kWhole, 0};
    return true;
  }
  size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return false;
  std::string_view stem = name.substr(0, dot), suffix = name.substr(dot + 1);
  for (size_t i = 0; i < values.size(); ++i) {
    uint64_t index = 0;
    if (!values[i].is_sequence || values[i].name != stem || (suffix != "len" && !ReadCount(suffix, &index))) continue;
    *part = {i, suffix == "len" ? Part::kLength : Part::kElement, index};
    return true;
  }
  return false;
}

Part SplitName(const std::vector<Value>& values, const std::string& text, std::string* rest, const char* flag) {
  Part part;
  for (size_t end = text.size(); (end = text.rfind('=', end)) != std::string::npos && end != 0; --end) {
    if (!FindPart(values, std::string_view(text).substr(0, end), &part)) continue;
    *rest = text.substr(end + 1);
    return part;
  }
  if (text.find('=') == std::string::npos)
    FailUsage(std::string(flag) + " '" + text.substr(0, 200) + "': expected NAME=... or @FILE.npz");
  Fail(std::string(flag) + ": there is no '" + text.substr(0, std::min<size_t>(text.find('='), 200)) + "'; there is " +
       Signature(values));
}

std::string Signature(const std::vector<Value>& values) {
  std::string text;
  for (const Value& value : values) text += (text.empty() ? "'" : ", '") + value.name + "' " + TypeText(value);
  return text.empty() ? "none" : text;
}

npy::Array ReadArrayFile(const std::string& path) {
  npy::Bytes file = ReadWhole(path);
  return ReadArray({file.data(), file.size()}, "'" + path + "'");
}

size_t ReadArchive(const std::vector<Value>& values, const std::string& path,
                   const std::function<void(const Part&, npy::Array)>& take) {
  npy::Bytes file = ReadWhole(path);
  npy::ZipReader reader;
  std::string error;
  if (!reader.Open({file.data(), file.size()}, &error)) Fail("cannot read '" + path + "': " + error);
  constexpr std::string_view kExtension = ".npy";
  size_t matched = 0;
  for (const npy::ZipEntry& entry : reader.entries()) {
    std::string_view name = entry.name;
    Part part;
    if (name.size() < kExtension.size() || name.substr(name.size() - kExtension.size()) != kExtension) continue;
    name.remove_suffix(kExtension.size());
    if (!FindPart(values, name, &part)) continue;
    ++matched;
    npy::Bytes bytes;
    if (!reader.Extract(entry, &bytes, &error)) Fail("cannot read '" + path + "': " + error);
    take(part, ReadArray({bytes.data(), bytes.size()}, "'" + entry.name + "' in '" + path + "'"));
  }
  return matched;
}

uint64_t LengthFromArray(const npy::Array& array, const std::string& name, const std::string& found) {
  if ((array.kind != 'i' && array.kind != 'u') || !array.shape.empty())
    Fail("'" + name + "': expected one integer, found dtype '" + array.Descr() + "' of shape " +
         npy::ShapeText(array.shape) + " in " + found);
  uint64_t bits = 0;
  std::memcpy(&bits, array.data.data(), array.item_size);
  uint32_t unused = 64 - 8 * array.item_size;
  int64_t value = static_cast<int64_t>(bits << unused) >> unused;
  if (array.kind == 'i' && value < 0)
    Fail("'" + name + "': expected the number of elements, found " + std::to_string(value) + " in " + found);
  return bits;
}

size_t SettleLength(const Value& sequence, const uint64_t* length, const std::vector<uint64_t>& indices) {
  uint64_t expected = length != nullptr ? *length : indices.empty() ? 0 : indices.back() + 1;
  std::string name = "'" + sequence.name + ".";
  if (!indices.empty() && indices.back() >= expected)
    Fail(name + "len' is " + std::to_string(expected) + ", but there is " + name + std::to_string(indices.back()) +
         "'");
  if (indices.size() == expected) return indices.size();
  std::string missing;
  size_t at = 0, named = 0;
  for (uint64_t i = 0; i < expected && named < 10; ++i) {
    if (at < indices.size() && indices[at] == i) {
      ++at;
    } else {
      missing += (named++ == 0 ? "" : ", ") + name + std::to_string(i) + "'";
    }
  }
  if (expected - indices.size() > named) missing += ", ...";
  Fail("the sequence '" + sequence.name + "' has " + std::to_string(expected) + " element" +
       (expected == 1 ? "" : "s") + ", of which there is no " + missing);
}

}  // namespace eyrie::cli
