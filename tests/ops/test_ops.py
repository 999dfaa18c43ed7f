"""Each operation with numbers in and numbers out, against ONNX Runtime.

An operation that Eyrie does not have yet is skipped, if the compiler says so clearly; anything else is a failure.
"""
import attention
import axes
import contractions
import contrib
import contrib_attention
import elementwise
import empties
import losses
import machine_learning
import movement
import onnx
import pytest
import quantized
import reductions
import selections
import signals
import vision
from command import call, check_equal, run_module
from onnx import helper
from reference import expected

CASES = {}
for family in (elementwise, empties, contractions, reductions, movement, losses, axes, vision, signals, quantized, attention, contrib,
               contrib_attention, selections, machine_learning):
    for case in family.family.cases:
        name = case.name
        while name in CASES:
            name += "_"
        CASES[name] = case


@pytest.mark.parametrize("name", CASES)
def test_op(name, tmp_path):
    case = CASES[name]
    model = case.model()
    try:
        wanted = [expected(model, feed) for feed in case.feeds()]
    except Exception as error:
        pytest.skip(f"neither reference runs this: {str(error)[:200]}")
    for output, array in zip(model.graph.output, wanted[0].values()):
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        output.CopyFrom(helper.make_tensor_value_info(output.name, kind, None))
    path, module = tmp_path / "model.onnx", tmp_path / "model.eyr"
    onnx.save(model, path)
    compiled = call("compile", path, "-o", module)
    if compiled.code == 1 and "not supported" in compiled.err + compiled.err.replace("unsupported", "not supported"):
        pytest.skip("not supported yet: " + compiled.err.strip().split("\n")[-1][:200])
    assert compiled.code == 0, f"the compilation failed:\n{compiled}"
    for feed, want in zip(case.feeds(), wanted):
        check_equal(run_module(module, feed, tmp_path, "--threads", "2"), want, case.tolerance)
