// One node of the model as the handler of its operation sees it: checked access to operands and attributes.
#pragma once
#include "compiler/import/onnx/Weights.h"
#include "compiler/ops/Ops.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"
#include <deque>

namespace eyrie::import::onnx {

using llvm::ArrayRef;
using llvm::SmallVector;
using ops::Tensor;

/// The results of a node, in order; failure after an error that has been reported to the builder or the node.
class Result {
public:
  Result(mlir::LogicalResult) : results(mlir::failure()) {}        // NOLINT: failure() converts
  Result(mlir::FailureOr<Tensor> one) : results(mlir::failure()) { // NOLINT
    if (mlir::succeeded(one))
      results = SmallVector<Tensor>{std::move(*one)};
  }
  Result(Tensor one) : results(SmallVector<Tensor>{std::move(one)}) {}            // NOLINT
  Result(mlir::FailureOr<SmallVector<Tensor>> many) : results(std::move(many)) {} // NOLINT
  Result(SmallVector<Tensor> many) : results(std::move(many)) {}                  // NOLINT

  mlir::FailureOr<SmallVector<Tensor>> results;
};

/// Errors of the accessors are remembered, not returned: a wrong attribute reads as its default and the node fails
/// afterwards with the first error, so that handlers stay one expression long.
class OpNode {
public:
  OpNode(ops::Builder &b, const Node &node, int64_t opset) : b(b), node(node), opset(opset), modelOpset(opset) {}

  ops::Builder &b;
  const Node &node;
  int64_t opset;            // version of the operator set whose form the node has
  const int64_t modelOpset; // that it is written for: an older one if `upgrade` gave it another form

  // Operands. Optional ones may be left out at the end or by an empty name.
  size_t numInputs() const { return inputs.size(); }
  /// Null when absent.
  const Tensor *input(size_t i) const { return i < inputs.size() ? inputs[i] : nullptr; }
  /// An error when absent.
  const Tensor &required(size_t i);
  /// All operands; an absent one is an error.
  SmallVector<Tensor> all();
  bool wantsOutput(size_t i) const { return i < node.outputs.size() && !node.outputs[i].empty(); }

  // Attributes, by name. An attribute of another type than asked for is an error.
  bool has(StringRef name) const { return find(name); }
  int64_t integer(StringRef name, int64_t initial);
  int64_t requiredInteger(StringRef name);
  bool flag(StringRef name, bool initial) { return integer(name, initial) != 0; }
  double number(StringRef name, double initial);
  StringRef string(StringRef name, StringRef initial);
  /// Empty when absent.
  SmallVector<int64_t> integers(StringRef name);
  SmallVector<double> numbers(StringRef name);
  SmallVector<StringRef> strings(StringRef name);
  const TensorProto *tensor(StringRef name);
  /// The value among `choices`; an error that lists them otherwise.
  template <typename T> T choice(StringRef name, T initial, ArrayRef<std::pair<StringRef, T>> choices) {
    if (!has(name))
      return initial;
    StringRef text = string(name, "");
    std::string list;
    for (auto &[key, value] : choices) {
      if (key == text)
        return value;
      list += (list.empty() ? "" : ", ") + key.str();
    }
    (void)fail("attribute '" + name + "' is '" + text + "', expected one of " + list);
    return initial;
  }
  /// Elements of operand `i` known at compile time; empty when absent.
  SmallVector<int64_t> constantIntegers(size_t i, StringRef what);
  /// The element type that attribute `name` gives by number; an error when unsupported.
  struct TypeAndSign {
    mlir::Type type;
    bool isUnsigned;
  };
  TypeAndSign elementType(StringRef name, int64_t initial);
  /// The same where strings will do.
  ElementType elementTypeOrString(StringRef name, int64_t initial);

  /// No error so far.
  bool isGood() const { return error.empty() && !hasBuilderError; }
  /// Remembers an error (the first one counts). Convertible to failure.
  mlir::LogicalResult fail(const llvm::Twine &text) {
    if (isGood())
      error = text.str();
    return mlir::failure();
  }
  /// This node does what is right by the format, but not here.
  mlir::LogicalResult unsupported(const llvm::Twine &reason) {
    isUnsupported |= isGood();
    return fail(reason);
  }

  // Another form for the node.
  void setInput(size_t i, Tensor tensor);
  void setInteger(StringRef name, int64_t value);
  void setNumber(StringRef name, double value);
  void setString(StringRef name, StringRef value); // which must outlive the node

  // For the importer.
  const Attribute *find(StringRef name) const;
  SmallVector<const Tensor *> inputs;
  const Tensor *keys = nullptr; // of the operand that is a map; `inputs` has its values
  SmallVector<std::pair<StringRef, const Attribute *>> attributes; // with references to function attributes resolved
  std::string error;
  bool isUnsupported = false;
  bool hasBuilderError = false; // an error that the builder has reported
  /// Reads a tensor attribute (the importer knows the files). Small ones as known elements.
  llvm::function_ref<llvm::Expected<Tensor>(const TensorProto &, StringRef)> readTensor;
  llvm::function_ref<llvm::Expected<Tensor>(const SparseTensorProto &, StringRef)> readSparseTensor;
  /// The elements of a tensor attribute that is no weight of the program but a table it is made from, of any size.
  llvm::function_ref<llvm::Expected<Weight>(const TensorProto &)> readWeight;
  Texts *texts = nullptr;
  /// What the indices along the last dimension of the first result are, if the node says it; for people.
  SmallVector<std::string> labels;

private:
  const Attribute *expect(StringRef name, Attribute::Type type, StringRef typeName);
  Attribute &makeAttribute(StringRef name, Attribute::Type type);
  Tensor dummy;
  std::deque<Tensor> madeTensors;
  std::deque<Attribute> madeAttributes;
};

/// "an integer", "a tensor", ...: for errors.
StringRef nameOf(Attribute::Type type);
/// A tensor of known 64-bit integers, for what older operator sets give as attributes.
Tensor integerTensor(ops::Builder &b, ArrayRef<int64_t> values);

} // namespace eyrie::import::onnx
