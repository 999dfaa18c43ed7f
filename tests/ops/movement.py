"""What moves elements and makes shapes: reshapes, slices, pads, gathers, scatters, resizes."""
import numpy as np
from cases import Family, Weight, bools, f16, f32, i64, ints
from onnx import numpy_helper

family = Family()
add, both = family.add, family.both
S = lambda *values: Weight(i64(*values))

for shape, perm in ((3, 5), [1, 0]), ((2, 3, 5), [0, 2, 1]), ((2, 3, 5), [2, 0, 1]), ((2, 3, 5, 7), [0, 2, 3, 1]), \
        ((2, 3, 5, 7), [0, 3, 1, 2]), ((2, 3, 4, 5, 6), [4, 2, 0, 3, 1]), ((1, 1, 9), [2, 1, 0]), ((0, 3), [1, 0]):
    add("Transpose", f32(*shape), perm=perm)
both("Transpose", f32(2, 3, 5), name="default")
add("Transpose", f32(2, 3, 5), name="021", dynamic=True, perm=[0, 2, 1])
add("Transpose", ints(3, 5, dtype=np.int8), name="i8")
add("Transpose", bools(3, 5), name="bool")
add("Transpose", f32(130, 67), name="large")

for shape, target in ((2, 3, 4), (4, 6)), ((2, 3, 4), (-1, 2)), ((2, 3, 4), (0, -1)), ((2, 3, 4), (0, 0, 2, 2)), \
        ((2, 3, 4), (24,)), ((1,), ()), ((2, 3), (1, 2, 1, 3, 1)), ((0, 3), (-1, 3)):
    add("Reshape", f32(*shape), S(*target))
add("Reshape", f32(0, 3), S(0, 7), name="allowzero", allowzero=1)
add("Reshape", f32(2, 3, 4), S(0, -1), name="0_-1", dynamic=True)
add("Reshape", f32(2, 12), S(-1, 3, 4), name="split", dims=[["n", 12]], also=[[f32(5, 12), None]])
for axis in 0, 1, 2, 3, -1, -3:
    add("Flatten", f32(2, 3, 4), axis=axis)
add("Flatten", f32(2, 3, 4), name="default", dynamic=True)
add("Squeeze", f32(1, 3, 1, 5), name="all")
add("Squeeze", f32(1, 3, 1, 5), S(0), name="first")
add("Squeeze", f32(1, 3, 1, 5), S(-2, 0), name="negative")
add("Squeeze", f32(1, 3, 1, 5), name="attribute", opset=11, axes=[0, 2])
add("Squeeze", f32(1, 3, 1, 5), S(0), name="first", dynamic=True)
add("Unsqueeze", f32(3, 5), S(0))
add("Unsqueeze", f32(3, 5), S(-1, 1))
add("Unsqueeze", f32(3, 5), S(3, 0))
add("Unsqueeze", f32(), S(0), name="scalar")
add("Unsqueeze", f32(3, 5), name="attribute", opset=11, axes=[0, 2])
add("Unsqueeze", f32(3, 5), S(1), name="middle", dynamic=True)
for shape, target in ((3, 1), (3, 5)), ((3, 1), (2, 3, 5)), ((5,), (3, 5)), ((3, 1, 5), (1, 4, 1)), ((), (2, 3)), ((1,), (0,)):
    add("Expand", f32(*shape), S(*target))
add("Expand", f32(4, 1), S(1, 3), name="rows", dynamic=True)
for repeats in (1, 2), (3, 1), (2, 3), (0, 1):
    add("Tile", f32(3, 5), S(*repeats))
add("Tile", f32(3, 5), S(2, 3), name="2_3", dynamic=True)
for axis in 0, 1, -1:
    add("Concat", f32(3, 5), f32(3, 5), f32(3, 5), axis=axis)
