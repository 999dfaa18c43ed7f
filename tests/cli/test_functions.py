"""`--functions` and `--override`: operators that functions of a library expand.

What is expected is the same model with the functions inside it, run by ONNX Runtime.
"""
import numpy as np
import onnx
import pytest
from command import call, check_equal, compile_model, fail, run_module, succeed
from onnx import TensorProto, helper, numpy_helper
from reference import Reference
from small import model_of

BOOL, FLOAT, INT64 = TensorProto.BOOL, TensorProto.FLOAT, TensorProto.INT64
node = helper.make_node
HOUSE = "my.house"
X, Y = [("x", FLOAT, ["n", 4])], [("y", FLOAT, None)]
RANDOM = np.random.default_rng(3)


def f32(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def opsets(default=17, **more):
    return [helper.make_opsetid("", default), helper.make_opsetid(HOUSE, 1)]


def function(name, inputs, outputs, nodes, default=17, attributes=(), defaults=(), domain=HOUSE, **more):
    return helper.make_function(domain, name, inputs, outputs, nodes, opsets(default), list(attributes),
                                [helper.make_attribute(*pair) for pair in defaults], **more)


def refer(made, name, parameter, kind):
    """The node with an attribute that refers to one of the function."""
    made.attribute.append(onnx.AttributeProto(name=name, ref_attr_name=parameter, type=kind))
    return made


def house(op, inputs, outputs, **more):
    return node(op, inputs, outputs, domain=HOUSE, **more)


def constant(name, value):
    return node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(value), name))


def save_library(path, *functions):
    """A model that only holds functions."""
    onnx.save(model_of([node("Identity", ["x"], ["y"])], X, Y, functions=functions, domains=[HOUSE]), path)
    return path


def with_functions(model, functions):
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    whole.functions.extend(functions)
    return whole


def check(folder, model, functions, *feeds, flags=(), want=None):
    """The model with the functions as a library, against ONNX Runtime with the functions in the model."""
    onnx.save(model, folder / "model.onnx")
    save_library(folder / "library.onnx", *functions)
    compile_model(folder / "model.onnx", folder / "model.eyr", "--functions", folder / "library.onnx", *flags)
    reference = want or Reference(with_functions(model, functions))
    for feed in feeds:
        check_equal(run_module(folder / "model.eyr", feed, folder), reference(feed), 1e-5)


def refuse(folder, model, functions, *says, flags=(), command="compile"):
    onnx.save(model, folder / "model.onnx")
    save_library(folder / "library.onnx", *functions)
    output = ["-o", folder / "model.eyr"] if command == "compile" else []
    result = fail(command, folder / "model.onnx", *output, "--functions", folder / "library.onnx", *flags, says=says)
    assert not (folder / "model.eyr").exists()
    return result.err


# x * sigmoid(beta * x)
SWISH = function("Swish", ["x"], ["y"], [refer(node("Constant", [], ["beta"]), "value_float", "beta", onnx.AttributeProto.FLOAT),
                                         node("Mul", ["x", "beta"], ["scaled"], name="scale"), node("Sigmoid", ["scaled"], ["gate"]),
                                         node("Mul", ["x", "gate"], ["y"], name="gate")], defaults=[("beta", 1.0)])
NEGATE = function("Negate", ["a"], ["b"], [node("Neg", ["a"], ["b"])])
TWICE = function("Twice", ["a"], ["b"], [house("Swish", ["a"], ["c"], beta=2.0), house("Negate", ["c"], ["b"])])


def swish(**attributes):
    return model_of([house("Swish", ["x"], ["y"], name="act", **attributes)], X, Y, domains=[HOUSE])


@pytest.mark.parametrize("attributes", [{}, {"beta": 1.7}])
def test_attributes_and_their_defaults(tmp_path, attributes):
    check(tmp_path, swish(**attributes), [SWISH], {"x": f32(3, 4)}, {"x": f32(1, 4)})


def test_a_file_that_is_one_function(tmp_path):
    onnx.save(swish(), tmp_path / "model.onnx")
    (tmp_path / "swish.onnx").write_bytes(SWISH.SerializeToString())
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr", "--functions", tmp_path / "swish.onnx")
    x = {"x": f32(3, 4)}
    check_equal(run_module(tmp_path / "model.eyr", x, tmp_path), Reference(with_functions(swish(), [SWISH]))(x), 1e-5)


