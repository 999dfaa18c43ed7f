"""Operations of com.microsoft."""
import numpy as np
from cases import Family, Weight, bools, f32, i64, ints
from quantized import S8, U8, one, q8

family = Family()


def add(op, *inputs, **options):
    family.add("com.microsoft::" + op, *inputs, **options)


def both(op, *inputs, **options):
    family.both("com.microsoft::" + op, *inputs, **options)


for op in "Gelu", "FastGelu", "QuickGelu":
    both(op, f32(3, 5, 7))
add("QuickGelu", f32(3, 7), name="alpha", alpha=1.0)
both("BiasGelu", f32(3, 5, 7), Weight(f32(7)))
both("FastGelu", f32(3, 5, 7), Weight(f32(7)), name="bias")
for flags in {}, {"transA": 1}, {"transB": 1}, {"transA": 1, "transB": 1, "alpha": 0.5}:
    tag = "_".join(flags) or "plain"
    a, b = (2, 5, 7) if "transA" in flags else (2, 7, 5), (2, 11, 5) if "transB" in flags else (2, 5, 11)
    both("FusedMatMul", f32(*a), f32(*b), name=tag, **flags)
    add("FusedMatMul", f32(*a[1:]), Weight(f32(*b[1:])), name=tag + "_2d", **flags)
add("FusedMatMul", f32(7, 2, 5), f32(5, 2, 11), name="batches", transBatchA=1, transBatchB=1)
for activation, more in ("Relu", {}), ("LeakyRelu", {"activation_alpha": 0.3}), ("Sigmoid", {}), ("Tanh", {}), ("", {}):
    add("FusedGemm", f32(7, 5), Weight(f32(5, 11)), Weight(f32(11)), name=activation or "none", activation=activation, **more)
for activation, params in ("Relu", []), ("LeakyRelu", [0.3]), ("Clip", [-0.5, 0.5]), ("HardSigmoid", [0.1, 0.4]):
    more = {"activation_params": params} if params else {}
    add("FusedConv", f32(1, 3, 9, 9), Weight(f32(4, 3, 3, 3)), Weight(f32(4)), name=activation, activation=activation,
        pads=[1] * 4, tolerance=2e-5, **more)
add("FusedConv", f32(1, 3, 9, 9), Weight(f32(4, 3, 3, 3)), Weight(f32(4)), f32(1, 4, 7, 7), name="sum", activation="Relu",
    tolerance=2e-5)
add("NhwcFusedConv", f32(1, 9, 9, 3), Weight(f32(4, 3, 3, 3)), Weight(f32(4)), activation="Relu", tolerance=2e-5)

both("SkipLayerNormalization", f32(2, 5, 8), f32(2, 5, 8), Weight(f32(8)), Weight(f32(8)), Weight(f32(8)))
add("SkipLayerNormalization", f32(2, 5, 8), f32(2, 5, 8), Weight(f32(8)), name="no_beta", epsilon=1e-5)
add("SkipLayerNormalization", f32(2, 5, 8), f32(1, 5, 8), Weight(f32(8)), Weight(f32(8)), name="broadcast")
add("SkipSimplifiedLayerNormalization", f32(2, 5, 8), f32(2, 5, 8), Weight(f32(8)), Weight(f32(8)))
both("SkipSimplifiedLayerNormalization", f32(2, 5, 8), f32(2, 5, 8), Weight(f32(8)), name="no_bias", epsilon=1e-5)
family.both("SimplifiedLayerNormalization", f32(2, 5, 8), Weight(f32(8)), epsilon=1e-5)
IDS = ints(2, 5, low=0, high=20, dtype=np.int32)
for segments in False, True:
    for mask in False, True:
        add("EmbedLayerNormalization", IDS, ints(2, 5, low=0, high=2, dtype=np.int32) if segments else None, Weight(f32(20, 8)),
            Weight(f32(9, 8)), Weight(f32(2, 8)) if segments else None, Weight(f32(8)), Weight(f32(8)),
            ints(2, 5, low=0, high=2, dtype=np.int32) if mask else None, name=f"{segments}_{mask}", outputs=2)
add("EmbedLayerNormalization", IDS, None, Weight(f32(20, 8)), Weight(f32(9, 8)), None, Weight(f32(8)), Weight(f32(8)), None,
    ints(2, 5, low=0, high=9, dtype=np.int32), name="positions", outputs=3)

