"""MatMul, Gemm, convolutions, poolings and what recurrent layers are made of."""
import numpy as np
from cases import Family, Weight, f16, f32, f64, i64, ints

family = Family()
add, both = family.add, family.both

for a, b in [((7, 5), (5, 11)), ((1, 64), (64, 33)), ((2, 7, 5), (5, 3)), ((2, 7, 5), (2, 5, 3)), ((2, 1, 7, 5), (3, 5, 4)),
             ((5,), (5,)), ((5,), (5, 3)), ((7, 5), (5,)), ((2, 7, 5), (5,)), ((5,), (2, 5, 3)), ((1, 1), (1, 1)),
             ((64, 64), (64, 64)), ((17, 130), (130, 67)), ((0, 5), (5, 3)), ((3, 0), (0, 2)), ((100, 1), (1, 37))]:
    add("MatMul", f32(*a), f32(*b))
    if len(a) > 1 and len(b) > 1 and 0 not in a:
        add("MatMul", f32(*a), Weight(f32(*b)), name=f"weight_{'x'.join(map(str, a))}")
both("MatMul", f32(3, 7, 5), f32(3, 5, 11), name="batched")
add("MatMul", f32(7, 5), Weight(f32(5, 11)), name="rows", dims=[["n", 5]], also=[[f32(n, 5), None] for n in (1, 2, 33, 0)])
add("MatMul", f64(7, 5), f64(5, 3), name="f64", tolerance=1e-12)
add("MatMul", f16(7, 5), f16(5, 3), name="f16", tolerance=4e-3)
add("MatMul", ints(7, 5, dtype=np.int32), ints(5, 3, dtype=np.int32), name="i32")
add("MatMul", ints(7, 5), ints(5, 3), name="i64")

for ta in 0, 1:
    for tb in 0, 1:
        a, b = f32(*((5, 7) if ta else (7, 5))), f32(*((11, 5) if tb else (5, 11)))
        add("Gemm", a, b, f32(11), name=f"t{ta}{tb}", transA=ta, transB=tb)
        add("Gemm", a, Weight(b), Weight(f32(7, 1)), name=f"t{ta}{tb}_weights", transA=ta, transB=tb, alpha=0.5, beta=2.0)
for c in (), (1,), (7, 11), (1, 11):
    add("Gemm", f32(7, 5), f32(5, 11), f32(*c), name=f"bias_{'x'.join(map(str, c))}")
add("Gemm", f32(7, 5), f32(5, 11), name="no_bias")
add("Gemm", f32(7, 5), f32(5, 11), f32(11), name="beta_0", beta=0.0)
add("Gemm", f32(7, 5), Weight(f32(11, 5)), Weight(f32(11)), name="batch", dynamic=True, transB=1)
add("Gemm", f32(7, 5), f32(5, 11), f32(7, 11), name="opset_7", opset=7)


def conv(x, w, bias=False, name=None, weights=True, dynamic=False, **attributes):
    keep = Weight if weights else (lambda array: array)
    more = [keep(f32(w[0]))] if bias else []
    add("Conv", f32(*x), keep(f32(*w)), *more, name=name, dynamic=dynamic, tolerance=2e-5, **attributes)


