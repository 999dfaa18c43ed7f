// The messages of an ONNX file as views into its bytes (onnx/onnx.proto of the ONNX project gives the field numbers).
// Nothing is copied but small lists of numbers; every StringRef points into the parsed bytes.
#pragma once
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace eyrie::import::onnx {

using llvm::StringRef;

/// TensorProto.DataType
enum class DataType : int32_t {
  Undefined,
  Float,
  Uint8,
  Int8,
  Uint16,
  Int16,
  Int32,
  Int64,
  String,
  Bool,
  Float16,
  Double,
  Uint32,
  Uint64,
  Complex64,
  Complex128,
  Bfloat16,
  Float8E4M3FN,
  Float8E4M3FNUZ,
  Float8E5M2,
  Float8E5M2FNUZ,
  Uint4,
  Int4,
  Float4E2M1,
  Float8E8M0,
  Uint2,
  Int2
};

struct TensorProto {
  StringRef message; // all of its bytes, for decodeNumbers
  StringRef name;
  std::vector<int64_t> dims;
  DataType type = DataType::Undefined;
  std::optional<StringRef> raw;
  bool hasTypedData = false; // float_data, int32_data, ...
  bool isExternal = false;
  std::vector<std::pair<StringRef, StringRef>> external; // keys and values
};

struct SparseTensorProto {
  TensorProto values, indices;
  std::vector<int64_t> dims;
};

struct Dimension {
  std::optional<int64_t> value;
  StringRef name;
};

struct ValueInfo {
  enum class Kind { None, Tensor, Sequence, Map, Optional, SparseTensor, Opaque };
  StringRef name;
  Kind kind = Kind::None;
  bool isOptional = false;                // of a tensor or sequence
  DataType keyType = DataType::Undefined; // of a map
  /// Of a sequence of tensors: what follows is of every element. Of a map: of its values, and what follows is of the
  /// list of them, [the map's own name].
  DataType type = DataType::Undefined;
  bool hasShape = false;
  std::vector<Dimension> dims;
};

struct Graph;

struct Attribute {
  enum class Type : int32_t {
    Undefined,
    Float,
    Int,
    String,
    Tensor,
    Graph,
    Floats,
    Ints,
    Strings,
    Tensors,
    Graphs,
    SparseTensor,
    SparseTensors,
    TypeProto,
    TypeProtos
  };
  StringRef message;         // all of its bytes, for writeNode
  StringRef name, reference; // reference: name of an attribute of the enclosing function
  Type type = Type::Undefined;
  float number = 0;
  int64_t integer = 0;
  StringRef string;
  std::vector<float> numbers;
  std::vector<int64_t> integers;
  std::vector<StringRef> strings;
  std::shared_ptr<TensorProto> tensor;
  std::shared_ptr<SparseTensorProto> sparseTensor;
  std::shared_ptr<Graph> graph;
};

struct Node {
  StringRef name, op, domain, overload;
  std::vector<StringRef> inputs, outputs;
  std::vector<Attribute> attributes;
};

struct Graph {
  StringRef name;
  std::vector<Node> nodes;
  std::vector<TensorProto> initializers;
  std::vector<SparseTensorProto> sparseInitializers;
  std::vector<ValueInfo> inputs, outputs;
};

struct OperatorSet {
  StringRef domain;
  int64_t version = 0;
};

struct Function {
  StringRef message; // all of its bytes
  StringRef name, domain, overload;
  std::vector<StringRef> inputs, outputs, attributes;
  std::vector<Attribute> defaults;
  std::vector<Node> nodes;
  std::vector<OperatorSet> operatorSets;
  bool isMade = false; // for one node, by a callback
};

struct Model {
  int64_t irVersion = 0;
  StringRef producer;
  std::vector<OperatorSet> operatorSets;
  std::unique_ptr<Graph> graph;
  std::vector<Function> functions;
};

/// Graphs inside attributes may nest this deep.
inline constexpr unsigned kMaxGraphDepth = 64;

/// Parses a ModelProto. On failure returns false and says in `error` what is wrong and where.
bool parseModel(StringRef bytes, Model &model, std::string &error);

/// Parses a library of functions: a ModelProto, of which only the functions count, or a FunctionProto. Operator sets
/// that a function does not name are those of the file.
bool parseFunctions(StringRef bytes, std::vector<Function> &functions, std::string &error);
bool parseFunction(StringRef bytes, Function &function, std::string &error);

/// A NodeProto of the node, with these attributes in place of its own, by the names in front of them.
std::string writeNode(const Node &node, llvm::ArrayRef<std::pair<StringRef, const Attribute *>> attributes);

/// Calls `integer` or `floating` for each number of the tensor's typed data fields, in order; false when malformed.
bool decodeNumbers(const TensorProto &tensor, llvm::function_ref<void(uint64_t)> integer,
                   llvm::function_ref<void(float)> single, llvm::function_ref<void(double)> floating);
/// The same for string_data.
bool decodeStrings(const TensorProto &tensor, llvm::function_ref<void(StringRef)> visit);

} // namespace eyrie::import::onnx
