"""The Python binding: types, shapes, errors, lifetimes."""
import ctypes
import gc
import subprocess
import threading

import numpy as np
import onnx
import pytest
from command import ROOT, check_equal, compile_model
from onnx import TensorProto, helper
from reference import Reference
from small import adder, adder_inputs, model_of, network, network_inputs

import eyrie
from eyrie import _native as native


def build(tmp_path, model, **options):
    onnx.save(model, tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr")
    return eyrie.Module(tmp_path / "model.eyr", **options)


@pytest.mark.parametrize("threads", [1, 2, None])
def test_calls(tmp_path, threads):
    module = build(tmp_path, network(), threads=threads)
    assert module.function().inputs[0].shape == ("batch", 1, 6, 6)
    instance = module.instance()
    for batch in (2, 1, 5):
        check_equal(instance(network_inputs(batch)), Reference(network())(network_inputs(batch)), 1e-5)
    assert instance.stats["calls"] == 3


def test_outputs_outlive_the_instance(tmp_path):
    inputs = adder_inputs(4)
    outputs = build(tmp_path, adder()).instance()(inputs)
    gc.collect()
    check_equal(outputs, Reference(adder())(inputs), 0)


def test_arrays_of_any_layout(tmp_path):
    inputs = adder_inputs(4)
    odd = {**inputs, "a": np.asfortranarray(inputs["a"]), "b": np.repeat(inputs["b"], 2, axis=1)[:, ::2]}
    check_equal(build(tmp_path, adder()).instance()(odd), Reference(adder())(inputs), 0)


@pytest.mark.parametrize("kind", ["FLOAT16", "DOUBLE", "INT8", "UINT16", "INT64", "BOOL", "BFLOAT16"])
def test_element_types(tmp_path, kind):
    kind = getattr(TensorProto, kind)
    module = build(tmp_path, model_of([helper.make_node("Transpose", ["x"], ["y"])], [("x", kind, [2, 3])], [("y", kind, [3, 2])]))
    x = np.arange(6).reshape(2, 3).astype(module.function().inputs[0].dtype)
    assert np.array_equal(module.instance()({"x": x})["y"], x.T)


def test_errors(tmp_path):
    module = build(tmp_path, adder())
    instance = module.instance()
    for inputs, says in [({}, "takes the inputs"), ({**adder_inputs(), "d": 1}, "takes the inputs"),
                         ({**adder_inputs(), "count": np.float32(1)}, "got float32"),
                         ({**adder_inputs(), "a": np.zeros((2, 4), np.float32)}, "expected nx3xf32, got 2x4xf32")]:
        with pytest.raises(eyrie.Error, match=says):
            instance(inputs)
    with pytest.raises(eyrie.Error, match="no function 'f'"):
        instance(adder_inputs(), function="f")
    with pytest.raises(eyrie.Error, match="cannot open") as error:
        eyrie.Module(tmp_path / "none.eyr")
    assert error.value.code == "NOT_FOUND"
    (tmp_path / "bad.eyr").write_bytes((tmp_path / "model.eyr").read_bytes()[:200])
    with pytest.raises(eyrie.Error):
        eyrie.Module(tmp_path / "bad.eyr")
    with pytest.raises(eyrie.Error, match="no state 'a'"):
        instance.state("a")
    check_equal(instance(adder_inputs()), Reference(adder())(adder_inputs()), 0)


def test_strings_are_refused_by_name(tmp_path):
    module = build(tmp_path, model_of([helper.make_node("Identity", ["s"], ["t"])], [("s", TensorProto.STRING, [1])],
                                      [("t", TensorProto.STRING, [1])]))
    with pytest.raises(eyrie.Error, match="'s' is of strings"):
        module.function()


def test_instances_on_threads(tmp_path):
    module = build(tmp_path, network(), threads=2)
    wrong = []

    def work(batch):
        instance, want = module.instance(), Reference(network())(network_inputs(batch))
        for _ in range(20):
            try:
                check_equal(instance(network_inputs(batch)), want, 1e-5)
            except AssertionError as error:
                wrong.append(error)

    threads = [threading.Thread(target=work, args=(batch,)) for batch in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_structures_are_those_of_the_header(tmp_path):
    """Sizes as the C compiler has them."""
    names = {"eyrie_tensor_t": native.Tensor, "eyrie_module_info_t": native.ModuleInfo, "eyrie_dim_t": native.Dim,
             "eyrie_value_info_t": native.ValueInfo}
    room = {"eyrie_function_info_t": native.FunctionInfo, "eyrie_instance_stats_t": native.InstanceStats}
    lines = "".join(f'printf("{name} %zu\\n", sizeof({name}));' for name in {**names, **room})
    (tmp_path / "sizes.c").write_text(f"#include <stdio.h>\n#include <eyrie/runtime.h>\nint main(void) {{{lines}}}")
    subprocess.run(["cc", f"-I{ROOT}/include", tmp_path / "sizes.c", "-o", tmp_path / "sizes"], check=True)
    told = dict(line.split() for line in subprocess.run([tmp_path / "sizes"], capture_output=True, text=True).stdout.splitlines())
    for name, structure in names.items():
        assert ctypes.sizeof(structure) == int(told[name]), name
    for name, structure in room.items():
        assert ctypes.sizeof(structure) >= int(told[name]), name