def test_functions_that_call_functions_of_another_file(tmp_path):
    model = model_of([house("Twice", ["x"], ["y"])], X, Y, domains=[HOUSE])
    onnx.save(model, tmp_path / "model.onnx")
    files = [save_library(tmp_path / "a.onnx", TWICE), save_library(tmp_path / "b.onnx", NEGATE, SWISH), save_library(tmp_path / "c.onnx", SWISH)]
    flags = [flag for file in files for flag in ("--functions", file)]  # one function is in two of them
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr", *flags)
    x = {"x": f32(3, 4)}
    check_equal(run_module(tmp_path / "model.eyr", x, tmp_path), Reference(with_functions(model, [TWICE, NEGATE, SWISH]))(x), 1e-5)


def test_a_function_of_the_model_calls_one_of_a_library(tmp_path):
    model = model_of([house("Twice", ["x"], ["y"])], X, Y, domains=[HOUSE], functions=[TWICE])
    whole = with_functions(model, [NEGATE, SWISH])
    check(tmp_path, model, [NEGATE, SWISH], {"x": f32(2, 4)}, want=Reference(whole))


def test_two_operator_sets(tmp_path):
    """ReduceSum takes its axes as an attribute in 11 and as an input since 13; the model is written for 18."""
    functions = [function("Old", ["a"], ["b"], [node("ReduceSum", ["a"], ["b"], axes=[1], keepdims=0)], default=11),
                 function("New", ["a"], ["b"], [constant("axes", [0]), node("ReduceSum", ["a", "axes"], ["b"], keepdims=0)], default=13)]
    model = model_of([house("Old", ["x"], ["p"]), house("New", ["x"], ["q"])], X, [("p", FLOAT, None), ("q", FLOAT, None)],
                     opset=18, domains=[HOUSE])
    check(tmp_path, model, functions, {"x": f32(3, 4)},
          want=lambda feed: {"p": feed["x"].sum(axis=1), "q": feed["x"].sum(axis=0)})


def test_weights_of_a_library(tmp_path):
    """Larger than what is copied, so that the module refers to the library's bytes."""
    weight = f32(4, 8192)
    dense = function("Dense", ["a"], ["b"], [constant("w", weight), node("MatMul", ["a", "w"], ["b"])])
    model = model_of([house("Dense", ["x"], ["y"])], X, Y, domains=[HOUSE])
    check(tmp_path, model, [dense], {"x": f32(3, 4)})


def test_external_data_lies_beside_the_library(tmp_path):
    weight = f32(4, 300)
    (tmp_path / "model").mkdir()
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "w.bin").write_bytes(weight.tobytes())
    tensor = TensorProto(name="w", data_type=FLOAT, dims=weight.shape, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="w.bin")
    dense = function("Dense", ["a"], ["b"], [node("Constant", [], ["w"], value=tensor), node("MatMul", ["a", "w"], ["b"])])
    onnx.save(model_of([house("Dense", ["x"], ["y"])], X, Y, domains=[HOUSE]), tmp_path / "model" / "model.onnx")
    (tmp_path / "library" / "dense.onnx").write_bytes(dense.SerializeToString())
    compile_model(tmp_path / "model" / "model.onnx", tmp_path / "m.eyr", "--functions", tmp_path / "library" / "dense.onnx")
    x = f32(3, 4)
    check_equal(run_module(tmp_path / "m.eyr", {"x": x}, tmp_path), {"y": x @ weight}, 1e-5)


@pytest.mark.parametrize("inputs", [["x"], ["x", "b"], ["x", "", "s"], ["x", "b", "s"]])
def test_optional_inputs(tmp_path, inputs):
    """Absent inputs are absent for the nodes inside too, and may be the function's last ones."""
    clip = function("Limit", ["a", "low", "high"], ["b"], [node("Clip", ["a", "low", "high"], ["b"])])
    model = model_of([house("Limit", inputs, ["y"])], [*X, ("b", FLOAT, []), ("s", FLOAT, [])], Y, domains=[HOUSE])
    low, high = np.float32(-0.5), np.float32(0.4)
    want = lambda feed: {"y": np.clip(feed["x"], low if "b" in inputs else None, high if "s" in inputs else None)
                         if len(inputs) > 1 else feed["x"]}
    check(tmp_path, model, [clip], {"x": f32(3, 4), "b": low, "s": high}, want=want)


@pytest.mark.parametrize("outputs", [["y"], ["y", "z"], ["", "z"], ["y", ""]])
def test_optional_outputs(tmp_path, outputs):
    both = function("Both", ["a"], ["p", "q"], [node("Neg", ["a"], ["p"]), node("Abs", ["a"], ["q"])])
    wanted = [name for name in outputs if name]
    model = model_of([house("Both", ["x"], outputs)], X, [(name, FLOAT, None) for name in wanted], domains=[HOUSE])
    values = lambda feed: {"y": -feed["x"], "z": np.abs(feed["x"])}
    check(tmp_path, model, [both], {"x": f32(3, 4)}, want=lambda feed: {name: values(feed)[name] for name in wanted})


