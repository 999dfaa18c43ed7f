"""The Python binding of the compiler: options, errors, and callbacks that expand operators."""
import ctypes
import gc
import json
import subprocess
import threading

import numpy as np
import onnx
import pytest
from command import ROOT, check_equal, run_module, succeed
from onnx import TensorProto, helper, numpy_helper
from reference import Reference
from small import adder, adder_inputs, model_of, network, network_inputs

import eyrie
from eyrie import _compiler as native

BOOL, FLOAT, INT64 = TensorProto.BOOL, TensorProto.FLOAT, TensorProto.INT64
node = helper.make_node
HOUSE = "my.house"
X, Y = [("x", FLOAT, ["n", 4])], [("y", FLOAT, None)]
FEED = {"x": np.random.default_rng(4).standard_normal((3, 4), np.float32)}


def house(op, inputs, outputs, **more):
    return node(op, inputs, outputs, domain=HOUSE, **more)


def model(*nodes, inputs=X, outputs=Y, **more):
    return model_of(list(nodes) or [house("Op", ["x"], ["y"], name="mine")], inputs, outputs, domains=[HOUSE], **more)


def function(nodes, inputs=("a",), outputs=("b",), opset=17, **more):
    return helper.make_function(HOUSE, "Op", list(inputs), list(outputs), nodes, [helper.make_opsetid("", opset)], **more)


NEGATE = function([node("Neg", ["a"], ["b"])])


def call(source, folder, feed=FEED, **arguments):
    """Compiles and calls."""
    eyrie.compile(source, folder / "m.eyr", **arguments)
    return run_module(folder / "m.eyr", feed, folder)


def expanded(folder, fn, source=None, feed=FEED, **arguments):
    return call(source or model(), folder, feed, expansions={(HOUSE, "Op"): fn}, **arguments)


def refuse(fn, *says, source=None, **arguments):
    with pytest.raises(eyrie.CompileError) as raised:
        eyrie.compile(source or model(), expansions={(HOUSE, "Op"): fn}, **arguments)
    for text in says:
        assert text in str(raised.value), str(raised.value)
    assert "/tmp" not in str(raised.value)
    return raised.value


# ---- compiling

def test_models_as_path_bytes_and_message(tmp_path):
    onnx.save(network(), tmp_path / "model.onnx")
    assert eyrie.compile(tmp_path / "model.onnx", tmp_path / "a.eyr") == tmp_path / "a.eyr"
    assert eyrie.compile(str(tmp_path / "model.onnx"), str(tmp_path / "b.eyr")) == tmp_path / "b.eyr"
    made = {eyrie.compile(source) for source in (network(), network().SerializeToString(), tmp_path / "model.onnx")}
    assert made == {(tmp_path / "a.eyr").read_bytes()} == {(tmp_path / "b.eyr").read_bytes()}
    succeed("compile", tmp_path / "model.onnx", "-o", tmp_path / "c.eyr")
    assert (tmp_path / "c.eyr").read_bytes() in made
    instance = eyrie.Module(tmp_path / "a.eyr").instance()
    check_equal(instance(network_inputs()), Reference(network())(network_inputs()), 1e-5)


def test_options(tmp_path):
    text = eyrie.compile(network(), shape={"image": (3, 1, 6, 6)}, stop_after="import", opt_level=1, strip=True)
    assert b"tensor<3x1x6x6xf32>" in text
    assert b"tensor<2x1x6x6xf32>" in eyrie.compile(network(), shape=["batch=2"], options={"stop-after": "import"})
    stages = []
    eyrie.compile(network(), progress=lambda *stage: stages.append(stage), jobs=1, target="reference")
    assert stages[0] == ("import", 0, len(stages)) and stages[-1][0] == "module"


def test_several_models(tmp_path):
    eyrie.compile({"add": adder(), "classify": network()}, tmp_path / "m.eyr")
    module = eyrie.Module(tmp_path / "m.eyr")
    assert [f.name for f in module.functions] == ["add", "classify"]
    check_equal(module.instance()(adder_inputs(), function="add"), Reference(adder())(adder_inputs()), 0)


