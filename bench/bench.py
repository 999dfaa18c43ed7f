"""Times every model of the model list in Eyrie and in ONNX Runtime, side by side, and prints a table.

Usage: bench.py [--peers LIST] [--rounds N] [--seconds S] [--threads N] [--cpus LIST] [--write FILE] [--json FILE] [NAME...]

Peers besides ONNX Runtime (`openvino`, `openvino-bf16`, `iree`, `xla`) come from PyPI, each into an environment of its own
in build/peers (IREE's: build/iree), made when it is first wanted. A peer that cannot run a model is left out of that row.
IREE takes one thread only, and its own program measures it: the smallest mean of some calls.

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
import venv
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/models"), str(ROOT / "bench")]
from architectures import FULL  # noqa: E402
from catalogue import REAL, inputs_of, path_of  # noqa: E402
from command import EYRIE, check_equal, compile_model, load_npz, run_module, save_npz, succeed  # noqa: E402
from quantization import FORMS, quantized  # noqa: E402


PACKAGES = {"openvino": ["openvino==2026.4.1", "numpy==2.2.6"],
            "xla": ["jax==0.4.38", "jaxonnxruntime==0.3.0", "absl-py==2.1.0", "onnx==1.16.2", "numpy==1.26.4"]}
PRECISIONS = {form: f"Eyrie's --precision {form}, the peers as they are" for form in ("bf16", "f16")}
TITLES = {"ort": "ONNX Runtime", "openvino": "OpenVINO", "openvino-bf16": "OpenVINO bf16", "iree": "IREE", "xla": "XLA"}


class Environment:
    """A Python environment with the packages, made when it is not there."""

    def __init__(self, folder, packages):
        self.folder, self.python = folder, folder / "bin/python"
        mark = folder / "installed.txt"
        if not mark.exists() or mark.read_text() != "\n".join(packages):
            venv.create(folder, with_pip=True, clear=True)
            command = [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
            if (done := subprocess.run(command, capture_output=True, text=True, timeout=1800)).returncode:
                raise RuntimeError(f"pip: {done.stderr.strip()[-500:]}")
            mark.write_text("\n".join(packages))


def pinned(cpus):
    return lambda: os.sched_setaffinity(0, cpus)


def time_eyrie(module, inputs, flags) -> dict:
    command = [EYRIE, "bench", str(module), "--input", f"@{inputs}", "--threads", str(flags.threads), "--min-time",
               str(flags.seconds), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=pinned(flags.cpus), timeout=600)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return json.loads(done.stdout)


def time_iree(model, inputs, flags) -> dict:
    """Compiles the model for the sizes of its inputs, once, beside them."""
    from iree import Iree, with_sizes
    if flags.threads > 1:
        raise RuntimeError("it is measured on one thread only")
    iree, about, module = Iree(), inputs.with_suffix(".iree.json"), inputs.with_suffix(".vmfb")
    if not about.exists():
        feed, fixed = load_npz(inputs), inputs.with_suffix(".iree.onnx")
        about.write_text(json.dumps([None, []]))
        function, _ = with_sizes(model, feed, fixed)
        iree.compile(fixed, module)
        arrays = [inputs.with_suffix(f".{number}.npy") for number in range(len(feed))]
        for array, value in zip(arrays, feed.values()):
            np.save(array, value)
        about.write_text(json.dumps([function, [f"@{array}" for array in arrays]]))
    function, arrays = json.loads(about.read_text())
    if function is None:
        raise RuntimeError("it does not compile")
    times = iree.bench(module, function, arrays, flags)
    return {"min_ms": min(times) / 1e6, "median_ms": statistics.median(times) / 1e6}


def time_peer(peer, model, inputs, flags) -> dict:
    if peer == "iree":
        return time_iree(model, inputs, flags)
    command = [python_of(peer), ROOT / "bench/peer_process.py", peer, str(model), str(inputs), "--threads", str(flags.threads),
               "--seconds", str(flags.seconds)]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=pinned(flags.cpus), timeout=900)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return json.loads(done.stdout.splitlines()[-1])


def python_of(peer):
    """ONNX Runtime is in the tests' environment; any other peer gets one of its own when it is first wanted."""
    if peer == "ort":
        return sys.executable
    name = peer.partition("-")[0]
    return Environment(ROOT / "build/peers" / name, PACKAGES[name]).python


def plan_of(module) -> dict:
    """Arena, lower bound and sum of the memory plan in bytes; empty if sizes are known only at run time."""
    plan = json.loads(succeed("inspect", module, "--json").out)["functions"][0]
    return plan if plan["arena_bytes"] is not None else {}


