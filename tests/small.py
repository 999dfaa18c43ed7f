"""Small models that the tests of errors and of the command line share."""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def model_of(nodes, inputs, outputs, weights=(), opset=17, ir_version=8, functions=(), domains=()) -> onnx.ModelProto:
    """A model; inputs and outputs are (name, element type, shape) or ready, weights (name, array)."""
    info = lambda rows: [row if isinstance(row, onnx.ValueInfoProto) else helper.make_tensor_value_info(*row) for row in rows]
    kept = [numpy_helper.from_array(array, name) for name, array in weights]
    graph = helper.make_graph(nodes, "small", info(inputs), info(outputs), kept)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version, functions=list(functions))


def network() -> onnx.ModelProto:
    """A bit of everything in two kilobytes: a convolution, a pooling, shape arithmetic, a matrix product, softmax."""
    random = np.random.default_rng(5)
    normal = lambda *shape: random.standard_normal(shape, np.float32)
    node = helper.make_node
    nodes = [
        node("Conv", ["image", "filter", "bias"], ["c"], name="conv", pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        node("Relu", ["c"], ["r"], name="relu"),
        node("MaxPool", ["r"], ["p"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Shape", ["p"], ["s"], name="shape"),
        node("Gather", ["s", "zero"], ["n"], name="batch", axis=0),
        node("Unsqueeze", ["n", "axes"], ["n1"], name="batch_vector"),
        node("Concat", ["n1", "rest"], ["target"], name="target", axis=0),
        node("Reshape", ["p", "target"], ["flat"], name="reshape"),
        node("MatMul", ["flat", "matrix"], ["m"], name="matmul"),
        node("Add", ["m", "offset"], ["logits"], name="add"),
        node("Softmax", ["logits"], ["scores"], name="softmax", axis=-1),
    ]
    weights = [("filter", normal(4, 1, 3, 3)), ("bias", normal(4)), ("zero", np.array(0)), ("axes", np.array([0])),
               ("rest", np.array([-1])), ("matrix", normal(36, 5)), ("offset", normal(5))]
    return model_of(nodes, [("image", TensorProto.FLOAT, ["batch", 1, 6, 6])],
                    [("scores", TensorProto.FLOAT, ["batch", 5])], weights)


def network_inputs(batch=2) -> dict:
    return {"image": np.random.default_rng(6).standard_normal((batch, 1, 6, 6), np.float32)}


def adder() -> onnx.ModelProto:
    """Two inputs that share a symbol, a float and an integer output."""
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"], name="add"),
             helper.make_node("Mul", ["count", "two"], ["twice"], name="mul")]
    return model_of(nodes, [("a", TensorProto.FLOAT, ["n", 3]), ("b", TensorProto.FLOAT, ["n", 3]),
                            ("count", TensorProto.INT64, [])],
                    [("sum", TensorProto.FLOAT, ["n", 3]), ("twice", TensorProto.INT64, [])], [("two", np.array(2))])


def adder_inputs(n=2) -> dict:
    a = np.arange(3 * n, dtype=np.float32).reshape(n, 3)
    return {"a": a, "b": a + np.float32(0.5), "count": np.array(21)}
