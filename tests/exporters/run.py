#!/usr/bin/env python3
"""Exports the models of `families/` with the tools that people use, compiles and runs them, compares with ONNX Runtime.

Usage: run.py [--filter REGEX] [--keep] [--jobs N] [--timeout S] [--times] [--folder FOLDER] [--list]

A line for each model and exporter, then the reasons of what failed and a summary; exits 1 if Eyrie failed on one.
Where the exporter or ONNX Runtime fails, nothing is said about Eyrie: "export failed", "reference failed".
The packages of requirements.txt are installed into an environment of their own, build/exporters/venv.
"""
import argparse
import collections
import concurrent.futures
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build/exporters"
sys.path[:0] = [str(HERE), str(ROOT / "tests")]

# What stage a case ended in tells whose failure it is.
STAGES = ["export", "reference", "compile", "run", "compare"]
OUTSIDE = {"export failed", "reference failed"}

running = set()


def stop(*_) -> None:
    """Ends the workers, and what they started, with this process."""
    for worker in list(running):
        os.killpg(worker.pid, signal.SIGKILL)
    os._exit(130)


def environment() -> Path:
    """The environment's Python, with the packages that requirements.txt names now."""
    venv = BUILD / "venv"
    wanted = hashlib.sha256((HERE / "requirements.txt").read_bytes()).hexdigest()
    stamp, python = venv / "requirements.sha256", venv / "bin/python"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing the packages of requirements.txt into {venv} (several gigabytes)", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--no-cache-dir", "-r", str(HERE / "requirements.txt")],
                       check=True)
        stamp.write_text(wanted)
    return python


class Progress:
    """What the worker has found so far, in a file that survives it."""

    def __init__(self, folder: Path):
        self.path, self.row = folder / "result.json", {}

    def note(self, **found):
        self.row.update(found)
        self.path.write_text(json.dumps(self.row))


def bench_times(model: Path, module: Path, feed: dict, folder: Path) -> float:
    """Eyrie's smallest time over ONNX Runtime's, one thread each."""
    sys.path.append(str(ROOT / "bench"))
    import bench
    from command import save_npz
    flags = argparse.Namespace(threads=1, seconds=0.5, cpus=sorted(os.sched_getaffinity(0)))
    save_npz(folder / "in.npz", feed)
    ours = bench.time_eyrie(module, folder / "in.npz", flags)
    theirs = bench.time_onnx_runtime(model, folder / "in.npz", flags)
    return ours["min_ms"] / theirs["min_ms"]


def work(name: str, variant: str, folder: Path, times: bool) -> None:
    """One case from export to comparison, in a process of its own."""
    from families import all_cases
    progress = Progress(folder)
    progress.note(stage="export")
    import onnx
    model, module = folder / "model.onnx", folder / "model.eyr"
    feeds, tolerance = all_cases()[name].export(variant, model)
    graph = onnx.load(str(model), load_external_data=False).graph
    feeds = [{key.name: feed[key.name] for key in graph.input} for feed in feeds]  # unused ones are gone
    progress.note(stage="reference", nodes=len(graph.node))
    from command import check_equal, compile_model, run_module
    from reference import Reference
    reference = Reference(model)
    wanted = [reference(feed) for feed in feeds]
    progress.note(stage="compile")
    told = compile_model(model, module)
    progress.note(stage="run", compile_s=told["compile_ms"] / 1000)
    got = [run_module(module, feed, folder, "--threads", "1") for feed in feeds]
    progress.note(stage="compare")
    progress.note(error=max(check_equal(ours, theirs, tolerance) for ours, theirs in zip(got, wanted)))
    if times:
        progress.note(ratio=bench_times(model, module, feeds[0], folder))
    progress.note(stage="passed")


