"""Operators that move elements."""
import numpy as np
from cases import Weight
from draw import NUMBERS, operator

ANY = [*NUMBERS, bool]


def given(draw, array):
    """Sizes and places: mostly constants of the model, sometimes known only at run time."""
    return Weight(np.array(array, np.int64)) if draw.chance(0.75) else np.array(array, np.int64)


@operator("Concat")
def concat(draw, op):
    shape, dtype = draw.shape(1, 4), draw.choice(ANY)
    axis = draw.axis(len(shape))
    parts = []
    for _ in range(draw.integer(1, 4)):
        shape[axis] = draw.size()
        parts.append(draw.values(draw.limited(shape) if len(shape) == 1 else shape, dtype))
    return draw.case(op, *parts, axis=axis)


@operator("Split", opsets=(13, 18))
def split(draw, op):
    shape = draw.shape(1, 4)
    axis = draw.axis(len(shape))
    sizes = [draw.integer(0, 5) for _ in range(draw.integer(1, 4))]
    shape[axis] = sum(sizes)
    return draw.case(op, draw.values(shape, draw.choice(ANY)), Weight(np.array(sizes)), axis=axis, outputs=len(sizes))


@operator("Slice")
def slice_(draw, op):
    x = draw.values(draw.shape(1, 4), draw.choice(ANY))
    axes = draw.axes(x.ndim, least=1)
    steps = [draw.choice([1, 1, 1, 2, 3, -1, -2]) for _ in axes]
    near = lambda: draw.choice([draw.integer(-9, 9), draw.integer(-40, 40)])
    # The highest end is the last element for ONNX, but the first one for ONNX Runtime, where the step goes down.
    bounds = [[near() if draw.chance(0.7) else 2**63 - 1 if draw.chance(0.5) else -2**63 for _ in axes],
              [near() if draw.chance(0.7) else 2**63 - 1 if step > 0 else -2**63 for step in steps]]
    return draw.case(op, x, given(draw, bounds[0]), given(draw, bounds[1]), Weight(np.array(axes)), given(draw, steps), static=(1, 2, 4))


@operator("Transpose")
def transpose(draw, op):
    x = draw.values(draw.shape(0, 6), draw.choice(ANY))
    order = {"perm": [int(axis) for axis in draw.random.permutation(x.ndim)]} if x.ndim and draw.chance(0.8) else {}
    return draw.case(op, x, **order)


@operator("Reshape")
def reshape(draw, op):
    x = draw.values(draw.shape(0, 5), draw.choice(ANY))
    left, target = x.size, []
    while left > 1:
        factor = next((f for f in draw.random.permutation([2, 3, 4, 5, 7, 8, left]) if left % f == 0))
        target.append(int(factor))
        left //= int(factor)
    target = target[:6] + ([int(np.prod(target[6:]))] if len(target) > 6 else []) if x.size else list(x.shape)
    draw.random.shuffle(target)
    if target and x.size and draw.chance(0.5):
        target[draw.integer(0, len(target) - 1)] = -1
    return draw.case(op, x, given(draw, target), static=(1,), **({"allowzero": 1} if x.size == 0 else {}))


@operator("Flatten")
def flatten(draw, op):
    x = draw.values(draw.shape(1, 5), draw.choice(ANY))
    return draw.case(op, x, axis=draw.integer(-x.ndim, x.ndim))


@operator("Squeeze", "Unsqueeze")
def squeeze(draw, op):
    x = draw.values(draw.shape(0, 4), draw.choice(ANY))
    if op == "Squeeze":
        ones = [axis for axis, n in enumerate(x.shape) if n == 1]
        return draw.case(op, x, Weight(np.array(ones, np.int64))) if ones or draw.chance(0.5) else draw.case(op, x.reshape(1, *x.shape))
    rank = x.ndim + draw.integer(1, 3)
    axes = [int(axis) - (rank if draw.chance(0.3) else 0) for axis in draw.random.permutation(rank)[:rank - x.ndim]]
    return draw.case(op, x, Weight(np.array(axes)))


@operator("Expand")
def expand(draw, op):
    whole = draw.shape()
    return draw.case(op, draw.values(draw.broadcast(whole), draw.choice(ANY)), given(draw, draw.broadcast(whole) if draw.chance(0.3) else whole), static=(1,))


@operator("Tile")
def tile(draw, op):
    x = draw.values(draw.shape(1, 4), draw.choice(NUMBERS))
    return draw.case(op, x, given(draw, [draw.integer(0 if draw.chance(0.1) else 1, 3) for _ in range(x.ndim)]), static=(1,))


