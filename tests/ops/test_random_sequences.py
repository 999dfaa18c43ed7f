"""Random programs of operations on sequences, branches and loops, against a plain model in Python."""
import random

import numpy as np
import pytest
from graphs import BOOL, FLOAT, INT64, check, constant, helper, node, sequence, value
from onnx import numpy_helper
from small import model_of

PROGRAMS = 60
TURNS = (0, 1, 4)  # of every loop of a program, one number for each call
ROWS = ["m", 3]    # what all tensors are: sequences hold some of different sizes


class Writer:
    """Writes one program. `sequences` has the least length of each, so that every position is there."""

    def __init__(self, seed):
        self.random, self.count = random.Random(seed), 0

    def name(self, prefix):
        self.count += 1
        return f"{prefix}{self.count}"

    def body(self, sequences, tensors, depth, steps):
        """The nodes of a graph, and what it makes: sequences and tensors."""
        before = Body(self, dict(sequences), list(tensors), depth)
        for _ in range(steps):
            before.step()
        made = {name: length for name, length in before.sequences.items() if name not in sequences}
        return before.nodes, made, [name for name in before.tensors if name not in tensors]


class Body:
    """A graph while it is written."""

    def __init__(self, writer, sequences, tensors, depth):
        self.writer, self.sequences, self.tensors, self.depth = writer, sequences, tensors, depth
        self.random, self.nodes = writer.random, []

    def step(self):
        kinds = 4 * [self.insert] + 2 * [self.erase, self.at] + [self.construct, self.negate, self.length, self.join, self.empty]
        self.random.choice(kinds + ([self.branch, self.loop, self.loop] if self.depth < 2 else []))()

    def add(self, op, inputs, prefix, **attributes):
        result = self.writer.name(prefix)
        self.nodes.append(node(op, inputs, [result], name=result, **attributes))
        return result

    def add_sequence(self, op, inputs, length, **attributes):
        self.sequences[self.add(op, inputs, "s", **attributes)] = length

    def add_tensor(self, op, inputs, **attributes):
        self.tensors.append(self.add(op, inputs, "t", **attributes))

    def number(self, number):
        name = self.writer.name("c")
        self.nodes.append(constant(name, number))
        return name

    def position(self, known):
        """The operand for a position: a number, the name of one, or None for none."""
        chosen = self.random.choice(known)
        return [] if chosen is None else [chosen if isinstance(chosen, str) else self.number(chosen)]

    def any_tensor(self):
        return self.random.choice(self.tensors)

    def any_sequence(self, least=0):
        return self.random.choice([name for name, length in self.sequences.items() if length >= least] or [None])

    def insert(self):
        name = self.any_sequence()
        position = self.position([None, None, 0, self.add("SequenceLength", [name], "n")] + ([-1] if self.sequences[name] else []))
        self.add_sequence("SequenceInsert", [name, self.any_tensor(), *position], self.sequences[name] + 1)

    def erase(self):
        if name := self.any_sequence(1):
            self.add_sequence("SequenceErase", [name, *self.position([None, 0, -1, "position"])], self.sequences[name] - 1)

    def at(self):
        if name := self.any_sequence(1):
            self.add_tensor("SequenceAt", [name, *self.position([0, -1, "position"])])

    def construct(self):
        count = self.random.randint(1, 3)
        self.add_sequence("SequenceConstruct", [self.any_tensor() for _ in range(count)], count)

    def empty(self):
        self.add_sequence("SequenceEmpty", [], 0)

    def negate(self):
        self.add_tensor("Neg", [self.any_tensor()])

    def length(self):
        length = self.add("Cast", [self.add("SequenceLength", [self.any_sequence()], "n")], "f", to=FLOAT)
        self.add_tensor("Add", [self.any_tensor(), length])

    def join(self):
        if name := self.any_sequence(1):
            joined = self.add("ConcatFromSequence", [name], "j", axis=0)
            self.add_tensor("Slice", [joined, self.number([0]), self.number([3])])  # so that programs stay small

    def ends(self, nodes, names, kind):
        """Results under names of their own."""
        results = [self.writer.name("r") for _ in names]
        nodes += [node("Identity", [name], [result]) for name, result in zip(names, results)]
        return [sequence(result, FLOAT, ROWS) if kind == "s" else value(result, FLOAT, [None, 3]) for result in results]

    def bind(self, op, inputs, sequences, tensors, **bodies):
        names = [self.writer.name("s") for _ in range(sequences)] + [self.writer.name("t") for _ in range(tensors)]
        self.nodes.append(node(op, inputs, names, name=self.writer.name("flow"), **bodies))
        self.sequences.update({name: 0 for name in names[:sequences]})
        self.tensors += names[sequences:]

    def branch(self):
        sequences, tensors, bodies = self.random.randint(1, 2), self.random.randint(0, 1), []
        for _ in range(2):
            nodes, lists, made = self.writer.body(self.sequences, self.tensors, self.depth + 1, self.random.randint(0, 4))
            given = [self.random.choice(list(lists) or list(self.sequences)) for _ in range(sequences)]
            results = self.ends(nodes, given, "s") + self.ends(nodes, [self.random.choice(self.tensors + made) for _ in range(tensors)], "t")
            bodies.append(helper.make_graph(nodes, "branch", [], results))
        self.bind("If", [self.random.choice(["first", "second"])], sequences, tensors, then_branch=bodies[0], else_branch=bodies[1])

    def loop(self):
        lists = [self.writer.name("l") for _ in range(self.random.randint(1, 3))]
        carried = [self.writer.name("v") for _ in range(self.random.randint(0, 1))]
        around = self.sequences if self.random.random() < 0.4 else {}
        nodes, made, tensors = self.writer.body({**around, **dict.fromkeys(lists, 0)}, self.tensors + carried, self.depth + 1, self.random.randint(1, 6))
        turn, on, goes_on = (self.writer.name(prefix) for prefix in ("i", "on", "on"))
        nodes.append(node("Identity", [on], [goes_on]))
        inputs = [value(turn, INT64, []), value(on, BOOL, []), *(sequence(name, FLOAT, ROWS) for name in lists),
                  *(value(name, FLOAT, [None, 3]) for name in carried)]
        next_lists = [self.random.choice(list(made) or lists) if self.random.random() < 0.75 else self.random.choice(lists) for _ in lists]
        next_carried = [self.random.choice(tensors or carried) for _ in carried]
        results = [value(goes_on, BOOL, []), *self.ends(nodes, next_lists, "s"), *self.ends(nodes, next_carried, "t")]
        starts = [self.any_sequence() for _ in lists] + [self.any_tensor() for _ in carried]
        self.bind("Loop", ["turns", "", *starts], len(lists), len(carried), body=helper.make_graph(nodes, "turn", inputs, results))


