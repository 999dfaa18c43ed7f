"""GPT-2 with a cache: keys and values of the tokens so far come in and go out, as exporters write decoders."""
import math

import numpy as np
from onnx import TensorProto

from .builder import Graph


def _conv1d(g: Graph, x, name, c_in, c_out):
    """GPT-2's Conv1D: addmm on a matrix, then the old shape with the new width."""
    front = g.op("Slice", g.op("Shape", x), g.constant([0]), g.constant([-1]))
    weight = g.weight(name + ".weight", (c_in, c_out), fan_in=c_in, gain=1.0)
    y = g.op("Gemm", g.op("Reshape", x, g.constant([-1, c_in])), weight, g.weight(name + ".bias", (c_out,), std=0.02))
    return g.op("Reshape", y, g.op("Concat", front, g.constant([c_out]), axis=0))


def _causal(g: Graph, scores, positions):
    """Hides what comes later, with a slice of a triangle that the model carries."""
    query, key = g.size(scores, 2), g.size(scores, 3)
    one = lambda scalar: g.op("Unsqueeze", scalar, g.constant([0]))
    triangle = g.keep("bias", np.tril(np.ones((1, 1, positions, positions), np.bool_)))
    rows = g.op("Slice", triangle, one(g.op("Sub", key, query)), one(key), g.constant([2]))
    mask = g.op("Slice", rows, g.constant([0]), one(key), g.constant([3]))
    return g.op("Where", mask, scores, g.constant(np.finfo(np.float32).min, np.float32))


def _attention(g: Graph, x, mask, past, width, heads, positions):
    """Returns the result and the cache with the new keys and values behind the old."""
    q, k, v = g.op("Split", _conv1d(g, x, "c_attn", width, 3 * width), g.constant([width] * 3), outputs=3, axis=2)
    rows = lambda t: g.transpose(g.view(t, g.size(t, 0), g.size(t, 1), heads, width // heads), 0, 2, 1, 3)
    q, k, v = rows(q), rows(k), rows(v)
    k, v = (g.op("Concat", old, new, axis=-2) for old, new in zip(past, (k, v)))
    scores = g.op("Div", g.op("MatMul", q, g.transpose(k, 0, 1, 3, 2)), g.constant(math.sqrt(width // heads), np.float32))
    scores = g.op("Add", _causal(g, scores, positions), mask)
    y = g.transpose(g.op("MatMul", g.op("Softmax", scores, axis=-1), v), 0, 2, 1, 3)
    y = g.view(y, g.size(y, 0), g.size(y, 1), width)
    return _conv1d(g, y, "c_proj", width, width), (k, v)


def _new_gelu(g: Graph, x):
    number = lambda value: g.constant(value, np.float32)
    cube = g.op("Mul", g.op("Pow", x, number(3.0)), number(0.044715))
    tanh = g.op("Tanh", g.op("Mul", g.op("Add", x, cube), number(math.sqrt(2 / math.pi))))
    return g.op("Mul", g.op("Mul", x, number(0.5)), g.op("Add", tanh, number(1.0)))


def gpt2(seed, layers=12, width=768, heads=12, words=50257, positions=1024, batch=1):
    g = Graph("gpt2", seed)
    ids = g.input("input_ids", [batch, "sequence"], TensorProto.INT64)
    attention = g.input("attention_mask", [batch, "total"], TensorProto.INT64)
    cache = [batch, heads, "past", width // heads]
    past = [[g.input(f"past_key_values.{i}.{part}", cache) for part in ("key", "value")] for i in range(layers)]
    one = lambda scalar: g.op("Unsqueeze", scalar, g.constant([0]))
    before = g.size(past[0][0], 2)
    place = g.op("Range", before, g.op("Add", before, g.size(ids, 1)), g.constant(1))
    x = g.op("Gather", g.weight("wte.weight", (words, width), std=0.5), ids)
    x = g.op("Add", x, g.op("Gather", g.weight("wpe.weight", (positions, width), std=0.2), g.op("Unsqueeze", place, g.constant([0]))))
    mask = g.op("Unsqueeze", attention, g.constant([1, 2]))
    mask = g.op("Sub", g.constant(1.0, np.float32), g.op("Cast", mask, to=TensorProto.FLOAT))
    mask = g.op("Mul", mask, g.constant(np.finfo(np.float32).min, np.float32))
    present = []
    for layer in range(layers):
        with g.within(f"h.{layer}"):
            with g.within("attn"):
                y, kept = _attention(g, g.layer_norm(x, "ln_1", width), mask, past[layer], width, heads, positions)
            present.append(kept)
            x = g.op("Add", y, x)
            with g.within("mlp"):
                y = _conv1d(g, g.layer_norm(x, "ln_2", width), "c_fc", width, 4 * width)
                y = _conv1d(g, _new_gelu(g, y), "c_proj", 4 * width, width)
            x = g.op("Add", x, y)
    x = g.layer_norm(x, "ln_f", width)
    head = g.weight("onnx::MatMul_lm_head", (width, words), fan_in=width, gain=1.0)
    g.output(g.op("MatMul", x, head), "logits", [batch, "sequence", words])
    for layer, kept in enumerate(present):
        for part, value in zip(("key", "value"), kept):
            g.output(value, f"present.{layer}.{part}", [batch, heads, "total", width // heads])
    return g.model()