add("Concat", f32(3, 2), f32(3, 5), f32(3, 1), name="unequal", axis=1)
add("Concat", f32(3, 2), f32(3, 0), name="empty", axis=1)
add("Concat", f32(3, 2), name="one", axis=0)
add("Concat", f32(3, 2), f32(3, 5), name="columns", dynamic=True, axis=1)
add("Concat", f32(2, 5), f32(4, 5), name="rows", dynamic=True, axis=0)
add("Concat", ints(3), ints(4), name="i64", axis=0)
add("Concat", f32(1, 2, 5, 5), Weight(f32(1, 3, 5, 5)), name="weight", axis=1)
add("Split", f32(6, 4), outputs=3, axis=0, name="equal")
add("Split", f32(6, 4), S(1, 3, 2), outputs=3, axis=0, name="sizes")
add("Split", f32(3, 7), S(2, 5), outputs=2, axis=-1, name="negative")
add("Split", f32(7, 4), outputs=3, axis=0, name="num_outputs", opset=18, num_outputs=3)
add("Split", f32(6, 4), outputs=2, name="attribute", opset=11, axis=1, split=[1, 3])
add("Split", f32(6, 4), S(1, 3), outputs=2, axis=1, name="columns", dynamic=True)

for starts, ends, axes, steps in [((1,), (3,), (0,), (1,)), ((0, 1), (3, 99), (0, 1), (2, 3)), ((-3,), (-1,), (1,), (1,)),
                                  ((-1,), (-99,), (1,), (-1,)), ((4,), (0,), (1,), (-2,)), ((3,), (1,), (0,), (1,)),
                                  ((0,), (2**63 - 1,), (-1,), (2,)), ((0, 0), (1, 1), (-2, -1), (1, 1))]:
    add("Slice", f32(5, 7), S(*starts), S(*ends), S(*axes), S(*steps))
add("Slice", f32(5, 7), S(1, 2), S(4, 6), name="no_axes")
add("Slice", f32(5, 7), name="attributes", opset=9, starts=[1, -3], ends=[4, -1], axes=[0, 1])
add("Slice", f32(5, 7), S(1), S(-1), S(1), S(1), name="inner", dynamic=True)
add("Slice", f32(5, 7), S(-1), S(-2**63 + 1), S(0), S(-1), name="reverse", dynamic=True)
add("Slice", f32(0, 7), S(-1), S(-2**63 + 1), S(0), S(-1), name="reverse_of_nothing")
add("Slice", f32(5, 7), S(-1), S(-2**63 + 1), S(0), S(-1), name="reverse_of_few", dims=[["n", 7]], also=[[f32(n, 7)] + [None] * 4 for n in (0, 1)])
add("Slice", f32(5, 7), S(0), S(3), S(0), name="clamped", dims=[["n", 7]], also=[[f32(n, 7), None, None, None] for n in (2, 1, 9)])
add("Slice", f32(5, 7), i64(1), i64(4), S(0), name="run_time_bounds", dims=[[5, 7], [1], [1]], also=[[f32(5, 7), i64(0), i64(2), None]])

for mode in "constant", "reflect", "edge":
    both("Pad", f32(3, 5), S(1, 2, 0, 1), name=mode, mode=mode)
    add("Pad", f32(1, 2, 4, 5), S(0, 0, 1, 2, 0, 0, 2, 1), name=mode + "_image", mode=mode)
add("Pad", f32(3, 5), S(1, 2, 0, 1), Weight(np.array(2.5, np.float32)), name="value")
add("Pad", f32(3, 5), S(-1, 0, 0, -2), name="crop")
add("Pad", f32(3, 5), S(-1, 2, 1, -2), name="crop_and_pad")
add("Pad", f32(3, 5), S(0, 0, 0, 0), name="nothing")
add("Pad", f32(3, 5), S(2, 1), None, S(-1), name="axes", opset=18)
add("Pad", f32(3, 5), S(1, 2, 0, 1), name="wrap", opset=19, mode="wrap")
add("Pad", f32(3, 5), name="attribute", opset=10, pads=[1, 2, 0, 1], value=1.5)
add("Pad", ints(3, 5), S(1, 2, 0, 1), Weight(np.array(7, np.int64)), name="i64")
add("Pad", f32(0, 5), S(1, 0, 1, 0), name="empty")

add("Pad", f32(3, 5), S(1, 2, 0, 1), f32(), name="run_time_value")
add("Pad", ints(3, 5), S(1, -2, 0, 1), ints(1), name="run_time_value_i64", dynamic=True)
for mode in "constant", "reflect":
    add("Pad", f32(3, 5), i64(1, 2, 0, 1), name="run_time_pads_" + mode, mode=mode, dims=[[3, "n"], [4]],
        also=[[f32(3, 9), i64(0, 0, 0, 0)], [f32(3, 7), i64(-1, 2, 0, -3)], [f32(3, 7), i64(0, -3, -2, -3)]])

