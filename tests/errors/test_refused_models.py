"""Models that are wrong or not supported: exit code 1, a message that names the place, and no module."""
import numpy as np
import onnx
import pytest
from command import fail
from onnx import TensorProto, helper
from small import model_of, network

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
X, Y = [("x", FLOAT, [2, 3])], [("y", FLOAT, None)]
node = helper.make_node


def refuse(tmp_path, model, *says):
    """Compiles a model that must be refused, and checks what is said and that nothing is left."""
    data = model if isinstance(model, bytes) else model.SerializeToString()
    (tmp_path / "model.onnx").write_bytes(data)
    before = {path.name for path in tmp_path.iterdir()}
    result = fail("compile", tmp_path / "model.onnx", "-o", tmp_path / "model.eyr", says=says, timeout=60)
    assert {path.name for path in tmp_path.iterdir()} == before, "the failed compilation left a file"
    return result


def test_all_unsupported_nodes_are_listed_at_once(tmp_path):
    nodes = [node("Frobnicate", ["x"], ["a"], name="first"), node("Relu", ["a"], ["b"], name="fine"),
             node("Twist", ["b"], ["y"], name="second", domain="com.example")]
    refuse(tmp_path, model_of(nodes, X, Y, domains=["com.example"]), "Frobnicate", "first", "Twist", "second", "com.example")


def test_opset_newer_than_known(tmp_path):
    refuse(tmp_path, model_of([node("Relu", ["x"], ["y"])], X, Y, opset=900), "900")


def test_opset_that_never_was(tmp_path):
    refuse(tmp_path, model_of([node("Relu", ["x"], ["y"])], X, Y, opset=0), "operator set 0")


def test_ir_version_newer_than_known(tmp_path):
    refuse(tmp_path, model_of([node("Relu", ["x"], ["y"])], X, Y, ir_version=900), "900")


def test_cycle(tmp_path):
    nodes = [node("Add", ["x", "b"], ["a"], name="one"), node("Relu", ["a"], ["b"], name="two"),
             node("Relu", ["b"], ["y"], name="three")]
    refuse(tmp_path, model_of(nodes, X, Y), "one", "two")


def test_missing_value(tmp_path):
    refuse(tmp_path, model_of([node("Add", ["x", "nowhere"], ["y"], name="add")], X, Y), "nowhere", "add")


def test_missing_output(tmp_path):
    refuse(tmp_path, model_of([node("Relu", ["x"], ["z"])], X, Y), "'y'")


def test_value_defined_twice(tmp_path):
    nodes = [node("Relu", ["x"], ["y"], name="one"), node("Abs", ["x"], ["y"], name="two")]
    refuse(tmp_path, model_of(nodes, X, Y), "y")


def test_shapes_that_do_not_fit(tmp_path):
    model = model_of([node("MatMul", ["x", "w"], ["y"], name="product")], X, Y, [("w", np.zeros((4, 5), np.float32))])
    refuse(tmp_path, model, "product", "3", "4")


def test_broadcast_that_does_not_fit(tmp_path):
    model = model_of([node("Add", ["x", "w"], ["y"], name="sum")], X, Y, [("w", np.zeros(4, np.float32))])
    refuse(tmp_path, model, "sum")


def test_types_that_do_not_fit(tmp_path):
    model = model_of([node("Add", ["x", "w"], ["y"], name="sum")], X, Y, [("w", np.zeros(3, np.int64))])
    refuse(tmp_path, model, "sum")


def test_too_few_inputs(tmp_path):
    refuse(tmp_path, model_of([node("MatMul", ["x"], ["y"], name="product")], X, Y), "product")


def test_too_many_outputs(tmp_path):
    refuse(tmp_path, model_of([node("Relu", ["x"], ["y", "z"], name="relu")], X, Y), "relu")


def test_axis_out_of_range(tmp_path):
    refuse(tmp_path, model_of([node("Softmax", ["x"], ["y"], name="soft", axis=5)], X, Y), "soft", "5")


def test_attribute_of_the_wrong_type(tmp_path):
    refuse(tmp_path, model_of([node("Softmax", ["x"], ["y"], name="soft", axis="last")], X, Y), "soft", "axis")


def test_reshape_to_another_count(tmp_path):
    model = model_of([node("Reshape", ["x", "s"], ["y"], name="shape")], X, Y, [("s", np.array([4, 2]))])
    refuse(tmp_path, model, "shape")


@pytest.mark.parametrize("pads", [[-9] * 4, [2**62] * 4, [1, 1, 1]])
def test_impossible_pads(tmp_path, pads):
    model = model_of([node("Conv", ["x", "w"], ["y"], name="conv", pads=pads)], [("x", FLOAT, [1, 1, 8, 8])], Y,
                     [("w", np.zeros((1, 1, 3, 3), np.float32))])
    refuse(tmp_path, model, "conv")


def test_kernel_larger_than_the_image(tmp_path):
    model = model_of([node("Conv", ["x", "w"], ["y"], name="conv")], [("x", FLOAT, [1, 1, 2, 2])], Y,
                     [("w", np.zeros((1, 1, 3, 3), np.float32))])
    refuse(tmp_path, model, "conv")


