"""Quantised arithmetic: integers are compared exactly."""
import numpy as np
from cases import Family, Weight, f32, ints

family = Family()
add, both = family.add, family.both
U8, S8 = np.uint8, np.int8


def q8(kind, *shape):
    return ints(*shape, low=0 if kind == U8 else -128, high=256 if kind == U8 else 128, dtype=kind)


def one(value, kind=np.float32):
    return np.array(value, kind)


for x_kind in U8, S8:
    for y_kind in U8, S8:
        tag = f"{x_kind.__name__}_{y_kind.__name__}"
        x_zero, y_zero = q8(x_kind), q8(y_kind)
        both("MatMulInteger", q8(x_kind, 7, 33), Weight(q8(y_kind, 33, 5)), x_zero, Weight(y_zero), name=tag)
        add("MatMulInteger", q8(x_kind, 2, 3, 7, 5), q8(y_kind, 2, 3, 5, 4), name=tag + "_batched")
        both("ConvInteger", q8(x_kind, 2, 3, 9, 8), Weight(q8(y_kind, 4, 3, 3, 3)), Weight(x_zero), Weight(y_zero), name=tag,
             pads=[1, 0, 1, 2])
        add("QLinearMatMul", q8(x_kind, 7, 33), one(0.5), x_zero, Weight(q8(y_kind, 33, 5)), Weight(one(0.0625)),
            Weight(y_zero), Weight(one(64.0)), Weight(one(3, x_kind)), name=tag)
        # ONNX Runtime lacks these; ONNX's evaluator stands in, which does not round halves to even: there are none.
        is_lacking = x_kind == S8 and y_kind == U8
        for bias in (False,) if is_lacking else (False, True):
            more = [Weight(ints(4, low=-3000, high=3000, dtype=np.int32))] if bias else []
            both("QLinearConv", q8(x_kind, 2, 3, 9, 8), Weight(one(0.5)), Weight(x_zero), Weight(q8(y_kind, 4, 3, 3, 3)),
                 Weight(one(0.0625)), Weight(one(0, y_kind) if x_kind == S8 else y_zero), Weight(one(7.7 if is_lacking else 8.0)),
                 Weight(one(5, x_kind)), *more, name=tag + ("_bias" if bias else ""), pads=[1, 1, 1, 1], strides=[1, 2])
add("MatMulInteger", q8(U8, 7, 5), q8(U8, 5, 3), name="no_zero_points")
add("MatMulInteger", q8(U8, 7, 5), Weight(q8(S8, 5, 3)), q8(U8), Weight(q8(S8, 3)), name="per_column")
add("MatMulInteger", q8(U8, 0, 5), q8(U8, 5, 3), name="empty")
add("MatMulInteger", q8(U8, 7, 5), Weight(q8(S8, 5, 3)), name="rows", dims=[["n", 5]], also=[[q8(U8, n, 5), None] for n in (1, 33)])
add("ConvInteger", q8(U8, 1, 4, 7, 7), Weight(q8(U8, 8, 2, 3, 3)), Weight(q8(U8)), name="groups", group=2, dilations=[2, 1])
add("ConvInteger", q8(U8, 1, 2, 17), Weight(q8(U8, 3, 2, 4)), name="1d", strides=[2])
add("ConvInteger", q8(U8, 1, 2, 8, 9), Weight(q8(U8, 3, 2, 3, 3)), name="same", auto_pad="SAME_UPPER", strides=[2, 2])
add("QLinearConv", q8(U8, 1, 3, 9, 9), Weight(one(0.25)), Weight(one(128, U8)), Weight(q8(S8, 4, 3, 3, 3)),
    Weight(np.float32([0.5, 0.25, 0.125, 1])), Weight(np.zeros(4, S8)), Weight(one(16.0)), Weight(one(100, U8)),
    Weight(ints(4, low=-900, high=900, dtype=np.int32)), name="per_channel")
add("QLinearConv", q8(U8, 1, 4, 9, 9), Weight(one(0.25)), Weight(one(128, U8)), Weight(q8(S8, 4, 1, 3, 3)),
    Weight(np.float32([0.5, 0.25, 0.125, 1])), Weight(np.zeros(4, S8)), Weight(one(4.0)), Weight(one(100, U8)),
    name="depthwise", group=4, pads=[1] * 4)
add("QLinearConv", q8(U8, 1, 2, 17), Weight(one(0.25)), Weight(one(128, U8)), Weight(q8(U8, 4, 2, 3)), Weight(one(0.5)),
    Weight(one(7, U8)), Weight(one(4.0)), Weight(one(100, U8)), name="1d")
add("QLinearMatMul", q8(U8, 7, 33), one(0.5), one(3, U8), Weight(q8(S8, 33, 5)),
    Weight(np.float32([0.5, 0.25, 0.125, 1, 2])), Weight(np.zeros(5, S8)), Weight(one(64.0)), Weight(one(90, U8)),
    name="per_column")
add("QLinearMatMul", q8(U8, 2, 7, 5), one(0.5), one(3, U8), q8(U8, 2, 5, 3), one(0.25), one(4, U8), one(16.0), one(90, U8),
    name="batched")

both("DynamicQuantizeLinear", f32(5, 7), outputs=3)
add("DynamicQuantizeLinear", f32(3, 4, 5, low=1, high=3), outputs=3, name="positive")
add("DynamicQuantizeLinear", f32(12, low=-3, high=-1), outputs=3, name="negative")
add("DynamicQuantizeLinear", np.zeros((3, 2), np.float32), outputs=3, name="zeros")
add("DynamicQuantizeLinear", f32(5, 7), outputs=3, name="sizes", dims=[["n", "m"]], also=[[f32(1, 1)], [f32(40, 3) * 100]])
