"""Operations of ai.onnx.ml: what ONNX Runtime does not do, or not by the standard; maps; models and calls that are wrong."""
import json

import machine_learning as ml
import numpy as np
import onnx
import pytest
from cases import Case, f32, i64
from command import compile_model, succeed
from graphs import DOUBLE, FLOAT, INT64, STRING, check, node, refuse, refuse_call
from onnx import TensorProto, helper
from reference import Reference

import eyrie


def model(op, *inputs, version=1, kinds=(FLOAT,), dims=None, **attributes):
    case = Case("n", "ai.onnx.ml::" + op, list(inputs), attributes, outputs=len(kinds), version=version, dims=dims)
    proto = case.model()
    for output, kind in zip(proto.graph.output, kinds):
        output.CopyFrom(helper.make_tensor_value_info(output.name, kind, None))
    return proto


def softmax(x):
    powers = np.exp(x - x.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


PLACED = ml.placed | {"nodes_modes": ml.tensor("m", [0, 3, 4], np.uint8)}


def parts(dtype):
    return {"nodes_splits": ml.tensor("s", [0.5, -1, 0], dtype), "leaf_weights": ml.tensor("w", [1.5, 2.5, -3.5, 4.5], dtype)}


def placed_scores(x):
    first = np.where(x[:, :1] <= 0.5, np.where(x[:, 1:2] > -1, [[1.5, 0]], [[0, 2.5]]), [[-3.5, 0]])
    return (first + np.where(x[:, 2:] == 0, [[-3.5, 0]], [[0, 4.5]])).astype(np.float32)


@pytest.mark.parametrize("number, transform", [(0, lambda x: x), (1, softmax), (2, lambda x: 1 / (1 + np.exp(-x)))])
def test_transforms_by_number(tmp_path, number, transform):
    x = ml.features(20, 3)
    check(tmp_path, model("TreeEnsemble", x, post_transform=number, **PLACED, **parts(np.float32)), {"x0": x},
          want={"y0": transform(placed_scores(x))})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_members_of_sets(tmp_path, dtype):
    x = ml.features(60, 3, dtype=dtype)
    first = np.where(np.isin(x[:, :1], [0.5, 1, 2.5]), np.where(x[:, 1:2] >= -1, [[1.5, 0]], [[0, 2.5]]), [[-3.5, 0]])
    second = np.where(np.isin(x[:, 2:], [-1, 0]), [[-3.5, 0]], [[0, 4.5]])
    attributes = PLACED | parts(dtype) | {"nodes_modes": ml.tensor("m", [6, 2, 6], np.uint8),
                                          "membership_values": ml.tensor("v", [0.5, 1, 2.5, np.nan, -1, 0], dtype)}
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    check(tmp_path, model("TreeEnsemble", x, kinds=[kind], **attributes), {"x0": x}, want={"y0": (first + second).astype(dtype)})


def test_trees_of_half_precision(tmp_path):
    x = ml.features(20, 3, dtype=np.float16)
    check(tmp_path, model("TreeEnsemble", x, kinds=[TensorProto.FLOAT16], **PLACED, **parts(np.float16)), {"x0": x},
          want={"y0": placed_scores(x).astype(np.float16)})


@pytest.mark.parametrize("dtype", ["int64", "int32"])
def test_trees_of_integers(tmp_path, dtype):
    x = ml.features(20, 5, dtype=dtype)
    attributes = ml.grow(4, 3, 2, "target")
    want = Reference(model("TreeEnsembleRegressor", x.astype(np.float32), n_targets=2, **attributes))({"x0": x.astype(np.float32)})
    check(tmp_path, model("TreeEnsembleRegressor", x, n_targets=2, **attributes), {"x0": x}, want=want)


def test_no_rows(tmp_path):
    for targets in 1, 2:
        check(tmp_path, model("TreeEnsembleRegressor", f32(2, 5), dims=[["n", 5]], n_targets=targets, **ml.grow(3, 2, targets, "target")),
              {"x0": f32(0, 5)}, want={"y0": np.zeros((0, targets), np.float32)})


@pytest.mark.parametrize("dtype", ml.TYPES)
def test_linear_machine(tmp_path, dtype):
    x, weights = (3 * f32(7, 4)).astype(dtype), f32(3, 4)
    scores = x.astype(np.float32) @ weights.T + np.float32(0.1)
    check(tmp_path, model("SVMClassifier", x, kinds=(INT64, FLOAT), coefficients=[float(v) for v in weights.ravel()], rho=[0.1],
                          classlabels_ints=[10, 20, 30]), {"x0": x}, want={"y0": i64(10, 20, 30)[scores.argmax(1)], "y1": scores})


def test_keys(tmp_path):
    x = np.array([np.nan, 1, 2, 3], np.float32)
    for count in 1, 20:  # few keys are compared, many are searched
        keys = [float("nan"), 1.0, 2.0, 1.0] + [100.0 + i for i in range(count)]
        encoder = model("LabelEncoder", x, version=4, kinds=[INT64], keys_floats=keys, values_int64s=list(range(len(keys))))
        check(tmp_path, encoder, {"x0": x}, want={"y0": i64(0, 3, 2, -1)})


def zipped(labels):
    nodes = [helper.make_node("LinearClassifier", ["x"], ["label", "scores"], domain="ai.onnx.ml", coefficients=[1.0, 2, 3, 4, 5, 6],
                              intercepts=[0.0, 0, 0], classlabels_strings=["a", "b", "c"]),
             helper.make_node("ZipMap", ["scores"], ["maps"], name="zip", domain="ai.onnx.ml", **labels)]
    maps = helper.make_value_info("maps", helper.make_sequence_type_proto(helper.make_map_type_proto(STRING, helper.make_tensor_type_proto(FLOAT, []))))
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", FLOAT, ["n", 2])],
                              [helper.make_tensor_value_info("label", STRING, ["n"]), maps])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)], ir_version=8)


