"""Operations of ai.onnx.ml: what ONNX Runtime does not do, or not by the standard; maps; models and calls that are wrong."""
import json

import machine_learning as ml
import numpy as np
import onnx
import pytest
from cases import Case, f32, i64
from command import compile_model, succeed
from graphs import FLOAT, INT64, STRING, check, node, refuse, refuse_call
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


@pytest.mark.parametrize("op", ["CastMap", "DictVectorizer"])
def test_maps_are_refused(tmp_path, op):
    refuse(tmp_path, model(op, f32(2)), "its input is a map, and maps are not supported")


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
