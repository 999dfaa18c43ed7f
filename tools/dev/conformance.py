"""Runs conformance cases through `eyrie compile` and `eyrie run` and tells how many are right.

Usage: conformance.py [FOLDER | --onnx] [--filter TEXT] [--jobs N] [--verbose] [--fresh] [--write FILE] [--exceptions FILE]

FOLDER has one folder for each case, of our layout (`model.onnx`, `data.npz`, `meta.json`) or of ONNX's; without it the
cases beside the checkout are taken. `--onnx` takes the backend suite of the installed `onnx` package. A case passes, is
refused with a clear list of what is not supported, or fails: wrong numbers, another error, a crash. Results are kept in
build/conformance by what they depend on (compiler, runtime, case); `--fresh` runs everything.

`--exceptions` names a file of cases that are known not to pass, each with its status and reason: the command fails if
a case that is not in it does not pass, or one that is in it does.
"""
import argparse
import collections
import concurrent.futures
import hashlib
import json
import re
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools/dev"), str(ROOT / "bindings/python")]
from command import EYRIE, call, load_npz, save_npz, unfold  # noqa: E402
from conformance_cases import Case, of_folder, of_onnx_folder, of_suite  # noqa: E402

COLUMNS = ["pass", "unsupported", "refused", "wrong", "crash"]


def lacks_numpy(dtype):
    """A type of ml_dtypes; its float8_e5m2 claims to be one of NumPy's floats."""
    return dtype.kind == "V" or dtype.name.startswith("float8")


def packed(array):
    """The array as it travels: types that NumPy lacks as their bits, packed ones one to a byte, strings as unicode."""
    array = np.asarray(array)
    if array.dtype.kind in "OSU":
        text = lambda element: element.decode() if isinstance(element, bytes) else str(element)
        return np.array([text(element) for element in array.reshape(-1)], str).reshape(array.shape)
    name = array.dtype.name
    if name in ("int4", "int2"):
        return array.astype(np.int8)
    if name in ("uint4", "uint2"):
        return array.astype(np.uint8)
    if lacks_numpy(array.dtype):
        return array.view(np.uint16 if array.dtype.itemsize == 2 else np.uint8)
    return array


def as_numbers(array, like):
    """What travelled, in the type that is expected."""
    if lacks_numpy(like.dtype):
        array = array.view(like.dtype) if like.dtype.name not in ("int4", "uint4", "int2", "uint2") else array
        return array.astype(np.float32)
    return array


def differs(want, got, case):
    """What is wrong with an array, as text; None if nothing is."""
    want, travelled = np.asarray(want), packed(want)
    if travelled.shape != got.shape:
        return f"{got.dtype}{list(got.shape)}, expected {want.dtype}{list(want.shape)}"
    if travelled.dtype != got.dtype and not travelled.dtype.kind == got.dtype.kind == "U":
        return f"type {got.dtype}, expected {travelled.dtype}"
    if want.dtype.kind not in "fcV":
        return None if np.array_equal(travelled, got) else f"{int((travelled != got).sum())} of {want.size} differ"
    rtol = max(case.rtol, 2**-6) if want.dtype.name == "bfloat16" else case.rtol
    got, want = as_numbers(got, want), want.astype(np.float32) if lacks_numpy(want.dtype) else want
    close = np.isclose(got, want, rtol=rtol, atol=case.atol, equal_nan=True)
    return None if close.all() else f"{int((~close).sum())} of {want.size} differ, first {got[~close][0]} for {want[~close][0]}"


def compare(case, want, got):
    for name, array in unfold(want).items():
        if array is None:
            if found := [part for part in got if part == name or part.startswith(name + ".")]:
                return f"{found[0]}: expected no value"
        elif name not in got:
            return f"there is no output {name}"
        elif problem := differs(array, got[name], case):
            return f"{name}: {problem}"
    return None


def run_with_images(module, inputs) -> dict:
    """Runs a module that decodes images, for which Python has a function."""
    import eyrie
    return eyrie.Module(module, threads=1, functions=eyrie.images.functions()).instance()(inputs)


def run_case(case: Case, folder: Path):
    """(status, text) of a case."""
    model, module = folder / "model.onnx", folder / "model.eyr"
    model.write_bytes(case.model)
    compiled = call("compile", model, "-o", module, timeout=300)
    said = " ".join(compiled.err.replace(f"eyrie: error: {model}: ", "").split())[:400]
    if compiled.code not in (0, 1):
        return "crash", f"compile: exit {compiled.code}: {said}"
    if compiled.code:
        return ("unsupported" if re.search("unsupported|not supported|only .* are supported", said) else "refused"), said
    for inputs, outputs in case.sets:
        values = [*inputs.values(), *outputs.values()]
        if any(isinstance(value, dict) for value in values):
            return "unsupported", "a map"
        if "ImageDecoder" in case.operators:
            if problem := compare(case, outputs, run_with_images(module, inputs)):
                return "wrong", problem
            continue
        given = {name: packed(array) for name, array in unfold(inputs).items() if array is not None}
        save_npz(folder / "in.npz", given)
        flags = ["--input", f"@{folder / 'in.npz'}"] if given else []
        ran = call("run", module, *flags, "--output", f"@{folder / 'out.npz'}", "--threads", "1", timeout=120)
        if ran.code:
            return ("refused" if ran.code == 1 else "crash"), f"run: exit {ran.code}: {' '.join(ran.err.split())[:400]}"
        if problem := compare(case, outputs, load_npz(folder / "out.npz")):
            return "wrong", problem
    return "pass", ""


