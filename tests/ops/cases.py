"""What a test of one operation is: a graph of a single node, its inputs, and how it is declared to the compiler."""
import zlib
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import helper, numpy_helper


class Weight:
    """An input that is an initializer of the model."""

    def __init__(self, array):
        self.array = np.asarray(array)


@dataclass
class Case:
    """`inputs`: arrays, Weights, or None for an optional input left out.

    `dynamic`: sizes above 1 are declared symbolic, equal sizes by the same symbol. `also`: more inputs of other sizes
    for the same module; they need `dims`, the declared dimensions of each input that is not a Weight.
    An `op` of another domain is written with it ("com.microsoft::Gelu"); `version` is that domain's.
    """
    name: str
    op: str
    inputs: list
    attributes: dict = field(default_factory=dict)
    outputs: int = 1
    opset: int = 17
    dynamic: bool = False
    dims: list = None
    also: list = field(default_factory=list)
    tolerance: float = 1e-5
    version: int = 1

    def given(self, inputs) -> dict:
        return {f"x{i}": x for i, x in enumerate(inputs) if x is not None and not isinstance(x, Weight)}

    def feeds(self) -> list:
        return [self.given(inputs) for inputs in (self.inputs, *self.also)]

    def model(self) -> onnx.ModelProto:
        names, declared, kept = [], [], []
        for i, x in enumerate(self.inputs):
            names.append("" if x is None else f"x{i}")
            if isinstance(x, Weight):
                kept.append(numpy_helper.from_array(x.array, f"x{i}"))
            elif x is not None:
                dims = list(np.shape(x))
                if self.dims is not None:
                    dims = self.dims[len(declared)]
                elif self.dynamic:
                    dims = [f"d{n}" if n > 1 else n for n in dims]
                declared.append(helper.make_tensor_value_info(f"x{i}", helper.np_dtype_to_tensor_dtype(x.dtype), dims))
        while names and not names[-1]:
            names.pop()
        results = [f"y{j}" for j in range(self.outputs)]
        domain, _, op = self.op.rpartition("::")
        attributes = {key.rstrip("_"): value for key, value in self.attributes.items()}  # "opset_": an attribute "opset"
        node = helper.make_node(op, names, results, name=self.name, domain=domain, **attributes)
        graph = helper.make_graph([node], self.name, declared, [onnx.ValueInfoProto(name=y) for y in results], kept)
        opsets = [helper.make_opsetid("", self.opset)]
        if domain:
            opsets.append(helper.make_opsetid(domain, self.version))
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


class Family:
    """Collects the cases of one file; `add` numbers those of an operation that are not named."""

    def __init__(self):
        self.cases, self.counts = [], {}

    def add(self, op, *inputs, name=None, outputs=1, opset=17, dynamic=False, dims=None, also=(), tolerance=1e-5,
            version=1, **attributes):
        count = self.counts[op] = self.counts.get(op, -1) + 1
        suffix = name or f"{count:02}"
        self.cases.append(Case(f"{op}_{suffix}" + ("_dynamic" if dynamic else ""), op, list(inputs), attributes, outputs,
                               opset, dynamic, dims, list(also), tolerance, version))

    def both(self, op, *inputs, name=None, **options):
        """The case with static and with symbolic shapes."""
        self.add(op, *inputs, name=name, **options)
        count = self.counts[op]
        self.add(op, *inputs, name=name or f"{count:02}", dynamic=True, **options)


def seed(name):
    """From here on random tensors are those of `name`: of a test, so that what it draws is the same alone and among others.
    (What modules draw when they are imported depends on which are.)"""
    global _random
    _random = np.random.default_rng(zlib.crc32(name.encode()))


seed("eyrie")


def f32(*shape, low=None, high=None):
    """Random floats: standard normal, or uniform between `low` and `high`."""
    if low is None:
        return np.asarray(_random.standard_normal(shape, np.float32))
    return np.asarray(_random.uniform(low, high, shape), np.float32)


def f64(*shape):
    return np.asarray(_random.standard_normal(shape))


def f16(*shape):
    return np.asarray(_random.standard_normal(shape), np.float16)


def ints(*shape, low=-9, high=10, dtype=np.int64):
    return np.asarray(_random.integers(low, high, shape)).astype(dtype)


def bools(*shape):
    return np.asarray(_random.integers(0, 2, shape)).astype(bool)


def i64(*values):
    return np.array(values, np.int64)


SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 1e-40, 3e38, -3e38, 0.5, 1.5, 2.5, -0.5, -1.5, 100.0],
                   np.float32)
