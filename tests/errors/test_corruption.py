"""Damaged files: every one gives right numbers or a clear error, and never a crash, a hang or half a file."""
import concurrent.futures
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from command import call, compile_model, load_npz, run_module, save_npz, succeed
from small import network, network_inputs

COUNT = int(os.environ.get("EYRIE_TEST_CORRUPTIONS", "520"))
TIMEOUT_S = 60


def corruptions(data: bytes, count: int, seed: int):
    """(description, damaged bytes), the same ones every time."""
    draw = random.Random(seed)
    yield "empty", b""
    yield "one byte", data[:1]
    yield "all but the last byte", data[:-1]
    yield "zeros", bytes(len(data))
    yield "ones", b"\xff" * len(data)
    yield "trailing bytes", data + b"\0" * 64
    yield "twice", data + data
    for i in range(20):
        size = draw.choice([1, 7, 64, 1000, 5000])
        yield f"noise {i}", draw.randbytes(size)
        yield f"start and noise {i}", data[:draw.choice([4, 8, 16, 64])] + draw.randbytes(size)
    kinds = ["truncate", "flip", "flip", "flip", "byte", "byte", "zero run", "ones run", "cut", "insert", "repeat", "swap"]
    for i in range(max(0, count - 47)):
        kind, at = draw.choice(kinds), draw.randrange(len(data))
        length = min(draw.choice([1, 2, 4, 8, 10, 16, 64, 300]), len(data) - at)
        end = at + length
        damaged = bytearray(data)
        if kind == "truncate":
            del damaged[at:]
        elif kind == "flip":
            damaged[at] ^= 1 << draw.randrange(8)
        elif kind == "byte":
            damaged[at] = draw.choice([0, 1, 0x7f, 0x80, 0xff, draw.randrange(256)])
        elif kind == "zero run":
            damaged[at:end] = bytes(length)
        elif kind == "ones run":
            damaged[at:end] = b"\xff" * length
        elif kind == "cut":
            del damaged[at:end]
        elif kind == "insert":
            damaged[at:at] = draw.randbytes(length)
        elif kind == "repeat":
            damaged[at:at] = damaged[at:end]
        else:
            other = draw.randrange(len(data))
            damaged[at], damaged[other] = damaged[other], damaged[at]
        yield f"{kind} {i} at {at}, {length} bytes", bytes(damaged)


def all_of(check, cases, keep: Path):
    """Runs `check(description, data)` for all cases on two threads; keeps the files of those that fail, and lists them."""
    cases = list(cases)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        problems = list(pool.map(lambda case: check(*case), cases))
    bad = [(case, problem) for case, problem in zip(cases, problems) if problem]
    for number, ((_, data), _) in enumerate(bad[:20]):
        (keep / f"failure{number}").write_bytes(data)
    lines = [f"{description}: {problem}" for (description, _), problem in bad]
    assert not bad, f"{len(bad)} of {len(cases)} went wrong; files in {keep}\n" + "\n".join(lines[:20])
    return len(cases)


def problem_of(result):
    """What is wrong with how a call on a damaged file ended; None for success and for a clear error."""
    if result.timed_out:
        return "no end"
    if result.code not in (0, 1):
        return f"exit code {result.code}: {result.err.strip()[-300:]}"
    if result.code == 1 and not result.err.startswith("eyrie: error: "):
        return f"no clear error: {result.err.strip()[-300:]!r}"
    return None


@pytest.mark.slow
def test_damaged_models(tmp_path, report):
    data, codes = network().SerializeToString(), []
    save_npz(tmp_path / "in.npz", network_inputs())

    def check(description, damaged):
        folder = tmp_path / f"{len(description)}-{description.replace(' ', '-').replace(',', '')}"
        folder.mkdir()
        (folder / "model.onnx").write_bytes(damaged)
        result = call("compile", folder / "model.onnx", "-o", folder / "model.eyr", "-O1", timeout=TIMEOUT_S)
        codes.append(result.code)
        left = {path.name for path in folder.iterdir()} - {"model.onnx"}
        problem = problem_of(result)
        if not problem and left != (set() if result.code else {"model.eyr"}):
            problem = f"exit code {result.code}, but it left {sorted(left)}"
        if not problem and not result.code:
            # What compiles is a model, though maybe another one: it runs or says why not.
            problem = problem_of(call("run", folder / "model.eyr", "--input", f"@{tmp_path / 'in.npz'}", "--json",
                                      timeout=TIMEOUT_S))
        shutil.rmtree(folder)
        return problem

    count = all_of(check, corruptions(data, COUNT, 1), tmp_path)
    report(f"damaged models: {count}, of which {codes.count(0)} compiled and {codes.count(1)} were refused")


@pytest.mark.slow
def test_damaged_modules(tmp_path, report):
    (tmp_path / "model.onnx").write_bytes(network().SerializeToString())
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr")
    want, codes = run_module(tmp_path / "model.eyr", network_inputs(), tmp_path), []
    data = (tmp_path / "model.eyr").read_bytes()

    def check(description, damaged):
        name = description.replace(" ", "-").replace(",", "")
        module, out = tmp_path / f"{name}.eyr", tmp_path / f"{name}.npz"
        module.write_bytes(damaged)
        result = call("run", module, "--input", f"@{tmp_path / 'in.npz'}", "--output", f"@{out}", timeout=TIMEOUT_S)
        codes.append(result.code)
        problem = problem_of(result)
        if not problem and result.code and out.exists():
            problem = "it left an output file"
        if not problem and not result.code:
            got = load_npz(out)
            same = got.keys() == want.keys() and all(np.array_equal(got[key], want[key]) for key in want)
            problem = None if same else "the outputs differ"
        problem = problem or problem_of(call("inspect", module, "--vm", timeout=TIMEOUT_S))
        module.unlink()
        out.unlink(missing_ok=True)
        return problem

    count = all_of(check, corruptions(data, COUNT, 2), tmp_path)
    report(f"damaged modules: {count}, of which {codes.count(0)} ran and {codes.count(1)} were refused")
    assert codes.count(0) < count / 2, "the checksum should find most damage"


def test_damaged_arrays(tmp_path):
    (tmp_path / "model.onnx").write_bytes(network().SerializeToString())
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr")
    inputs = network_inputs()
    np.save(tmp_path / "image.npy", inputs["image"])
    save_npz(tmp_path / "image.npz", inputs)

    for suffix in "npy", "npz":
        def check(description, damaged, suffix=suffix):
            path = tmp_path / f"{description.replace(' ', '-').replace(',', '')}.{suffix}"
            path.write_bytes(damaged)
            given = f"@{path}" if suffix == "npz" else f"image=@{path}"
            result = call("run", tmp_path / "model.eyr", "--input", given, timeout=TIMEOUT_S)
            path.unlink()
            return problem_of(result)

        data = (tmp_path / f"image.{suffix}").read_bytes()
        all_of(check, corruptions(data, 150, 3), tmp_path)
    succeed("run", tmp_path / "model.eyr", "--input", f"@{tmp_path / 'image.npz'}")
