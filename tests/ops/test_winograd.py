"""Convolutions with 3 x 3 filters by Winograd's method, and the borders that convolutions write for their consumers."""
import numpy as np
import onnx
import pytest
from agreement import agree
from cases import f32
from command import compile_model, run_module
from graphs import FLOAT, node
from small import model_of

SIZES = [(1, 1), (3, 5), (4, 4), (7, 7), (8, 13), (14, 14), (30, 17)]
CPUS = ["native", "x86-64", "x86-64-v3"]


def convolution(channels, outputs, size, batch=1, pads=(1, 1, 1, 1), after=(), weights=()):
    """A product of each pixel's channels makes `i`, so that they lie together; then comes the convolution."""
    nodes = [node("Conv", ["x", "v"], ["i"], kernel_shape=[1, 1]),
             node("Conv", ["i", "w", "bias"], ["c" if after else "y"], kernel_shape=[3, 3], pads=list(pads)), *after]
    return model_of(nodes, [("x", FLOAT, [batch, 8, *size])], [("y", FLOAT, None)],
                    [("v", f32(channels, 8, 1, 1)), ("w", f32(outputs, channels, 3, 3)), ("bias", f32(outputs)), *weights])


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("size", SIZES[3:])
def test_is_chosen_where_it_is_faster(tmp_path, size, cpu):
    """It shows in the IR, and not in the file: the filter is transformed by the kernel."""
    model = convolution(64, 96, size, 4)
    feed = {"x": f32(4, 8, *size)}
    sizes = []
    for flags in ([], ["--no-winograd"]):
        stages = tmp_path / f"stages{len(sizes)}"
        sizes.append(agree(tmp_path, model, [feed], "--cpu", cpu, "--dump-dir", stages, *flags)["size_bytes"])
        assert uses_winograd(stages) == (not flags)
    assert abs(sizes[0] - sizes[1]) < 64 * 1024


def uses_winograd(stages):
    return any("graph.winograd" in stage.read_text() for stage in stages.iterdir())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 1, 1, 1), (0, 2, 1, 3)])
def test_every_remainder_of_tiles(tmp_path, size, pads):
    if min(size[0] + pads[0] + pads[2], size[1] + pads[1] + pads[3]) < 3:
        pytest.skip("the filter is larger than the input")
    agree(tmp_path, convolution(64, 32, size, 3, pads), [{"x": f32(3, 8, *size)}])


def test_open_batches(tmp_path):
    model = convolution(32, 64, (9, 10), "n")
    agree(tmp_path, model, [{"x": f32(n, 8, 9, 10)} for n in (1, 2, 7)])
    onnx.save(model, tmp_path / "m.onnx")
    compile_model(tmp_path / "m.onnx", tmp_path / "m.eyr")
    assert run_module(tmp_path / "m.eyr", {"x": f32(0, 8, 9, 10)}, tmp_path)["y"].shape == (0, 64, 9, 10)


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("outputs", [9, 17, 24, 33, 40])
def test_outputs_that_fill_no_panel(tmp_path, outputs, cpu):
    stages = tmp_path / "stages"
    after = [node("Mul", ["c", "scale"], ["s"]), node("Relu", ["s"], ["y"])]
    model = convolution(96, outputs, (14, 15), 2, after=after, weights=[("scale", f32(outputs, 1, 1))])
    agree(tmp_path, model, [{"x": f32(2, 8, 14, 15)}], "--cpu", cpu, "--dump-dir", stages)
    if cpu == "native":
        assert uses_winograd(stages)


@pytest.mark.parametrize("height, width", [("h", "w_"), ("h", 13), (6, "w_")])
@pytest.mark.parametrize("pads", [(1, 1, 1, 1), (0, 0, 0, 0), (2, 0, 1, 3)])
def test_open_images(tmp_path, height, width, pads):
    model = convolution(32, 64, (height, width), "n", pads, after=[node("Relu", ["c"], ["y"])])
    sizes = [size for size in SIZES + [(5, 4), (6, 6), (70, 3)] if min(size) > 2 or pads[0]]
    feeds = [{"x": f32(n, 8, h if height == "h" else height, w if width == "w_" else width)} for n, (h, w) in enumerate(sizes, 1)]
    feeds = [feed for feed in feeds if feed["x"].shape[2] + pads[0] + pads[2] > 2 and feed["x"].shape[3] + pads[1] + pads[3] > 2]
    stages = tmp_path / "stages"
    agree(tmp_path, model, feeds, "--dump-dir", stages)
    assert uses_winograd(stages)


