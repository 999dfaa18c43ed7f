"""Matrix products, convolutions and attention, each a model of one operator, beside ONNX Runtime.

Usage: kernels.py [--peers LIST] [--rounds N] [--seconds S] [--cpus LIST] [--write FILE] [NAME...]

For each: milliseconds and GFLOPS (the operations of the definition, also where fewer are made) of both, in turns on the
same processor, and the ratio of their smallest times; as `bench.py` measures models. A NAME takes the rows that begin
with it.
"""
import argparse
import math
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]
from bench import TITLES, add_flags, add_peers, choose_cpus, processor, summary_of, time_in_turns  # noqa: E402
from command import check_equal, compile_model, run_module, save_npz  # noqa: E402


class Kernel:
    """A model with inputs, and how many arithmetic operations it makes."""

    def __init__(self, name, nodes, inputs, weights, operations, output=(TensorProto.FLOAT, None)):
        self.name, self.inputs, self.operations = name, inputs, operations
        types = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.uint8): TensorProto.UINT8}
        values = [helper.make_tensor_value_info(key, types[array.dtype], array.shape) for key, array in inputs.items()]
        graph = helper.make_graph(nodes, "kernel", values, [helper.make_tensor_value_info("y", *output)],
                                  [numpy_helper.from_array(array, key) for key, array in weights.items()])
        opsets = [helper.make_opsetid("", 23), helper.make_opsetid("com.microsoft", 1)]
        self.model = helper.make_model(graph, opset_imports=opsets, ir_version=10)


