"""Strings and sequences on the command line: files, made-up values, what is printed and compared."""
import json
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from command import EYRIE, check_equal, compile_model, fail, fold, load_npz, run_module, save_npz, succeed, unfold
from onnx import TensorProto, helper
from small import model_of

FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING
WORDS = np.array([["", "a"], ["größer", "🦅 eagle"]])


def sequence_info(name, element=FLOAT, shape=None):
    return helper.make_value_info(name, helper.make_sequence_type_proto(helper.make_tensor_type_proto(element, shape)))


def optional_info(name, shape, is_sequence=False):
    kind = helper.make_tensor_type_proto(FLOAT, shape)
    return helper.make_value_info(name, helper.make_optional_type_proto(helper.make_sequence_type_proto(kind) if is_sequence else kind))


def sequence_model(nodes, inputs, outputs) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "sequences", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def models():
    node, tensor = helper.make_node, helper.make_tensor_value_info
    return {
        "strings": model_of([node("Identity", ["x"], ["y"])], [("x", STRING, ["n", "m"])], [("y", STRING, ["n", "m"])]),
        "scalar": model_of([node("Identity", ["x"], ["y"])], [("x", STRING, [])], [("y", STRING, [])]),
        "gather": model_of([node("Concat", ["x", "z"], ["c"], axis=0), node("Gather", ["c", "i"], ["y"], axis=0)],
                           [("x", STRING, ["n"]), ("z", STRING, ["m"]), ("i", INT64, ["k"])], [("y", STRING, ["k"])]),
        "construct": sequence_model([node("SequenceConstruct", ["a", "b"], ["s"])],
                                    [tensor("a", FLOAT, ["n"]), tensor("b", FLOAT, ["k", 2])], [sequence_info("s")]),
        "identity": sequence_model([node("Identity", ["x"], ["y"])], [sequence_info("x")], [sequence_info("y")]),
        "rows": sequence_model([node("Identity", ["x"], ["y"])], [sequence_info("x", FLOAT, [None, 3])],
                               [sequence_info("y", FLOAT, [None, 3])]),
        "insert": sequence_model([node("SequenceInsert", ["x", "t", "i"], ["y"])],
                                 [sequence_info("x", STRING), tensor("t", STRING, ["n"]), tensor("i", INT64, [])],
                                 [sequence_info("y", STRING)]),
        "dots": sequence_model([node("Identity", ["x"], ["y"]), node("Identity", ["x.0"], ["y.0"])],
                               [sequence_info("x"), tensor("x.0", INT64, [])],
                               [sequence_info("y"), tensor("y.0", INT64, [])]),
        "optional": sequence_model([node("Identity", ["x"], ["y"]), node("Identity", ["s"], ["t"])],
                                   [optional_info("x", [None, 2]), optional_info("s", [None], is_sequence=True)],
                                   [optional_info("y", [None, 2]), optional_info("t", [None], is_sequence=True)]),
        "half": sequence_model([node("Identity", ["x"], ["y"])], [sequence_info("x", TensorProto.BFLOAT16)],
                               [sequence_info("y", TensorProto.BFLOAT16)]),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("modules")
    for name, model in models().items():
        (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
        compile_model(folder / f"{name}.onnx", folder / f"{name}.eyr")
    return folder


def elements(name, *arrays):
    """A sequence as it travels in an archive."""
    return unfold({name: list(arrays)})


ROW, TABLE = np.array([1, 2, 3], np.float32), np.arange(6, dtype=np.float32).reshape(2, 3)


def check_parts(got, want):
    check_equal(fold(got), fold(want), 0)


@pytest.mark.parametrize("words", [WORDS, WORDS[:0], WORDS.astype(">U10"), np.asfortranarray(WORDS),
                                   np.array([[b"bytes", b""]])], ids=["utf", "none", "big-endian", "fortran", "bytes"])
def test_strings_in_files(folder, tmp_path, words):
    got = run_module(folder / "strings.eyr", {"x": words}, tmp_path)["y"]
    assert got.dtype.kind == "U" and got.shape == words.shape and (got == words.astype("U10")).all()
    longest = max([1, *(len(word) for word in words.astype("U10").flat)])
    assert got.dtype == np.dtype(f"<U{longest}")


def test_a_string_without_dimensions(folder, tmp_path):
    got = run_module(folder / "scalar.eyr", {"x": np.array("word")}, tmp_path)["y"]
    assert got.shape == () and got == "word"
    assert succeed("run", folder / "scalar.eyr", "--input", "x=string=a\\,b").out == 'y: string\n"a,b"\n'


def test_strings_are_moved(folder, tmp_path):
    inputs = {"x": np.array(["a", "bb"]), "z": np.array(["", "bb", "ccc"]), "i": np.array([4, 2, 0, 1, 3])}
    got = run_module(folder / "gather.eyr", inputs, tmp_path)["y"]
    assert got.tolist() == ["ccc", "", "a", "bb", "bb"]


def test_strings_are_printed(folder):
    text = ["run", folder / "strings.eyr", "--input"]
    assert succeed(*text, "x=2x2xstring=a,it's,,\"er").out == 'y: 2x2xstring\n[["a" "it\'s"]\n ["" "\\"er"]]\n'
    assert succeed(*text, "x=1x2xstring=same").out == 'y: 1x2xstring\n[["same" "same"]]\n'
    told = json.loads(succeed(*text, "x=1x2xstring=a,é", "--json").out)
    assert told["outputs"] == [{"name": "y", "type": "string", "shape": [1, 2], "data": ["a", "é"]}]
    fail(*text, "x=2x2xstring=a,b,c", code=2, says="3 values for 4 elements")
    fail(*text, "x=2x2xf32=1", says="expected nxmxstring, found 2x2xf32")


def test_bytes_that_are_not_utf8(folder, tmp_path):
    save_npz(tmp_path / "in.npz", {"x": np.array([[b"ok", b"\xff\xfe"]])})
    call = ["run", folder / "strings.eyr", "--input", f"@{tmp_path / 'in.npz'}"]
    assert succeed(*call).out == 'y: 1x2xstring\n[["ok" "\\xff\\xfe"]]\n'
    fail(*call, "--output", f"y=@{tmp_path / 'y.npy'}", says="'y': element 1 is not UTF-8 (\"\\xff\\xfe\")")
    assert not (tmp_path / "y.npy").exists()


def test_characters_that_do_not_exist(folder, tmp_path):
    save_npz(tmp_path / "in.npz", {"x": np.array([["a", "\ud800"]])})
    fail("run", folder / "strings.eyr", "--input", f"@{tmp_path / 'in.npz'}", says="'x': element 1 has U+D800")
    fail("run", folder / "strings.eyr", "--input", f"@{tmp_path / 'in.npz'}", says="in.npz")


def test_other_types_for_strings(folder, tmp_path):
    save_npz(tmp_path / "in.npz", {"x": np.zeros((1, 2), np.float32)})
    fail("run", folder / "strings.eyr", "--input", f"@{tmp_path / 'in.npz'}",
         says=["expected nxmxstring", "dtype 'U'", "found dtype '<f4'"])


def test_expected_strings(folder, tmp_path):
    save_npz(tmp_path / "good.npz", {"y": np.array([["a", "b"]])})
    save_npz(tmp_path / "bad.npz", {"y": np.array([["a", "c"]])})
    call = ["run", folder / "strings.eyr", "--input", "x=1x2xstring=a,b", "--expect"]
    assert succeed(*call, f"@{tmp_path / 'good.npz'}").out == "y: ok\n"
    result = fail(*call, f"@{tmp_path / 'bad.npz'}")
    assert result.out == 'y: FAILED: 1 of 2 elements differ, the first at [0,1]: "b", expected "c"\n'


def test_sequences_come_out(folder, tmp_path):
    inputs = {"a": ROW, "b": TABLE.reshape(3, 2)}
    check_parts(run_module(folder / "construct.eyr", inputs, tmp_path), elements("s", ROW, TABLE.reshape(3, 2)))


@pytest.mark.parametrize("arrays", [[], [ROW], [TABLE, ROW, np.array(5, np.float32), TABLE[:0]]], ids=len)
def test_sequences_go_in(folder, tmp_path, arrays):
    check_parts(run_module(folder / "identity.eyr", elements("x", *arrays), tmp_path), elements("y", *arrays))


@pytest.mark.parametrize("type", [np.int8, np.uint16, np.int32, np.uint64, ">i4"])
def test_length_of_any_integer_type(folder, tmp_path, type):
    inputs = {"x.len": np.array(1, type), "x.0": ROW}
    check_parts(run_module(folder / "identity.eyr", inputs, tmp_path), elements("y", ROW))


def test_types_that_numpy_lacks(folder, tmp_path):
    bits = np.array([0x3f80, 0xc000], np.uint16)
    check_parts(run_module(folder / "half.eyr", elements("x", bits), tmp_path), elements("y", bits))


def test_sequences_of_strings(folder, tmp_path):
    inputs = {**elements("x", np.array(["a"]), WORDS), "t": np.array(["new", ""]), "i": np.array(1)}
    got = run_module(folder / "insert.eyr", inputs, tmp_path)
    check_parts(got, elements("y", np.array(["a"]), np.array(["new", ""]), WORDS))


def test_single_elements(folder, tmp_path):
    np.save(tmp_path / "table.npy", TABLE)
    call = ["run", folder / "rows.eyr", "--input", f"x.0=@{tmp_path / 'table.npy'}", "--input", "x.1=1x3xf32=0.5"]
    succeed(*call, "--output", f"y.1=@{tmp_path / 'y1.npy'}", "--output", f"y.len=@{tmp_path / 'n.npy'}", "--output",
            f"@{tmp_path / 'all.npz'}")
    assert (np.load(tmp_path / "y1.npy") == np.full((1, 3), 0.5, np.float32)).all()
    assert np.load(tmp_path / "n.npy") == 2
    check_parts(load_npz(tmp_path / "all.npz"), elements("y", TABLE, np.full((1, 3), 0.5, np.float32)))
    fail(*call, "--output", f"y.2=@{tmp_path / 'y2.npy'}", says="there is no 'y.2', the sequence 'y' has 2 elements")
    fail(*call, "--output", f"y=@{tmp_path / 'y.npy'}", code=2,
         says=["'y' is a sequence of ?x3xf32", "--output @FILE.npz", "--output y.0=@FILE.npy"])


def test_named_elements_replace_those_of_an_archive(folder, tmp_path):
    save_npz(tmp_path / "in.npz", elements("x", ROW, ROW))
    succeed("run", folder / "identity.eyr", "--input", f"@{tmp_path / 'in.npz'}", "--input", "x.1=f32=7", "--output",
            f"@{tmp_path / 'out.npz'}")
    check_parts(load_npz(tmp_path / "out.npz"), elements("y", ROW, np.array(7, np.float32)))


def test_sequences_are_printed(folder):
    call = ["run", folder / "identity.eyr", "--input"]
    given = ["x.0=2xf32=1,2", "--input", "x.1=f32=3"]
    assert succeed(*call, *given).out == "y: sequence of 2\ny.0: 2xf32\n[1 2]\ny.1: f32\n3\n"
    assert succeed(*call, "x.len=0").out == "y: sequence of 0\n"
    told = json.loads(succeed(*call, *given, "--json").out)
    assert told["outputs"] == [{"name": "y", "type": "sequence", "elements": [
        {"name": "y.0", "type": "f32", "shape": [2], "data": [1, 2]},
        {"name": "y.1", "type": "f32", "shape": [], "data": [3]}]}]


def test_wrong_sequences(folder, tmp_path):
    def refused(*given, code=1, says=()):
        fail("run", folder / "rows.eyr", *(f"--input={text}" for text in given), code=code, says=says)

    save_npz(tmp_path / "in.npz", {"x.len": np.array(3), "x.1": TABLE})
    save_npz(tmp_path / "length.npz", {"x.len": np.array([1.5])})
    save_npz(tmp_path / "whole.npz", {"x": TABLE})
    refused(says="inputs are missing: 'x' sequence of ?x3xf32; give each part as --input x.0=@FILE.npy")
    refused(f"@{tmp_path / 'in.npz'}", says="the sequence 'x' has 3 elements, of which there is no 'x.0', 'x.2'")
    refused(f"@{tmp_path / 'length.npz'}", says="'x.len': expected one integer, found dtype '<f8' of shape 1")
    refused(f"@{tmp_path / 'whole.npz'}", says="the input 'x' is a sequence of ?x3xf32: give its elements as 'x.0'")
    refused("x.len=1", "x.0=1x3xf32=0", "x.1=1x3xf32=0", says="'x.len' is 1, but there is 'x.1'")
    refused("x.0=3xf32=0", says="input 'x.0': expected ?x3xf32, found 3xf32")
    refused("x.len=many", code=2, says="expected the number of elements or @FILE.npy")


def test_names_with_dots(folder, tmp_path):
    call = ["run", folder / "dots.eyr", "--input", "x.0=i64=4", "--input", "x.len=0"]
    assert succeed(*call).out == "y: sequence of 0\ny.0: i64\n4\n"
    succeed(*call, "--output", f"y.0=@{tmp_path / 'y0.npy'}", "--output", f"@{tmp_path / 'all.npz'}")
    assert np.load(tmp_path / "y0.npy") == 4
    check_parts(load_npz(tmp_path / "all.npz"), {"y.len": np.array(0), "y.0": np.array(4)})


def test_expected_sequences(folder, tmp_path):
    def compare(*arrays, good):
        save_npz(tmp_path / "want.npz", elements("y", *arrays))
        call = ["run", folder / "identity.eyr", "--input", "x.0=2xf32=1", "--input", "x.1=f32=3", "--expect",
                f"@{tmp_path / 'want.npz'}"]
        return (succeed(*call) if good else fail(*call)).out

    one, three = np.ones(2, np.float32), np.array(3, np.float32)
    assert compare(one, three, good=True).split("\n")[0] == "y.len: ok"
    assert "y.1: FAILED: max abs error 2" in compare(one, one[0], good=False)
    assert "y.1: FAILED: the result is f32, the reference 2xf32" in compare(one, one, good=False)
    assert compare(one, good=False) == "y.len: FAILED: the result has length 2, the reference 1\n"


def test_inspect(folder):
    assert "  x  sequence of ?x3xf32\n" in succeed("inspect", folder / "rows.eyr").out
    assert "  x  sequence of f32\n" in succeed("inspect", folder / "identity.eyr").out
    told = lambda name: json.loads(succeed("inspect", folder / f"{name}.eyr", "--json").out)["functions"][0]
    assert told("rows")["inputs"] == [{"name": "x", "type": "sequence", "elements": {"type": "f32", "shape": [None, 3]}}]
    assert told("identity")["outputs"] == [{"name": "y", "type": "sequence", "elements": {"type": "f32", "shape": None}}]
    assert told("strings")["inputs"] == [{"name": "x", "type": "string", "shape": ["n", "m"]}]


def test_bench(folder):
    call = lambda name, *flags: ["bench", folder / f"{name}.eyr", "--min-time", "0.01", *flags]
    assert "median" in succeed(*call("strings", "--shape", "x=2x3")).out
    assert "median" in succeed(*call("rows", "--shape", "x=2x3")).out
    assert "median" in succeed(*call("identity", "--input", "x.0=2xf32=1", "--input", "x.1=f32=1")).out
    fail(*call("rows"), says="give the shape of an element, as in --shape x=")
    fail(*call("identity"), says="input 'x' is a sequence of f32: give the shape of an element")


def small(*arguments, code=0):
    """Calls eyrie-run and returns what it printed."""
    done = subprocess.run([Path(EYRIE).parent / "eyrie-run", *map(str, arguments)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60, text=True)
    assert done.returncode == code, done.stdout
    return done.stdout


@pytest.mark.parametrize("words", [WORDS, WORDS[:0], np.array([["", ""]])], ids=["words", "none", "empty"])
def test_strings_without_the_compiler(folder, tmp_path, words):
    np.save(tmp_path / "x.npy", words)
    call = ["run", folder / "strings.eyr", "--input", f"x=@{tmp_path / 'x.npy'}"]
    small(*call, "--output", f"y=@{tmp_path / 'y.npy'}")
    got = np.load(tmp_path / "y.npy")
    assert got.dtype == (words.dtype if words.size else np.dtype("<U1")) and got.shape == words.shape and (got == words).all()
    assert small(*call) == f"y: {len(words)}x2xstring =" + "".join(f' "{word}"' for word in words.flat) + "\n"
    assert small("run", folder / "strings.eyr", "--input", 'x=1x2xstring=a"b') == 'y: 1x2xstring = "a\\"b" "a\\"b"\n'
    assert "median" in small("bench", folder / "strings.eyr", "--min-time", "0.01")


def test_hostile_strings_without_the_compiler(folder, tmp_path):
    call = ["run", folder / "strings.eyr", "--input", f"x=@{tmp_path / 'x.npy'}"]
    np.save(tmp_path / "x.npy", np.array([["a", "\ud800"]]))
    assert "element 1 has U+D800" in small(*call, code=1)
    np.save(tmp_path / "x.npy", WORDS)
    data = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(data[:-1])
    assert "the file has" in small(*call, code=1) or "cut off" in small(*call, code=1)
    (tmp_path / "x.npy").write_bytes(data.replace(b"<U7", b"<U0"))
    assert "strings of 0 characters" in small(*call, code=1)
    (tmp_path / "x.npy").write_bytes(data.replace(b"<U7", b"<Ux"))
    assert "wants elements of type string" in small(*call, code=1)


def test_sequences_without_the_compiler(folder, tmp_path):
    np.save(tmp_path / "table.npy", TABLE)
    call = ["run", folder / "rows.eyr", "--input", "x.1=1x3xf32=0.5", "--input", f"x.0=@{tmp_path / 'table.npy'}"]
    assert small(*call) == "y: sequence of 2\ny.0: 2x3xf32 = 0 1 2 3 4 5\ny.1: 1x3xf32 = 0.5 0.5 0.5\n"
    small(*call, "--input", "x.len=2", "--output", f"y.0=@{tmp_path / 'y.npy'}", "--output", f"y.len=@{tmp_path / 'n.npy'}")
    assert (np.load(tmp_path / "y.npy") == TABLE).all() and np.load(tmp_path / "n.npy") == 2
    assert small("run", folder / "rows.eyr", "--input", "x.len=0") == "y: sequence of 0\n"
    assert "x.len is 1, but there is x.1" in small(*call, "--input", "x.len=1", code=2)
    assert "input 'x' has 3 elements, but x.2 is missing" in small(*call, "--input", "x.len=3", code=2)
    assert "x.1 is given twice" in small(*call, "--input", "x.1=1x3xf32=0", code=2)
    assert "there is no y.2: the sequence has 2 elements" in small(*call, "--output", "y.2=@y.npy", code=1)
    assert "output 'y' is a sequence" in small(*call, "--output", "y=@y.npy", code=2)
    assert "input 'x' is a sequence" in small("run", folder / "rows.eyr", "--input", "x=1x3xf32=0", code=2)
    assert "give --input x.0=@FILE.npy" in small("run", folder / "rows.eyr", code=2)
    assert small("run", folder / "dots.eyr", "--input", "x.0=i64=4", "--input", "x.len=0") == "y: sequence of 0\ny.0: i64 = 4\n"
    for name in "rows", "identity", "insert":
        assert "median" in small("bench", folder / f"{name}.eyr", "--min-time", "0.01")


def test_optional_values_without_the_compiler(folder, tmp_path):
    call = ["run", folder / "optional.eyr"]
    assert small(*call) == "y: no value\nt: no value\n"
    assert small(*call, "--input", "x=1x2xf32=1", "--input", "s.len=0") == "y: 1x2xf32 = 1 1\nt: sequence of 0\n"
    assert small(*call, "--input", "s.0=2xf32=3") == "y: no value\nt: sequence of 1\nt.0: 2xf32 = 3 3\n"
    for part in "y", "t.0", "t.len":
        assert "has no value in this call" in small(*call, "--output", f"{part}=@{tmp_path / 'y.npy'}", code=1)
    assert "expected optional ?x2xf32, got 3x3xf32" in small(*call, "--input", "x=3x3xf32=1", code=1)
    assert "median" in small("bench", folder / "optional.eyr", "--min-time", "0.01")


def test_optional_sequences(folder, tmp_path):
    """None, an empty one, and one with an element are three things."""
    for given in ({}, {"s": []}, {"s": [ROW]}, {"x": TABLE[:, :2]}):
        want = {{"s": "t", "x": "y"}[name]: value for name, value in given.items()}
        check_equal(run_module(folder / "optional.eyr", given, tmp_path), want, 0)
    fail("run", folder / "optional.eyr", "--output", f"t.0=@{tmp_path / 't.npy'}", says="the optional output 't' has no value")
