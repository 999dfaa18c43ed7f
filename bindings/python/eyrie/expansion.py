"""Nodes of the caller's operators, and what may be made of them. Needs the package `onnx`."""
import ctypes
from dataclasses import dataclass

import numpy as np

from . import _compiler as native


@dataclass(frozen=True)
class Input:
    """What is known of an input of a node.

    `kind` is "tensor", "sequence", "optional", or None if the node leaves the input out; `dtype` is that of the
    elements (None if unknown), `type` its number in ONNX; `shape` has None for a size that is known only at run time,
    and is None itself if not even the number of dimensions is known. `value` is an array if all elements are known and
    they are few.
    """
    name: str
    kind: str | None
    type: int
    dtype: np.dtype | None
    shape: tuple | None
    value: np.ndarray | None

    @staticmethod
    def _of(name, given: native.ExpandInput):
        import onnx
        shape = tuple(d if d >= 0 else None for d in given.dims[:given.rank]) if given.rank >= 0 else None
        dtype = onnx.helper.tensor_dtype_to_np_dtype(given.type) if given.type else None
        value = None
        if given.data:
            raw = ctypes.string_at(given.data, given.size_bytes)
            value = onnx.numpy_helper.to_array(onnx.TensorProto(data_type=given.type, dims=shape, raw_data=raw))
        return Input(name, native.KINDS[given.kind], given.type, dtype, shape, value)


class Node:
    """A node that is to be expanded.

    `proto`       the NodeProto; attributes that refer to those of a function around it have their values
    `name`        its name, behind those of the nodes in whose expansions it is
    `attributes`  by name: numbers, strings, lists, arrays for tensors, GraphProto for graphs
    `inputs`      an Input for each; `outputs` their names, "" for one that nobody wants
    `opset`       the version of ONNX's default domain that is in force here; `version` that of the node's domain
    """

    def __init__(self, given: native.ExpandNode):
        import onnx
        self.proto = onnx.NodeProto.FromString(ctypes.string_at(given.node, given.node_size))
        self.name = given.place.decode(errors="replace")
        self.op_type, self.domain, self.overload = self.proto.op_type, self.proto.domain, self.proto.overload
        self.attributes = {attribute.name: _value(attribute) for attribute in self.proto.attribute}
        self.inputs = [Input._of(name, given.inputs[i].contents) for i, name in enumerate(self.proto.input)]
        self.outputs = list(self.proto.output)
        self.opset, self.version = given.opset, given.version

    def __repr__(self):
        return f"<node '{self.name}' ({self.domain + '::' if self.domain else ''}{self.op_type})>"


def _value(attribute):
    import onnx
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    if attribute.type == onnx.AttributeProto.STRINGS:
        return [text.decode() for text in value]
    return list(value) if attribute.type in (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS) else value


def model_bytes(model) -> bytes:
    if isinstance(model, bytes):
        return model
    if hasattr(model, "graph") and hasattr(model, "SerializeToString"):
        return model.SerializeToString()
    raise TypeError(f"expected a model as a path, bytes or an onnx.ModelProto, got {type(model).__name__}")


def library_bytes(functions) -> bytes:
    if hasattr(functions, "graph") and hasattr(functions, "SerializeToString"):
        return functions.SerializeToString()
    return function_bytes(functions)


def function_bytes(made) -> bytes:
    """A function as bytes: a FunctionProto, what has `to_function_proto` (onnxscript), or bytes."""
    import onnx
    if hasattr(made, "to_function_proto"):
        made = made.to_function_proto()
    if isinstance(made, onnx.FunctionProto):
        return made.SerializeToString()
    if isinstance(made, bytes):
        return made
    raise TypeError(f"expected a FunctionProto, an onnxscript function or bytes, got {type(made).__name__}")


def answer_bytes(answer, node: Node) -> bytes | None:
    """What a callback returned, as a FunctionProto; None if it leaves the node to others."""
    import onnx
    if answer is None:
        return None
    if isinstance(answer, onnx.NodeProto):
        answer = [answer]
    if isinstance(answer, (list, tuple)):
        return _function_of(answer, node).SerializeToString()
    try:
        return function_bytes(answer)
    except TypeError as error:
        raise TypeError(f"the expansion of {node} returned {type(answer).__name__}; expected a FunctionProto, a list of "
                        "NodeProto, an onnxscript function, bytes or None") from error


def _function_of(nodes, node: Node):
    """A function of nodes that read and make what the node does, by its names."""
    import onnx
    for each in nodes:
        if not isinstance(each, onnx.NodeProto):
            raise TypeError(f"the expansion of {node} has a {type(each).__name__} in its list; expected NodeProto")
    inputs, nodes = [], list(nodes)
    for i, given in enumerate(node.inputs):
        # An input that is left out or there twice has a place, but no name of its own.
        inputs.append(given.name if given.name and given.name not in inputs else f"__unused_input_{i}")
    outputs = [name or f"__unused_output_{i}" for i, name in enumerate(node.outputs)]
    made = {name for each in nodes for name in each.output}
    nodes += [onnx.helper.make_node("Constant", [], [name], value_int=0)
              for given, name in zip(node.outputs, outputs) if not given and name not in made]
    return onnx.helper.make_function(node.domain, node.op_type, inputs, outputs, nodes, [])