for axis, shape in (0, (4,)), (1, (2, 3)), (-1, ()), (0, (1,)), (1, (0,)):
    add("Gather", f32(5, 7), ints(*shape, low=-5, high=5), axis=axis)
    add("Gather", f32(5, 7), Weight(ints(*shape, low=0, high=5)), name=f"weight{axis}_{len(shape)}", axis=axis)
add("Gather", Weight(f32(50, 8)), ints(3, 11, low=0, high=50), name="embedding", dynamic=True)
add("Gather", f32(5, 7), ints(4, low=0, high=5, dtype=np.int32), name="i32_indices")
add("Gather", f32(5, 7), ints(4, low=0, high=5), name="rows", dynamic=True)
add("Gather", ints(9), ints(4, low=0, high=9), name="i64")
for axis in 0, 1, -1:
    add("GatherElements", f32(5, 7), ints(5, 7, low=-5, high=5), axis=axis)
add("GatherElements", f32(5, 7), ints(3, 7, low=0, high=5), name="rows", axis=0)
add("GatherND", f32(5, 7, 3), ints(4, 2, low=0, high=5))
add("GatherND", f32(5, 7, 3), ints(4, 3, low=0, high=3))
add("GatherND", f32(5, 7, 3), ints(5, 4, 1, low=0, high=7), batch_dims=1)
for reduction in "none", "add", "mul", "max", "min":
    at = np.array([[0, 1, 2], [2, 0, 1]]) if reduction == "none" else ints(2, 3, low=0, high=5)
    add("ScatterElements", f32(5, 3), at, f32(2, 3), name=reduction, opset=18, axis=0, reduction=reduction)
    at = np.array([[0], [3], [2]]) if reduction == "none" else ints(3, 1, low=0, high=5)
    add("ScatterND", f32(5, 3), at, f32(3, 3), name=reduction, opset=18, reduction=reduction)
add("ScatterND", f32(4, 5), np.array([[0, 1], [3, 4]]), f32(2), name="elements")

both("Shape", f32(3, 5, 7))
add("Shape", f32(3, 5, 7), start=1)
add("Shape", f32(3, 5, 7), start=-2, end=-1)
add("Shape", f32(), name="scalar")
both("Size", f32(3, 5, 7))
add("ConstantOfShape", S(2, 3), value=numpy_helper.from_array(np.array([1.5], np.float32)))
add("ConstantOfShape", S(2, 3))
add("ConstantOfShape", S(0, 3), value=numpy_helper.from_array(np.array([7], np.int64)))
add("ConstantOfShape", S(), value=numpy_helper.from_array(np.array([True])))
for dtype, values in (np.int64, (2, 11, 3)), (np.int64, (5, 0, -2)), (np.float32, (0, 1, 0.3)), (np.int32, (3, 3, 1)):
    add("Range", *(Weight(np.array(v, dtype)) for v in values))
for upper in 0, 1:
    for k in 0, 1, -2, 9:
        add("Trilu", f32(4, 5), Weight(np.array(k, np.int64)), name=f"u{upper}k{k}", upper=upper)
    add("Trilu", f32(2, 4, 5), name=f"batch{upper}", dynamic=True, upper=upper)
add("EyeLike", f32(4, 5))
add("EyeLike", f32(4, 5), k=1, dtype=7)
add("OneHot", ints(2, 3, low=-4, high=4), Weight(np.array(4, np.int64)), Weight(f32(2)))
add("OneHot", ints(5, low=-9, high=9).astype(np.float32), np.float32([4]), f32(2), name="floats")
add("SpaceToDepth", f32(2, 3, 4, 6), opset=28, name="crd", blocksize=2, mode="CRD")
add("OneHot", ints(5, low=0, high=4), Weight(np.array([4], np.int64)), Weight(i64(2, 9)), axis=0)
for mode in "DCR", "CRD":
    add("DepthToSpace", f32(2, 12, 3, 5), blocksize=2, mode=mode)
add("SpaceToDepth", f32(2, 3, 4, 6), blocksize=2)
add("ReverseSequence", f32(5, 3, 2), ints(3, low=1, high=6), batch_axis=1, time_axis=0)
add("TopK", f32(3, 9), S(4), outputs=2, axis=1)
add("TopK", f32(9, 3), S(2), outputs=2, axis=0, largest=0)
add("Compress", f32(5, 3), np.array([True, False, True, True, False]), axis=0)


