"""RESULTS.md: what became of every case, from the results that runs leave in build/exporters/results.json."""
import collections
import json
import re
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent

INTRODUCTION = """# What became of the models that exporters write

Written by `python3 tests/exporters/run.py --page` from the results of its last runs; what is tried and how:
[README.md](README.md). Every model has random weights. "error": the largest difference from ONNX Runtime's outputs
(one thread, CPU) over the largest magnitude, over all calls of the case, those of other sizes included; integers are
equal. "compile": seconds on a machine of 2 cores while others compute on it; "of CPU": what all threads of the compiler
took together, which says more. Quantised models (int8) may differ by 0.05, or by twice what
ONNX Runtime differs from itself with and without its graph optimisations: each step may round the other way, and what
follows with it.
"""


def shown(row: dict, key: str, form: str, scale: float = 1) -> str:
    return format(row[key] if scale == 1 else row[key] / scale, form) if key in row else "-"


def columns(row: dict) -> list:
    return [shown(row, "opset", "d"), shown(row, "nodes", "d"), shown(row, "compile_s", ".1f"),
            shown(row, "cpu_s", ".1f"), shown(row, "size", ".2f", 2**20), shown(row, "error", ".1e")]


def merge(path: Path, rows: list) -> list:
    """Puts the rows into the file; returns all that are in it."""
    known = {(row["name"], row["variant"]): row for row in json.loads(path.read_text())} if path.exists() else {}
    known.update({(row["name"], row["variant"]): row for row in rows})
    path.write_text(json.dumps(list(known.values()), indent=1) + "\n")
    return list(known.values())


def table(rows: list) -> list:
    lines = ["| model | exporter | sizes | opset | nodes | compile, s | of CPU, s | module, MiB | error | |",
             "|---|---|---|--:|--:|--:|--:|--:|--:|---|"]
    for row in rows:
        exporter, _, sizes = row["variant"].partition("-")
        lines.append("| " + " | ".join([row["name"], exporter, sizes or "dynamic", *columns(row),
                                        row["status"].replace("passed", "right")]) + " |")
    return lines


def versions(python: Path) -> str:
    """The packages that requirements.txt names, as they are installed."""
    names = re.findall(r"^[\w-]+", (HERE / "requirements.txt").read_text(), re.M)
    code = f"import importlib.metadata as m; print(', '.join(n + ' ' + m.version(n) for n in {names!r}))"
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def write(path: Path, rows: list, order: list, outside: set, python: Path) -> None:
    """`order`: the cases that there are; rows of others are left out, cases without a row are listed as not run."""
    known = {(row["name"], row["variant"]): row for row in rows}
    present = [known[case] for case in order if case in known]
    inside = [row for row in present if row["status"] not in outside]
    counts = collections.Counter("right" if row["status"] == "passed" else row["status"] for row in present)
    commits = collections.Counter(row.get("commit", "an unknown one") for row in present)
    lines = [INTRODUCTION, f"Packages: {versions(python)}.", "",
             "Commits of Eyrie: " + ", ".join(f"{commit} ({count} rows)" for commit, count in commits.most_common()) + ".", "",
             f"{len(present)} cases: " + ", ".join(f"{count} {what}" for what, count in counts.most_common()) + ".", ""]
    lines += table(inside)
    wrong = [row for row in inside if row["status"] != "passed"]
    lines += reasons("## Not right", wrong)
    lines += reasons("## Not exported, or not run by ONNX Runtime", [row for row in present if row["status"] in outside])
    missing = [f"{name}-{variant}" for name, variant in order if (name, variant) not in known]
    if missing:
        lines += ["", "## Not run", "", ", ".join(missing)]
    path.write_text("\n".join(lines) + "\n")


def reasons(title: str, rows: list) -> list:
    """One line for each reason, with the cases that have it."""
    groups = collections.defaultdict(list)
    for row in rows:
        groups[row["status"], " ".join(row["reason"].replace(f"{HERE.parents[1]}/", "").split()).replace("|", "\\|")[:250]].append(f"{row['name']}-{row['variant']}")
    if not groups:
        return []
    lines = ["", title, "", "| cases | stage | reason |", "|---|---|---|"]
    return lines + [f"| {', '.join(names)} | {status} | {reason} |" for (status, reason), names in groups.items()]
