"""Products, convolutions, poolings and recurrent networks."""
import numpy as np
from cases import Weight
from draw import operator


def constant(draw, array):
    """The second operand as a weight, or given at run time."""
    return Weight(array) if draw.chance(0.6) else array


@operator("MatMul")
def matmul(draw, op):
    dtype = draw.choice([np.float32, np.float32, np.float64, np.float16, np.int32])
    m, n, k = (draw.size(zero=draw.chance(0.2)) for _ in range(3))
    batches = [draw.limited(batch) for batch in draw.operands(2, most=2)]
    a, b = batches[0][:2] + [m, k], batches[1][:2] + [k, n]
    if draw.chance(0.15):
        a = [k]
    if draw.chance(0.15):
        b = [k]
    return draw.case(op, draw.eighths(a, dtype), constant(draw, draw.eighths(b, dtype)))


@operator("Gemm")
def gemm(draw, op):
    dtype = draw.choice([np.float32, np.float32, np.float64])
    m, n, k = (draw.size(zero=False) for _ in range(3))
    left, right = draw.integer(0, 1), draw.integer(0, 1)
    a, b = [k, m] if left else [m, k], [n, k] if right else [k, n]
    inputs = [draw.eighths(a, dtype), constant(draw, draw.eighths(b, dtype))]
    if draw.chance(0.7):
        inputs.append(constant(draw, draw.eighths(draw.broadcast([m, n]), dtype)))
    scales = {name: draw.choice([0.5, 1.0, 2.0]) for name in ("alpha", "beta") if draw.chance(0.5)}
    return draw.case(op, *inputs, transA=left, transB=right, **scales)


@operator("MatMulInteger")
def matmul_integer(draw, op):
    m, n, k = (draw.size(zero=False) for _ in range(3))
    a = draw.values([m, k], draw.choice([np.uint8, np.int8]), -128, 255)
    b = draw.values([k, n], draw.choice([np.uint8, np.int8]), -128, 255)
    points = [np.array(draw.integer(0, 100), x.dtype) for x in (a, b)]
    return draw.case(op, a, constant(draw, b), *(Weight(point) for point in points[:draw.integer(0, 2)]))


EQUATIONS = ["ij,jk->ik", "bij,bjk->bik", "ij->ji", "ii->i", "ij->", "i,j->ij", "bhqd,bhkd->bhqk", "ij,ij->i", "abc,cd->abd",
             "ijk,k->ij", "bij,jk", "...ij,...jk->...ik", "a,a->", "abc->cba"]


@operator("Einsum")
def einsum(draw, op):
    equation = draw.choice(EQUATIONS)
    sizes = {letter: draw.integer(1, 6) for letter in "abcdhijkq"}
    rest = [draw.integer(1, 4) for _ in range(draw.integer(0, 2))]
    inputs = []
    for term in equation.split("->")[0].split(","):
        inputs.append(draw.eighths([*(rest if term.startswith("...") else []), *(sizes[c] for c in term.replace("...", ""))]))
    return draw.case(op, *inputs, equation=equation)


def window(draw, sizes, most=4, dilated=True):
    """Kernel, strides, dilations and pads that fit the spatial sizes."""
    kernel = [draw.integer(1, min(most, n)) for n in sizes]
    dilations = [draw.integer(1, 2) if dilated and (k - 1) * 2 < n else 1 for k, n in zip(kernel, sizes)]
    given = {"kernel_shape": kernel}
    if draw.chance(0.6):
        given["strides"] = [draw.integer(1, 3) for _ in sizes]
    if dilated and draw.chance(0.4):
        given["dilations"] = dilations
    if draw.chance(0.2):
        given["auto_pad"] = draw.choice(["SAME_UPPER", "SAME_LOWER", "VALID"])
    elif draw.chance(0.6):
        given["pads"] = [draw.integer(0, k - 1) for k in kernel * 2]
    if given.get("auto_pad", "").startswith("SAME"):
        given.pop("dilations", None)
    return given


@operator("Conv")
def conv(draw, op):
    groups = draw.choice([1, 1, 1, 2, 3, 8])
    inner, outer = draw.choice([1, 2, 3, 4, 8]), draw.choice([1, 2, 3, 4, 16])
    if draw.chance(0.2):
        inner = 1  # depthwise
    spatial = [draw.integer(1, 12) for _ in range(draw.choice([1, 2, 2, 2, 3]))]
    given = window(draw, spatial)
    x = draw.eighths([draw.integer(1, 3), groups * inner, *spatial])
    w = draw.eighths([groups * outer, inner, *given["kernel_shape"]])
    bias = [constant(draw, draw.eighths([groups * outer]))] if draw.chance(0.6) else []
    return draw.case(op, x, constant(draw, w), *bias, group=groups, static=(1,), **given)


