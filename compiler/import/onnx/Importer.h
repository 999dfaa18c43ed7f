// The walk over a model's graphs that writes them as core IR.
#pragma once
#include "compiler/import/onnx/Errors.h"
#include "compiler/import/onnx/Files.h"
#include "compiler/import/onnx/Functions.h"
#include "compiler/import/onnx/Import.h"
#include "compiler/import/onnx/OpNode.h"
#include "compiler/import/onnx/Proto.h"
#include "compiler/import/onnx/Sequence.h"
#include "compiler/import/onnx/Weights.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/StringSet.h"

namespace eyrie::import::onnx {

inline bool isOneBoolean(const Tensor &t) { return t.isBool() && t.hasStaticShape() && t.numElements().is(1); }

/// True if `dim` is computed from a value made inside `region`.
bool dependsOn(ops::Dim dim, mlir::Region &region);

/// Functions and branches nest at most this deep in each other.
inline constexpr unsigned kMaxDepth = 128;

/// A name of the model: a tensor, sequence or map, an optional value that holds nothing, an initializer that nobody has
/// asked for yet, or what stands for an error. An optional value that surely holds something is that; one of which only
/// the program knows it is a list (abi/module.fbs): empty, or one tensor, or a sequence behind a zero.
struct Slot {
  enum class Kind { Tensor, Sequence, Map, Optional, Nothing, Initializer, SparseInitializer, Absent, Poisoned };
  Kind kind = Kind::Poisoned;
  Tensor tensor; // of Map: the values [n]
  const TensorProto *initializer = nullptr;
  const SparseTensorProto *sparse = nullptr;
  Sequence sequence = {};       // of Optional: the list without what is in front of a sequence
  bool mayHoldSequence = false; // of Optional: else a tensor
  mlir::ArrayAttr labels = {};  // of Tensor: what the indices along its last dimension are; null: not said
  Tensor keys = {};             // of Map: the keys [n]

  static Slot of(Tensor tensor) { return {Kind::Tensor, std::move(tensor)}; }
  static Slot of(Sequence sequence) { return {Kind::Sequence, {}, nullptr, nullptr, std::move(sequence)}; }
  static Slot optional(Sequence list, bool mayHoldSequence) {
    Slot slot = of(std::move(list));
    slot.kind = Kind::Optional;
    slot.mayHoldSequence = mayHoldSequence;
    return slot;
  }
  static Slot map(Tensor keys, Tensor values) {
    Slot slot{Kind::Map, std::move(values)};
    slot.keys = std::move(keys);
    return slot;
  }
  bool hasValue() const { return isList() || kind == Kind::Tensor; }
  /// May be handed on by branches and loops.
  bool isSettled() const { return hasValue() || kind == Kind::Nothing; }
  /// A list when it is handed on.
  bool isList() const { return kind == Kind::Sequence || kind == Kind::Optional; }
  /// Both are tensors, or sequences, with elements of one type.
  bool hasTypeOf(const Slot &other) const {
    if (kind != other.kind || mayHoldSequence != other.mayHoldSequence)
      return false;
    return isList() ? sequence.hasTypeOf(other.sequence)
                    : tensor.elementType == other.tensor.elementType && tensor.isUnsigned == other.tensor.isUnsigned &&
                          tensor.isString == other.tensor.isString;
  }
  /// "f32[2, 3]", "sequence of f32[?, 3]", "map of string[x] to f32[x]".
  std::string str() const {
    if (kind == Kind::Map)
      return "map of " + keys.str() + " to " + tensor.str();
    if (kind == Kind::Optional)
      return "optional " + (mayHoldSequence ? sequence.str() : sequence.elementText());
    return kind == Kind::Nothing ? "optional without a value" : kind == Kind::Sequence ? sequence.str() : tensor.str();
  }
};

using Slots = SmallVector<Slot, 0>;

/// True for the operations on sequences and optional values but SequenceMap.
bool isSlotOp(StringRef op);

// Optionals.cpp
/// Whether an optional value holds something, as an integer of the host.
ops::Dim holdsOne(ops::Builder &b, const Slot &optional);
/// What it holds; the program stops where it holds nothing.
mlir::FailureOr<Slot> held(ops::Builder &b, const Slot &optional);
/// A tensor, a sequence or nothing as an optional value like `like`, which is one or what one holds; itself if that
/// is impossible.
Slot asOptional(ops::Builder &b, const Slot &slot, const Slot &like);

/// The names of one graph; those of the graphs around it are visible.
class Scope {
public:
  explicit Scope(Scope *parent = nullptr) : parent(parent) {}
  /// Null if there is no such name.
  Slot *find(StringRef name) {
    for (Scope *scope = this; scope; scope = scope->parent)
      if (auto it = scope->slots.find(name); it != scope->slots.end())
        return it->second.get();
    return nullptr;
  }
  bool owns(StringRef name) const { return slots.contains(name); }
  /// False if this graph has the name already.
  bool add(StringRef name, Slot slot) {
    return slots.try_emplace(name, std::make_unique<Slot>(std::move(slot))).second;
  }

private:
  Scope *parent;
  llvm::DenseMap<StringRef, std::unique_ptr<Slot>> slots;
};

/// A node that is being expanded by a function.
struct Call {
  const Node &node;
  const Function *function;
  SmallVector<std::pair<StringRef, const Attribute *>> attributes;
  std::string description; // of the function, for errors
  const Call *caller;
};

/// "a::F -> b::G -> a::F": the operators that are being expanded, and the node that one of them has in its function.
std::string chainOf(const Node &node, const Call *call);

/// How names of operations and references to attributes are understood: differs between the model and its functions.
struct Env {
  const std::vector<OperatorSet> *operatorSets;
  const Call *call = nullptr;
  std::string prefix; // of node names, for locations
};

class Importer {
public:
  Importer(mlir::MLIRContext &context, const Model &model, std::shared_ptr<llvm::MemoryBuffer> file, StringRef path,
           const ImportOptions &options, Errors &errors);

