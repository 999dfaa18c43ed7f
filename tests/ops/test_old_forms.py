"""Operations as operator sets 1 to 6 write them, against the definitions in NumPy."""
import numpy as np
import onnx
import pytest
from cases import f32, ints
from command import check_equal, compile_model, fail, run_module
from onnx import helper, numpy_helper


def build(opset, op, inputs, outputs=1, dims=None, ir_version=3, **attributes):
    """A model of one node; inputs are arrays, or ("kept", array) for an initializer."""
    declared, kept, names = [], [], []
    for i, x in enumerate(inputs):
        array = x[1] if isinstance(x, tuple) else x
        names.append("" if array is None else f"x{i}")
        if array is None:
            continue
        if isinstance(x, tuple):
            kept.append(numpy_helper.from_array(array, f"x{i}"))
        shape = dims[i] if dims and dims[i] else array.shape
        declared.append(helper.make_tensor_value_info(f"x{i}", helper.np_dtype_to_tensor_dtype(array.dtype), shape))
    results = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(op, names, results, name="old", **attributes)
    graph = helper.make_graph([node], op, declared, [onnx.ValueInfoProto(name=y) for y in results], kept)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)] if ir_version >= 3 else [], ir_version=ir_version)
    if ir_version < 3:
        del model.opset_import[:]
    return model


def run(tmp_path, opset, op, inputs, outputs=1, dims=None, ir_version=3, **attributes):
    onnx.save(build(opset, op, inputs, outputs, dims, ir_version, **attributes), tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr")
    got = run_module(tmp_path / "model.eyr", {f"x{i}": x for i, x in enumerate(inputs) if isinstance(x, np.ndarray)}, tmp_path)
    return [got[f"y{i}"] for i in range(outputs)]


def check(tmp_path, opset, op, inputs, want, **options):
    want = want if isinstance(want, list) else [want]
    got = run(tmp_path, opset, op, inputs, len(want), **options)
    check_equal({str(i): y for i, y in enumerate(got)}, {str(i): np.asarray(y) for i, y in enumerate(want)}, 1e-5)


def refuse(tmp_path, says, opset, op, inputs, outputs=1, dims=None, ir_version=3, **attributes):
    onnx.save(build(opset, op, inputs, outputs, dims, ir_version, **attributes), tmp_path / "model.onnx")
    fail("compile", tmp_path / "model.onnx", "-o", tmp_path / "model.eyr", says=("'old'", says))


# ---- broadcasting

BINARY = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide, "Pow": lambda x, y: np.abs(x) ** y,
          "Less": np.less, "Greater": np.greater, "Equal": np.equal, "And": np.logical_and, "Or": np.logical_or, "Xor": np.logical_xor}


def operands(op, *shapes):
    if op in ("And", "Or", "Xor"):
        return [ints(*shape, low=0, high=2, dtype=np.int32).astype(bool) for shape in shapes]
    if op == "Equal":
        return [ints(*shape, low=0, high=3, dtype=np.int32) for shape in shapes]
    x, y = (f32(*shape) for shape in shapes)
    return [np.abs(x), y] if op == "Pow" else [x, y]


@pytest.mark.parametrize("opset", [1, 6])
@pytest.mark.parametrize("op", BINARY)
def test_where_the_second_operand_lies(tmp_path, op, opset):
    for shape, attributes, reshaped in [((2, 3, 4), {}, (2, 3, 4)), ((3,), dict(broadcast=1, axis=1), (3, 1)),
                                        ((3, 4), dict(broadcast=1), (3, 4)), ((2, 3), dict(broadcast=1, axis=0), (2, 3, 1)),
                                        ((4,), dict(broadcast=1, axis=-1), (4,)), ((1,), dict(broadcast=1, axis=0), (1,)),
                                        ((), dict(broadcast=1), ())]:
        x, y = operands(op, (2, 3, 4), shape)
        check(tmp_path, opset, op, [x, y], BINARY[op](x, y.reshape(reshaped)), **attributes)


def test_a_symbolic_size_is_broadcast(tmp_path):
    x, y = f32(2, 3, 4), f32(3)
    check(tmp_path, 6, "Add", [x, y], x + y[:, None], dims=[["n", "c", "m"], ["c"]], broadcast=1, axis=1)


