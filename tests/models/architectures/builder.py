"""Builds ONNX graphs node by node, with seeded weights and with names as PyTorch's exporter gives them."""
import math

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

INT64_END = 2**63 - 1


class Graph:
    """A graph being built. Methods that add nodes return the name of the output (a list of names if several)."""

    def __init__(self, name: str, seed: int, opset: int = 17):
        self.name, self.opset = name, opset
        self.random = np.random.default_rng(seed)
        self.nodes, self.initializers, self.inputs, self.outputs = [], [], [], []
        self.scope, self.counts = [], {}

    def input(self, name, shape, element=TensorProto.FLOAT):
        self.inputs.append(helper.make_tensor_value_info(name, element, shape))
        return name

    def output(self, value, name, shape, element=TensorProto.FLOAT):
        self.nodes.append(helper.make_node("Identity", [value], [name], name="/" + name + "/Identity"))
        self.outputs.append(helper.make_tensor_value_info(name, element, shape))

    def within(self, scope):
        """`with graph.within("layer1.0"):` prefixes the names of nodes and weights."""
        return _Scope(self, scope)

    def weight(self, name, shape, std=None, mean=0.0, fan_in=None, gain=math.sqrt(2)):
        """A weight from a normal distribution; without `std`, He's rule: gain / sqrt(fan_in)."""
        if std is None:
            std = gain / math.sqrt(fan_in if fan_in is not None else int(np.prod(shape[1:])))
        array = self.random.standard_normal(shape, np.float32)
        array *= np.float32(std)
        array += np.float32(mean)
        return self.keep(name, array)

    def uniform(self, name, shape, low, high):
        return self.keep(name, self.random.uniform(low, high, shape).astype(np.float32))

    def keep(self, name, array):
        name = ".".join(self.scope + [name])
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def constant(self, value, dtype=np.int64):
        """A Constant node; PyTorch writes small constants so."""
        return self.op("Constant", value=numpy_helper.from_array(np.array(value, dtype)))

    def op(self, kind, *inputs, outputs=1, **attributes):
        path = "/" + "/".join(self.scope + [kind])
        count = self.counts[path] = self.counts.get(path, -1) + 1
        path += f"_{count}" if count else ""
        names = [f"{path}_output_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=path, **attributes))
        return names[0] if outputs == 1 else names

    def model(self) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)],
                                  producer_name="eyrie tests", ir_version=8)
        return model

    # What PyTorch's modules and tensor methods become.

    def conv(self, x, name, c_in, c_out, kernel, stride=1, pad=None, groups=1, bias=True, gain=math.sqrt(2)):
        pad = kernel // 2 if pad is None else pad
        weight = self.weight(name + ".weight", (c_out, c_in // groups, kernel, kernel), gain=gain)
        more = [self.weight(name + ".bias", (c_out,), std=0.1)] if bias else []
        return self.op("Conv", x, weight, *more, dilations=[1, 1], group=groups, kernel_shape=[kernel] * 2,
                       pads=[pad] * 4, strides=[stride] * 2)

    def batch_norm(self, x, name, channels):
        scale = self.uniform(name + ".weight", (channels,), 0.6, 1.4)
        bias = self.weight(name + ".bias", (channels,), std=0.2)
        mean = self.weight(name + ".running_mean", (channels,), std=0.2)
        var = self.uniform(name + ".running_var", (channels,), 0.5, 1.5)
        return self.op("BatchNormalization", x, scale, bias, mean, var, epsilon=1e-5, momentum=0.9)

    def gemm(self, x, name, c_in, c_out, gain=1.0):
        """nn.Linear on a matrix."""
        weight = self.weight(name + ".weight", (c_out, c_in), gain=gain)
        bias = self.weight(name + ".bias", (c_out,), std=0.02)
        return self.op("Gemm", x, weight, bias, alpha=1.0, beta=1.0, transB=1)

    def linear(self, x, name, c_in, c_out, gain=1.0):
        """nn.Linear on a tensor of rank 3: MatMul with the transposed weight, then Add."""
        bias = self.weight(name + ".bias", (c_out,), std=0.02)
        weight = self.weight("onnx::MatMul_" + name, (c_in, c_out), fan_in=c_in, gain=gain)
        return self.op("Add", bias, self.op("MatMul", x, weight))

    def layer_norm(self, x, name, width, epsilon=1e-5):
        scale = self.uniform(name + ".weight", (width,), 0.7, 1.3)
        bias = self.weight(name + ".bias", (width,), std=0.1)
        return self.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=epsilon)

    def gelu(self, x):
        erf = self.op("Erf", self.op("Div", x, self.constant(math.sqrt(2), np.float32)))
        product = self.op("Mul", x, self.op("Add", erf, self.constant(1.0, np.float32)))
        return self.op("Mul", product, self.constant(0.5, np.float32))

    def silu(self, x):
        return self.op("Mul", x, self.op("Sigmoid", x))

    def size(self, x, axis):
        """tensor.size(axis): a scalar"""
        return self.op("Gather", self.op("Shape", x), self.constant(axis), axis=0)

    def shape_of(self, *dims):
        """A shape from scalars (names) and integers, as tensor.view's arguments become."""
        parts = [self.op("Unsqueeze", d, self.constant([0])) if isinstance(d, str) else self.constant([d]) for d in dims]
        return self.op("Concat", *parts, axis=0)

    def view(self, x, *dims):
        return self.op("Reshape", x, self.shape_of(*dims), allowzero=0)

    def expand(self, x, *dims):
        """tensor.expand: -1 keeps a size, which the exporter turns into Equal and Where on the shape."""
        shape = self.shape_of(*dims)
        ones = self.op("ConstantOfShape", self.op("Shape", shape), value=numpy_helper.from_array(np.array([1], np.int64)))
        keep = self.op("Equal", shape, self.op("Mul", ones, self.constant(-1)))
        return self.op("Expand", x, self.op("Where", keep, ones, shape))

    def transpose(self, x, *perm):
        return self.op("Transpose", x, perm=list(perm))


class _Scope:
    def __init__(self, graph, name):
        self.graph, self.parts = graph, name.split("/")

    def __enter__(self):
        self.graph.scope.extend(self.parts)

    def __exit__(self, *_):
        del self.graph.scope[-len(self.parts):]
