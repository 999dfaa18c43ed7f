"""How near to the least the transient memory of a call is, for every model of the model list at every size it is tried at.

Usage: arena.py [--write FILE] [NAME...]

Arena: what an instance holds after a call of the module whose sizes are open as in the model. Bound: the most bytes that
are in use at one time, by the plan of a module that is compiled for the size. Sum: had no tensor shared memory. Exit
code 1 if an arena is larger than 1.05 times its bound. No times: a busy machine does not matter.
"""
import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/models"), str(ROOT / "bench")]
from architectures import FULL  # noqa: E402
from bench import plan_of  # noqa: E402
from catalogue import REAL, inputs_of, path_of  # noqa: E402
from command import compile_model, save_npz, succeed  # noqa: E402

MOST = 1.05
HEADER = "| model | input | arena | bound | arena / bound | sum | arena / sum |\n|---|---|--:|--:|--:|--:|--:|"


def sizes_of(feed) -> dict:
    return {name: "x".join(map(str, array.shape)) for name, array in feed.items() if array.ndim}


def measure(name, folder) -> list:
    module, fixed, inputs, rows = folder / "open.eyr", folder / "fixed.eyr", folder / "in.npz", []
    compile_model(path_of(name), module, timeout=900)
    for feed in inputs_of(name):
        save_npz(inputs, feed)
        told = json.loads(succeed("bench", module, "--input", f"@{inputs}", "--threads", "1", "--min-time", "0", "--json",
                                  timeout=600).out)
        plan = plan_of(module)
        if not plan:
            compile_model(path_of(name), fixed, *(flag for pair in sizes_of(feed).items() for flag in ("--shape", "=".join(pair))),
                          timeout=900)
            plan = plan_of(fixed)
        rows.append({"name": name, "sizes": ", ".join(sizes_of(feed).values()), "arena": told["arena_bytes"],
                     "bound": plan["lower_bound"], "sum": plan["total_bytes"]})
    return rows


def ratio(row) -> float:
    return row["arena"] / max(row["bound"], 1)


def line(row) -> str:
    return (f"| {row['name']} | {row['sizes']} | {row['arena']:,} | {row['bound']:,} | {ratio(row):.3f} | {row['sum']:,} | "
            f"{row['arena'] / max(row['sum'], 1):.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", type=Path, help="also writes the table as a page")
    parser.add_argument("names", nargs="*", metavar="NAME")
    flags = parser.parse_args()
    rows = []
    print(HEADER, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in flags.names or [*FULL, *REAL]:
            for row in measure(name, Path(folder)):
                rows.append(row)
                print(line(row), flush=True)
    worst = max(rows, key=ratio)
    summary = f"The worst is {worst['name']} with {ratio(worst):.3f}; at most {MOST} is promised."
    print("\n" + summary)
    if flags.write:
        flags.write.write_text(
            f"# Transient memory\n\n`build/venv/bin/python bench/arena.py {' '.join(sys.argv[1:])}` on {time.strftime('%Y-%m-%d')}. "
            f"Bytes. Arena: held after a call, by a module whose sizes are open as in the model. Bound: the most bytes in use at "
            f"one time. Sum: had no tensor shared memory.\n\n" + "\n".join([HEADER, *map(line, rows)]) + f"\n\n{summary}\n")
    sys.exit(1 if ratio(worst) > MOST else 0)


if __name__ == "__main__":
    main()