@operator("Pad", opsets=(13, 19, 21))
def pad(draw, op):
    x = draw.values(draw.shape(1, 4, zero=False), draw.choice([np.float32, np.float64, np.int32, np.int64]))
    mode = draw.choice(["constant", "constant", "reflect", "edge"])
    most = lambda n: n - 1 if mode == "reflect" else 4
    pads = [draw.integer(0, min(most(n), 4)) for n in x.shape * 2]
    if mode == "constant" and draw.chance(0.3):
        pads = [p if draw.chance(0.5) or n < 3 else -1 for p, n in zip(pads, x.shape * 2)]
    value = [Weight(np.array(7, x.dtype))] if mode == "constant" and draw.chance(0.6) else []
    return draw.case(op, x, given(draw, pads), *value, mode=mode, static=(1,))


@operator("Gather")
def gather(draw, op):
    x = draw.values(draw.shape(1, 4, zero=False), draw.choice(ANY))
    axis = draw.axis(x.ndim)
    indices = draw.values(draw.shape(0, 2), draw.choice([np.int32, np.int64]), -x.shape[axis], x.shape[axis] - 1)
    return draw.case(op, x, indices if draw.chance(0.6) else Weight(indices), axis=axis)


@operator("GatherElements")
def gather_elements(draw, op):
    x = draw.values(draw.shape(1, 4, zero=False), draw.choice(ANY))
    axis = draw.axis(x.ndim)
    shape = [draw.integer(1, n) for n in x.shape]
    shape[axis] = draw.integer(0, 9)
    return draw.case(op, x, draw.values(shape, draw.choice([np.int32, np.int64]), -x.shape[axis], x.shape[axis] - 1), axis=axis)


@operator("GatherND")
def gather_nd(draw, op):
    x = draw.values(draw.shape(1, 4, zero=False), draw.choice(NUMBERS))
    batch = draw.integer(0, x.ndim - 1) if draw.chance(0.3) else 0
    depth = draw.integer(1, x.ndim - batch)
    places = [*x.shape[:batch], *([draw.integer(1, 5)] if draw.chance(0.8) else [])]
    indices = [draw.values(places, np.int64, -n, n - 1) for n in x.shape[batch:batch + depth]]
    return draw.case(op, x, np.stack(indices, -1), batch_dims=batch, static=(1,))


@operator("ScatterElements", opsets=(13, 18))
def scatter_elements(draw, op):
    x = draw.eighths(draw.shape(1, 3, zero=False), draw.choice([np.float32, np.int32, np.int64]))
    axis = draw.axis(x.ndim)
    shape = [draw.integer(1, n) for n in x.shape]
    reduction = draw.choice(["none", "add", "mul", "max", "min"]) if draw.opset >= 18 else "none"
    # Without a reduction no place may be written twice.
    order = np.argsort(draw.random.random([*shape[:axis % x.ndim], x.shape[axis], *shape[axis % x.ndim + 1:]]), axis=axis)
    indices = np.take(order, range(shape[axis]), axis=axis)
    if reduction != "none":
        indices = draw.values(shape, np.int64, -x.shape[axis], x.shape[axis] - 1)
    updates = np.sign(draw.eighths(shape, x.dtype)) if reduction == "mul" else draw.eighths(shape, x.dtype)
    return draw.case(op, x, indices, updates, axis=axis, **({"reduction": reduction} if draw.opset >= 18 else {}))


@operator("ScatterND", opsets=(16, 18))
def scatter_nd(draw, op):
    x = draw.eighths(draw.shape(1, 3, zero=False), draw.choice([np.float32, np.int32, np.int64]))
    depth = draw.integer(1, x.ndim)
    targets = int(np.prod(x.shape[:depth]))
    chosen = draw.random.permutation(targets)[:draw.integer(1, min(targets, 9))]
    reduction = draw.choice(["none", "add", "mul"])
    if reduction != "none":
        chosen = draw.random.integers(0, targets, len(chosen))
    indices = np.stack(np.unravel_index(chosen, x.shape[:depth]), -1)
    updates = draw.eighths([len(chosen), *x.shape[depth:]], x.dtype)
    return draw.case(op, x, indices, np.sign(updates) if reduction == "mul" else updates, reduction=reduction, static=(1,))


