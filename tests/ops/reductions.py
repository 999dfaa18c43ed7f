"""Reductions, normalisations, softmax and running sums."""
import numpy as np
from cases import SPECIAL, Family, Weight, bools, f16, f32, f64, i64, ints

family = Family()
add, both = family.add, family.both

for op in ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum",
           "ReduceLogSumExp", "ReduceSumSquare"]:
    data = (lambda *shape: f32(*shape, low=0.5, high=1.5)) if op in ("ReduceLogSum", "ReduceProd") else f32
    options = {"tolerance": 2e-5}

    def reduce(x, axes=None, name=None, keepdims=None, op=op, dynamic=False):
        """The axes as an attribute, or as an input where the operation has them so in opset 17."""
        attributes = {} if keepdims is None else {"keepdims": keepdims}
        for opset, tag in ((17, ""), (18, "_18")):
            as_input = op == "ReduceSum" or opset == 18
            if axes is None:
                add(op, x, name=name + tag, opset=opset, dynamic=dynamic, **attributes, **options)
            elif as_input:
                add(op, x, Weight(i64(*axes)), name=name + tag, opset=opset, dynamic=dynamic, **attributes, **options)
            else:
                add(op, x, name=name + tag, opset=opset, dynamic=dynamic, axes=list(axes), **attributes, **options)

    reduce(data(3, 5, 7), [1], "middle")
    reduce(data(3, 5, 7), [-1], "last", keepdims=0)
    reduce(data(3, 5, 7), [0, -1], "outer", keepdims=1)
    reduce(data(3, 5, 7), None, "all", keepdims=0)
    add(op, data(13, 67), name="long", **options)
    add(op, data(), name="scalar", **options)
    reduce(data(3, 5, 7), [2], "last", dynamic=True, keepdims=0)
for op in ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd"]:
    add(op, ints(3, 5, low=-4, high=5, dtype=np.int32), name="i32")
    add(op, ints(3, 5, low=-4, high=5), name="i64", keepdims=0)
for op in ["ReduceMax", "ReduceMin"]:
    add(op, ints(3, 5, low=0, high=250, dtype=np.uint8), name="u8", opset=18)
    add(op, ints(3, 5, dtype=np.int8), name="i8", opset=18)
    add(op, bools(3, 5), Weight(i64(1)), name="bool", opset=20)
    add(op, np.float32([[1, np.inf, -np.inf], [3, -4, 2]]), Weight(i64(1)), name="infinite", opset=18)
add("ReduceSum", f32(3, 5), Weight(i64()), name="noop", noop_with_empty_axes=1)
add("ReduceSum", f32(3, 5), Weight(i64()), name="empty_axes_reduce_all")
add("ReduceSum", f32(3, 0, 5), Weight(i64(1)), name="empty")
add("ReduceSum", f64(3, 5), Weight(i64(1)), name="f64", tolerance=1e-12)
add("ReduceMean", f16(3, 50), name="f16", tolerance=2e-3)
add("ReduceSum", f32(4, 6), Weight(i64(1)), name="several_sizes", dims=[["n", "m"]],
    also=[[f32(*s), None] for s in ((1, 1), (7, 33), (2, 100))], tolerance=2e-5)
add("ReduceMean", f32(1, 4096), name="4096", axes=[1], tolerance=2e-5)
add("ReduceMean", f32(4, 3, 9, 9), name="spatial", axes=[2, 3], keepdims=0)

TIES = ints(5, 7, low=0, high=3).astype(np.float32)
for op in "ArgMax", "ArgMin":
    for axis in 0, 1, -1:
        for keepdims in 0, 1:
            add(op, TIES, name=f"axis{axis}_{keepdims}", axis=axis, keepdims=keepdims)
    add(op, TIES, name="last_index", axis=1, select_last_index=1)
    add(op, TIES, name="axis1", dynamic=True, axis=1)
    add(op, ints(3, 9, dtype=np.int32), name="i32", axis=1)

