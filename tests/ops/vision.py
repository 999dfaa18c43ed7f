"""Images: regions of interest, deformable convolution, patches; determinants."""
import numpy as np
from cases import Family, Weight, f16, f32, f64, i64, ints

family = Family()
add, both = family.add, family.both

ROIS = np.float32([[0, 0, 5, 5], [1.3, 2.2, 6.9, 4.1], [-2, -1, 3, 8], [4, 4, 4, 4], [6, 5, 30, 20]])
BATCH = i64(0, 1, 1, 0, 1)
for mode in "avg", "max":
    for transform in "half_pixel", "output_half_pixel":
        for ratio in 0, 2:
            both("RoiAlign", f32(2, 3, 8, 7), ROIS, BATCH, name=f"{mode}_{transform}_{ratio}", opset=16, mode=mode,
                 coordinate_transformation_mode=transform, sampling_ratio=ratio, output_height=3, output_width=2,
                 spatial_scale=0.75)
add("RoiAlign", f32(2, 3, 8, 7), ROIS, BATCH, name="opset10", opset=10, sampling_ratio=2, output_height=2, output_width=2)
add("RoiAlign", f32(2, 3, 8, 7), ROIS[:0], BATCH[:0], name="none", opset=16, output_height=2, output_width=2)
add("RoiAlign", f64(2, 3, 8, 7), ROIS.astype(np.float64), BATCH, name="f64", opset=16, output_height=2, output_width=2)
add("RoiAlign", f16(1, 2, 8, 7), ROIS[:2].astype(np.float16), i64(0, 0), name="f16", opset=16, tolerance=3e-3,
    output_height=2, output_width=2)
BOXES = np.float32([[0, 0, 0, 5, 5], [1, 1.3, 2.6, 6.9, 4.1], [1, 3, 4, 3, 4], [0, 5, 5, 30, 20]])
both("MaxRoiPool", f32(2, 3, 8, 7), BOXES, pooled_shape=[2, 3])
add("MaxRoiPool", f32(2, 3, 16, 16), BOXES, name="scale", pooled_shape=[1, 2], spatial_scale=0.5)


def deform(shape, kernel, out, groups=1, offset_groups=1, filters=4, bias=True, mask=True, name=None, make=f32, **rest):
    points = offset_groups * int(np.prod(kernel))
    n, channels = shape[:2]
    weight = make(filters, channels // groups, *kernel)
    add("DeformConv", make(*shape), Weight(weight) if rest.get("dynamic") else weight, make(n, 2 * points, *out),
        make(filters) if bias else None, make(n, points, *out) if mask else None, name=name, opset=19, group=groups,
        offset_group=offset_groups, tolerance=3e-3 if make is f16 else 1e-5, **rest)


deform((1, 2, 6, 7), (3, 3), (4, 5), name="plain", bias=False, mask=False)
deform((2, 4, 6, 7), (3, 2), (6, 7), name="padded", pads=[1, 1, 1, 0])
deform((1, 4, 9, 8), (3, 3), (5, 3), name="strides", strides=[2, 3], pads=[1, 1, 1, 1])
deform((1, 4, 9, 8), (2, 2), (7, 6), name="dilations", dilations=[2, 2])
deform((2, 4, 6, 6), (3, 3), (4, 4), name="groups", groups=2, offset_groups=2, kernel_shape=[3, 3])
deform((2, 4, 6, 6), (3, 3), (4, 4), name="groups", groups=4, offset_groups=2, dynamic=True)
deform((1, 2, 5, 5), (2, 2), (4, 4), name="f64", make=f64)

for dynamic in False, True:
    add("Col2Im", f32(2, 12, 16), Weight(i64(5, 6)), Weight(i64(2, 3)), name="plain", opset=18, dynamic=dynamic)
add("Col2Im", f32(1, 8, 9), i64(6, 7), i64(2, 2), name="run_time", opset=18, strides=[2, 2], pads=[1, 0, 0, 0])
add("Col2Im", f32(1, 9, 4), Weight(i64(6, 6)), Weight(i64(3, 3)), name="dilations", opset=18, dilations=[2, 2])
add("Col2Im", f32(2, 3, 5), Weight(i64(7)), Weight(i64(3)), name="1d", opset=18)
add("Col2Im", f32(1, 8, 12), Weight(i64(3, 4, 3)), Weight(i64(2, 2, 2)), name="3d", opset=18)

add("Col2Im", f16(1, 4, 4), Weight(i64(3, 3)), Weight(i64(2, 2)), name="f16", opset=18, tolerance=3e-3)
add("Col2Im", ints(1, 4, 4, dtype=np.int32), Weight(i64(3, 3)), Weight(i64(2, 2)), name="i32", opset=18)
add("Col2Im", ints(0, 4, 4, dtype=np.int32), Weight(i64(3, 3)), Weight(i64(2, 2)), name="no_images", opset=18)
deform((1, 2, 5, 5), (2, 2), (4, 4), name="f16", make=f16)
deform((0, 2, 5, 5), (2, 2), (4, 4), name="no_images")

PLACES = np.array([[[[0, 3], [9, 14]], [[17, 18], [24, 31]]]])
both("MaxUnpool", f32(1, 2, 2, 2), PLACES, kernel_shape=[2, 2], strides=[2, 2])
add("MaxUnpool", f32(1, 1, 3), i64(1, 2, 6).reshape(1, 1, 3), name="1d", kernel_shape=[3], strides=[2])
add("MaxUnpool", f32(1, 1, 3), i64(1, 2, 4).reshape(1, 1, 3), name="pads", kernel_shape=[3], strides=[2], pads=[1, 1])

for size in 1, 2, 3, 4, 5, 9:
    both("Det", f32(3, size, size), name=f"size{size}", opset=11, tolerance=1e-4)
add("Det", f32(4, 4), name="one")
add("Det", f16(2, 3, 3), name="f16", tolerance=1e-2)
add("Det", f32(0, 3, 3), name="none")
add("MaxUnpool", f16(1, 2, 2, 2), PLACES, name="f16", opset=11, kernel_shape=[2, 2], strides=[2, 2])
add("Det", f64(2, 3, 6, 6), name="f64")
add("Det", np.float32([[0, 2], [3, 4]]), name="pivot")
add("Det", np.float32([[1, 2, 3], [2, 4, 6], [0, 0, 1]]), name="singular")
add("Det", np.float32([[0, 0, 0, 0, 1], [0, 0, 0, 2, 0], [0, 0, 3, 0, 0], [0, 4, 0, 0, 0], [5, 0, 0, 0, 0]]), name="mirror")