def test_operands_that_do_not_fit(tmp_path):
    refuse(tmp_path, "without the attribute 'broadcast'", 6, "Add", [f32(2, 3), f32(3)])
    refuse(tmp_path, "without the attribute 'broadcast'", 6, "Mul", [f32(2, 3), f32(2, 1)])
    refuse(tmp_path, "from dimension 0 on", 6, "Add", [f32(2, 3), f32(3)], broadcast=1, axis=0)
    refuse(tmp_path, "does not lie within", 6, "Add", [f32(2, 3), f32(3)], broadcast=1, axis=2)
    refuse(tmp_path, "does not lie within", 6, "Add", [f32(3), f32(2, 3)], broadcast=1)


@pytest.mark.parametrize("opset", [1, 6])
@pytest.mark.parametrize("op, function", [("Sum", np.add), ("Max", np.maximum), ("Min", np.minimum)])
def test_variadic_operations_have_one_shape(tmp_path, op, function, opset):
    xs = [f32(2, 3) for _ in range(3)]
    check(tmp_path, opset, op, xs, function(function(xs[0], xs[1]), xs[2]))
    refuse(tmp_path, "must have one shape", opset, op, [xs[0], f32(3)])


def test_mean(tmp_path):
    xs = [f32(2, 3) for _ in range(3)]
    check(tmp_path, 1, "Mean", xs, sum(xs) / 3, consumed_inputs=[0, 0, 0])


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (2, 3, 4, 5)])
def test_slopes_by_channel(tmp_path, shape):
    x = f32(*shape)
    for slope in (f32(3), f32(1)):
        spread = slope.reshape(-1, *[1] * (len(shape) - 2))
        check(tmp_path, 6, "PRelu", [x, slope], np.where(x < 0, x * spread, x))


@pytest.mark.parametrize("opset", [1, 6])
def test_gemm(tmp_path, opset):
    a, b = f32(3, 2), f32(3, 4)
    for bias, broadcast in [(f32(2, 4), 0), (f32(4), 1), (f32(2, 1), 1), (f32(1), 1)]:
        check(tmp_path, opset, "Gemm", [a, b, bias], 0.5 * a.T @ b + 2 * bias, transA=1, alpha=0.5, beta=2.0, broadcast=broadcast)
    refuse(tmp_path, "input 2 must have the shape [2, 4]", opset, "Gemm", [a, b, f32(4)], transA=1)


# ---- attributes

def test_cast_by_name(tmp_path):
    x = f32(2, 3) * 10
    check(tmp_path, 1, "Cast", [x], x.astype(np.int32), to="INT32")
    check(tmp_path, 5, "Cast", [x], x.astype(np.float64), to="DOUBLE")
    refuse(tmp_path, "must name an element type", 1, "Cast", [x], to="WORD")
    refuse(tmp_path, "must be a string", 1, "Cast", [x], to=6)


def test_concat_along_the_second_dimension(tmp_path):
    x, y = f32(2, 3), f32(2, 2)
    check(tmp_path, 1, "Concat", [x, y], np.concatenate([x, y], 1))
    check(tmp_path, 1, "Concat", [x, x], np.concatenate([x, x], 0), axis=0)
    refuse(tmp_path, "'axis' is missing", 4, "Concat", [x, y])


def test_pad_by_its_old_name(tmp_path):
    x = f32(2, 3)
    check(tmp_path, 1, "Pad", [x], np.pad(x, [(0, 1), (2, 0)], constant_values=1.5), paddings=[0, 2, 1, 0], value=1.5)
    check(tmp_path, 1, "Pad", [x], np.pad(x, [(1, 0), (1, 1)], "reflect"), paddings=[1, 1, 0, 1], mode="reflect")
    refuse(tmp_path, "'paddings' is missing", 1, "Pad", [x], pads=[0, 0, 0, 0])


def test_reshape_by_an_attribute(tmp_path):
    x = f32(2, 3, 4)
    check(tmp_path, 1, "Reshape", [x], x.reshape(2, 12), shape=[0, -1])
    refuse(tmp_path, "'shape' is missing", 4, "Reshape", [x])


def test_split(tmp_path):
    x = f32(2, 6)
    check(tmp_path, 1, "Split", [x], [x[:, :2], x[:, 2:]], axis=1, split=[2, 4])
    check(tmp_path, 1, "Split", [x], [x[:, :3], x[:, 3:]], axis=1)
    check(tmp_path, 1, "Split", [x, ("kept", np.array([1, 5], np.float32))], [x[:, :1], x[:, 1:]], axis=1)


def test_tile_along_one_axis(tmp_path):
    x, tiles, axis = f32(2, 3), np.array(3, np.float32), np.array(1, np.float32)
    check(tmp_path, 1, "Tile", [x, ("kept", tiles), ("kept", axis)], np.tile(x, (1, 3)))
    check(tmp_path, 1, "Tile", [x, tiles, axis], np.tile(x, (1, 3)))  # known only while it runs
    refuse(tmp_path, "at most 2", 6, "Tile", [x, tiles, axis])
    refuse(tmp_path, "must be one number", 1, "Tile", [x, f32(2), axis])