  /// The finished module; null when there were errors.
  mlir::OwningOpRef<mlir::ModuleOp> run();

private:
  // Signature.cpp
  bool addArguments(const Graph &graph, Scope &scope);
  std::optional<Tensor> addArgument(const ValueInfo &input, const llvm::StringMap<int64_t> &fixed);
  bool addMapArgument(const ValueInfo &input, const llvm::StringMap<int64_t> &fixed, Scope &scope);
  void addListArgument(const ValueInfo &input, Scope &scope);
  /// An output is what the graph declares: an optional value, or what it must hold.
  void settleOutput(const ValueInfo &output, Slot &slot);
  void addResults(const Graph &graph, ArrayRef<Slot> results);
  void addChecks();
  void addRanges();
  // States.cpp
  void addStates(const Graph &graph, ArrayRef<Slot> results);
  void addState(unsigned argument, unsigned result, StringRef output, ArrayRef<Slot> results,
                llvm::function_ref<void(const std::string &)> fail);

  mlir::ArrayAttr dimNames(ArrayRef<ops::Dim> shape);

  // Importer.cpp
  bool checkVersions();
  bool addInitializers(const Graph &graph, Scope &scope);
  struct Rest;
  /// Where a graph that is imported in place of a node (a branch that is surely taken, a function) belongs.
  struct Around {
    const Node &node;
    Scope &scope;
    const Env &env;
    Rest *rest;
  };
  /// What is still to import of a graph. An If that cannot be merged imports it in both branches and leaves the
  /// results here; if these cannot be merged either, what is behind the graph too.
  struct Rest {
    ArrayRef<Node> nodes;
    ArrayRef<unsigned> order;
    ArrayRef<StringRef> results;
    std::optional<Slots> merged;
    const Around *around; // null: nothing is known of what is behind
  };
  /// Imports the nodes that `results` need; the slots of the results, or empty after an error.
  Slots importNodes(ArrayRef<Node> nodes, ArrayRef<StringRef> results, Scope &scope, const Env &env,
                    const Around *around = nullptr);
  Slots importRest(Rest rest, Scope &scope, const Env &env);
  void importNode(const Node &node, unsigned index, Scope &scope, const Env &env);
  void importOperation(const Node &node, Scope &scope, const Env &env, int64_t opset, ArrayRef<const Slot *> operands,
                       StringRef place);
  // Calls.cpp
  /// Expands the node by a function, or reports why that fails. False: the node is an operation of the compiler.
  bool importExpansion(const Expander *expander, const Node &node, Scope &scope, const Env &env,
                       ArrayRef<const Slot *> operands, StringRef place);
  void importCall(const Node &node, const Function &function, Scope &scope, const Env &env,
                  ArrayRef<const Slot *> operands, StringRef place);
  std::string checkCall(const Node &node, const Function &function, const Env &env);
  /// The callback for a node; null inside of what it expands itself.
  const Expander *expanderOf(const Node &node, const Env &env) const;
  /// What a callback makes of the node; null without an error: it leaves the node to others.
  const Function *expand(const Expander &expander, const Node &node, const Env &env, ArrayRef<const Slot *> operands,
                         StringRef place, std::string &error);
  /// The function that expands the node if no callback does; null if it is an operation of the compiler, or unknown.
  const Function *findFunction(const Node &node, const Env &env);
  bool isBuiltIn(const Node &node, const Env &env) const;

