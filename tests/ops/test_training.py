"""Optimisers of ai.onnx.preview.training and FlexAttention of ai.onnx.preview, in NumPy."""
import numpy as np
import onnx
import pytest
from cases import f32
from command import check_equal, compile_model, fail, run_module
from onnx import helper
from small import model_of

FLOAT = onnx.TensorProto.FLOAT
TRAINING, PREVIEW = "ai.onnx.preview.training", "ai.onnx.preview"


def declared(inputs, dims=None):
    return [(name, helper.np_dtype_to_tensor_dtype(x.dtype), (dims or {}).get(name, x.shape)) for name, x in inputs.items()]


def call(tmp_path, node, inputs, domain, dims=None):
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output]
    onnx.save(model_of([node], declared(inputs, dims), outputs, opset=20, domains=[domain]), tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr")
    return run_module(tmp_path / "model.eyr", inputs, tmp_path)


# ---- optimisers

def adagrad(rate, steps, x, g, h, norm_coefficient=0, decay_factor=0, epsilon=1e-6):
    g = norm_coefficient * x + g
    h = h + g * g
    return x - rate / (1 + steps * decay_factor) * g / (np.sqrt(h) + epsilon), h


def adam(rate, steps, x, g, v, h, alpha=0.9, beta=0.999, norm_coefficient=0, norm_coefficient_post=0, epsilon=1e-6):
    g = norm_coefficient * x + g
    v, h = alpha * v + (1 - alpha) * g, beta * h + (1 - beta) * g * g
    if steps > 0:
        rate = rate * np.sqrt(1 - beta**steps) / (1 - alpha**steps)
    return (1 - norm_coefficient_post) * (x - rate * v / (np.sqrt(h) + epsilon)), v, h


def momentum(rate, steps, x, g, v, mode, alpha, beta, norm_coefficient):
    g = norm_coefficient * x + g
    v = alpha * v + (beta if steps > 0 else 1) * g
    return x - rate * (g + alpha * v if mode == "nesterov" else v), v


OPTIMISERS = {
    "Adagrad": (adagrad, 1, [{}, dict(norm_coefficient=0.01, decay_factor=0.1, epsilon=1e-3)]),
    "Adam": (adam, 2, [{}, dict(alpha=0.8, beta=0.95, norm_coefficient=0.01, norm_coefficient_post=0.02, epsilon=1e-3)]),
    "Momentum": (momentum, 1, [dict(mode=mode, alpha=0.9, beta=0.5, norm_coefficient=0.01) for mode in ("standard", "nesterov")]),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("variant", [0, 1])
@pytest.mark.parametrize("op", OPTIMISERS)
def test_steps_of_an_optimiser(tmp_path, op, variant, dtype):
    function, kept, attributes = OPTIMISERS[op]
    attributes = attributes[variant]
    shapes = [(2, 3), (4,)]
    lists = [[np.abs(f32(*shape)).astype(dtype) if i == kept + 1 else f32(*shape).astype(dtype) for shape in shapes] for i in range(2 + kept)]
    names = [f"{letter}{i}" for letter in "xgvh"[:2 + kept] for i in (0, 1)]
    results = [f"{letter}{i}" for letter in "XVH"[:1 + kept] for i in (0, 1)]
    node = helper.make_node(op, ["rate", "steps", *names], results, name="step", domain=TRAINING, **attributes)
    for steps in (0, 3):
        inputs = dict(rate=np.array(0.1, np.float32), steps=np.array(steps), **dict(zip(names, sum(lists, []))))
        got = call(tmp_path, node, inputs, TRAINING, dims=dict(x0=["n", 3]))
        each = [function(np.float32(0.1), steps, *[tensors[i] for tensors in lists], **attributes) for i in (0, 1)]
        want = {name: each[k % 2][k // 2].astype(dtype) for k, name in enumerate(results)}
        check_equal(got, want, 1e-5)


def test_what_an_optimiser_refuses(tmp_path):
    def refuse(says, names, attributes, outputs=("X", "V"), op="Momentum"):
        inputs = dict(rate=np.array(0.1, np.float32), steps=np.array(0), x=f32(2), g=f32(2), v=f32(2), two=f32(2, 1))
        node = helper.make_node(op, names, list(outputs), name="step", domain=TRAINING, **attributes)
        onnx.save(model_of([node], declared(inputs), [onnx.ValueInfoProto(name="X")], opset=20, domains=[TRAINING]), tmp_path / "model.onnx")
        fail("compile", tmp_path / "model.onnx", "-o", tmp_path / "model.eyr", says=("'step'", says))

    whole = dict(mode="standard", alpha=0.9, beta=0.5, norm_coefficient=0.0)
    refuse("'mode' is missing", ["rate", "steps", "x", "g", "v"], dict(alpha=0.9, beta=0.5, norm_coefficient=0.0))
    refuse("expected one of standard, nesterov", ["rate", "steps", "x", "g", "v"], {**whole, "mode": "heavy"})
    refuse("then 3 for each tensor", ["rate", "steps", "x", "g", "v", "v"], whole)
    refuse("must be one number", ["x", "steps", "x", "g", "v"], whole)
    refuse("belongs to", ["rate", "steps", "x", "g", "two"], whole)
    refuse("must have a floating-point type", ["rate", "steps", "steps", "g", "v"], whole)
    refuse("has 3 outputs, expected 2", ["rate", "steps", "x", "g", "v"], whole, outputs=("X", "V", "Z"))


# ---- FlexAttention

def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def flex(q, k, v, scale=None, score=lambda s: s, probability=lambda p: p):
    repeat = q.shape[1] // k.shape[1]
    wide = np.float64 if q.dtype == np.float64 else np.float32
    k, v = (np.repeat(x, repeat, 1).astype(wide) for x in (k, v))
    scores = q.astype(wide) @ k.swapaxes(2, 3) * (1 / np.sqrt(q.shape[3]) if scale is None else scale)
    return (probability(softmax(score(scores))) @ v).astype(q.dtype)


def modifier(nodes, kept=(), kind=FLOAT):
    return helper.make_graph(nodes, "modifier", [helper.make_tensor_value_info("s", kind, None)],
                             [helper.make_tensor_value_info("t", kind, None)], [onnx.numpy_helper.from_array(x, n) for n, x in kept])


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-5), (np.float64, 1e-12), (np.float16, 2e-3)])
def test_flex_attention(tmp_path, dtype, tolerance):
    q, k, v = (f32(2, heads, n, d).astype(dtype) for heads, n, d in ((4, 3, 8), (2, 5, 8), (2, 5, 6)))
    inputs = dict(q=q, k=k, v=v)
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(np.float64 if dtype == np.float64 else np.float32))
    half = modifier([helper.make_node("Mul", ["s", "half"], ["t"])], [("half", np.array(0.5, np.float64 if dtype == np.float64 else np.float32))], kind)
    square = modifier([helper.make_node("Mul", ["s", "s"], ["t"])], kind=kind)
    dims = dict(q=["b", 4, "n", 8], k=["b", 2, "m", 8], v=["b", 2, "m", 6])
    for attributes, want in [({}, flex(q, k, v)), (dict(scale=0.25), flex(q, k, v, 0.25)),
                             (dict(score_mod=half), flex(q, k, v, score=lambda s: s / 2)),
                             (dict(score_mod=half, prob_mod=square), flex(q, k, v, score=lambda s: s / 2, probability=np.square))]:
        node = helper.make_node("FlexAttention", ["q", "k", "v"], ["y"], name="flex", domain=PREVIEW, **attributes)
        for declared_dims in (None, dims):
            check_equal(call(tmp_path, node, inputs, PREVIEW, declared_dims), {"y": want}, tolerance)


