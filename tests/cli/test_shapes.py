"""--shape on open dimensions, copies for certain sizes, and several models in one module."""
import json

import numpy as np
import onnx
import pytest
from architectures.attention import bert
from architectures import _sequence
from command import check_equal, compile_model, fail, run_module, save_npz, succeed
from onnx import TensorProto, helper, numpy_helper
from reference import Reference

import eyrie

RANDOM = np.random.default_rng(0)
WEIGHT = RANDOM.standard_normal((16, 64)).astype(np.float32)
BIAS = RANDOM.standard_normal(64).astype(np.float32)


def layer(operator, weight=WEIGHT, dims=("batch", 16)):
    """y = operator(x * weight + bias)"""
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "weight", "bias"], ["sum"]), helper.make_node(operator, ["sum"], ["y"])], operator,
        [info("x", TensorProto.FLOAT, dims)], [info("y", TensorProto.FLOAT, [dims[0], 64])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(BIAS, "bias")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def rows(count):
    return {"x": np.random.default_rng(count).standard_normal((count, 16)).astype(np.float32)}


@pytest.fixture
def softmax(tmp_path):
    onnx.save(layer("Softmax"), tmp_path / "softmax.onnx")
    return tmp_path / "softmax.onnx"


def test_a_size_is_fixed_by_the_name_of_the_dimension(softmax, tmp_path):
    compile_model(softmax, tmp_path / "m.eyr", "--shape", "batch=8")
    info = json.loads(succeed("inspect", tmp_path / "m.eyr", "--json").out)
    assert info["functions"][0]["arena_bytes"] is not None
    check_equal(run_module(tmp_path / "m.eyr", rows(8), tmp_path), Reference(softmax)(rows(8)), 1e-5)


@pytest.mark.parametrize("shape, good, bad, says", [
    ("batch=2..6", [2, 5, 6], [0, 1, 7, 100], "but the module was compiled for sizes from 2 to 6"),
    ("batch=4..16:4", [4, 8, 16], [0, 2, 5, 20], "but the module was compiled for multiples of 4 from 4 to 16"),
    ("batch=3..13:4", [4, 8, 12], [3, 13, 16], "multiples of 4 from 4 to 12"),
])
def test_a_range_is_a_promise_that_calls_are_held_to(softmax, tmp_path, shape, good, bad, says):
    compile_model(softmax, tmp_path / "m.eyr", "--shape", shape)
    reference = Reference(softmax)
    for size in good:
        check_equal(run_module(tmp_path / "m.eyr", rows(size), tmp_path), reference(rows(size)), 1e-5)
    for size in bad:
        save_npz(tmp_path / "bad.npz", rows(size))
        fail("run", tmp_path / "m.eyr", "--input", f"@{tmp_path / 'bad.npz'}", says=[f"dimension 'batch' is {size} in", says])


def test_listed_sizes_get_copies_and_others_still_run(softmax, tmp_path):
    compile_model(softmax, tmp_path / "m.eyr", "--shape", "batch=1,8,64")
    code = succeed("inspect", tmp_path / "m.eyr", "--vm").out
    for size in (1, 8, 64):
        assert f"call.tail @main.batch={size}#" in code
    assert json.loads(succeed("inspect", tmp_path / "m.eyr", "--json").out)["functions"][0]["name"] == "main"
    fail("run", tmp_path / "m.eyr", "--function", "main.batch=8", says=["no function", "it has: main"])
    reference = Reference(softmax)
    for size in (1, 2, 7, 8, 9, 64, 65):
        check_equal(run_module(tmp_path / "m.eyr", rows(size), tmp_path), reference(rows(size)), 1e-5)


def test_a_range_and_a_list_go_together(softmax, tmp_path):
    compile_model(softmax, tmp_path / "m.eyr", "--shape", "batch=1..16", "--shape", "batch=1,8")
    for size in (1, 2, 8, 16):
        check_equal(run_module(tmp_path / "m.eyr", rows(size), tmp_path), Reference(softmax)(rows(size)), 1e-5)
    save_npz(tmp_path / "bad.npz", rows(17))
    fail("run", tmp_path / "m.eyr", "--input", f"@{tmp_path / 'bad.npz'}", says="is 17 in input 0 'x'")


@pytest.mark.parametrize("promise,sizes", [("n=1..5", [1, 2, 5]), ("n=8..64:8", [8, 16, 40, 64]), ("n=32..96:32", [32, 64, 96])])
def test_kernels_that_use_a_promise_are_right(tmp_path, promise, sizes):
    """Products of n rows, of n columns, over n, with one operand or the other transposed; sums and maxima over n."""
    node, info = helper.make_node, lambda name, dims: helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)
    nodes = [node("MatMul", ["a", "w"], ["rows"]), node("MatMul", ["v", "b"], ["columns"]), node("MatMul", ["b", "a"], ["depth"]),
             node("Gemm", ["b", "b"], ["gram"], transB=1), node("Gemm", ["a", "a"], ["square"], transB=1),
             node("Softmax", ["b"], ["soft"]), node("ReduceSum", ["a", "zero"], ["sums"]), node("Concat", ["a", "a"], ["twice"], axis=0),
             node("MatMul", ["twice", "w"], ["many"])]
    random = np.random.default_rng(2)
    weights = [("w", random.standard_normal((7, 33), np.float32)), ("v", random.standard_normal((5, 7), np.float32)), ("zero", np.array([0]))]
    outputs = ["rows", "columns", "depth", "gram", "square", "soft", "sums", "many"]
    graph = helper.make_graph(nodes, "g", [info("a", ["n", 7]), info("b", [7, "n"])],
                              [onnx.ValueInfoProto(name=name) for name in outputs], [numpy_helper.from_array(w, n) for n, w in weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(onnx.shape_inference.infer_shapes(model), tmp_path / "m.onnx")
    compile_model(tmp_path / "m.onnx", tmp_path / "m.eyr", "--shape", promise)
    for n in sizes:
        feed = {"a": random.standard_normal((n, 7), np.float32), "b": random.standard_normal((7, n), np.float32)}
        check_equal(run_module(tmp_path / "m.eyr", feed, tmp_path), Reference(tmp_path / "m.onnx")(feed), 2e-5)


def two_inputs():
    """y = a beside b, so that they must have as many rows."""
    info = helper.make_tensor_value_info
    graph = helper.make_graph([helper.make_node("Concat", ["a", "b"], ["y"], axis=1)], "g",
                              [info("a", TensorProto.FLOAT, ["m", 2]), info("b", TensorProto.FLOAT, ["n", 2])],
                              [info("y", TensorProto.FLOAT, ["m", 4])])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_dimensions_that_must_be_equal_keep_both_promises(tmp_path):
    onnx.save(two_inputs(), tmp_path / "m.onnx")
    compile_model(tmp_path / "m.onnx", tmp_path / "m.eyr", "--shape", "m=1..12", "--shape", "n=4..64:4")
    for size, good in [(4, True), (12, True), (1, False), (6, False), (16, False)]:
        feed = {name: np.ones((size, 2), np.float32) for name in "ab"}
        save_npz(tmp_path / "in.npz", feed)
        if good:
            check_equal(run_module(tmp_path / "m.eyr", feed, tmp_path), Reference(tmp_path / "m.onnx")(feed), 0)
        else:
            fail("run", tmp_path / "m.eyr", "--input", f"@{tmp_path / 'in.npz'}", says="multiples of 4 from 4 to 12")
    fail("compile", tmp_path / "m.onnx", "-o", tmp_path / "m.eyr", "--shape", "m=1..3", "--shape", "n=4..8",
         says="no size is in the ranges of both")


def test_copies_share_their_weights(softmax, tmp_path):
    big = np.random.default_rng(1).standard_normal((512, 512)).astype(np.float32)
    info = helper.make_tensor_value_info
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [info("x", TensorProto.FLOAT, ["batch", 512])],
                              [info("y", TensorProto.FLOAT, ["batch", 512])], [numpy_helper.from_array(big, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "big.onnx")
    plain = compile_model(tmp_path / "big.onnx", tmp_path / "plain.eyr")["size_bytes"]
    copies = compile_model(tmp_path / "big.onnx", tmp_path / "copies.eyr", "--shape", "batch=4,8,64")["size_bytes"]
    assert copies < plain + big.nbytes / 4


def test_several_dimensions_combine(tmp_path):
    model = tmp_path / "bert.onnx"
    model.write_bytes(bert(6, 1, batch="batch", tokens="tokens").SerializeToString())
    compile_model(model, tmp_path / "m.eyr", "--shape", "batch=1,2", "--shape", "tokens=1,16")
    code, reference = succeed("inspect", tmp_path / "m.eyr", "--vm").out, Reference(model)
    assert code.count("call.tail") == 4 and 'call.tail @"main.batch=2,tokens=16"#' in code
    for size in [(1, 1), (1, 16), (2, 1), (2, 16), (2, 3), (3, 16), (1, 2)]:
        feed = _sequence(np.random.default_rng(0), size)
        check_equal(run_module(tmp_path / "m.eyr", feed, tmp_path), reference(feed), 1e-4)


def test_small_elements_of_open_tensors_lie_close_together(tmp_path):
    """Tensors of one open size, whose elements have fewer bytes than tensors are aligned to."""
    info = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", "n"])
    nodes = [helper.make_node(*row) for row in (("MatMul", ["x", "x"], ["a"]), ("Softmax", ["a"], ["b"]), ("MatMul", ["b", "x"], ["y"]))]
    model = helper.make_model(helper.make_graph(nodes, "g", [info("x")], [info("y")]), opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "m.onnx")
    for flags in ((), ("--shape", "n=1..100")):
        compile_model(tmp_path / "m.onnx", tmp_path / "m.eyr", *flags)
        module = eyrie.Module(tmp_path / "m.eyr")
        for n in (1, 3, 33, 100):
            instance = module.instance()
            instance({"x": np.ones((n, n), np.float32)})
            assert instance.stats["arena_bytes"] <= 2 * (4 * n * n + 64)
        bound = module.functions[0].arena_bound if flags else None
        assert not flags or 2 * 4 * 100 * 100 <= bound <= 2 * (4 * 100 * 100 + 64)


def test_the_arena_is_what_the_largest_size_needs(tmp_path):
    model = tmp_path / "bert.onnx"
    model.write_bytes(bert(6, 1, batch="batch", tokens="tokens").SerializeToString())
    compile_model(model, tmp_path / "m.eyr", "--shape", "batch=1..8", "--shape", "tokens=1..64", "--shape", "tokens=16,32")
    alone = {}
    sizes = [(1, 1), (2, 16), (8, 64), (3, 32), (4, 17), (8, 64), (1, 50)]
    for size in set(sizes):
        instance = eyrie.Module(tmp_path / "m.eyr").instance()
        instance(_sequence(np.random.default_rng(0), size))
        alone[size] = instance.stats["arena_bytes"]
    instance, largest = eyrie.Module(tmp_path / "m.eyr").instance(), 0
    for size in sizes:
        instance(_sequence(np.random.default_rng(0), size))
        largest = max(largest, alone[size])
        assert instance.stats["arena_bytes"] == largest, size


def corners(model, tmp_path, batches, tokens, *flags):
    """Calls a BERT at the corners of its ranges with memory of exactly its bound; returns what they needed, and it."""
    file = tmp_path / "bert.onnx"
    file.write_bytes(model.SerializeToString())
    compile_model(file, tmp_path / "m.eyr", "--shape", f"batch={batches[0]}..{batches[-1]}", *flags)
    module, reference = eyrie.Module(tmp_path / "m.eyr"), Reference(file)
    bound, needed = module.function().arena_bound, []
    for size in [(batch, token) for batch in batches for token in tokens]:
        feed = _sequence(np.random.default_rng(0), size)
        instance = module.instance(bound)
        check_equal(instance(feed), reference(feed), 1e-4)
        alone = module.instance()
        alone(feed)
        needed.append(alone.stats["arena_bytes"])
    return needed, bound, module


@pytest.mark.parametrize("flags", [(), ("--shape", "tokens=16,32")])
def test_no_size_in_the_ranges_needs_more_than_the_bound(tmp_path, flags):
    model = bert(6, 2, batch="batch", tokens="tokens")
    needed, bound, module = corners(model, tmp_path, (1, 2, 7), (16, 17, 32, 63, 64), "--shape", "tokens=16..64", *flags)
    assert module.function().arena_bytes is None
    assert max(needed) == bound and min(needed) < bound / 4
    with pytest.raises(eyrie.Error, match=f"{bound} bytes of memory are needed"):
        module.instance(bound - 64)(_sequence(np.random.default_rng(0), (7, 64)))
    assert "arena at most" in succeed("inspect", tmp_path / "m.eyr").out
    assert json.loads(succeed("inspect", tmp_path / "m.eyr", "--json").out)["functions"][0]["upper_bound"] == bound


def test_a_call_that_would_need_more_than_the_bound_takes_the_largest_plan(tmp_path):
    """Greedy packing is not monotone in the sizes: these need 64 bytes more than the largest ones."""
    largest, size = (640, 384, 640, 192, 256, 576, 576), (624, 384, 640, 176, 240, 512, 480)
    order = "0m 1m 2m 3m 4m 3u 0u 5m 5u 6m 2u 6u 4u 1u"  # make or use a softmax; uses depend on what came before
    nodes, total = [], "zero"
    for i, kind in order.split():
        if kind == "m":
            nodes += [helper.make_node("Add", [f"x{i}", total], [f"a{i}"]), helper.make_node("Softmax", [f"a{i}"], [f"t{i}"])]
        else:
            nodes += [helper.make_node("Transpose", [f"t{i}"], [f"u{i}"], perm=[1, 0]), helper.make_node("MatMul", [f"t{i}", f"u{i}"], [f"c{i}"]),
                      helper.make_node("Add", [f"c{i}", total], [f"s{i}"])]
            total = f"s{i}"
    info = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [info(f"x{i}", TensorProto.FLOAT, [1, f"n{i}"]) for i in range(7)], [info(total, TensorProto.FLOAT, None)],
                              [numpy_helper.from_array(np.zeros((1, 1), np.float32), "zero")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "m.onnx")
    random = np.random.default_rng(0)
    feed = {f"x{i}": random.standard_normal((1, n), np.float32) for i, n in enumerate(size)}
    needed = {}
    for name, flags in ("open", []), ("bounded", sum((["--shape", f"n{i}=1..{most}"] for i, most in enumerate(largest)), [])):
        compile_model(tmp_path / "m.onnx", tmp_path / f"{name}.eyr", *flags)
        module = eyrie.Module(tmp_path / f"{name}.eyr")
        instance = module.instance()
        check_equal(instance(feed), Reference(model)(feed), 1e-5)
        needed[name] = instance.stats["arena_bytes"]
    assert needed["open"] > needed["bounded"] == module.function().arena_bound


def test_promised_multiples_are_right_at_the_ends_of_their_range(tmp_path):
    model = bert(6, 2, batch="batch", tokens="tokens")
    needed, bound, _ = corners(model, tmp_path, (2, 4, 8), (16, 32, 112), "--shape", "tokens=16..112:16")
    assert max(needed) <= bound


def test_a_size_without_an_end_has_no_bound(tmp_path):
    model = tmp_path / "bert.onnx"
    model.write_bytes(bert(6, 1, batch="batch", tokens="tokens").SerializeToString())
    compile_model(model, tmp_path / "m.eyr", "--shape", "batch=1..8")
    assert eyrie.Module(tmp_path / "m.eyr").function().arena_bound is None
    assert "arena known at run time" in succeed("inspect", tmp_path / "m.eyr").out


@pytest.mark.parametrize("shape, says", [
    ("batch=", "no such input"),
    ("batch=a", "expected NAME=DIMS"),
    ("batch=1..", "a range as SYMBOL=1..64"),
    ("batch=..8", "a range as SYMBOL=1..64"),
    ("batch=-1..8", "a range as SYMBOL=1..64"),
    ("batch=1..8:", "a range as SYMBOL=1..64"),
    ("batch=1..8:0", "a range as SYMBOL=1..64"),
    ("batch=8..1", "does not end before it begins"),
    ("batch=5..7:4", "a multiple of 4"),
    ("batch=1,", "sizes from 1"),
    ("batch=0,1", "sizes from 1"),
    ("batch=1,8,1", "each size once"),
    ("batch=8:4", "expected NAME=DIMS"),
    ("batch=1x8", "no such input"),
    ("other=8", "its open dimensions are 'batch'"),
    ("other=1..8", "no open dimension of this name; its open dimensions are 'batch'"),
    ("x=1..8", "not for an input; its open dimensions are 'batch'"),
    ("other=1,8", "no model has such an input or open dimension"),
    ("batch=" + ",".join(map(str, range(1, 18))), "17 copies of the function 'main'"),
])
def test_wrong_shapes(softmax, tmp_path, shape, says):
    fail("compile", softmax, "-o", tmp_path / "m.eyr", "--shape", shape,
         code=2 if "expected" in says or says in CHECKED_EARLY else 1, says=says)
    assert not (tmp_path / "m.eyr").exists()


CHECKED_EARLY = {"a range as SYMBOL=1..64", "does not end before it begins", "a multiple of 4", "sizes from 1", "each size once"}


@pytest.mark.parametrize("shapes, says", [
    (["batch=1..8", "batch=2..4"], "one range and one list"),
    (["batch=1,8", "batch=2,4"], "one range and one list"),
    (["batch=1..8", "batch=4,9"], "9 to be a size that the range of the name has"),
    (["batch=8", "batch=1,4"], "each name once"),
    (["batch=1,4", "batch=8"], "each name once"),
])
def test_shapes_that_do_not_go_together(softmax, tmp_path, shapes, says):
    flags = [flag for shape in shapes for flag in ("--shape", shape)]
    fail("compile", softmax, "-o", tmp_path / "m.eyr", *flags, code=2, says=says)


# ---- Several models


@pytest.fixture
def pair(tmp_path):
    onnx.save(layer("Softmax"), tmp_path / "first.onnx")
    onnx.save(layer("Tanh"), tmp_path / "second.onnx")
    return tmp_path / "first.onnx", tmp_path / "second.onnx"


def test_models_become_functions_of_one_module(pair, tmp_path):
    compile_model(pair[0], tmp_path / "both.eyr", f"other={pair[1]}")
    names = [function["name"] for function in json.loads(succeed("inspect", tmp_path / "both.eyr", "--json").out)["functions"]]
    assert names == ["first", "other"]
    for name, model in zip(names, pair):
        for size in (1, 3, 8):
            got = run_module(tmp_path / "both.eyr", rows(size), tmp_path, "--function", name)
            check_equal(got, Reference(model)(rows(size)), 1e-5)
    fail("run", tmp_path / "both.eyr", says=["no function 'main'", "first, other"])


def test_the_binding_calls_functions_by_name(pair, tmp_path):
    compile_model(pair[0], tmp_path / "both.eyr", pair[1])
    instance = eyrie.Module(tmp_path / "both.eyr").instance()
    for name, model in zip(["first", "second"], pair):
        check_equal(instance(rows(4), function=name), Reference(model)(rows(4)), 1e-5)


def test_equal_weights_are_stored_once_and_others_keep_apart(tmp_path):
    sizes = {}
    for name, weight in [("same", WEIGHT), ("other", WEIGHT + 1)]:
        onnx.save(layer("Softmax"), tmp_path / "a.onnx")
        onnx.save(layer("Tanh", weight), tmp_path / "b.onnx")
        sizes[name] = compile_model(tmp_path / "a.onnx", tmp_path / "m.eyr", tmp_path / "b.onnx")["size_bytes"]
        for function, file in (("a", "a.onnx"), ("b", "b.onnx")):
            got = run_module(tmp_path / "m.eyr", rows(3), tmp_path, "--function", function)
            check_equal(got, Reference(tmp_path / file)(rows(3)), 1e-5)
    assert sizes["other"] >= sizes["same"] + WEIGHT.nbytes


def test_a_function_and_a_weight_of_one_name(pair, tmp_path):
    compile_model(f"weight={pair[0]}", tmp_path / "m.eyr", f"bias={pair[1]}")
    for name, model in zip(["weight", "bias"], pair):
        got = run_module(tmp_path / "m.eyr", rows(3), tmp_path, "--function", name)
        check_equal(got, Reference(model)(rows(3)), 1e-5)


def test_shapes_are_for_the_models_that_have_the_name(pair, tmp_path):
    onnx.save(layer("Relu", dims=("rows", 16)), tmp_path / "third.onnx")
    compile_model(pair[0], tmp_path / "m.eyr", tmp_path / "third.onnx", "--shape", "rows=1,4", "--shape", "batch=1..4")
    for name, model in (("first", pair[0]), ("third", tmp_path / "third.onnx")):
        for size in (1, 3, 4):
            got = run_module(tmp_path / "m.eyr", rows(size), tmp_path, "--function", name)
            check_equal(got, Reference(model)(rows(size)), 1e-5)
    fail("compile", pair[0], tmp_path / "third.onnx", "-o", tmp_path / "n.eyr", "--shape", "wrong=1..4",
         says="--shape wrong: no model has such an input or open dimension")


def test_names_of_functions(pair, tmp_path):
    fail("compile", pair[0], pair[0], "-o", tmp_path / "m.eyr", code=2, says=["would both be the function 'first'", "NAME=FILE"])
    fail("compile", f"a b={pair[0]}", "-o", tmp_path / "m.eyr", code=2, says="'a b' cannot be the name of a function")
    fail("compile", pair[0], tmp_path / "missing.onnx", "-o", tmp_path / "m.eyr", says="missing.onnx")
    fail("compile", pair[0], pair[1], "-o", pair[1], says="it is the model itself")


# ---- States


def counter(step, size=2, kind=TensorProto.FLOAT):
    """total_out = total + step"""
    info = helper.make_tensor_value_info
    array = np.full(size, step, helper.tensor_dtype_to_np_dtype(kind))
    graph = helper.make_graph([helper.make_node("Add", ["total", "step"], ["next"]), helper.make_node("Neg", ["next"], ["y"])], "g",
                              [info("total", kind, [size])], [info("next", kind, [size]), info("y", kind, [size])],
                              [numpy_helper.from_array(array, "step")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_functions_share_states_of_one_name(tmp_path):
    onnx.save(counter(1), tmp_path / "one.onnx")
    onnx.save(counter(10), tmp_path / "ten.onnx")
    compile_model(tmp_path / "one.onnx", tmp_path / "m.eyr", tmp_path / "ten.onnx", "--state", "total=next")
    instance = eyrie.Module(tmp_path / "m.eyr").instance()
    totals = [float(instance({}, function=name)["y"][0]) for name in ("one", "ten", "one", "one", "ten")]
    assert totals == [-1, -11, -12, -13, -23]


@pytest.mark.parametrize("other", [dict(size=3), dict(kind=TensorProto.DOUBLE)])
def test_states_of_one_name_have_one_type(tmp_path, other):
    onnx.save(counter(1), tmp_path / "one.onnx")
    onnx.save(counter(10, **other), tmp_path / "ten.onnx")
    fail("compile", tmp_path / "one.onnx", tmp_path / "ten.onnx", "-o", tmp_path / "m.eyr", "--state", "total=next",
         says=["the state 'total' is", "in the function 'ten'", "in 'one'", "one type"])
