"""Axes, steps and amounts that are known only while the model runs."""
import numpy as np
from cases import Family, Weight, f32, i64, ints

family = Family()
add = family.add
KINDS = "Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare"

for kind in KINDS:
    add("Reduce" + kind, f32(3, 4, 5, low=0.1, high=1), i64(-2, 0), name="run_time_axes", opset=18, keepdims=0)
    add("Reduce" + kind, f32(3, 4, 5, low=0.1, high=1), i64(1), name="run_time_axes_kept", opset=18, dynamic=True,
        also=[], dims=[["a", "b", 5], [1]])
add("ReduceSum", ints(3, 4), i64(0, 1), name="run_time_all", opset=13, keepdims=0)
add("ReduceSum", f32(3, 4), i64(0), name="run_time_each", opset=13, dims=[["a", "b"], [1]],
    also=[[f32(3, 4), i64(1)], [f32(2, 7), i64(-1)], [f32(0, 2), i64(0)]])
add("ReduceMax", f32(), np.zeros(0, np.int64), name="run_time_none", opset=18, noop_with_empty_axes=1)
for options in {}, {"exclusive": 1}, {"reverse": 1}:
    add("CumSum", f32(3, 4, 5), np.asarray(np.int64(1)), opset=14, dims=[["a", "b", "c"], []],
        also=[[f32(3, 4, 5), np.asarray(np.int64(-1))], [f32(2, 3, 4), np.asarray(np.int64(0))]], **options)
add("CumProd", f32(3, 4), np.asarray(np.int32(-1)), name="run_time_axis", opset=26)
for axes in (0,), (1, 3), (-1, 0):
    add("Unsqueeze", f32(3, 4), i64(*axes), name="run_time_" + "_".join(map(str, axes)), dims=[["a", "b"], [len(axes)]])
    add("Squeeze", np.expand_dims(f32(3, 4), axes), i64(*axes), name="run_time_" + "_".join(map(str, axes)))
add("Slice", f32(6, 7, 8), i64(1, -3), i64(5, 2**62), i64(2, 0), name="run_time_axes", dims=[["a", "b", "c"], [2], [2], [2]],
    also=[[f32(3, 9, 4), i64(-100, 2), i64(-1, 3), i64(1, -1)]])
add("Slice", f32(6, 7), i64(1, 6), i64(5, -2**62), i64(1, 0), i64(2, -2), name="run_time_all",
    also=[[f32(6, 7), i64(-1, 0), i64(-100, 100), i64(0, 1), i64(-1, 3)],
          [f32(6, 7), i64(4, 2), i64(2, 2), i64(0, 1), i64(1, -1)],
          [f32(6, 7), i64(100, -2), i64(0, 6), i64(0, 1), i64(-4, 1)]])
add("Slice", f32(6, 7), i64(4), i64(-100), None, i64(-1), name="run_time_steps")
add("Pad", f32(3, 5), i64(2, 1, 0, 3), f32(), i64(-1, 0), name="run_time_axes", opset=18)
add("Pad", f32(3, 5), i64(1, 2), None, i64(1), name="run_time_axes_reflect", opset=18, mode="reflect")
for shape in (4, 6), (0, -1), (2, 0, 2, -1), (-1,), (24, 1, 1):
    add("Reshape", f32(2, 3, 4), i64(*shape), name="run_time_" + "_".join(map(str, shape)), opset=14)
add("Reshape", f32(2, 3, 4), i64(0, 0, -1), name="run_time", opset=14, dims=[["a", "b", "c"], [3]],
    also=[[f32(3, 5, 4), i64(3, 0, 4)], [f32(3, 5, 4), i64(-1, 1, 2)], [f32(3, 5, 4), i64(1, 15, 4)]])
add("Reshape", f32(0, 3), i64(0, 7), name="run_time_allowzero", opset=14, allowzero=1)
add("Split", f32(0), i64(0, 0, 0), outputs=3, name="run_time_empty")
add("Split", f32(7, 3), i64(4, 0, 3), outputs=3, name="run_time_sizes")