  // Importer.cpp
  /// Runs the handler of a node and binds what it gives, or reports what went wrong at the node.
  void callHandler(OpNode &n, Scope &scope, StringRef place, llvm::function_ref<mlir::FailureOr<Slots>()> handle);
  void bind(const Node &node, Scope &scope, ArrayRef<Slot> results, StringRef place);
  void poison(const Node &node, Scope &scope);
  /// The tensor behind a name, read from the file on first use.
  const Slot *resolve(StringRef name, Scope &scope);
  Tensor makeWeight(const Weight &weight, StringRef name);
  /// A tensor of the file that is used in many places (a function that is called many times) is one weight.
  llvm::Expected<Tensor> readWeight(const TensorProto &tensor, StringRef name);
  llvm::Expected<Tensor> readWeight(const SparseTensorProto &sparse, StringRef name);
  bool isParameter(const Weight &weight, StringRef name);
  SmallVector<std::pair<StringRef, const Attribute *>> attributesOf(const Node &node, const Env &env);
  bool checkResult(const Tensor &t, std::string &error);

  /// Imports a node that holds graphs.
  using FlowHandler = void (Importer::*)(const Node &node, Scope &scope, const Env &env,
                                         ArrayRef<const Slot *> operands, StringRef place);
  /// Null if the node is of another kind.
  FlowHandler findFlow(const Node &node) const;

  // Branch.cpp
  /// The value of one boolean on the host; it is read back only where the host does not know it.
  mlir::Value readCondition(const Tensor &condition);
  /// Reports that a node with graphs does not fit, or is not supported.
  void failFlow(const Node &node, Scope &scope, const Env &env, StringRef place, const std::string &text);
  void importIf(const Node &node, Scope &scope, const Env &env, ArrayRef<const Slot *> operands, StringRef place);
  Slots importBranch(const Graph &graph, Scope &scope, const Env &env, StringRef place, const Around *around = nullptr);
  std::string mergeBranches(mlir::Value condition, mlir::scf::IfOp apart, ArrayRef<Slot> thenResults,
                            ArrayRef<Slot> elseResults, Slots &merged);
  Slots failingBranch(mlir::Region &region, StringRef text, mlir::Region &other, ArrayRef<Slot> results);
  struct Branches;
  bool importRestOnce(Branches &branches, const Node &node, Scope &scope, const Env &env, Rest left);
  void importRestInBranches(const Node &node, Scope &scope, const Env &env, StringRef place, mlir::Value condition,
                            mlir::scf::IfOp apart, ArrayRef<Slots> results);

