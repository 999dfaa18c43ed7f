"""Results that have as many elements as the data says."""
import numpy as np
from cases import SPECIAL, Family, Weight, bools, f16, f32, f64, ints

family = Family()
add, both = family.add, family.both


def sparse(*shape, dtype=np.float32, of=3):
    """About one of `of` elements is not zero."""
    return (ints(*shape, low=1, high=9) * (ints(*shape, low=0, high=of) == 0)).astype(dtype)


for shape in (1,), (7,), (33,), (64, 3), (0,), (3, 0), (0, 4), (2, 3, 5), (1, 1, 1), (2, 1, 3, 2), (2, 3, 2, 1, 2), (2,) * 8, (100, 70), (5000,):
    both("NonZero", sparse(*shape), name="x".join(map(str, shape)))
for what, make in ("zeros", np.zeros), ("ones", np.ones):
    for shape in (40,), (3, 50), (2, 3, 2):
        both("NonZero", make(shape, np.float32), name=f"{what}_{len(shape)}")
        add("NonZero", Weight(make(shape, np.float32)), name=f"known_{what}_{len(shape)}")
add("NonZero", Weight(np.ones((2000, 3), np.float32)), name="known_many")
for dtype in np.float64, np.float16, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64, bool:
    add("NonZero", sparse(5, 9, dtype=dtype), name=np.dtype(dtype).name, dims=[["n", 9]], also=[[sparse(70, 9, dtype=dtype)]])
add("NonZero", SPECIAL, name="special")
add("NonZero", sparse(4, 6), name="sizes", dims=[["n", "m"]],
    also=[[sparse(*shape)] for shape in ((1, 1), (0, 3), (3, 0), (31, 33), (1000, 40), (1, 70000))])
add("NonZero", Weight(sparse(4, 6)), name="known")
add("NonZero", sparse(300000, of=5000), name="far_apart", dims=[["n"]], also=[[np.ones(100000, np.float32)]])

for axis in 0, 1, 2, -1:
    both("Compress", f32(3, 5, 4), bools((3, 5, 4)[axis]), name=f"axis{axis}", axis=axis)
both("Compress", f32(3, 5, 4), bools(60), name="flat")
both("Compress", f32(3, 5, 4), bools(17), name="flat_short")
both("Compress", f32(3, 5, 4), np.array([True, False, True]), name="short", axis=1)
both("Compress", f32(3, 5), np.array([False] * 5), name="nothing", axis=1)
both("Compress", f32(3, 5), np.array([True] * 5), name="everything", axis=1)
both("Compress", f32(3, 5), np.zeros(0, bool), name="no_condition", axis=0)
add("Compress", f32(3, 5), Weight(np.array([True, False, True])), name="known", axis=0)
add("Compress", f32(3, 0), np.array([True, False, True]), name="empty", axis=0)
for dtype in np.float16, np.float64, np.int8, np.uint8, np.int64, bool:
    add("Compress", sparse(6, 9, dtype=dtype), bools(6), name=np.dtype(dtype).name, axis=0, dims=[["n", 9], ["k"]],
        also=[[sparse(70, 9, dtype=dtype), bools(70)], [sparse(2, 9, dtype=dtype), bools(0)]])