def resize(x, scales=None, sizes=None, name=None, dynamic=False, opset=17, **attributes):
    tail = [Weight(np.float32(scales))] if scales else [None, S(*sizes)]
    add("Resize", f32(*x), None, *tail, name=name, dynamic=dynamic, opset=opset, tolerance=3e-5, **attributes)


IMAGE = (1, 2, 5, 7)
for coordinates in "half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric":
    opset = 19 if coordinates == "half_pixel_symmetric" else 17
    for mode in "nearest", "linear", "cubic":
        for tag, scales in ("up", [1, 1, 2, 3]), ("down", [1, 1, 0.6, 0.5]):
            # Aligned corners lie at scale * size - 1, which ONNX Runtime rounds down: whole sizes only.
            sizes = (1, 2, 3, 4) if (coordinates, tag) == ("align_corners", "down") else None
            resize(IMAGE, None if sizes else scales, sizes, name=f"{mode}_{coordinates}_{tag}", opset=opset, mode=mode,
                   coordinate_transformation_mode=coordinates)
for rounding in "floor", "ceil", "round_prefer_floor", "round_prefer_ceil":
    resize(IMAGE, sizes=(1, 2, 8, 4), name=f"nearest_{rounding}", mode="nearest", nearest_mode=rounding)
    resize(IMAGE, [1, 1, 2, 2], name=f"nearest_{rounding}_asymmetric", mode="nearest", nearest_mode=rounding,
           coordinate_transformation_mode="asymmetric")
resize(IMAGE, sizes=(1, 2, 9, 9), name="linear_sizes", mode="linear")
resize(IMAGE, [1, 1, 2, 2], name="cubic_a", mode="cubic", cubic_coeff_a=-0.5)
resize(IMAGE, sizes=(1, 2, 3, 4), name="cubic_outside", mode="cubic", exclude_outside=1)
resize(IMAGE, [1, 1, 2, 2], name="double", mode="nearest", dynamic=True, coordinate_transformation_mode="asymmetric",
       nearest_mode="floor")
resize(IMAGE, [1, 1, 2, 2], name="double_linear", mode="linear", dynamic=True)
resize((2, 3, 9), [1, 1, 1.7], name="1d", mode="linear")
resize((1, 1, 3, 4, 5), [1, 1, 2, 2, 2], name="3d", mode="nearest")
for mode in "linear", "cubic":
    for tag, scales in ("half", [1, 1, 0.5, 0.5]), ("uneven", [1, 1, 0.3, 0.71]), ("mixed", [1, 1, 0.4, 2]):
        for coordinates in "half_pixel", "asymmetric":
            resize((1, 2, 11, 9), scales, name=f"antialias_{mode}_{coordinates}_{tag}", opset=18, mode=mode,
                   coordinate_transformation_mode=coordinates, antialias=1)
    resize((1, 2, 11, 9), sizes=(1, 2, 5, 4), name=f"antialias_{mode}_align_corners", opset=18, mode=mode,
           coordinate_transformation_mode="align_corners", antialias=1)
    resize((1, 2, 11, 9), sizes=(1, 2, 4, 5), name=f"antialias_{mode}_sizes", opset=18, mode=mode, antialias=1,
           dynamic=True)
    resize((1, 2, 33, 40), sizes=(1, 2, 1, 2), name=f"antialias_{mode}_tiny", opset=18, mode=mode, antialias=1)
add("Upsample", f32(1, 2, 3, 4), Weight(np.float32([1, 1, 2, 2])), opset=9, mode="nearest")

U8 = lambda *shape: ints(*shape, low=0, high=255, dtype=np.uint8)
add("QuantizeLinear", f32(3, 5), Weight(np.float32(0.05)), Weight(np.uint8(120)))
add("QuantizeLinear", f32(3, 5), Weight(f32(5, low=0.01, high=0.1)), Weight(ints(5, dtype=np.int8)), axis=1)
add("DequantizeLinear", U8(3, 5), Weight(np.float32(0.05)), Weight(np.uint8(120)))
add("DequantizeLinear", ints(3, 5, dtype=np.int8), Weight(f32(3, low=0.01, high=0.1)), Weight(ints(3, dtype=np.int8)), axis=0)
