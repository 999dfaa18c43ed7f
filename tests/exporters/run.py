#!/usr/bin/env python3
"""Exports the models of `families/` with the tools that people use, compiles and runs them, compares with ONNX Runtime.

Usage: run.py [--filter REGEX] [--keep | --reuse] [--jobs N] [--timeout S] [--times] [--folder FOLDER] [--list] [--page]

A line for each model and exporter, then the reasons of what failed and a summary; exits 1 if Eyrie failed on one.
The results are kept in build/exporters/results.json, and `--page` writes all that are there into RESULTS.md.
Where the exporter or ONNX Runtime fails, nothing is said about Eyrie: "export failed", "reference failed".
The packages of requirements.txt are installed into an environment of their own, build/exporters/venv.
"""
import argparse
import collections
import concurrent.futures
import functools
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
RESULTS = BUILD / "results.json"
sys.path.insert(0, str(HERE))
import page
from families import all_cases

# The stage that a case ended in (export, reference, compile, run, compare) tells whose failure it is.
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


@functools.cache
def commit() -> str:
    return subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True).stdout.strip()


def reason_of(text: str) -> str:
    """The lines of a worker's output that tell most: the compiler's first error with what it lists, what PyTorch's new
    exporter sums up, or the exception."""
    text = re.sub(r"\x1b\[[\d;]*m", "", text)
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["nothing was said"]
    for at, line in enumerate(lines):
        if line.startswith("eyrie: error: "):
            return " ".join(lines[at:at + 2])[:400]
    if summary := re.search(r"^## Exception summary\s+<class '(.*)'>: (.*)", text, re.M):
        return f"{summary[1].split('.')[-1]}: {summary[2]}"[:400]
    raised = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Fail|Unsupported|NotImplemented)\w*\b", line)]
    return (raised or lines)[-1][:400]


def attempt(python: Path, name: str, variant: str, flags) -> dict:
    """Runs the worker and says what became of the case."""
    folder = flags.folder / f"{name}-{variant}"
    if not flags.reuse:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(python), str(HERE / "worker.py"), name, variant, str(folder)]
    command += ["--times"] * flags.times + ["--reuse"] * flags.reuse
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
    row = {"name": name, "variant": variant, "stage": "export", "day": time.strftime("%Y-%m-%d"), "commit": commit()}
    if (folder / "result.json").exists():
        row.update(json.loads((folder / "result.json").read_text()))
    row["status"] = "passed" if row["stage"] == "passed" else f"{row['stage']} failed"
    if row["stage"] != "passed" or code:
        text = (folder / "log.txt").read_text(errors="replace")
        row["reason"] = (f"no end after {flags.timeout} s" if late else reason_of(text) if code >= 0 else
                         f"ended by signal {-code} ({signal.Signals(-code).name})")
        if re.search(r"^exit (-\d+|3)$", text, re.M) and row["status"] not in OUTSIDE:
            row["status"] = f"{row['stage']} crashed"
    (folder / "model.eyr").unlink(missing_ok=True)
    if row["status"] == "passed" and not (flags.keep or flags.reuse):
        shutil.rmtree(folder)
    return row


HEADER = "| model | exporter | opset | nodes | compile s | CPU s | MiB | error | ratio | |\n|---|---|--:|--:|--:|--:|--:|--:|--:|---|"


def line(row: dict) -> str:
    return "| " + " | ".join([row["name"], row["variant"], *page.columns(row), page.shown(row, "ratio", ".2f"), row["status"]]) + " |"


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--filter", default="", help="only cases whose NAME-EXPORTER matches this expression")
    parser.add_argument("--keep", action="store_true", help="keeps the files of cases that pass too")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=300, help="seconds for one case, its export included")
    parser.add_argument("--times", action="store_true", help="also times both, which needs a quiet machine and --jobs 1")
    parser.add_argument("--folder", type=Path, default=BUILD / "cases", help="where models, modules and logs go")
    parser.add_argument("--list", action="store_true", help="prints the names and stops")
    parser.add_argument("--reuse", action="store_true", help="takes what an earlier run exported, where that lies in the folder")
    parser.add_argument("--page", action="store_true", help="writes RESULTS.md from the results of all runs and stops")
    return parser.parse_args()


def main() -> None:
    flags = parse()
    cases = [(name, variant) for name, case in all_cases().items() for variant in case.variants()]
    chosen = [case for case in cases if re.search(flags.filter, "-".join(case))]
    if flags.list or not chosen:
        print(*map("-".join, chosen), sep="\n")
        sys.exit(0 if chosen else "no case matches --filter")
    python, start, rows = environment(), time.monotonic(), []
    if flags.page:
        return page.write(HERE / "RESULTS.md", page.merge(RESULTS, []), cases, OUTSIDE, python)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(HEADER, flush=True)
    with concurrent.futures.ThreadPoolExecutor(flags.jobs) as pool:
        for row in pool.map(lambda case: attempt(python, *case, flags), chosen):
            rows.append(row)
            print(line(row), flush=True)
            page.merge(RESULTS, [row])
    print()
    for row in rows:
        if "reason" in row:
            print(f"{row['name']}-{row['variant']}: {row['status']}: {row['reason']}")
    counts = collections.Counter(row["status"] for row in rows)
    print(f"\n{len(rows)} cases in {time.monotonic() - start:.0f} s: " + ", ".join(f"{n} {what}" for what, n in counts.most_common()))
    sys.exit(1 if any(row["status"] not in OUTSIDE | {"passed"} for row in rows) else 0)


if __name__ == "__main__":
    main()
