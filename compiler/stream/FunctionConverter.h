// The conversion of one function's tensors to memory: what ConvertGraph.cpp (operations), ConvertFlow.cpp (branches and
// loops) and ConvertUpdates.cpp (writes into a part of a tensor) share.
#pragma once
#include "compiler/graph/Graph.h"
#include "compiler/stream/HostValues.h"
#include "compiler/stream/Stream.h"
#include "compiler/stream/Weights.h"
#include "llvm/Support/xxhash.h"

namespace eyrie::stream {

using namespace mlir;

/// Assigns the globals that the program uses their places in the weights section.
class WeightLayout {
public:
  explicit WeightLayout(ModuleOp module) : symbols(module) {}

  /// The global's byte offset; reports an error at `user` if there is no such global or it cannot be stored.
  FailureOr<int64_t> place(Operation *user, StringAttr name) {
    auto global = symbols.lookup<graph::GlobalOp>(name);
    if (!global)
      return user->emitOpError("refers to the global @") << name.getValue() << ", which does not exist";
    if (auto known = global->getAttrOfType<IntegerAttr>(kWeightOffset))
      return known.getInt();
    if (!global.getValue())
      return global.emitOpError("has no value; run @__initialize before making the module");
    FailureOr<WeightContent> content = getWeightContent(*global.getValue());
    if (failed(content))
      return global.emitOpError("cannot be stored: its data does not fit its type ") << global.getType();
    int64_t offset = placeContent(*global.getValue(), std::move(*content));
    global->setAttr(kWeightOffset, Builder(global).getI64IntegerAttr(offset));
    return offset;
  }

  SymbolTable &getSymbols() { return symbols; }

private:
  int64_t placeContent(ElementsAttr value, WeightContent content) {
    StringRef bytes(content.piece.data(), content.piece.size());
    auto key = std::make_pair(llvm::xxh3_64bits(bytes), content.size());
    for (auto [other, offset] : known[key])
      if (FailureOr<WeightContent> same = getWeightContent(other); succeeded(same) && *same == content)
        return offset;
    int64_t offset = end;
    end += llvm::alignTo(content.size(), kAlignment);
    known[key].push_back({value, offset});
    return offset;
  }

