// Convolutions and poolings.
#include "compiler/import/onnx/Window.h"

using namespace mlir;
using eyrie::ops::AutoPad;
using eyrie::ops::Pool;

namespace eyrie::import::onnx {

void readWindow(OpNode &n, ops::WindowAttrs &attrs) {
  attrs.kernel = n.integers("kernel_shape");
  attrs.strides = n.integers("strides");
  attrs.dilations = n.integers("dilations");
  attrs.pads = n.integers("pads");
  attrs.autoPad = n.choice<AutoPad>("auto_pad", AutoPad::NotSet,
                                    {{"NOTSET", AutoPad::NotSet},
                                     {"VALID", AutoPad::Valid},
                                     {"SAME_UPPER", AutoPad::SameUpper},
                                     {"SAME_LOWER", AutoPad::SameLower},
                                     {"", AutoPad::NotSet}});
}

bool readConvolution(OpNode &n, ops::WindowAttrs &attrs, int64_t &groups) {
  readWindow(n, attrs);
  groups = n.integer("group", 1);
  return n.isGood();
}

bool readPool(OpNode &n, ops::PoolAttrs &attrs) {
  readWindow(n, attrs);
  attrs.ceilMode = n.flag("ceil_mode", false);
  attrs.countIncludePad = n.flag("count_include_pad", false);
  attrs.p = n.integer("p", 2);
  attrs.columnMajor = n.flag("storage_order", false);
  if (attrs.kernel.empty())
    (void)n.fail("attribute 'kernel_shape' is missing");
  return n.isGood();
}

namespace {

Result conv(OpNode &n) {
  ops::WindowAttrs attrs;
  int64_t groups;
  if (!readConvolution(n, attrs, groups))
    return failure();
  return ops::conv(n.b, n.required(0), n.required(1), n.input(2), attrs, groups);
}

Result convTranspose(OpNode &n) {
  SmallVector<int64_t> outputPadding = n.integers("output_padding"), outputShape = n.integers("output_shape");
  ops::WindowAttrs attrs;
  int64_t groups;
  if (!readConvolution(n, attrs, groups))
    return failure();
  return ops::convTranspose(n.b, n.required(0), n.required(1), n.input(2), attrs, groups, outputPadding, outputShape);
}

template <Pool kind> Result pool(OpNode &n) {
  ops::PoolAttrs attrs;
  if (!readPool(n, attrs))
    return failure();
  if (kind == Pool::Max && n.wantsOutput(1))
    return ops::maxPoolWithIndices(n.b, n.required(0), attrs);
  return ops::pool(n.b, kind, n.required(0), attrs);
}

template <Pool kind> Result globalPool(OpNode &n) {
  return ops::globalPool(n.b, kind, n.required(0), n.integer("p", 2));
}

const OpRow rows[] = {
    {"AveragePool", {1, 7, 10, 11, 19, 22}, 1, 1, pool<Pool::Average>},
    {"Conv", {1, 11, 22}, 2, 3, conv},
    {"ConvTranspose", {1, 11, 22}, 2, 3, convTranspose},
    {"GlobalAveragePool", {1, 22}, 1, 1, globalPool<Pool::Average>},
    {"GlobalLpPool", {1, 2, 22}, 1, 1, globalPool<Pool::Lp>},
    {"GlobalMaxPool", {1, 22}, 1, 1, globalPool<Pool::Max>},
    {"LpPool", {1, 2, 11, 18, 22}, 1, 1, pool<Pool::Lp>},
    {"MaxPool", {1, 8, 10, 11, 12, 22}, 1, 1, pool<Pool::Max>},
};

} // namespace

ArrayRef<OpRow> windowOps() { return rows; }

} // namespace eyrie::import::onnx
