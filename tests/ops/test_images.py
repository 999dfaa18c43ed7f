"""ImageDecoder: a function of the application computes it, in Python that of eyrie.images."""
import io
import sys

import numpy as np
import onnx
import pytest
from command import ROOT, compile_model, fail, save_npz
from graphs import node
from onnx import TensorProto
from PIL import Image
from small import model_of

sys.path.insert(0, str(ROOT / "bindings/python"))
import eyrie  # noqa: E402

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


def encoded(form, pixels=PIXELS, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return np.frombuffer(file.getvalue(), np.uint8)


def module_of(tmp_path, pixel_format="RGB", functions=None):
    """The image, and the mean of its pixels."""
    nodes = [node("ImageDecoder", ["file"], ["image"], name="decode", pixel_format=pixel_format),
             node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT), node("ReduceMean", ["floats"], ["mean"], keepdims=0)]
    model = model_of(nodes, [("file", TensorProto.UINT8, ["bytes"])],
                     [("image", TensorProto.UINT8, ["h", "w", "c"]), ("mean", TensorProto.FLOAT, [])], opset=20, ir_version=9)
    onnx.save(model, tmp_path / "m.onnx")
    compile_model(tmp_path / "m.onnx", tmp_path / "m.eyr")
    return eyrie.Module(tmp_path / "m.eyr", functions=functions or eyrie.images.functions()).instance()


@pytest.mark.parametrize("form,options", [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("PPM", {}), ("WEBP", {"lossless": True}), ("JPEG2000", {})],
                         ids=lambda value: value if isinstance(value, str) else "")
def test_forms(tmp_path, form, options):
    got = module_of(tmp_path)({"file": encoded(form, **options)})
    np.testing.assert_array_equal(got["image"], PIXELS)
    np.testing.assert_allclose(got["mean"], PIXELS.mean(), rtol=1e-6)


@pytest.mark.parametrize("pixel_format,want", [("BGR", PIXELS[:, :, ::-1]), ("Grayscale", np.asarray(Image.fromarray(PIXELS).convert("L"))[:, :, None])])
def test_pixel_formats(tmp_path, pixel_format, want):
    np.testing.assert_array_equal(module_of(tmp_path, pixel_format)({"file": encoded("PNG")})["image"], want)


def test_one_module_for_images_of_all_sizes_and_modes(tmp_path):
    instance = module_of(tmp_path)
    for pixels in (PIXELS, PIXELS[:1, :1], PIXELS[:, :, 0], np.dstack([PIXELS, PIXELS[:, :, :1]])):
        want = np.asarray(Image.fromarray(pixels).convert("RGB"))
        np.testing.assert_array_equal(instance({"file": encoded("PNG", pixels)})["image"], want)


@pytest.mark.parametrize("data,says", [(np.zeros(0, np.uint8), "no image"), (np.arange(200, dtype=np.uint8), "no image"),
                                       (encoded("PNG")[:60], "damaged")], ids=["empty", "noise", "cut"])
def test_bad_data(tmp_path, data, says):
    with pytest.raises(eyrie.Error, match=says) as error:
        module_of(tmp_path)({"file": data})
    assert "decode" in str(error.value)


def test_bad_pixel_format(tmp_path):
    with pytest.raises(eyrie.Error, match="pixel_format is 'CMYK', expected one of RGB, BGR, Grayscale"):
        module_of(tmp_path, "CMYK")({"file": encoded("PNG")})


def test_without_the_function(tmp_path):
    module_of(tmp_path)
    save_npz(tmp_path / "in.npz", {"file": encoded("PNG")})
    fail("run", tmp_path / "m.eyr", "--input", f"@{tmp_path / 'in.npz'}", says="needs the host function 'ai.onnx::ImageDecoder")