def test_zip_map_gives_the_scores(tmp_path):
    x = f32(5, 2)
    scores = x @ np.array([[1, 2], [3, 4], [5, 6]], np.float32).T
    check(tmp_path, zipped({"classlabels_strings": ["a", "b", "c"]}), {"x": x}, want={"label": np.array(list("abc"))[scores.argmax(1)], "maps": scores})


@pytest.mark.parametrize("attributes, labels", [({"classlabels_strings": ["a b", "ü", "c"]}, ["a b", "ü", "c"]), ({"classlabels_int64s": [7, -1, 30]}, ["7", "-1", "30"]),
                                                ({"classlabels_strings": ["a", "", "c"]}, None)])
def test_classes_are_told(tmp_path, attributes, labels):
    """What the columns are; not where a class without a name could not be told from none."""
    model = zipped(attributes)
    del model.graph.output[0]  # strings, which the binding does not hand over
    onnx.save(model, tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr")
    (function,) = json.loads(succeed("inspect", tmp_path / "model.eyr", "--json").out)["functions"]
    assert [output.get("labels") for output in function["outputs"]] == [labels]
    assert [output.labels for output in eyrie.Module(tmp_path / "model.eyr").function("main").outputs] == [tuple(labels or ())]
    if labels:
        (function,) = json.loads(succeed("check", tmp_path / "model.onnx", "--json").out)["functions"]
        assert [output.get("labels") for output in function["outputs"]] == [labels]
        for command in (("inspect", tmp_path / "model.eyr"), ("check", tmp_path / "model.onnx")):
            assert f"columns {', '.join(labels)}\n" in succeed(*command).out


def test_many_classes_are_cut(tmp_path):
    model = zipped({"classlabels_strings": [f"class_{i}" for i in range(40)]})
    classifier = {attribute.name: attribute for attribute in model.graph.node[0].attribute}
    classifier["coefficients"].floats[:], classifier["intercepts"].floats[:] = [1.0] * 80, [1.0] * 40
    classifier["classlabels_strings"].strings[:] = [b"c%d" % i for i in range(40)]
    onnx.save(model, tmp_path / "model.onnx")
    assert "class_11, ... (40)" in succeed("check", tmp_path / "model.onnx").out


def test_zip_map_of_too_few_classes(tmp_path):
    refuse(tmp_path, zipped({"classlabels_strings": ["a", "b"]}), "expected a score for each of 2 classes")


def mapped(nodes, key, value, output):
    """A model of a map x; `nodes`, of which those without a domain are of ai.onnx.ml, make y of it."""
    for part in nodes:
        part.domain = "ai.onnx.ml" if part.domain == "" else part.domain
    x = helper.make_value_info("x", helper.make_map_type_proto(key, helper.make_tensor_type_proto(value, [])))
    y = output if isinstance(output, onnx.ValueInfoProto) else helper.make_tensor_value_info("y", output, None)
    graph = helper.make_graph(nodes, "g", [x], [y])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)], ir_version=8)


