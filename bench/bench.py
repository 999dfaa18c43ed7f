"""Times every model of the model list in Eyrie and in ONNX Runtime, side by side, and prints a table.

Usage: bench.py [--rounds N] [--seconds S] [--threads N] [--cpus LIST] [--write FILE] [--json FILE] [NAME...]

Both run on the same processors (pinned), on the same inputs, in turns: a round of one, a round of the other, so that a
change in the machine's speed meets both. The figure that counts is the smallest time of all rounds; the median stands
beside it. Each round is a process of its own, so that neither inherits the other's memory.
"""
import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/models")]
from architectures import FULL  # noqa: E402
from catalogue import REAL, inputs_of, path_of  # noqa: E402
from command import EYRIE, check_equal, compile_model, load_npz, run_module, save_npz, succeed  # noqa: E402


def pinned(cpus):
    return lambda: os.sched_setaffinity(0, cpus)


def time_eyrie(module, inputs, flags) -> dict:
    command = [EYRIE, "bench", str(module), "--input", f"@{inputs}", "--threads", str(flags.threads), "--min-time",
               str(flags.seconds), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=pinned(flags.cpus), timeout=600)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return json.loads(done.stdout)


def time_onnx_runtime(model, inputs, flags) -> dict:
    command = [sys.executable, __file__, "--reference", str(model), str(inputs), "--threads", str(flags.threads), "--seconds",
               str(flags.seconds)]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=pinned(flags.cpus), timeout=600)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return json.loads(done.stdout)


def reference_process(flags) -> None:
    """The other side of time_onnx_runtime: warm-up, then calls until the time is over."""
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = flags.threads, 1
    options.log_severity_level = 4
    model, inputs = flags.names
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = load_npz(inputs)
    for _ in range(3):
        session.run(None, feed)
    times, end = [], time.perf_counter() + flags.seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        session.run(None, feed)
        times.append((time.perf_counter() - start) * 1000)
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    print(json.dumps({"min_ms": min(times), "median_ms": statistics.median(times), "runs": len(times),
                      "peak_rss_bytes": peak}))


def plan_of(module) -> dict:
    """Arena, lower bound and sum of the memory plan in bytes; empty if sizes are known only at run time."""
    plan = json.loads(succeed("inspect", module, "--json").out)["functions"][0]
    return plan if plan["arena_bytes"] is not None else {}


def measure(name, folder, flags) -> dict:
    model, module, inputs = path_of(name), folder / f"{name}.eyr", folder / f"{name}.npz"
    told = compile_model(model, module, timeout=900)
    feed = inputs_of(name)[0]
    save_npz(inputs, feed)
    rounds = {"eyrie": [], "ort": []}
    for _ in range(flags.rounds):
        rounds["eyrie"].append(time_eyrie(module, inputs, flags))
        rounds["ort"].append(time_onnx_runtime(model, inputs, flags))
    row = {"name": name, "compile_s": told["compile_ms"] / 1000}
    for side, results in rounds.items():
        row[side + "_min_ms"] = min(result["min_ms"] for result in results)
        row[side + "_median_ms"] = statistics.median(result["median_ms"] for result in results)
    row["ratio"] = row["eyrie_min_ms"] / row["ort_min_ms"]
    row["peak_rss_mb"] = max(result["peak_rss_bytes"] for result in rounds["eyrie"]) / 1e6
    row["ort_peak_rss_mb"] = max(result["peak_rss_bytes"] for result in rounds["ort"]) / 1e6
    row["arena_mb"] = max(result["arena_bytes"] for result in rounds["eyrie"]) / 1e6
    plan = plan_of(module)
    if not plan:  # the bound for these sizes
        fixed = folder / f"{name}.fixed.eyr"
        compile_model(model, fixed, *(flag for key in feed for flag in ("--shape", f"{key}={'x'.join(map(str, feed[key].shape))}")))
        plan = plan_of(fixed)
    row["arena_over_bound"] = row["arena_mb"] * 1e6 / plan["lower_bound"] if plan.get("lower_bound") else None
    from reference import Reference
    try:
        row["error"] = check_equal(run_module(module, feed, folder), Reference(model)(feed), math.inf)
    except AssertionError as error:
        row["error"] = math.inf
        print(f"{name}: {error}", file=sys.stderr)
    return row


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


