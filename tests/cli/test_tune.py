"""`eyrie tune`, and what `compile --tuning` makes of its files."""
import ctypes
import json

import numpy as np
import onnx
import pytest
from cases import f32, ints
from catalogue import inputs_of, path_of
from command import EYRIE, check_equal, compile_model, fail, run_module, succeed
from graphs import FLOAT, node
from onnx import helper
from pathlib import Path
from reference import Reference
from small import model_of

TOLERANCE = 1e-4


def alternatives():
    library = ctypes.CDLL(str(Path(EYRIE).resolve().parents[1] / "lib/libeyrie-compiler.so"))
    library.eyrie_compiler_alternative.restype = ctypes.c_char_p
    library.eyrie_compiler_alternative.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    names = []
    while name := library.eyrie_compiler_alternative(b"cpu", len(names)):
        names.append(name.decode())
    assert library.eyrie_compiler_alternative(b"cpu", 1000) is None and library.eyrie_compiler_alternative(b"tpu", 0) is None
    return names


def tuning(path, kernels):
    path.write_text(json.dumps({"format": "eyrie-tuning-1", "kernels": {name: {"choice": choice} for name, choice in kernels.items()}}))
    return path


def products():
    """A product that is widened, one that is streamed and staged, a convolution by Winograd's method."""
    weights = [("q", ints(1024, 16, 16, low=0, high=256, dtype=np.uint8)), ("s", f32(1024 * 16, low=0.1, high=1)), ("v", f32(1024, 1024) / 8),
               ("w", f32(64, 64, 3, 3) / 24)]
    nodes = [helper.make_node("MatMulNBits", ["x", "q", "s"], ["a"], domain="com.microsoft", K=512, N=1024, bits=4, block_size=32),
             node("MatMul", ["a", "v"], ["b"]), node("Reshape", ["b", "image"], ["i"]), node("Transpose", ["i"], ["t"], perm=[0, 3, 1, 2]),
             node("Conv", ["t", "w"], ["y"], kernel_shape=[3, 3])]
    return model_of(nodes, [("x", FLOAT, [100, 512])], [("y", FLOAT, None)], [*weights, ("image", np.array([10, 16, 10, 64]))],
                    domains=["com.microsoft"])


@pytest.mark.parametrize("choice", alternatives())
def test_every_choice_is_right(choice, tmp_path):
    file = tuning(tmp_path / "t.json", {"*": choice})
    onnx.save(products(), tmp_path / "products.onnx")
    for model, feed in ((tmp_path / "products.onnx", {"x": f32(100, 512)}), *((path_of(name), inputs_of(name)[-1]) for name in ("tiny_resnet_dynamic", "tiny_bert_dynamic"))):
        compile_model(model, tmp_path / "m.eyr", "--tuning", file)
        check_equal(run_module(tmp_path / "m.eyr", feed, tmp_path), Reference(model)(feed), TOLERANCE)


def test_choices_change_the_code_of_the_kernels_that_they_name(tmp_path):
    onnx.save(products(), tmp_path / "m.onnx")
    def code(kernels):
        compile_model(tmp_path / "m.onnx", tmp_path / "m.eyr", "--tuning", tuning(tmp_path / "t.json", kernels))
        return (tmp_path / "m.eyr").read_bytes()
    plain, named = code({"nobody": "rows=3"}), code({"MatMul_1": "rows=3"})
    assert named != plain and code({"MatMul_1": "rows=3"}) == named
    assert code({"*": "rows=3"}) not in (plain, named)


def test_tune(tmp_path):
    model, feed = path_of("tiny_resnet"), inputs_of("tiny_resnet")[0]
    report = succeed("tune", model, "-o", tmp_path / "t.json", "--min-time", "0.01").out
    assert report.splitlines()[-1].startswith(("a call: ", "nothing is faster"))
    told = json.loads((tmp_path / "t.json").read_text())
    assert told["format"] == "eyrie-tuning-1" and told["default_ms"] > 0 and told["tuned_ms"] > 0
    assert all(kernel["choice"] in alternatives() and kernel["ms"] < kernel["default_ms"] for kernel in told["kernels"].values())
    compile_model(model, tmp_path / "m.eyr", "--tuning", tmp_path / "t.json")
    check_equal(run_module(tmp_path / "m.eyr", feed, tmp_path), Reference(model)(feed), TOLERANCE)
    printed = json.loads(succeed("tune", path_of("tiny_lstm"), "-o", tmp_path / "l.json", "--min-time", "0.01", "--json").out)
    assert printed == json.loads((tmp_path / "l.json").read_text())


def test_wrong_files(tmp_path):
    model, file = path_of("tiny_lstm"), tmp_path / "t.json"
    def refused(text, says):
        file.write_text(text)
        fail("compile", model, "-o", tmp_path / "m.eyr", "--tuning", file, says=[f"--tuning: '{file}' ", says])
    refused("{", "is not JSON: ")
    refused("[]", "is not a file of `eyrie tune`")
    refused('{"format": "eyrie-tuning-9", "kernels": {}}', "is not a file of `eyrie tune`")
    refused('{"format": "eyrie-tuning-1", "kernels": {"a": {}}}', "says no \"choice\" for the kernel 'a'")
    refused('{"format": "eyrie-tuning-1", "kernels": {"a": {"choice": "rows=99"}}}', "has the choice 'rows=99' for the kernel 'a'")
    file.unlink()
    fail("compile", model, "-o", tmp_path / "m.eyr", "--tuning", file, says="cannot be read: No such file")
    warned = succeed("compile", model, "-o", tmp_path / "m.eyr", "--tuning", tuning(file, {"nobody": "rows=8"}))
    assert "is about none of this model's kernels" in warned.err


def test_wrong_commands(tmp_path):
    model = path_of("tiny_lstm")
    fail("tune", model, code=2, says="--output is required")
    fail("tune", model, "-o", tmp_path / "t.json", "--min-time", "0", code=2, says="--min-time must be more than 0")
    fail("tune", tmp_path / "no.onnx", "-o", tmp_path / "t.json", says="cannot read")
    fail("tune", model, "-o", tmp_path / "t.json", "--cpu", "aarch64", says="this machine runs")
    fail("tune", model, "-o", tmp_path / "no/t.json", "--min-time", "0.001", says="no/t.json")
    assert list(tmp_path.iterdir()) == []
