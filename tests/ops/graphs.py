"""What the tests of models with several nodes are made of: constants, bodies of branches and loops, and the checks."""
import numpy as np
import onnx
from command import check_equal, compile_model, fail, run_module, save_npz, unfold
from onnx import TensorProto, helper, numpy_helper
from reference import expected

BOOL, DOUBLE, FLOAT, FLOAT16 = TensorProto.BOOL, TensorProto.DOUBLE, TensorProto.FLOAT, TensorProto.FLOAT16
INT32, INT64, STRING = TensorProto.INT32, TensorProto.INT64, TensorProto.STRING
node = helper.make_node
value = helper.make_tensor_value_info
sequence = helper.make_tensor_sequence_value_info


def graph(nodes, inputs, outputs):
    """A body: inputs and outputs are (name, element type) or ready; shapes are left open but those of a Loop's turn and
    condition."""
    info = lambda rows: [row if isinstance(row, onnx.ValueInfoProto) else
                         value(*row, [] if row[0] in ("turn", "going_on", "i", "on") else None) for row in rows]
    return helper.make_graph(nodes, "body", info(inputs), info(outputs))


def constant(name, number):
    return node("Constant", [], [name], value=numpy_helper.from_array(np.array(number)))


def turn(nodes, carried, outputs, condition="going_on"):
    """The body of a Loop; `carried` and `outputs` are as those of `graph`."""
    return graph(nodes + ([node("Identity", ["going_on"], ["more"])] if condition == "going_on" else []),
                 [("turn", INT64), ("going_on", BOOL), *carried],
                 [("more" if condition == "going_on" else condition, BOOL), *outputs])


def check(tmp_path, model, *feeds, threads=(None,), want=expected):
    """Compiles once and runs every feed on each number of threads; `want`: the outputs, or what gives those of a feed."""
    onnx.save(model, tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr")
    for feed in feeds:
        outputs = want(model, feed) if callable(want) else want
        for count in threads:
            flags = [] if count is None else ["--threads", str(count)]
            check_equal(run_module(tmp_path / "model.eyr", feed, tmp_path, *flags), outputs, 1e-5)


def refuse(tmp_path, model, *says):
    onnx.save(model, tmp_path / "model.onnx")
    fail("compile", tmp_path / "model.onnx", "-o", tmp_path / "model.eyr", says=says)


def refuse_call(tmp_path, model, arrays, *says):
    """The model compiles; a call with these values, or with these very arrays, fails."""
    onnx.save(model, tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr")
    save_npz(tmp_path / "bad.npz", unfold(arrays))
    fail("run", tmp_path / "model.eyr", "--input", f"@{tmp_path / 'bad.npz'}", says=says)
