"""Whole models on other kinds of processors: right numbers, and clear words for code that they cannot run."""
import os
import re

import numpy as np
import onnx
import pytest
from cases import f32
from catalogue import inputs_of, path_of
from command import check_equal, compile_model, fail, relative_error, run_module
from emulation import ARM, ARM_SVE, PROCESSORS, RISCV, RISCV_V, RISCV_V256, call_on, run_module_on
from reference import Reference
from test_winograd import convolution, uses_winograd

TOLERANCE = 1e-4


SMALL = ["tiny_resnet_dynamic", "tiny_mobilenet", "tiny_bert_dynamic", "tiny_lstm"]
REAL = ["silero_vad_op15", "ppocr_v2_cls"]


@pytest.mark.parametrize("name, processor", [*((name, processor) for processor in PROCESSORS for name in SMALL),
                                             *((name, processor) for processor in (ARM, RISCV_V) for name in REAL)], ids=str)
def test_model(name, processor, tmp_path):
    model, module = path_of(name), tmp_path / "model.eyr"
    compile_model(model, module, f"--cpu={processor.cpu}")
    reference = Reference(model)
    for inputs in inputs_of(name):
        got = run_module_on(processor, module, inputs, reference.outputs, tmp_path, "--threads", "2")
        check_equal(got, reference(inputs), TOLERANCE)


@pytest.mark.parametrize("processor", PROCESSORS, ids=str)
def test_winograd(processor, tmp_path):
    model, feed = convolution(64, 96, (13, 14), 2), {"x": f32(2, 8, 13, 14)}
    onnx.save(model, tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr", f"--cpu={processor.cpu}", "--dump-dir", tmp_path / "stages")
    assert uses_winograd(tmp_path / "stages")
    got = run_module_on(processor, tmp_path / "model.eyr", feed, ["y"], tmp_path)["y"]
    want = Reference(model)(feed)["y"]
    assert np.abs(got - want).max() <= 1e-5 * np.abs(want).max()


@pytest.mark.parametrize("precision", ["bf16", "f16"])
@pytest.mark.parametrize("processor", PROCESSORS, ids=str)
def test_narrow_weights(processor, precision, tmp_path):
    """The weights are those of a module for this machine, and so are the numbers (of one that multiplies f32)."""
    model, module, feed = path_of("tiny_resnet_dynamic"), tmp_path / "model.eyr", inputs_of("tiny_resnet_dynamic")[0]
    compile_model(model, module, "--precision", precision, "--cpu=generic")
    want = run_module(module, feed, tmp_path)
    compile_model(model, module, "--precision", precision, f"--cpu={processor.cpu}")
    check_equal(run_module_on(processor, module, feed, list(want), tmp_path), want, TOLERANCE)
    assert any(relative_error(value, Reference(model)(feed)[name]) > TOLERANCE for name, value in want.items())


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="an x86-64 machine is needed that lacks this")
@pytest.mark.parametrize("processor", [ARM, RISCV], ids=str)
def test_code_for_another_machine_is_refused(processor, tmp_path):
    module = tmp_path / "model.eyr"
    compile_model(path_of("tiny_lstm"), module, f"--cpu={processor.cpu}")
    fail("run", module, "--input", "input=1x5x8xf32=1", says=f"is of the format 'elf-{processor.arch}'; this machine runs "
         "'elf-x86_64': compile it with --cpu=x86-64")


@pytest.mark.parametrize("made_for, runs_on, feature", [(ARM_SVE, ARM, "fullfp16"), (RISCV_V, RISCV, "v"),
                                                        (RISCV_V256, RISCV_V, "zvl256b")], ids=str)
def test_features_are_looked_for(made_for, runs_on, feature, tmp_path):
    module = tmp_path / "model.eyr"
    compile_model(path_of("tiny_lstm"), module, f"--cpu={made_for.cpu}")
    result = call_on(runs_on, "run", module, "--input", "input=1x5x8xf32=1")
    assert result.code == 1, result
    assert re.search(rf"needs {feature}(, \w+)*, which this processor lacks", result.err), result
