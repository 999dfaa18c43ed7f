"""Operators of several steps: attention, losses, signals, boxes and pictures, quantised products, strings."""
import numpy as np
from cases import Weight
from draw import operator

MS = "com.microsoft::"


@operator("Attention", opsets=(23,))
def attention(draw, op):
    heads, groups = draw.choice([(1, 1), (2, 2), (4, 2), (6, 3), (4, 1)])
    batch, queries, keys = draw.integer(1, 3), draw.integer(1, 9), draw.integer(1, 17)
    size, value_size = draw.choice([2, 4, 8, 16]), draw.choice([2, 4, 8])
    attributes = {"is_causal": 1} if draw.chance(0.3) else {}
    if draw.chance(0.3):
        attributes["scale"] = draw.choice([0.25, 1.0])
    if draw.chance(0.2):
        attributes["softcap"] = 2.0
    if draw.chance(0.5):  # [batch, length, heads * size]
        attributes.update(q_num_heads=heads, kv_num_heads=groups)
        shapes = [[batch, queries, heads * size], [batch, keys, groups * size], [batch, keys, groups * value_size]]
    else:
        shapes = [[batch, heads, queries, size], [batch, groups, keys, size], [batch, groups, keys, value_size]]
    inputs = [draw.values(shape, low=-2, high=2) for shape in shapes]
    if draw.chance(0.5):
        mask = draw.broadcast([batch, heads, queries, keys])[-2:]
        mask = [queries, keys] if len(mask) < 2 or "is_causal" in attributes else [mask[0], keys]
        inputs.append(draw.values(mask, low=-3, high=3))
    return draw.case(op, *inputs, tolerance=5e-5, static=(0, 1, 2) if "q_num_heads" in attributes else (), **attributes)


