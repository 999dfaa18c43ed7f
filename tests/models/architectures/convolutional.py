"""ResNet-50, MobileNet-v2, EfficientNet-B0 and SqueezeNet-1.1, and their small relatives."""
import math

import numpy as np

from .builder import Graph


def _classify(g: Graph, x, channels, classes, batch):
    x = g.op("Flatten", g.op("GlobalAveragePool", x), axis=1)
    with g.within("classifier"):
        g.output(g.gemm(x, "fc", channels, classes), "logits", [batch, classes])


def resnet(seed, blocks=(3, 4, 6, 3), width=64, classes=1000, size=224, batch=1, image=None):
    """Bottleneck blocks with batch normalisation folded into the convolutions, as an export for inference has it."""
    g = Graph("resnet", seed)
    x = g.input("input", [batch, 3, *(image or (size, size))])
    x = g.op("Relu", g.conv(x, "conv1", 3, width, 7, stride=2))
    x = g.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4, ceil_mode=0)
    channels = width
    for stage, count in enumerate(blocks):
        inner = width << stage
        for block in range(count):
            with g.within(f"layer{stage + 1}/layer{stage + 1}.{block}"):
                stride = 2 if stage and not block else 1
                y = g.op("Relu", g.conv(x, "conv1", channels, inner, 1))
                y = g.op("Relu", g.conv(y, "conv2", inner, inner, 3, stride=stride))
                y = g.conv(y, "conv3", inner, 4 * inner, 1, gain=0.5)
                if not block:
                    x = g.conv(x, "downsample.0", channels, 4 * inner, 1, stride=stride, gain=1.0)
                channels = 4 * inner
                x = g.op("Relu", g.op("Add", y, x))
    _classify(g, x, channels, classes, batch)
    return g.model()


def mobilenet_v2(seed, settings=((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                                 (6, 160, 3, 2), (6, 320, 1, 1)), first=32, last=1280, classes=1000, size=224, batch=1):
    """Inverted residuals; batch normalisation stands as its own node, ReLU6 as Clip."""
    g = Graph("mobilenet_v2", seed)

    def step(x, name, c_in, c_out, kernel, stride=1, groups=1, clip=True):
        x = g.conv(x, name + ".0", c_in, c_out, kernel, stride, groups=groups, bias=False)
        x = g.batch_norm(x, name + ".1", c_out)
        return g.op("Clip", x, g.constant(0, np.float32), g.constant(6, np.float32)) if clip else x

    x = step(g.input("input", [batch, 3, size, size]), "features.0", 3, first, 3, stride=2)
    channels, index = first, 0
    for expansion, c_out, count, first_stride in settings:
        for block in range(count):
            index += 1
            with g.within(f"features/features.{index}"):
                stride, hidden, y = (1 if block else first_stride), channels * expansion, x
                if expansion != 1:
                    y = step(y, "conv.0", channels, hidden, 1)
                y = step(y, "conv.1", hidden, hidden, 3, stride, groups=hidden)
                y = step(y, "conv.2", hidden, c_out, 1, clip=False)
                x = g.op("Add", x, y) if stride == 1 and channels == c_out else y
                channels = c_out
    x = step(x, "features.18", channels, last, 1)
    _classify(g, x, last, classes, batch)
    return g.model()


def efficientnet(seed, settings=((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3),
                                 (6, 5, 2, 192, 4), (6, 3, 1, 320, 1)), first=32, last=1280, classes=1000, size=224,
                 batch=1):
    """MBConv blocks: SiLU as Sigmoid and Mul, squeeze-and-excitation, normalisation folded."""
    g = Graph("efficientnet", seed)
    gain = 1.45  # SiLU keeps less of the variance than ReLU where inputs are small

    def excite(y, channels, squeezed):
        s = g.op("GlobalAveragePool", y)
        s = g.silu(g.conv(s, "fc1", channels, squeezed, 1))
        return g.op("Mul", g.op("Sigmoid", g.conv(s, "fc2", squeezed, channels, 1)), y)

    x = g.silu(g.conv(g.input("input", [batch, 3, size, size]), "features.0.0", 3, first, 3, stride=2, gain=gain))
    channels = first
    for stage, (expansion, kernel, first_stride, c_out, count) in enumerate(settings):
        for block in range(count):
            with g.within(f"features/features.{stage + 1}/features.{stage + 1}.{block}"):
                stride, hidden, y = (1 if block else first_stride), channels * expansion, x
                if expansion != 1:
                    y = g.silu(g.conv(y, "block.0", channels, hidden, 1, gain=gain))
                y = g.silu(g.conv(y, "block.1", hidden, hidden, kernel, stride, groups=hidden, gain=gain))
                y = excite(y, hidden, max(1, channels // 4))
                y = g.conv(y, "block.3", hidden, c_out, 1, gain=1.3)
                x = g.op("Add", y, x) if stride == 1 and channels == c_out else y
                channels = c_out
    x = g.silu(g.conv(x, "features.8.0", channels, last, 1, gain=gain))
    _classify(g, x, last, classes, batch)
    return g.model()


def squeezenet(seed, width=1.0, classes=1000, size=224, batch=1):
    """SqueezeNet 1.1: fire modules, pooling with ceil_mode, and a convolution as the classifier."""
    g = Graph("squeezenet", seed)
    wide = lambda n: max(1, int(n * width))
    pool = lambda x: g.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[0] * 4, ceil_mode=1)
    x = g.op("Relu", g.conv(g.input("input", [batch, 3, size, size]), "features.0", 3, wide(64), 3, stride=2, pad=0))
    channels = wide(64)
    for index, (squeeze, grow) in enumerate([(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256),
                                             (64, 256)]):
        if index in (0, 2, 4):
            x = pool(x)
        with g.within(f"features.{index + 3}"):
            x = g.op("Relu", g.conv(x, "squeeze", channels, wide(squeeze), 1))
            one = g.op("Relu", g.conv(x, "expand1x1", wide(squeeze), wide(grow), 1))
            three = g.op("Relu", g.conv(x, "expand3x3", wide(squeeze), wide(grow), 3))
            x, channels = g.op("Concat", one, three, axis=1), 2 * wide(grow)
    x = g.op("Relu", g.conv(x, "classifier.1", channels, classes, 1, gain=math.sqrt(2)))
    g.output(g.op("Flatten", g.op("GlobalAveragePool", x), axis=1), "logits", [batch, classes])
    return g.model()