@pytest.mark.parametrize("strides", [[0, 0], [-1, 1]])
def test_impossible_strides(tmp_path, strides):
    model = model_of([node("MaxPool", ["x"], ["y"], name="pool", kernel_shape=[2, 2], strides=strides)],
                     [("x", FLOAT, [1, 1, 8, 8])], Y)
    refuse(tmp_path, model, "pool")


def weight_model(change):
    model = model_of([node("Add", ["x", "w"], ["y"], name="add")], X, Y, [("w", np.ones((2, 3), np.float32))])
    change(model.graph.initializer[0])
    return model


@pytest.mark.parametrize("dims", [[2, 4], [2, 2], [-2, -3], [2**40, 2**40], [2**63 - 1, 3], [2**31, 2**31, 0, 2**40]])
def test_weight_whose_data_and_dims_disagree(tmp_path, dims):
    def change(weight):
        del weight.dims[:]
        weight.dims.extend(dims)

    refuse(tmp_path, weight_model(change), "w")


def test_weight_of_unknown_type(tmp_path):
    refuse(tmp_path, weight_model(lambda weight: setattr(weight, "data_type", 77)), "w", "77")


@pytest.mark.parametrize("dims", [[-5, 3], [2**40, 2**40], [2**62, 2**62]])
def test_impossible_input(tmp_path, dims):
    # A negative size is taken as an unknown one; what overflows is refused.
    model = model_of([node("Relu", ["x"], ["y"])], [("x", FLOAT, dims)], Y)
    if dims[0] < 0:
        (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
        from command import call
        assert call("compile", tmp_path / "model.onnx", "-o", tmp_path / "model.eyr").code in (0, 1)
    else:
        refuse(tmp_path, model, "x")


def external(location, offset=None, length=None):
    def change(weight):
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", offset), ("length", length)):
            if value is not None:
                weight.external_data.add(key=key, value=str(value))

    return weight_model(change)


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "a/../../secret.bin", "absent.bin", "", ".", "link.bin"])
def test_external_data_outside_the_folder(tmp_path, location):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(64))
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    refuse(folder, external(location), "w")


@pytest.mark.parametrize("offset, length", [(0, 25), (60, 24), (-8, 24), (2**63, 24), (0, 12), ("x", 24), (0, -24)])
def test_external_data_outside_the_file(tmp_path, offset, length):
    (tmp_path / "data.bin").write_bytes(bytes(64))
    refuse(tmp_path, external("data.bin", offset, length), "w")


def test_function_that_calls_itself(tmp_path):
    function = helper.make_function("local", "loop", ["a"], ["b"], [node("loop", ["a"], ["b"], domain="local")],
                                    [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)])
    model = model_of([node("loop", ["x"], ["y"], domain="local")], X, Y, functions=[function], domains=["local"])
    refuse(tmp_path, model, "loop")


def test_functions_that_grow_without_bound(tmp_path):
    """Thirty functions, each calling the one below twice: two to the thirtieth nodes."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    functions = [helper.make_function("local", "f0", ["a"], ["b"], [node("Relu", ["a"], ["b"])], opsets)]
    for i in range(1, 31):
        calls = [node(f"f{i - 1}", ["a"], ["c"], domain="local"), node(f"f{i - 1}", ["c"], ["b"], domain="local")]
        functions.append(helper.make_function("local", f"f{i}", ["a"], ["b"], calls, opsets))
    refuse(tmp_path, model_of([node("f30", ["x"], ["y"], domain="local")], X, Y, functions=functions, domains=["local"]))


def test_deeply_nested_graphs(tmp_path):
    """Three thousand If nodes inside each other, as bytes: no parser may follow them on its stack."""
    def tagged(number, payload):
        size, varint = len(payload), b""
        while True:
            varint += bytes([size & 127 | (128 if size > 127 else 0)])
            size >>= 7
            if not size:
                return bytes([number << 3 | 2]) + varint + payload

    graph = b""
    for _ in range(3000):
        graph = tagged(1, tagged(4, b"If") + tagged(5, tagged(1, b"then_branch") + tagged(6, graph)))
    refuse(tmp_path, bytes([8, 8]) + tagged(8, tagged(2, b"") + bytes([16, 17])) + tagged(7, graph))


def test_no_graph(tmp_path):
    model = network()
    model.ClearField("graph")
    refuse(tmp_path, model)


def test_no_opset(tmp_path):
    model = network()
    del model.opset_import[:]
    refuse(tmp_path, model, "opset")


def test_text_instead_of_a_model(tmp_path):
    refuse(tmp_path, b"ceci n'est pas un mod\xc3\xa8le\n" * 40)


def test_shape_flag_that_does_not_fit(tmp_path):
    (tmp_path / "model.onnx").write_bytes(network().SerializeToString())
    for flag, says in ("image=2x3", "image"), ("image=2x7x6x6", "image"), ("nobody=2x1x6x6", "nobody"):
        result = fail("compile", tmp_path / "model.onnx", "-o", tmp_path / "model.eyr", "--shape", flag, says=says)
        assert not (tmp_path / "model.eyr").exists(), result
