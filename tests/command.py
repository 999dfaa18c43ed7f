"""The command line under test: how the tests call `eyrie`, hand arrays over and compare results.

$EYRIE names the binary (default: build/release/bin/eyrie). Every call has a time limit, and a call that ends by a
signal or with exit code 3 (a bug of ours) fails the test at once, whatever it was expected to do.
"""
import io
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
EYRIE = os.environ.get("EYRIE", str(ROOT / "build/release/bin/eyrie"))
# Kernels that tests compile again and again.
os.environ.setdefault("EYRIE_CACHE_DIR", str(ROOT / "build/kernel-cache"))
# Generated and downloaded models stay here between runs; nothing in it is committed.
CACHE = Path(os.environ.get("EYRIE_TEST_CACHE", ROOT / "build/test-models"))


@dataclass
class Result:
    """What a call left: exit code (negative: the signal that ended it), texts, and `timed_out`."""
    command: list
    code: int
    out: str
    err: str
    timed_out: bool = False

    def __str__(self):
        return f"$ {' '.join(map(str, self.command))}\nexit {self.code}\n{self.out[-3000:]}{self.err[-6000:]}"


def call(*arguments, timeout=120, stdout=subprocess.PIPE, cwd=None, env=None) -> Result:
    """Runs `eyrie ARGUMENTS` and returns what happened; only a missing binary raises."""
    command = [EYRIE, *map(str, arguments)]
    environment = {**os.environ, **(env or {})}
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, timeout=timeout,
                              cwd=cwd, env=environment)
    except subprocess.TimeoutExpired as late:
        return Result(command, -9, "", f"no end after {timeout} s\n{late.stderr or ''}", timed_out=True)
    text = lambda data: (data or b"").decode(errors="replace")
    return Result(command, done.returncode, text(done.stdout), text(done.stderr))


def peak_rss_bytes(*arguments) -> int:
    """The largest resident memory of a call that has to succeed."""
    return peak_rss_of([EYRIE, *arguments])


def peak_rss_of(command) -> int:
    """The largest resident memory of any program that has to succeed.

    A process that is started inherits the high-water mark of the one that starts it, and this one may be huge: a small
    one starts the call and measures it.
    """
    measure = ("import os, sys; pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ); "
               "_, status, usage = os.wait4(pid, 0); "
               "print(os.waitstatus_to_exitcode(status), usage.ru_maxrss, file=sys.stderr)")
    done = subprocess.run([sys.executable, "-S", "-c", measure, *map(str, command)],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
    code, kilobytes = done.stderr.split("\n")[-2].split()
    assert code == "0", f"{command}: exit {code}\n{done.stderr}"
    return int(kilobytes) * 1024


def succeed(*arguments, **options) -> Result:
    """Runs a call that has to succeed."""
    result = call(*arguments, **options)
    assert result.code == 0, f"the call should succeed:\n{result}"
    return result


def fail(*arguments, code=1, says=(), **options) -> Result:
    """Runs a call that has to fail with `code`, saying why on standard error in `eyrie: error:` lines."""
    result = call(*arguments, **options)
    assert result.code == code, f"the call should fail with exit code {code}:\n{result}"
    assert "eyrie: error: " in result.err or code == 2 and result.err, f"no error line:\n{result}"
    for text in [says] if isinstance(says, str) else says:
        assert text in result.err, f"the error should say {text!r}:\n{result}"
    return result


def save_npz(path, arrays: dict) -> None:
    """Writes arrays by name. Unlike numpy.savez it takes every name and always the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.asarray(array, order="C"), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(name + ".npy"), buffer.getvalue())


def load_npz(path) -> dict:
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}


def unfold(values: dict) -> dict:
    """The arrays that values travel as: a sequence, here a list, as NAME.len and its elements NAME.0, NAME.1, ..."""
    arrays = {}
    for name, value in values.items():
        if isinstance(value, list):
            arrays[name + ".len"] = np.array(len(value))
            arrays.update((f"{name}.{i}", element) for i, element in enumerate(value))
        else:
            arrays[name] = value
    return arrays


def fold(arrays: dict) -> dict:
    """The opposite of `unfold`."""
    lengths = {name[:-len(".len")]: int(array) for name, array in arrays.items() if name.endswith(".len")}
    parts = {f"{name}.{part}" for name, length in lengths.items() for part in ["len", *range(length)]}
    return {**{name: array for name, array in arrays.items() if name not in parts},
            **{name: [arrays[f"{name}.{i}"] for i in range(length)] for name, length in lengths.items()}}


def compile_model(model, module, *flags, timeout=300) -> dict:
    """Compiles and returns what `--json` tells: size_bytes, compile_ms, peak_rss_bytes."""
    return json.loads(succeed("compile", model, "-o", module, "--json", *flags, timeout=timeout).out)


def run_module(module, inputs: dict, folder: Path, *flags, timeout=120) -> dict:
    """Calls the module with values by name, arrays or lists of them, and returns its outputs by name."""
    save_npz(folder / "in.npz", unfold(inputs))
    given = ["--input", f"@{folder / 'in.npz'}"] if inputs else []
    succeed("run", module, *given, "--output", f"@{folder / 'out.npz'}", *flags, timeout=timeout)
    return fold(load_npz(folder / "out.npz"))


def relative_error(got, want, least_scale=0.0) -> float:
    """max|got - want| / max|want| of floats, over the finite elements; NaN and infinities must stand in the same places.
    `least_scale`: what is divided by at least."""
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    finite = np.isfinite(want)
    if not np.array_equal(np.where(finite, 0, want), np.where(np.isfinite(got), 0, got), equal_nan=True):
        return float("inf")
    if not finite.any():
        return 0.0
    difference, scale = np.abs(got[finite] - want[finite]).max(), max(np.abs(want[finite]).max(), least_scale)
    return float(difference / scale) if scale else float(difference)


def check_equal(got: dict, want: dict, tolerance: float, least_scale=0.0) -> float:
    """Compares outputs by name: types, shapes, integers and strings exactly, floats by relative_error; sequences, which
    are lists, element by element. Returns the largest error."""
    lists = [{name: len(value) if isinstance(value, list) else None for name, value in values.items()} for values in (got, want)]
    assert lists[0] == lists[1], f"outputs and lengths of sequences {lists[0]}, expected {lists[1]}"
    got, want = unfold(got), unfold(want)
    worst = 0.0
    for name, expected in want.items():
        actual = got[name]
        assert actual.dtype == expected.dtype or actual.dtype.kind == expected.dtype.kind == "U", f"{name}: type {actual.dtype}, expected {expected.dtype}"
        assert actual.shape == expected.shape, f"{name}: shape {actual.shape}, expected {expected.shape}"
        if expected.dtype.kind == "f":
            error = relative_error(actual, expected, least_scale)
            worst = max(worst, error)
            assert error <= tolerance, f"{name}: relative error {error:.3g} > {tolerance:g}\ngot  {flat(actual)}\nwant {flat(expected)}"
        else:
            wrong = int((actual != expected).sum())
            assert wrong == 0, f"{name}: {wrong} of {expected.size} elements differ\ngot  {flat(actual)}\nwant {flat(expected)}"
    return worst


def flat(array) -> str:
    return np.array2string(np.asarray(array).reshape(-1)[:64], threshold=64, precision=6)