conv((1, 3, 13, 17), (5, 3, 3, 3))
conv((2, 3, 13, 17), (5, 3, 3, 3), bias=True, pads=[1, 1, 1, 1])
conv((2, 3, 13, 17), (5, 3, 3, 3), bias=True, pads=[0, 1, 2, 3], strides=[2, 3])
conv((1, 3, 13, 17), (4, 3, 3, 2), dilations=[2, 3])
conv((1, 3, 13, 17), (4, 3, 3, 2), dilations=[2, 3], pads=[3, 1, 0, 2], strides=[2, 1])
conv((1, 16, 9, 9), (32, 16, 1, 1), bias=True, name="pointwise")
conv((1, 16, 9, 9), (32, 16, 1, 1), strides=[2, 2], name="pointwise_stride")
conv((1, 8, 9, 9), (8, 1, 3, 3), group=8, pads=[1, 1, 1, 1], name="depthwise")
conv((1, 8, 9, 9), (8, 1, 5, 5), bias=True, group=8, pads=[2, 2, 2, 2], strides=[2, 2], name="depthwise_stride")
conv((1, 4, 9, 9), (12, 1, 3, 3), bias=True, group=4, name="multiplier")
conv((2, 8, 9, 9), (12, 2, 3, 3), bias=True, group=4, name="groups")
conv((1, 6, 7, 7), (6, 3, 3, 3), group=2, dilations=[2, 2], name="groups_dilated")
conv((1, 3, 32, 32), (8, 3, 7, 7), bias=True, strides=[2, 2], pads=[3] * 4, name="stem")
conv((1, 3, 32, 32), (8, 3, 16, 16), strides=[16, 16], name="patches")
conv((1, 1, 1, 1), (1, 1, 1, 1), bias=True, name="one")
conv((0, 3, 8, 8), (2, 3, 3, 3), name="empty")
conv((1, 3, 7, 7), (2, 3, 3, 3), weights=False, bias=True, name="inputs")
conv((2, 3, 17), (5, 3, 4), bias=True, name="1d")
conv((2, 4, 17), (4, 1, 3), group=4, dilations=[2], pads=[2, 2], name="1d_depthwise")
conv((2, 1, 50), (3, 1, 9), strides=[4], pads=[3, 0], name="1d_stride")
conv((1, 2, 5, 6, 7), (3, 2, 2, 3, 2), bias=True, pads=[0, 1, 0, 1, 0, 1], name="3d")
conv((1, 4, 5, 6, 7), (4, 2, 2, 2, 2), group=2, strides=[2, 1, 2], dilations=[1, 2, 1], name="3d_groups")
for auto_pad in "SAME_UPPER", "SAME_LOWER", "VALID":
    for size, strides in ((13, 14), [2, 2]), ((8, 9), [1, 3]):
        conv((1, 2, *size), (3, 2, 4, 3), auto_pad=auto_pad, strides=strides, name=f"{auto_pad}_{size[0]}")
    conv((1, 2, 13), (3, 2, 4), auto_pad=auto_pad, name=f"{auto_pad}_1d")
conv((1, 2, 13, 12), (3, 2, 3, 3), auto_pad="SAME_UPPER", strides=[2, 2], name="SAME_UPPER", dynamic=True)
conv((2, 3, 13, 17), (5, 3, 3, 3), bias=True, pads=[1] * 4, strides=[2, 2], name="pads", dynamic=True)
conv((2, 8, 13, 17), (8, 1, 3, 3), bias=True, pads=[1] * 4, group=8, name="depthwise", dynamic=True)
add("Conv", f32(1, 3, 9, 9), Weight(f32(4, 3, 3, 3)), name="several_sizes", dims=[["n", 3, "h", "w"]], tolerance=2e-5,
    also=[[f32(*s), None] for s in ((2, 3, 3, 3), (1, 3, 11, 8), (3, 3, 4, 20))])
add("Conv", f32(1, 3, 9, 9), Weight(f32(4, 3, 3, 3)), f32(4), name="open_bias", dims=[[1, 3, "h", "w"], ["c"]], tolerance=2e-5)
add("Conv", f16(1, 3, 9, 9), Weight(f16(4, 3, 3, 3)), name="f16", tolerance=1e-2)


def deconv(x, w, bias=False, name=None, dynamic=False, **attributes):
    more = [Weight(f32(w[1] * attributes.get("group", 1)))] if bias else []
    add("ConvTranspose", f32(*x), Weight(f32(*w)), *more, name=name, dynamic=dynamic, tolerance=2e-5, **attributes)