def test_check(tmp_path):
    onnx.save(network(), tmp_path / "model.onnx")
    told = eyrie.check(network(), shape={"batch": 2})
    assert told == json.loads(succeed("check", tmp_path / "model.onnx", "--json", "--shape", "batch=2").out)


@pytest.mark.parametrize("arguments, is_usage, says", [
    ({"opt_level": 7}, True, "'opt-level'"), ({"fancy": 1}, True, "no option 'fancy'"), ({"target": "abacus"}, True, "no target 'abacus'"),
    ({"shape": {"nobody": 3}}, False, "nobody"), ({"functions": ["absent.onnx"]}, False, "absent.onnx"),
])
def test_wrong_options(arguments, is_usage, says):
    with pytest.raises(eyrie.CompileError, match=says) as raised:
        eyrie.compile(network(), **arguments)
    assert raised.value.is_usage == is_usage


def test_errors_leave_an_older_module(tmp_path):
    (tmp_path / "m.eyr").write_bytes(b"older")
    with pytest.raises(eyrie.CompileError, match=r"(?s)^model\.onnx: .*my\.house::Op"):
        eyrie.compile(model(), tmp_path / "m.eyr")
    with pytest.raises(eyrie.CompileError, match="absent.onnx"):
        eyrie.compile(tmp_path / "absent.onnx", tmp_path / "m.eyr")
    with pytest.raises(TypeError, match="got int"):
        eyrie.compile(3, tmp_path / "m.eyr")
    assert (tmp_path / "m.eyr").read_bytes() == b"older" and len(list(tmp_path.iterdir())) == 1


def test_progress_that_raises():
    def progress(stage, index, count):
        raise KeyboardInterrupt("enough")
    with pytest.raises(KeyboardInterrupt, match="enough"):
        eyrie.compile(network(), progress=progress)


def test_structures_are_those_of_the_header(tmp_path):
    names = {"eyrie_option_info_t": native.OptionInfo, "eyrie_expand_input_t": native.ExpandInput, "eyrie_expand_node_t": native.ExpandNode}
    lines = "".join(f'printf("{name} %zu\\n", sizeof({name}));' for name in names)
    (tmp_path / "sizes.c").write_text(f"#include <stdio.h>\n#include <eyrie/compiler.h>\nint main(void) {{{lines}}}")
    subprocess.run(["cc", f"-I{ROOT}/include", tmp_path / "sizes.c", "-o", tmp_path / "sizes"], check=True)
    told = dict(line.split() for line in subprocess.run([tmp_path / "sizes"], capture_output=True, text=True).stdout.splitlines())
    assert {name: ctypes.sizeof(structure) for name, structure in names.items()} == {name: int(size) for name, size in told.items()}


# ---- libraries of functions

class Script:
    """As onnxscript's functions are."""

    def to_function_proto(self):
        return NEGATE


def library():
    return model_of([node("Identity", ["x"], ["y"])], X, Y, functions=[NEGATE], domains=[HOUSE])


@pytest.mark.parametrize("given", [NEGATE, NEGATE.SerializeToString(), library(), Script()], ids=["function", "bytes", "model", "script"])
def test_functions(tmp_path, given):
    assert np.array_equal(call(model(), tmp_path, functions=[given])["y"], -FEED["x"])
    assert eyrie.check(model(), functions=[given])["functions"][0]["operations"] > 0


def test_functions_of_files_and_warnings(tmp_path):
    (tmp_path / "negate.onnx").write_bytes(NEGATE.SerializeToString())
    for given in (tmp_path / "negate.onnx", [tmp_path / "negate.onnx"]):
        assert np.array_equal(call(model(), tmp_path, functions=given)["y"], -FEED["x"])
    mine = model(functions=[function([node("Abs", ["a"], ["b"])])])
    with pytest.warns(eyrie.CompileWarning, match=r"the function 'my\.house::Op' of .* --override") as told:
        assert np.array_equal(call(mine, tmp_path, functions=[NEGATE])["y"], np.abs(FEED["x"]))
    assert told[0].filename == __file__
    assert np.array_equal(call(mine, tmp_path, functions=[NEGATE], override=["my.house::Op"])["y"], -FEED["x"])


