"""Each operator on random shapes, types and attributes, against ONNX Runtime.

Cases of one operator are nodes of one model, so that a run of thousands takes minutes. $EYRIE_TEST_PROPERTIES says how
many for each operator (default 8, a thousand in all), $EYRIE_TEST_SEED from which seed; a failure prints what it takes
to see it alone.
"""
import os
import zlib

import drawn  # noqa: F401 (fills OPERATORS)
import numpy as np
import onnx
import pytest
from command import call, check_equal, run_module
from draw import OPERATORS, Draw
from onnx import helper
from reference import expected

COUNT = int(os.environ.get("EYRIE_TEST_PROPERTIES", 8))
SEED = int(os.environ.get("EYRIE_TEST_SEED", 0))
NODES = 8  # of one model


def draw_cases(op, batch) -> list:
    """Cases with what is expected of them, of one operator set; `batch` is a part of the seed."""
    function, opsets = OPERATORS[op]
    random = np.random.default_rng([SEED, zlib.crc32(op.encode()), batch])
    draw = Draw(random, opsets[batch % len(opsets)])
    cases = []
    for i in range(min(NODES, COUNT - batch * NODES)):
        case = function(draw, op)
        case.name = f"{op.replace('::', '.')}_{batch}_{i}"
        feed = case.feeds()[0]
        try:
            cases.append((case, feed, expected(case.model(), feed)))
        except Exception as reason:  # neither ONNX Runtime nor ONNX's own evaluator has it for these types
            print(f"{case.name} left out: {str(reason)[:200]}")
    return cases


def join(cases) -> onnx.ModelProto:
    """One model of independent nodes; the names of each begin with those of its case."""
    nodes, inputs, outputs, weights = [], [], [], []
    for case, _, _ in cases:
        model = onnx.compose.add_prefix(case.model(), case.name + ".", rename_nodes=False)
        nodes.extend(model.graph.node)
        inputs.extend(model.graph.input)
        outputs.extend(model.graph.output)
        weights.extend(model.graph.initializer)
    graph = helper.make_graph(nodes, "properties", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=8)


def describe(case) -> str:
    inputs = [f"{'weight ' if hasattr(x, 'array') else ''}{np.asarray(getattr(x, 'array', x)).dtype}{list(np.shape(getattr(x, 'array', x)))}"
              if x is not None else "-" for x in case.inputs]
    return f"{case.name}: {case.op}-{case.opset}({', '.join(inputs)}) {case.attributes}{case.dims or ''}"


def run(cases, folder) -> list:
    """What is wrong, a text for each case."""
    onnx.save(join(cases), folder / "model.onnx")
    done = call("compile", folder / "model.onnx", "-o", folder / "model.eyr")
    if done.code:
        if len(cases) == 1:
            return [f"{describe(cases[0][0])}\n{done}"]
        return [text for one in cases for text in run([one], folder)] or [f"only together: {done}"]
    feeds = {f"{case.name}.{name}": array for case, feed, _ in cases for name, array in feed.items()}
    try:
        results = run_module(folder / "model.eyr", feeds, folder)
    except AssertionError as error:
        if len(cases) == 1:
            return [f"{describe(cases[0][0])}\n{error}"]
        return [text for one in cases for text in run([one], folder)] or [f"only together: {error}"]
    wrong = []
    for case, _, wanted in cases:
        got = {name: results[f"{case.name}.{name}"] for name in wanted}
        try:
            check_equal(got, wanted, case.tolerance, least_scale=1.0)  # arguments are about that large
        except AssertionError as error:
            wrong.append(f"{describe(case)}\n{error}")
    return wrong


@pytest.mark.parametrize("op", sorted(OPERATORS))
def test_operator(op, tmp_path):
    wrong, drawn = [], 0
    for batch in range(-(-COUNT // NODES)):
        cases = draw_cases(op, batch)
        drawn += len(cases)
        if cases:
            wrong += run(cases, tmp_path)
    assert not wrong, (f"{len(wrong)} of {drawn} cases, EYRIE_TEST_SEED={SEED} EYRIE_TEST_PROPERTIES={COUNT}:\n" +
                       "\n\n".join(wrong[:5]))
    assert drawn >= COUNT / 2, f"only {drawn} of {COUNT} cases have a reference"
