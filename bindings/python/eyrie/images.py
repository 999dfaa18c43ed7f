"""The operator ImageDecoder of ONNX, which decodes image files: by the package Pillow, which has to be installed.

    module = eyrie.Module("model.eyr", functions=eyrie.images.functions())
"""
import io

import numpy as np

from ._native import Error

# Not all that Pillow knows: some formats are programs that other programs would run.
_FORMATS = ("BMP", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
_MODES = {"RGB": ("RGB", 3), "BGR": ("RGB", 3), "Grayscale": ("L", 1)}


def _opened(data, pixel_format):
    from PIL import Image, UnidentifiedImageError
    if pixel_format not in _MODES:
        raise Error("INVALID_ARGUMENT", f"pixel_format is '{pixel_format}', expected one of {', '.join(_MODES)}")
    try:
        return Image.open(io.BytesIO(data.tobytes()), formats=_FORMATS)
    except (UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError) as error:
        raise Error("INVALID_ARGUMENT", f"the data is no image that can be decoded: {error}") from error


def decode(data, pixel_format="RGB"):
    """The image in `data`, the u8 bytes of a file (BMP, JPEG, JPEG 2000, PNG, PNM, TIFF, WebP), as u8[height, width, channels]."""
    with _opened(data, pixel_format) as image:
        try:
            pixels = np.array(image.convert(_MODES[pixel_format][0]))
        except (OSError, SyntaxError, ValueError) as error:
            raise Error("INVALID_ARGUMENT", f"the image is damaged: {error}") from error
    if pixel_format == "BGR":
        pixels = pixels[:, :, ::-1]
    return pixels.reshape(*pixels.shape[:2], _MODES[pixel_format][1])


def sizes(data, pixel_format="RGB"):
    """Height, width and channels of the image, as i64."""
    with _opened(data, pixel_format) as image:
        return np.array([image.height, image.width, _MODES[pixel_format][1]])


def functions() -> dict:
    """For the argument `functions` of `eyrie.Module` and `eyrie.Runtime`."""
    return {"ai.onnx::ImageDecoder": decode, "ai.onnx::ImageDecoder.sizes": sizes}