def floats(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def product(m, n, k):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    return Kernel(f"matmul {m} x {n} x {k}", nodes, {"x": floats(m, k)}, {"w": floats(k, n, seed=1) / math.sqrt(k)}, 2 * m * n * k)


def product_of_bytes(m, n, k):
    random = np.random.default_rng(0)
    nodes = [helper.make_node("MatMulInteger", ["x", "w"], ["y"])]
    return Kernel(f"int8 matmul {m} x {n} x {k}", nodes, {"x": random.integers(0, 255, (m, k), np.uint8)},
                  {"w": random.integers(-127, 127, (k, n), np.int8)}, 2 * m * n * k, (TensorProto.INT32, None))


def product_of_blocks(m, n, k):
    """4-bit weights in blocks of 32, each with a scale."""
    random = np.random.default_rng(0)
    nodes = [helper.make_node("MatMulNBits", ["x", "w", "s"], ["y"], domain="com.microsoft", K=k, N=n, bits=4, block_size=32)]
    weights = {"w": random.integers(0, 255, (n, k // 32, 16), np.uint8), "s": (random.random((n, k // 32)) / k).astype(np.float32)}
    return Kernel(f"4-bit matmul {m} x {n} x {k}", nodes, {"x": floats(m, k)}, weights, 2 * m * n * k)


def convolution(size, channels, outputs, kernel, stride=1):
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[kernel // 2] * 4, strides=[stride] * 2),
             helper.make_node("Relu", ["c"], ["y"])]
    weights = {"w": floats(outputs, channels, kernel, kernel, seed=1) / math.sqrt(channels * kernel * kernel),
               "b": floats(outputs, seed=2)}
    of = f"conv {size} x {size}, {channels} -> {outputs}, {kernel} x {kernel}" + (f", stride {stride}" if stride > 1 else "")
    return Kernel(of, nodes, {"x": floats(1, channels, size, size)}, weights,
                  2 * (size // stride)**2 * channels * outputs * kernel * kernel)


def depthwise(size, channels):
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["y"], pads=[1] * 4, group=channels)]
    return Kernel(f"depthwise {size} x {size}, {channels}, 3 x 3", nodes, {"x": floats(1, channels, size, size)},
                  {"w": floats(channels, 1, 3, 3, seed=1), "b": floats(channels, seed=2)}, 2 * size * size * channels * 9)


def attention(length, heads=12, width=64):
    """As exporters write it: the product with the transposed keys, the scale, softmax, the product with the values."""
    nodes = [helper.make_node("Transpose", ["k"], ["t"], perm=[0, 1, 3, 2]), helper.make_node("MatMul", ["q", "t"], ["s"]),
             helper.make_node("Mul", ["s", "scale"], ["m"]), helper.make_node("Softmax", ["m"], ["p"], axis=-1),
             helper.make_node("MatMul", ["p", "v"], ["y"])]
    inputs = {name: floats(1, heads, length, width, seed=seed) for seed, name in enumerate("qkv")}
    return Kernel(f"attention {heads} x {length} x {width}", nodes, inputs, {"scale": np.float32(width**-0.5)},
                  4 * heads * length * length * width)


def kernels():
    return [*(product(size, size, size) for size in (512, 1024, 2048)),
            *(product(rows, 4096, 4096) for rows in (1, 4, 16, 128)), product(197, 768, 3072), product(127, 513, 255),
            convolution(56, 64, 64, 3), convolution(28, 128, 128, 3), convolution(14, 256, 256, 3), convolution(7, 512, 512, 3),
            convolution(56, 128, 128, 3, 2), convolution(56, 64, 256, 1), convolution(14, 1024, 256, 1),
            depthwise(56, 96), depthwise(14, 512), *(attention(length) for length in (128, 256, 512, 1024)),
            *(product_of_bytes(size, size, size) for size in (512, 1024)), product_of_bytes(128, 4096, 4096),
            product_of_blocks(1, 4096, 4096), product_of_blocks(1, 14336, 4096)]


def measure(kernel, folder, flags) -> dict:
    model, module, inputs = folder / "kernel.onnx", folder / "kernel.eyr", folder / "in.npz"
    onnx.save(kernel.model, model)
    save_npz(inputs, kernel.inputs)
    compile_model(model, module, "--cache", "none")
    row = {"name": kernel.name, "operations": kernel.operations}
    for side, results in time_in_turns(kernel.name, model, module, inputs, flags).items():
        row[side] = min(result["min_ms"] for result in results)
        row[side + "_ratio"] = row["eyrie"] / row[side]
    from reference import Reference
    row["error"] = check_equal(run_module(module, kernel.inputs, folder), Reference(model)(kernel.inputs), 1e-4)
    return row


def line(row, peers) -> str:
    cells = [f"{row['eyrie']:.3f}", f"{row['operations'] / row['eyrie'] / 1e6:.0f}"]
    for peer in ("ort", *peers):
        cells += [f"{row[peer]:.3f}", f"{row[peer + '_ratio']:.2f}"] if peer in row else ["does not run", "-"]
    return f"| {row['name']} | " + " | ".join(cells) + f" | {row['error']:.1e} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_flags(parser, rounds=3, seconds=0.3)
    add_peers(parser)
    parser.add_argument("names", nargs="*", metavar="NAME", help="rows that begin with it (default: all)")
    parser.set_defaults(threads=1)
    flags = parser.parse_args()
    choose_cpus(flags)
    titles = "".join(f" {TITLES[peer]} ms | ratio |" for peer in ("ort", *flags.peers))
    header = f"| operator | Eyrie ms | GFLOPS |{titles} error |\n|---|--:|--:|" + "--:|--:|" * (1 + len(flags.peers)) + "--:|"
    rows = []
    print(header, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for kernel in kernels():
            if not flags.names or any(kernel.name.startswith(name) for name in flags.names):
                rows.append(measure(kernel, Path(folder), flags))
                print(line(rows[-1], flags.peers), flush=True)
    if not rows:
        parser.error("no operator begins so")
    summary = "\n".join(summary_of(rows, side, TITLES[side]) for side in ("ort", *flags.peers))
    print("\n" + summary)
    if flags.write:
        flags.write.write_text(
            f"# Single operators\n\n`build/venv/bin/python bench/kernels.py {' '.join(sys.argv[1:])}` on {time.strftime('%Y-%m-%d')}, "
            f"{processor()}, one thread, batch 1, f32 unless the name says otherwise. Ratio: Eyrie's smallest time over the peer's, "
            f"below 1 is faster. GFLOPS count the operations of the definition: Winograd's method makes fewer. Error: max|a-b| / "
            f"max|b| against ONNX Runtime.\n\n" + "\n".join([header, *(line(row, flags.peers) for row in rows)]) + f"\n\n{summary}\n")


if __name__ == "__main__":
    main()
