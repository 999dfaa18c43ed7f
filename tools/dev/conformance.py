"""Runs folders of conformance cases through the command line and prints a table by group.

Usage: conformance.py [FOLDER] [--filter TEXT] [--jobs N] [--verbose]

FOLDER has one folder for each case: `model.onnx`, `data.npz` (s<K>_in<I>, s<K>_out<J>) and `meta.json`. Without it the
cases beside the checkout are taken, if they are there. A case passes, is refused with a clear list of what is not
supported, or fails: wrong numbers, another error, a crash.
"""
import argparse
import collections
import concurrent.futures
import json
import re
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from command import call, load_npz, save_npz  # noqa: E402


def entries(name, key, data):
    """The arrays of one value: itself, or a sequence's length and elements."""
    if key + ".len" not in data:
        return {name: data[key]}
    return {name + part[len(key):]: data[part] for part in data if part.startswith(key + ".")}


def differs(want, got, meta):
    if want.shape != got.shape or want.dtype.kind != got.dtype.kind:
        return f"{got.dtype}{list(got.shape)}, expected {want.dtype}{list(want.shape)}"
    if want.dtype != got.dtype and want.dtype.kind != "U":
        return f"type {got.dtype}, expected {want.dtype}"
    if want.dtype.kind not in "fc":
        return None if np.array_equal(want, got) else f"{int((want != got).sum())} of {want.size} differ"
    close = np.isclose(got, want, rtol=meta["rtol"], atol=meta["atol"], equal_nan=True)
    return None if close.all() else f"{int((~close).sum())} of {want.size} differ, first {got[~close][0]} for {want[~close][0]}"


def run_case(case: Path, folder: Path):
    """(status, text) of a case: status is one of pass, unsupported, refused, wrong, crash."""
    meta, data = json.loads((case / "meta.json").read_text()), dict(load_npz(case / "data.npz"))
    module = folder / "model.eyr"
    compiled = call("compile", case / "model.onnx", "-o", module, timeout=120)
    said = " ".join(compiled.err.split())[:400]
    if compiled.code not in (0, 1):
        return "crash", f"compile: exit {compiled.code}: {said}"
    if compiled.code:
        return ("unsupported" if re.search("unsupported|not supported|only .* are supported", said) else "refused"), said
    for k in range(meta["n_sets"]):
        given = {}
        for i, row in enumerate(meta["inputs"]):
            given.update(entries(row["name"], f"s{k}_in{i}", data))
        save_npz(folder / "in.npz", given)
        flags = ["--input", f"@{folder / 'in.npz'}"] if given else []
        ran = call("run", module, *flags, "--output", f"@{folder / 'out.npz'}", "--threads", "1", timeout=60)
        if ran.code:
            return ("refused" if ran.code == 1 else "crash"), f"run: exit {ran.code}: {' '.join(ran.err.split())[:400]}"
        got = load_npz(folder / "out.npz")
        for j, row in enumerate(meta["outputs"]):
            for name, want in entries(row["name"], f"s{k}_out{j}", data).items():
                if name not in got:
                    return "wrong", f"there is no output {name}"
                if problem := differs(want, got[name], meta):
                    return "wrong", f"{name}: {problem}"
    return "pass", ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT.parent / "shared/tests/conformance/onnx_sample")
    parser.add_argument("--filter", default="", help="only cases whose name has this regular expression")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--verbose", action="store_true", help="lists what is unsupported, too")
    flags = parser.parse_args()
    if not flags.folder.exists():
        sys.exit(f"there is no {flags.folder}")
    cases = [path.parent for path in sorted(flags.folder.glob("*/meta.json"))
             if re.search(flags.filter, path.parent.name) and (path.parent / "model.onnx").exists()]

    def work(case):
        with tempfile.TemporaryDirectory() as folder:
            return run_case(case, Path(folder))

    groups, texts, total = collections.defaultdict(collections.Counter), [], collections.Counter()
    with concurrent.futures.ThreadPoolExecutor(flags.jobs) as pool:
        for case, (status, text) in zip(cases, pool.map(work, cases)):
            groups[re.sub(r"_\d+$|_(float|int|uint|bool)\w*$", "", case.name)][status] += 1
            total[status] += 1
            if status != "pass" and (status != "unsupported" or flags.verbose):
                texts.append(f"{status:12}{case.name}: {text}")
    columns = ["pass", "unsupported", "refused", "wrong", "crash"]
    print(f"{'group':28}" + "".join(f"{column:>12}" for column in columns))
    for group, counts in sorted(groups.items()):
        print(f"{group:28}" + "".join(f"{counts[column] or '':>12}" for column in columns))
    print(f"{'all':28}" + "".join(f"{total[column]:>12}" for column in columns) + "\n")
    print("\n".join(sorted(texts)))
    sys.exit(1 if total["wrong"] or total["crash"] else 0)


if __name__ == "__main__":
    main()
