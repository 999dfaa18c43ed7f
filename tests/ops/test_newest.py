"""Operator sets that the tests' reference does not know yet: against the definitions, in NumPy."""
import numpy as np
import onnx
import pytest
from cases import f32, ints
from command import compile_model, run_module
from onnx import helper


def run(tmp_path, opset, op, inputs, **attributes):
    kind = helper.np_dtype_to_tensor_dtype(inputs[0].dtype)
    declared = [helper.make_tensor_value_info(f"x{i}", kind, x.shape) for i, x in enumerate(inputs)]
    node = helper.make_node(op, [f"x{i}" for i in range(len(inputs))], ["y"], **attributes)
    graph = helper.make_graph([node], op, declared, [helper.make_tensor_value_info("y", kind, None)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10), tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr")
    return run_module(tmp_path / "model.eyr", {f"x{i}": x for i, x in enumerate(inputs)}, tmp_path)["y"]


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
def test_shifts_of_signed_integers(tmp_path, dtype):
    bits = np.iinfo(dtype).bits
    x = ints(8, low=-100, high=100, dtype=dtype)
    by = np.array([0, 1, 3, bits - 1, bits, 100, -1, 2], dtype)
    held = np.where((by < 0) | (by >= bits), bits - 1, by)
    assert np.array_equal(run(tmp_path, 28, "BitShift", [x, by], direction="RIGHT"), x >> held)
    left = np.where(held == by, x << held, 0).astype(dtype)
    assert np.array_equal(run(tmp_path, 28, "BitShift", [x, by], direction="LEFT"), left)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_floor_remainder_of_floats(tmp_path, dtype):
    x = np.array([5.5, -5.5, 5.5, -5.5, 0.0, -0.0, 3.0, -3.0, np.inf, 2.0, np.nan], dtype)
    y = np.array([2.0, 2.0, -2.0, -2.0, -3.0, 3.0, np.inf, np.inf, 2.0, 0.0, 1.0], dtype)
    with np.errstate(invalid="ignore", divide="ignore"):
        want = np.mod(x, y)
    got = run(tmp_path, 28, "Mod", [x, y])
    assert np.array_equal(got, want, equal_nan=True) and np.array_equal(np.signbit(got[:8]), np.signbit(want[:8]))


def test_space_to_depth_with_depth_first(tmp_path):
    x = f32(2, 3, 4, 6)
    want = x.reshape(2, 3, 2, 2, 3, 2).transpose(0, 1, 3, 5, 2, 4).reshape(2, 12, 2, 3)
    assert np.array_equal(run(tmp_path, 28, "SpaceToDepth", [x], blocksize=2, mode="CRD"), want)


def linear_attention(q, k, v, state, decay, beta):
    """The gated delta rule, one step after the other: q [B, T, H, G, K], k and decay [B, T, H, K], v [B, T, H, V]."""
    rows = []
    for t in range(q.shape[1]):
        state = state * np.exp(decay[:, t])[..., None]
        error = v[:, t] - np.einsum("bhkv,bhk->bhv", state, k[:, t])
        state = state + np.einsum("bhk,bhv->bhkv", k[:, t], beta[:, t] * error)
        rows.append(np.einsum("bhgk,bhkv->bhgv", q[:, t], state) / np.sqrt(q.shape[-1]))
    return np.stack(rows, 1), state


def test_linear_attention_of_any_length(tmp_path):
    heads, groups, size, width = 2, 3, 4, 5
    names = dict(q=heads * groups * size, k=heads * size, v=heads * width, d=heads * size, r=heads)
    declared = [helper.make_tensor_value_info(name, 1, ["b", "t", count]) for name, count in names.items()]
    declared.insert(3, helper.make_tensor_value_info("s", 1, ["b", heads, size, width]))
    node = helper.make_node("LinearAttention", ["q", "k", "v", "s", "d", "r"], ["y", "z"], q_num_heads=heads * groups,
                            kv_num_heads=heads)
    outputs = [helper.make_tensor_value_info(name, 1, None) for name in "yz"]
    graph = helper.make_graph([node], "attention", declared, outputs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 27)], ir_version=10), tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr")
    for batch, length in (1, 1), (2, 7), (3, 2):
        feed = {name: f32(batch, length, count, low=-0.5, high=0.5) for name, count in names.items()}
        feed["s"] = f32(batch, heads, size, width)
        apart = lambda name, *shape: feed[name].reshape(batch, length, heads, *shape)
        y, z = linear_attention(apart("q", groups, size), apart("k", size), apart("v", width), feed["s"], apart("d", size),
                                apart("r", 1))
        got = run_module(tmp_path / "model.eyr", feed, tmp_path)
        assert np.allclose(got["y"], y.reshape(batch, length, -1), atol=1e-5) and np.allclose(got["z"], z, atol=1e-5)


def masked_attention(q, k, v, allowed, scores=lambda x: x):
    """Softmax over the allowed keys; a query without any gets 0."""
    seen = np.where(allowed, scores(q @ k.swapaxes(2, 3) / np.sqrt(q.shape[-1])), -np.inf)
    most = seen.max(-1, keepdims=True)
    weights = np.exp(seen - np.where(np.isinf(most), 0, most))
    total = weights.sum(-1, keepdims=True)
    return weights / np.where(total == 0, 1, total) @ v


@pytest.mark.parametrize("left, right, causal", [(1, -1, 0), (-1, 0, 0), (2, 1, 0), (0, 0, 1), (1, 3, 1)])
def test_attention_in_a_window(tmp_path, left, right, causal):
    q, k, v = f32(2, 3, 5, 8), f32(2, 3, 7, 8), f32(2, 3, 7, 4)
    i, j = np.mgrid[:5, :7]
    allowed = (left < 0) | (j >= i - left)
    allowed = allowed & ((right < 0) | (j <= i + right)) & ((not causal) | (j <= i))
    got = run(tmp_path, 25, "Attention", [q, k, v], left_window_size=left, right_window_size=right, is_causal=causal)
    assert np.allclose(got, masked_attention(q, k, v, allowed), atol=1e-5)


def test_attention_of_queries_that_see_nothing(tmp_path):
    q, k, v, mask = f32(1, 2, 3, 4), f32(1, 2, 5, 4), f32(1, 2, 5, 4), f32(3, 5)
    mask[1], mask[2, :3] = -np.inf, -np.inf
    k[0, :, 0] = np.inf  # the score of a hidden key is of no consequence
    mask[0, 0] = -np.inf
    finite = np.where(np.isinf(k), 0, k)
    want = masked_attention(q, finite, v, np.isfinite(mask), lambda x: 2 * np.tanh(x / 2) + np.where(np.isinf(mask), 0, mask))
    assert np.allclose(run(tmp_path, 24, "Attention", [q, k, v, mask], softcap=2.0), want, atol=1e-5)
