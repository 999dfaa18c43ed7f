// The archive of a module's parameters.
#include "abi/crc32c.h"
#include "abi/module_format.h"
#include "abi/parameter_archive.h"
#include "compiler/graph/ElementTypes.h"
#include "compiler/graph/Graph.h"
#include "compiler/graph/Parameters.h"
#include "compiler/module/Metadata.h"

using namespace mlir;
using namespace eyrie;
using namespace eyrie::module;

namespace {

constexpr char kZeros[abi::kArchiveTensorAlignment] = {};

struct Row {
  StringRef name;
  mutable graph::GlobalOp global;
  stream::WeightContent content;

  void forEachPart(llvm::function_ref<void(ArrayRef<char>)> sink) const {
    for (int64_t i = 0; i < content.repeat; ++i)
      sink(content.piece);
    sink(ArrayRef<char>(kZeros, llvm::alignTo(content.size(), abi::kArchiveTensorAlignment) - content.size()));
  }
};

/// In ascending order of their names.
FailureOr<std::vector<Row>> collectRows(ModuleOp module) {
  std::vector<Row> rows;
  for (auto global : module.getOps<graph::GlobalOp>()) {
    auto name = global->getAttrOfType<StringAttr>(graph::kParameter);
    if (!name)
      continue;
    auto content = stream::getWeightContent(*global.getValue());
    if (failed(content))
      return global.emitOpError("has no value that can be stored, of type ") << global.getType();
    rows.push_back({name.getValue(), global, std::move(*content)});
  }
  llvm::sort(rows, [](const Row &a, const Row &b) { return a.name < b.name; });
  return rows;
}

template <typename T> void append(std::string &bytes, const T &value) {
  bytes.append(reinterpret_cast<const char *>(&value), sizeof(value));
}

void writeRows(ArrayRef<Row> rows, llvm::raw_ostream &os) {
  abi::ArchiveHeader header = {};
  std::memcpy(header.magic, abi::kArchiveMagic, sizeof(header.magic));
  header.format_major = abi::kArchiveMajor;
  header.format_minor = abi::kArchiveMinor;
  header.byte_order_mark = abi::kByteOrderMark;
  header.entry_count = rows.size();
  std::string index, dims, names;
  for (const Row &row : rows) {
    names += (row.name + Twine('\0')).str();
    for (int64_t size : cast<RankedTensorType>(row.global.getType()).getShape())
      append(dims, size);
  }
  header.dim_count = dims.size() / sizeof(int64_t);
  header.name_bytes = names.size();
  uint64_t indexEnd = sizeof(header) + rows.size() * sizeof(abi::ArchiveEntry) + dims.size() + names.size();
  uint64_t end = header.data_offset = llvm::alignTo(indexEnd, abi::kArchiveDataAlignment);
  for (const Row &row : rows) {
    auto type = cast<RankedTensorType>(row.global.getType());
    abi::ArchiveEntry entry = {};
    entry.offset = end;
    entry.size = row.content.size();
    row.forEachPart([&](ArrayRef<char> part) { entry.crc = abi::Crc32c(part.data(), part.size(), entry.crc); });
    entry.name_size = row.name.size();
    entry.element_type = static_cast<uint8_t>(
        graph::getElementType(type.getElementType(), row.global->hasAttr("eyrie.unsigned"), /*isString=*/false));
    entry.rank = type.getRank();
    append(index, entry);
    end += llvm::alignTo(entry.size, abi::kArchiveTensorAlignment);
  }
  index += dims + names;
  header.file_size = end;
  header.index_crc = abi::Crc32c(index.data(), index.size());
  header.header_crc = abi::Crc32c(&header, offsetof(abi::ArchiveHeader, header_crc));
  os.write(reinterpret_cast<const char *>(&header), sizeof(header));
  os << index;
  os.write_zeros(header.data_offset - indexEnd);
  for (const Row &row : rows)
    row.forEachPart([&](ArrayRef<char> part) { os.write(part.data(), part.size()); });
}

} // namespace

LogicalResult eyrie::module::writeArchive(ModuleOp module, StringRef path) {
  auto rows = collectRows(module);
  if (failed(rows))
    return failure();
  return writeFile(module, path, [&](llvm::raw_ostream &os) {
    writeRows(*rows, os);
    return success();
  });
}