  SymbolTable symbols;
  int64_t end = 0;
  DenseMap<std::pair<uint64_t, int64_t>, SmallVector<std::pair<ElementsAttr, int64_t>, 1>> known;
};

/// Where a tensor's bytes are. No length: a tensor that control flow handed on; the reshape that reads it knows.
struct Stored {
  Value resource, offset, length;
};

/// The graph.update ops that can write into the memory of the tensor that they change.
class InPlaceUpdates {
public:
  void analyze(func::FuncOp func);
  bool contains(graph::UpdateOp op) const { return inPlace.contains(op); }
  /// Through views, and updates in place, to the value whose memory holds the tensor.
  Value getRoot(Value tensor) const;
  /// No other op reads the tensor that `op` changes; with `allowEarlier`: except ahead of it.
  bool isOnlyUse(graph::UpdateOp op, bool allowEarlier) const;
  /// The loop changes this carried tensor by updates in place alone.
  bool isChangedInPlace(BlockArgument loopArgument) const { return changedInPlace.contains(loopArgument); }

private:
  DenseSet<Operation *> inPlace;
  DenseSet<Value> changedInPlace;
};

/// A tensor that a loop carries from turn to turn.
struct Carried {
  enum class Mode {
    Fixed,     // never changes: read where it was before the loop
    InPlace,   // one memory, changed by updates
    Double,    // two memories of one size, read and written in turns
    Reference, // any size: the place itself is carried
  };
  Mode mode = Mode::Reference;
  unsigned number;                     // among the operands of the loop
  Value bytes;                         // InPlace and Double
  Stored place;                        // Fixed, InPlace: the tensor; Double: both memories
  SmallVector<BlockArgument, 1> after; // its names in the body
};

class FunctionConverter {
public:
  FunctionConverter(func::FuncOp func, WeightLayout &weights) : func(func), weights(weights), b(func.getContext()) {}
  LogicalResult run();

private:
  void expandSelects();
  void separateEmpties();
  void eraseDeadOps(Block &block);
  void makeArgumentSizes();
  LogicalResult resolveDims();
  LogicalResult placeResults();
  LogicalResult convertBlock(Block &block);
  LogicalResult convertOp(Operation *op);
  /// Where the tensors of an op lie: inputs, then results.
  struct Bindings {
    SmallVector<Value> resources, offsets, lengths;
    IntegerAttr reads;
  };
  FailureOr<Bindings> bind(Operation *op, ValueRange inputs);
  LogicalResult convertDispatch(graph::DispatchOp op);
  LogicalResult convertHostCall(graph::HostCallOp op);
  LogicalResult convertIf(scf::IfOp op);
  LogicalResult convertBranch(scf::IfOp op, Block &block, const llvm::SmallBitVector &byReference,
                              SmallVectorImpl<Value> &yielded);
  LogicalResult convertSlice(graph::SliceOp op);
  LogicalResult convertUpdate(graph::UpdateOp op);
  void placeUpdates(Block &block);
  void placeUpdate(graph::UpdateOp op);
  void placeAppend(graph::AppendOp op);
  Value extend(graph::AppendOp op, Operation *before, Stored dest);
  LogicalResult convertAppend(graph::AppendOp op);
  void placeStates();
  LogicalResult storeState(func::ReturnOp op, unsigned result);
  LogicalResult convertWhile(scf::WhileOp op);
  LogicalResult planCarried(scf::WhileOp op, Carried &carried);
  LogicalResult placeCarried(scf::WhileOp op, Carried &carried);
  Value getInvariantBytes(scf::WhileOp op, const Carried &carried);
  Stored getCarried(const Carried &carried, Operation *before, Value parity, bool isNext);
  void placeYields(scf::WhileOp op, ArrayRef<Carried> all, Value parity);
  FailureOr<SmallVector<Carried *>> getForwarded(scf::WhileOp op, ArrayRef<Carried *> byNumber);
  Value renewArguments(scf::WhileOp op, Block &block, ArrayRef<Carried *> carriedOf, bool hasParity);
  LogicalResult convertYield(scf::YieldOp yield, ArrayRef<Carried *> byNumber, Value parity);
  void placeResults(scf::WhileOp op, scf::WhileOp loop, ArrayRef<Carried *> forwarded, Value parity);
  Stored makeBlock(Operation *before, Value length);
  FailureOr<Stored> getReference(Operation *before, Value tensor);
  void placeBlock(Value tensor, Block &block);
  Value makePlaceholder(Value tensor, Operation *before);
  LogicalResult convertConstant(Operation *op, StringAttr global);
  LogicalResult convertReadScalar(graph::ReadScalarOp op);
  LogicalResult convertReturn(func::ReturnOp op);
  void placeElements(Block &block);
  LogicalResult convertListGet(graph::ListGetOp op);
  LogicalResult convertListInsert(graph::ListInsertOp op);
  FailureOr<Stored> getTarget(OpResult result);
  FailureOr<Stored> allocate(Operation *before, ArrayRef<OpFoldResult> sizes, Type elementType, StringRef name);
  FailureOr<Stored> find(Operation *user, Value tensor);
  FailureOr<SmallVector<OpFoldResult>> getSizes(Value tensor);
  FailureOr<SmallVector<OpFoldResult>> getIfSizes(scf::IfOp op, unsigned result);
  Stored createOutput(unsigned index, ArrayRef<OpFoldResult> sizes, Operation *before);
  FailureOr<SmallVector<OpFoldResult>> getAvailableSizes(Value tensor, Operation *before);
  bool canWriteInPlace(Value root, Block &block) const;
  Value getRoot(Value tensor) const { return updates.getRoot(tensor); }
  void copy(Location loc, Stored from, Stored to);

  func::FuncOp func;
  WeightLayout &weights;
  OpBuilder b;
  Availability available;
  InPlaceUpdates updates;
  SmallVector<SmallVector<OpFoldResult>> argumentSizes;
  DenseMap<Value, Stored> stored;          // tensors that are converted
  DenseMap<Value, Stored> targets;         // tensors whose memory was chosen before their producer is converted
  DenseSet<Operation *> writtenByMaker;    // updates and appends whose part the op that makes it writes in its place
  DenseMap<Operation *, Value> extended;   // appends whose memory is chosen
  DenseMap<unsigned, Value> directResults; // results that a producer writes: number -> the producer's value
  DenseMap<Value, SmallVector<OpFoldResult>> ifSizes; // of results of scf.if, found before the branches are converted
  SmallVector<Operation *> converted;                 // in program order; erased at the end
};

inline bool isTensor(Value value) { return isa<TensorType>(value.getType()); }

} // namespace eyrie::stream
