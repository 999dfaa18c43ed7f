"""States: what an instance keeps from call to call, beside ONNX Runtime with every tensor carried by hand."""
import numpy as np
import onnx
import pytest
from architectures.decoder import gpt2
from cases import f32
from command import check_equal, compile_model, fail, relative_error, save_npz, succeed
from graphs import BOOL, FLOAT, INT64, STRING, constant, node, turn
from reference import Reference
from small import model_of

import eyrie


def build(tmp_path, model, *pairs, flags=(), threads=1):
    """The module with these pairs as states."""
    onnx.save(model, tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr", *(f"--state={pair}" for pair in pairs), *flags)
    return eyrie.Module(tmp_path / "model.eyr", threads=threads)


class Carried:
    """ONNX Runtime with a caller that carries the tensors. `states`: input to (output, first value)."""

    def __init__(self, model, states):
        self.reference, self.outputs = Reference(model), {name: output for name, (output, _) in states.items()}
        self.states = {name: first for name, (_, first) in states.items()}

    def __call__(self, inputs):
        results = self.reference({**inputs, **self.states})
        self.states = {name: results[output] for name, output in self.outputs.items()}
        return {name: value for name, value in results.items() if name not in self.outputs.values()}


def check_steps(instance, carried, steps, tolerance=1e-5):
    for inputs in steps:
        check_equal(instance(inputs), carried(inputs), tolerance)
        for name, value in carried.states.items():
            assert instance.state(name).shape == value.shape
            assert relative_error(instance.state(name), value) <= tolerance, name


def counter():
    """total' = total + x, y = total' * 2."""
    return model_of([node("Add", ["total", "x"], ["after"]), node("Mul", ["after", "two"], ["y"])],
                    [("total", FLOAT, [2, 3]), ("x", FLOAT, [2, 3])], [("y", FLOAT, None), ("after", FLOAT, [2, 3])],
                    [("two", np.float32([2]))])


def cache(axis, shape, parts=1):
    """new = concat(old, parts...) along the axis, and the sum of all of it over that axis."""
    open_shape = [f"d{i}" if i == axis else size for i, size in enumerate(shape)]
    new = [f"n{i}" if i == axis else size for i, size in enumerate(shape)]
    names = [f"x{i}" for i in range(parts)]
    return model_of([node("Concat", ["old", *names], ["all"], axis=axis), node("ReduceSum", ["all", "axes"], ["y"], keepdims=0)],
                    [("old", FLOAT, open_shape), *((name, FLOAT, new) for name in names)],
                    [("y", FLOAT, None), ("all", FLOAT, [f"e{i}" if i == axis else size for i, size in enumerate(shape)])],
                    [("axes", np.array([axis]))])


@pytest.mark.parametrize("threads", [1, 2])
def test_a_sum_that_goes_on(tmp_path, threads):
    module = build(tmp_path, counter(), "total=after", threads=threads)
    function = module.function()
    assert [value.name for value in function.inputs] == ["x"] and [value.name for value in function.outputs] == ["y"]
    assert [(state.name, state.shape) for state in module.states] == [("total", (2, 3))]
    one, other = module.instance(), module.instance()
    steps = [{"x": f32(2, 3)} for _ in range(5)]
    check_steps(one, Carried(counter(), {"total": ("after", np.zeros((2, 3), np.float32))}), steps)
    check_steps(other, Carried(counter(), {"total": ("after", np.zeros((2, 3), np.float32))}), steps[::-1])
    assert one.stats["moved_bytes"] == 0


@pytest.mark.parametrize("axis, shape", [(0, (1, 5)), (1, (2, 1, 3)), (2, (1, 4, 1, 8)), (2, (3, 2, 1, 5)), (0, (1,)), (3, (2, 2, 2, 1))])
@pytest.mark.parametrize("parts", [1, 2])
def test_a_cache_that_grows(tmp_path, axis, shape, parts):
    model = cache(axis, shape, parts)
    module = build(tmp_path, model, "old=all")
    grown = lambda n: [n if i == axis else size for i, size in enumerate(shape)]
    empty = np.zeros(grown(0), np.float32)
    steps = [{f"x{i}": f32(*grown(n)) for i in range(parts)} for n in (1, 3, 1, 1, 7, 0, 1, 2, 1, 1, 1, 1, 20, 1)]
    instance = module.instance()
    check_steps(instance, Carried(model, {"old": ("all", empty)}), steps)
    assert instance.stats["moved_bytes"] > 0
    # In memory that was reserved it is never copied.
    instance = module.instance()
    total = parts * 60
    instance.reserve("old", grown(total))
    before = instance.stats["state_bytes"]
    check_steps(instance, Carried(model, {"old": ("all", empty)}), steps)
    assert instance.stats["moved_bytes"] == 0 and instance.stats["state_bytes"] == before


def test_the_old_value_is_read_beside_the_new_one(tmp_path):
    nodes = [node("Concat", ["old", "x"], ["all"], axis=0), node("ReduceMax", ["old", "axes"], ["before"], keepdims=0),
             node("ReduceMax", ["all", "axes"], ["after"], keepdims=0), node("Sub", ["after", "before"], ["y"])]
    model = model_of(nodes, [("old", FLOAT, ["n", 3]), ("x", FLOAT, ["m", 3])], [("y", FLOAT, None), ("all", FLOAT, ["k", 3])],
                     [("axes", np.array([0]))], opset=18)
    instance = build(tmp_path, model, "old=all").instance()
    start = f32(2, 3)
    instance.set_state("old", start)
    check_steps(instance, Carried(model, {"old": ("all", start)}), [{"x": f32(n, 3)} for n in (1, 1, 4, 1, 2)])


def test_a_window_that_slides(tmp_path):
    """The state is a part of what was made: the last four rows of the old window and the new rows."""
    nodes = [node("Concat", ["window", "x"], ["all"], axis=0), node("Slice", ["all", "minus4", "end", "zero"], ["next"]),
             node("MatMul", ["all", "w"], ["y"])]
    model = model_of(nodes, [("window", FLOAT, [4, 3]), ("x", FLOAT, ["n", 3])], [("y", FLOAT, None), ("next", FLOAT, [4, 3])],
                     [("minus4", np.array([-4])), ("end", np.array([2**31])), ("zero", np.array([0])), ("w", f32(3, 2))])
    instance = build(tmp_path, model, "window=next").instance()
    check_steps(instance, Carried(model, {"window": ("next", np.zeros((4, 3), np.float32))}), [{"x": f32(n, 3)} for n in (1, 2, 9, 1, 4)])


def test_states_that_change_places(tmp_path):
    """a' = b, b' = a + x: each is the other's memory, and the input of one is the output of both."""
    nodes = [node("Identity", ["b"], ["a2"]), node("Add", ["a", "x"], ["b2"]), node("Mul", ["a", "b"], ["y"])]
    model = model_of(nodes, [("a", FLOAT, [3]), ("b", FLOAT, [3]), ("x", FLOAT, [3])],
                     [("y", FLOAT, None), ("a2", FLOAT, [3]), ("b2", FLOAT, [3])])
    instance = build(tmp_path, model, "a=a2", "b=b2").instance()
    first = {"a": ("a2", np.zeros(3, np.float32)), "b": ("b2", np.zeros(3, np.float32))}
    check_steps(instance, Carried(model, first), [{"x": f32(3)} for _ in range(6)])


@pytest.mark.parametrize("kind, gates, carried", [("LSTM", 4, ("h", "c")), ("GRU", 3, ("h",)), ("RNN", 1, ("h",))])
def test_recurrent_layers_chunk_by_chunk(tmp_path, kind, gates, carried):
    """A sequence in chunks gives what it gives at once."""
    outputs = ["seq", *(f"{name}n" for name in carried)]
    inputs = ["x", "w", "r", "b", "", *carried]
    model = model_of([node(kind, inputs, outputs, hidden_size=6)],
                     [("x", FLOAT, ["n", 1, 5]), *((name, FLOAT, [1, 1, 6]) for name in carried)],
                     [("seq", FLOAT, None), *((f"{name}n", FLOAT, [1, 1, 6]) for name in carried)],
                     [("w", f32(1, gates * 6, 5)), ("r", f32(1, gates * 6, 6)), ("b", f32(1, 2 * gates * 6))])
    instance = build(tmp_path, model, *(f"{name}={name}n" for name in carried)).instance()
    zero = np.zeros((1, 1, 6), np.float32)
    x = f32(23, 1, 5)
    whole = Reference(model)({"x": x, **{name: zero for name in carried}})
    chunks = np.split(x, [1, 4, 5, 12, 20])
    check_steps(instance, Carried(model, {name: (f"{name}n", zero) for name in carried}), [{"x": chunk} for chunk in chunks])
    instance.reset()
    got = np.concatenate([instance({"x": chunk})["seq"] for chunk in chunks])
    assert relative_error(got, whole["seq"]) < 1e-5


def test_integers_booleans_and_scalars(tmp_path):
    nodes = [node("Add", ["steps", "one"], ["steps2"]), node("Xor", ["flags", "f"], ["flags2"]),
             node("Concat", ["ids", "id"], ["ids2"], axis=0), node("Cast", ["steps2"], ["y"], to=FLOAT)]
    model = model_of(nodes, [("steps", INT64, []), ("flags", BOOL, [4]), ("ids", INT64, ["n"]), ("f", BOOL, [4]), ("id", INT64, ["m"])],
                     [("y", FLOAT, None), ("steps2", INT64, []), ("flags2", BOOL, [4]), ("ids2", INT64, ["k"])], [("one", np.array(1))])
    instance = build(tmp_path, model, "steps=steps2", "flags=flags2", "ids=ids2").instance()
    first = {"steps": ("steps2", np.array(0)), "flags": ("flags2", np.zeros(4, bool)), "ids": ("ids2", np.zeros(0, np.int64))}
    random = np.random.default_rng(3)
    check_steps(instance, Carried(model, first), [{"f": random.random(4) < 0.5, "id": random.integers(-9, 9, n)} for n in (1, 2, 0, 5)])


def test_a_state_in_a_loop(tmp_path):
    """The loop carries the state: it runs over it in place."""
    body = turn([node("Add", ["s", "x"], ["s2"]), node("ReduceSum", ["s2"], ["sum"], keepdims=0)], [("s", FLOAT)], [("s2", FLOAT), ("sum", FLOAT)])
    model = model_of([constant("yes", True), node("Loop", ["n", "yes", "state"], ["next", "sums"], body=body)],
                     [("state", FLOAT, [8]), ("x", FLOAT, [8]), ("n", INT64, [])], [("sums", FLOAT, None), ("next", FLOAT, [8])])
    instance = build(tmp_path, model, "state=next").instance()
    check_steps(instance, Carried(model, {"state": ("next", np.zeros(8, np.float32))}), [{"x": f32(8), "n": np.array(n)} for n in (1, 4, 0, 2)])


_DECODER = dict(layers=2, width=32, heads=4, words=100, positions=64)


def decoder_steps(lengths, batch=1, words=100, seed=1):
    random, total = np.random.default_rng(seed), 0
    for n in lengths:
        total += n
        yield {"input_ids": random.integers(0, words, (batch, n)), "attention_mask": np.ones((batch, total), np.int64)}


@pytest.mark.parametrize("batch", [1, 3])
def test_a_decoder_with_a_cache(tmp_path, batch):
    model = gpt2(31, **_DECODER, batch=batch)
    module = build(tmp_path, model, "past_key_values.*=present.*")
    assert [value.name for value in module.function().inputs] == ["input_ids", "attention_mask"]
    assert [value.name for value in module.function().outputs] == ["logits"]
    assert len(module.states) == 4
    empty = np.zeros((batch, 4, 0, 8), np.float32)
    first = {state.name: (state.name.replace("past_key_values", "present"), empty) for state in module.states}
    lengths = [7, 1, 1, 3, *[1] * 20]
    instance = module.instance()
    for state in module.states:
        instance.reserve(state.name, (batch, 4, sum(lengths), 8))
    check_steps(instance, Carried(model, first), decoder_steps(lengths, batch))
    assert instance.stats["moved_bytes"] == 0


def test_a_decoder_goes_on_in_another_process(tmp_path):
    """Saved after the prompt, restored by the command line and by another instance."""
    model = gpt2(31, **_DECODER)
    module = build(tmp_path, model, "past_key_values.*=present.*")
    prompt, token = decoder_steps([5, 1])
    instance = module.instance()
    instance(prompt)
    saved = instance.save()
    want = instance(token)
    other = module.instance()
    other.restore(saved)
    check_equal(other(token), want, 0)
    (tmp_path / "states").write_bytes(saved)
    save_npz(tmp_path / "token.npz", token)
    run = ["run", tmp_path / "model.eyr", "--input", f"@{tmp_path / 'token.npz'}"]
    save_npz(tmp_path / "want.npz", want)
    succeed(*run, "--load-state", tmp_path / "states", "--save-state", tmp_path / "after", "--expect", f"@{tmp_path / 'want.npz'}",
            "--rtol", "0", "--atol", "0")
    assert (tmp_path / "after").read_bytes() == other.save()
    succeed("bench", tmp_path / "model.eyr", "--input", f"@{tmp_path / 'token.npz'}", "--load-state", tmp_path / "states", "--min-time", "0")
    # Without the states the mask is longer than the sequence.
    fail(*run, says="must equal total")
    fail(*run, "--load-state", tmp_path / "token.npz", says="these are not saved states")
    fail(*run, "--load-state", tmp_path / "none", says="none")
    (tmp_path / "cut").write_bytes(saved[:-8])
    fail(*run, "--load-state", tmp_path / "cut", says="saved states")


def test_a_call_that_fails_leaves_the_states(tmp_path):
    model = gpt2(31, **_DECODER)
    instance = build(tmp_path, model, "past_key_values.*=present.*").instance()
    prompt, token, next_token = decoder_steps([5, 1, 1])
    instance(prompt)
    before = instance.save()
    wrong = {**token, "attention_mask": np.ones((1, 9), np.int64)}
    with pytest.raises(eyrie.Error):
        instance(wrong)
    assert instance.save() == before
    instance(token), instance(next_token)


def test_values_set_by_hand(tmp_path):
    module = build(tmp_path, cache(0, (1, 3)), "old=all")
    instance = module.instance()
    with pytest.raises(eyrie.Error, match="4"):
        instance.set_state("old", f32(2, 4))
    with pytest.raises(eyrie.Error, match="float64"):
        instance.set_state("old", np.zeros((2, 3)))
    with pytest.raises(eyrie.Error, match="no state 'older'"):
        instance.state("older")
    start = f32(2, 3)
    instance.set_state("old", start)
    assert np.array_equal(instance.state("old"), start)
    with pytest.raises(eyrie.Error):
        instance.reserve("old", (-1, 3))
    with pytest.raises(eyrie.Error):
        instance.reserve("old", (2**60, 3))
    with pytest.raises(eyrie.Error, match="dimensions"):
        instance.reserve("old", (3,))
    assert np.array_equal(instance.state("old"), start)
    instance.reset()
    assert instance.state("old").shape == (0, 3)


def test_inspect_lists_states(tmp_path):
    build(tmp_path, cache(1, (2, 1, 3)), "old=all")
    text = succeed("inspect", tmp_path / "model.eyr").out
    assert "states\n  old  2xd1x3xf32" in text


IDENTITY = [node("Identity", ["a"], ["b"]), node("Identity", ["c"], ["d"])]


@pytest.mark.parametrize("pair, inputs, outputs, says", [
    ("x=b", [("a", FLOAT, [2])], [("b", FLOAT, [2])], ["no such input", "'a'", "'c'"]),
    ("a=y", [("a", FLOAT, [2])], [("b", FLOAT, [2])], ["no output 'y'", "'b', 'd'"]),
    ("a=d", [("a", FLOAT, [2])], [("b", FLOAT, [2])], ["one type", "f32[2] and i64[2]"]),
    ("a", [("a", FLOAT, [2])], [("b", FLOAT, [2])], ["INPUT=OUTPUT"]),
    ("a=b", [("a", STRING, [2])], [("b", STRING, [2])], ["strings"]),
    ("a=b", [("a", FLOAT, ["n", 2])], [("b", FLOAT, ["n", 2])], ["never changes", "--shape"]),
    ("*=b", [("a", FLOAT, [2])], [("b", FLOAT, [2])], ["INPUT=OUTPUT"]),
    ("a=*", [("a", FLOAT, [2])], [("b", FLOAT, [2])], ["INPUT=OUTPUT"]),
])
def test_pairs_that_cannot_be(tmp_path, pair, inputs, outputs, says):
    onnx.save(model_of(IDENTITY, [*inputs, ("c", INT64, [2])], [*outputs, ("d", INT64, [2])]), tmp_path / "model.onnx")
    result = fail("compile", tmp_path / "model.onnx", "-o", tmp_path / "m.eyr", f"--state={pair}", code=2 if "INPUT=OUTPUT" in says else 1)
    for text in ["state", *says]:
        assert text in result.err, result
    assert not (tmp_path / "m.eyr").exists()


def test_a_tensor_is_part_of_one_state_only(tmp_path):
    onnx.save(counter(), tmp_path / "model.onnx")
    fail("compile", tmp_path / "model.onnx", "-o", tmp_path / "m.eyr", "--state=total=after", "--state=x=after", says="another state")


def vm_of(tmp_path):
    return succeed("inspect", tmp_path / "model.eyr", "--vm").out.split("\ncode\n")[1]


def test_a_cache_of_fixed_size_is_changed_in_place(tmp_path):
    """cache[at] = x: one row is written, the others stay where they are."""
    nodes = [node("ScatterND", ["cache", "at", "x"], ["next"]), node("ReduceMax", ["next", "axes"], ["y"], keepdims=0)]
    model = model_of(nodes, [("cache", FLOAT, [64, 8]), ("at", INT64, [1, 1]), ("x", FLOAT, [1, 8])],
                     [("y", FLOAT, None), ("next", FLOAT, [64, 8])], [("axes", np.array([0]))], opset=18)
    instance = build(tmp_path, model, "cache=next").instance()
    assert "copy" not in vm_of(tmp_path)
    check_steps(instance, Carried(model, {"cache": ("next", np.zeros((64, 8), np.float32))}),
                [{"at": np.array([[i]]), "x": f32(1, 8)} for i in (0, 63, 7, 7)])


def test_the_decoder_copies_nothing(tmp_path):
    build(tmp_path, gpt2(31, **_DECODER), "past_key_values.*=present.*")
    assert "buf.extend" in vm_of(tmp_path) and "copy" not in vm_of(tmp_path)
