"""Hostile files of parameters through the command line: an error, never a crash, a hang or half a file."""
import json
import os
import random
import resource
import struct

import gguf
import numpy as np
import pytest
import safetensors.numpy
from command import EYRIE, call, fail, save_npz, succeed

COUNT = int(os.environ.get("EYRIE_TEST_CORRUPTIONS", 520)) // 13


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    arrays = {"a": np.arange(12, dtype=np.float32).reshape(3, 4), "b.weight": np.ones(5, np.float16), "c": np.array(1)}
    safetensors.numpy.save_file(arrays, folder / "x.safetensors")
    save_npz(folder / "x.npz", arrays)
    succeed("params", "convert", folder / "x.npz", "-o", folder / "x.eyp")
    writer = gguf.GGUFWriter(folder / "x.gguf", "test")
    writer.add_array("tokens", ["a", "b"])
    for name in ["a", "b.weight"]:
        writer.add_tensor(name, arrays[name])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return {path.suffix[1:]: path.read_bytes() for path in folder.iterdir()}


def mutations(data, seed):
    rng = random.Random(seed)
    for _ in range(COUNT):
        bad = bytearray(data)
        at = rng.randrange(len(bad))
        kind = rng.randrange(4)
        if kind == 0:
            bad[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del bad[at:]
        elif kind == 2:
            word = rng.choice([0, 2**64 - 1, 2**63, 2**63 - 1, 2**32 - 1, 2**31])
            bad[at:at + 8] = struct.pack("<Q", word)
        else:
            bad[at:at + 32] = rng.randbytes(32)
        yield bytes(bad)


@pytest.mark.parametrize("extension", ["safetensors", "npz", "eyp", "gguf"])
def test_damaged_files(good, extension, tmp_path):
    path, out = tmp_path / f"bad.{extension}", tmp_path / "out.eyp"
    for bad in mutations(good[extension], extension):
        path.write_bytes(bad)
        result = call("params", "convert", path, "-o", out, timeout=10)
        assert result.code in (0, 1), result
        assert result.code == 0 or "eyrie: error: " in result.err, result
        assert out.exists() == (result.code == 0), result
        if extension == "eyp" and bad != good["eyp"]:
            assert result.code == 1, "a damaged archive was taken"
        out.unlink(missing_ok=True)
    path.write_bytes(good[extension])
    succeed("params", "convert", path, "-o", out)


def test_a_flipped_bit_of_an_archive_names_its_tensor(good, tmp_path):
    bad = bytearray(good["eyp"])
    bad[4096 + 5] ^= 1
    (tmp_path / "bad.eyp").write_bytes(bad)
    succeed("params", "list", tmp_path / "bad.eyp")
    for arguments in (["list", tmp_path / "bad.eyp", "--verify"], ["convert", tmp_path / "bad.eyp", "-o", tmp_path / "out.npz"],
                      ["extract", tmp_path / "bad.eyp", "a", "-o", tmp_path]):
        fail("params", *arguments, says=["bad.eyp", "'a'", "checksum"])


@pytest.mark.parametrize("length", [2**64 - 1, 2**63, 2**40, 100_000_001])
def test_lengths_take_no_memory(length, tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(struct.pack("<Q", length) + b"{" + b" " * 50)
    fail("params", "list", tmp_path / "bad.safetensors", says="header", timeout=5)
    header = b"GGUF" + struct.pack("<IQQ", 3, length, 0)
    (tmp_path / "bad.gguf").write_bytes(header + bytes(64))
    fail("params", "list", tmp_path / "bad.gguf", says="do not fit", timeout=5)


@pytest.mark.parametrize("path", ["/", "/dev/null", "/dev/zero", "/nonexistent"])
def test_paths_that_are_no_files(path, tmp_path):
    fail("params", "list", path, says=path, timeout=5)
    fail("params", "convert", path, "-o", tmp_path / "out.eyp", says=path, timeout=5)
    os.mkfifo(tmp_path / "fifo")
    fail("params", "list", tmp_path / "fifo", says="fifo", timeout=5)


def test_files_of_something_else(tmp_path):
    for data in [b"", b"x", b"hello, world!", bytes(100), b"\x7fELF" + bytes(60)]:
        (tmp_path / "x.eyp").write_bytes(data)
        fail("params", "list", tmp_path / "x.eyp", says="x.eyp")


def test_a_full_disk_leaves_the_old_file(good, tmp_path):
    (tmp_path / "in.eyp").write_bytes(good["eyp"])
    (tmp_path / "out.eyp").write_bytes(b"old")
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    import subprocess
    done = subprocess.run([EYRIE, "params", "convert", tmp_path / "in.eyp", "-o", tmp_path / "out.eyp"], preexec_fn=limit,
                          capture_output=True, text=True)
    assert done.returncode == 1 and "eyrie: error: cannot write" in done.stderr
    assert (tmp_path / "out.eyp").read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 2
    fail("params", "convert", tmp_path / "in.eyp", "-o", tmp_path / "absent/out.eyp", says="absent")


def test_accepted_is_what_the_library_accepts(good, tmp_path):
    """Damaged headers of safetensors: we take a file only if its own library does."""
    rng = random.Random(7)
    header_size = struct.unpack("<Q", good["safetensors"][:8])[0]
    taken = 0
    for _ in range(COUNT):
        bad = bytearray(good["safetensors"])
        at = 8 + rng.randrange(header_size)
        bad[at] = rng.choice(b'{}[],:" 0123456789FaeB')
        path = tmp_path / "bad.safetensors"
        path.write_bytes(bad)
        if call("params", "list", path).code == 0:
            names = [row["name"] for row in json.loads(succeed("params", "list", path, "--json").out)["tensors"]]
            assert sorted(safetensors.numpy.load_file(path)) == sorted(names), bytes(bad)
            taken += 1
    assert taken < COUNT
