"""Modules with code for several processors: `--cpu` more than once."""
import json
import os

import numpy as np
import onnx
import pytest
from command import check_equal, compile_model, fail, run_module, succeed
from onnx import TensorProto, helper
from reference import Reference
from small import model_of, network, network_inputs

import eyrie

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the processors are of the kind x86-64")

GENERATIONS = ["x86-64-v4", "x86-64-v3", "x86-64-v2", "x86-64"]  # best first


def flags(cpus):
    return [flag for cpu in cpus for flag in ("--cpu", cpu)]


def product() -> onnx.ModelProto:
    """Large enough that processors divide it differently."""
    weight = np.random.default_rng(3).standard_normal((256, 384)).astype(np.float32)
    return model_of([helper.make_node("MatMul", ["x", "w"], ["m"], name="product"),
                     helper.make_node("Relu", ["m"], ["y"], name="relu")],
                    [("x", TensorProto.FLOAT, ["rows", 256])], [("y", TensorProto.FLOAT, ["rows", 384])], [("w", weight)])


def product_inputs(rows):
    return {"x": np.random.default_rng(rows).standard_normal((rows, 256)).astype(np.float32)}


def inspect(module, *more):
    return json.loads(succeed("inspect", module, "--json", *more).out)


def taken(module, *more):
    """The processors whose code is taken, of each executable."""
    return [[name for variant in row["variants"] if variant["taken"] for name in variant["processors"]]
            for row in inspect(module, *more)["executables"]]


