"""Random numbers: not which they are, but how they are distributed, and that they are the same in every call."""
import numpy as np
import onnx
import pytest
from command import compile_model, run_module
from onnx import TensorProto, helper

SHAPE = [200, 500]


def draw(tmp_path, op, x=None, opset=22, dims=None, dtype=None, **attributes):
    """The result of a node with a given seed, and of another one without; both twice."""
    inputs = [] if x is None else [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(x.dtype), dims or x.shape)]
    if dtype:
        attributes["dtype"] = dtype
    nodes = [helper.make_node(op, ["x"] if inputs else [], [name], **attributes, **seed)
             for name, seed in (("y", {"seed": 3.0}), ("z", {}), ("w", {}))]
    outputs = [onnx.ValueInfoProto(name=name) for name in "yzw"]
    graph = helper.make_graph(nodes, "random", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    for output in model.graph.output:
        kind = dtype or (helper.np_dtype_to_tensor_dtype(x.dtype) if x is not None else TensorProto.FLOAT)
        output.CopyFrom(helper.make_tensor_value_info(output.name, kind, None))
    onnx.save(model, tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr")
    feeds = {} if x is None else {"x": x}
    first, second = (run_module(tmp_path / "model.eyr", feeds, tmp_path, "--threads", threads) for threads in "12")
    for name in "yzw":
        assert np.array_equal(first[name], second[name])
    assert (first["y"] != first["z"]).mean() > 0.1 and (first["z"] != first["w"]).mean() > 0.1
    return first["y"]


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16])
def test_uniform(tmp_path, dtype):
    y = draw(tmp_path, "RandomUniform", shape=SHAPE, low=-1.0, high=3.0, dtype=dtype).astype(np.float64)
    assert y.min() >= -1 and y.max() <= 3 and abs(y.mean() - 1) < 0.02
    counts = np.histogram(y, 20, (-1, 3))[0] / y.size
    assert abs(counts - 0.05).max() < 0.004
    assert abs(np.corrcoef(y[:-1].ravel(), y[1:].ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT, TensorProto.DOUBLE])
def test_normal(tmp_path, dtype):
    y = draw(tmp_path, "RandomNormal", shape=SHAPE, mean=2.0, scale=0.5, dtype=dtype).astype(np.float64)
    z = (y - 2) / 0.5
    assert np.isfinite(z).all() and abs(z.mean()) < 0.02 and abs(z.std() - 1) < 0.01
    assert abs((z ** 3).mean()) < 0.05 and abs((z ** 4).mean() - 3) < 0.15


def test_like_takes_type_and_open_sizes(tmp_path):
    y = draw(tmp_path, "RandomUniformLike", np.zeros((30, 40), np.float64), dims=["n", 40])
    assert y.shape == (30, 40) and y.dtype == np.float64 and 0 <= y.min() and y.max() < 1


def test_normal_like(tmp_path):
    y = draw(tmp_path, "RandomNormalLike", np.zeros((300, 40), np.int32), dtype=TensorProto.FLOAT)
    assert y.dtype == np.float32 and abs(y.mean()) < 0.05


def test_bernoulli(tmp_path):
    p = np.tile(np.linspace(0, 1, 5, dtype=np.float32), (20000, 1))
    y = draw(tmp_path, "Bernoulli", p, dtype=TensorProto.INT32)
    assert set(np.unique(y)) == {0, 1}
    assert abs(y.mean(0) - p[0]).max() < 0.02 and (y[:, 0] == 0).all() and (y[:, 4] == 1).all()


def test_multinomial(tmp_path):
    p = np.array([[0.1, 0.2, 0.7], [0.5, 0, 0.5]])
    with np.errstate(divide="ignore"):
        y = draw(tmp_path, "Multinomial", np.log(p).astype(np.float32), sample_size=20000, dtype=TensorProto.INT64)
    assert y.shape == (2, 20000) and y.dtype == np.int64
    for row, want in zip(y, p):
        assert abs(np.bincount(row, minlength=3) / 20000 - want).max() < 0.02


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_dropout(tmp_path, dtype):
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    inputs = [helper.make_tensor_value_info("x", kind, ["n", 50]), helper.make_tensor_value_info("ratio", kind, []),
              helper.make_tensor_value_info("training", TensorProto.BOOL, [])]
    outputs = [helper.make_tensor_value_info("y", kind, None), helper.make_tensor_value_info("kept", TensorProto.BOOL, None)]
    node = helper.make_node("Dropout", ["x", "ratio", "training"], ["y", "kept"], seed=7)
    onnx.save(helper.make_model(helper.make_graph([node], "dropout", inputs, outputs),
                                opset_imports=[helper.make_opsetid("", 22)], ir_version=8), tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr")
    x = np.linspace(1, 2, 20000, dtype=dtype).reshape(400, 50)
    for ratio, training in (0.25, True), (0, True), (1, True), (0.75, False):
        feeds = {"x": x, "ratio": np.asarray(ratio, dtype), "training": np.asarray(training)}
        got = run_module(tmp_path / "model.eyr", feeds, tmp_path, "--threads", "2")
        share = 1 - ratio if training else 1
        assert abs(got["kept"].mean() - share) < 0.02
        assert np.allclose(got["y"], np.where(got["kept"], x / (share or 1), 0), rtol=1e-3)
