#include "compiler/import/onnx/Registry.h"
#include "compiler/ops/RunTimeAxes.h"

using namespace mlir;
using eyrie::ops::Reduce;

namespace eyrie::import::onnx {
namespace {

using ops::isKnown;

/// The axes moved from an attribute to an operand in operator set `since`.
template <Reduce kind, int since> Result reduce(OpNode &n) {
  bool keepDims = n.flag("keepdims", true), noop = n.flag("noop_with_empty_axes", false);
  if (n.opset >= since && n.isGood() && n.input(1) && !isKnown(*n.input(1)))
    return ops::reduce(n.b, kind, n.required(0), *n.input(1), keepDims, noop);
  SmallVector<int64_t> axes = n.opset >= since ? n.constantIntegers(1, "axes") : n.integers("axes");
  if (!n.isGood() || n.opset < since)
    return n.isGood() ? Result(ops::reduce(n.b, kind, n.required(0), axes, keepDims)) : Result(failure());
  return ops::reduce(n.b, kind, n.required(0), axes, keepDims, noop);
}

template <bool isMax> Result argReduce(OpNode &n) {
  return ops::argReduce(n.b, isMax, n.required(0), n.integer("axis", 0), n.flag("keepdims", true),
                        n.flag("select_last_index", false));
}

template <FailureOr<Tensor> (*op)(ops::Builder &, const Tensor &, int64_t, bool, bool)> Result cumulate(OpNode &n) {
  bool isExclusive = n.flag("exclusive", false), isReverse = n.flag("reverse", false);
  if (const Tensor *axis = n.input(1); axis && !isKnown(*axis))
    return ops::alongAxis(n.b, n.required(0), *axis, [&](const Tensor &x, int64_t position) {
      return op(n.b, x, position, isExclusive, isReverse);
    });
  SmallVector<int64_t> axis = n.constantIntegers(1, "axis");
  if (axis.size() != 1)
    return n.fail("input 'axis' must hold one number, found " + llvm::Twine(axis.size()));
  return op(n.b, n.required(0), axis[0], isExclusive, isReverse);
}

/// Before operator set 13 all dimensions from the axis on are taken together.
template <FailureOr<Tensor> (*op)(ops::Builder &, const Tensor &, int64_t, bool)> Result softmax(OpNode &n) {
  bool isFlattened = n.opset < 13;
  return op(n.b, n.required(0), n.integer("axis", isFlattened ? 1 : -1), isFlattened);
}

const OpRow rows[] = {
    {"ArgMax", {1, 11, 12, 13}, 1, 1, argReduce<true>},
    {"ArgMin", {1, 11, 12, 13}, 1, 1, argReduce<false>},
    {"CumProd", {26}, 2, 2, cumulate<ops::cumProd>},
    {"CumSum", {11, 14}, 2, 2, cumulate<ops::cumSum>},
    {"Hardmax", {1, 11, 13}, 1, 1, softmax<ops::hardmax>},
    {"LogSoftmax", {1, 11, 13}, 1, 1, softmax<ops::logSoftmax>},
    {"ReduceL1", {1, 11, 13, 18}, 1, 2, reduce<Reduce::L1, 18>},
    {"ReduceL2", {1, 11, 13, 18}, 1, 2, reduce<Reduce::L2, 18>},
    {"ReduceLogSum", {1, 11, 13, 18, 28}, 1, 2, reduce<Reduce::LogSum, 18>},
    {"ReduceLogSumExp", {1, 11, 13, 18, 28}, 1, 2, reduce<Reduce::LogSumExp, 18>},
    {"ReduceMax", {1, 11, 12, 13, 18, 20}, 1, 2, reduce<Reduce::Max, 18>},
    {"ReduceMean", {1, 11, 13, 18}, 1, 2, reduce<Reduce::Mean, 18>},
    {"ReduceMin", {1, 11, 12, 13, 18, 20}, 1, 2, reduce<Reduce::Min, 18>},
    {"ReduceProd", {1, 11, 13, 18}, 1, 2, reduce<Reduce::Prod, 18>},
    {"ReduceSum", {1, 11, 13}, 1, 2, reduce<Reduce::Sum, 13>},
    {"ReduceSumSquare", {1, 11, 13, 18}, 1, 2, reduce<Reduce::SumSquare, 18>},
    {"Softmax", {1, 11, 13}, 1, 1, softmax<ops::softmax>},
};

} // namespace

ArrayRef<OpRow> reductionOps() { return rows; }

} // namespace eyrie::import::onnx
