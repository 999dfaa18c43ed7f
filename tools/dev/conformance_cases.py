"""Conformance cases from three sources, all as `Case`: folders of our own, folders of ONNX's layout, and the backend suite of
the installed `onnx` package."""
import json
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper


@dataclass
class Case:
    """A model (its bytes) and data sets: each a dictionary of inputs and one of expected outputs, by name. A value is an
    array, a list (a sequence), or None (an optional input that is not given)."""
    kind: str
    name: str
    model: bytes
    sets: list
    rtol: float = 1e-3
    atol: float = 1e-7
    operators: tuple = field(default=())

    def __post_init__(self):
        if not self.operators:
            self.operators = operators_of(self.model)


def operators_of(model: bytes) -> tuple:
    """The operators of a model's main graph, each once."""
    nodes = onnx.load_from_string(model).graph.node
    name = lambda node: node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
    return tuple(dict.fromkeys(map(name, nodes)))


def of_folder(case: Path) -> Case:
    """A case of ours: model.onnx, meta.json, data.npz with s<K>_in<I> and s<K>_out<J>."""
    meta = json.loads((case / "meta.json").read_text())
    with np.load(case / "data.npz") as archive:
        data = {name: archive[name] for name in archive.files}

    def value(key):
        if key + ".len" in data:
            return [data[f"{key}.{i}"] for i in range(int(data[key + ".len"]))]
        return data[key]

    rows = lambda k, part: {row["name"]: value(f"s{k}_{part}{i}") for i, row in enumerate(meta[part + "puts"])}
    sets = [(rows(k, "in"), rows(k, "out")) for k in range(meta["n_sets"])]
    return Case("folder", case.name, (case / "model.onnx").read_bytes(), sets, meta["rtol"], meta["atol"])


def _value(value, info):
    """The suite's value as ours: messages become arrays and lists."""
    if value is None or isinstance(value, dict):
        return value
    if isinstance(value, (list, tuple)):
        return [_value(element, None) for element in value]
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, onnx.SequenceProto):
        return numpy_helper.to_list(value)
    if isinstance(value, onnx.OptionalProto):
        return _value(numpy_helper.to_optional(value), None)
    if isinstance(value, onnx.MapProto):
        return numpy_helper.to_dict(value)
    return np.asarray(value)


def _parsed(path: Path, info):
    """A .pb file of a data set, whose message the type of the model's value says."""
    kind = info.type.WhichOneof("value")
    message = {"sequence_type": onnx.SequenceProto, "optional_type": onnx.OptionalProto,
               "map_type": onnx.MapProto}.get(kind, onnx.TensorProto)()
    message.ParseFromString(path.read_bytes())
    return _value(message, info)


def of_onnx_folder(kind: str, case: Path, rtol=1e-3, atol=1e-7) -> Case:
    """A case in ONNX's layout: model.onnx, test_data_set_<K>/input_<I>.pb, output_<J>.pb."""
    model = (case / "model.onnx").read_bytes()
    graph = onnx.load_from_string(model).graph
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [info for info in graph.input if info.name not in weights]
    sets = []
    for folder in sorted(case.glob("test_data_set_*")):
        read = lambda part, infos: {info.name: _parsed(folder / f"{part}_{i}.pb", info) for i, info in enumerate(infos)
                                    if (folder / f"{part}_{i}.pb").exists()}
        given = inputs if len(list(folder.glob("input_*.pb"))) <= len(inputs) else graph.input
        sets.append((read("input", given), read("output", graph.output)))
    return Case(kind, case.name, model, sets, rtol, atol)


def of_suite() -> list:
    """The backend suite of the installed package: kinds node, simple, pytorch-converted, pytorch-operator, light."""
    from onnx.backend.test import loader
    np.random.seed(0)  # the node cases are made when they are loaded
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nodes = loader.load_model_tests(kind="node")
    cases = []
    for case in nodes:
        graph = case.model.graph
        named = lambda values, infos: {info.name: _value(value, info) for info, value in zip(infos, values)}
        sets = [(named(ins, graph.input), named(outs, graph.output)) for ins, outs in case.data_sets]
        cases.append(Case("node", case.name, case.model.SerializeToString(), sets, case.rtol, case.atol))
    for kind in ("simple", "pytorch-converted", "pytorch-operator"):
        for case in loader.load_model_tests(kind=kind):
            cases.append(of_onnx_folder(kind, Path(case.model_dir), case.rtol, case.atol))
    return cases + _light()


def _light() -> list:
    """Whole networks with made-up weights: the input counts up, the expectation comes with the package."""
    cases = []
    folder = Path(onnx.__file__).parent / "backend/test/data/light"
    for path in sorted(folder.glob("light_*.onnx")):
        model = onnx.load(path)
        expected = numpy_helper.to_array(onnx.load_tensor(str(path).replace(".onnx", "_output_0.pb")))
        weights = {tensor.name for tensor in model.graph.initializer}
        inputs = {}
        for info in model.graph.input:
            if info.name not in weights:
                shape = [dim.dim_value for dim in info.type.tensor_type.shape.dim]
                count = int(np.prod(shape))
                inputs[info.name] = (np.arange(count).reshape(shape) / count).astype(np.float32)
        cases.append(Case("light", path.stem, path.read_bytes(), [(inputs, {model.graph.output[0].name: expected})], 1e-3, 1e-5))
    return cases
