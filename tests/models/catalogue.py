"""The model list as the tests and the benchmark see it: by name, a file and seeded inputs."""
import sys
import zlib
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
import architectures  # noqa: E402
from fetch import REAL, fetch  # noqa: E402
from generate import generate  # noqa: E402

# Compile time on two cores, in seconds, that the product promises.
SLOWEST_COMPILE_S = {**{name: 10 for name in REAL}, "bert_base": 30, "resnet50": 30}


def path_of(name: str) -> Path:
    return fetch(name) if name in REAL else generate(name)


def inputs_of(name: str) -> list:
    """One dictionary of arrays for each size that the model is tried with, the list's own size first."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    if name in REAL:
        return [{key: _real(random, row) for key, row in given.items()} for given in REAL[name]["inputs"]]
    architecture = architectures.ALL[name]
    return [architecture.inputs(random, size) for size in architecture.sizes]


def _real(random, row):
    shape, kind = row.get("shape"), row["kind"]
    if kind == "integers":
        return random.integers(0, row["below"], shape).astype(row["type"])
    if kind == "mask":
        mask = np.ones(shape, np.int64)
        mask[-1, shape[1] - shape[1] // 4:] = 0
        return mask
    if kind == "value":
        return np.array(row["value"], row["type"])
    if kind == "sound":
        time = np.arange(int(np.prod(shape))).reshape(shape) / 16000
        tones = sum(np.sin(2 * np.pi * f * time) / f**0.5 for f in (220, 440.5, 1310))
        return (2 * tones + 0.02 * random.standard_normal(shape)).astype(np.float32)
    if kind == "image":
        # Smooth, with an edge: nearer to a photograph than noise.
        height, width = shape[-2:]
        y, x = np.mgrid[:height, :width]
        wave = np.sin(x / 7.3) * np.cos(y / 5.1) + (x > width // 3)
        return (0.5 * wave - 0.2 + 0.3 * random.standard_normal(shape)).astype(np.float32)
    if kind == "page":
        return _page(random, shape)
    assert kind == "state", kind
    return (0.3 * random.standard_normal(shape)).astype(np.float32)


def _page(random, shape):
    """Lines of dark strokes on light paper: what a text detector answers to with more than noise."""
    height, width = shape[-2:]
    page = np.full(shape, 1.9, np.float32)
    for top in range(24, height - 30, 48):
        left = 20
        while left < width - 40:
            for _ in range(4):  # one character: a few bars in a box of 14 x 22
                x, y = left + int(random.integers(0, 10)), top + int(random.integers(0, 16))
                page[..., y:top + 22, x:x + 3] = -1.8
                page[..., y:y + 3, left:left + 14] = -1.8
            left += 18 if random.random() < 0.85 else 34
    return page + 0.05 * random.standard_normal(shape).astype(np.float32)