def reason_of(text: str) -> str:
    """The lines of a worker's output that tell most: the compiler's first error with what it lists, or the exception."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["nothing was said"]
    for at, line in enumerate(lines):
        if line.startswith("eyrie: error: "):
            return " ".join(lines[at:at + 2])[:400]
    raised = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Fail|Unsupported|NotImplemented)\w*\b", line)]
    return (raised or lines)[-1][:400]


def attempt(python: Path, name: str, variant: str, flags) -> dict:
    """Runs the worker and says what became of the case."""
    folder = flags.folder / f"{name}-{variant}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [str(python), __file__, "--worker", name, variant, "--folder", str(folder)] + ["--times"] * flags.times
    with open(folder / "log.txt", "w") as log:
        worker = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                  env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"})
        running.add(worker)
        try:
            code, late = worker.wait(flags.timeout), False
        except subprocess.TimeoutExpired:
            os.killpg(worker.pid, signal.SIGKILL)
            code, late = worker.wait(), True
        running.discard(worker)
    row = {"name": name, "variant": variant, "stage": "export"}
    if (folder / "result.json").exists():
        row.update(json.loads((folder / "result.json").read_text()))
    row["status"] = "passed" if row["stage"] == "passed" else f"{row['stage']} failed"
    if row["stage"] != "passed" or code:
        text = (folder / "log.txt").read_text(errors="replace")
        row["reason"] = f"no end after {flags.timeout} s" if late else reason_of(text)
        if re.search(r"^exit (-\d+|3)$", text, re.M) and row["status"] not in OUTSIDE:
            row["status"] = f"{row['stage']} crashed"
    if row["status"] == "passed" and not flags.keep:
        shutil.rmtree(folder)
    return row


HEADER = "| model | exporter | nodes | compile s | error | ratio | |\n|---|---|--:|--:|--:|--:|---|"


def line(row: dict) -> str:
    shown = lambda key, form: format(row[key], form) if key in row else "-"
    return (f"| {row['name']} | {row['variant']} | {shown('nodes', 'd')} | {shown('compile_s', '.1f')} | "
            f"{shown('error', '.1e')} | {shown('ratio', '.2f')} | {row['status']} |")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--filter", default="", help="only cases whose NAME-EXPORTER matches this expression")
    parser.add_argument("--keep", action="store_true", help="keeps the files of cases that pass too")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=300, help="seconds for one case, its export included")
    parser.add_argument("--times", action="store_true", help="also times both, which needs a quiet machine and --jobs 1")
    parser.add_argument("--folder", type=Path, default=BUILD / "cases", help="where models, modules and logs go")
    parser.add_argument("--list", action="store_true", help="prints the names and stops")
    parser.add_argument("--json", type=Path, help="also writes the results")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    flags = parse()
    if flags.worker:
        return work(*flags.worker, flags.folder, flags.times)
    from families import all_cases
    chosen = [(name, variant) for name, case in all_cases().items() for variant in case.variants()
              if re.search(flags.filter, f"{name}-{variant}")]
    if flags.list or not chosen:
        print(*(f"{name}-{variant}" for name, variant in chosen), sep="\n")
        sys.exit(0 if chosen else "no case matches --filter")
    python, start, rows = environment(), time.monotonic(), []
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(HEADER, flush=True)
    with concurrent.futures.ThreadPoolExecutor(flags.jobs) as pool:
        for row in pool.map(lambda case: attempt(python, *case, flags), chosen):
            rows.append(row)
            print(line(row), flush=True)
    print()
    for row in rows:
        if "reason" in row:
            print(f"{row['name']}-{row['variant']}: {row['status']}: {row['reason']}")
    counts = collections.Counter(row["status"] for row in rows)
    print(f"\n{len(rows)} cases in {time.monotonic() - start:.0f} s: " + ", ".join(f"{n} {what}" for what, n in counts.most_common()))
    if flags.json:
        flags.json.write_text(json.dumps(rows, indent=1) + "\n")
    sys.exit(1 if any(row["status"] not in OUTSIDE | {"passed"} for row in rows) else 0)


if __name__ == "__main__":
    main()
