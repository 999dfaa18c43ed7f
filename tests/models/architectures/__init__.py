"""The model list's architectures: full size and small, each a function of its seed alone."""
from dataclasses import dataclass
from typing import Callable

import numpy as np

from .attention import bert, vit
from .convolutional import efficientnet, mobilenet_v2, resnet, squeezenet
from .recurrent import lstm


@dataclass(frozen=True)
class Architecture:
    """`build()` makes the model; `inputs(random, size)` makes valid inputs for each of `sizes`."""
    build: Callable
    inputs: Callable
    sizes: tuple
    quick: bool = False


def _image(random, size):
    return {"input": random.standard_normal(size, np.float32)}


def _sequence(random, size):
    """Ids and a mask whose last quarter is padding."""
    mask = np.ones(size, np.int64)
    mask[:, size[1] - size[1] // 4:] = 0
    return {"input_ids": random.integers(0, 100, size), "attention_mask": mask}


def _sequence_with_types(random, size):
    return {**_sequence(random, size), "token_type_ids": random.integers(0, 2, size)}


_PHOTO = ((1, 3, 224, 224),)
_SMALL_MOBILE = ((1, 8, 1, 1), (6, 12, 2, 2), (6, 16, 2, 2))
_SMALL_EFFICIENT = ((1, 3, 1, 8, 1), (6, 5, 2, 12, 2), (6, 3, 2, 20, 2))

FULL = {
    "resnet50": Architecture(lambda: resnet(1), _image, _PHOTO),
    "mobilenet_v2": Architecture(lambda: mobilenet_v2(2), _image, _PHOTO),
    "efficientnet_b0": Architecture(lambda: efficientnet(3), _image, _PHOTO),
    "squeezenet_1_1": Architecture(lambda: squeezenet(4), _image, _PHOTO),
    "vit_b_16": Architecture(lambda: vit(5), _image, _PHOTO),
    "bert_base": Architecture(lambda: bert(6), _sequence, ((1, 128),)),
    "lstm_2x256": Architecture(lambda: lstm(7), _image, ((1, 64, 128),)),
}

_tiny_bert = dict(layers=2, width=32, heads=4, inner=64, words=100, positions=32)
TINY = {
    "tiny_resnet": Architecture(lambda: resnet(11, (1, 1), 8, 10, 32), _image, ((1, 3, 32, 32),), True),
    "tiny_resnet_dynamic": Architecture(
        lambda: resnet(12, (1, 2), 8, 10, batch="batch", image=("height", "width")), _image,
        ((1, 3, 32, 32), (2, 3, 33, 47), (3, 3, 17, 64)), True),
    "tiny_mobilenet": Architecture(lambda: mobilenet_v2(13, _SMALL_MOBILE, 8, 32, 10, 32), _image, ((1, 3, 32, 32),), True),
    "tiny_mobilenet_batch": Architecture(lambda: mobilenet_v2(14, _SMALL_MOBILE, 8, 32, 10, 29, "N"), _image,
                                         ((1, 3, 29, 29), (3, 3, 29, 29)), True),
    "tiny_efficientnet": Architecture(lambda: efficientnet(15, _SMALL_EFFICIENT, 8, 40, 10, 32), _image,
                                      ((1, 3, 32, 32),), True),
    "tiny_squeezenet": Architecture(lambda: squeezenet(16, 0.125, 10, 48), _image, ((1, 3, 48, 48),), True),
    "tiny_vit": Architecture(lambda: vit(17, 2, 32, 4, 64, 8, 32, 10), _image, ((1, 3, 32, 32),), True),
    "tiny_vit_batch": Architecture(lambda: vit(18, 2, 32, 4, 64, 8, 32, 10, "batch"), _image,
                                   ((1, 3, 32, 32), (3, 3, 32, 32)), True),
    "tiny_bert": Architecture(lambda: bert(19, tokens=16, **_tiny_bert), _sequence, ((1, 16),), True),
    "tiny_bert_dynamic": Architecture(
        lambda: bert(20, batch="batch", tokens="sequence", token_types=True, **_tiny_bert), _sequence_with_types,
        ((1, 16), (3, 7), (2, 1), (1, 32)), True),
    "tiny_lstm": Architecture(lambda: lstm(21, 2, 6, 8, 5, 3), _image, ((1, 5, 6),), True),
    "tiny_lstm_both": Architecture(lambda: lstm(22, 2, 7, 9, 4, 3, "batch", 2), _image, ((1, 4, 7), (5, 4, 7)), True),
}
ALL = {**FULL, **TINY}
