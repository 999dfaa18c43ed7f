"""Convolutions of few steps between two images with channels first: their vectors run along the images."""
import pytest
from agreement import agree
from cases import f32
from graphs import FLOAT, node
from small import model_of

# Channels, outputs, groups.
KINDS = [(1, 1, 1), (1, 5, 1), (3, 16, 1), (8, 3, 1), (12, 12, 12), (5, 10, 5), (8, 12, 4), (16, 33, 1)]


def convolution(kind, size, batch=2, window=(3, 3), **attributes):
    channels, outputs, groups = kind
    nodes = [node("Conv", ["x", "w", "b"], ["c"], kernel_shape=window, group=groups, **attributes), node("Relu", ["c"], ["y"])]
    return model_of(nodes, [("x", FLOAT, [batch, channels, *size])], [("y", FLOAT, None)],
                    [("w", f32(outputs, channels // groups, *window)), ("b", f32(outputs))])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 8), (7, 7), (9, 16), (5, 33), (31, 50)])
@pytest.mark.parametrize("cpu", ["native", "x86-64", "x86-64-v3"])
def test_sizes(tmp_path, kind, size, cpu):
    agree(tmp_path, convolution(kind, size, pads=[1] * 4), [{"x": f32(2, kind[0], *size)}], "--cpu", cpu)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("attributes", [{"pads": [0, 1, 2, 3]}, {"dilations": [2, 3], "pads": [2] * 4}, {"strides": [2, 1]},
                                        {"strides": [1, 2]}, {"window": (1, 5)}, {"window": (4, 1)}], ids=str)
def test_attributes(tmp_path, kind, attributes):
    agree(tmp_path, convolution(kind, (10, 21), **attributes), [{"x": f32(2, kind[0], 10, 21)}])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("height, width", [("h", "w_"), (9, "w_"), ("h", 19)])
def test_open_sizes(tmp_path, kind, height, width):
    feeds = [{"x": f32(n, kind[0], h if height == "h" else height, w if width == "w_" else width)}
             for n, h, w in [(1, 1, 1), (2, 5, 3), (1, 12, 40), (3, 2, 17)]]
    agree(tmp_path, convolution(kind, (height, width), "n", pads=[1] * 4), feeds)


@pytest.mark.parametrize("kind", [(1, 5, 1), (3, 16, 1), (12, 12, 12)])
@pytest.mark.parametrize("size", [(20, 30), ("h", "w_")])
def test_takes_the_image_as_it_comes(tmp_path, kind, size):
    stages = tmp_path / "stages"
    agree(tmp_path, convolution(kind, size, pads=[1] * 4), [{"x": f32(2, kind[0], 20, 30)}], "--dump-dir", stages)
    kernels = (stages / "2-graph.mlir").read_text().count("graph.executable @")
    assert kernels == 2  # the border and the convolution
