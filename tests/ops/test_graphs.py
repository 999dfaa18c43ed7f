"""Small graphs: what a model file may hold besides operations, and how values flow through it."""
import numpy as np
import onnx
import pytest
from cases import bools, f32, i64, ints
from command import check_equal, compile_model, run_module
from onnx import TensorProto, helper, numpy_helper
from reference import expected
from small import model_of

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
node = helper.make_node


def check(tmp_path, model, *feeds, tolerance=1e-5):
    """Compiles the model, runs it with each feed and compares with the reference."""
    onnx.save(model, tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr")
    for feed in feeds:
        check_equal(run_module(tmp_path / "model.eyr", feed, tmp_path), expected(model, feed), tolerance)


@pytest.mark.parametrize("kind, array", [
    (FLOAT, f32(2, 3)), (TensorProto.DOUBLE, f32(2, 3).astype(np.float64)), (TensorProto.INT32, ints(2, 3, dtype=np.int32)),
    (INT64, ints(2, 3)), (TensorProto.INT8, ints(2, 3, dtype=np.int8)), (TensorProto.UINT8, ints(2, 3, low=0, dtype=np.uint8)),
    (TensorProto.INT16, ints(2, 3, dtype=np.int16)), (TensorProto.UINT64, ints(2, 3, low=0, dtype=np.uint64)), (BOOL, bools(2, 3)),
    (TensorProto.FLOAT16, f32(2, 3).astype(np.float16))])
@pytest.mark.parametrize("raw", [True, False])
def test_weights_as_raw_bytes_and_as_numbers(tmp_path, kind, array, raw):
    data = array.tobytes() if raw else array.view(np.uint16).flatten() if kind == TensorProto.FLOAT16 else array.flatten()
    weight = helper.make_tensor("w", kind, array.shape, data, raw=raw)
    model = model_of([node("Identity", ["w"], ["y"]), node("Shape", ["x"], ["s"])], [("x", FLOAT, ["n"])],
                     [("y", kind, [2, 3]), ("s", INT64, [1])])
    model.graph.initializer.append(weight)
    check(tmp_path, model, {"x": f32(3)})


def test_many_boolean_weights(tmp_path):
    """Their bytes are made, not mapped: each has to live as long as all of them."""
    masks = [(f"m{i}", bools(3, i + 2)) for i in range(9)]
    nodes = [node("Cast", [name], ["f" + name], to=FLOAT) for name, _ in masks]
    model = model_of([*nodes, node("Concat", ["f" + name for name, _ in masks], ["c"], axis=1), node("Add", ["c", "x"], ["y"])],
                     [("x", FLOAT, [3, 1])], [("y", FLOAT, [3, 54])], masks)
    check(tmp_path, model, {"x": f32(3, 1)})


def test_external_data(tmp_path):
    matrix, offset = f32(5, 7), f32(7)
    model = model_of([node("MatMul", ["x", "w"], ["m"]), node("Add", ["m", "b"], ["y"])], [("x", FLOAT, ["n", 5])],
                     [("y", FLOAT, ["n", 7])], [("w", matrix), ("b", offset)])
    feed = {"x": f32(3, 5)}
    want = expected(model, feed)
    onnx.save(model, tmp_path / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert (tmp_path / "weights.bin").stat().st_size >= matrix.nbytes + offset.nbytes
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr")
    check_equal(run_module(tmp_path / "model.eyr", feed, tmp_path), want, 1e-5)


def test_local_function_with_attributes(tmp_path):
    scaled = node("LeakyRelu", ["t"], ["b"])
    scaled.attribute.append(onnx.AttributeProto(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT))
    function = helper.make_function("local", "Leak", ["a"], ["b"], [node("Neg", ["a"], ["t"]), scaled],
                                    [helper.make_opsetid("", 17)], ["slope"])
    model = model_of([node("Leak", ["x"], ["t"], domain="local", slope=0.3), node("Leak", ["t"], ["y"], domain="local", slope=0.1)],
                     [("x", FLOAT, [2, 3])], [("y", FLOAT, [2, 3])], functions=[function], domains=["local"])
    check(tmp_path, model, {"x": f32(2, 3)})


def branches(then_op, else_op, shape=(2, 3)):
    graph = lambda op: helper.make_graph([node(op, ["x"], ["r"])], op, [], [helper.make_tensor_value_info("r", FLOAT, shape)])
    return dict(then_branch=graph(then_op), else_branch=graph(else_op))


def test_if_decided_by_an_input(tmp_path):
    model = model_of([node("If", ["c"], ["y"], name="choice", **branches("Relu", "Neg"))],
                     [("c", BOOL, []), ("x", FLOAT, [2, 3])], [("y", FLOAT, [2, 3])])
    x = f32(2, 3)
    check(tmp_path, model, {"c": np.array(True), "x": x}, {"c": np.array(False), "x": x})


def test_if_decided_by_a_constant(tmp_path):
    model = model_of([node("If", ["c"], ["y"], **branches("Relu", "Neg"))], [("x", FLOAT, [2, 3])], [("y", FLOAT, [2, 3])],
                     [("c", np.array(False))])
    check(tmp_path, model, {"x": f32(2, 3)})


def test_if_decided_by_a_computation(tmp_path):
    nodes = [node("ReduceSum", ["x"], ["s"], keepdims=0), node("Greater", ["s", "zero"], ["c"]),
             node("If", ["c"], ["t"], **branches("Relu", "Neg")), node("Add", ["t", "x"], ["y"])]
    model = model_of(nodes, [("x", FLOAT, [2, 3])], [("y", FLOAT, [2, 3])], [("zero", np.array(0, np.float32))])
    check(tmp_path, model, {"x": np.ones((2, 3), np.float32)}, {"x": -np.ones((2, 3), np.float32)})


def test_input_returned_as_it_is(tmp_path):
    model = model_of([node("Relu", ["x"], ["y"])], [("x", FLOAT, ["n"])], [("x", FLOAT, ["n"]), ("y", FLOAT, ["n"])])
    check(tmp_path, model, {"x": f32(5)})


def test_value_returned_and_used(tmp_path):
    nodes = [node("Relu", ["x"], ["a"]), node("Neg", ["a"], ["b"]), node("Identity", ["a"], ["c"])]
    model = model_of(nodes, [("x", FLOAT, [7])], [(name, FLOAT, [7]) for name in "abc"])
    check(tmp_path, model, {"x": f32(7)})


def test_constant_output(tmp_path):
    model = model_of([node("Constant", [], ["y"], value=numpy_helper.from_array(f32(2, 3))), node("Relu", ["x"], ["z"])],
                     [("x", FLOAT, [2])], [("y", FLOAT, [2, 3]), ("z", FLOAT, [2])])
    check(tmp_path, model, {"x": f32(2)})


@pytest.mark.parametrize("attributes", [dict(value_float=2.5), dict(value_int=7), dict(value_floats=[1.0, 2.0]),
                                        dict(value_ints=[3, -4])])
def test_constant_kinds(tmp_path, attributes):
    kind = FLOAT if "float" in next(iter(attributes)) else INT64
    nodes = [node("Constant", [], ["c"], **attributes), node("Add", ["c", "x"], ["y"])]
    model = model_of(nodes, [("x", kind, [2])], [("y", kind, [2])])
    check(tmp_path, model, {"x": f32(2) if kind == FLOAT else ints(2)})


def test_unused_input_and_dead_nodes(tmp_path):
    nodes = [node("Relu", ["x"], ["y"]), node("Exp", ["x"], ["dead"]), node("Log", ["dead"], ["deader"])]
    model = model_of(nodes, [("x", FLOAT, [3]), ("unused", INT64, ["k"])], [("y", FLOAT, [3])])
    check(tmp_path, model, {"x": f32(3), "unused": ints(4)})


def test_names_of_all_kinds(tmp_path):
    names = ["serving_default:0", "a/b/c", "with space", "größe", "file", "x=y"]
    nodes = [node("Neg", [name], ["out " + name], name="") for name in names]
    model = model_of(nodes, [(name, FLOAT, [2]) for name in names], [("out " + name, FLOAT, [2]) for name in names])
    check(tmp_path, model, {name: f32(2) for name in names})


def test_weights_that_are_inputs_too(tmp_path):
    """Before IR version 4 every initializer is listed as an input; it is not one of the call."""
    model = model_of([node("Add", ["x", "w"], ["y"])], [("x", FLOAT, [2]), ("w", FLOAT, [2])], [("y", FLOAT, [2])],
                     [("w", f32(2))], opset=8, ir_version=3)
    check(tmp_path, model, {"x": f32(2)})


def test_wrong_shape_hints_are_not_believed(tmp_path):
    model = model_of([node("Relu", ["x"], ["t"]), node("Neg", ["t"], ["y"])], [("x", FLOAT, [2, 3])], [("y", FLOAT, ["p", "q"])])
    onnx.save(model, tmp_path / "right.onnx")
    feed = {"x": f32(2, 3)}
    want = expected(model, feed)
    model.graph.value_info.append(helper.make_tensor_value_info("t", FLOAT, [9, 9, 9]))
    onnx.save(model, tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr")
    check_equal(run_module(tmp_path / "model.eyr", feed, tmp_path), want, 0)


def test_nodes_out_of_order_by_names_only(tmp_path):
    """Many readers of one value, a diamond, and a value used twice by one node."""
    nodes = [node("Exp", ["x"], ["e"]), node("Mul", ["e", "e"], ["s"]), node("Sub", ["s", "e"], ["d"]),
             node("Add", ["d", "s"], ["y"])]
    check(tmp_path, model_of(nodes, [("x", FLOAT, ["n"])], [("y", FLOAT, ["n"])]), {"x": f32(4)}, {"x": f32(1)}, {"x": f32(1000)})


def flatten_by_shape_chain():
    nodes = [node("Shape", ["x"], ["s"]), node("Gather", ["s", "i0"], ["n"]), node("Slice", ["s", "one", "end"], ["rest"]),
             node("ReduceProd", ["rest"], ["p"], keepdims=0), node("Unsqueeze", ["n", "axis"], ["n1"]),
             node("Unsqueeze", ["p", "axis"], ["p1"]), node("Concat", ["n1", "p1"], ["t"], axis=0),
             node("Reshape", ["x", "t"], ["f"]), node("Cast", ["p"], ["pf"], to=FLOAT), node("Sqrt", ["pf"], ["r"]),
             node("Div", ["f", "r"], ["y"])]
    weights = [("i0", np.array(0)), ("one", i64(1)), ("end", i64(99)), ("axis", i64(0))]
    return model_of(nodes, [("x", FLOAT, ["n", "h", "w"])], [("y", FLOAT, None)], weights)


def test_shape_arithmetic_with_symbols(tmp_path):
    check(tmp_path, flatten_by_shape_chain(), *({"x": f32(*shape)} for shape in ((2, 3, 5), (1, 1, 1), (7, 2, 9))))


def test_mask_from_a_length(tmp_path):
    """Range over a symbolic size, compared with lengths: the usual padding mask."""
    nodes = [node("Shape", ["x"], ["s"]), node("Gather", ["s", "i1"], ["t"]), node("Range", ["zero", "t", "step"], ["r"]),
             node("Unsqueeze", ["lengths", "axis"], ["l"]), node("Less", ["r", "l"], ["m"]),
             node("Where", ["m", "x", "low"], ["y"])]
    weights = [("i1", np.array(1)), ("zero", np.array(0)), ("step", np.array(1)), ("axis", i64(1)),
               ("low", np.array(-1e4, np.float32))]
    model = model_of(nodes, [("x", FLOAT, ["n", "t"]), ("lengths", INT64, ["n"])], [("y", FLOAT, None)], weights)
    check(tmp_path, model, {"x": f32(2, 5), "lengths": i64(3, 5)}, {"x": f32(3, 9), "lengths": i64(0, 1, 12)})


def test_attention_with_symbolic_lengths(tmp_path):
    nodes = [node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]), node("MatMul", ["q", "kt"], ["s"]), node("Mul", ["s", "c"], ["sc"]),
             node("Softmax", ["sc"], ["p"], axis=-1), node("MatMul", ["p", "v"], ["y"])]
    inputs = [("q", FLOAT, ["b", "m", 8]), ("k", FLOAT, ["b", "n", 8]), ("v", FLOAT, ["b", "n", 8])]
    model = model_of(nodes, inputs, [("y", FLOAT, None)], [("c", np.array(0.35, np.float32))])
    check(tmp_path, model, *({"q": f32(b, m, 8), "k": f32(b, n, 8), "v": f32(b, n, 8)} for b, m, n in ((1, 5, 5), (2, 1, 17), (3, 33, 2))))


def test_shapes_that_are_given_back(tmp_path):
    """Group normalisations as exporters write them, of an image whose sizes the data says: each takes its shape apart and
    gives it back, and the formulas of sizes must not grow with their number."""
    nodes = [node("Concat", ["nc", "sizes"], ["size0"], axis=0), node("Resize", ["x", "", "", "size0"], ["v0"], mode="nearest")]
    for i in range(8):
        nodes += [node("Conv", [f"v{i}", "w"], [f"c{i}"], pads=[1, 1, 1, 1]), node("Reshape", [f"c{i}", "groups"], [f"g{i}"]),
                  node("InstanceNormalization", [f"g{i}", "scale", "bias"], [f"n{i}"]), node("Shape", [f"c{i}"], [f"s{i}"]),
                  node("Reshape", [f"n{i}", f"s{i}"], [f"v{i + 1}"])]
    weights = [("nc", i64(1, 4)), ("w", f32(4, 4, 3, 3)), ("groups", i64(0, 2, -1)), ("scale", np.ones(2, np.float32)),
               ("bias", np.zeros(2, np.float32))]
    model = model_of(nodes, [("x", FLOAT, [1, 4, 3, 5]), ("sizes", INT64, [2])], [("v8", FLOAT, None)], weights)
    check(tmp_path, model, {"x": f32(1, 4, 3, 5), "sizes": i64(6, 5)}, {"x": f32(1, 4, 3, 5), "sizes": i64(9, 10)}, tolerance=1e-4)


@pytest.mark.parametrize("last, axis", [(1, 1), (1, 2), (3, 1)])
def test_last_rows_of_an_open_size(tmp_path, last, axis):
    """The last row is one row, and repeated like one: position embeddings are divided by their last."""
    nodes = [node("Slice", ["x", "start", "end", "axis"], ["l"]), node("Shape", ["l"], ["s"]),
             node("Div", ["x", "l"], ["y"]) if last == 1 else node("Neg", ["l"], ["y"])]
    weights = [("start", i64(-last)), ("end", i64(2**63 - 1)), ("axis", i64(axis))]
    model = model_of(nodes, [("x", FLOAT, ["b", "h", "w"])], [("y", FLOAT, None), ("s", INT64, [3])], weights)
    check(tmp_path, model, *({"x": f32(*shape, low=1, high=2)} for shape in ((2, 5, 7), (1, 1, 2), (2, 0, 3), (2, 3, 0))))


def test_shapes_that_the_data_says(tmp_path):
    """A chain of reshapes whose sizes, or one of them -1, come while the model runs, each made of the sizes before."""
    nodes, shape = [], i64(1, -1, 3, 2)
    for i in range(12):
        nodes += [node("Reshape", [f"v{i}", "shape"], [f"r{i}"]), node("Relu", [f"r{i}"], [f"v{i + 1}"])]
    model = model_of(nodes, [("v0", FLOAT, ["n", 3, 2]), ("shape", INT64, [4])], [("v12", FLOAT, None)])
    check(tmp_path, model, {"v0": f32(4, 3, 2), "shape": shape}, {"v0": f32(5, 3, 2), "shape": i64(3, -1, 2, 1)})


def test_long_chain_of_elementwise_nodes(tmp_path):
    nodes = [node(("Relu", "Neg", "Tanh", "Abs", "Sigmoid")[i % 5], [f"v{i}"], [f"v{i + 1}"]) for i in range(300)]
    check(tmp_path, model_of(nodes, [("v0", FLOAT, [3, 5])], [("v300", FLOAT, [3, 5])]), {"v0": f32(3, 5)})


def test_random_graphs(tmp_path):
    """Directed graphs of random elementwise, reducing and multiplying nodes with reuse: fusion must not change a number."""
    for seed in range(6):
        random = np.random.default_rng(seed)
        values, nodes = ["x", "w"], []
        for i in range(25):
            kind, a, b = random.integers(0, 6), *(str(values[k]) for k in random.integers(0, len(values), 2))
            name = f"v{i}"
            if kind == 0:
                nodes.append(node("Tanh", [a], [name]))
            elif kind == 1:
                nodes.append(node("MatMul", [a, b], [name + "m"]))
                nodes.append(node("Tanh", [name + "m"], [name]))
            elif kind == 2:
                nodes.append(node("ReduceMean", [a], [name + "r"], axes=[int(random.integers(0, 2))]))
                nodes.append(node("Sub", [b, name + "r"], [name]))
            elif kind == 3:
                nodes.append(node("Softmax", [a], [name], axis=int(random.integers(0, 2))))
            elif kind == 4:
                nodes.append(node("Transpose", [a], [name]))
            else:
                nodes.append(node(("Add", "Mul", "Sub", "Max")[random.integers(0, 4)], [a, b], [name]))
            values.append(name)
        model = model_of(nodes, [("x", FLOAT, [9, 9])], [(name, FLOAT, [9, 9]) for name in values[-4:]], [("w", f32(9, 9))])
        check(tmp_path, model, {"x": f32(9, 9)}, tolerance=2e-5)
