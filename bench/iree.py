"""What a call costs besides its kernels, and how much memory a process takes, beside IREE and ONNX Runtime.

Usage: iree.py [--rounds N] [--seconds S] [--cpus LIST] [--only overhead|memory] [--write FILE] [--json FILE]

IREE comes from PyPI (versions below) into an environment of its own, build/iree, made when it is not there. Both
compile the same ONNX file for this processor, run on one thread on the same pinned processor, in turns, each round in
a process of its own. IREE's own benchmark program measures IREE (the mean of many calls, several times; the smallest
counts), `eyrie bench` measures Eyrie. Peak memory: the largest resident memory of a fresh process that makes one call,
as the system counts it (ru_maxrss), for all three alike.
"""
import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/models"), str(ROOT / "bench")]
from bench import Environment, add_flags, choose_cpus, pinned, processor  # noqa: E402
from catalogue import inputs_of, path_of  # noqa: E402
from command import EYRIE, compile_model, peak_rss_of, save_npz  # noqa: E402

PACKAGES = ["iree-base-compiler==3.13.0", "iree-base-runtime==3.13.0", "onnx==1.19.1"]
OVERHEAD = ROOT / "build/release/bin/eyrie_runtime_overhead"
MODELS = ["resnet50", "bert_base", "vit_b_16"]
CHAIN = 1000
# Without a larger stack BERT does not compile at O3.
FLAGS = ["--iree-hal-target-device=local", "--iree-hal-local-target-device-backends=llvm-cpu",
         "--iree-llvmcpu-target-cpu=host", "--iree-opt-level=O3", "--iree-llvmcpu-stack-allocation-limit=131072"]


class Iree:
    """IREE in its environment."""

    def __init__(self, folder=ROOT / "build/iree"):
        self.bin = Environment(folder, PACKAGES).folder / "bin"
        # The programs themselves: what stands in bin/ are scripts that start them.
        self.tools = next(folder.glob("lib/python*/site-packages/iree/_runtime_libs"))

    def run(self, program, *arguments):
        done = subprocess.run([self.bin / program, *map(str, arguments)], capture_output=True, text=True, timeout=1800)
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr.strip()[-500:]}")

    def compile(self, model, module, is_mlir=False):
        mlir = model if is_mlir else module.with_suffix(".mlir")
        if not is_mlir:
            self.run("iree-import-onnx", model, "-o", mlir)
        self.run("iree-compile", mlir, *FLAGS, "-o", module)

    def bench(self, module, function, inputs, flags) -> list:
        """Nanoseconds of a call, of each repetition."""
        command = [self.tools / "iree-benchmark-module", f"--module={module}", "--device=local-sync", f"--function={function}",
                   *(f"--input={text}" for text in inputs), "--benchmark_repetitions=10",
                   f"--benchmark_min_time={flags.seconds / 10}s", "--benchmark_format=json"]
        done = subprocess.run(command, capture_output=True, text=True, preexec_fn=pinned(flags.cpus), timeout=600)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        units = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}
        return [row["real_time"] * units[row["time_unit"]] for row in json.loads(done.stdout)["benchmarks"]
                if row["run_type"] == "iteration"]


