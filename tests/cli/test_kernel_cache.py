"""Compiled kernels that are kept from one compilation to the next (`--cache`, $EYRIE_CACHE_DIR)."""
import os
import subprocess

import onnx
import pytest
from command import EYRIE, compile_model
from onnx import numpy_helper
from small import network


@pytest.fixture
def model(tmp_path):
    onnx.save(network(), tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def compiled(model, name, cache, *flags) -> bytes:
    path = model.with_name(name + ".eyr")
    compile_model(model, path, "--cache", cache, *flags)
    return path.read_bytes()


def kept(cache) -> dict:
    """The files and when they were written."""
    return {path: path.stat().st_mtime_ns for path in cache.rglob("*") if path.is_file()}


def test_modules_are_the_same_with_and_without(model, tmp_path):
    want = compiled(model, "none", "none")
    for turn in range(2):
        assert compiled(model, f"turn{turn}", tmp_path / "cache") == want
    assert kept(tmp_path / "cache")


def test_nothing_is_kept_on_request(model, tmp_path):
    compile_model(model, tmp_path / "m.eyr", "--cache", "none")
    before = sorted(tmp_path.rglob("*"))
    subprocess.run([EYRIE, "compile", model, "-o", tmp_path / "m.eyr", "--cache", "none"], check=True, cwd=tmp_path,
                   env={**os.environ, "HOME": str(tmp_path), "EYRIE_CACHE_DIR": str(tmp_path / "other")})
    assert sorted(tmp_path.rglob("*")) == before


def test_environment_says_where(model, tmp_path):
    for variables in ({"EYRIE_CACHE_DIR": "here"}, {"XDG_CACHE_HOME": str(tmp_path / "user")}):
        environment = {key: value for key, value in os.environ.items() if key != "EYRIE_CACHE_DIR"}
        subprocess.run([EYRIE, "compile", model, "-o", tmp_path / "m.eyr"], check=True, cwd=tmp_path, env={**environment, **variables})
    assert kept(tmp_path / "here") and kept(tmp_path / "user/eyrie")


def test_another_weight_needs_no_other_kernel(model, tmp_path):
    compiled(model, "first", tmp_path / "cache")
    files = set(kept(tmp_path / "cache"))
    changed = network()
    weight = next(w for w in changed.graph.initializer if w.name == "matrix")
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) + 1, "matrix"))
    onnx.save(changed, model)
    assert compiled(model, "second", tmp_path / "cache") == compiled(model, "fresh", "none")
    assert set(kept(tmp_path / "cache")) == files


@pytest.mark.parametrize("flags", [("--cpu", "x86-64"), ("--opt-level", "1"), ("--target", "reference"), ("--shape", "image=3x1x6x6")],
                         ids=lambda flags: flags[0])
def test_other_code_is_kept_apart(model, tmp_path, flags):
    compiled(model, "plain", tmp_path / "cache")
    assert compiled(model, "other", tmp_path / "cache", *flags) == compiled(model, "fresh", "none", *flags)


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:40], lambda data: data[:-1], lambda data: data + b"x",
                                    lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:],
                                    lambda data: data[:15] + bytes(32) + data[47:], lambda data: b"x" * len(data)],
                         ids=["empty", "head", "cut", "longer", "flipped", "digest", "other"])
def test_damaged_files_are_compiled_again(model, tmp_path, damage):
    want = compiled(model, "fresh", tmp_path / "cache")
    whole = {path: path.read_bytes() for path in kept(tmp_path / "cache")}
    for path, data in whole.items():
        path.write_bytes(damage(data))
    assert compiled(model, "again", tmp_path / "cache") == want
    assert {path: path.read_bytes() for path in kept(tmp_path / "cache")} == whole


def test_folders_that_others_may_write_to_are_not_used(model, tmp_path):
    """Their files are code that would run here."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    assert compiled(model, "m", tmp_path / "shared") == compiled(model, "fresh", "none")
    assert not kept(tmp_path / "shared")


def test_folders_that_cannot_be_made(model, tmp_path):
    (tmp_path / "file").write_text("")
    assert compiled(model, "m", tmp_path / "file/cache") == compiled(model, "fresh", "none")


def test_several_compilations_at_once(model, tmp_path):
    running = [subprocess.Popen([EYRIE, "compile", model, "-o", tmp_path / f"{i}.eyr", "--cache", tmp_path / "cache"]) for i in range(6)]
    assert [process.wait() for process in running] == [0] * 6
    assert len({(tmp_path / f"{i}.eyr").read_bytes() for i in range(6)}) == 1
    assert all(path.suffix == ".kernel" for path in kept(tmp_path / "cache"))
