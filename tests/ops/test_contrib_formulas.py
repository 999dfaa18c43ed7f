"""Operators of com.microsoft that ONNX Runtime has for other devices only: against their formulas."""
import math

import numpy as np
import onnx
import pytest
from cases import Case, Weight
from command import check_equal, compile_model, run_module
from reference import evaluated

RANDOM = np.random.default_rng(3)


def f32(*shape):
    return RANDOM.standard_normal(shape, np.float32)


def check(tmp_path, op, inputs, want, tolerance=1e-5, **attributes):
    case = Case(op, "com.microsoft::" + op, inputs, attributes)
    onnx.save(case.model(), tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr")
    check_equal(run_module(tmp_path / "model.eyr", case.feeds()[0], tmp_path), {"y0": want}, tolerance)


def convolution(x, w, bias, **attributes):
    case = Case("conv", "Conv", [x, w, bias], attributes)
    return evaluated(case.model(), case.feeds()[0])["y0"]


def test_bias_add(tmp_path):
    x, bias, skip = f32(2, 5, 6), f32(6), f32(2, 5, 6)
    check(tmp_path, "BiasAdd", [x, bias, skip], x + bias + skip)


def test_bias_split_gelu(tmp_path):
    x, bias = f32(2, 5, 12), f32(12)
    left, right = np.split(x + bias, 2, -1)
    check(tmp_path, "BiasSplitGelu", [x, bias], left * right * 0.5 * (1 + np.vectorize(math.erf)(right / math.sqrt(2)).astype(np.float32)))


@pytest.mark.parametrize("last,activation", [(1, 0), (1, 1), (0, 0)])
def test_group_norm(tmp_path, last, activation):
    x, gamma, beta = f32(2, 8, 3, 5), f32(8), f32(8)
    parts = x.reshape(2, 4, -1).astype(np.float64)
    normal = (parts - parts.mean(-1, keepdims=True)) / np.sqrt(parts.var(-1, keepdims=True) + 1e-3)
    want = normal.reshape(x.shape) * gamma.reshape(8, 1, 1) + beta.reshape(8, 1, 1)
    if activation:
        want = want / (1 + np.exp(-want))
    move = (lambda array: np.ascontiguousarray(array.transpose(0, 2, 3, 1))) if last else (lambda array: array)
    check(tmp_path, "GroupNorm", [move(x), gamma, beta], move(want.astype(np.float32)), groups=4, activation=activation, channels_last=last,
          epsilon=1e-3)


@pytest.mark.parametrize("op", ["NhwcConv", "NhwcFusedConv"])
def test_nhwc_conv(tmp_path, op):
    x, w, bias = f32(2, 6, 9, 7), f32(4, 3, 3, 3), f32(4)
    given = {"group": 2, "strides": [2, 1], "pads": [1, 0, 1, 1]}
    want = convolution(x, w, bias, **given)
    if op == "NhwcFusedConv":
        want, given = np.maximum(want, 0), {**given, "activation": "Relu"}
    check(tmp_path, op, [x.transpose(0, 2, 3, 1).copy(), Weight(w), Weight(bias)], np.ascontiguousarray(want.transpose(0, 2, 3, 1)), **given)


def test_transpose_matmul(tmp_path):
    a, b = f32(3, 7, 5), f32(3, 4, 7)
    check(tmp_path, "TransposeMatMul", [a, b], 0.5 * a.transpose(0, 2, 1) @ b.transpose(0, 2, 1), transA=1, transB=1, alpha=0.5)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_qlinear_reduce_mean(tmp_path, dtype):
    limits = np.iinfo(dtype)
    x = RANDOM.integers(limits.min, limits.max, (3, 8, 4), dtype=dtype, endpoint=True)
    zero, out_zero = (np.array(value + (128 if dtype == np.uint8 else 0), dtype) for value in (3, -5))
    scale = lambda value: Weight(np.array(value, np.float32))
    # Powers of two: the quotient is exact, and halves go to the even side.
    mean = (x.astype(np.float64) - zero).mean(1, keepdims=True) * 0.5
    want = np.clip(np.round(mean / 0.25) + out_zero, limits.min, limits.max).astype(dtype)
    check(tmp_path, "QLinearReduceMean", [x, scale(0.5), Weight(zero), scale(0.25), Weight(out_zero)], want, axes=[1], keepdims=1)