class Kept:
    """Results of former runs, by all that they depend on."""

    def __init__(self, fresh):
        self.folder, self.fresh = ROOT / "build/conformance", fresh
        self.folder.mkdir(parents=True, exist_ok=True)
        self.tools = hashlib.sha256()
        binary = Path(EYRIE)
        for path in [binary, *sorted((binary.parents[1] / "lib").glob("*.so")), Path(__file__)]:
            self.tools.update(path.read_bytes())

    def key(self, case: Case) -> str:
        key = self.tools.copy()
        key.update(case.model)
        key.update(repr((case.rtol, case.atol)).encode())
        for values in case.sets:
            for name, value in [*values[0].items(), *values[1].items()]:
                for array in value if isinstance(value, list) else [value]:
                    array = np.asarray(array)
                    key.update(f"{name} {array.dtype} {array.shape}".encode())
                    key.update(repr(array.tolist()).encode() if array.dtype.kind in "OU" else array.tobytes())
        return key.hexdigest()[:32]

    def __call__(self, case: Case):
        path = self.folder / self.key(case)
        if path.exists() and not self.fresh:
            return tuple(json.loads(path.read_text()))
        with tempfile.TemporaryDirectory() as folder:
            result = run_case(case, Path(folder))
        path.write_text(json.dumps(result))
        return result


def collect(flags) -> list:
    if flags.onnx:
        cases = of_suite()
    elif flags.folder.exists():
        cases = [of_folder(path.parent) for path in sorted(flags.folder.glob("*/meta.json")) if (path.parent / "model.onnx").exists()]
        cases += [of_onnx_folder("folder", path.parent) for path in sorted(flags.folder.glob("*/model.onnx"))
                  if any(path.parent.glob("test_data_set_*"))]
    else:
        sys.exit(f"there is no {flags.folder}")
    return [case for case in cases if re.search(flags.filter, case.name)]


def table(title, rows) -> list:
    """Rows: (name, Counter of statuses)."""
    lines = ["| " + " | ".join([title, "cases", *COLUMNS]) + " |", "|---" + "|--:" * (len(COLUMNS) + 1) + "|"]
    for name, counts in rows:
        lines.append(f"| {name} | {sum(counts.values())} | " + " | ".join(str(counts[column] or "") for column in COLUMNS) + " |")
    return lines


def summarize(cases, results) -> str:
    """The tables by kind and by operator. A case counts for its rarest operator: the one that it is about."""
    frequency = collections.Counter(operator for case in cases for operator in case.operators)
    kinds, operators, total = collections.defaultdict(collections.Counter), collections.defaultdict(collections.Counter), collections.Counter()
    for case, (status, _) in zip(cases, results):
        about = min(case.operators, key=lambda operator: frequency[operator]) if case.operators else "(none)"
        for counts in (kinds[case.kind], operators[about], total):
            counts[status] += 1
    return "\n".join([*table("kind", [*kinds.items(), ("all", total)]), "", *table("operator", sorted(operators.items()))])


def write_page(path, cases, results, exceptions) -> None:
    import onnx
    lines = ["# ONNX conformance", "", "Generated by `build/venv/bin/python tools/dev/conformance.py --onnx --write docs/reference/onnx.md --exceptions tests/conformance/exceptions.json`: the backend suite of the "
             f"package `onnx` {onnx.__version__}, every case compiled and run, its outputs compared within the suite's tolerances.", "",
             summarize(cases, results), "", "## Cases that do not pass", "", "| case | status | reason |", "|---|---|---|"]
    for case, (status, text) in zip(cases, results):
        if status != "pass":
            reason = exceptions.get(case.name, {}).get("reason", text)
            lines.append(f"| {case.name} | {status} | {reason.replace('|', chr(92) + '|')[:200]} |")
    path.write_text("\n".join(lines) + "\n")


def unexpected(cases, results, exceptions) -> list:
    """Where the results and the list of exceptions disagree."""
    lines = []
    for case, (status, text) in zip(cases, results):
        known = exceptions.get(case.name)
        if status != "pass" and (known is None or known["status"] != status):
            lines.append(f"{case.name}: {status}{'' if known is None else ', was ' + known['status']}: {text}")
        if status == "pass" and known:
            lines.append(f"{case.name}: passes, so take it off the list of exceptions")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT.parent / "shared/tests/conformance/onnx_sample")
    parser.add_argument("--onnx", action="store_true", help="the backend suite of the installed onnx package")
    parser.add_argument("--filter", default="", help="only cases whose name has this regular expression")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--verbose", action="store_true", help="lists what is unsupported, too")
    parser.add_argument("--fresh", action="store_true", help="does not use kept results")
    parser.add_argument("--write", type=Path, help="also writes the tables as a page")
    parser.add_argument("--exceptions", type=Path, help="JSON: case to its status and the reason why it does not pass")
    flags = parser.parse_args()
    exceptions = json.loads(flags.exceptions.read_text()) if flags.exceptions else {}
    cases, run = collect(flags), Kept(flags.fresh)
    with concurrent.futures.ThreadPoolExecutor(flags.jobs) as pool:
        results = list(pool.map(run, cases))
    print(summarize(cases, results) + "\n")
    print("\n".join(sorted(f"{status:12}{case.name}: {text}" for case, (status, text) in zip(cases, results)
                           if status != "pass" and (status != "unsupported" or flags.verbose))))
    if flags.write:
        write_page(flags.write, cases, results, exceptions)
    if flags.exceptions:
        problems = unexpected(cases, results, exceptions)
        print("\n".join(problems))
        sys.exit(1 if problems else 0)
    sys.exit(1 if any(status in ("wrong", "crash") for status, _ in results) else 0)


if __name__ == "__main__":
    main()
