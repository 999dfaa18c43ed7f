#include "compiler/pipeline/Estimate.h"
#include "compiler/graph/ElementTypes.h"
#include "compiler/graph/Forms.h"
#include "compiler/graph/Parameters.h"
#include "compiler/stream/Stream.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace eyrie;
namespace json = llvm::json;

namespace {

/// Open sizes count as 1; saturates.
int64_t product(ArrayRef<int64_t> sizes) {
  int64_t total = 1;
  for (int64_t size : sizes)
    total = llvm::MulOverflow(total, ShapedType::isDynamic(size) ? 1 : size, total) ? INT64_MAX : total;
  return total;
}

int64_t bytesOf(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return 0;
  int64_t bits = std::max<int64_t>(stream::getStoredBits(tensor.getElementType()), 1), bytes = 0;
  return llvm::MulOverflow(product(tensor.getShape()), bits, bytes) ? INT64_MAX : llvm::divideCeil(bytes, 8);
}

/// How long the tensors of a function live, each with those that share its memory.
class Lives {
public:
  explicit Lives(func::FuncOp func) {
    Block &block = func.getBody().front();
    for (Value argument : block.getArguments())
      ids[argument] = add(0, 0);
    for (auto [time, op] : llvm::enumerate(block)) {
      op.walk([&](Operation *inner) {
        for (Value operand : inner->getOperands())
          if (auto at = ids.find(operand); at != ids.end())
            lives[at->second].last = time;
      });
      for (OpResult result : op.getResults())
        ids[result] = idOf(op, result, time);
    }
    for (Value result : block.getTerminator()->getOperands())
      lives[ids.lookup(result)].bytes = 0; // the caller's
    length = std::distance(block.begin(), block.end());
  }

  int64_t peak() const {
    std::vector<int64_t> change(length + 1);
    for (const Life &life : lives) {
      change[life.first] += life.bytes;
      change[life.last + 1 < length ? life.last + 1 : length] -= life.bytes;
    }
    int64_t now = 0, most = 0;
    for (int64_t step : change)
      most = std::max(most, now += step);
    return most;
  }

private:
  struct Life {
    int64_t bytes;
    size_t first, last;
  };

  unsigned add(int64_t bytes, size_t time) {
    lives.push_back({bytes, time, time});
    return lives.size() - 1;
  }

  unsigned idOf(Operation &op, OpResult result, size_t time) {
    Value shares;
    if (auto written = dyn_cast<DestinationStyleOpInterface>(op))
      shares = written.getTiedOpOperand(result)->get();
    else if (isa<tensor::ExtractSliceOp, tensor::CastOp, tensor::ExpandShapeOp, tensor::CollapseShapeOp,
                 graph::ReshapeOp>(op))
      shares = op.getOperand(0);
    auto at = shares ? ids.find(shares) : ids.end();
    bool isWeight = isa<graph::LoadGlobalOp, arith::ConstantOp>(op);
    return at != ids.end() ? at->second : add(isWeight ? 0 : bytesOf(result.getType()), time);
  }

  std::vector<Life> lives;
  DenseMap<Value, unsigned> ids;
  size_t length = 0;
};

FailureOr<json::Object> describe(func::FuncOp func, Type type, DictionaryAttr attributes) {
  auto get = [&](StringRef key) { return attributes ? attributes.get(key) : Attribute(); };
  auto tensor = dyn_cast<RankedTensorType>(type);
  const auto *row = abi::FindElementType(static_cast<uint64_t>(graph::getValueElementType(type, attributes)));
  if (!row)
    return func.emitOpError("has an argument or result of type ") << type << ", which a module cannot hold";
  std::string text;
  auto names = dyn_cast_or_null<ArrayAttr>(get("eyrie.dims"));
  if (tensor)
    for (auto [i, size] : llvm::enumerate(tensor.getShape())) {
      StringRef name = names && i < names.size() ? cast<StringAttr>(names[i]).getValue() : "";
      text += (!ShapedType::isDynamic(size) ? std::to_string(size) : name.empty() ? "?" : name.str()) + "x";
    }
  auto name = dyn_cast_or_null<StringAttr>(get("eyrie.name"));
  json::Object told{{"name", json::fixUTF8(name ? name.getValue() : "")},
                    {"type", json::fixUTF8((tensor ? "" : "sequence of ") + text + row->name)}};
  if (auto labels = dyn_cast_or_null<ArrayAttr>(get("eyrie.labels"))) {
    json::Array texts;
    for (StringRef label : labels.getAsValueRange<StringAttr>())
      texts.push_back(json::fixUTF8(label));
    told["labels"] = std::move(texts);
  }
  return told;
}

FailureOr<json::Object> estimateFunction(func::FuncOp func) {
  json::Array inputs, outputs;
  int64_t inputBytes = 0, outputBytes = 0, operations = 0;
  bool isOpen = false, hasLoops = false;
  auto add = [&](Type type, DictionaryAttr attributes, json::Array &rows, int64_t &bytes) {
    auto row = describe(func, type, attributes);
    if (succeeded(row))
      rows.push_back(std::move(*row));
    bytes = llvm::SaturatingAdd(uint64_t(bytes), uint64_t(bytesOf(type)));
    return LogicalResult(row);
  };
  for (auto [i, type] : llvm::enumerate(func.getArgumentTypes()))
    if (failed(add(type, func.getArgAttrDict(i), inputs, inputBytes)))
      return failure();
  for (auto [i, type] : llvm::enumerate(func.getResultTypes()))
    if (failed(add(type, func.getResultAttrDict(i), outputs, outputBytes)))
      return failure();
  func.walk([&](Operation *op) {
    hasLoops |= isa<scf::WhileOp, scf::ForOp>(op) && !op->getParentOfType<linalg::LinalgOp>();
    auto loops = dyn_cast<linalg::LinalgOp>(op);
    if (!loops)
      return;
    isOpen |= llvm::any_of(loops.getStaticLoopRanges(), ShapedType::isDynamic);
    operations = llvm::AddOverflow(operations, graph::operationsOf(loops), operations) ? INT64_MAX : operations;
  });
  return json::Object{{"name", func.getName()},
                      {"inputs", std::move(inputs)},
                      {"outputs", std::move(outputs)},
                      {"operations", operations},
                      {"input_bytes", inputBytes},
                      {"output_bytes", outputBytes},
                      {"transient_bytes", Lives(func).peak()},
                      {"has_open_sizes", isOpen},
                      {"has_loops", hasLoops}};
}

} // namespace

FailureOr<json::Object> pipeline::estimate(ModuleOp module) {
  int64_t tensors = 0, elements = 0, bytes = 0;
  for (auto global : module.getOps<graph::GlobalOp>()) {
    ++tensors;
    elements += product(cast<RankedTensorType>(global.getType()).getShape());
    bytes += bytesOf(global.getType());
  }
  json::Array functions;
  for (auto func : module.getOps<func::FuncOp>()) {
    if (graph::isInternal(func))
      continue;
    auto row = estimateFunction(func);
    if (failed(row))
      return failure();
    functions.push_back(std::move(*row));
  }
  return json::Object{{"parameters", json::Object{{"tensors", tensors}, {"elements", elements}, {"bytes", bytes}}},
                      {"functions", std::move(functions)}};
}
