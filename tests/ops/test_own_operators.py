"""Operators that functions of the application compute (--host-op), beside what they should give."""
import json
import subprocess
import threading
import time

import numpy as np
import onnx
import pytest
from command import EYRIE, ROOT, check_equal, compile_model, fail, run_module, save_npz, succeed
from graphs import BOOL, FLOAT, INT64, STRING, constant, graph, node, refuse, turn
from onnx import TensorProto, helper
from reference import Reference
from small import model_of

import eyrie

BOTH = (1, 2)  # numbers of threads
DOMAIN = "my.domain"
SCALE = "my.domain::Scale(T[...]) -> T[...]"


def own(op, inputs, outputs, **attributes):
    return node(op, inputs, outputs, name="the_node", domain=DOMAIN, **attributes)


def build(tmp_path, model, *signatures, functions=None, threads=1):
    onnx.save(model, tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr", *(f"--host-op={each}" for each in signatures))
    return eyrie.Module(tmp_path / "model.eyr", threads=threads, functions=functions)


def scale(x, by=2):
    return (x * np.asarray(by, x.dtype)).astype(x.dtype)


def test_a_function_between_operations(tmp_path):
    """Types, sizes and attributes as the signature says, among kernels."""
    seen = []

    def weigh(x, w, **attributes):
        seen.append((x.shape, w.shape, attributes))
        assert not x.flags.writeable
        return x @ w + np.float32(attributes["bias"])

    nodes = [node("Relu", ["x"], ["r"]), own("Weigh", ["r", "w"], ["h"], bias=0.5, axes=[3, -1], mode="a é", names=["p", "q"], count=7, halves=[0.5, 1.5]),
             node("Neg", ["h"], ["y"])]
    model = model_of(nodes, [("x", FLOAT, ["n", 3])], [("y", FLOAT, None)], [("w", np.arange(3, dtype=np.float32))], domains=[DOMAIN])
    module = build(tmp_path, model, "my.domain::Weigh(f32[n, k], f32[k]) -> f32[n]", functions={"my.domain::Weigh": weigh})
    for n in (4, 1, 0):
        x = np.arange(n * 3, dtype=np.float32).reshape(n, 3) - 2
        check_equal(module.instance()({"x": x}), {"y": -(np.maximum(x, 0) @ np.arange(3, dtype=np.float32) + np.float32(0.5))}, 1e-6)
    assert seen[0] == ((4, 3), (3,), {"bias": 0.5, "axes": [3, -1], "mode": "a é", "names": ["p", "q"], "count": 7, "halves": [0.5, 1.5]})


TYPES = ["FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "BOOL",
         "FLOAT8E4M3FN", "FLOAT8E5M2"]


@pytest.mark.parametrize("kind", TYPES)
def test_element_types(tmp_path, kind):
    """By a name for any type; bits that NumPy has no type for come as integers."""
    kind = getattr(TensorProto, kind)
    nodes = [node("Transpose", ["x"], ["t"]), own("Reverse", ["t"], ["r"]), node("Transpose", ["r"], ["y"])]
    model = model_of(nodes, [("x", kind, [2, 3])], [("y", kind, None)], opset=19, ir_version=9, domains=[DOMAIN])
    module = build(tmp_path, model, "my.domain::Reverse(T[n, m]) -> T[n, m]", functions={"my.domain::Reverse": lambda x: x[::-1].copy()})
    x = np.array([[0, 1, 2], [3, 4, 5]]).astype(module.function().inputs[0].dtype)
    assert np.array_equal(module.instance()({"x": x})["y"], x[:, ::-1])


PLUGIN = """
#include <eyrie/runtime.h>
#include <string.h>

static eyrie_status_t copy(void* user, const eyrie_host_call_t* call) {
  size_t bytes;
  eyrie_status_t status = eyrie_tensor_bytes(call->outputs[0].type, call->outputs[0].rank, call->outputs[0].dims, &bytes);
  if (status) return status;
  const char *in = call->inputs[0].data, *out = call->outputs[0].data;
  if (bytes != call->outputs[0].size_bytes) return eyrie_status_create(EYRIE_INTERNAL, "wrong bytes");
  if (bytes && in < out + bytes && out < in + bytes) return eyrie_status_create(EYRIE_INTERNAL, "memory overlaps");
  memcpy(call->outputs[0].data, call->inputs[0].data, bytes);
  ++*(int*)user;
  return NULL;
}
static eyrie_status_t broken(void* user, const eyrie_host_call_t* call) {
  (void)user, (void)call;
  return eyrie_status_create(EYRIE_DATA_LOSS, "it is broken");
}
static int calls;
EYRIE_PLUGIN(runtime) {
  eyrie_status_t status = eyrie_runtime_add_function(runtime, "my.domain::Copy", copy, &calls, NULL);
  return status ? status : eyrie_runtime_add_function(runtime, "my.domain::Broken", broken, NULL, NULL);
}
"""


def plugin(tmp_path, source=PLUGIN, name="plugin", flags=(), language="c"):
    (tmp_path / f"{name}.{language}").write_text(source)
    compiler = ["cc"] if language == "c" else ["c++", "-std=c++17"]
    subprocess.run([*compiler, "-shared", "-fPIC", "-Wall", "-Werror", *flags, f"-I{ROOT}/include", tmp_path / f"{name}.{language}", "-o",
                    tmp_path / f"{name}.so"], check=True)
    return tmp_path / f"{name}.so"


@pytest.mark.parametrize("kind", ["INT4", "UINT4", "FLOAT4E2M1", "INT2", "UINT2"])
def test_packed_elements(tmp_path, kind):
    """Functions take and give them packed, whatever kernels do."""
    kind = getattr(TensorProto, kind)
    nodes = [node("Cast", ["x"], ["p"], to=kind), own("Copy", ["p"], ["q"]), node("Cast", ["q"], ["y"], to=FLOAT)]
    model = model_of(nodes, [("x", FLOAT, ["n", 3])], [("y", FLOAT, None)], opset=25, ir_version=13, domains=[DOMAIN])
    onnx.save(model, tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr", "--host-op", "my.domain::Copy(T[n, m]) -> T[n, m]")
    for n in (1, 2, 5, 0):
        x = (np.arange(n * 3, dtype=np.float32).reshape(n, 3)) % 2
        check_equal(run_module(tmp_path / "model.eyr", {"x": x}, tmp_path, "--plugin", plugin(tmp_path)), {"y": x}, 0)


@pytest.mark.parametrize("signature, shapes, size", [
    ("my.domain::Make(f32[n]) -> f32[2*n + 1]", [["n"]], lambda n: 2 * n + 1),
    ("my.domain::Make(f32[n], f32[m]) -> f32[n + m]", [["n"], [3]], lambda n: n + 3),
    ("my.domain::Make(f32[n]) -> f32[(n + 1) / 2 * 2]", [["n"]], lambda n: (n + 1) // 2 * 2),
    ("my.domain::Make(f32[n]) -> f32[4]", [["n"]], lambda n: 4),
    ("my.domain::Make(f32[n], f32[2*n]) -> f32[n]", [["n"], ["m"]], lambda n: n),
    ("my.domain::Make(f32[n, ?]) -> f32[n]", [["n", 2]], lambda n: n),
])
def test_sizes_that_are_computed(tmp_path, signature, shapes, size):
    shape = None

    def make(*inputs):
        return np.arange(size(len(inputs[0])), dtype=np.float32)

    names = [f"x{i}" for i in range(len(shapes))]
    model = model_of([own("Make", names, ["m"]), node("Neg", ["m"], ["y"])], [(name, FLOAT, shape) for name, shape in zip(names, shapes)],
                     [("y", FLOAT, None)], domains=[DOMAIN])
    module = build(tmp_path, model, signature, functions={"my.domain::Make": make})
    for n in (5, 0, 2):
        sizes = {"n": n, "m": 2 * n}
        feed = {name: np.ones([sizes.get(d, d) for d in shape], np.float32) for name, shape in zip(names, shapes)}
        check_equal(module.instance()(feed), {"y": -np.arange(size(n), dtype=np.float32)}, 0)


def test_sizes_that_only_the_data_says(tmp_path):
    signature = "my.domain::Split(f32[n], i64[]) -> f32[?], f32[?, 2]"
    functions = {"my.domain::Split.sizes": lambda x, at: np.array([(x < at).sum(), (x >= at).sum()]),
                 "my.domain::Split": lambda x, at: (x[x < at], np.stack([x[x >= at]] * 2, 1))}
    nodes = [own("Split", ["x", "at"], ["low", "high"]), node("Neg", ["low"], ["y"]), node("Neg", ["high"], ["z"])]
    model = model_of(nodes, [("x", FLOAT, ["n"]), ("at", INT64, [])], [("y", FLOAT, None), ("z", FLOAT, None)], domains=[DOMAIN])
    module = build(tmp_path, model, signature, functions=functions)
    x = np.arange(10, dtype=np.float32)
    for at in (3, 0, 10):
        outputs = module.instance()({"x": x, "at": np.array(at)})
        check_equal(outputs, {"y": -x[:at], "z": -np.stack([x[at:]] * 2, 1)}, 0)
    functions["my.domain::Split.sizes"] = lambda x, at: np.array([-1, 3])
    with pytest.raises(eyrie.Error, match="'the_node'.*a size of an output of my.domain::Split is negative"):
        eyrie.Module(tmp_path / "model.eyr", functions=functions).instance()({"x": x, "at": np.array(1)})
    del functions["my.domain::Split.sizes"]
    with pytest.raises(eyrie.Error, match="node 'the_node' needs the host function 'my.domain::Split.sizes', which is not there"):
        eyrie.Module(tmp_path / "model.eyr", functions=functions)


def test_sizes_that_do_not_agree(tmp_path):
    model = model_of([own("Make", ["x", "z"], ["y"])], [("x", FLOAT, ["n"]), ("z", FLOAT, ["m"])], [("y", FLOAT, None)], domains=[DOMAIN])
    module = build(tmp_path, model, "my.domain::Make(f32[n], f32[n]) -> f32[n]", functions={"my.domain::Make": lambda x, z: x + z})
    ones = lambda n: np.ones(n, np.float32)
    check_equal(module.instance()({"x": ones(3), "z": ones(3)}), {"y": 2 * ones(3)}, 0)
    with pytest.raises(eyrie.Error, match="dimension 'm' is 3 in input 0, but 4 in input 1 'z'"):
        module.instance()({"x": ones(3), "z": ones(4)})
    module = build(tmp_path, model, "my.domain::Make(f32[n], f32[m]) -> f32[n - m]", functions={"my.domain::Make": lambda x, z: x[len(z):]})
    check_equal(module.instance()({"x": ones(3), "z": ones(3)}), {"y": ones(0)}, 0)
    with pytest.raises(eyrie.Error, match="'the_node'.*a size of an output of my.domain::Make is negative"):
        module.instance()({"x": ones(3), "z": ones(4)})


@pytest.mark.parametrize("threads", BOTH)
def test_in_branches_and_loops(tmp_path, threads):
    then = graph([own("Scale", ["x"], ["a"], by=3.0)], [], [("a", FLOAT)])
    other = graph([node("Neg", ["x"], ["b"])], [], [("b", FLOAT)])
    body = turn([own("Scale", ["s"], ["after"]), own("Scale", ["after"], ["row"], by=0.5)], [("s", FLOAT)], [("after", FLOAT), ("row", FLOAT)])
    nodes = [node("If", ["c"], ["i"], then_branch=then, else_branch=other), constant("on", True),
             node("Loop", ["turns", "on", "i"], ["last", "rows"], body=body)]
    model = model_of(nodes, [("x", FLOAT, ["n"]), ("c", BOOL, []), ("turns", INT64, [])], [("last", FLOAT, None), ("rows", FLOAT, None)],
                     domains=[DOMAIN])
    module = build(tmp_path, model, SCALE, functions={"my.domain::Scale": scale}, threads=threads)
    x = np.float32([1, 2, 3])
    for c, turns in ((True, 3), (False, 1), (True, 0)):
        first = x * 3 if c else -x
        rows = np.stack([first * 2**k for k in range(turns)]) if turns else np.zeros((0, 3), np.float32)
        check_equal(module.instance()({"x": x, "c": np.array(c), "turns": np.array(turns)}), {"last": first * 2**turns, "rows": rows}, 0)


def test_beside_other_memory(tmp_path):
    """Inputs that nobody needs afterwards, weights and states do not overlap outputs, whatever layout kernels like."""
    random = np.random.default_rng(3)
    normal = lambda *shape: random.standard_normal(shape, np.float32)
    weights = [("w1", normal(8, 3, 3, 3)), ("w2", normal(4, 8, 3, 3)), ("bias", normal(4, 1, 1))]
    copy = lambda x, y, k: node("Copy", [x], [y], name=f"copy{k}", domain=DOMAIN)
    nodes = [node("Conv", ["x", "w1"], ["a"]), copy("a", "b", 0), node("Conv", ["b", "w2"], ["c"]), copy("bias", "d", 1),
             node("Add", ["c", "d"], ["e"]), node("Add", ["e", "old"], ["f"]), copy("f", "g", 2), copy("g", "new", 3), node("Neg", ["new"], ["y"])]
    model = model_of(nodes, [("x", FLOAT, [1, 3, 8, 8]), ("old", FLOAT, [1, 4, 4, 4])], [("y", FLOAT, None), ("new", FLOAT, [1, 4, 4, 4])], weights,
                     domains=[DOMAIN])
    onnx.save(model, tmp_path / "model.onnx")
    for made in model.graph.node:
        if made.op_type == "Copy":
            made.op_type, made.domain = "Identity", ""
    reference = Reference(model)
    for flags in ([], ["--parameters", tmp_path / "model.eyp"]):
        compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr", "--host-op", "my.domain::Copy(T[...]) -> T[...]", "--state", "old=new", *flags)
        instance = eyrie.Module(tmp_path / "model.eyr", plugins=[plugin(tmp_path)], parameters=flags[1:]).instance()
        old = np.zeros((1, 4, 4, 4), np.float32)
        for _ in range(3):
            x = normal(1, 3, 8, 8)
            want = reference({"x": x, "old": old})
            check_equal(instance({"x": x}), {"y": want["y"]}, 1e-4)
            old = want["new"]


def test_signatures_for_one_operator(tmp_path):
    """The first that fits: for other numbers of inputs, other types."""
    signatures = ["my.domain::Sum(f32[n], f32[n]) -> f32[n]", "my.domain::Sum(f32[n]) -> f32[n]", "my.domain::Sum(i64[n]) -> f32[n]"]
    nodes = [own("Sum", ["x", "x"], ["a"]), own("Sum", ["x", ""], ["b"]), own("Sum", ["k"], ["c"])]
    model = model_of(nodes, [("x", FLOAT, [2]), ("k", INT64, [2])], [(name, FLOAT, None) for name in "abc"], domains=[DOMAIN])
    module = build(tmp_path, model, *signatures, functions={"my.domain::Sum": lambda *inputs: sum(inputs).astype(np.float32)})
    x = np.float32([1, 2])
    check_equal(module.instance()({"x": x, "k": np.array([7, 8])}), {"a": 2 * x, "b": x, "c": np.float32([7, 8])}, 0)


def test_operators_that_are_known_otherwise(tmp_path):
    """A signature goes before what Eyrie knows, and before the body of a function in the model."""
    local = helper.make_function(DOMAIN, "Scale", ["x"], ["y"], [node("Neg", ["x"], ["y"])], [helper.make_opsetid("", 17)])
    model = model_of([own("Scale", ["x"], ["s"]), node("Relu", ["s"], ["y"])], [("x", FLOAT, [2])], [("y", FLOAT, None)], functions=[local],
                     domains=[DOMAIN])
    x = np.float32([1, -2])
    module = build(tmp_path, model, "ai.onnx::Relu(f32[n]) -> f32[n]", functions={"ai.onnx::Relu": lambda x: x + 10})
    check_equal(module.instance()({"x": x}), {"y": 10 - x}, 0)
    module = build(tmp_path, model, SCALE, functions={"my.domain::Scale": scale})
    check_equal(module.instance()({"x": x}), {"y": np.maximum(2 * x, 0)}, 0)


SIGNATURE_ERRORS = [
    ("Op(f32[n]) -> f32[n]", "expected a domain and a name, as in my.domain::Op, found 'Op(f32[n]) -> f32[n]' at character 1"),
    ("a::b", "expected '(', found the end at character 5"),
    ("a::b(f33[n]) -> f32[n]", "expected an element type, as in f32"),
    ("a::b(f32) -> f32[1]", "expected '[', found ') -> f32[1]' at character 9"),
    ("a::b(string[n]) -> f32[n]", "strings are not supported in functions of the caller"),
    ("a::b(complex64[n]) -> f32[n]", "complex numbers are not supported in functions of the caller"),
    ("a::b(f32[n]) -> f32[k]", "the size 'k' stands for itself in no input"),
    ("a::b(f32[2*n]) -> f32[1]", "the size 'n' stands for itself in no input"),
    ("a::b(f32[n]) -> T[n]", "the type 'T' stands in no input"),
    ("a::b(f32[n]) -> f32[...]", "'...' stands in no input"),
    ("a::b(f32[..., ...]) -> f32[1]", "'...' stands twice in f32[..., ...]"),
    ("a::b(f32[n]) -> f32[n/m]", "a size can be divided by a positive number only, found 'm'"),
    ("a::b(f32[n]) -> f32[n/0]", "a size can be divided by a positive number only, found '0'"),
    ("a::b(f32[n]) -> f32[9999999999999999]", "expected a number up to 2^40"),
    ("a::b(f32[n]) -> f32[" + "(" * 40, "its sizes are too complicated"),
    ("a::b(f32[n]) -> f32[n] x", "expected the end, found 'x' at character 24"),
    ("a::b(f32[n]) ->", "expected an element type"),
    ("a::b(" + ",".join(["T[]"] * 257) + ")->T[]", "it has more than 256 tensors"),
]


@pytest.mark.parametrize("signature, says", SIGNATURE_ERRORS)
def test_signatures_that_are_wrong(tmp_path, signature, says):
    onnx.save(model_of([node("Neg", ["x"], ["y"])], [("x", FLOAT, [2])], [("y", FLOAT, None)]), tmp_path / "model.onnx")
    fail("compile", tmp_path / "model.onnx", "-o", tmp_path / "model.eyr", "--host-op", signature, code=2,
         says=["option 'host-op' cannot be", "a signature as in 'my.domain::Op(f32[n, k], f32[k]) -> f32[n]'", says])


MISMATCHES = [
    ("my.domain::Op(f32[n]) -> f32[n]", "it has 2 inputs, expected 1"),
    ("my.domain::Op(f32[n], i64[n]) -> f32[n]", "input 0 is f32[2, k], expected f32[n]"),
    ("my.domain::Op(f32[n, m], f32[n]) -> f32[n]", "input 1 is i64[3], expected f32[n]"),
    ("my.domain::Op(T[n, m], T[k]) -> f32[n]", "input 1 is i64[3], expected T[k], where T is f32"),
    ("my.domain::Op(f32[n, m], i64[n]) -> f32[n]", "input 1 has the size 3, expected n = 2"),
    ("my.domain::Op(f32[n, m], i64[n + 2]) -> f32[n]", "input 1 has the size 3, expected (n + 2) = 4"),
    ("my.domain::Op(f32[..., m], i64[..., 3, 1]) -> f32[m]", "input 1 is i64[3], expected i64[..., 3, 1]"),
    ("my.domain::Op(f32[...], i64[...]) -> f32[...]", "input 1 is i64[3], expected i64[...], where '...' stands for 2 sizes"),
    ("my.domain::Op(f32[..., m], i64[...]) -> f32[1]", "sizes for which '...' stands are 2 and 3"),
    ("my.domain::Op(f32[n, m], i64[k]) -> f32[n - 5]", "gives the negative size -3"),
]


@pytest.mark.parametrize("signature, says", MISMATCHES)
def test_nodes_that_do_not_fit(tmp_path, signature, says):
    model = model_of([own("Op", ["x", "k"], ["y"])], [("x", FLOAT, [2, "k"]), ("k", INT64, [3])], [("y", FLOAT, None)], domains=[DOMAIN])
    onnx.save(model, tmp_path / "model.onnx")
    for command in (["compile", "-o", tmp_path / "model.eyr"], ["check"]):
        fail(command[0], tmp_path / "model.onnx", *command[1:], "--host-op", signature, says=["node 'the_node' (Op): ", signature, says])


def test_models_that_do_not_fit(tmp_path):
    onnx.save(model_of([own("Op", ["x"], ["y"])], [("x", FLOAT, [2])], [("y", FLOAT, None)], domains=[DOMAIN]), tmp_path / "model.onnx")
    for command in (["compile", "-o", tmp_path / "model.eyr"], ["check"]):
        fail(command[0], tmp_path / "model.onnx", *command[1:], says=["my.domain::Op", "one of yours that computes it at run time with --host-op"])
    cases = [(own("Op", ["x"], ["y"], value=helper.make_tensor("t", FLOAT, [1], [1.0])), "attribute 'value' is a tensor; functions of the caller take integers"),
             (own("Op", ["x"], ["y"], body=graph([node("Neg", ["x"], ["o"])], [], [("o", FLOAT)])), "attribute 'body' is a graph"),
             (own("Op", ["", "x"], ["y"]), "it has 2 inputs, expected 1"),
             (own("Op", ["s"], ["y"]), "input 0 holds strings, which functions of the caller cannot take"),
             (own("Op", ["x"], ["y", "z"]), "it has 2 outputs, expected at most 1"),
             (own("Op", ["q"], ["y"]), "input 0 is sequence of f32[2], expected T[...]")]
    for made, says in cases:
        onnx.save(model_of([node("SequenceConstruct", ["x"], ["q"]), made], [("x", FLOAT, [2]), ("s", STRING, [2])], [("y", FLOAT, None)],
                           domains=[DOMAIN]), tmp_path / "model.onnx")
        fail("compile", tmp_path / "model.onnx", "-o", tmp_path / "model.eyr", "--host-op", "my.domain::Op(T[...]) -> f32[2]",
             says=["node 'the_node' (Op): ", says])


def own_model(op="Copy", shape=("n",)):
    return model_of([own(op, ["x"], ["a"], axes=[1, 2], mode="linear"), node("Neg", ["a"], ["y"])], [("x", FLOAT, list(shape))], [("y", FLOAT, None)],
                    domains=[DOMAIN])


def test_exceptions(tmp_path):
    """They become errors that name the node, and are their cause."""
    errors = {"ValueError": ValueError("not 100% right"), "Error": eyrie.Error("OUT_OF_RANGE", "too far")}
    onnx.save(own_model(), tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr", "--host-op", "my.domain::Copy(f32[n]) -> f32[n]")
    results = {"ok": np.float32([5]), "type": np.array([5.0]), "shape": np.zeros(2, np.float32), "two": (np.float32([1]), np.float32([1])), "none": None}

    def copy(x, axes, mode):
        what = state["what"]
        if what in errors:
            raise errors[what]
        if what == "interrupt":
            raise KeyboardInterrupt
        return results[what]

    state = {}
    module = eyrie.Module(tmp_path / "model.eyr", functions={"my.domain::Copy": copy})
    instance = module.instance()
    x = {"x": np.float32([1])}
    says = {"ValueError": ("UNKNOWN", "node 'the_node': .*my.domain::Copy: ValueError: not 100% right"), "Error": ("OUT_OF_RANGE", "my.domain::Copy: too far"),
            "type": ("INVALID_ARGUMENT", r"output 0 is float64\[1\], expected float32\[1\]"),
            "shape": ("INVALID_ARGUMENT", r"output 0 is float32\[2\], expected float32\[1\]"),
            "two": ("INVALID_ARGUMENT", "the function gave 2 outputs, expected 1"), "none": ("INVALID_ARGUMENT", r"output 0 is object\[\]")}
    for what, (code, text) in says.items():
        state["what"] = what
        with pytest.raises(eyrie.Error, match=text) as caught:
            instance(x)
        assert caught.value.code == code
        assert caught.value.__cause__ is errors.get(what, caught.value.__cause__)
        state["what"] = "ok"
        check_equal(instance(x), {"y": np.float32([-5])}, 0)
    state["what"] = "interrupt"
    with pytest.raises(KeyboardInterrupt):
        instance(x)
    with pytest.raises(eyrie.Error, match="needs the host function 'my.domain::Copy'"):
        eyrie.Module(tmp_path / "model.eyr")
    with pytest.raises(eyrie.Error, match="expected a domain and a name"):
        eyrie.Module(tmp_path / "model.eyr", functions={"Copy": copy})
    with pytest.raises(eyrie.Error, match="is no function: 3"):
        eyrie.Module(tmp_path / "model.eyr", functions={"my.domain::Copy": 3})


def test_many_threads(tmp_path):
    module = build(tmp_path, own_model(), "my.domain::Copy(f32[n]) -> f32[n]", functions={"my.domain::Copy": lambda x, **_: x * 2}, threads=2)
    wrong = []

    def work(k):
        instance, x = module.instance(), np.arange(k + 1, dtype=np.float32)
        for _ in range(50):
            if not np.array_equal(instance({"x": x})["y"], -2 * x):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_deadlines(tmp_path):
    module = build(tmp_path, own_model(), "my.domain::Copy(f32[n]) -> f32[n]", functions={"my.domain::Copy": lambda x, **_: time.sleep(0.05) or x})
    with pytest.raises(eyrie.Error) as caught:
        module.instance()({"x": np.float32([1])}, timeout=0.01)
    assert caught.value.code == "DEADLINE_EXCEEDED"


def test_plugins(tmp_path):
    for op in ("Copy", "Broken"):
        onnx.save(own_model(op), tmp_path / "model.onnx")
        compile_model(tmp_path / "model.onnx", tmp_path / f"{op}.eyr", "--host-op", f"my.domain::{op}(f32[n]) -> f32[n]")
    library = plugin(tmp_path)
    x = np.float32([1, 2, 3])
    check_equal(run_module(tmp_path / "Copy.eyr", {"x": x}, tmp_path, "--plugin", library), {"y": -x}, 0)
    check_equal(eyrie.Module(tmp_path / "Copy.eyr", plugins=[library]).instance()({"x": x}), {"y": -x}, 0)
    succeed("bench", tmp_path / "Copy.eyr", "--plugin", library, "--shape", "x=4", "--min-time", "0.01")
    save_npz(tmp_path / "in.npz", {"x": x})
    inputs = ["--input", f"@{tmp_path / 'in.npz'}"]
    fail("run", tmp_path / "Copy.eyr", *inputs, says=["node 'the_node' needs the host function 'my.domain::Copy', which is not there", "--plugin"])
    fail("run", tmp_path / "Broken.eyr", *inputs, "--plugin", library, says=["node 'the_node'", "my.domain::Broken: it is broken"])
    fail("run", tmp_path / "Copy.eyr", *inputs, "--plugin", library, "--plugin", library,
         says=[f"plug-in '{library}': ", "the runtime has a function 'my.domain::Copy' already"])
    fail("run", tmp_path / "Copy.eyr", *inputs, "--plugin", tmp_path / "none.so", says=["none.so", "cannot open shared object file"])
    fail("run", tmp_path / "Copy.eyr", *inputs, "--plugin", tmp_path / "in.npz", says=["in.npz", "plug-in"])
    empty = plugin(tmp_path, "int nothing;", "empty")
    fail("run", tmp_path / "Copy.eyr", *inputs, "--plugin", empty, says=["it is no plug-in: it has no 'eyrie_plugin_version' (see EYRIE_PLUGIN"])
    old = plugin(tmp_path, PLUGIN.replace("#include <string.h>", "#undef EYRIE_PLUGIN_VERSION\n#define EYRIE_PLUGIN_VERSION 99\n#include <string.h>"), "old")
    fail("run", tmp_path / "Copy.eyr", *inputs, "--plugin", old, says=["it was built for version 99 of plug-ins, this runtime takes version 1"])
    run = EYRIE.replace("bin/eyrie", "bin/eyrie-run")
    done = subprocess.run([run, "run", tmp_path / "Copy.eyr", "--input", "x=3xf32=2", "--plugin", library.name], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0 and "y: 3xf32 = -2 -2 -2" in done.stdout, done
    done = subprocess.run([run, "run", tmp_path / "Copy.eyr", "--input", "x=3xf32=2", "--plugin", "none.so"], capture_output=True, text=True)
    assert done.returncode == 1 and "plug-in 'none.so': " in done.stderr, done


def test_exceptions_of_cpp(tmp_path):
    source = """
#include <eyrie/functions.hpp>
#include <stdexcept>
#include <string>
// The plug-in's own runtime object stays the caller's.
EYRIE_PLUGIN(runtime) {
  auto copy = [](const eyrie::HostCall& call) -> eyrie::Status {
    const float* x = call.InputAs<float>(0, EYRIE_F32);
    if (!x) return eyrie::MakeError(EYRIE_INVALID_ARGUMENT, "expected f32");
    if (x[0] == 1) throw std::runtime_error("one is too few");
    if (x[0] == 2) throw 2;
    if (x[0] == 3) throw std::bad_alloc();
    std::copy(x, x + eyrie::HostCall::CountOf(call.input(0)), call.OutputAs<float>(0, EYRIE_F32));
    return {};
  };
  return eyrie::AddFunction(runtime, "my.domain::Copy", copy).Release();
}
"""
    library = plugin(tmp_path, source, "cpp", language="cpp")
    onnx.save(own_model(), tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr", "--host-op", "my.domain::Copy(f32[n]) -> f32[n]")
    for first, says in ((1, "my.domain::Copy: one is too few"), (2, "no std::exception"), (3, "out of memory")):
        save_npz(tmp_path / "in.npz", {"x": np.float32([first, 0])})
        fail("run", tmp_path / "model.eyr", "--input", f"@{tmp_path / 'in.npz'}", "--plugin", library, says=["node 'the_node'", says])
    x = np.float32([4, 5])
    check_equal(run_module(tmp_path / "model.eyr", {"x": x}, tmp_path, "--plugin", library), {"y": -x}, 0)


def test_inspect(tmp_path):
    onnx.save(own_model(), tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr", "--host-op", "my.domain::Copy(f32[n]) -> f32[n]")
    text = succeed("inspect", tmp_path / "model.eyr").out
    assert "host functions" in text and "my.domain::Copy" in text and 'axes=[1,2] mode="linear"' in text and "the_node" in text
    told = json.loads(succeed("inspect", tmp_path / "model.eyr", "--json").out)["host_functions"]
    assert told == [{"name": "my.domain::Copy", "inputs": [{"type": "f32", "rank": 1}], "outputs": [{"type": "f32", "rank": 1}],
                     "attributes": {"axes": [1, 2], "mode": "linear"}, "built_in": False, "node": "the_node"}]


def test_check(tmp_path):
    onnx.save(own_model(), tmp_path / "model.onnx")
    assert "can be compiled" in succeed("check", tmp_path / "model.onnx", "--host-op", "my.domain::Copy(f32[n]) -> f32[n]").out
