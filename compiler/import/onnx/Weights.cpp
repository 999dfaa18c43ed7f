#include "compiler/import/onnx/Weights.h"
#include "compiler/import/onnx/Text.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/SwapByteOrder.h"

using namespace mlir;
using llvm::Expected;

namespace eyrie::import::onnx {
namespace {

template <typename... Args> llvm::Error refuse(const char *format, Args &&...args) {
  return llvm::createStringError(llvm::formatv(format, std::forward<Args>(args)...).str());
}

std::shared_ptr<llvm::MemoryBuffer> allocate(size_t bytes) {
  return llvm::WritableMemoryBuffer::getNewMemBuffer(bytes);
}

char *mutableBytes(const std::shared_ptr<llvm::MemoryBuffer> &buffer) {
  return const_cast<char *>(buffer->getBufferStart());
}

Expected<int64_t> countElements(ArrayRef<int64_t> dims) {
  if (dims.size() > kMaxRank)
    return refuse("has {0} dimensions, at most {1} are supported", dims.size(), kMaxRank);
  int64_t count = 1;
  bool isEmpty = llvm::is_contained(dims, 0);
  for (int64_t dim : dims) {
    if (dim < 0)
      return refuse("has the negative dimension {0}", dim);
    if (!isEmpty && (llvm::MulOverflow(count, dim, count) || count > kMaxElements))
      return refuse("has too many elements: the product of its dimensions is beyond {0}", kMaxElements);
  }
  return isEmpty ? 0 : count;
}

/// In which of the typed fields the format puts the elements of `type`.
enum class Field { Integers, Singles, Doubles };
Field fieldOf(DataType type) {
  return type == DataType::Float ? Field::Singles : type == DataType::Double ? Field::Doubles : Field::Integers;
}

/// Bytes from float_data, int32_data, ... : each number becomes one element, except that elements below a byte come
/// as packed bytes.
Expected<Bytes> decodeTyped(const TensorProto &tensor, int64_t elementBits, int64_t bytes) {
  // A number takes at least one byte of the message, so this bounds the allocation by the file.
  int64_t elementBytes = std::max<int64_t>(elementBits / 8, 1), expected = bytes / elementBytes;
  if (expected > static_cast<int64_t>(tensor.message.size()))
    return refuse("has less data than its dimensions say: {0} numbers needed", expected);
  auto buffer = allocate(bytes);
  char *out = mutableBytes(buffer);
  int64_t found = 0;
  Field field = fieldOf(tensor.type);
  bool isOther = false;
  auto store = [&](Field from, const void *number, size_t size) {
    isOther |= from != field;
    if (found < expected && from == field)
      std::memcpy(out + found * elementBytes, number, std::min<size_t>(size, elementBytes));
    ++found;
  };
  bool isGood = decodeNumbers(
      tensor, [&](uint64_t n) { store(Field::Integers, &n, sizeof(n)); },
      [&](float n) { store(Field::Singles, &n, sizeof(n)); }, [&](double n) { store(Field::Doubles, &n, sizeof(n)); });
  if (!isGood)
    return refuse("has damaged data");
  if (isOther)
    return refuse("has its numbers in a field that does not belong to its type {0}", typeName(tensor.type));
  if (found != expected)
    return refuse("has {0} numbers of data, its dimensions need {1}", found, expected);
  return Bytes{ArrayRef<char>(out, bytes), buffer};
}

Expected<Bytes> readExternal(const TensorProto &tensor, Files &files, int64_t bytes) {
  StringRef location;
  int64_t offset = 0, length = -1;
  for (auto [key, value] : tensor.external) {
    int64_t *number = key == "offset" ? &offset : key == "length" ? &length : nullptr;
    if (key == "location")
      location = value;
    else if (number && (value.getAsInteger(10, *number) || *number < 0))
      return refuse("has the external data {0} {1}, expected a number from 0", key.str(), quote(value));
  }
  if (length >= 0 && length != bytes)
    return refuse("has {0} bytes of external data, its dimensions need {1}", length, bytes);
  return files.external(location, offset, bytes);
}

/// Booleans must be 0 or 1: everything later relies on it.
Bytes normalizeBooleans(Bytes bytes) {
  if (llvm::all_of(bytes.data, [](char c) { return c == 0 || c == 1; }))
    return bytes;
  auto buffer = allocate(bytes.data.size());
  llvm::transform(bytes.data, mutableBytes(buffer), [](char c) { return c != 0; });
  return {ArrayRef<char>(buffer->getBufferStart(), bytes.data.size()), buffer};
}

bool isAligned(ArrayRef<char> data, int64_t elementBytes) {
  return reinterpret_cast<uintptr_t>(data.data()) % elementBytes == 0;
}

/// Protobuf aligns nothing. A small weight may be read here by whole elements, so it is copied to where the machine can
/// read them; a large one stays in the mapped file, and whoever reads it asks the blob for its alignment.
Bytes align(Bytes bytes, int64_t elementBytes) {
  constexpr size_t largeBytes = 64 << 10;
  if (bytes.data.size() >= largeBytes || isAligned(bytes.data, elementBytes))
    return bytes;
  auto buffer = allocate(bytes.data.size());
  std::memcpy(mutableBytes(buffer), bytes.data.data(), bytes.data.size());
  return {ArrayRef<char>(buffer->getBufferStart(), bytes.data.size()), buffer};
}

} // namespace

std::string typeName(DataType type) {
  static constexpr StringLiteral names[] = {
      "undefined", "float",      "uint8",      "int8",         "uint16",         "int16",      "int32",
      "int64",     "string",     "bool",       "float16",      "double",         "uint32",     "uint64",
      "complex64", "complex128", "bfloat16",   "float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz",
      "uint4",     "int4",       "float4e2m1", "float8e8m0",   "uint2",          "int2"};
  auto index = static_cast<size_t>(type);
  return index < std::size(names) ? names[index].str() : "number " + std::to_string(static_cast<int32_t>(type));
}

ElementType elementTypeOf(MLIRContext *context, DataType type) {
  auto integer = [&](unsigned bits, bool isUnsigned) {
    return ElementType{IntegerType::get(context, bits), isUnsigned};
  };
  switch (type) {
  case DataType::Float:
    return {Float32Type::get(context)};
  case DataType::Double:
    return {Float64Type::get(context)};
  case DataType::Float16:
    return {Float16Type::get(context)};
  case DataType::Bfloat16:
    return {BFloat16Type::get(context)};
  case DataType::Float8E4M3FN:
    return {Float8E4M3FNType::get(context)};
  case DataType::Float8E4M3FNUZ:
    return {Float8E4M3FNUZType::get(context)};
  case DataType::Float8E5M2:
    return {Float8E5M2Type::get(context)};
  case DataType::Float8E5M2FNUZ:
    return {Float8E5M2FNUZType::get(context)};
  case DataType::Float8E8M0:
    return {Float8E8M0FNUType::get(context)};
  case DataType::Float4E2M1:
    return {Float4E2M1FNType::get(context)};
  case DataType::Int8:
    return integer(8, false);
  case DataType::Int16:
    return integer(16, false);
  case DataType::Int32:
    return integer(32, false);
  case DataType::Int64:
    return integer(64, false);
  case DataType::Int4:
    return integer(4, false);
  case DataType::Int2:
    return integer(2, false);
  case DataType::Uint8:
    return integer(8, true);
  case DataType::Uint16:
    return integer(16, true);
  case DataType::Uint32:
    return integer(32, true);
  case DataType::Uint64:
    return integer(64, true);
  case DataType::Uint4:
    return integer(4, true);
  case DataType::Uint2:
    return integer(2, true);
  case DataType::Bool:
    return integer(1, false);
  case DataType::String:
    return {IntegerType::get(context, 64), false, /*isString=*/true};
  default:
    return {};
  }
}

/// The ids of a tensor's strings.
static Expected<Bytes> readStrings(const TensorProto &tensor, Texts &texts, int64_t count) {
  if (tensor.isExternal || tensor.raw)
    return refuse("holds strings, which must lie in string_data");
  SmallVector<int64_t> ids;
  if (!decodeStrings(tensor, [&](StringRef text) { ids.push_back(texts.idOf(text)); }))
    return refuse("has damaged data");
  if (std::ssize(ids) != count)
    return refuse("has {0} strings of data, its dimensions need {1}", ids.size(), count);
  auto buffer = allocate(count * sizeof(int64_t));
  std::memcpy(mutableBytes(buffer), ids.data(), count * sizeof(int64_t));
  return Bytes{ArrayRef<char>(buffer->getBufferStart(), count * sizeof(int64_t)), buffer};
}

Expected<Weight> readTensor(const Source &source, const TensorProto &tensor) {
  ElementType element = elementTypeOf(source.context, tensor.type);
  if (!element.type)
    return refuse("has the unsupported type {0}", typeName(tensor.type));
  auto count = countElements(tensor.dims);
  if (!count)
    return count.takeError();
  int64_t bits = tensor.type == DataType::Bool ? 8 : element.type.getIntOrFloatBitWidth();
  int64_t bytes = (*count * bits + 7) / 8;
  if (tensor.raw && !tensor.raw->empty() && tensor.hasTypedData)
    return refuse("has raw data and typed data at once");

  Expected<Bytes> data = Bytes{};
  if (element.isString) {
    data = readStrings(tensor, source.texts, *count);
  } else if (tensor.isExternal) {
    if (tensor.hasTypedData || (tensor.raw && !tensor.raw->empty()))
      return refuse("has external data and data in the file at once");
    data = readExternal(tensor, source.origins.of(tensor.message).files, bytes);
  } else if (tensor.hasTypedData) {
    data = decodeTyped(tensor, bits, bytes);
  } else {
    StringRef raw = tensor.raw.value_or(StringRef());
    if (static_cast<int64_t>(raw.size()) != bytes)
      return refuse("has {0} bytes of data, its dimensions need {1}", raw.size(), bytes);
    data = Bytes{ArrayRef<char>(raw.data(), raw.size()), source.origins.of(tensor.message).buffer};
  }
  if (!data)
    return data.takeError();
  Weight weight;
  weight.type = RankedTensorType::get(tensor.dims, element.type);
  weight.isUnsigned = element.isUnsigned;
  weight.isString = element.isString;
  weight.bytes =
      tensor.type == DataType::Bool ? normalizeBooleans(*data) : align(*data, std::max<int64_t>(bits / 8, 1));
  return weight;
}

Expected<Weight> readSparseTensor(const Source &source, const SparseTensorProto &sparse) {
  auto count = countElements(sparse.dims);
  if (!count)
    return count.takeError();
  auto values = readTensor(source, sparse.values);
  if (!values)
    return values.takeError();
  auto indices = readTensor(source, sparse.indices);
  if (!indices)
    return indices.takeError();
  int64_t bits = sparse.values.type == DataType::Bool ? 8 : values->type.getElementTypeBitWidth();
  if (bits < 8)
    return refuse("is sparse with elements of {0} bits, which is not supported", bits);
  // A small file must not become a huge tensor.
  constexpr int64_t kMostBytes = int64_t(1) << 28;
  if (*count > kMostBytes / (bits / 8))
    return refuse("is sparse with {0} elements, too many to be made dense", *count);
  int64_t nonZero = values->type.getNumElements(), rank = sparse.dims.size();
  bool isLinear = indices->type.getRank() == 1;
  if (values->type.getRank() != 1 || !indices->type.getElementType().isInteger(64) ||
      indices->type.getNumElements() != (isLinear ? nonZero : nonZero * rank))
    return refuse("is sparse with values and indices that do not fit each other");

  auto buffer = allocate(*count * (bits / 8));
  std::memset(mutableBytes(buffer), 0, buffer->getBufferSize());
  std::vector<int64_t> index(indices->type.getNumElements());
  std::memcpy(index.data(), indices->bytes.data.data(), index.size() * sizeof(int64_t));
  for (int64_t i = 0; i < nonZero; ++i) {
    int64_t position = 0;
    for (int64_t d = 0; d < (isLinear ? 1 : rank); ++d) {
      int64_t at = isLinear ? index[i] : index[i * rank + d], size = isLinear ? *count : sparse.dims[d];
      if (at < 0 || at >= size)
        return refuse("is sparse with the index {0}, expected one from 0 to {1}", at, size - 1);
      position = isLinear ? at : position * size + at;
    }
    std::memcpy(mutableBytes(buffer) + position * (bits / 8), values->bytes.data.data() + i * (bits / 8), bits / 8);
  }
  Weight weight;
  weight.type = RankedTensorType::get(sparse.dims, values->type.getElementType());
  weight.isUnsigned = values->isUnsigned;
  weight.isString = values->isString;
  weight.bytes = {ArrayRef<char>(buffer->getBufferStart(), buffer->getBufferSize()), buffer};
  return weight;
}

DenseElementsAttr toDense(const Weight &weight) {
  Type element = weight.type.getElementType();
  int64_t count = weight.type.getNumElements();
  ArrayRef<char> data = weight.bytes.data;
  if (element.isInteger(1)) {
    SmallVector<bool> values(llvm::map_range(data, [](char c) { return c != 0; }));
    return DenseElementsAttr::get(weight.type, values);
  }
  unsigned bits = element.getIntOrFloatBitWidth();
  SmallVector<mlir::Attribute> values;
  if (bits >= 8 && count > 0) {
    size_t size = bits / 8;
    bool isSplat = !std::memcmp(data.data(), data.data() + size, data.size() - size);
    return DenseElementsAttr::getFromRawBuffer(weight.type, isSplat ? data.take_front(size) : data);
  }
  for (int64_t i = 0; i < count; ++i) {
    APInt value(bits, (static_cast<uint8_t>(data[i * bits / 8]) >> (i * bits % 8)) & ((1u << bits) - 1));
    if (auto floating = dyn_cast<FloatType>(element))
      values.push_back(FloatAttr::get(element, APFloat(floating.getFloatSemantics(), value)));
    else
      values.push_back(IntegerAttr::get(element, value));
  }
  return DenseElementsAttr::get(weight.type, values);
}

DenseResourceElementsAttr toResource(const Weight &weight, StringRef name) {
  unsigned elementBytes = std::max(weight.type.getElementTypeBitWidth() / 8, 1u);
  unsigned alignment = isAligned(weight.bytes.data, elementBytes) ? elementBytes : 1;
  auto keepAlive = [owner = weight.bytes.owner](void *, size_t, size_t) {};
  AsmResourceBlob blob =
      UnmanagedAsmResourceBlob::allocateWithAlign(weight.bytes.data, alignment, std::move(keepAlive));
  return DenseResourceElementsAttr::get(weight.type, name, std::move(blob));
}

} // namespace eyrie::import::onnx