def vectorizer(vocabulary):
    kind = "string" if isinstance(vocabulary[0], str) else "int64"
    return node("DictVectorizer", ["x"], ["y"], name="vectorize", **{kind + "_vocabulary": vocabulary})


def numpy_type(kind):
    return np.dtype(str) if kind == STRING else helper.tensor_dtype_to_np_dtype(kind)


def parts_of(entries, key, value):
    """A map as it travels."""
    return {"x.keys": np.array(list(entries), numpy_type(key)), "x.values": np.array(list(entries.values()), numpy_type(value))}


def check_maps(tmp_path, model, key, value, *maps, want=None):
    """`want`: y of each map; none: ONNX Runtime's, whose binding takes maps to floats with an entry or more."""
    wanted = iter(want or [Reference(model)({"x": entries})["y"] for entries in maps])
    check(tmp_path, model, *(parts_of(entries, key, value) for entries in maps), want=lambda *_: {"y": np.array([next(wanted)]) if want else next(wanted)})


MANY = {f"word {i}": i / 4 for i in range(0, 300, 7)}


@pytest.mark.parametrize("key, vocabulary, maps", [
    (STRING, ["a", "c", "b", "", "a"], [{"a": 4.5, "q": 8.0}, {"q": 1.0}, {"b": -0.0, "a": float("nan"), "": 3.0}]),
    (STRING, [f"word {i}" for i in range(200)], [MANY, {"word 199": 1.0}]),
    (INT64, [4, -5, 3, 2**62], [{3: 0.5, -5: 1.0, 9: 7.0}, {2**62: 1.0}])])
def test_map_to_row(tmp_path, key, vocabulary, maps):
    check_maps(tmp_path, mapped([vectorizer(vocabulary)], key, FLOAT, FLOAT), key, FLOAT, *maps)


@pytest.mark.parametrize("key, value, vocabulary, maps, want", [
    (STRING, FLOAT, ["a", "b"], [{}], [np.zeros(2, np.float32)]),
    (STRING, INT64, ["a", "b", "c"], [{"c": 2**62 + 1, "a": -1}, {}], [i64(-1, 0, 2**62 + 1), i64(0, 0, 0)]),
    (STRING, DOUBLE, ["a", "b"], [{"b": 0.1}], [np.array([0, 0.1])]),
    (INT64, DOUBLE, [7, 8], [{7: 0.1, 6: 1.0}], [np.array([0.1, 0])]),
    (INT64, STRING, [3, 2, 1], [{1: "one", 3: "ü", 0: "other"}, {}], [np.array(["ü", "", "one"]), np.array(["", "", ""])]),
    (STRING, STRING, ["a", "b"], [{"b": "a"}], [np.array(["", "a"])])])
