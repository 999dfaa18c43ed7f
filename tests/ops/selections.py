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

for sorted_ in 0, 1:
    for shape in (1,), (40,), (0,), (5, 7), (2, 3, 4), ():
        both("Unique", sparse(*shape), name=f"sorted{sorted_}_{'x'.join(map(str, shape))}", outputs=4, sorted=sorted_)
    for axis in 0, 1, -1:
        both("Unique", sparse(4, 9, 5, of=5) * np.float32(1) if axis == 1 else sparse(6, 5, 2, of=9), name=f"sorted{sorted_}_axis{axis}", outputs=4,
             axis=axis, sorted=sorted_)
    add("Unique", ints(6, 4, low=0, high=2), name=f"sorted{sorted_}_rows", outputs=4, axis=0, sorted=sorted_, dims=[["n", "m"]],
        also=[[ints(*shape, low=0, high=2)] for shape in ((1, 1), (70, 3), (200, 5))])
for dtype in np.float64, np.int8, np.int64:
    add("Unique", sparse(300, dtype=dtype), name=np.dtype(dtype).name, outputs=4, dims=[["n"]], also=[[sparse(7, dtype=dtype)]])
add("Unique", np.array([200, 3, 255, 3, 0, 200], np.uint8), name="u8", outputs=4)
add("Unique", bools(2, 9), name="bool", outputs=4)
add("Unique", np.float32([-0.0, 3, 0.0, np.inf, -np.inf, 3]), name="infinite", outputs=4)
add("Unique", np.float32([3, 1, 3, 2]), name="one_output")
add("Unique", ints(5000, low=0, high=3000), name="many", outputs=4, dims=[["n"]], also=[[ints(n)] for n in (1, 2, 3, 16, 17, 1023, 1024, 1025)])


def boxes(*shape):
    """Two corners each, of boxes that overlap a lot; some of them the wrong way round."""
    corner, size = f32(*shape, 2, low=0, high=2), f32(*shape, 2, low=-1, high=1)
    return np.concatenate([corner, corner + size], -1)


def limits(most, overlap=None, score=None, kind=np.asarray):
    rest = [None if number is None else kind(np.float32([number])) for number in (overlap, score)]
    return [kind(np.array([most])), *rest]


for batches, classes, count in (1, 1, 6), (2, 3, 40), (1, 4, 1), (3, 1, 100), (1, 80, 30):
    for most, overlap, score in (3, 0.5, 0.0), (1000, 0.3, -0.5), (1000, 0.1, None), (1000, None, 0.2), (0, 0.5, 0.0), (1, 0.5, 9.0), (2**40, 0.0, 1.0):
        add("NonMaxSuppression", boxes(batches, count), f32(batches, classes, count), *limits(most, overlap, score, Weight),
            name=f"{batches}x{classes}x{count}_{most}_{overlap}_{score}", dynamic=count == 40)
add("NonMaxSuppression", boxes(1, 5), f32(1, 2, 5), name="no_limit")
add("NonMaxSuppression", np.abs(boxes(2, 30)), f32(2, 2, 30), *limits(20, 0.4, 0.0), name="center", center_point_box=1)
add("NonMaxSuppression", boxes(2, 30), f32(2, 2, 30), *limits(20, 0.4, 0.0), name="sizes", dims=[["b", "n", 4], ["b", "c", "n"], [1], [1], [1]],
    also=[[boxes(b, n), f32(b, c, n), *limits(*rest)] for b, c, n, *rest in ((1, 1, 1, 5, 0.5, -9.0), (3, 2, 70, 7, 0.3, 0.1), (1, 5, 12, 0, 0.3, 0.1))])
add("NonMaxSuppression", boxes(1, 40), np.float32(ints(1, 2, 40, low=0, high=3)), *limits(40, 0.5, 0.5), name="equal_scores")