def program(seed):
    writer = Writer(seed)
    nodes, sequences, tensors = writer.body({"s": 2, "e": 0}, ["x", "z"], 0, writer.random.randint(3, 14))
    pick = lambda names: [name for name in names if writer.random.random() < 0.5] or names[-1:]
    outputs = [sequence(name, FLOAT, None) for name in pick(list(sequences))] + [value(name, FLOAT, None) for name in pick(tensors)]
    inputs = [sequence("s", FLOAT, ["n", 3]), sequence("e", FLOAT, ["n", 3]), ("x", FLOAT, ["a", 3]), ("z", FLOAT, [2, 3]), ("position", INT64, []),
              ("turns", INT64, []), ("first", BOOL, []), ("second", BOOL, [])]
    return model_of(nodes, inputs, outputs)


def feeds(seed):
    numbers = np.random.default_rng(seed)
    rows = lambda count: numbers.standard_normal((count, 3), np.float32)
    some = lambda low, high: [rows(count) for count in numbers.integers(0, 4, numbers.integers(low, high))]
    for turns in TURNS:
        yield {"s": some(2, 5), "e": some(0, 3), "x": rows(numbers.integers(0, 4)), "z": rows(2), "position": np.array(numbers.choice([0, -1])),
               "turns": np.array(turns), "first": np.array(numbers.random() < 0.5), "second": np.array(numbers.random() < 0.5)}


def inserted(elements, element, position=None):
    place = len(elements) if position is None else int(position) + len(elements) * (position < 0)
    return elements[:place] + [element] + elements[place:]


def erased(elements, position=-1):
    place = int(position) % len(elements)
    return elements[:place] + elements[place + 1:]


OPERATIONS = {
    "Identity": lambda x: x, "Neg": lambda x: -x, "Add": lambda x, y: x + y, "Cast": lambda x, to: x.astype(np.float32),
    "Slice": lambda x, begin, end: x[begin[0]:end[0]], "Constant": lambda value: numpy_helper.to_array(value),
    "SequenceConstruct": lambda *elements: list(elements), "SequenceEmpty": lambda: [], "SequenceInsert": inserted, "SequenceErase": erased,
    "SequenceAt": lambda elements, position: elements[int(position)], "SequenceLength": lambda elements: np.array(len(elements)),
    "ConcatFromSequence": lambda elements, axis: np.concatenate(elements, axis),
}


def evaluate(graph, values):
    """The outputs of a graph in whose scope `values` are."""
    values = dict(values)
    for one in graph.node:
        attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in one.attribute}
        inputs = [values[name] for name in one.input if name]
        if one.op_type == "If":
            results = evaluate(attributes["then_branch" if inputs[0] else "else_branch"], values)
        elif one.op_type == "Loop":
            results, body = inputs[1:], attributes["body"]
            for turn in range(int(inputs[0])):
                given = dict(zip((row.name for row in body.input), [np.array(turn), np.array(True), *results]))
                results = evaluate(body, {**values, **given})[1:]
        else:
            results = [OPERATIONS[one.op_type](*inputs, **attributes)]
        values.update(zip(one.output, results))
    return [values[output.name] for output in graph.output]


@pytest.mark.parametrize("seed", range(PROGRAMS))
def test_program(tmp_path, seed):
    want = lambda model, feed: dict(zip((output.name for output in model.graph.output), evaluate(model.graph, feed)))
    check(tmp_path, program(seed), *feeds(seed), threads=(1 + seed % 2,), want=want)