def weights(module):
    return next(row["size"] for row in inspect(module)["sections"] if row["name"] == "weights")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The product for all generations, given in another order."""
    folder = tmp_path_factory.mktemp("variants")
    onnx.save(product(), folder / "model.onnx")
    compile_model(folder / "model.onnx", folder / "model.eyr", *flags(GENERATIONS[::-1]))
    return folder


def test_more_features_come_first_and_the_best_that_runs_is_taken(built):
    facts = inspect(built / "model.eyr")
    assert [row["name"] for row in facts["processors"]] == GENERATIONS
    assert facts["target"] == "cpu, " + ", ".join(GENERATIONS)
    best = next(row["name"] for row in facts["processors"] if row["usable"])
    assert all(best in names for names in taken(built / "model.eyr"))
    for row in facts["executables"]:
        assert row["features"] == next(variant["features"] for variant in row["variants"] if variant["taken"])
        assert sorted(name for variant in row["variants"] for name in variant["processors"]) == sorted(GENERATIONS)


@pytest.mark.parametrize("cpu", GENERATIONS)
def test_every_variant_computes_the_same(built, tmp_path, cpu):
    module = built / "model.eyr"
    assert all(cpu in names for names in taken(module, "--cpu", cpu))
    if not next(row["usable"] for row in inspect(module)["processors"] if row["name"] == cpu):
        fail("run", module, "--cpu", cpu, "--input", "x=1x256xf32=1", says=["executable 0", "avx512f", "which this processor lacks"])
        return
    reference = Reference(product())
    for rows in (1, 5, 100):
        for threads in (1, 2):
            got = run_module(module, product_inputs(rows), tmp_path, "--cpu", cpu, "--threads", threads)
            check_equal(got, reference(product_inputs(rows)), 1e-5)
    succeed("bench", module, "--cpu", cpu, "--shape", "x=2x256", "--min-time", "0")


def test_what_is_taken_by_itself_is_what_the_processor_takes_by_its_name(built, tmp_path):
    best = next(row["name"] for row in inspect(built / "model.eyr")["processors"] if row["usable"])
    got = [run_module(built / "model.eyr", product_inputs(33), tmp_path, *more)["y"].tobytes() for more in ([], ["--cpu", best])]
    assert got[0] == got[1]


def test_a_variant_is_the_code_of_a_module_for_it_alone_where_weights_are_packed_alike(built, tmp_path):
    compile_model(built / "model.onnx", tmp_path / "one.eyr", "--cpu", "x86-64-v3")
    one, all_of_them = inspect(tmp_path / "one.eyr"), inspect(built / "model.eyr")
    variant = lambda facts, cpu: [v["size"] for row in facts["executables"] for v in row["variants"] if cpu in v["processors"]]
    assert variant(one, "x86-64-v3") == variant(all_of_them, "x86-64-v3")
    assert len(one["processors"]) == 1


def test_weights_are_stored_once(built, tmp_path):
    compile_model(built / "model.onnx", tmp_path / "one.eyr", "--cpu", "x86-64-v3")
    assert weights(built / "model.eyr") == weights(tmp_path / "one.eyr")


def test_only_programs_that_must_ask_for_the_variant_do(built, tmp_path):
    compile_model(built / "model.onnx", tmp_path / "one.eyr", "--cpu", "x86-64-v3")
    assert " variant " in succeed("inspect", built / "model.eyr", "--vm").out
    assert " variant " not in succeed("inspect", tmp_path / "one.eyr", "--vm").out
    # An older runtime refuses the one (a required feature) and reads the other.
    assert [(path.read_bytes()[16]) for path in (built / "model.eyr", tmp_path / "one.eyr")] == [1, 0]


def test_the_same_code_is_stored_once_and_needs_what_both_have(built, tmp_path):
    compile_model(built / "model.onnx", tmp_path / "one.eyr", "--cpu", "x86-64-v3")
    compile_model(built / "model.onnx", tmp_path / "two.eyr", *flags(["x86-64-v3", "x86-64-v3,+gfni"]))
    one, two = inspect(tmp_path / "one.eyr"), inspect(tmp_path / "two.eyr")
    assert [row["name"] for row in two["processors"]] == ["x86-64-v3,+gfni", "x86-64-v3"]
    objects = [next(row["size"] for row in facts["sections"] if row["name"] == "objects") for facts in (one, two)]
    assert objects[0] == objects[1]
    for row in two["executables"]:
        assert [variant["processors"] for variant in row["variants"]] == [["x86-64-v3,+gfni", "x86-64-v3"]]
        assert "gfni" not in row["features"]


def test_a_processor_that_is_given_twice_counts_once(built, tmp_path):
    compile_model(built / "model.onnx", tmp_path / "m.eyr", *flags(["x86-64-v3", "x86-64-v3", "haswell"]))
    names = [row["name"] for row in inspect(tmp_path / "m.eyr")["processors"]]
    assert names[0] == "x86-64-v3" and names.count("x86-64-v3") == 1


def test_what_no_processor_of_the_module_needs_is_named(built, tmp_path):
    compile_model(built / "model.onnx", tmp_path / "m.eyr", *flags(["x86-64-v4,+amx-int8,+avx512fp16", "x86-64-v4,+avx512fp16"]))
    if any(row["usable"] for row in inspect(tmp_path / "m.eyr")["processors"]):
        pytest.skip("this machine has everything")
    fail("run", tmp_path / "m.eyr", "--input", "x=1x256xf32=1",
         says=["needs ", "avx512fp16", "which this processor lacks; compile with --cpu=native here"])
    assert taken(tmp_path / "m.eyr") == [[] for _ in inspect(tmp_path / "m.eyr")["executables"]]


def test_names_that_are_wrong(built, tmp_path):
    fail("run", built / "model.eyr", "--cpu", "abacus", "--input", "x=1x256xf32=1",
         says="the module was not compiled for the processor 'abacus', but for: x86-64-v4, x86-64-v3, x86-64-v2, x86-64")
    fail("inspect", built / "model.eyr", "--cpu", "abacus", says="but for: x86-64-v4")
    fail("compile", built / "model.onnx", "-o", tmp_path / "m.eyr", *flags(["x86-64-v3", "abacus"]), code=2,
         says="unknown processor 'abacus'")


def test_inspect_shows_processors_and_what_they_take(built):
    text = succeed("inspect", built / "model.eyr").out
    assert "\nprocessors\n" in text and text.count("taken") == len(inspect(built / "model.eyr")["executables"])
    forced = succeed("inspect", built / "model.eyr", "--cpu", "x86-64").out
    assert all(line.split()[-1] == "taken" for line in forced.split("\n") if " x86-64  " in line and "lacks" not in line and "has" not in line)


def test_a_whole_model_for_each_of_its_processors(tmp_path):
    onnx.save(network(), tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr", *flags(GENERATIONS))
    again = tmp_path / "again.eyr"
    compile_model(tmp_path / "model.onnx", again, "--jobs", "1", *flags(GENERATIONS))
    assert again.read_bytes() == (tmp_path / "model.eyr").read_bytes()
    for cpu, usable in eyrie.Module(again).cpus.items():
        if usable:
            check_equal(eyrie.Module(again, cpu=cpu).instance()(network_inputs()), Reference(network())(network_inputs()), 1e-5)


def test_python(built, tmp_path):
    eyrie.compile(built / "model.onnx", tmp_path / "m.eyr", cpu=["x86-64-v3", "x86-64"])
    assert list(eyrie.Module(tmp_path / "m.eyr").cpus) == ["x86-64-v3", "x86-64"]
    module = eyrie.Module(tmp_path / "m.eyr", cpu="x86-64")
    check_equal(module.instance()(product_inputs(3)), Reference(product())(product_inputs(3)), 1e-5)
    with pytest.raises(eyrie.Error, match="not compiled for the processor 'abacus'"):
        eyrie.Module(tmp_path / "m.eyr", cpu="abacus")
    with pytest.raises(eyrie.CompileError, match="unknown processor 'abacus'"):
        eyrie.compile(built / "model.onnx", tmp_path / "m.eyr", cpu=["x86-64", "abacus"])