for op in "Softmax", "LogSoftmax":
    for axis in 0, 1, 2, -1:
        add(op, f32(3, 5, 7), name=f"axis{axis}", axis=axis)
        add(op, f32(3, 5, 7), name=f"axis{axis}_opset11", opset=11, axis=axis)
    add(op, f32(3, 5, 7), name="default")
    add(op, f32(3, 5, 7), name="default_opset11", opset=11)
    add(op, f32(3, 1), name="one", axis=1)
    add(op, f32(4, 130) * 50, name="large_values", axis=-1)
    add(op, f32(2, 5, 7), name="last", dynamic=True, axis=-1)
    add(op, np.float32([[1, -np.inf, 2, -np.inf]]), name="masked", axis=-1)
add("Hardmax", f32(3, 5), axis=1)
add("Hardmax", f32(3, 5), axis=0)

for axis, shape in (-1, (7,)), (1, (5, 7)), (2, (7,)), (-2, (5, 7)):
    add("LayerNormalization", f32(3, 5, 7), Weight(f32(*shape)), Weight(f32(*shape)), name=f"axis{axis}", axis=axis)
add("LayerNormalization", f32(3, 5, 7), Weight(f32(7)), name="no_bias", epsilon=1e-3)
add("LayerNormalization", f32(3, 5, 7), Weight(f32(7)), Weight(f32(7)), name="last", dynamic=True)
add("LayerNormalization", f32(3, 5, 7), Weight(f32(7)), Weight(f32(7)), name="statistics", outputs=3)
add("LayerNormalization", f32(2, 768) + 100, Weight(f32(768)), Weight(f32(768)), name="offset", tolerance=1e-4)
add("InstanceNormalization", f32(2, 3, 5, 7), Weight(f32(3)), Weight(f32(3)), epsilon=1e-3)
add("InstanceNormalization", f32(2, 3, 11), Weight(f32(3)), Weight(f32(3)), name="1d")
add("GroupNormalization", f32(2, 6, 5, 5), Weight(f32(6)), Weight(f32(6)), opset=21, num_groups=3)


def statistics(c):
    return [Weight(f32(c)), Weight(f32(c)), Weight(f32(c)), Weight(f32(c, low=0.5, high=2))]


both("BatchNormalization", f32(2, 3, 5, 7), *statistics(3), name="2d")
add("BatchNormalization", f32(4, 3), *statistics(3), name="rank2", epsilon=1e-2)
add("BatchNormalization", f32(2, 3, 7), *statistics(3), name="1d")
add("BatchNormalization", f32(2, 3, 2, 3, 4), *statistics(3), name="3d")
add("BatchNormalization", f32(2, 3, 5), *statistics(3), name="opset9", opset=9)
add("LRN", f32(2, 5, 4, 4), size=3, alpha=0.5, beta=0.6, bias=1.5)
add("LRN", f32(2, 7, 4, 4), size=5)
add("LpNormalization", f32(3, 5), axis=1, p=2)
add("LpNormalization", f32(3, 5), axis=0, p=1)
add("MeanVarianceNormalization", f32(2, 3, 5, 7))

for exclusive in 0, 1:
    for reverse in 0, 1:
        add("CumSum", f32(5, 7), Weight(np.array(1, np.int32)), name=f"e{exclusive}r{reverse}", exclusive=exclusive,
            reverse=reverse)
add("CumSum", f32(5, 7), Weight(np.array(-2, np.int64)), name="negative_axis")
add("CumSum", ints(5, 7), Weight(np.array(0, np.int64)), name="i64")
add("CumSum", ints(9), Weight(np.array(0, np.int64)), name="i64", dynamic=True)
for size in 64, 65, 1000, 5000:
    both("CumSum", ints(3, size), Weight(np.array(1)), name=f"long{size}")
for exclusive in 0, 1:
    for reverse in 0, 1:
        add("CumSum", f32(70, 2), Weight(np.array(0)), name=f"long_e{exclusive}r{reverse}", exclusive=exclusive, reverse=reverse,
            dims=[["n", 2]], also=[[f32(n, 2), None] for n in (0, 1, 2500)], tolerance=1e-4)