for bits in 4, 8:
    for block, k in (16, 64), (32, 50):
        n, blocks = 5, -(-k // block)
        packed = ints(n, blocks, block * bits // 8, low=0, high=256, dtype=np.uint8)
        scales = f32(n * blocks, low=0.1, high=1)
        zeros = ints(n * -(-blocks * bits // 8), low=0, high=256, dtype=np.uint8)
        sizes = {"K": k, "N": n, "bits": bits, "block_size": block}
        for tag, more in ("plain", []), ("zeros", [Weight(zeros)]), ("bias", [None, None, Weight(f32(n))]):
            add("MatMulNBits", f32(3, k), Weight(packed), Weight(scales), *more, name=f"{bits}_{block}_{tag}", tolerance=2e-5,
                **sizes)
        add("MatMulNBits", f32(2, 3, k), Weight(packed), Weight(scales), name=f"{bits}_{block}_rows", dynamic=True,
            tolerance=2e-5, **sizes)

both("Trilu", f32(3, 5, 7), upper=0)
add("Pad", f32(3, 5), Weight(i64(1, 0, 2, 3)), Weight(np.array(2.5, np.float32)), name="constant")
add("GatherND", f32(3, 5, 7), Weight(np.array([[0, 1], [2, 3]], np.int64)))
add("ExpandDims", f32(3, 5), Weight(np.array(-1, np.int32)))

for kind in U8, S8:
    tag = kind.__name__
    zero = one(3, kind)
    steps = Weight(one(0.5)), Weight(zero)
    out = Weight(one(2.0)), Weight(one(4, kind))
    both("QLinearAdd", q8(kind, 3, 5), *steps, q8(kind, 5), *steps, *out, name=tag)
    # Where a quotient lies between two integers, ONNX Runtime adds the zero point before it rounds: an even one is as good.
    add("QLinearMul", q8(kind, 3, 5), *steps, q8(kind, 3, 1), *steps, Weight(one(64.0)), Weight(one(4, kind)), name=tag)
    add("QLinearSigmoid", q8(kind, 3, 50), Weight(one(0.05)), Weight(zero), Weight(one(1 / 256)), Weight(one(0, kind)), name=tag)
    add("QLinearLeakyRelu", q8(kind, 3, 50), *steps, *out, name=tag, alpha=0.25)
    add("QLinearSoftmax", q8(kind, 3, 50), Weight(one(0.05)), Weight(zero), Weight(one(1 / 256)), Weight(one(0, kind)), name=tag,
        axis=-1, opset_=13)
    for last in 0, 1:
        shape = (2, 6, 7, 3) if last else (2, 3, 6, 7)
        add("QLinearGlobalAveragePool", q8(kind, *shape), *steps, *out, name=f"{tag}_{last}", channels_last=last)
        add("QLinearAveragePool", q8(kind, *shape), *steps, *out, name=f"{tag}_{last}", channels_last=last, kernel_shape=[2, 2],
            strides=[2, 1])
    add("QLinearConcat", *out, q8(kind, 3, 5), *steps, q8(kind, 3, 2), Weight(one(1.5)), Weight(zero), name=tag, axis=1)
    add("QLinearWhere", bools(3, 5), q8(kind, 3, 5), *steps, q8(kind, 5), Weight(one(1.5)), Weight(zero), *out, name=tag)
    add("MatMulIntegerToFloat", q8(U8, 7, 5), Weight(q8(kind, 5, 3)), one(0.5), Weight(f32(3, low=0.1, high=1)), one(7, U8),
        Weight(q8(kind, 3)), Weight(f32(3)), name=tag)
    both("DynamicQuantizeMatMul", f32(7, 5), Weight(q8(kind, 5, 3)), Weight(one(0.25)), Weight(q8(kind)), Weight(f32(3)), name=tag)
    add("QGemm", q8(U8, 7, 5), Weight(one(0.5)), Weight(one(9, U8)), Weight(q8(kind, 3, 5)), Weight(one(0.25)), Weight(zero),
        Weight(ints(3, low=-900, high=900, dtype=np.int32)), Weight(one(64.0)), Weight(one(90, U8)), name=tag, transB=1)
    add("QGemm", q8(U8, 7, 5), Weight(one(0.5)), Weight(one(9, U8)), Weight(q8(kind, 5, 3)), Weight(one(0.25)), Weight(zero),
        Weight(ints(3, low=-900, high=900, dtype=np.int32)), name=tag + "_float", alpha=0.5)
add("QLinearConv", q8(U8, 1, 9, 9, 3), Weight(one(0.25)), Weight(one(128, U8)), Weight(q8(U8, 4, 3, 3, 3)), Weight(one(0.5)),
    Weight(one(7, U8)), Weight(one(64.0)), Weight(one(100, U8)), name="channels_last", channels_last=1)