def test_upsample_of_images(tmp_path):
    x = f32(1, 2, 2, 3)
    check(tmp_path, 1, "Upsample", [x], x.repeat(2, 2).repeat(3, 3), height_scale=2.0, width_scale=3.0, mode="nearest")
    refuse(tmp_path, "'width_scale' is missing", 1, "Upsample", [x], height_scale=2.0)


# ---- defaults and modes

@pytest.mark.parametrize("op, function", [("Relu", lambda x: np.maximum(x, 0)), ("Neg", np.negative), ("Exp", np.exp), ("Tanh", np.tanh),
                                          ("Abs", np.abs), ("Sigmoid", lambda x: 1 / (1 + np.exp(-x))), ("Floor", np.floor)])
def test_consumed_inputs_mean_nothing(tmp_path, op, function):
    x = f32(2, 3)
    check(tmp_path, 1, op, [x], function(x), consumed_inputs=[0])


def test_selu(tmp_path):
    x = f32(4, 5)
    check(tmp_path, 1, "Selu", [x], np.where(x > 0, 1.0507 * x, 1.0507 * 1.6732 * np.expm1(x)).astype(np.float32))


def test_clip_by_attributes(tmp_path):
    x = f32(4, 5)
    check(tmp_path, 1, "Clip", [x], np.clip(x, -0.5, 0.25), min=-0.5, max=0.25)
    check(tmp_path, 6, "Clip", [x], np.maximum(x, -0.5), min=-0.5)


def test_norms_by_float(tmp_path):
    x = f32(1, 2, 4)
    check(tmp_path, 1, "GlobalLpPool", [x], np.cbrt((np.abs(x) ** 3).sum(2, keepdims=True)), p=3.0)
    pairs = np.abs(x.reshape(1, 2, 2, 2)).sum(3)
    check(tmp_path, 1, "LpPool", [x], pairs, p=1.0, kernel_shape=[2], strides=[2])
    refuse(tmp_path, "only whole numbers are", 1, "GlobalLpPool", [x], p=2.5)


def test_softmax_takes_all_behind_the_axis(tmp_path):
    x = f32(2, 3, 4)
    rows = np.exp(x.reshape(2, 12))
    check(tmp_path, 1, "Softmax", [x], (rows / rows.sum(1, keepdims=True)).reshape(x.shape))


def statistics(x, per_element):
    axes = (0,) if per_element else (0, *range(2, x.ndim))
    shape = x.shape[1:] if per_element else (x.shape[1],)
    return x.mean(axes).reshape(shape), x.var(axes).reshape(shape)


def normalized(x, scale, bias, mean, variance):
    spread = lambda t: t if t.ndim > 1 or x.ndim == 2 else t.reshape(-1, *[1] * (x.ndim - 2))
    return (x - spread(mean)) / np.sqrt(spread(variance) + np.float32(1e-5)) * spread(scale) + spread(bias)


@pytest.mark.parametrize("spatial", [1, 0])
@pytest.mark.parametrize("opset", [1, 6, 7])
def test_batch_normalization(tmp_path, opset, spatial):
    x = f32(4, 3, 5)
    parameters = [f32(*((3,) if spatial else (3, 5))) for _ in range(4)]
    parameters[3] = np.abs(parameters[3]) + 0.5
    scale, bias, mean, variance = parameters
    extra = {} if opset > 6 else dict(is_test=1)
    if opset == 1:
        extra["consumed_inputs"] = [0] * 5
    check(tmp_path, opset, "BatchNormalization", [x, *parameters], normalized(x, *parameters), spatial=spatial, **extra)
    own = statistics(x, not spatial)
    extra.pop("is_test", None)
    moved = [0.75 * old + 0.25 * new for old, new in zip((mean, variance), own)]
    check(tmp_path, opset, "BatchNormalization", [x, *parameters], [normalized(x, scale, bias, *own), *moved, *own], spatial=spatial, momentum=0.75, **extra)


def test_parameters_of_another_shape(tmp_path):
    refuse(tmp_path, "'spatial' = 0", 6, "BatchNormalization", [f32(2, 3, 4), f32(3), f32(3), f32(3), f32(3)], is_test=1, spatial=0)