def test_an_output_that_nobody_wants_need_not_be_possible(tmp_path):
    both = function("Both", ["a"], ["p", "q"], [node("Neg", ["a"], ["p"]), house("Unknown", ["a"], ["q"])])
    check(tmp_path, model_of([house("Both", ["x"], ["y"])], X, Y, domains=[HOUSE]), [both], {"x": f32(3, 4)},
          want=lambda feed: {"y": -feed["x"]})


def test_in_branches_and_loops(tmp_path):
    info = helper.make_tensor_value_info
    then = helper.make_graph([house("Swish", ["x"], ["t"], beta=0.5)], "then", [], [info("t", FLOAT, None)])
    other = helper.make_graph([house("Twice", ["x"], ["e"])], "else", [], [info("e", FLOAT, None)])
    body = helper.make_graph([house("Negate", ["a"], ["next"]), node("Identity", ["go"], ["on"])], "body",
                             [info("i", INT64, []), info("go", BOOL, []), info("a", FLOAT, None)],
                             [info("on", BOOL, []), info("next", FLOAT, None)])
    nodes = [node("If", ["c"], ["chosen"], then_branch=then, else_branch=other), node("Loop", ["turns", "", "chosen"], ["y"], body=body)]
    model = model_of(nodes, [("c", BOOL, []), ("turns", INT64, []), *X], Y, domains=[HOUSE])
    check(tmp_path, model, [SWISH, NEGATE, TWICE],
          *({"c": np.array(c), "turns": np.array(turns), "x": f32(3, 4)} for c in (True, False) for turns in (0, 1, 2)))


def test_a_function_with_branches_and_references_inside(tmp_path):
    info = helper.make_tensor_value_info
    leaky = refer(node("LeakyRelu", ["a"], ["t"]), "alpha", "slope", onnx.AttributeProto.FLOAT)
    then = helper.make_graph([leaky], "then", [], [info("t", FLOAT, None)])
    other = helper.make_graph([constant("k", f32(4)), node("Mul", ["a", "k"], ["e"])], "else", [], [info("e", FLOAT, None)])
    choice = function("Choice", ["c", "a"], ["b"], [node("If", ["c"], ["b"], then_branch=then, else_branch=other)], attributes=["slope"])
    model = model_of([house("Choice", ["c", "x"], ["y"], slope=0.25)], [("c", BOOL, []), *X], Y, domains=[HOUSE])
    check(tmp_path, model, [choice], *({"c": np.array(c), "x": f32(3, 4)} for c in (True, False)))


def test_overloads(tmp_path):
    functions = [function("Sum", ["a"], ["b"], [node("Identity", ["a"], ["b"])], overload="one"),
                 function("Sum", ["a", "c"], ["b"], [node("Add", ["a", "c"], ["b"])], overload="two")]
    nodes = [house("Sum", ["x", "x"], ["t"], overload="two"), house("Sum", ["t"], ["y"], overload="one")]
    check(tmp_path, model_of(nodes, X, Y, domains=[HOUSE], ir_version=10), functions, {"x": f32(3, 4)}, want=lambda feed: {"y": 2 * feed["x"]})


def test_copies_for_sizes(tmp_path):
    check(tmp_path, swish(), [SWISH], *({"x": f32(n, 4)} for n in (1, 2, 3)), flags=["--shape", "n=1,2"])


def test_check_expands_too(tmp_path):
    onnx.save(swish(), tmp_path / "model.onnx")
    fail("check", tmp_path / "model.onnx", says=["my.house::Swish", "--functions"])
    save_library(tmp_path / "library.onnx", SWISH)
    assert "can be compiled" in succeed("check", tmp_path / "model.onnx", "--functions", tmp_path / "library.onnx").out


def test_nodes_are_named_by_their_path(tmp_path):
    onnx.save(swish(), tmp_path / "model.onnx")
    save_library(tmp_path / "library.onnx", SWISH)
    succeed("compile", tmp_path / "model.onnx", "-o", tmp_path / "m.mlir", "--stop-after", "import", "--functions", tmp_path / "library.onnx")
    succeed("compile", tmp_path / "model.onnx", "-o", tmp_path / "m.eyr", "--functions", tmp_path / "library.onnx", "-O0")
    assert "act/" in succeed("inspect", tmp_path / "m.eyr", "--vm").out


# ---- who is asked first

