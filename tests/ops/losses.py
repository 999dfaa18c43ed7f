"""Losses, grid sampling, running products, bit casts."""
import numpy as np
from cases import Family, Weight, f16, f32, f64, i64, ints

family = Family()
add, both = family.add, family.both

for reduction in "none", "sum", "mean":
    for tag, weight, options in ("plain", None, {}), ("weight", f32(5, low=0.1, high=1), {}), \
            ("ignore", None, {"ignore_index": 2}), ("both", f32(5, low=0.1, high=1), {"ignore_index": -1}):
        for shape in (3, 5), (2, 5, 4, 3):
            target = ints(shape[0], *shape[2:], low=0, high=5)
            if tag == "both":
                target.flat[1] = -1
            name = f"{tag}_{reduction}_{len(shape)}d"
            add("NegativeLogLikelihoodLoss", f32(*shape), target, weight, name=name, reduction=reduction, **options)
            add("SoftmaxCrossEntropyLoss", f32(*shape), target, weight, name=name, outputs=2, reduction=reduction,
                **options)
add("SoftmaxCrossEntropyLoss", f32(4, 7, 6), ints(4, 6, low=0, high=7, dtype=np.int32), f32(7), name="i32", dynamic=True)
add("SoftmaxCrossEntropyLoss", f32(0, 5), ints(0, low=0, high=5), name="empty", reduction="sum")
add("NegativeLogLikelihoodLoss", f64(3, 5), ints(3, low=0, high=5), name="f64")
add("NegativeLogLikelihoodLoss", f16(3, 5), ints(3, low=0, high=5), name="f16", tolerance=1e-3)

for mode in "linear", "nearest", "cubic":
    for padding in "zeros", "border", "reflection":
        for align in 0, 1:
            for tag, image, grid in ("2d", (2, 3, 5, 7), (2, 4, 6, 2)), ("3d", (1, 2, 4, 5, 3), (1, 3, 4, 2, 3)):
                if (mode, tag) != ("cubic", "3d"):
                    add("GridSample", f32(*image), f32(*grid, low=-1.9, high=1.9), name=f"{mode}_{padding}_{align}_{tag}",
                        opset=20, mode=mode, padding_mode=padding, align_corners=align, tolerance=1e-4)
add("GridSample", f32(2, 3, 5, 7), f32(2, 4, 6, 2), name="dynamic", opset=16, mode="bilinear",
    dims=[["n", "c", "h", "w"], ["n", "oh", "ow", 2]], also=[[f32(1, 2, 9, 3), f32(1, 2, 5, 2)]])
add("GridSample", f64(1, 2, 4, 5), f64(1, 3, 3, 2), name="f64", opset=20, mode="cubic")
add("GridSample", f16(1, 2, 4, 5), f32(1, 3, 3, 2, low=-1, high=1), name="f16", opset=20, tolerance=1e-2)
add("GridSample", ints(1, 2, 4, 5, dtype=np.int32), f32(1, 3, 3, 2, low=-1, high=1), name="i32", opset=20, mode="nearest")
add("GridSample", f32(1, 1, 1, 1), f32(1, 3, 3, 2), name="one_pixel", opset=16, padding_mode="reflection", align_corners=0)
add("GridSample", f32(1, 2, 3, 4), f32(1, 0, 3, 2), name="empty", opset=16)
for align in 0, 1:
    add("AffineGrid", f32(2, 2, 3), Weight(i64(2, 3, 5, 6)), name=f"2d_{align}", opset=20, align_corners=align)
    add("AffineGrid", f32(2, 3, 4), i64(2, 3, 4, 5, 6), name=f"3d_{align}", opset=20, align_corners=align)
add("AffineGrid", f64(2, 2, 3), Weight(i64(2, 3, 5, 6)), name="f64", opset=20)

for shape, target, options in ((5, 8), (7, 4), {}), ((5, 8, 3), (2, 6), {"axes": [-1, 0]}):
    both("CenterCropPad", f32(*shape), Weight(i64(*target)), name="_".join(map(str, shape + target)), opset=18, **options)
add("CenterCropPad", f32(5, 8), i64(8, 5), name="run_time", opset=18)
add("CenterCropPad", f32(4, 0), Weight(i64(3, 5)), name="empty", opset=18)

for exclusive in 0, 1:
    for reverse in 0, 1:
        add("CumProd", f32(3, 5), Weight(i64(1)[0]), name=f"{exclusive}{reverse}", opset=26, exclusive=exclusive,
            reverse=reverse)
add("CumProd", ints(4, 3, dtype=np.int32), Weight(i64(-2)[0]), name="i32", opset=26, dynamic=True)
for x, kind in (f32(3, 5), 6), (ints(7), 11), (f16(2, 2), 4), (ints(3, dtype=np.int8), 2), (f64(), 13):
    both("BitCast", x, name=f"{x.dtype}_{kind}", opset=26, to=kind)
add("BitCast", f64(0, 3), name="empty", opset=26, to=7)
for shape in (4, 3), (2, 3, 5), (2, 3, 4, 5):
    add("BatchNormalization", f32(*shape), f32(3), f32(3), f32(3), f32(3, low=0.5, high=1), outputs=3, opset=15,
        name=f"training_{len(shape)}", training_mode=1, momentum=0.7, epsilon=1e-3, dynamic=len(shape) == 3)