# ---- callbacks

def test_what_a_callback_sees(tmp_path):
    seen = []

    def fn(given):
        seen.append(given)
        return [node("Neg", [given.inputs[0].name], [given.outputs[0]])]

    attributes = {"i": 3, "f": 0.5, "s": "text", "ints": [1, 2], "floats": [0.5], "strings": ["a", "b"],
                  "t": numpy_helper.from_array(np.arange(3))}
    nodes = [house("Op", ["x", "k", "", "flags", "w", "text", "many"], ["y", ""], name="mine", **attributes)]
    weights = [("k", np.array([[5, 7]])), ("w", np.ones((64, 64), np.float32)), ("flags", np.array([True, False]))]
    many = helper.make_tensor_sequence_value_info("many", FLOAT, [None, 2])
    whole = model(*nodes, inputs=[*X, ("text", TensorProto.STRING, []), many], weights=weights, opset=18)
    text = eyrie.compile(whole, expansions={"my.house::Op": fn}, stop_after="import")
    assert b"arith.negf" in text
    given = seen[0]
    assert (given.op_type, given.domain, given.name, given.opset, given.version) == ("Op", HOUSE, "mine", 18, 1)
    assert given.outputs == ["y", ""] and "mine" in repr(given)
    assert {k: v for k, v in given.attributes.items() if k != "t"} == {k: v for k, v in attributes.items() if k != "t"}
    assert np.array_equal(given.attributes["t"], np.arange(3))
    x, k, absent, flags, w, text, many = given.inputs
    assert (x.name, x.kind, x.type, x.dtype, x.shape, x.value) == ("x", "tensor", FLOAT, np.float32, (None, 4), None)
    assert k.dtype == np.int64 and np.array_equal(k.value, [[5, 7]]) and np.array_equal(flags.value, [True, False])
    assert (absent.name, absent.kind, absent.shape, absent.dtype) == ("", None, None, None)
    assert w.shape == (64, 64) and w.value is None
    assert text.type == TensorProto.STRING and text.shape == ()
    assert (many.kind, many.dtype, many.shape) == ("sequence", np.float32, (None, 2))


@pytest.mark.parametrize("kind", ["FLOAT16", "DOUBLE", "INT8", "UINT8", "UINT64", "BOOL", "BFLOAT16", "INT4", "FLOAT8E4M3FN"])
def test_types_that_a_callback_sees(kind):
    kind, seen = getattr(TensorProto, kind), []
    fn = lambda given: seen.extend(given.inputs) or [node("Identity", [given.inputs[0].name], given.outputs)]
    values = helper.make_tensor("w", kind, [2], [1, 0])
    made = model(house("Op", ["x", "w"], ["y"]), inputs=[("x", kind, [2])], outputs=[("y", kind, [2])], opset=23, ir_version=11)
    made.graph.initializer.append(values)
    eyrie.compile(made, expansions={(HOUSE, "Op"): fn}, stop_after="import")
    assert seen[0].type == seen[1].type == kind and seen[0].shape == (2,)
    if kind != TensorProto.INT4:
        assert seen[1].value.tobytes() == numpy_helper.to_array(values).tobytes()


@pytest.mark.parametrize("answer", [NEGATE, NEGATE.SerializeToString(), Script(), node("Neg", ["x"], ["y"]), [node("Neg", ["x"], ["y"])]])
def test_what_a_callback_may_return(tmp_path, answer):
    assert np.array_equal(expanded(tmp_path, lambda given: answer)["y"], -FEED["x"])


def power_sum(given):
    """A sum of powers of the inputs: any number of them, ranks that may differ, exponents in an attribute."""
    nodes, terms = [], []
    for i, (value, exponent) in enumerate(zip(given.inputs, given.attributes["exponents"])):
        source = value.name
        if len(value.shape) == 1:
            nodes += [node("Constant", [], [f"axes{i}"], value_ints=[0]), node("Unsqueeze", [source, f"axes{i}"], [f"wide{i}"])]
            source = f"wide{i}"
        nodes += [node("Constant", [], [f"e{i}"], value_float=float(exponent)), node("Pow", [source, f"e{i}"], [f"t{i}"])]
        terms.append(f"t{i}")
    return [*nodes, node("Sum", terms, given.outputs)]