@operator("OneHot")
def one_hot(draw, op):
    depth = draw.integer(1, 9)
    indices = draw.values(draw.shape(1, 3), draw.choice([np.int32, np.int64]), -depth - 2, depth + 1)
    return draw.case(op, indices, given(draw, depth), Weight(np.array([-1, 3], np.float32)), axis=draw.axis(indices.ndim + 1))


@operator("DepthToSpace", "SpaceToDepth")
def blocks(draw, op):
    block = draw.integer(1, 3)
    n, c, h, w = (draw.integer(1, 4) for _ in range(4))
    if op == "DepthToSpace":
        return draw.case(op, draw.values([n, c * block * block, h, w]), blocksize=block, mode=draw.choice(["DCR", "CRD"]))
    return draw.case(op, draw.values([n, c, h * block, w * block]), blocksize=block)


@operator("Resize", opsets=(13, 19))
def resize(draw, op):
    x = draw.values([draw.integer(1, 2), draw.integer(1, 3), draw.integer(1, 9), draw.integer(1, 9)])
    sizes = [*x.shape[:2], draw.integer(1, 15), draw.integer(1, 15)]
    mode = draw.choice(["nearest", "linear", "cubic"])
    attributes = {"mode": mode, "coordinate_transformation_mode": draw.choice(["half_pixel", "asymmetric", "align_corners"])}
    if mode == "nearest":
        attributes["nearest_mode"] = draw.choice(["floor", "ceil", "round_prefer_floor"])
    if mode == "cubic":
        attributes.update(cubic_coeff_a=draw.choice([-0.75, -0.5]), exclude_outside=draw.integer(0, 1))
    return draw.case(op, x, None, None, Weight(np.array(sizes)), tolerance=5e-5, **attributes)


@operator("ReverseSequence")
def reverse_sequence(draw, op):
    x = draw.values(draw.shape(2, 4, zero=False), draw.choice(NUMBERS))
    batch = draw.integer(0, 1)
    lengths = draw.values([x.shape[batch]], np.int64, 1, x.shape[1 - batch])
    return draw.case(op, x, lengths, batch_axis=batch, time_axis=1 - batch)


@operator("Range")
def range_(draw, op):
    dtype = draw.choice([np.int32, np.int64, np.float32])
    start, limit, step = draw.integer(-20, 20), draw.integer(-20, 20), draw.choice([1, 2, 3, -1, -4])
    return draw.case(op, *(np.array(value, dtype) if draw.chance(0.5) else Weight(np.array(value, dtype)) for value in (start, limit, step)))


@operator("NonZero")
def non_zero(draw, op):
    return draw.case(op, draw.values(draw.shape(1, 4), draw.choice([np.float32, np.int32, np.int64, bool]), -1, 1).round())


@operator("Compress")
def compress(draw, op):
    x = draw.values(draw.shape(1, 4), draw.choice(NUMBERS))
    axis = draw.axis(x.ndim) if draw.chance(0.7) else None
    condition = draw.values([draw.integer(0, x.size if axis is None else x.shape[axis])], bool)
    return draw.case(op, x, condition, **({} if axis is None else {"axis": axis}))


@operator("Unique")
def unique(draw, op):
    x = draw.values(draw.shape(1, 3, zero=False), draw.choice([np.float32, np.int64]), -3, 3).round()
    return draw.case(op, x, sorted=draw.integer(0, 1), outputs=draw.choice([1, 4]), **({"axis": draw.axis(x.ndim)} if draw.chance(0.4) else {}))


@operator("EyeLike")
def eye_like(draw, op):
    return draw.case(op, draw.values(draw.shape(2, 2), draw.choice([np.float32, np.int32])), k=draw.integer(-5, 5))


@operator("Shape", "Size", opsets=(15, 21))
def shape_of(draw, op):
    return draw.case(op, draw.values(draw.shape(), draw.choice(NUMBERS)))


@operator("GridSample", opsets=(20, 22))
def grid_sample(draw, op):
    n, c, h, w = draw.integer(1, 2), draw.integer(1, 3), draw.integer(2, 7), draw.integer(2, 7)
    grid = draw.values([n, draw.integer(1, 6), draw.integer(1, 6), 2], low=-1.3, high=1.3)
    return draw.case(op, draw.values([n, c, h, w]), grid, mode=draw.choice(["linear", "nearest", "cubic"]), tolerance=1e-4, static=(1,),
                     padding_mode=draw.choice(["zeros", "border", "reflection"]), align_corners=draw.integer(0, 1))