def test_map_to_row_of_other_types(tmp_path, key, value, vocabulary, maps, want):
    check_maps(tmp_path, mapped([vectorizer(vocabulary)], key, value, value), key, value, *maps, want=want)


FLOATS = [{3: 1.75, 0: -2.75, 1: 2.0**40}, {2: 1.0}, {1: 0.5, 9: 4.0, 4: 2.0}]


@pytest.mark.parametrize("to, kind", [("TO_FLOAT", FLOAT), ("TO_INT64", INT64)])
@pytest.mark.parametrize("form", [{}, {"map_form": "DENSE"}, {"map_form": "SPARSE", "max_map": 4}, {"map_form": "SPARSE"}])
def test_cast_of_map(tmp_path, to, kind, form):
    maps = FLOATS if form.get("map_form") == "SPARSE" else [*FLOATS, {2: 1.0, -3: 2.0, -2**60: 3.0}]
    check_maps(tmp_path, mapped([node("CastMap", ["x"], ["y"], cast_to=to, **form)], INT64, FLOAT, kind), INT64, FLOAT, *maps)


SPARSE = {"map_form": "SPARSE", "max_map": 3}


@pytest.mark.parametrize("value, to, kind, form, maps, want", [
    (FLOAT, "TO_FLOAT", FLOAT, {}, [{}], [np.zeros(0, np.float32)]),
    (FLOAT, "TO_FLOAT", FLOAT, SPARSE, [{}], [np.zeros(3, np.float32)]),
    (FLOAT, "TO_STRING", STRING, {}, [{5: 0.5, 4: 2.0}], [np.array(["2", "0.5"])]),
    (FLOAT, "TO_STRING", STRING, SPARSE, [{1: 0.5}], [np.array(["0.f", "0.5", "0.f"])]),
    (STRING, "TO_STRING", STRING, {}, [{5: "x", 4: ""}], [np.array(["", "x"])]),
    (STRING, "TO_STRING", STRING, SPARSE, [{0: "x", 3: "y"}], [np.array(["x", "0.f", "0.f"])]),
    (STRING, "TO_FLOAT", FLOAT, {}, [{2: "1e3", 1: "-0.5"}], [np.float32([-0.5, 1000])]),
    (STRING, "TO_FLOAT", FLOAT, SPARSE, [{2: "1e3"}], [np.float32([0, 0, 1000])]),
    (STRING, "TO_INT64", INT64, {}, [{2: "12", 1: "-9007199254740993"}], [i64(-9007199254740993, 12)]),
    (STRING, "TO_INT64", INT64, SPARSE, [{1: "12"}], [i64(0, 12, 0)])])
def test_cast_of_map_with_text(tmp_path, value, to, kind, form, maps, want):
    check_maps(tmp_path, mapped([node("CastMap", ["x"], ["y"], cast_to=to, **form)], INT64, value, kind), INT64, value, *maps, want=want)


def test_model_that_takes_a_map(tmp_path):
    """As exported by scikit-learn: the map becomes features, which are scaled and classified."""
    words = [f"w{i}" for i in range(5)]
    nodes = [node("DictVectorizer", ["x"], ["features"], string_vocabulary=words),
             node("Scaler", ["features"], ["scaled"], offset=[0.5] * 5, scale=[2.0, 1, 1, 0.5, 1]),
             node("LinearClassifier", ["scaled"], ["y", "scores"], coefficients=[float(v) for v in f32(3 * 5).ravel()],
                  intercepts=[0.1, 0.0, -0.1], classlabels_strings=["p", "q", "r"])]
    network = mapped(nodes, STRING, FLOAT, STRING)
    network.graph.output.append(helper.make_tensor_value_info("scores", FLOAT, None))
    maps = [{"w0": 1.0, "w4": 2.0}, {"w3": -4.0, "unknown": 9.0}]
    wanted = iter([Reference(network)({"x": entries}) for entries in maps])
    check(tmp_path, network, *(parts_of(entries, STRING, FLOAT) for entries in maps), want=lambda *_: next(wanted))
    (function,) = json.loads(succeed("check", tmp_path / "model.onnx", "--json").out)["functions"]
    assert [part["name"] for part in function["inputs"]] == ["x.keys", "x.values"]