@operator("RotaryEmbedding", opsets=(23,))
def rotary_embedding(draw, op):
    batch, heads, length, size = draw.integer(1, 2), draw.integer(1, 4), draw.integer(1, 9), draw.choice([4, 8, 16])
    cached = draw.integer(length, 12)
    return draw.case(op, draw.values([batch, heads, length, size]), draw.values([cached, size // 2], low=-1, high=1),
                     draw.values([cached, size // 2], low=-1, high=1), draw.values([batch, length], np.int64, 0, cached - 1), static=(0,),
                     interleaved=draw.integer(0, 1))


@operator("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")
def loss(draw, op):
    classes = draw.integer(1, 9)
    places = [draw.integer(1, 5) for _ in range(draw.integer(0, 2))]
    batch = draw.integer(1, 7)
    scores = draw.values([batch, classes, *places], low=-3, high=0)
    labels = draw.values([batch, *places], np.int64, 0, classes - 1)
    weights = [draw.values([classes], low=0.5, high=2)] if draw.chance(0.5) else []
    ignored = {"ignore_index": draw.integer(0, classes - 1)} if draw.chance(0.3) else {}
    reduction = draw.choice(["none", "sum", "mean"])
    if ignored and reduction == "mean":
        labels.flat[0] = (ignored["ignore_index"] + 1) % classes if classes > 1 else 0
        if classes == 1:
            ignored = {}
    return draw.case(op, scores, labels, *weights, reduction=reduction, **ignored)


@operator("DFT", opsets=(17, 20))
def dft(draw, op):
    batch, length = draw.integer(1, 3), draw.choice([1, 2, 3, 5, 8, 12, 16, 31])
    onesided = draw.chance(0.3)
    inverse = 0 if onesided else draw.integer(0, 1)
    x = draw.values([batch, length, 1 if onesided else draw.integer(1, 2)])
    # The length of the transform: cut, or filled up with zeros.
    given = Weight(np.array(draw.choice([length, length, max(1, length - 1), length + 3]))) if draw.chance(0.4) else None
    kinds = {"onesided": int(onesided), "inverse": inverse}
    if draw.opset >= 20:
        return draw.case(op, x, given, Weight(np.array(1)), static=(0,), tolerance=1e-4, **kinds)
    return draw.case(op, x, given, axis=1, static=(0,), tolerance=1e-4, **kinds)


@operator("STFT", opsets=(17,))
def stft(draw, op):
    frame, step = draw.choice([4, 8, 16]), draw.integer(1, 5)
    signal = draw.values([draw.integer(1, 2), frame + draw.integer(0, 20), 1])
    return draw.case(op, signal, Weight(np.array(step)), Weight(draw.values([frame], low=0, high=1)), static=(0,), onesided=1, tolerance=1e-4)


@operator("HannWindow", "HammingWindow", "BlackmanWindow", opsets=(17,))
def window(draw, op):
    return draw.case(op, Weight(np.array(draw.integer(2, 40), np.int64)), periodic=draw.integer(0, 1))


@operator("Det")
def determinant(draw, op):
    size = draw.integer(1, 5)
    return draw.case(op, draw.values([*draw.shape(0, 2, zero=False), size, size]), static=(0,), tolerance=1e-4)


@operator("RoiAlign", opsets=(16, 22))
def roi_align(draw, op):
    n, c, h, w = draw.integer(1, 2), draw.integer(1, 3), draw.integer(4, 9), draw.integer(4, 9)
    rois = draw.integer(1, 4)
    corners = draw.values([rois, 4], low=0, high=8)
    boxes = np.concatenate([np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:]) + 1], 1)
    return draw.case(op, draw.values([n, c, h, w]), boxes.astype(np.float32), draw.values([rois], np.int64, 0, n - 1), static=(1,),
                     output_height=draw.integer(1, 4), output_width=draw.integer(1, 4), sampling_ratio=draw.integer(1, 3),
                     spatial_scale=draw.choice([1.0, 0.5]), tolerance=1e-4,
                     coordinate_transformation_mode=draw.choice(["half_pixel", "output_half_pixel"]))


@operator("NonMaxSuppression")
def suppression(draw, op):
    batch, classes, boxes = draw.integer(1, 2), draw.integer(1, 3), draw.integer(1, 20)
    corners = np.sort(draw.values([batch, boxes, 2, 2], low=0, high=1), axis=2).reshape(batch, boxes, 4)
    scores = draw.random.permutation(batch * classes * boxes).reshape(batch, classes, boxes).astype(np.float32) / 100
    return draw.case(op, corners.astype(np.float32), scores, Weight(np.array([draw.integer(1, 9)])), Weight(np.array([draw.choice([0.0, 0.3, 0.7])], np.float32)),
                     Weight(np.array([draw.choice([0.0, 0.1])], np.float32)), static=(0,))


@operator("Col2Im", opsets=(18,))
def col2im(draw, op):
    image, block = [draw.integer(3, 8) for _ in range(2)], [draw.integer(1, 3) for _ in range(2)]
    strides, pads = [draw.integer(1, 2) for _ in range(2)], [draw.integer(0, 1) for _ in range(4)]
    counts = [(n + pads[i] + pads[i + 2] - k) // s + 1 for i, (n, k, s) in enumerate(zip(image, block, strides))]
    x = draw.eighths([draw.integer(1, 2), draw.integer(1, 3) * int(np.prod(block)), int(np.prod(counts))])
    return draw.case(op, x, Weight(np.array(image)), Weight(np.array(block)), strides=strides, pads=pads, static=(0,))


@operator("CenterCropPad", opsets=(18,))
def center_crop_pad(draw, op):
    x = draw.values(draw.shape(1, 3, zero=False))
    return draw.case(op, x, Weight(np.array([draw.integer(1, 12) for _ in x.shape])))


@operator("AffineGrid", opsets=(20,))
def affine_grid(draw, op):
    n, size = draw.integer(1, 3), [draw.integer(2, 6) for _ in range(draw.integer(2, 3))]
    theta = draw.values([n, len(size), len(size) + 1])
    return draw.case(op, theta, Weight(np.array([n, draw.integer(1, 3), *size])), align_corners=draw.integer(0, 1), static=(0,))


@operator("MaxUnpool")
def max_unpool(draw, op):
    n, c, h, w = draw.integer(1, 2), draw.integer(1, 2), draw.integer(1, 4), draw.integer(1, 4)
    x = draw.values([n, c, h, w])
    # One place of each window of 2 x 2.
    rows, columns = np.arange(h) * 2, np.arange(w) * 2
    places = (rows[:, None] + draw.random.integers(0, 2, (n, c, h, w))) * w * 2 + columns + draw.random.integers(0, 2, (n, c, h, w))
    plane = np.arange(n * c).reshape(n, c, 1, 1) * (h * w * 4)
    return draw.case(op, x, (places + plane).astype(np.int64), kernel_shape=[2, 2], strides=[2, 2])


@operator("CastLike", opsets=(15, 19))
def cast_like(draw, op):
    types = [np.float32, np.float64, np.int32, np.int64, bool]
    return draw.case(op, draw.values(draw.shape(), draw.choice(types), 0, 50), draw.values([draw.integer(0, 3)], draw.choice(types)))


@operator("ConstantOfShape")
def constant_of_shape(draw, op):
    shape = np.array(draw.shape(0, 4), np.int64)
    return draw.case(op, Weight(shape) if draw.chance(0.5) or not shape.size else shape, static=(0,))


@operator("ConvInteger", opsets=(10, 17))
def conv_integer(draw, op):
    groups = draw.choice([1, 1, 2])
    x = draw.values([draw.integer(1, 2), groups * draw.integer(1, 4), draw.integer(3, 8), draw.integer(3, 8)], draw.choice([np.uint8]), 0, 255)
    w = draw.values([groups * draw.integer(1, 4), x.shape[1] // groups, draw.integer(1, 3), draw.integer(1, 3)], draw.choice([np.uint8]), 0, 255)
    points = [Weight(np.array(draw.integer(0, 200), np.uint8))] if draw.chance(0.6) else []
    return draw.case(op, x, Weight(w), *points, group=groups, strides=[draw.integer(1, 2)] * 2, pads=[draw.integer(0, 1)] * 4)


@operator("QLinearMatMul", opsets=(10, 21))
def qlinear_matmul(draw, op):
    m, n, k = (draw.integer(1, 17) for _ in range(3))
    dtype = draw.choice([np.uint8, np.int8])
    scale = lambda value: Weight(np.array(value, np.float32))
    point = lambda: Weight(np.array(draw.integer(-3, 3) if dtype == np.int8 else draw.integer(100, 140), dtype))
    a, b = draw.values([m, k], dtype, -128, 255), draw.values([k, n], dtype, -128, 255)
    # Powers of two: the quotient is exact, ties and all.
    return draw.case(op, a, scale(0.125), point(), Weight(b) if draw.chance(0.7) else b, scale(0.25), point(), scale(draw.choice([16.0, 32.0])), point())


@operator("QLinearConv", opsets=(10,))
def qlinear_conv(draw, op):
    groups = draw.choice([1, 1, 2, 3])
    x = draw.values([draw.integer(1, 2), groups * draw.integer(1, 4), draw.integer(3, 9), draw.integer(3, 9)], np.uint8, 0, 255)
    weight_type = draw.choice([np.uint8, np.int8])
    outer = groups * draw.integer(1, 5)
    w = draw.values([outer, x.shape[1] // groups, draw.integer(1, 3), draw.integer(1, 3)], weight_type, -128, 255)
    scale = lambda value: Weight(np.array(value, np.float32))
    bias = [Weight(draw.values([outer], np.int32, -500, 500))] if draw.chance(0.5) else []
    return draw.case(op, x, scale(0.125), Weight(np.array(draw.integer(0, 200), np.uint8)), Weight(w), scale(0.25),
                     Weight(np.array(0 if weight_type == np.int8 else 128, weight_type)), scale(16.0), Weight(np.array(128, np.uint8)), *bias,
                     group=groups, strides=[draw.integer(1, 2)] * 2, pads=[draw.integer(0, 1)] * 4)


@operator("StringConcat", opsets=(20,))
def string_concat(draw, op):
    return draw.case(op, *(strings(draw, shape) for shape in draw.operands()))


def strings(draw, shape) -> np.ndarray:
    words = ["", "a", "b", "Ab", "äÖ", "longer words", "x" * 40]
    return np.array([draw.choice(words) for _ in range(int(np.prod(shape)))], object).reshape(shape).astype(str)


# ---- com.microsoft

@operator(MS + "Gelu", MS + "QuickGelu", opsets=(17,))
def contrib_gelu(draw, op):
    return draw.case(op, draw.values(draw.shape(1, 3, zero=False)))


@operator(MS + "BiasGelu", MS + "FastGelu", opsets=(17,))
def bias_gelu(draw, op):
    x = draw.values(draw.shape(2, 3, zero=False))
    return draw.case(op, x, draw.values([x.shape[-1]]))


@operator(MS + "FusedMatMul", opsets=(17,))
def fused_matmul(draw, op):
    m, n, k = (draw.size(zero=False) for _ in range(3))
    batch = [draw.integer(1, 3) for _ in range(draw.integer(0, 2))]
    left, right = draw.integer(0, 1), draw.integer(0, 1)
    a, b = [*batch, *([k, m] if left else [m, k])], [*batch, *([n, k] if right else [k, n])]
    return draw.case(op, draw.eighths(a), draw.eighths(b), transA=left, transB=right, alpha=draw.choice([0.5, 1.0, 2.0]))


@operator(MS + "SkipLayerNormalization", MS + "SkipSimplifiedLayerNormalization", opsets=(17,))
def skip_layer_normalization(draw, op):
    shape = [draw.integer(1, 3), draw.integer(1, 5), draw.choice([2, 4, 7, 16, 33])]
    rows = [draw.values(shape), draw.values(shape)]
    ends = [draw.values(shape[-1:]) for _ in range(3 if "Simplified" not in op else 2)]
    return draw.case(op, *rows, *ends[:draw.integer(1, len(ends))], epsilon=1e-3, tolerance=5e-5)


@operator(MS + "MatMulNBits", opsets=(17,))
def matmul_n_bits(draw, op):
    bits, block = 4, draw.choice([16, 32])
    n, k, rows = draw.integer(1, 9), block * draw.integer(1, 4), draw.integer(1, 5)
    blocks = k // block
    packed = draw.values([n, blocks, block * bits // 8], np.uint8, 0, 255)
    scales = draw.choice([0.25, 0.5]) * np.ones(n * blocks, np.float32)
    points = [Weight(draw.values([n * ((blocks * bits + 7) // 8)], np.uint8, 0, 255))] if draw.chance(0.5) else []
    return draw.case(op, draw.eighths([rows, k]), Weight(packed), Weight(scales), *points, K=k, N=n, bits=bits, block_size=block, tolerance=1e-4, static=(0,))


@operator(MS + "MultiHeadAttention", opsets=(17,))
def multi_head_attention(draw, op):
    batch, queries, keys, heads, size = draw.integer(1, 2), draw.integer(1, 7), draw.integer(1, 9), draw.choice([1, 2, 3]), draw.choice([2, 4, 8])
    shape = lambda length: draw.values([batch, length, heads * size], low=-2, high=2)
    return draw.case(op, shape(queries), shape(keys), shape(keys), num_heads=heads, tolerance=5e-5, static=(0, 1, 2))
