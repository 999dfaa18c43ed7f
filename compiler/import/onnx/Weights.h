// Tensors of the file as attributes: zero-copy where the file's bytes can be used as they are.
#pragma once
#include "compiler/import/onnx/Files.h"
#include "compiler/import/onnx/Proto.h"
#include "compiler/import/onnx/Strings.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"

namespace eyrie::import::onnx {

/// Tensors in a model may have at most this many dimensions (the limit of the runtime's interface).
inline constexpr size_t kMaxRank = 32;
/// More elements than this in any tensor of a model are taken for an error of the model.
inline constexpr int64_t kMaxElements = int64_t(1) << 40;

struct ElementType {
  mlir::Type type;
  bool isUnsigned = false;
  bool isString = false; // the type is that of their ids
};

/// "float", "int64", ... or "type 99".
std::string typeName(DataType type);
/// The element type in IR; a null type for what is not supported (complex numbers, unknown numbers).
ElementType elementTypeOf(mlir::MLIRContext *context, DataType type);

struct Weight {
  mlir::RankedTensorType type;
  bool isUnsigned = false;
  bool isString = false;
  Bytes bytes; // row-major, little-endian; booleans one byte each; elements below one byte packed, the first lowest
};

/// What tensors of the model are read with.
struct Source {
  mlir::MLIRContext *context;
  Origins &origins; // which own raw data
  Texts &texts;
};

/// Checks everything about the tensor (type, dims, amount of data) and finds or decodes its bytes.
llvm::Expected<Weight> readTensor(const Source &source, const TensorProto &tensor);
/// The same for a sparse tensor, made dense.
llvm::Expected<Weight> readSparseTensor(const Source &source, const SparseTensorProto &sparse);

/// The elements in the attribute's own storage; for few elements.
mlir::DenseElementsAttr toDense(const Weight &weight);
/// A reference to the weight's bytes, which it keeps mapped.
mlir::DenseResourceElementsAttr toResource(const Weight &weight, llvm::StringRef name);

} // namespace eyrie::import::onnx