RELU = function("Relu", ["a"], ["b"], [node("Abs", ["a"], ["b"])], domain="")
RELU_MODEL = model_of([node("Relu", ["x"], ["y"])], X, Y)


def compiled_with(folder, model, functions, *flags):
    onnx.save(model, folder / "model.onnx")
    save_library(folder / "library.onnx", *functions)
    result = succeed("compile", folder / "model.onnx", "-o", folder / "model.eyr", "--functions", folder / "library.onnx", *flags)
    x = f32(3, 4)
    return run_module(folder / "model.eyr", {"x": x}, folder)["y"], x, result.err


def test_the_compiler_goes_before_a_library(tmp_path):
    y, x, said = compiled_with(tmp_path, RELU_MODEL, [RELU])
    assert np.array_equal(y, np.maximum(x, 0))
    assert "warning: " in said and "'Relu'" in said and "library.onnx" in said and "--override Relu" in said
    assert said.count("warning") == 1


@pytest.mark.parametrize("name", ["Relu", "ai.onnx::Relu"])
def test_override(tmp_path, name):
    y, x, said = compiled_with(tmp_path, RELU_MODEL, [RELU], "--override", name)
    assert np.array_equal(y, np.abs(x)) and not said


def test_an_overridden_operator_means_the_compilers_own_inside(tmp_path):
    twice = function("Relu", ["a"], ["b"], [node("Relu", ["a"], ["c"]), node("Add", ["c", "c"], ["b"])], domain="")
    y, x, said = compiled_with(tmp_path, RELU_MODEL, [twice], "--override", "Relu")
    assert np.array_equal(y, 2 * np.maximum(x, 0)) and not said


def test_the_model_goes_before_a_library(tmp_path):
    model = model_of([house("Negate", ["x"], ["y"])], X, Y, domains=[HOUSE], functions=[NEGATE])
    same = function("Negate", ["a"], ["b"], [node("Identity", ["a"], ["b"])])
    y, x, said = compiled_with(tmp_path, model, [same])
    assert np.array_equal(y, -x) and "the model has one of its own" in said
    y, x, said = compiled_with(tmp_path, model, [same], "--override", f"{HOUSE}::Negate")
    assert np.array_equal(y, x) and not said


# ---- errors

def test_an_unknown_operator_inside(tmp_path):
    bad = function("Swish", ["a"], ["b"], [house("Mystery", ["a"], ["b"], name="inner")])
    said = refuse(tmp_path, swish(), [bad], "my.house::Mystery", "'act/inner'", "the function 'my.house::Swish' of", "library.onnx", "--functions")
    assert said.replace("compile", "check") == refuse(tmp_path, swish(), [bad], command="check").replace("compile", "check")


def test_a_wrong_node_inside(tmp_path):
    bad = function("Swish", ["a"], ["b"], [constant("k", np.ones(3, np.float32)), node("Add", ["a", "k"], ["b"], name="inner")])
    refuse(tmp_path, swish(), [bad], "node 'act/inner' (Add)", "in the function 'my.house::Swish' of", "library.onnx")


def test_a_wrong_type_inside(tmp_path):
    bad = function("Swish", ["a"], ["b"], [node("BitwiseNot", ["a"], ["b"], name="inner")], default=18)
    refuse(tmp_path, swish(), [bad], "'act/inner'", "in the function 'my.house::Swish' of")


def test_an_error_behind_the_expansion_is_not_of_the_function(tmp_path):
    model = model_of([house("Swish", ["x"], ["t"], name="act"), node("Concat", ["t"], ["y"], name="later", axis=9)], X, Y, domains=[HOUSE])
    assert "(in " not in refuse(tmp_path, model, [SWISH], "node 'later'")


@pytest.mark.parametrize("inputs, outputs, says", [(["x", "x"], ["y"], "has 2 inputs and 1 outputs"), (["x"], ["y", "z"], "has 1 inputs and 2 outputs")])
def test_wrong_numbers_of_inputs_and_outputs(tmp_path, inputs, outputs, says):
    model = model_of([house("Swish", inputs, outputs, name="act")], X, Y, domains=[HOUSE])
    refuse(tmp_path, model, [SWISH], "node 'act' (Swish)", says, "takes 1 and gives 1")


def test_a_function_that_makes_nothing_of_its_output(tmp_path):
    bad = function("Swish", ["a"], ["b"], [node("Neg", ["a"], ["c"])])
    refuse(tmp_path, swish(), [bad], "node 'act': the output 'b' is not made", "in the function 'my.house::Swish' of")