def test_variadic_inputs_of_different_ranks(tmp_path):
    row = np.arange(4, dtype=np.float32)
    source = model(house("Op", ["x", "row", "x"], ["y"], exponents=[2, 3, 1]), inputs=[*X, ("row", FLOAT, [4])])
    got = expanded(tmp_path, power_sum, source, {**FEED, "row": row})
    check_equal(got, {"y": FEED["x"] ** 2 + row ** 3 + FEED["x"]}, 1e-5)


def test_absent_inputs_and_unwanted_outputs(tmp_path):
    source = model(house("Op", ["", "x", "x"], ["", "y"]))
    assert np.array_equal(expanded(tmp_path, lambda given: [node("Add", ["x", "x"], ["y"])], source)["y"], 2 * FEED["x"])


def test_references_to_attributes_are_values(tmp_path):
    """The node lies in a function of the model, and its attribute is the function's."""
    inner = house("Op", ["a"], ["b"])
    inner.attribute.append(onnx.AttributeProto(name="scale", ref_attr_name="factor", type=onnx.AttributeProto.FLOAT))
    outer = helper.make_function(HOUSE, "Outer", ["a"], ["b"], [inner], [helper.make_opsetid("", 17)], ["factor"])
    source = model(house("Outer", ["x"], ["y"], factor=3.0, name="out"), functions=[outer])
    names = []

    def fn(given):
        names.append(given.name)
        return [node("Constant", [], ["k"], value_float=given.attributes["scale"]), node("Mul", [given.inputs[0].name, "k"], given.outputs)]

    check_equal(expanded(tmp_path, fn, source), {"y": 3 * FEED["x"]}, 1e-6)
    assert names == ["out/Op_0"]


def test_references_inside_of_a_graph_of_the_node(tmp_path):
    """A body that the callback hands on refers to an attribute of the function around the node."""
    info = helper.make_tensor_value_info
    leaky = node("LeakyRelu", ["a"], ["next"])
    leaky.attribute.append(onnx.AttributeProto(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT))
    body = helper.make_graph([leaky, node("Identity", ["go"], ["on"])], "body", [info("i", INT64, []), info("go", BOOL, []), info("a", FLOAT, None)],
                             [info("on", BOOL, []), info("next", FLOAT, None)])
    outer = helper.make_function(HOUSE, "Outer", ["a"], ["b"], [house("Op", ["a"], ["b"], body=body)], [helper.make_opsetid("", 17)], ["slope"])
    source = model(house("Outer", ["x"], ["y"], slope=0.5), functions=[outer])
    fn = lambda given: [node("Constant", [], ["turns"], value_int=2),
                        node("Loop", ["turns", "", given.inputs[0].name], given.outputs, body=given.attributes["body"])]
    check_equal(expanded(tmp_path, fn, source), {"y": np.where(FEED["x"] < 0, FEED["x"] / 4, FEED["x"])}, 1e-6)


def test_operator_sets(tmp_path):
    """A list is written for the model's operator set; a FunctionProto says for which one it is."""
    old = lambda given: function([node("ReduceSum", ["a"], ["b"], axes=[1], keepdims=0)], opset=11)
    new = lambda given: [node("Constant", [], ["axes"], value_ints=[1]), node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)]
    for fn in (old, new):
        check_equal(expanded(tmp_path, fn), {"y": FEED["x"].sum(axis=1)}, 1e-5)


