"""A two-layer LSTM with a linear head."""
from .builder import Graph


def lstm(seed, layers=2, c_in=128, hidden=256, steps=64, classes=10, batch=1, directions=1):
    """nn.LSTM(batch_first=True) without a given state: zeros, expanded to the batch found in the input's shape."""
    g = Graph("lstm", seed)
    x = g.input("input", [batch, steps, c_in])
    n = g.size(x, 0)
    x = g.transpose(x, 1, 0, 2)
    state = g.op("ConstantOfShape", g.shape_of(layers * directions, n, hidden))
    final = []
    for layer in range(layers):
        with g.within("lstm"):
            width, bound = (hidden * directions if layer else c_in), hidden**-0.5
            kept = [g.uniform(f"onnx::LSTM_{kind}{layer}", (directions, *shape), -2 * bound, 2 * bound)
                    for kind, shape in (("W", (4 * hidden, width)), ("R", (4 * hidden, hidden)), ("B", (8 * hidden,)))]
            low, high = g.constant([layer * directions]), g.constant([(layer + 1) * directions])
            first = g.op("Slice", state, low, high, g.constant([0]))
            y, h, c = g.op("LSTM", x, *kept, "", first, first, outputs=3, hidden_size=hidden,
                           direction="bidirectional" if directions == 2 else "forward")
            if directions == 1:
                x = g.op("Squeeze", y, g.constant([1]))
            else:
                x = g.op("Reshape", g.transpose(y, 0, 2, 1, 3), g.constant([0, 0, -1]))
            final.append((h, c))
    x = g.transpose(x, 1, 0, 2)
    with g.within("head"):
        g.output(g.linear(x, "fc", hidden * directions, classes), "scores", [batch, steps, classes])
    for name, parts in zip(("h_n", "c_n"), zip(*final)):
        g.output(g.op("Concat", *parts, axis=0), name, [layers * directions, batch, hidden])
    return g.model()
