"""Expected outputs: from ONNX Runtime on one thread, or from ONNX's own evaluator where that lacks an operation."""
import functools

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

onnxruntime.set_default_logger_severity(4)


def plain(value):
    """A result as the tests know it: strings as NumPy's, a sequence as a list."""
    if isinstance(value, list):
        return [plain(element) for element in value]
    array = np.asarray(value)
    return array.astype(str) if array.dtype.kind in "OT" else array


class Reference:
    """A model in ONNX Runtime. `source` is a path or the model itself."""

    def __init__(self, source):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        data = source if isinstance(source, (str, bytes)) else source.SerializeToString() if isinstance(
            source, onnx.ModelProto) else str(source)
        self.session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        self.outputs = [output.name for output in self.session.get_outputs()]

    def __call__(self, inputs: dict) -> dict:
        return dict(zip(self.outputs, map(plain, self.session.run(None, inputs))))


def in_double_precision(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with every f32 of it made f64."""
    double = onnx.ModelProto()
    double.CopyFrom(model)

    def widen(tensor):
        if tensor.data_type == onnx.TensorProto.FLOAT:
            tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor).astype(np.float64), tensor.name))

    for tensor in double.graph.initializer:
        widen(tensor)
    for node in double.graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                widen(attribute.t)
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == onnx.TensorProto.FLOAT:
                attribute.i = onnx.TensorProto.DOUBLE
    for value in [*double.graph.input, *double.graph.output]:
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    del double.graph.value_info[:]
    return double


def exact(path, inputs: dict) -> dict:
    """The outputs of a model by ONNX's own evaluator, all f32 arithmetic in f64."""
    double = in_double_precision(onnx.load(str(path)))
    names = [output.name for output in double.graph.output]
    wide = {name: value.astype(np.float64) if value.dtype == np.float32 else value for name, value in inputs.items()}
    return dict(zip(names, map(np.asarray, ReferenceEvaluator(double).run(None, wide))))


def evaluated(model: onnx.ModelProto, inputs: dict) -> dict:
    """The outputs by name of ONNX's own evaluator."""
    names = [output.name for output in model.graph.output]
    return dict(zip(names, map(plain, ReferenceEvaluator(model).run(None, inputs))))


@functools.cache
def saturates() -> bool:
    """Whether ONNX Runtime's products of unsigned by signed bytes saturate here, as they do on processors without VNNI."""
    node = onnx.helper.make_node("MatMulInteger", ["x", "w"], ["y"])
    x, w = np.full((4, 64), 255, np.uint8), np.full((64, 16), 127, np.int8)
    declared = [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.UINT8, x.shape)]
    graph = onnx.helper.make_graph([node], "probe", declared, [onnx.ValueInfoProto(name="y")],
                                   [onnx.numpy_helper.from_array(w, "w")])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    return not np.array_equal(Reference(model)({"x": x})["y"], x.astype(np.int64) @ w.astype(np.int64))


def multiplies_mixed_bytes(model: onnx.ModelProto, inputs: dict) -> bool:
    """Whether a model is of quantised products whose operands differ in sign."""
    kinds = {array.dtype for array in inputs.values() if isinstance(array, np.ndarray)}
    kinds |= {onnx.numpy_helper.to_array(weight).dtype for weight in model.graph.initializer}
    is_product = any(node.op_type.endswith(("MatMulInteger", "ConvInteger", "QLinearConv", "QLinearMatMul", "QGemm",
                                           "DynamicQuantizeMatMul")) for node in model.graph.node)
    return is_product and np.dtype(np.int8) in kinds and (np.dtype(np.uint8) in kinds or "Dynamic" in model.graph.node[0].op_type)


def expected(model: onnx.ModelProto, inputs: dict) -> dict:
    """The outputs by name of a small model."""
    if multiplies_mixed_bytes(model, inputs) and saturates():
        return evaluated(model, inputs)
    try:
        return Reference(model)(inputs)
    except Exception:  # pybind raises a type of its own for each status
        return evaluated(model, inputs)