def test_map_in_a_branch(tmp_path):
    branch = lambda sign: helper.make_graph([node("DictVectorizer", ["x"], ["row"], domain="ai.onnx.ml", int64_vocabulary=[1, 2]),
                                             node(sign, ["row"], ["made"])], "g", [], [helper.make_tensor_value_info("made", FLOAT, None)])
    network = mapped([node("If", ["c"], ["y"], domain="ai.onnx", then_branch=branch("Neg"), else_branch=branch("Abs"))], INT64, FLOAT, FLOAT)
    network.graph.input.append(helper.make_tensor_value_info("c", TensorProto.BOOL, []))
    entries = parts_of({2: 3.0, 7: 1.0}, INT64, FLOAT)
    check(tmp_path, network, {**entries, "c": np.array(True)}, want={"y": np.float32([[-0.0, -3]])})


def test_map_in_a_function(tmp_path):
    network = mapped([node("F", ["x"], ["y"], domain="my")], INT64, FLOAT, FLOAT)
    body = node("DictVectorizer", ["a"], ["b"], domain="ai.onnx.ml", int64_vocabulary=[3, 4])
    network.functions.append(helper.make_function("my", "F", ["a"], ["b"], [body], [helper.make_opsetid("ai.onnx.ml", 1)]))
    network.opset_import.append(helper.make_opsetid("my", 1))
    check(tmp_path, network, parts_of({4: 2.0}, INT64, FLOAT), want={"y": np.float32([[0, 2]])})