def test_a_modifier_sees_the_graph_around_it(tmp_path):
    q, k, v = f32(1, 2, 3, 4), f32(1, 2, 3, 4), f32(1, 2, 3, 4)
    mask = np.where(np.tri(3, dtype=bool), 0, -np.inf).astype(np.float32)
    causal = modifier([helper.make_node("Add", ["s", "mask"], ["t"])])
    node = helper.make_node("FlexAttention", ["q", "k", "v"], ["y"], domain=PREVIEW, score_mod=causal)
    outputs = [onnx.ValueInfoProto(name="y")]
    onnx.save(model_of([node], declared(dict(q=q, k=k, v=v, mask=mask)), outputs, opset=20, domains=[PREVIEW]), tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr")
    got = run_module(tmp_path / "model.eyr", dict(q=q, k=k, v=v, mask=mask), tmp_path)
    check_equal(got, {"y": flex(q, k, v, score=lambda s: s + mask)}, 1e-5)


def test_what_flex_attention_refuses(tmp_path):
    def refuse(says, **attributes):
        inputs = dict(q=f32(1, 2, 3, 4), k=f32(1, 2, 3, 4), v=f32(1, 2, 3, 4))
        node = helper.make_node("FlexAttention", ["q", "k", "v"], ["y"], name="flex", domain=PREVIEW, **attributes)
        onnx.save(model_of([node], declared(inputs), [onnx.ValueInfoProto(name="y")], opset=20, domains=[PREVIEW]), tmp_path / "model.onnx")
        fail("compile", tmp_path / "model.onnx", "-o", tmp_path / "model.eyr", says=("'flex'", says))

    refuse("expected f32[1, 2, 3, 3]", score_mod=modifier([helper.make_node("Shape", ["s"], ["t"])]))
    refuse("expected f32[1, 2, 3, 3]", prob_mod=modifier([helper.make_node("Concat", ["s", "s"], ["t"], axis=0)]))
    refuse("'softmax_precision' must name a floating-point type", softmax_precision=int(onnx.TensorProto.INT32))
    two = modifier([helper.make_node("Identity", ["s"], ["t"])])
    two.input.append(helper.make_tensor_value_info("u", FLOAT, None))
    refuse("one input and one output", score_mod=two)
