"""Random convolutional models as ONNX Runtime's tool quantises them: residual sums, gates, activations of every kind.

The judge is ONNX Runtime without optimisations, which computes in floats between quantisations as the model says. Sums of
bytes are exact here and rounded there, so that now and then a result is the neighbouring step.
"""
import logging
import random

import numpy as np
import onnx
import onnxruntime
import pytest
from calibration import Feeds
from command import compile_model, run_module
from graphs import node
from onnx import helper, numpy_helper
from onnxruntime import quantization


class RandomModel:
    """Draws operators; `value` is the last result, of `channels` channels."""

    def __init__(self, seed):
        self.draw, self.numbers = random.Random(seed), np.random.default_rng(seed)
        self.nodes, self.weights = [], []
        self.channels = self.draw.choice([3, 8, 16, 17, 32])
        self.shape = [self.draw.choice([1, 1, 2]), self.channels, self.draw.choice([1, 5, 8, 14, 20]), self.draw.choice([4, 7, 8, 14, 33])]
        self.value = "x"
        for _ in range(self.draw.randint(1, 5)):
            getattr(self, self.draw.choice(["convolve", "convolve", "filter", "add_itself", "meet", "gate", "concatenate"]))()

    def add(self, op, *inputs, **attributes):
        name = f"t{len(self.nodes)}"
        self.nodes.append(node(op, list(inputs), [name], name=f"node{len(self.nodes)}", **attributes))
        return name

    def weight(self, value):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def conv(self, x, inputs, outputs, size, stride=1, group=1):
        scale = 1 / np.sqrt(inputs // group * size * size)
        weight = self.weight(self.numbers.standard_normal((outputs, inputs // group, size, size)) * scale)
        bias = self.weight(self.numbers.standard_normal(outputs) * 0.1)
        return self.add("Conv", x, weight, bias, kernel_shape=[size] * 2, pads=[size // 2] * 4, strides=[stride] * 2, group=group)

    def activate(self, x):
        kind = self.draw.choice(["none", "Relu", "Sigmoid", "Tanh", "HardSwish", "LeakyRelu", "silu", "gelu", "clip"])
        if kind == "silu":
            return self.add("Mul", x, self.add("Sigmoid", x))
        if kind == "gelu":
            erf = self.add("Erf", self.add("Div", x, self.weight(np.sqrt(2))))
            return self.add("Mul", self.add("Mul", x, self.add("Add", erf, self.weight(1))), self.weight(0.5))
        if kind == "clip":
            return self.add("Clip", x, self.weight(0), self.weight(6))
        return x if kind == "none" else self.add(kind, x)

    def convolve(self):
        outputs = self.draw.choice([8, 16, 20, 32, 48])
        self.value = self.activate(self.conv(self.value, self.channels, outputs, self.draw.choice([1, 3]), self.draw.choice([1, 1, 2])))
        self.channels = outputs

    def filter(self):
        self.value = self.activate(self.conv(self.value, self.channels, self.channels, 3, group=self.channels))

    def add_itself(self):
        other = self.activate(self.conv(self.value, self.channels, self.channels, self.draw.choice([1, 3])))
        self.value = self.activate(self.add("Add", self.value, other))

    def meet(self):
        outputs = self.draw.choice([8, 24, 33])
        one = self.conv(self.value, self.channels, outputs, 1)
        other = self.activate(self.conv(self.value, self.channels, outputs, 3))
        self.value, self.channels = self.activate(self.add(self.draw.choice(["Add", "Mul"]), one, other)), outputs

    def gate(self):
        pooled = self.activate(self.conv(self.add("GlobalAveragePool", self.value), self.channels, 8, 1))
        self.value = self.add("Mul", self.value, self.add("Sigmoid", self.conv(pooled, 8, self.channels, 1)))

    def concatenate(self):
        self.value = self.add("Concat", self.value, self.activate(self.conv(self.value, self.channels, 8, 1)), axis=1)
        self.channels += 8

    def save(self, path):
        info = helper.make_tensor_value_info
        graph = helper.make_graph(self.nodes, "random", [info("x", 1, self.shape)], [info(self.value, 1, None)], self.weights)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def quantize(model, folder, feeds):
    model.save(folder / "model.onnx")
    logging.getLogger().setLevel(logging.ERROR)
    quantization.quantize_static(
        str(folder / "model.onnx"), str(folder / "quantized.onnx"), Feeds(feeds), quant_format=quantization.QuantFormat.QDQ,
        per_channel=model.draw.random() < 0.5, weight_type=quantization.QuantType.QInt8,
        activation_type=model.draw.choice([quantization.QuantType.QUInt8, quantization.QuantType.QInt8]))
    return folder / "quantized.onnx"


@pytest.mark.parametrize("seed", range(24))
def test_agrees_with_onnx_runtime(tmp_path, seed):
    model = RandomModel(seed)
    feeds = [{"x": model.numbers.standard_normal(model.shape).astype(np.float32)} for _ in range(3)]
    path = quantize(model, tmp_path, feeds)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    compile_model(path, tmp_path / "m.eyr", *([] if seed % 4 else ["--cpu", "x86-64-v3", "--cpu", "x86-64"]))
    for feed in feeds[:2]:
        want = session.run(None, feed)[0]
        got = run_module(tmp_path / "m.eyr", feed, tmp_path)[model.value]
        assert got.shape == want.shape
        values = np.unique(want)
        step = np.diff(values).min() if values.size > 1 else 1e-6
        difference = np.abs(got - want)
        assert difference.max() <= 3 * step and (difference > step / 2).mean() < 0.08
