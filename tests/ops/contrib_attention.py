"""The attentions of com.microsoft. Masks leave every query a key: what a query without one gives is nobody's contract."""
import numpy as np
from cases import Family, Weight, f32, i64

family = Family()
B, S, P, H, D = 2, 4, 3, 3, 8
I32 = np.int32


def data(*shape):
    return f32(*shape, low=-1, high=1)


def add(op, *inputs, **options):
    family.add("com.microsoft::" + op, *inputs, tolerance=3e-5, **options)


def both(op, *inputs, **options):
    family.both("com.microsoft::" + op, *inputs, tolerance=3e-5, **options)


def multi_head(name, *inputs, q=(B, S, H * D), k=(B, 6, H * D), v=(B, 6, H * D), **options):
    add("MultiHeadAttention", data(*q), data(*k), data(*v), *inputs, name=name, num_heads=H, **options)


COUNTS = np.array([6, 4], I32)
SEEN = np.array([[1, 1, 0, 1, 0, 1], [1, 0, 1, 1, 1, 1]], I32)
multi_head("plain")
both("MultiHeadAttention", data(B, S, H * D), data(B, 6, H * D), data(B, 6, H * D), name="sizes", num_heads=H)
multi_head("scale", scale=0.2)
multi_head("value_size", v=(B, 6, H * 10))
multi_head("bias", Weight(data(3 * H * D)))
multi_head("counts", None, COUNTS)
multi_head("seen", None, SEEN)
multi_head("added", None, None, data(B, H, S, 6))
multi_head("added_to_all", None, None, data(1, 1, S, 6))
multi_head("seen_and_added", None, SEEN, data(B, H, S, 6))
multi_head("causal", k=(B, S, H * D), v=(B, S, H * D), unidirectional=1)
multi_head("cross", k=(B, H, 6, D), v=(B, H, 6, D))
multi_head("past", None, None, None, data(B, H, P, D), data(B, H, P, D), k=(B, S, H * D), v=(B, S, H * D), outputs=3)
multi_head("past_causal", None, None, None, data(B, H, P, D), data(B, H, P, D), k=(B, S, H * D), v=(B, S, H * D), outputs=3,
           unidirectional=1)


def packed(name, *inputs, size=3 * H * D, **options):
    add("Attention", data(B, S, 10), Weight(data(10, size)), Weight(data(size)), *inputs, name=name, num_heads=H, **options)


packed("plain")
both("Attention", data(B, S, 10), Weight(data(10, 3 * H * D)), Weight(data(3 * H * D)), name="sizes", num_heads=H)
packed("scale", scale=0.3)
packed("causal", unidirectional=1)
packed("counts", np.array([4, 2], I32))
packed("ends_and_firsts", np.array([4, 3, 1, 0], I32))
packed("seen", np.array([[1, 1, 0, 1], [1, 0, 1, 1]], I32))
packed("seen_causal", np.array([[1, 1, 0, 1], [1, 0, 1, 1]], I32), unidirectional=1)
packed("seen_by_query", np.array([[[1, 1, 0, 1]] * S, [[1, 0, 1, 1]] * S], I32))
packed("value_size", size=2 * H * D + H * 10, qkv_hidden_sizes=[H * D, H * D, H * 10])
packed("past", None, data(2, B, H, P, D), outputs=2)
packed("past_causal", None, data(2, B, H, P, D), outputs=2, unidirectional=1)
packed("past_seen", np.array([[1] * (P + S), [0, 1, 1, 0, 1, 1, 1]], I32), data(2, B, H, P, D), outputs=2)
packed("added", None, None, data(B, H, S, S))

TABLES = Weight(data(32, D // 2)), Weight(data(32, D // 2))
WIDE = Weight(data(32, D)), Weight(data(32, D))  # for the heads of 2 * D that ONNX Runtime wants


def grouped(name, length, past, last, total, *more, heads=6, shared=2, is_packed=False, batch=B, d=D, **options):
    """`length` new tokens behind the `past` that the cache has room for (None: no cache)."""
    if is_packed:
        q, k, v = data(batch, length, (heads + 2 * shared) * d), None, None
    else:
        q, k, v = data(batch, length, heads * d), data(batch, length, shared * d), data(batch, length, shared * d)
    caches = [None, None] if past is None else [data(batch, shared, past, d), data(batch, shared, past, d)]
    for cache in caches if past else []:  # what lies behind a batch's last key is not defined: ONNX Runtime gives zeros
        for b, end in enumerate(last):
            cache[b, :, end + 1 - length:] = 0
    add("GroupQueryAttention", q, k, v, *caches, np.array(last, I32), np.array(total, I32), *more, name=name,
        num_heads=heads, kv_num_heads=shared, **{"outputs": 3, **options})


for rotary in 0, 1:
    tables = WIDE if rotary else ()
    tag, d = ("_rotary", 2 * D) if rotary else ("", D)
    grouped("prompt" + tag, 5, None, [4, 4], 5, *tables, do_rotary=rotary, d=d)
    grouped("token" + tag, 1, 6, [6, 6], 7, *tables, do_rotary=rotary, d=d)
    grouped("tokens_differ" + tag, 1, 6, [6, 3], 7, *tables, do_rotary=rotary, d=d)
    grouped("packed" + tag, 5, None, [4, 4], 5, *tables, do_rotary=rotary, d=d, is_packed=True)
grouped("interleaved", 5, None, [4, 4], 5, *WIDE, do_rotary=1, d=2 * D, rotary_interleaved=1)
grouped("heads_alike", 5, None, [4, 4], 5, heads=3, shared=3)
grouped("softcap", 5, None, [4, 4], 5, softcap=1.5)
grouped("scale", 5, None, [4, 4], 5, scale=0.2)
grouped("window", 7, None, [6, 6], 7, local_window_size=3)
grouped("token_window", 1, 6, [6, 6], 7, local_window_size=3)
grouped("more_tokens", 3, 6, [8], 9, batch=1)
grouped("more_tokens_rotary", 3, 6, [8], 9, *WIDE, batch=1, d=2 * D, do_rotary=1)
grouped("room_left", 1, 12, [6], 7, batch=1)
grouped("places", 3, 6, [8], 9, *WIDE, np.array([[4, 9, 2]], np.int64), batch=1, d=2 * D, do_rotary=1)
grouped("sizes", 3, 6, [8], 9, *WIDE, batch=1, d=2 * D, do_rotary=1, dynamic=True)
grouped("added", 5, None, [4, 4], 5, None, None, None, data(B, 6, 5, 5))

both("RotaryEmbedding", data(B, 5, 24), i64(3), *TABLES, name="offset", num_heads=3)
for interleaved in 0, 1:
    add("RotaryEmbedding", data(B, 5, 24), np.array([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]], np.int64), *TABLES,
        name=f"places_{interleaved}", interleaved=interleaved)
    add("RotaryEmbedding", data(B, 3, 5, D), np.array([2], np.int64), *TABLES, name=f"heads_{interleaved}", interleaved=interleaved)
    add("RotaryEmbedding", data(B, 5, 48), np.array([2], np.int64), *TABLES, name=f"partly_{interleaved}", num_heads=3,
        rotary_embedding_dim=D, interleaved=interleaved)