def test_open_images_whose_results_are_padded_and_added(tmp_path):
    after = [node("Conv", ["c", "u"], ["d"], kernel_shape=[3, 3], pads=[1] * 4), node("Add", ["d", "i"], ["y"])]
    model = convolution(64, 64, ("h", "w_"), after=after, weights=[("u", f32(64, 64, 3, 3))])
    agree(tmp_path, model, [{"x": f32(1, 8, *size)} for size in SIZES])


@pytest.mark.parametrize("size", [(7, 9), ("h", "w_")])
@pytest.mark.parametrize("scale", [(1, 1, 2, 2), (1, 1, 3, 1)])
def test_enlarged_between_convolutions(tmp_path, size, scale):
    """As in a feature pyramid: what is enlarged stays as the convolutions want it, one transpose is left, at the end."""
    nodes = [node("Conv", ["x", "v"], ["a"], kernel_shape=[1, 1]), node("Resize", ["a", "", "s"], ["b"], mode="nearest"),
             node("Conv", ["z", "v"], ["c"], kernel_shape=[1, 1]), node("Add", ["b", "c"], ["d"]),
             node("Conv", ["d", "w"], ["y"], kernel_shape=[3, 3], pads=[1] * 4)]
    enlarged = [n * times if isinstance(n, int) else n.upper() * (times > 1) or n for n, times in zip(size, scale[2:])]
    model = model_of(nodes, [("x", FLOAT, [1, 8, *size]), ("z", FLOAT, [1, 8, *enlarged])], [("y", FLOAT, None)],
                     [("v", f32(32, 8, 1, 1)), ("s", np.array(scale, np.float32)), ("w", f32(16, 32, 3, 3))])
    feeds = [{"x": f32(1, 8, h, w), "z": f32(1, 8, h * scale[2], w * scale[3])} for h, w in ((7, 9), (1, 5), (12, 4))]
    stages = tmp_path / "stages"
    agree(tmp_path, model, feeds[:1 if isinstance(size[0], int) else None], "--dump-dir", stages)
    assert "32x?x" not in (stages / "3-stream.mlir").read_text() and "x32x7x" not in (stages / "3-stream.mlir").read_text()


def test_what_follows(tmp_path):
    after = [node("Relu", ["c"], ["r"]), node("Mul", ["r", "scale"], ["s"]), node("Sigmoid", ["s"], ["t"]), node("Add", ["t", "i"], ["y"])]
    agree(tmp_path, convolution(64, 64, (14, 14), 2, after=after, weights=[("scale", f32(64, 1, 1))]), [{"x": f32(2, 8, 14, 14)}],
          tolerance=1e-4)  # of values that are much smaller than the convolution's


@pytest.mark.parametrize("second", [dict(kernel_shape=[3, 3], pads=[1, 1, 1, 1]), dict(kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
                                    dict(kernel_shape=[5, 5], pads=[2, 2, 2, 2])])
def test_chains_write_their_borders(tmp_path, second):
    kernel = second["kernel_shape"]
    after = [node("Relu", ["c"], ["r"]), node("Conv", ["r", "w2"], ["y"], **second)]
    model = convolution(32, 48, (11, 13), 2, after=after, weights=[("w2", f32(16, 48, *kernel) / 8)])
    agree(tmp_path, model, [{"x": f32(2, 8, 11, 13)}])


def test_convolutions_of_one_input(tmp_path):
    after = [node("Conv", ["i", "w2"], ["d"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]), node("Concat", ["c", "d"], ["y"], axis=1)]
    model = convolution(32, 64, (14, 14), 2, after=after, weights=[("w2", f32(64, 32, 3, 3))])
    agree(tmp_path, model, [{"x": f32(2, 8, 14, 14)}])


def test_neighbours_of_a_nan_are_numbers_when_asked_for(tmp_path):
    model = convolution(64, 64, (16, 16))
    onnx.save(model, tmp_path / "m.onnx")
    x = f32(1, 8, 16, 16)
    x[0, 5, 8, 8] = np.nan
    compile_model(tmp_path / "m.onnx", tmp_path / "m.eyr", "--no-winograd")
    assert np.isnan(run_module(tmp_path / "m.eyr", {"x": x}, tmp_path)["y"][0, 0]).sum() == 9
    compile_model(tmp_path / "m.onnx", tmp_path / "m.eyr")
    wide = np.isnan(run_module(tmp_path / "m.eyr", {"x": x}, tmp_path)["y"][0, 0])
    assert wide[7:10, 7:10].all() and 9 <= wide.sum() <= 64