def test_in_branches_and_loops(tmp_path):
    info = helper.make_tensor_value_info
    then = helper.make_graph([house("Op", ["x"], ["t"])], "then", [], [info("t", FLOAT, None)])
    other = helper.make_graph([node("Abs", ["x"], ["e"])], "else", [], [info("e", FLOAT, None)])
    body = helper.make_graph([house("Op", ["a"], ["next"]), node("Identity", ["go"], ["on"])], "body",
                             [info("i", INT64, []), info("go", BOOL, []), info("a", FLOAT, None)], [info("on", BOOL, []), info("next", FLOAT, None)])
    source = model(node("If", ["c"], ["chosen"], then_branch=then, else_branch=other), node("Loop", ["turns", "", "chosen"], ["y"], body=body),
                   inputs=[("c", BOOL, []), ("turns", INT64, []), *X])
    half = lambda given: [node("Constant", [], ["half"], value_float=0.5), node("Mul", [given.inputs[0].name, "half"], given.outputs)]
    eyrie.compile(source, tmp_path / "m.eyr", expansions={(HOUSE, "Op"): half})
    instance = eyrie.Module(tmp_path / "m.eyr", threads=1).instance()
    for c in (True, False):
        want = FEED["x"] / 2 if c else np.abs(FEED["x"])
        check_equal(instance({"c": np.array(c), "turns": np.array(3), **FEED}), {"y": want / 8}, 1e-6)


def test_a_callback_may_leave_nodes_to_others(tmp_path):
    """Only nodes with a mark; the others are the library's, and Relu is the compiler's."""
    fn = lambda given: [node("Abs", ["x"], ["t"])] if "mark" in given.attributes else None
    source = model(house("Op", ["x"], ["t"], mark=1), house("Op", ["t"], ["u"]), node("Relu", ["u"], ["v"]), node("Neg", ["v"], ["y"]))
    got = call(source, tmp_path, functions=[NEGATE], expansions={(HOUSE, "Op"): fn, "Relu": lambda given: None})
    check_equal(got, {"y": -np.maximum(-np.abs(FEED["x"]), 0)}, 0)
    with pytest.raises(eyrie.CompileError, match="my.house::Op"):
        eyrie.compile(source, expansions={(HOUSE, "Op"): fn})


def test_an_operator_of_the_compiler_may_be_wrapped(tmp_path):
    """Within its expansion Relu is the compiler's."""
    fn = lambda given: [node("Relu", ["x"], ["positive"]), node("Add", ["positive", "positive"], ["y"])]
    got = call(model(node("Relu", ["x"], ["y"])), tmp_path, expansions={("", "Relu"): fn})
    check_equal(got, {"y": 2 * np.maximum(FEED["x"], 0)}, 0)


def test_callbacks_use_each_other_and_libraries(tmp_path):
    first = lambda given: [house("Second", ["x"], ["t"]), house("Op2", ["t"], ["y"])]
    second = lambda given: [node("Abs", [given.inputs[0].name], given.outputs)]
    double = helper.make_function(HOUSE, "Op2", ["a"], ["b"], [node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)])
    got = call(model(), tmp_path, functions=[double], expansions={(HOUSE, "Op"): first, (HOUSE, "Second"): second})
    check_equal(got, {"y": 2 * np.abs(FEED["x"])}, 0)


def test_large_constants_outlive_the_callback(tmp_path):
    weight = np.random.default_rng(5).standard_normal((4, 40000), np.float32)

    def fn(given):
        gc.collect()
        return [node("Constant", [], ["w"], value=numpy_helper.from_array(weight)), node("MatMul", ["x", "w"], ["y"])]

    check_equal(expanded(tmp_path, fn), {"y": FEED["x"] @ weight}, 1e-5)


def test_check_expands_too():
    seen = []
    told = eyrie.check(model(), expansions={(HOUSE, "Op"): lambda given: seen.append(given) or NEGATE})
    assert seen and told["functions"][0]["operations"] == 4


def test_the_same_bytes_each_time_and_on_threads():
    made = []
    work = lambda: made.append(eyrie.compile(model(), expansions={(HOUSE, "Op"): lambda given: NEGATE}, jobs=1))
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4 and len(set(made)) == 1


# ---- errors of callbacks

def test_exceptions():
    def fn(given):
        raise ValueError("no such mode: ümlaut")
    error = refuse(fn, "node 'mine' (Op)", "its expansion failed: ValueError: no such mode: ümlaut")
    assert isinstance(error.__cause__, ValueError)


def test_the_end_of_the_process_is_not_an_error():
    def fn(given):
        raise SystemExit(3)
    with pytest.raises(SystemExit):
        eyrie.compile(model(), expansions={(HOUSE, "Op"): fn})


