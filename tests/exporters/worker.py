"""One case from export to comparison, in a process of its own: `run.py` starts it, and reads what it found.

Usage: worker.py NAME VARIANT FOLDER [--reuse] [--times]
"""
import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "tests")]


class Progress:
    """What the worker has found so far, in a file that survives it."""

    def __init__(self, folder: Path):
        self.path, self.row = folder / "result.json", {}

    def note(self, **found):
        self.row.update(found)
        self.path.write_text(json.dumps(self.row))


def export(name: str, variant: str, folder: Path) -> None:
    """Leaves model.onnx, its feeds and, as the last, export.json."""
    import onnx
    from command import save_npz
    from families import all_cases
    start = time.monotonic()
    made = all_cases()[name].export(variant, folder / "model.onnx")
    seconds = time.monotonic() - start
    model = onnx.load(str(folder / "model.onnx"), load_external_data=False)
    for i, feed in enumerate(made.feeds):
        save_npz(folder / f"feed{i}.npz", {key.name: feed[key.name] for key in model.graph.input})  # unused ones are gone
    opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
    (folder / "export.json").write_text(json.dumps({
        "feeds": len(made.feeds), "tolerance": made.tolerance, "by_score": made.by_score,
        "is_rounded": made.is_rounded, "opset": opset, "nodes": len(model.graph.node), "export_s": seconds}))


def in_order_of(wanted: dict, got: dict) -> dict:
    """`got` with its rows, one for each find, in the order of `wanted`: each beside the nearest by its numbers."""
    import numpy as np
    rows = lambda outputs: np.concatenate([outputs[name].reshape(len(outputs[name]), -1) / (np.abs(wanted[name]).max() or 1)
                                           for name in sorted(wanted)], axis=1)
    if any(wanted[name].shape != got[name].shape or not wanted[name].size for name in wanted):
        return got
    free, order, ours = list(range(len(rows(got)))), [], rows(got)
    for row in rows(wanted):
        order.append(free.pop(np.abs(ours[free] - row).max(axis=1).argmin()))
    return {name: value[order] for name, value in got.items()}


def tells_something(outputs: dict) -> bool:
    """Whether results could be told from wrong ones: an output has several elements that differ, or there is one number."""
    sizes = [len(value) if isinstance(value, list) else value.size for value in outputs.values()]
    return max(sizes) == 1 or any(isinstance(value, list) or len(set(value.reshape(-1).tolist())) > 1
                                  for value, size in zip(outputs.values(), sizes) if size)


def as_written(model: Path, feeds: list) -> list:
    """What ONNX Runtime gives where it merges no operations."""
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return [dict(zip([output.name for output in session.get_outputs()], session.run(None, feed))) for feed in feeds]


def bench_times(folder: Path) -> float:
    """Eyrie's smallest time over ONNX Runtime's, one thread each."""
    sys.path.append(str(ROOT / "bench"))
    import bench
    flags = argparse.Namespace(threads=1, seconds=0.5, cpus=sorted(os.sched_getaffinity(0)))
    ours = bench.time_eyrie(folder / "model.eyr", folder / "feed0.npz", flags)
    theirs = bench.time_onnx_runtime(folder / "model.onnx", folder / "feed0.npz", flags)
    return ours["min_ms"] / theirs["min_ms"]


def work(name: str, variant: str, folder: Path, reuse: bool, times: bool) -> None:
    progress = Progress(folder)
    progress.note(stage="export")
    if not (reuse and (folder / "export.json").exists()):
        export(name, variant, folder)
    exported = json.loads((folder / "export.json").read_text())
    progress.note(stage="reference", **{key: exported[key] for key in ("opset", "nodes", "export_s")})
    from command import check_equal, compile_model, load_npz, run_module
    from reference import Reference
    model, module = folder / "model.onnx", folder / "model.eyr"
    feeds = [load_npz(folder / f"feed{i}.npz") for i in range(exported["feeds"])]
    reference = Reference(model)
    wanted = [reference(feed) for feed in feeds]
    for i, outputs in enumerate(wanted):
        assert tells_something(outputs), f"call {i} gives nothing to compare: its outputs are empty or constant"
    progress.note(stage="compile")
    told, cpu = compile_model(model, module), resource.getrusage(resource.RUSAGE_CHILDREN)
    progress.note(stage="run", compile_s=told["compile_ms"] / 1000, cpu_s=cpu.ru_utime + cpu.ru_stime, size=told["size_bytes"])
    got = [run_module(module, feed, folder, "--threads", "1") for feed in feeds]
    progress.note(stage="compare")
    if exported["by_score"]:
        got = [in_order_of(theirs, ours) for ours, theirs in zip(got, wanted)]
    tolerance = exported["tolerance"]
    if exported.get("is_rounded"):  # the model as it is written is the judge, its merged form says how far roundings carry
        merged, wanted = wanted, as_written(model, feeds)
        own = max(check_equal(one, other, float("inf")) for one, other in zip(merged, wanted))
        progress.note(own_error=own)
        tolerance = max(tolerance, 2 * own)
    progress.note(error=max(check_equal(ours, theirs, tolerance) for ours, theirs in zip(got, wanted)))
    if times:
        progress.note(ratio=bench_times(folder))
    progress.note(stage="passed")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("name")
    parser.add_argument("variant")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--reuse", action="store_true")
    parser.add_argument("--times", action="store_true")
    flags = parser.parse_args()
    work(flags.name, flags.variant, flags.folder, flags.reuse, flags.times)
