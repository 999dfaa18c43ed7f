"""ViT-B/16 and BERT-base, and their small relatives. Shapes are computed inside the graph, as the exporter leaves them."""
import math

import numpy as np
from onnx import TensorProto

from .builder import INT64_END, Graph


def _vit_attention(g: Graph, x, width, heads):
    """nn.MultiheadAttention with a packed projection, on [batch, tokens, width]: it works on [tokens, batch, width]."""
    head = width // heads
    x = g.transpose(x, 1, 0, 2)
    tokens, batch = g.size(x, 0), g.size(x, 1)
    packed = g.linear(x, "in_proj", width, 3 * width)
    # unflatten(-1, (3, E)).unsqueeze(0).transpose(0, -2).squeeze(-2)
    front = g.op("Slice", g.op("Shape", packed), g.constant([0]), g.constant([-1]), g.constant([0]))
    packed = g.op("Reshape", packed, g.op("Concat", front, g.constant([3, width]), axis=0))
    packed = g.op("Squeeze", g.transpose(g.op("Unsqueeze", packed, g.constant([0])), 3, 1, 2, 0, 4), g.constant([3]))
    q, k, v = (g.op("Gather", packed, g.constant(i), axis=0) for i in range(3))
    rows = g.op("Mul", batch, g.constant(heads))
    q, k, v = (g.transpose(g.view(t, tokens, rows, head), 1, 0, 2) for t in (q, k, v))
    q, k, v = (g.view(t, batch, heads, tokens, head) for t in (q, k, v))
    # scaled_dot_product_attention scales both sides by the root of the scale, which it computes from the shape.
    last = g.op("Slice", g.op("Shape", q), g.constant([-1]), g.constant([INT64_END]))
    root = g.op("Sqrt", g.op("Cast", last, to=TensorProto.FLOAT))
    scale = g.op("Sqrt", g.op("Div", g.constant([1.0], np.float32), root))
    scores = g.op("MatMul", g.op("Mul", q, scale), g.op("Mul", g.transpose(k, 0, 1, 3, 2), scale))
    y = g.op("MatMul", g.op("Softmax", scores, axis=-1), v)
    y = g.view(g.transpose(y, 2, 0, 1, 3), g.op("Mul", tokens, batch), width)
    y = g.view(g.gemm(y, "out_proj", width, width), tokens, batch, width)
    return g.transpose(y, 1, 0, 2)


def vit(seed, layers=12, width=768, heads=12, inner=3072, patch=16, size=224, classes=1000, batch=1):
    g = Graph("vit", seed)
    x = g.input("input", [batch, 3, size, size])
    n, height, wide = g.size(x, 0), g.size(x, 2), g.size(x, 3)
    patches = g.op("Mul", g.op("Div", height, g.constant(patch)), g.op("Div", wide, g.constant(patch)))
    x = g.conv(x, "conv_proj", 3, width, patch, stride=patch, pad=0, gain=1.0)
    x = g.transpose(g.view(x, n, width, patches), 0, 2, 1)
    token = g.expand(g.weight("class_token", (1, 1, width), std=0.5), n, -1, -1)
    x = g.op("Concat", token, x, axis=1)
    x = g.op("Add", x, g.weight("encoder.pos_embedding", (1, (size // patch)**2 + 1, width), std=0.2))
    for layer in range(layers):
        with g.within(f"encoder/layers.{layer}"):
            with g.within("self_attention"):
                y = _vit_attention(g, g.layer_norm(x, "ln_1", width, 1e-6), width, heads)
            x = g.op("Add", y, x)
            y = g.linear(g.layer_norm(x, "ln_2", width, 1e-6), "mlp.0", width, inner)
            y = g.linear(g.gelu(y), "mlp.3", inner, width)
            x = g.op("Add", x, y)
    x = g.layer_norm(x, "encoder.ln", width, 1e-6)
    x = g.op("Gather", x, g.constant(0), axis=1)
    g.output(g.gemm(x, "heads.head", width, classes), "logits", [batch, classes])
    return g.model()


def _bert_attention(g: Graph, x, mask, width, heads):
    head = width // heads

    def split(name):
        y = g.linear(x, name, width, width)
        return g.view(y, g.size(y, 0), g.size(y, 1), heads, head)

    q = g.transpose(split("query"), 0, 2, 1, 3)
    k = g.transpose(split("key"), 0, 2, 3, 1)
    v = g.transpose(split("value"), 0, 2, 1, 3)
    scores = g.op("Div", g.op("MatMul", q, k), g.constant(math.sqrt(head), np.float32))
    y = g.op("MatMul", g.op("Softmax", g.op("Add", scores, mask), axis=-1), v)
    y = g.transpose(y, 0, 2, 1, 3)
    return g.view(y, g.size(y, 0), g.size(y, 1), width)


def bert(seed, layers=12, width=768, heads=12, inner=3072, words=30522, positions=512, batch=1, tokens=128,
         token_types=False):
    """Takes ids and mask (and token types if asked; otherwise they are a buffer of zeros, cut and expanded)."""
    g = Graph("bert", seed)
    ids = g.input("input_ids", [batch, tokens], TensorProto.INT64)
    attention = g.input("attention_mask", [batch, tokens], TensorProto.INT64)
    types = g.input("token_type_ids", [batch, tokens], TensorProto.INT64) if token_types else None
    with g.within("embeddings"):
        n, length = g.size(ids, 0), g.size(ids, 1)
        upto = g.op("Unsqueeze", length, g.constant([0]))
        cut = lambda buffer: g.op("Slice", buffer, g.constant([0]), upto, g.constant([1]), g.constant([1]))
        if types is None:
            types = g.expand(cut(g.keep("token_type_ids", np.zeros((1, positions), np.int64))), n, length)
        place = cut(g.keep("position_ids", np.arange(positions)[None]))
        table = lambda name, rows: g.weight(name + "_embeddings.weight", (rows, width), std=0.5)
        x = g.op("Add", g.op("Gather", table("word", words), ids), g.op("Gather", table("token_type", 2), types))
        x = g.op("Add", x, g.op("Gather", table("position", positions), place))
        x = g.layer_norm(x, "LayerNorm", width, 1e-12)
    mask = g.op("Unsqueeze", g.op("Unsqueeze", attention, g.constant([1])), g.constant([2]))
    mask = g.op("Sub", g.constant(1.0, np.float32), g.op("Cast", mask, to=TensorProto.FLOAT))
    mask = g.op("Mul", mask, g.constant(np.finfo(np.float32).min, np.float32))
    for layer in range(layers):
        with g.within(f"encoder/layer.{layer}"):
            with g.within("attention"):
                y = g.linear(_bert_attention(g, x, mask, width, heads), "output.dense", width, width)
                x = g.layer_norm(g.op("Add", y, x), "output.LayerNorm", width, 1e-12)
            y = g.gelu(g.linear(x, "intermediate.dense", width, inner))
            y = g.linear(y, "output.dense", inner, width)
            x = g.layer_norm(g.op("Add", y, x), "output.LayerNorm", width, 1e-12)
    with g.within("pooler"):
        first = g.op("Gather", x, g.constant(0), axis=1)
        pooled = g.op("Tanh", g.gemm(first, "dense", width, width))
    g.output(x, "last_hidden_state", [batch, tokens, width])
    g.output(pooled, "pooler_output", [batch, width])
    return g.model()