def time_in_turns(name, model, module, inputs, flags) -> dict:
    """What each side told of its rounds; a peer that cannot run the model is left out."""
    rounds = {side: [] for side in ("eyrie", "ort", *flags.peers)}
    for _ in range(flags.rounds):
        for side in list(rounds):
            try:
                rounds[side].append(time_eyrie(module, inputs, flags) if side == "eyrie" else time_peer(side, model, inputs, flags))
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                if side not in flags.peers:
                    raise
                del rounds[side]
                print(f"{name}: {side}: {str(error)[-300:]}", file=sys.stderr)
    return rounds


def measure(name, folder, flags) -> dict:
    name, _, form = name.partition(":")
    model = quantized(name, form, folder) if form in FORMS else path_of(name)
    module, inputs = folder / f"{name}.eyr", folder / f"{name}.npz"
    precision = ["--precision", form] if form in PRECISIONS else []
    told = compile_model(model, module, "--cache", "none", *precision, timeout=900)
    feed = inputs_of(name)[0]
    save_npz(inputs, feed)
    rounds = time_in_turns(name, model, module, inputs, flags)
    row = {"name": name + (f" {form}" if form else ""), "compile_s": told["compile_ms"] / 1000}
    for side, results in rounds.items():
        row[side + "_min_ms"] = min(result["min_ms"] for result in results)
        row[side + "_median_ms"] = statistics.median(result["median_ms"] for result in results)
        row[side + "_ratio"] = row["eyrie_min_ms"] / row[side + "_min_ms"]
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
            f"{row['ort_median_ms']:.3f} | {row['ort_ratio']:.2f} | {row['error']:.1e} | {row['compile_s']:.1f} | "
            f"{row['peak_rss_mb']:.0f} | {row['ort_peak_rss_mb']:.0f} | {row['arena_mb']:.1f} | "
            + (f"{row['arena_over_bound']:.3f} |" if row["arena_over_bound"] else "- |"))


def peers_table(rows, peers) -> str:
    """Milliseconds of the peers, and Eyrie's time over theirs."""
    lines = ["| model | Eyrie |" + "".join(f" {TITLES[peer]} | ratio |" for peer in peers),
             "|---|--:|" + "--:|--:|" * len(peers)]
    for row in rows:
        cells = [f"{row[peer + '_min_ms']:.3f} | {row[peer + '_ratio']:.2f}" if peer + "_ratio" in row else "does not run | -" for peer in peers]
        lines.append(f"| {row['name']} | {row['eyrie_min_ms']:.3f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def summary_of(rows, side, title) -> str:
    ratios = {row["name"]: row[side + "_ratio"] for row in rows if side + "_ratio" in row}
    if not ratios:
        return f"{title} ran none of the models."
    mean, worst = math.exp(np.mean(np.log([*ratios.values()]))), max(ratios, key=ratios.get)
    return (f"Geometric mean of the ratios to {title}: {mean:.2f} over {len(ratios)} models; the worst is {worst} with "
            f"{ratios[worst]:.2f}.")


def add_flags(parser, rounds, seconds=None) -> None:
    """The flags that the benchmarks share, with their defaults; without `seconds` a round has a length of its own."""
    parser.add_argument("--rounds", type=int, default=rounds)
    if seconds:
        parser.add_argument("--seconds", type=float, default=seconds, help="of one side in one round")
    parser.add_argument("--cpus", help="processors to run on, as 2,3 (default: the last ones)")
    parser.add_argument("--write", type=Path, help="also writes the table as a page")


def add_peers(parser) -> None:
    def peers(text):
        if unknown := [peer for peer in text.split(",") if peer not in TITLES or peer == "ort"]:
            raise argparse.ArgumentTypeError(f"no such peer: {', '.join(unknown)}")
        return text.split(",")
    parser.add_argument("--peers", type=peers, default=[],
                        help="peers besides ONNX Runtime: " + ", ".join(peer for peer in TITLES if peer != "ort"))


def choose_cpus(flags) -> None:
    flags.cpus = [int(cpu) for cpu in flags.cpus.split(",")] if flags.cpus else sorted(os.sched_getaffinity(0))[-flags.threads:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_flags(parser, rounds=5, seconds=1.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also writes the figures")
    add_peers(parser)
    parser.add_argument("names", nargs="*", metavar="NAME[:FORM]",
                        help="models (default: all); FORM: " + "; ".join(f"{form}: {text}" for form, text in {**FORMS, **PRECISIONS}.items()))
    flags = parser.parse_args()
    if unknown := [name for name in flags.names if ":" in name and name.partition(":")[2] not in {**FORMS, **PRECISIONS}]:
        parser.error(f"no such form: {', '.join(unknown)}")
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
    summary = "\n".join(summary_of(rows, side, TITLES[side]) for side in ("ort", *flags.peers)) if rows else "nothing was measured"
    peers = "\n\n" + peers_table(rows, flags.peers) if flags.peers else ""
    print(peers + "\n\n" + summary)
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
            + "\n".join([HEADER, *map(line, rows)]) + peers + f"\n\n{summary}\n" + "".join(f"\n{text}\n" for text in failures))
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