def chain(count) -> onnx.ModelProto:
    """y = x W W ..., of 1 x 4 and 4 x 4: as many kernels, each next to nothing."""
    weight = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))[0].astype(np.float32)
    names = ["x", *(f"t{i}" for i in range(count - 1)), "y"]
    nodes = [helper.make_node("MatMul", [names[i], "w"], [names[i + 1]], name=f"m{i}") for i in range(count)]
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4])
    graph = helper.make_graph(nodes, "chain", [value("x")], [value("y")], [numpy_helper.from_array(weight, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def eyrie_empty(flags) -> list:
    """An empty function, from the runtime's own benchmark: there is no ONNX model without a node and a result."""
    done = subprocess.run([OVERHEAD], capture_output=True, text=True, check=True, preexec_fn=pinned(flags.cpus), timeout=600)
    words = next(line for line in done.stdout.splitlines() if line.startswith("a call of an empty function")).split()
    return [float(word) for word in (words[words.index("ns") - 1], words[words.index("best,") + 1])]


def eyrie_call(module, flags) -> list:
    done = subprocess.run([EYRIE, "bench", module, "--threads", "1", "--min-time", str(flags.seconds), "--json"],
                          capture_output=True, text=True, check=True, preexec_fn=pinned(flags.cpus), timeout=600)
    told = json.loads(done.stdout)
    return [told["min_ms"] * 1e6, told["median_ms"] * 1e6]


def measure_overhead(iree, folder, flags) -> list:
    empty = folder / "empty.mlir"
    empty.write_text("func.func @main() { return }\n")
    iree.compile(empty, folder / "empty.vmfb", is_mlir=True)
    for count in (1, CHAIN):
        model = folder / f"chain{count}.onnx"
        onnx.save(chain(count), model)
        compile_model(model, folder / f"chain{count}.eyr")
        iree.compile(model, folder / f"chain{count}.vmfb")
    of_chain = lambda count: (lambda: eyrie_call(folder / f"chain{count}.eyr", flags),
                              lambda: iree.bench(folder / f"chain{count}.vmfb", "chain", ["1x4xf32=1"], flags))
    rows = [("a call of an empty function", 1, lambda: eyrie_empty(flags),
             lambda: iree.bench(folder / "empty.vmfb", "main", [], flags)),
            ("a call with one tiny kernel, a tensor in and one out", 1, *of_chain(1)),
            (f"a dispatch in a chain of {CHAIN} tiny kernels", CHAIN, *of_chain(CHAIN))]
    results = []
    for name, divisor, *sides in rows:
        best, middle = [[], []], [[], []]
        for _ in range(flags.rounds):
            for side, measure in enumerate(sides):
                times = measure()
                best[side].append(min(times) / divisor)
                middle[side].append(statistics.median(times) / divisor if side else times[1] / divisor)
        results.append({"what": name, **{f"{who}_{key}_ns": kind(values[side]) for side, who in enumerate(("eyrie", "iree"))
                                         for key, values, kind in (("min", best, min), ("median", middle, statistics.median))}})
        print(overhead_line(results[-1]), flush=True)
    return results


ORT_CALL = """
import sys, numpy, onnxruntime
if len(sys.argv) > 1:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
    with numpy.load(sys.argv[2]) as feed:
        session.run(None, dict(feed))
"""


def with_sizes(model, feed, path) -> tuple:
    """The model for these sizes alone (IREE's importer has no flag for it); its graph's name and number of outputs."""
    fixed = onnx.load(model)
    for value in fixed.graph.input:
        if value.name in feed:
            for dim, size in zip(value.type.tensor_type.shape.dim, feed[value.name].shape):
                dim.dim_value = size
    del fixed.graph.value_info[:]
    for value in fixed.graph.output:
        value.type.tensor_type.ClearField("shape")
    onnx.save(onnx.shape_inference.infer_shapes(fixed, data_prop=True), path)
    return fixed.graph.name, len(fixed.graph.output)


def measure_memory(iree, folder, flags) -> list:
    results = []
    python = [sys.executable, "-c", ORT_CALL]
    for name in MODELS:
        model, inputs, feed = path_of(name), folder / f"{name}.npz", inputs_of(name)[0]
        save_npz(inputs, feed)
        module, peer = folder / f"{name}.eyr", folder / f"{name}.vmfb"
        shapes = [flag for key in feed for flag in ("--shape", f"{key}={'x'.join(map(str, feed[key].shape))}")]
        compile_model(model, module, *shapes, timeout=900)
        fixed = folder / f"{name}.onnx"
        function, outputs = with_sizes(model, feed, fixed)
        try:
            iree.compile(fixed, peer)
        except RuntimeError as error:
            print(f"{name}: {error}", file=sys.stderr)
        arrays = []
        for key, array in feed.items():
            arrays.append(folder / f"{name}.{key}.npy")
            np.save(arrays[-1], array)
        row = {"name": name, "weights": module.stat().st_size,
               "eyrie": peak_rss_of([Path(EYRIE).with_name("eyrie-run"), "run", module,
                                      *(f"--input={key}=@{array}" for key, array in zip(feed, arrays))]),
               "ort": peak_rss_of([*python, model, inputs]), "ort_idle": peak_rss_of(python)}
        for mode in ("mmap", "preload") if peer.exists() else ():
            row[f"iree_{mode}"] = peak_rss_of([iree.tools / "iree-run-module", f"--module={peer}", f"--module_mode={mode}",
                                               "--device=local-sync", f"--function={function}",
                                               *(f"--input=@{array}" for array in arrays), *["--output=@/dev/null"] * outputs])
        results.append(row)
        print(memory_line(row), flush=True)
        for path in (module, fixed, peer, peer.with_suffix(".mlir"), *arrays):
            path.unlink(missing_ok=True)
    return results


OVERHEAD_HEADER = "| what | Eyrie min ns | median | IREE min ns | median | ratio |\n|---|--:|--:|--:|--:|--:|"
MEMORY_HEADER = ("| model | module MB | Eyrie peak MB | IREE (mapped) | IREE (as it starts by itself) | ONNX Runtime | of which before "
                 "the model |\n|---|--:|--:|--:|--:|--:|--:|")


def overhead_line(row) -> str:
    return (f"| {row['what']} | {row['eyrie_min_ns']:.0f} | {row['eyrie_median_ns']:.0f} | {row['iree_min_ns']:.0f} | "
            f"{row['iree_median_ns']:.0f} | {row['eyrie_min_ns'] / row['iree_min_ns']:.2f} |")


def memory_line(row) -> str:
    return f"| {row['name']} | " + " | ".join(
        f"{row[key] / 1e6:.0f}" if key in row else "does not compile" for key in ("weights", "eyrie", "iree_mmap", "iree_preload", "ort", "ort_idle")) + " |"


def page(results) -> str:
    import onnxruntime
    text = (f"# Overheads and memory beside IREE and ONNX Runtime\n\n`build/venv/bin/python bench/iree.py "
            f"{' '.join(sys.argv[1:])}` on {time.strftime('%Y-%m-%d')}, {processor()}; {PACKAGES[0].replace('==', ' ')}, "
            f"ONNX Runtime {onnxruntime.__version__}.\n")
    if "overhead" in results:
        text += ("\n## What a call costs besides its kernels\n\nOne thread, pinned, in turns; both compile the same ONNX file. "
                 "The empty function is built by hand for Eyrie and is MLIR for IREE. Ratio: of the smallest times, below 1 is "
                 "less.\n\n" + "\n".join([OVERHEAD_HEADER, *map(overhead_line, results["overhead"])]) + "\n")
    if "memory" in results:
        text += ("\n## Largest resident memory of a process that makes one call\n\nOne thread; Eyrie: `eyrie-run`, IREE: "
                 "`iree-run-module`, weights inside the module, ONNX Runtime: Python, where its last column is the process with "
                 "the imports and no model. Pages of mapped files count as far as they were touched.\n\n"
                 + "\n".join([MEMORY_HEADER, *map(memory_line, results["memory"])]) + "\n")
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_flags(parser, rounds=5, seconds=0.5)
    parser.set_defaults(threads=1)
    parser.add_argument("--only", choices=["overhead", "memory"])
    parser.add_argument("--json", type=Path, help="also writes the figures")
    flags = parser.parse_args()
    if platform.machine() != "x86_64":
        parser.error("Eyrie compiles for x86-64 only")
    choose_cpus(flags)
    iree, results = Iree(), {}
    with tempfile.TemporaryDirectory() as folder:
        if flags.only != "memory":
            print(OVERHEAD_HEADER, flush=True)
            results["overhead"] = measure_overhead(iree, Path(folder), flags)
        if flags.only != "overhead":
            print(MEMORY_HEADER, flush=True)
            results["memory"] = measure_memory(iree, Path(folder), flags)
    if flags.json:
        flags.json.write_text(json.dumps(results, indent=1) + "\n")
    if flags.write:
        flags.write.write_text(page(results))


if __name__ == "__main__":
    main()