deconv((1, 3, 5, 7), (3, 4, 3, 3))
deconv((2, 3, 5, 7), (3, 4, 2, 2), bias=True, strides=[2, 2])
deconv((1, 3, 5, 7), (3, 4, 3, 3), bias=True, strides=[2, 3], pads=[1, 0, 1, 2])
deconv((1, 3, 5, 7), (3, 4, 3, 3), strides=[3, 2], output_padding=[2, 1])
deconv((1, 3, 5, 7), (3, 4, 3, 2), dilations=[2, 3])
deconv((1, 4, 5, 7), (4, 3, 3, 3), bias=True, group=2, strides=[2, 2])
deconv((1, 4, 5, 5), (4, 1, 3, 3), group=4, strides=[2, 2], pads=[1] * 4, name="depthwise")
deconv((1, 3, 5, 7), (3, 2, 3, 3), strides=[2, 2], output_shape=[10, 15], name="output_shape")
deconv((1, 3, 5, 7), (3, 2, 3, 3), strides=[2, 2], auto_pad="SAME_UPPER", name="same_upper")
deconv((1, 3, 5, 7), (3, 2, 4, 4), strides=[2, 2], auto_pad="SAME_LOWER", name="same_lower")
deconv((2, 3, 9), (3, 4, 4), bias=True, strides=[2], pads=[1, 1], name="1d")
deconv((1, 2, 3, 4, 5), (2, 3, 2, 3, 2), strides=[2, 1, 2], name="3d")
deconv((1, 3, 5, 7), (3, 4, 2, 2), bias=True, strides=[2, 2], dynamic=True, name="double")

for op, more in ("MaxPool", {}), ("AveragePool", {}), ("AveragePool", {"count_include_pad": 1}):
    tag = "_padded" if more else ""
    for dynamic in False, True:
        add(op, f32(2, 3, 13, 17), name="2d" + tag, dynamic=dynamic, kernel_shape=[3, 2], strides=[2, 3], pads=[1, 0, 1, 1],
            **more)
        add(op, f32(1, 3, 14, 15), name="ceil" + tag, dynamic=dynamic, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, **more)
    add(op, f32(1, 3, 14, 15), name="ceil_pads" + tag, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, pads=[1, 0, 1, 0],
        **more)
    add(op, f32(1, 3, 14, 15), name="default_strides" + tag, kernel_shape=[2, 3], **more)
    add(op, f32(2, 3, 17), name="1d" + tag, kernel_shape=[3], strides=[2], pads=[1, 1], **more)
    add(op, f32(1, 2, 6, 7, 8), name="3d" + tag, kernel_shape=[2, 3, 2], strides=[2, 1, 2], **more)
    for auto_pad in "SAME_UPPER", "SAME_LOWER", "VALID":
        add(op, f32(1, 2, 13, 14), name=auto_pad + tag, kernel_shape=[3, 4], strides=[2, 2], auto_pad=auto_pad, **more)
add("MaxPool", f32(1, 2, 13, 14), name="dilated", kernel_shape=[3, 2], dilations=[2, 3], pads=[1, 1, 1, 1])
add("MaxPool", f32(1, 2, 13, 14), name="dilated_ceil", kernel_shape=[3, 2], dilations=[2, 3], strides=[2, 2], ceil_mode=1)
add("MaxPool", ints(1, 2, 9, 9, dtype=np.int8), name="i8", kernel_shape=[2, 2])
add("MaxPool", -np.abs(f32(1, 2, 6, 6)), name="negative_with_pads", kernel_shape=[3, 3], pads=[1] * 4)
add("AveragePool", f32(1, 2, 13, 14), name="dilated", opset=19, kernel_shape=[3, 2], dilations=[2, 3])
add("AveragePool", f32(1, 2, 7, 7), name="large", kernel_shape=[7, 7])
add("LpPool", f32(1, 2, 9, 9), opset=18, kernel_shape=[3, 3], p=2)
add("LpPool", f32(1, 2, 9, 9), opset=18, kernel_shape=[2, 3], p=3, strides=[2, 2], pads=[0, 1, 0, 1])
for op in "GlobalAveragePool", "GlobalMaxPool":
    both(op, f32(2, 3, 7, 11))
    add(op, f32(2, 3, 7), name="1d")
    add(op, f32(1, 2, 3, 4, 5), name="3d")
    add(op, f32(1, 5, 1, 1), name="one")
add("GlobalLpPool", f32(2, 3, 7, 11), p=2)


