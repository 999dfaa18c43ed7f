"""One module for all sizes against modules compiled for each: a BERT whose batch and length are open.

Usage: sizes.py [--layers N] [--seconds S] [--rounds N] [--cpus LIST] [--write FILE]

For 20 sizes: the times of the open module and of one made with --shape, in turns on the same processor, their ratio,
the error of the open one against ONNX Runtime, and its arena over the lower bound of the fixed one.
"""
import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/models"), str(ROOT / "bench")]
from architectures import _sequence  # noqa: E402
from architectures.attention import bert  # noqa: E402
from bench import add_flags, choose_cpus, plan_of, processor, time_eyrie  # noqa: E402
from command import check_equal, compile_model, run_module, save_npz  # noqa: E402

SIZES = [(batch, tokens) for batch in (1, 2, 3, 8) for tokens in (1, 17, 32, 50, 128)]
HEADER = "| batch x length | open ms | fixed ms | ratio | error | arena / bound |\n|---|--:|--:|--:|--:|--:|"


def measure(size, model, module, folder, flags, reference) -> dict:
    feed = _sequence(np.random.default_rng(0), size)
    inputs, fixed = folder / "in.npz", folder / "fixed.eyr"
    save_npz(inputs, feed)
    compile_model(model, fixed, *(flag for name in feed for flag in ("--shape", f"{name}={size[0]}x{size[1]}")))
    times = {module: [], fixed: []}
    for _ in range(flags.rounds):
        for each in times:
            times[each].append(time_eyrie(each, inputs, flags))
    best = {each: min(told["min_ms"] for told in rows) for each, rows in times.items()}
    return {"size": f"{size[0]} x {size[1]}", "open_ms": best[module], "fixed_ms": best[fixed],
            "error": check_equal(run_module(module, feed, folder), reference(feed), 1e-4),
            "arena": times[module][0]["arena_bytes"] / max(plan_of(fixed)["lower_bound"], 1)}


def line(row) -> str:
    return (f"| {row['size']} | {row['open_ms']:.3f} | {row['fixed_ms']:.3f} | {row['open_ms'] / row['fixed_ms']:.2f} | "
            f"{row['error']:.1e} | {row['arena']:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--layers", type=int, default=12)
    add_flags(parser, rounds=3, seconds=0.3)
    parser.set_defaults(threads=1)
    flags = parser.parse_args()
    choose_cpus(flags)
    from reference import Reference
    rows = []
    print(HEADER, flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, module = folder / "bert.onnx", folder / "open.eyr"
        model.write_bytes(bert(6, flags.layers, batch="batch", tokens="tokens").SerializeToString())
        compile_model(model, module)
        reference = Reference(model)
        for size in SIZES:
            rows.append(measure(size, model, module, folder, flags, reference))
            print(line(rows[-1]), flush=True)
    worst = max(rows, key=lambda row: row["open_ms"] / row["fixed_ms"])
    summary = f"The worst is {worst['size']} with {worst['open_ms'] / worst['fixed_ms']:.2f}."
    print("\n" + summary)
    if flags.write:
        flags.write.write_text(
            f"# One module for all sizes\n\n`build/venv/bin/python bench/sizes.py {' '.join(sys.argv[1:])}` on "
            f"{time.strftime('%Y-%m-%d')}, {processor()}, one thread: BERT-base with {flags.layers} layers, batch and length open, "
            f"against a module compiled for each size.\n\n" + "\n".join([HEADER, *map(line, rows)]) + f"\n\n{summary}\n")


if __name__ == "__main__":
    main()