HEADER = ("| model | Eyrie min ms | median | ONNX Runtime min ms | median | ratio | error | compile s | peak MB | its peak MB | "
          "arena MB | / bound |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")


def line(row) -> str:
    return (f"| {row['name']} | {row['eyrie_min_ms']:.3f} | {row['eyrie_median_ms']:.3f} | {row['ort_min_ms']:.3f} | "
            f"{row['ort_median_ms']:.3f} | {row['ratio']:.2f} | {row['error']:.1e} | {row['compile_s']:.1f} | "
            f"{row['peak_rss_mb']:.0f} | {row['ort_peak_rss_mb']:.0f} | {row['arena_mb']:.1f} | "
            + (f"{row['arena_over_bound']:.3f} |" if row["arena_over_bound"] else "- |"))


def add_flags(parser, rounds, seconds=None) -> None:
    """The flags that the benchmarks share, with their defaults; without `seconds` a round has a length of its own."""
    parser.add_argument("--rounds", type=int, default=rounds)
    if seconds:
        parser.add_argument("--seconds", type=float, default=seconds, help="of one side in one round")
    parser.add_argument("--cpus", help="processors to run on, as 2,3 (default: the last ones)")
    parser.add_argument("--write", type=Path, help="also writes the table as a page")


def choose_cpus(flags) -> None:
    flags.cpus = [int(cpu) for cpu in flags.cpus.split(",")] if flags.cpus else sorted(os.sched_getaffinity(0))[-flags.threads:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_flags(parser, rounds=5, seconds=1.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also writes the figures")
    parser.add_argument("--reference", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", metavar="NAME")
    flags = parser.parse_args()
    if flags.reference:
        return reference_process(flags)
    choose_cpus(flags)
    rows, failures = [], []
    print(HEADER, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in flags.names or [*FULL, *REAL]:
            try:
                rows.append(measure(name, Path(folder), flags))
                print(line(rows[-1]), flush=True)
            except (RuntimeError, AssertionError, subprocess.TimeoutExpired) as error:
                failures.append(f"{name}: failed: {str(error).strip()[-300:]}")
                print(f"| {name} | failed |", flush=True)
            for path in Path(folder).iterdir():
                path.unlink()
    summary = "nothing was measured"
    if rows:
        mean = math.exp(np.mean([math.log(row["ratio"]) for row in rows]))
        worst = max(rows, key=lambda row: row["ratio"])
        summary = (f"Geometric mean of the ratios: {mean:.2f} over {len(rows)} models; the worst is {worst['name']} with "
                   f"{worst['ratio']:.2f}.")
    print("\n" + summary)
    print(*failures, sep="\n")
    if flags.json:
        flags.json.write_text(json.dumps(rows, indent=1) + "\n")
    if flags.write:
        import onnxruntime
        command = "bench/bench.py " + " ".join(arg for arg in sys.argv[1:])
        flags.write.write_text(
            f"# Eyrie against ONNX Runtime {onnxruntime.__version__}\n\n"
            f"`build/venv/bin/python {command.strip()}` on {time.strftime('%Y-%m-%d')}, {processor()}, {flags.threads} thread(s), "
            f"{flags.rounds} rounds of {flags.seconds:g} s each in turns, batch as in the model list. Ratio: Eyrie's smallest time "
            f"over ONNX Runtime's, below 1 is faster. Error: max|a-b| / max|b| of the outputs. Peak: resident memory of the "
            f"process, ours and ONNX Runtime's (with Python). Bound: the most bytes in use at one time.\n\n"
            + "\n".join([HEADER, *map(line, rows)]) + f"\n\n{summary}\n" + "".join(f"\n{text}\n" for text in failures))
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