def test_map_as_a_dictionary(tmp_path):
    network = mapped([vectorizer([3, 4])], INT64, FLOAT, FLOAT)
    onnx.save(network, tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr")
    instance = eyrie.Module(tmp_path / "model.eyr").instance()
    for entries in {4: 0.5, 5: 1}, {}:
        assert instance({"x": entries})["y"].tolist() == [[0, entries.get(4, 0)]]
    with pytest.raises(eyrie.Error, match="takes the inputs"):
        instance({"z": {4: 0.5}})


def test_map_of_a_known_size(tmp_path):
    network = mapped([vectorizer([3, 4])], INT64, FLOAT, FLOAT)
    onnx.save(network, tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr", "--shape", "x=2")
    (function,) = json.loads(succeed("inspect", tmp_path / "model.eyr", "--json").out)["functions"]
    assert [part["shape"] for part in function["inputs"]] == [[2], [2]]


def test_calls_with_what_is_no_map(tmp_path):
    network = mapped([vectorizer([3, 4])], INT64, FLOAT, FLOAT)
    refuse_call(tmp_path, network, {"x.keys": i64(3, 4), "x.values": f32(1)}, "dimension 'x' is 2 in input 0, but 1 in input 1 'x.values'")
    network.graph.input[0].name = network.graph.node[0].input[0] = "?"  # which is no name of a dimension
    refuse_call(tmp_path, network, {"?.keys": i64(3, 4), "?.values": f32(1)}, "is 2 in input 0, but 1 in input 1 '?.values'")
    sparse = mapped([node("CastMap", ["x"], ["y"], map_form="SPARSE", max_map=4)], INT64, FLOAT, FLOAT)
    refuse_call(tmp_path, sparse, parts_of({2: 1.0, -1: 5.0}, INT64, FLOAT), "a key of the map is negative, which is no place")
    twice = {"x.keys": i64(3, 3), "x.values": np.float32([1, 2])}
    check(tmp_path, mapped([vectorizer([3, 4])], INT64, FLOAT, FLOAT), twice, want={"y": np.float32([[2, 0]])})


@pytest.mark.parametrize("part, key, value, says", [
    (node("Identity", ["x"], ["y"], name="same", domain="ai.onnx"), INT64, FLOAT,
     "node 'same' (Identity): input 0 is a map of i64[x] to f32[x], which only CastMap and DictVectorizer take"),
    (node("Scaler", ["x"], ["y"], name="scale", offset=[0.0], scale=[1.0]), STRING, FLOAT,
     "node 'scale' (Scaler): input 0 is a map of string[x] to f32[x], which only"),
    (vectorizer(["a"]), INT64, FLOAT, "node 'vectorize' (DictVectorizer): the keys of input 0 are i64[x], expected strings"),
    (node("DictVectorizer", ["x"], ["y"]), INT64, FLOAT, "have 0 and 0 values, expected classes in one of them"),
    (node("CastMap", ["x"], ["y"]), STRING, FLOAT, "the keys of input 0 are string[x], expected integers"),
    (node("CastMap", ["x"], ["y"], cast_to="TO_BOOL"), INT64, FLOAT, "is 'TO_BOOL', expected one of TO_FLOAT, TO_INT64, TO_STRING"),
    (node("CastMap", ["x"], ["y"], map_form="SPARSE", max_map=0), INT64, FLOAT, "attribute 'max_map' is 0, expected 1 or more"),
    (vectorizer([1]), TensorProto.INT32, FLOAT, "input 'x' is a map with keys of the type int32, supported are int64 and string"),
    (vectorizer([1]), INT64, TensorProto.COMPLEX64, "input 'x' has the unsupported type complex64")])
def test_maps_that_are_refused(tmp_path, part, key, value, says):
    refuse(tmp_path, mapped([part], key, value, FLOAT), says)


def test_maps_elsewhere(tmp_path):
    network = mapped([vectorizer([1])], INT64, FLOAT, helper.make_value_info("x", helper.make_map_type_proto(INT64, helper.make_tensor_type_proto(FLOAT, []))))
    refuse(tmp_path, network, "the output 'x' is a map of i64[x] to f32[x], and maps are supported as inputs only")
    lists = helper.make_map_type_proto(INT64, helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, [])))
    network.graph.input[0].CopyFrom(helper.make_value_info("x", lists))
    refuse(tmp_path, network, "input 'x' is a map whose values are no tensors, which is not supported")
    for name, dim, says in ("x.keys", 2, "the input 'x.keys' has the name of a part of it"), ("z", "x", "a dimension of the input 'z' has its name"):
        network = mapped([vectorizer([1])], INT64, FLOAT, FLOAT)
        network.graph.input.append(helper.make_tensor_value_info(name, FLOAT, [dim]))
        refuse(tmp_path, network, says)
    refuse(tmp_path, model("CastMap", f32(2)), "input 0 is f32[2], expected a map")


def test_element_of_no_category(tmp_path):
    refuse_call(tmp_path, model("OneHotEncoder", i64(1, 2), cats_int64s=[1, 2], zeros=0), {"x0": i64(1, 3)},
                "an element of the input is none of the categories")


@pytest.mark.parametrize("op", ["TreeEnsembleRegressor", "LinearRegressor"])
def test_number_of_features_is_needed(tmp_path, op):
    attributes = ml.grow(1, 1, 1, "target") if op.startswith("Tree") else {"coefficients": [1.0] * 5}
    refuse(tmp_path, model(op, f32(2, 5), dims=[["n", "f"]], **attributes), "give it with --shape")


def trees(**changes):
    return ml.grow(2, 1, 1, "target") | changes


