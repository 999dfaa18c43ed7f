"""Operators over axes: sums and extrema, softmax, normalisations, running sums, the largest elements."""
import numpy as np
from cases import Weight
from draw import FLOATS, operator


def with_axes(draw, op, x, axes, **attributes):
    """Axes as the operator set wants them: an attribute before 18 (13 for ReduceSum), an input from then on."""
    if axes is None:
        return draw.case(op, x, **attributes)
    if draw.opset >= (13 if op == "ReduceSum" else 18):
        return draw.case(op, x, Weight(np.array(axes, np.int64)), **attributes)
    return draw.case(op, x, axes=axes, **attributes)


@operator("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare",
          "ReduceLogSum", "ReduceLogSumExp", opsets=(13, 18, 20))
def reduction(draw, op):
    # What a mean or a maximum of nothing is, runtimes do not agree on.
    x = draw.eighths(draw.shape(zero=op == "ReduceSum"), draw.choice([np.float32, np.float64, np.int32, np.int64]
                     if op in ("ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1") else [np.float32, np.float64]))
    if op == "ReduceProd":
        x = np.where(x == 0, x + 1, np.sign(x)) * draw.choice([1, 1, 2] if x.size < 64 else [1])
        x = x.astype(np.float32)
    if op == "ReduceLogSum":
        x = np.abs(x) + 1
    axes = draw.axes(x.ndim, least=1) if x.ndim and draw.chance(0.8) else None
    return with_axes(draw, op, x, axes, keepdims=draw.integer(0, 1))


@operator("ArgMax", "ArgMin")
def arg_extremum(draw, op):
    shape = draw.shape(1, 4, zero=False)
    # Few different values: ties are broken by their place.
    x = draw.values(shape, draw.choice([np.float32, np.int32, np.int64, np.uint8]), 0, 3).round()
    return draw.case(op, x, axis=draw.axis(len(shape)), keepdims=draw.integer(0, 1), select_last_index=draw.integer(0, 1))


@operator("Softmax", "LogSoftmax", "Hardmax")
def softmax(draw, op):
    shape = draw.shape(1, 4)
    x = draw.values(shape, draw.choice([np.float32, np.float64]), -9, 9)
    if op == "Softmax" and draw.chance(0.2) and x.size:
        x.flat[draw.integer(0, x.size - 1)] = -np.inf if shape[-1] > 1 else 0
        return draw.case(op, x, axis=-1)
    return draw.case(op, x, axis=draw.axis(len(shape)))


@operator("LayerNormalization", "RMSNormalization", opsets=(23, 24))
def layer_normalization(draw, op):
    shape = draw.shape(1, 4, zero=False)
    axis = draw.axis(len(shape))
    x = draw.values(shape, np.float32) + draw.values([], np.float32)
    scale, bias = draw.values(shape[axis:], np.float32), draw.values(shape[axis:], np.float32)
    inputs = [x, scale, bias] if op == "LayerNormalization" and draw.chance(0.7) else [x, scale]
    return draw.case(op, *inputs, axis=axis, epsilon=draw.choice([1e-5, 1e-2]), tolerance=5e-5)


@operator("BatchNormalization")
def batch_normalization(draw, op):
    shape = draw.shape(2, 4)
    channel = lambda low=-2: draw.values([shape[1]], np.float32, low, 3)
    return draw.case(op, draw.values(shape), channel(), channel(), channel(), channel(0.1), epsilon=draw.choice([1e-5, 0.1]))


@operator("InstanceNormalization")
def instance_normalization(draw, op):
    shape = draw.shape(3, 4, zero=False)
    return draw.case(op, draw.values(shape), draw.values([shape[1]]), draw.values([shape[1]]), epsilon=1e-2, tolerance=5e-5)


@operator("GroupNormalization", opsets=(21,))
def group_normalization(draw, op):
    groups = draw.integer(1, 4)
    shape = [draw.integer(1, 3), groups * draw.integer(1, 4), *(draw.integer(2, 9) for _ in range(draw.integer(1, 2)))]
    return draw.case(op, draw.values(shape), draw.values([shape[1]]), draw.values([shape[1]]), num_groups=groups, epsilon=1e-2,
                     tolerance=5e-5)


@operator("LRN")
def lrn(draw, op):
    return draw.case(op, draw.values(draw.shape(4, 4)), size=draw.choice([1, 3, 5, 7]), alpha=draw.choice([1e-4, 0.5]),
                     beta=draw.choice([0.75, 0.5]), bias=draw.choice([1.0, 2.0]))


@operator("LpNormalization")
def lp_normalization(draw, op):
    shape = draw.shape(1, 4, zero=False)
    return draw.case(op, draw.values(shape, draw.choice([np.float32, np.float64]), 0.5, 4), axis=draw.axis(len(shape)),
                     p=draw.integer(1, 2))


@operator("MeanVarianceNormalization")
def mean_variance_normalization(draw, op):
    shape = draw.shape(2, 4, zero=False)
    x = draw.values(shape)
    axes = draw.axes(len(shape), least=1)
    # One element alone has no variance.
    if np.prod([shape[axis] for axis in axes]) < 2:
        x, axes = draw.values([3, 5]), [1]
    return draw.case(op, x, axes=axes, tolerance=1e-4)


@operator("CumSum", "CumProd", opsets=(26,))
def running(draw, op):
    shape = draw.shape(1, 4)
    x = draw.eighths(shape, draw.choice([np.float32, np.float64, np.int32, np.int64]))
    if op == "CumProd":
        x = np.where(x >= 0, 1, -1).astype(x.dtype)
    axis = np.array(draw.axis(len(shape)), draw.choice([np.int32, np.int64]))
    return draw.case(op, x, axis if draw.chance(0.3) else Weight(axis), exclusive=draw.integer(0, 1), reverse=draw.integer(0, 1))


@operator("TopK")
def top_k(draw, op):
    shape = draw.shape(1, 4, zero=False)
    axis = draw.axis(len(shape))
    dtype = draw.choice([np.float32, np.float64, np.int32, np.int64])
    # Equal ones come in the order of their places.
    x = draw.values(shape, dtype, -20, 20).round()
    k = np.array([draw.integer(0 if draw.chance(0.1) else 1, shape[axis])])
    return draw.case(op, x, Weight(k), axis=axis, largest=draw.integer(0, 1), sorted=1, outputs=2)


@operator("Trilu", opsets=(14, 21))
def trilu(draw, op):
    x = draw.values(draw.shape(2, 4), draw.choice([*FLOATS, np.int32, bool]))
    inputs = [x] if draw.chance(0.3) else [x, Weight(np.array(draw.integer(-9, 9)))]
    return draw.case(op, *inputs, upper=draw.integer(0, 1))