@pytest.mark.parametrize("answer, says", [
    (3, "returned int; expected a FunctionProto"), ([3], "has a int in its list"), (b"", "is empty"), (b"\x0a\xff\xff", "not a whole FunctionProto"),
    (library().SerializeToString(), "not a whole FunctionProto"), (function([node("Neg", ["a"], ["b"])], opset=99), "operator set 99"),
    ([node("Neg", ["x"], ["t"])], "the output 'y' is not made"), ([node("Neg", ["z"], ["y"])], "reads 'z'"),
    (function([node("Neg", ["a"], ["b"])], inputs=[]), "takes 0 and gives 1"), (function([], outputs=[]), "takes 1 and gives 0"),
    (function([node("Neg", ["a"], ["b"])], inputs=["a", "a"]), "has the input 'a' twice"),
    ([node("Neg", ["x"], ["t"]), node("Neg", ["x"], ["t"]), node("Neg", ["t"], ["y"])], "makes 't', which another node makes too"),
    ([node("Neg", ["y"], ["t"]), node("Neg", ["t"], ["y"])], "the graph has a cycle"),
])
def test_answers_that_are_none(answer, says):
    refuse(lambda given: answer, "node 'mine", says)


def test_errors_inside_name_both_nodes():
    refuse(lambda given: [house("Mystery", ["x"], ["y"], name="inner")], "'mine/inner' (in the expansion of my.house::Op)", "my.house::Mystery")
    refuse(lambda given: [node("BitwiseNot", ["x"], ["y"], name="inner")], "node 'mine/inner' (BitwiseNot)", "(in the expansion of my.house::Op)",
           source=model(opset=18))


def test_operators_that_expand_into_themselves():
    again = lambda given: [house(given.op_type, ["x"], ["y"], name="again")]
    refuse(again, "node 'mine/again' (Op): the operator expands into itself: my.house::Op -> my.house::Op")
    to = lambda name: lambda given: [house(name, [given.inputs[0].name], given.outputs)]
    with pytest.raises(eyrie.CompileError, match="my.house::Op -> my.house::P -> my.house::Op"):
        eyrie.compile(model(), expansions={(HOUSE, "Op"): to("P"), (HOUSE, "P"): to("Op")})


def test_two_callbacks_for_one_operator():
    with pytest.raises(eyrie.CompileError, match="the operator 'Relu' has an expansion already") as raised:
        eyrie.compile(model(), expansions={"Relu": lambda given: None, "ai.onnx::Relu": lambda given: None})
    assert raised.value.is_usage


# ---- C++

PROGRAM = """
#include <eyrie/compiler.hpp>
#include <cstdio>
#include <cstring>
#include <stdexcept>
int main(int argc, char** argv) {
  eyrie::Compile compile;
  auto expand = [&](const eyrie_expand_node_t& node) -> std::optional<std::string> {
    std::printf("%s %zu %d\\n", node.place, node.input_count, node.inputs[0]->rank);
    if (!std::strcmp(argv[1], "throw")) throw std::runtime_error("thrown");
    if (!std::strcmp(argv[1], "odd")) throw 3;
    return std::nullopt;
  };
  compile.AddExpansion("my.house", "Op", expand);
  eyrie_compile_result_t result = compile.Estimate(argv[2]);
  std::puts(compile.Message().c_str());
  return result;
}
"""


@pytest.mark.parametrize("how, says", [("throw", "node 'mine' (Op): its expansion failed: thrown"), ("odd", "its expansion failed: an exception that is no"),
                                       ("leave", "operations of the domain 'my.house' are not supported")])
def test_exceptions_of_cpp(tmp_path, how, says):
    library = ROOT / "build/release/lib"
    (tmp_path / "main.cpp").write_text(PROGRAM)
    onnx.save(model(), tmp_path / "model.onnx")
    subprocess.run(["c++", "-std=c++17", f"-I{ROOT}/include", "main.cpp", f"-L{library}", "-leyrie-compiler", f"-Wl,-rpath,{library}", "-o", "main"],
                   cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "main", how, tmp_path / "model.onnx"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout.startswith("mine 1 2\n") and says in done.stdout, done