def test_an_attribute_that_the_function_does_not_know(tmp_path):
    refuse(tmp_path, swish(gamma=1.0), [SWISH], "node 'act'", "the attribute 'gamma'", "neither declares nor uses")


def test_functions_that_call_each_other(tmp_path):
    ring = [function(name, ["a"], ["b"], [house(other, ["a"], ["b"], name=f"to_{other}")])
            for name, other in (("Swish", "Second"), ("Second", "Third"), ("Third", "Swish"))]
    refuse(tmp_path, swish(), ring, "'act/to_Second/to_Third/to_Swish'", "calls itself",
           "my.house::Swish -> my.house::Second -> my.house::Third -> my.house::Swish")


def test_two_libraries_that_disagree(tmp_path):
    onnx.save(swish(), tmp_path / "model.onnx")
    files = [save_library(tmp_path / "one.onnx", SWISH), save_library(tmp_path / "two.onnx", function("Swish", ["a"], ["b"], [node("Neg", ["a"], ["b"])]))]
    fail("compile", tmp_path / "model.onnx", "-o", tmp_path / "m.eyr", *(flag for file in files for flag in ("--functions", file)),
         says=["two.onnx", "'my.house::Swish' is defined otherwise in", "one.onnx"])


@pytest.mark.parametrize("content, says", [(None, "cannot open"), (b"", "the file is empty"), (b"neither this nor that", "neither a whole ONNX model nor a function"),
                                           (RELU_MODEL.SerializeToString(), "holds no functions"),
                                           (function("F", ["a"], ["b"], [node("Neg", ["a"], ["b"])], default=99).SerializeToString(), "operator set 99")])
def test_files_that_are_no_libraries(tmp_path, content, says):
    onnx.save(swish(), tmp_path / "model.onnx")
    if content is not None:
        (tmp_path / "library.onnx").write_bytes(content)
    fail("compile", tmp_path / "model.onnx", "-o", tmp_path / "m.eyr", "--functions", tmp_path / "library.onnx", says=[says])


def test_damaged_libraries(tmp_path):
    """Every prefix of a function, and every bit of it turned: a module or an error, never a crash."""
    onnx.save(swish(), tmp_path / "model.onnx")
    whole = SWISH.SerializeToString()
    for i in range(0, len(whole) * 8, 61):
        damaged = bytearray(whole)
        damaged[i // 8] ^= 1 << i % 8
        (tmp_path / "library.onnx").write_bytes(damaged if i % 2 else whole[:i // 8])
        assert call("check", tmp_path / "model.onnx", "--functions", tmp_path / "library.onnx").code in (0, 1)


def test_an_override_that_overrides_nothing(tmp_path):
    refuse(tmp_path, swish(), [SWISH], "--override 'my.house::Swash'", flags=["--override", "my.house::Swash"])


@pytest.mark.parametrize("flags", [["-o", "library.onnx"], ["-o", "m.eyr", "--parameters", "library.onnx"]])
def test_a_library_is_not_written_over(tmp_path, flags):
    onnx.save(swish(), tmp_path / "model.onnx")
    before = save_library(tmp_path / "library.onnx", SWISH).read_bytes()
    fail("compile", "model.onnx", "--functions", "library.onnx", *flags, cwd=tmp_path, says=["library.onnx"])
    assert (tmp_path / "library.onnx").read_bytes() == before


def test_weights_of_one_name_are_parameters_of_their_own(tmp_path):
    """Each function has a 'w'; one of them is called twice and has it once."""
    dense = [function(name, ["a"], ["b"], [constant("w", f32(4, 8)), node("MatMul", ["a", "w"], ["c"]), constant("v", f32(8, 4)),
                                          node("MatMul", ["c", "v"], ["b"])]) for name in ("First", "Second")]
    model = model_of([house("First", ["x"], ["s"]), house("Second", ["s"], ["t"]), house("First", ["t"], ["y"])], X, Y, domains=[HOUSE])
    onnx.save(model, tmp_path / "model.onnx")
    save_library(tmp_path / "library.onnx", *dense)
    compile_model(tmp_path / "model.onnx", tmp_path / "m.eyr", "--functions", tmp_path / "library.onnx", "--parameters", tmp_path / "w.eyp")
    listed = succeed("params", "list", tmp_path / "w.eyp").out
    assert "4 tensors" in listed and all(f"  {name} " in listed for name in ("w", "v", "w.1", "v.1")), listed
    x = {"x": f32(3, 4)}
    check_equal(run_module(tmp_path / "m.eyr", x, tmp_path, "--parameters", tmp_path / "w.eyp"), Reference(with_functions(model, dense))(x), 1e-4)
