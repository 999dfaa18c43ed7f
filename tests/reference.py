"""Expected outputs: from ONNX Runtime on one thread, or from ONNX's own evaluator where that lacks an operation."""
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


def expected(model: onnx.ModelProto, inputs: dict) -> dict:
    """The outputs by name of a small model."""
    try:
        return Reference(model)(inputs)
    except Exception:  # pybind raises a type of its own for each status
        return evaluated(model, inputs)
