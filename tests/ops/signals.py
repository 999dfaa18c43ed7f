"""Fourier transforms, windows, spectrograms; n-grams."""
import numpy as np
from cases import Family, Weight, f16, f32, f64, i64, ints

family = Family()
add, both = family.add, family.both
N = lambda value, dtype=np.int64: Weight(np.array(value, dtype))

for inverse in 0, 1:
    for parts in 1, 2:
        for length in 1, 8, 15:
            add("DFT", f32(2, length, parts), name=f"inverse{inverse}_parts{parts}_{length}", opset=17, axis=1, inverse=inverse)
for parts in 1,:
    both("DFT", f32(2, 12, parts), name="onesided", opset=17, onesided=1)
    both("DFT", f32(2, 13, parts), name="onesided_odd", opset=17, onesided=1)
add("DFT", f32(2, 10, 1), N(16), name="padded", opset=17)
add("DFT", f32(2, 10, 2), N(6), name="cut", opset=17)
add("DFT", f32(2, 10, 1), np.array(7), name="run_time_length", opset=17, onesided=1)
for axis in 0, 1, -2, -3:
    add("DFT", f32(3, 4, 5, 2), None, N(axis), name=f"axis{axis}", opset=20)
    add("DFT", f32(3, 4, 5, 1), name=f"attribute{axis}", opset=17, axis=axis, inverse=1)
add("DFT", f32(3, 4, 5, 1), None, np.array(-2), name="run_time_axis", opset=20, onesided=1, dims=[["a", "b", "c", 1], []],
    also=[[f32(3, 4, 5, 1), None, np.array(0)], [f32(2, 7, 3, 1), None, np.array(1)]])
add("DFT", f64(2, 9, 2), name="f64", opset=20)
add("DFT", f16(2, 9, 1), name="f16", opset=20, tolerance=5e-3)
add("DFT", f32(0, 9, 1), name="none", opset=20)
add("DFT", f32(2, 257, 1), name="long", opset=20, tolerance=2e-4)

both("STFT", f32(2, 40, 1), N(8), Weight(f32(16)), name="window")
add("STFT", f32(2, 40, 1), N(5), Weight(f32(16)), N(16), name="whole", onesided=0)
add("STFT", f32(1, 33, 1), N(4), None, N(9), name="length")
add("STFT", f32(1, 33, 2), N(4), Weight(f32(8)), name="complex", onesided=0)
add("STFT", f64(1, 24, 1), N(3), Weight(f64(6)), name="f64")
add("STFT", f32(1, 40, 1), np.array(8), f32(16), np.array(16), name="run_time")

for op in "HannWindow", "HammingWindow", "BlackmanWindow":
    for periodic in 0, 1:
        add(op, N(10), name=f"periodic{periodic}", periodic=periodic)
    add(op, N(7, np.int32), name="f64", output_datatype=11)
    add(op, N(7), name="f16", output_datatype=10, tolerance=2e-3)
    add(op, np.array(9), name="run_time")
    add(op, N(0), name="empty")

for bins, length, rate, low, high in (8, 16, 8192, 0, 4096), (20, 512, 16000, 20, 7600), (3, 9, 100, 1, 49):
    args = N(bins), N(length), N(rate), N(low, np.float32), N(high, np.float32)
    add("MelWeightMatrix", *args)
add("MelWeightMatrix", np.array(8), np.array(16), N(8192), N(0, np.float32), N(4096, np.float32), name="run_time")
add("MelWeightMatrix", N(8), N(16), N(8192), N(0, np.float32), N(4096, np.float32), name="f64", output_datatype=11)

POOL = dict(pool_int64s=[2, 3, 5, 4, 5, 6, 7, 8, 6, 7, 1, 2, 3], ngram_counts=[0, 4, 10], ngram_indexes=[0, 2, 1, 3, 6, 5, 4, 7])
WEIGHTS = [0.5, 1.5, 2.0, 3.0, 0.25, 7.0, 0.1, 0.2]
for mode in "TF", "IDF", "TFIDF":
    for low, high, skip in (1, 1, 0), (2, 2, 0), (1, 2, 5), (1, 3, 1), (3, 3, 2):
        add("TfIdfVectorizer", ints(4, 12, low=1, high=9), name=f"{mode}_{low}{high}{skip}", mode=mode, min_gram_length=low,
            max_gram_length=high, max_skip_count=skip, weights=WEIGHTS, **POOL)
counts = dict(mode="TF", min_gram_length=1, max_gram_length=2, max_skip_count=1, **POOL)
add("TfIdfVectorizer", ints(12, low=1, high=9), name="row", **counts)
add("TfIdfVectorizer", ints(3, 9, low=1, high=9, dtype=np.int32), name="i32", dynamic=True, **counts)
add("TfIdfVectorizer", ints(3, 1, low=1, high=9), name="short", **counts)
