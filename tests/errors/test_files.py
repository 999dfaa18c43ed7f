"""Inputs, paths and disks that are wrong: an error that names what was expected and found, and no half-written file."""
import os
import resource
import subprocess

import numpy as np
import pytest
from command import EYRIE, call, compile_model, fail, save_npz, succeed
from small import adder, adder_inputs


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    folder = tmp_path_factory.mktemp("adder")
    (folder / "model.onnx").write_bytes(adder().SerializeToString())
    compile_model(folder / "model.onnx", folder / "model.eyr")
    return folder / "model.eyr"


def run_with(module, tmp_path, changes):
    inputs = {key: value for key, value in {**adder_inputs(), **changes}.items() if value is not None}
    save_npz(tmp_path / "in.npz", inputs)
    return ["run", module, "--input", f"@{tmp_path / 'in.npz'}"]


def test_wrong_rank(module, tmp_path):
    fail(*run_with(module, tmp_path, {"a": np.zeros((2, 3, 1), np.float32)}), says=["a", "2x3x1"])


def test_wrong_size(module, tmp_path):
    fail(*run_with(module, tmp_path, {"a": np.zeros((2, 4), np.float32)}), says=["a", "2x4", "x3"])


def test_sizes_of_one_symbol_differ(module, tmp_path):
    fail(*run_with(module, tmp_path, {"a": np.zeros((5, 3), np.float32)}), says=["n", "5", "2"])


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int32, np.uint8, bool])
def test_wrong_type(module, tmp_path, dtype):
    fail(*run_with(module, tmp_path, {"a": np.zeros((2, 3), dtype)}), says=["a", "f32"])


def test_missing_input(module, tmp_path):
    fail(*run_with(module, tmp_path, {"count": None}), says=["count", "i64"])


def test_no_inputs(module):
    fail("run", module, says=["a", "b", "count", "f32"])


def test_unknown_input(module, tmp_path):
    fail(*run_with(module, tmp_path, {}), "--input", "nobody=1xf32=0", says=["nobody", "count"])


def test_unknown_output(module, tmp_path):
    fail(*run_with(module, tmp_path, {}), "--output", f"nobody=@{tmp_path / 'y.npy'}", says=["nobody", "sum"])


def test_absent_files(module, tmp_path):
    absent = tmp_path / "absent"
    for arguments in (["compile", absent, "-o", tmp_path / "x.eyr"], ["run", absent], ["bench", absent], ["inspect", absent],
                      ["run", module, "--input", f"@{absent}"], ["run", module, "--input", f"a=@{absent}"]):
        fail(*arguments, says="absent")
    fail(*run_with(module, tmp_path, {}), "--expect", f"@{absent}", says="absent")


def test_directories_for_files(module, tmp_path):
    for arguments in (["compile", tmp_path, "-o", tmp_path / "x.eyr"], ["run", tmp_path], ["bench", tmp_path],
                      ["inspect", tmp_path], ["run", module, "--input", f"@{tmp_path}"]):
        fail(*arguments, says="directory")
    model = module.parent / "model.onnx"
    fail("compile", model, "-o", tmp_path, says="directory")
    fail(*run_with(module, tmp_path, {}), "--output", f"@{tmp_path}")


def test_devices_for_files(module):
    for device in "/dev/zero", "/dev/null":
        for arguments in ["compile", device, "-o", "/tmp/never.eyr"], ["run", device], ["inspect", device]:
            fail(*arguments, timeout=30)


def test_folder_that_does_not_exist(module, tmp_path):
    fail("compile", module.parent / "model.onnx", "-o", tmp_path / "no/such/model.eyr")
    fail(*run_with(module, tmp_path, {}), "--output", f"@{tmp_path / 'no/such/y.npz'}")
    fail(*run_with(module, tmp_path, {}), "--output", f"sum=@{tmp_path / 'no/such/y.npy'}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_that_cannot_be_written(module, tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    fail("compile", module.parent / "model.onnx", "-o", folder / "model.eyr")


def test_full_standard_output(module, tmp_path):
    commands = [run_with(module, tmp_path, {}), ["inspect", module], ["inspect", module, "--json"], ["--help"], ["--version"],
                ["compile", module.parent / "model.onnx", "-o", "-"]]
    for arguments in commands:
        with open("/dev/full", "wb") as full:
            assert (result := call(*arguments, stdout=full)).code == 1 and "eyrie: error" in result.err, result


def test_closed_pipe(module):
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        assert (result := call("inspect", module, "--vm", stdout=write_end)).code == 1, result
    finally:
        os.close(write_end)


def limited(size, *arguments):
    """A call that may not write files larger than `size` bytes: what a full disk does, without one."""
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    done = subprocess.run([EYRIE, *map(str, arguments)], capture_output=True, preexec_fn=limit, timeout=120)
    return done.returncode, done.stderr.decode(errors="replace")


def test_full_disk(module, tmp_path):
    """The old file stays as it was, and nothing else is left."""
    model = module.parent / "model.onnx"
    target = tmp_path / "model.eyr"
    target.write_bytes(b"old")
    code, text = limited(1000, "compile", model, "-o", target)
    assert code == 1 and "eyrie: error" in text, (code, text)
    assert target.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["model.eyr"]

    arguments = run_with(module, tmp_path, {"a": np.zeros((500, 3), np.float32), "b": np.zeros((500, 3), np.float32)})
    for flag in f"@{tmp_path / 'y.npz'}", f"sum=@{tmp_path / 'y.npy'}":
        code, text = limited(1000, *arguments, "--output", flag)
        assert code == 1 and "eyrie: error" in text, (code, text)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.npz", "model.eyr"]


def test_little_memory(module, tmp_path):
    """An address space of 300 MB is enough to run a small module or to say why not."""
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (300 << 20, 300 << 20))
    for command in run_with(module, tmp_path, {}), ["inspect", module], \
            ["run", module, "--input", "a=100000000x3xf32=1", "--input", "b=100000000x3xf32=1", "--input", "count=i64=1"]:
        done = subprocess.run([EYRIE, *map(str, command)], capture_output=True, preexec_fn=limit, timeout=60)
        assert done.returncode in (0, 1), done.stderr.decode(errors="replace")


def test_output_replaces_a_file_only_when_it_is_whole(module, tmp_path):
    (tmp_path / "y.npz").write_bytes(b"old")
    fail(*run_with(module, tmp_path, {"a": np.zeros((5, 3), np.float32)}), "--output", f"@{tmp_path / 'y.npz'}")
    assert (tmp_path / "y.npz").read_bytes() == b"old"
    succeed(*run_with(module, tmp_path, {}), "--output", f"@{tmp_path / 'y.npz'}")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.npz", "y.npz"]