SVM = dict(classlabels_ints=[1, 2], vectors_per_class=[1, 1], support_vectors=[1.0] * 8, coefficients=[1.0, 2.0], rho=[0.0])
X = f32(3, 4)
WRONG = {
    "lengths": ("TreeEnsembleRegressor", trees(nodes_values=[1.0]), "'nodes_values' has 1 values, expected 6"),
    "weights": ("TreeEnsembleRegressor", trees(target_weights=[1.0]), "'target_weights' has 1 values, expected 4"),
    "mode": ("TreeEnsembleRegressor", trees(nodes_modes=["BRANCH_LEQ"] + ["LEAVE"] * 5), "holds 'LEAVE', expected BRANCH_LEQ"),
    "no nodes": ("TreeEnsembleRegressor", {}, "'nodes_modes' is missing or empty"),
    "child": ("TreeEnsembleRegressor", trees(nodes_truenodeids=[7, 0, 0, 1, 0, 0]), "node 0 of tree 0 goes on at node 7, which is not there"),
    "cycle": ("TreeEnsembleRegressor", trees(nodes_truenodeids=[0, 0, 0, 1, 0, 0]), "a tree must have no cycles"),
    "roots": ("TreeEnsembleRegressor", trees(nodes_truenodeids=[2, 0, 0, 1, 0, 0]), "tree 0 has more than one root"),
    "twice": ("TreeEnsembleRegressor", trees(nodes_nodeids=[0, 1, 1, 0, 1, 2]), "node 1 of tree 0 is there twice"),
    "feature": ("TreeEnsembleRegressor", trees(nodes_featureids=[4, 0, 0, 1, 0, 0]), "node 0 asks for feature 4, but the input has 4"),
    "target": ("TreeEnsembleRegressor", trees(target_ids=[0, 0, 0, 3], nodes_featureids=[0] * 6), "a vote is for target 3, but there are 1"),
    "vote": ("TreeEnsembleRegressor", trees(target_nodeids=[1, 2, 1, 9]), "a weight is of node 9 of tree 1, which is not there"),
    "targets": ("TreeEnsembleRegressor", trees(n_targets=0), "'n_targets' is 0, expected 1 to 1048576"),
    "base": ("TreeEnsembleRegressor", trees(n_targets=3, base_values=[1.0, 2.0]), "'base_values' has 2 values, expected 3"),
    "base of three": ("TreeEnsembleRegressor", trees(n_targets=3, base_values=[1.0]), "'base_values' has 1 values, expected 3"),
    "aggregate": ("TreeEnsembleRegressor", trees(aggregate_function="MEAN"), "is 'MEAN', expected one of SUM, AVERAGE, MIN, MAX"),
    "labels": ("TreeEnsembleClassifier", {}, "expected classes in one of them"),
    "placed child": ("TreeEnsemble", PLACED | parts(np.float32) | {"nodes_truenodeids": [5, 0, 2]}, "node 0 goes on at node 5, and there are 3"),
    "placed cycle": ("TreeEnsemble", PLACED | parts(np.float32) | {"nodes_truenodeids": [0, 0, 2]}, "node 0 is below itself"),
    "two trees": ("TreeEnsemble", PLACED | parts(np.float32) | {"tree_roots": [0, 1, 2]}, "node 1 belongs to two trees"),
    "placed root": ("TreeEnsemble", PLACED | parts(np.float32) | {"tree_roots": [3]}, "'tree_roots' holds 3, and there are 3 nodes"),
    "members": ("TreeEnsemble", PLACED | parts(np.float32) | {"nodes_modes": ml.tensor("m", [6, 3, 4], np.uint8)}, "'membership_values' has no values for node 0"),
    "more members": ("TreeEnsemble", PLACED | parts(np.float32) | {"membership_values": ml.tensor("v", [1], np.float32)}, "has more sets than there are nodes"),
    "placed mode": ("TreeEnsemble", PLACED | parts(np.float32) | {"nodes_modes": ml.tensor("m", [0, 3, 7], np.uint8)}, "'nodes_modes' holds 7, expected 0 to 6"),
    "placed transform": ("TreeEnsemble", PLACED | parts(np.float32) | {"post_transform": 5}, "'post_transform' is 5, expected 0 to 4"),
    "placed aggregate": ("TreeEnsemble", PLACED | parts(np.float32) | {"aggregate_function": 4}, "'aggregate_function' is 4, expected 0 to 3"),
    "coefficients": ("LinearRegressor", {"coefficients": [1.0] * 3}, "'coefficients' has 3 values, expected 4"),
    "linear targets": ("LinearRegressor", {"coefficients": [1.0] * 4, "targets": 0}, "'targets' is 0, expected 1 or more"),
    "intercepts": ("LinearRegressor", {"coefficients": [1.0] * 4, "intercepts": [1.0, 2.0]}, "'intercepts' has 2 values, expected 1"),
    "transform": ("LinearRegressor", {"coefficients": [1.0] * 4, "post_transform": "TANH"}, "is 'TANH', expected one of NONE, LOGISTIC"),
    "targets of another error": ("LinearRegressor", {"coefficients": [1.0] * 4, "targets": -1, "post_transform": "TANH"}, "is 'TANH'"),
    "vectors": ("SVMClassifier", SVM | {"support_vectors": [1.0] * 7}, "'support_vectors' has 7 values, expected 8"),
    "per class": ("SVMClassifier", SVM | {"vectors_per_class": [1, -1]}, "'vectors_per_class' holds numbers that are no counts"),
    "rho": ("SVMClassifier", SVM | {"rho": [0.0, 1.0]}, "'rho' has 2 values, expected 1"),
    "no rho": ("SVMRegressor", {"coefficients": [1.0] * 4}, "have 0 and 4 values, expected some"),
    "probabilities": ("SVMClassifier", SVM | {"prob_a": [1.0]}, "'prob_b' has 0 values, expected 1"),
    "kernel": ("SVMClassifier", SVM | {"kernel_type": "RBF"}, "'kernel_params' is missing"),
    "one class": ("SVMClassifier", SVM | {"classlabels_ints": [1], "vectors_per_class": [2]}, "has one class, expected two or more"),
    "keys": ("LabelEncoder", {"keys_floats": [1.0], "values_int64s": [1, 2], "version": 2}, "has 1 keys and 2 values"),
    "key type": ("LabelEncoder", {"keys_int64s": [1], "values_int64s": [1], "version": 2}, "input 0 is f32[3, 4], expected elements of i64[1] like the keys"),
    "no keys": ("LabelEncoder", {"values_int64s": [1], "version": 2}, "has 0 of the attributes 'keys_strings'"),
    "default": ("LabelEncoder", {"keys_floats": [1.0], "values_int64s": [1], "default_tensor": ml.tensor("d", [1.0], np.float32), "version": 4},
                "'default_tensor' must hold one element of the type of the values"),
    "categories": ("CategoryMapper", {"cats_strings": ["a"], "cats_int64s": [1, 2]}, "have 1 and 2 values"),
    "strings": ("OneHotEncoder", {"cats_strings": ["a"]}, "input 0 is f32[3, 4], expected strings like the categories"),
    "imputed": ("Imputer", {"imputed_value_floats": [1.0, 2.0]}, "has 2 values, expected 1 or the 4"),
    "not imputed": ("Imputer", {}, "attribute 'imputed_value_floats' is missing"),
    "norm": ("Normalizer", {"norm": "L3"}, "is 'L3', expected one of MAX, L1, L2"),
    "sizes": ("FeatureVectorizer", {"inputdimensions": [4, 2]}, "'inputdimensions' has 2 values for 1 inputs"),
    "scale": ("Scaler", {"offset": [1.0], "scale": [1.0, 2.0]}, "have 1 and 2 values"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_attributes(tmp_path, name):
    op, attributes, says = WRONG[name]
    refuse(tmp_path, model(op, X, **attributes), says)
