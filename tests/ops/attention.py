"""Attention, rotary embedding and caches of the default domain."""
import numpy as np
from cases import Family, Weight, bools, f32, i64, ints

family = Family()
add, both = family.add, family.both


def heads(*shape):
    return f32(*shape, low=-1, high=1)


def attention(name, *inputs, outputs=1, opset=23, dynamic=False, **attributes):
    add("Attention", *inputs, name=name, outputs=outputs, opset=opset, dynamic=dynamic, tolerance=2e-5, **attributes)


for dynamic in False, True:
    attention("4d", heads(2, 3, 4, 8), heads(2, 3, 6, 8), heads(2, 3, 6, 8), dynamic=dynamic)
    attention("causal", heads(2, 3, 4, 8), heads(2, 3, 6, 8), heads(2, 3, 6, 8), is_causal=1, dynamic=dynamic)
    attention("3d", heads(2, 4, 24), heads(2, 6, 24), heads(2, 6, 30), q_num_heads=3, kv_num_heads=3, dynamic=dynamic)
attention("value_size", heads(2, 3, 4, 8), heads(2, 3, 6, 8), heads(2, 3, 6, 10), scale=0.3)
attention("grouped", heads(2, 6, 4, 8), heads(2, 2, 5, 8), heads(2, 2, 5, 8))
attention("grouped_3d", heads(2, 4, 48), heads(2, 5, 16), heads(2, 5, 16), q_num_heads=6, kv_num_heads=2, softcap=2.0)
for shape in (4, 6), (3, 4, 6), (2, 3, 4, 6), (2, 1, 1, 6), (2, 1, 4, 6):
    tag = "x".join(map(str, shape))
    seen = bools(*shape)
    seen[..., 0] = True
    attention(f"mask_{tag}", heads(2, 3, 4, 8), heads(2, 3, 6, 8), heads(2, 3, 6, 8), f32(*shape))
    attention(f"seen_{tag}", heads(2, 3, 4, 8), heads(2, 3, 6, 8), heads(2, 3, 6, 8), seen)
attention("mask_causal", heads(2, 3, 4, 8), heads(2, 3, 6, 8), heads(2, 3, 6, 8), f32(4, 6), is_causal=1)
for mode in 0, 2, 3:
    attention(f"scores_{mode}", heads(2, 3, 4, 8), heads(2, 3, 6, 8), heads(2, 3, 6, 8), f32(4, 11), heads(2, 3, 5, 8),
              heads(2, 3, 5, 8), outputs=4, qk_matmul_output_mode=mode, is_causal=int(mode in (0, 3)))
attention("past_grouped", heads(2, 4, 3, 8), heads(2, 2, 3, 8), heads(2, 2, 3, 8), None, heads(2, 2, 5, 8), heads(2, 2, 5, 8),
          outputs=3, is_causal=1)
attention("counts", heads(2, 3, 4, 8), heads(2, 3, 6, 8), heads(2, 3, 6, 8), f32(4, 4), None, None, i64(3, 5), opset=24)
add("Attention", heads(2, 3, 4, 8), heads(2, 3, 6, 8), heads(2, 3, 6, 8), name="sizes", opset=23, tolerance=2e-5,
    dims=[["b", 3, "s", 8], ["b", 3, "t", 8], ["b", 3, "t", 8]],
    also=[[heads(b, 3, s, 8), heads(b, 3, t, 8), heads(b, 3, t, 8)] for b, s, t in ((1, 1, 1), (3, 7, 20))])

for interleaved in 0, 1:
    for dim in 0, 4:
        half = (dim or 8) // 2
        tag = f"{interleaved}_{dim}"
        both("RotaryEmbedding", f32(2, 3, 5, 8), Weight(f32(50, half)), Weight(f32(50, half)), ints(2, 5, low=0, high=50),
             name=tag, opset=23, interleaved=interleaved, rotary_embedding_dim=dim)
        add("RotaryEmbedding", f32(2, 5, 24), f32(2, 5, half), f32(2, 5, half), name=tag + "_3d", opset=23, num_heads=3,
            interleaved=interleaved, rotary_embedding_dim=dim)

both("TensorScatter", f32(2, 3, 6, 4), f32(2, 3, 2, 4), i64(1, 4), opset=24)
add("TensorScatter", f32(2, 3, 6, 4), f32(2, 3, 3, 4), i64(5, 4), name="circular", opset=24, mode="circular")
add("TensorScatter", f32(2, 6, 4), f32(2, 2, 4), None, name="from_0", opset=24, axis=1)
add("TensorScatter", f32(2, 6, 4), f32(2, 6, 1), i64(2, 0), name="last", opset=24, axis=-1)