  // Loops.cpp
  void importLoop(const Node &node, Scope &scope, const Env &env, ArrayRef<const Slot *> operands, StringRef place);
  void importScan(const Node &node, Scope &scope, const Env &env, ArrayRef<const Slot *> operands, StringRef place);
  struct Carried;
  struct Loop;
  void importBatchedScan(const Node &node, Scope &scope, const Env &env, ArrayRef<const Slot *> operands,
                         StringRef place);
  ops::Dim readLength(const Loop &loop, const Tensor &length, ops::Dim most);
  Slots importLoopBody(const Graph &body, StringRef loop, ArrayRef<Slot> inputs, Scope &scope, const Env &env);
  std::string importTurns(Loop &loop, Slots &results);
  bool importTurn(Loop &loop);
  static bool settleCarried(Loop &loop);
  void finishLoop(const Node &node, Scope &scope, const Env &env, StringRef place, Loop &loop,
                  ArrayRef<int64_t> outputAxes);
  void checkRowSize(const Loop &loop, ops::Dim turn, mlir::Value before, ops::Dim size);
  void handOn(const Carried &carried, const Slot &slot, llvm::SmallVectorImpl<mlir::Value> &values);
  SmallVector<mlir::Value> makeInits(Loop &loop);
  void yieldNext(Loop &loop);
  mlir::scf::WhileOp makeLoop(Loop &loop);
  Slots readResults(const Loop &loop, mlir::scf::WhileOp made);

  // Sequences.cpp
  void importSlotOp(const Node &node, Scope &scope, const Env &env, ArrayRef<const Slot *> operands, StringRef place);
  void importSequenceMap(const Node &node, Scope &scope, const Env &env, ArrayRef<const Slot *> operands,
                         StringRef place);
  Slots importMapBody(const Graph &body, Scope &scope, const Env &env, ArrayRef<const Slot *> operands,
                      ops::Dim position, StringRef place);
  mlir::LogicalResult checkLengths(OpNode &n, ArrayRef<const Slot *> operands, ops::Dim length);

  // HostOps.cpp
  /// The signatures of a node's operator; empty unless functions of the caller compute it.
  SmallVector<const HostOp *> hostOpsOf(const Node &node) const;
  void importHostOp(const Node &node, Scope &scope, const Env &env, ArrayRef<const Slot *> operands, StringRef place);

  // FlexAttention.cpp
  void importFlexAttention(const Node &node, Scope &scope, const Env &env, ArrayRef<const Slot *> operands,
                           StringRef place);
  mlir::FailureOr<Tensor> importModifier(OpNode &n, StringRef name, const Tensor &t, Scope &scope, const Env &env);

  /// For the list of unsupported nodes only: what cannot be reached because an earlier node failed.
  void listUnsupported(const Graph &graph, const Env &env);
  /// Reports the node if its operation is unknown; then true.
  bool isUnknown(const Node &node, const Env &env, StringRef place);

  int64_t opsetOf(StringRef domain, const Env &env) const;
  std::string placeOf(const Node &node, unsigned index, const Env &env) const;
  static std::string describe(const Node &node, StringRef place);

  mlir::MLIRContext &context;
  const Model &model;
  std::string path;
  Origins origins;
  Texts texts;
  Source source;
  const ImportOptions &options;
  SmallVector<mlir::Attribute> fixedConstants; // graph::kFixed
  Errors &errors;
  Functions functions;

  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::OpBuilder builder;
  ops::DimContext dims;
  std::unique_ptr<ops::Builder> b;
  mlir::func::FuncOp main;
  mlir::Operation *lastOfEntry = nullptr; // weights and sizes of inputs come first of all and so dominate every use
  llvm::StringSet<> globalNames, parameterNames;
  llvm::DenseMap<const char *, Tensor> weights; // that were read, by where the message lies
  /// A value of the signature as the attributes of @main describe it.
  mlir::DictionaryAttr describeValue(StringRef name, const Slot &value);
  std::vector<std::pair<StringRef, Slot>> arguments;
  std::vector<std::pair<ops::Dim, std::string>> argumentSymbols; // symbols of inputs and the names given to them
  /// What was imported on trial and given up. It stays until the end: others remember its values by their address.
  SmallVector<mlir::Operation *> givenUp;
  int64_t budget = 0; // nodes that may still be imported: inlining must not multiply a file without end
  unsigned depth = 0;
  Rest *rest = nullptr; // of the graph that is being imported, behind the node that is
};

} // namespace eyrie::import::onnx