@pytest.mark.parametrize("opset", [1, 6])
def test_dropout(tmp_path, opset):
    x = np.ones((64, 64), np.float32)
    check(tmp_path, opset, "Dropout", [x], [x, np.ones_like(x)], is_test=1, ratio=0.25)
    y, mask = run(tmp_path, opset, "Dropout", [x], outputs=2, ratio=0.25)
    assert mask.dtype == np.float32 and set(np.unique(mask)) == {0, 1}
    assert np.allclose(y, mask / 0.75) and abs(mask.mean() - 0.75) < 0.03


@pytest.mark.parametrize("op, gates", [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
def test_recurrent_layers(tmp_path, op, gates):
    """The same as those of operator set 7, whose numbers are tested elsewhere; the direction was misspelt at first."""
    x, w, r = f32(3, 2, 4), f32(1, gates * 5, 4), f32(1, gates * 5, 5)
    want = run(tmp_path, 7, op, [x, w, r], outputs=2, hidden_size=5)
    check(tmp_path, 1, op, [x, w, r], want, hidden_size=5, output_sequence=1, **(dict(direction="foward") if op == "GRU" else {}))
    if op == "GRU":
        want = run(tmp_path, 7, op, [x, w, r], outputs=2, hidden_size=5, linear_before_reset=1)
        check(tmp_path, 3, op, [x, w, r], want, hidden_size=5, output_sequence=1, linear_before_reset=1)


def test_a_file_without_operator_sets(tmp_path):
    """IR versions 1 and 2 name none and mean the first."""
    x, y = f32(2, 3), f32(2)
    check(tmp_path, 1, "Add", [x, y], x + y[:, None], ir_version=2, broadcast=1, axis=0)
    model = build(1, "Add", [x, y])
    del model.opset_import[:]
    onnx.save(model, tmp_path / "model.onnx")
    fail("compile", tmp_path / "model.onnx", "-o", tmp_path / "model.eyr", says="names no operator set")


# ---- Scan of operator set 8

def scan_body():
    """Sums the rows and gives each sum twice."""
    f = onnx.TensorProto.FLOAT
    nodes = [helper.make_node("Add", ["s", "x"], ["t"]), helper.make_node("Identity", ["t"], ["y"])]
    info = lambda name: helper.make_tensor_value_info(name, f, [3])
    return helper.make_graph(nodes, "body", [info("s"), info("x")], [info("t"), info("y")])


def scanned(state, x, lengths, is_reverse):
    rows = np.zeros_like(x)
    state = state.copy()
    for n, length in enumerate(lengths):
        for t in range(length):
            state[n] += x[n, length - 1 - t if is_reverse else t]
            rows[n, t] = state[n]
    return [state, rows]


@pytest.mark.parametrize("dims", [None, [["n"], ["n", 3], ["n", "t", 3]]], ids=["static", "symbolic"])
@pytest.mark.parametrize("is_reverse", [False, True], ids=["forward", "reverse"])
def test_scan_of_a_batch(tmp_path, is_reverse, dims):
    state, x, lengths = f32(4, 3), f32(4, 5, 3), np.array([5, 0, 2, 1])
    options = dict(num_scan_inputs=1, body=scan_body(), dims=dims, directions=[int(is_reverse)])
    check(tmp_path, 8, "Scan", [lengths, state, x], scanned(state, x, lengths, is_reverse), ir_version=4, **options)
    check(tmp_path, 8, "Scan", [None, state, x], scanned(state, x, [5] * 4, is_reverse), ir_version=4, **options)


def test_a_length_that_is_too_large(tmp_path):
    state, x = f32(2, 3), f32(2, 5, 3)
    run(tmp_path, 8, "Scan", [np.array([5, 5]), state, x], 2, ir_version=4, num_scan_inputs=1, body=scan_body())
    for lengths in ([6, 1], [1, -1]):
        inputs = {"x0": np.array(lengths), "x1": state, "x2": x}
        np.savez(tmp_path / "in.npz", **inputs)
        fail("run", tmp_path / "model.eyr", "--input", f"@{tmp_path / 'in.npz'}", says="a length of its sequences")


def test_a_scan_that_does_not_fit(tmp_path):
    state, x = f32(2, 3), f32(2, 5, 3)
    options = dict(outputs=2, ir_version=4, body=scan_body())
    refuse(tmp_path, "different lengths: 2 and 3", 8, "Scan", [None, state, f32(3, 5, 3)], num_scan_inputs=1, **options)
    refuse(tmp_path, "do not fit together", 8, "Scan", [None, state, x], num_scan_inputs=2, directions=[0], **options)
    refuse(tmp_path, "one length for each entry", 8, "Scan", [f32(2), state, x], num_scan_inputs=1, **options)