@operator("ConvTranspose")
def conv_transpose(draw, op):
    groups, inner, outer = draw.choice([1, 1, 2]), draw.integer(1, 5), draw.integer(1, 5)
    spatial = [draw.integer(1, 8) for _ in range(draw.choice([1, 2, 2]))]
    kernel, strides = [draw.integer(1, 4) for _ in spatial], [draw.integer(1, 3) for _ in spatial]
    given = {"kernel_shape": kernel, "strides": strides, "group": groups}
    if draw.chance(0.5):
        given["output_padding"] = [draw.integer(0, s - 1) for s in strides]
    if draw.chance(0.5):
        given["pads"] = [draw.integer(0, (k - 1) // 2) for k in kernel * 2]
    x, w = draw.eighths([draw.integer(1, 3), groups * inner, *spatial]), draw.eighths([groups * inner, outer, *kernel])
    bias = [draw.eighths([groups * outer])] if draw.chance(0.5) else []
    return draw.case(op, x, constant(draw, w), *bias, static=(1,), **given)


@operator("MaxPool", "AveragePool", "LpPool", opsets=(19, 22))
def pool(draw, op):
    spatial = [draw.integer(1, 12) for _ in range(draw.choice([1, 2, 2, 3]))]
    given = window(draw, spatial, dilated=False)
    if op == "AveragePool":
        given["count_include_pad"] = draw.integer(0, 1)
    if op == "LpPool":
        given["p"] = draw.integer(1, 2)
    if op != "LpPool" and "auto_pad" not in given and not given.get("pads"):
        given["ceil_mode"] = draw.integer(0, 1)
    x = draw.values([draw.integer(1, 3), draw.integer(1, 5), *spatial])
    return draw.case(op, x, outputs=draw.integer(1, 2) if op == "MaxPool" else 1, **given)


@operator("GlobalAveragePool", "GlobalMaxPool")
def global_pool(draw, op):
    return draw.case(op, draw.values(draw.shape(3, 5, zero=False)))


@operator("LSTM", "GRU", "RNN", opsets=(14, 22))
def recurrent(draw, op):
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
    steps, batch, size, hidden = draw.integer(1, 5), draw.integer(1, 3), draw.integer(1, 9), draw.integer(1, 9)
    direction = draw.choice(["forward", "reverse", "bidirectional"])
    ways = 2 if direction == "bidirectional" else 1
    small = lambda *shape: draw.values(shape, low=-0.5, high=0.5)
    inputs = [small(steps, batch, size), Weight(small(ways, gates * hidden, size)), Weight(small(ways, gates * hidden, hidden))]
    inputs.append(Weight(small(ways, 2 * gates * hidden)) if draw.chance(0.6) else None)
    inputs.append(draw.values([batch], np.int32, 1, steps) if draw.chance(0.4) else None)
    inputs.append(small(ways, batch, hidden) if draw.chance(0.5) else None)
    given = {"hidden_size": hidden, "direction": direction}
    if op == "LSTM":
        inputs.append(small(ways, batch, hidden) if draw.chance(0.5) else None)
        inputs.append(Weight(small(ways, 3 * hidden)) if draw.chance(0.4) else None)
    if op == "GRU":
        given["linear_before_reset"] = draw.integer(0, 1)
    if draw.chance(0.3):
        given["clip"] = 0.3
    while inputs[-1] is None:
        inputs.pop()
    return draw.case(op, *inputs, outputs=3 if op == "LSTM" else 2, tolerance=1e-4, **given)


@operator("QuantizeLinear", "DequantizeLinear")
def quantization(draw, op):
    shape = draw.shape(1, 4)
    axis = draw.axis(len(shape))
    scale_shape = [shape[axis]] if draw.chance(0.5) else []
    dtype = draw.choice([np.uint8, np.int8])
    scale = draw.choice([0.25, 0.5, 1.0]) * np.ones(scale_shape, np.float32)
    point = draw.values(scale_shape, dtype, -20, 20)
    x = draw.eighths(shape) * 16 if op == "QuantizeLinear" else draw.values(shape, dtype, -128, 255)
    return draw.case(op, x, constant(draw, scale), constant(draw, point), axis=axis)


@operator("DynamicQuantizeLinear")
def dynamic_quantization(draw, op):
    return draw.case(op, draw.values(draw.shape(1, 3, zero=False)), outputs=3)