def recurrent(op, gates, steps, batch, c_in, hidden, directions=1, bias=True, start=False, lengths=None, peephole=False,
              name=None, outputs=None, dynamic=False, weights=True, **attributes):
    keep = Weight if weights else (lambda array: array)
    width = lambda *shape: f32(*shape, low=-0.6, high=0.6)
    inputs = [f32(steps, batch, c_in), keep(width(directions, gates * hidden, c_in)),
              keep(width(directions, gates * hidden, hidden)), keep(width(directions, 2 * gates * hidden)) if bias else None,
              np.array(lengths, np.int32) if lengths else None, f32(directions, batch, hidden) if start else None]
    if op == "LSTM":
        inputs += [f32(directions, batch, hidden) if start else None, keep(width(directions, 3 * hidden)) if peephole else None]
    if directions == 2:
        attributes["direction"] = "bidirectional"
    add(op, *inputs, name=name, outputs=outputs or (3 if op == "LSTM" else 2), dynamic=dynamic, hidden_size=hidden,
        tolerance=2e-5, **attributes)


for op, gates in ("LSTM", 4), ("GRU", 3), ("RNN", 1):
    recurrent(op, gates, 5, 2, 3, 7, name="plain")
    recurrent(op, gates, 5, 2, 3, 7, name="state", start=True)
    recurrent(op, gates, 5, 2, 3, 7, name="no_bias", bias=False)
    recurrent(op, gates, 5, 2, 3, 7, name="reverse", direction="reverse", start=True)
    recurrent(op, gates, 4, 3, 5, 6, name="both", directions=2, start=True)
    recurrent(op, gates, 1, 1, 1, 1, name="one")
    recurrent(op, gates, 5, 3, 3, 4, name="lengths", lengths=[5, 2, 3])
    recurrent(op, gates, 5, 2, 3, 4, name="inputs", weights=False)
    recurrent(op, gates, 5, 2, 3, 4, name="clip", clip=0.4)
    recurrent(op, gates, 5, 2, 3, 4, name="first_output", outputs=1)
    recurrent(op, gates, 6, 2, 3, 4, name="layout_absent", start=True)
recurrent("LSTM", 4, 5, 2, 3, 7, name="peephole", peephole=True, start=True)
recurrent("LSTM", 4, 5, 2, 3, 7, name="activations", activations=["HardSigmoid", "Tanh", "Tanh"])
recurrent("LSTM", 4, 5, 2, 3, 7, name="input_forget", input_forget=1)
recurrent("GRU", 3, 5, 2, 3, 7, name="linear_before_reset", linear_before_reset=1, start=True)
recurrent("RNN", 1, 5, 2, 3, 7, name="relu", activations=["Relu"])
add("LSTM", f32(4, 2, 3), Weight(f32(2, 20, 3)), Weight(f32(2, 20, 5)), None, None, f32(2, 2, 5), f32(2, 2, 5), name="open_states",
    outputs=3, hidden_size=5, direction="bidirectional", dynamic=True)
add("LSTM", f32(4, 2, 3), Weight(f32(1, 20, 3)), Weight(f32(1, 20, 5)), name="batches", outputs=3, hidden_size=5,
    dims=[[4, "batch", 3]], also=[[f32(4, n, 3), None, None] for n in (1, 5)], tolerance=2e-5)

for equation, shapes in ("ij,jk->ik", [(3, 5), (5, 7)]), ("bij,bjk->bik", [(2, 3, 5), (2, 5, 7)]), ("ij->ji", [(3, 5)]), \
        ("ij->", [(3, 5)]), ("i,j->ij", [(3,), (5,)]), ("bhid,bhjd->bhij", [(2, 3, 4, 5), (2, 3, 6, 5)]), \
        ("...ij,...jk->...ik", [(2, 3, 4), (2, 4, 5)]), ("ii->i", [(4, 4)]), ("ij,jk", [(3, 5), (5, 2)]):
    add("Einsum", *(f32(*shape) for shape in shapes), equation=equation)
add("Einsum", f32(1, 5, 7), f32(6, 1, 5), equation="abc,mab->cbm")  # a sum over one element, columns far apart
