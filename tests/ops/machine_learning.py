"""Operations of ai.onnx.ml."""
import numpy as np
from cases import Family, f32, i64, ints
from onnx import helper, numpy_helper

family = Family()
TYPES = "float32", "float64", "int64", "int32"
WORDS = np.array(["red", "green", "blue", "", "größer", "unknown"])


def add(op, *inputs, **options):
    family.add("ai.onnx.ml::" + op, *inputs, **options)


for dtype in TYPES:
    for rows in 1, 7:
        for tag, offset, scale in ("each", [0.5, -1.0, 2.0], [2.0, 0.25, -3.0]), ("one", [0.5], [2.0]):
            add("Scaler", (f32(rows, 3) * 5).astype(dtype), name=f"{dtype}_{rows}_{tag}", offset=offset, scale=scale)
x = f32(5, 3)
x[1, 2] = np.nan
add("Scaler", x, name="nan", offset=[0.1, 0.2, 0.3], scale=[1.5, 2.5, 3.5])

# Features one by one.
for dtype in TYPES:
    x = (f32(4, 3) * 5).astype(dtype)
    for places in i64(2, 0), i64(1), i64(0, 0, 1, 2).reshape(2, 2):
        add("ArrayFeatureExtractor", x, places, name=f"{dtype}_{places.size}")
    for norm in "MAX", "L1", "L2":
        add("Normalizer", x, norm=norm, name=f"{dtype}_{norm}")
add("ArrayFeatureExtractor", f32(5), i64(4, 1), name="row")
add("ArrayFeatureExtractor", f32(2, 3, 4), i64(3, 1), name="3d")
add("ArrayFeatureExtractor", WORDS[ints(3, 4, low=0, high=6)], i64(3, 1), name="words")
add("Normalizer", f32(4), norm="L2", name="row")
add("Normalizer", np.zeros((2, 3), np.float32), norm="L1", name="zeros")
add("Normalizer", f32(4, 3), norm="MAX", name="batch", dims=[["n", 3]], also=[[f32(1, 3)], [f32(0, 3)]])
add("Binarizer", np.array([[0.5, 0.4, np.nan], [np.inf, -np.inf, 0.6]], np.float32), threshold=0.5)
add("FeatureVectorizer", f32(3, 2), f32(3, 4), inputdimensions=[2, 4])
add("FeatureVectorizer", ints(3, 2), ints(3, 1), inputdimensions=[2, 1], name="integers")
missing = f32(4, 3)
missing[ints(4, 3) > 3] = np.nan
add("Imputer", missing, imputed_value_floats=[1.0, 2.0, 3.0], replaced_value_float=float("nan"), name="nan")
add("Imputer", missing, imputed_value_floats=[7.5], replaced_value_float=float("nan"), name="one")
add("Imputer", ints(5, 3, low=0, high=3), imputed_value_int64s=[10, 20, 30], replaced_value_int64=2, name="integers")
add("Imputer", np.array([[0.0, -0.0, 3.0]], np.float32), imputed_value_floats=[9.0], replaced_value_float=0.0, name="zero")

# Tables.
MANY = 100
KEYS = {"int64s": list(range(-50, 150, 2)), "strings": [f"key {i * 7 % 100}" for i in range(MANY)],
        "floats": [float(i) / 4 for i in range(MANY - 1)] + [float("nan")]}
GIVEN = {"int64s": ints(4, 30, low=-60, high=160), "strings": np.array([f"key {i}" for i in range(0, 130)]),
         "floats": np.array([0.25, -0.0, 3.5, np.nan, np.inf, -np.inf, 24.5, 24.6, 1e9], np.float32)}
VALUES = {"int64s": [3 * i for i in range(MANY)], "strings": [f"value {i}" for i in range(MANY)],
          "floats": [i / 8 for i in range(MANY)]}
for kind, keys in KEYS.items():
    for values in VALUES:
        if (kind, values) in (("int64s", "int64s"), ("floats", "floats")) or kind != values:
            for count in 1, 5, MANY:
                part = slice(MANY - count, MANY)
                add("LabelEncoder", GIVEN[kind], name=f"{kind}_{values}_{count}", version=2,
                    **{f"keys_{kind}": keys[part], f"values_{values}": VALUES[values][part]})
add("LabelEncoder", WORDS, keys_strings=["red", "", "blue"], values_int64s=[1, 2, 3], default_int64=42, version=2, name="default")
add("LabelEncoder", i64(1, 2, 3), keys_int64s=[1, 2], values_strings=["one", "two"], default_string="größer", version=2, name="text")
add("LabelEncoder", WORDS, classes_strings=["red", "green", "blue"], name="old")
add("LabelEncoder", i64(0, 1, 2, 3, -1), classes_strings=["red", "green", "blue"], default_string="none", name="old_back")


def tensor(name, values, dtype):
    return numpy_helper.from_array(np.array(values, dtype), name)


for dtype in "float64", "int64", "float32":
    add("LabelEncoder", np.array([1, 2, 3, 4, 5], dtype), version=4, name=f"tensors_{dtype}", keys_tensor=tensor("k", [3, 1, 5], dtype),
        values_tensor=tensor("v", [30, 10, 50], dtype), default_tensor=tensor("d", [-7], dtype))
add("LabelEncoder", WORDS, version=4, name="short", keys_strings=["red", "blue"], values_tensor=tensor("v", [5, 6], np.int16),
    default_tensor=tensor("d", [-7], np.int16))
add("CategoryMapper", WORDS, cats_strings=["red", "green"], cats_int64s=[5, 7], default_int64=-3)
add("CategoryMapper", ints(3, 4, low=4, high=9), cats_strings=["red", "green"], cats_int64s=[5, 7], default_string="no", name="back")
for dtype in TYPES:
    add("OneHotEncoder", np.array([[1, 2], [3, 9]], dtype), cats_int64s=[1, 2, 3], name=dtype)
add("OneHotEncoder", WORDS.reshape(2, 3), cats_strings=["blue", "red", ""], name="words")
add("OneHotEncoder", i64(2, 1), cats_int64s=[1, 2], zeros=0, name="strict")
add("OneHotEncoder", i64(2, 1), cats_int64s=[1, 2], name="batch", dims=[["n"]], also=[[i64()], [i64(2, 2, 8)]])

# Linear models and support vector machines.
TRANSFORMS = "NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT"
LABELS = [10, 20, 30], ["a", "b", "ç"]


def classes(count, kind, name="classlabels"):
    return {f"{name}_{'ints' if kind == 0 else 'strings'}": LABELS[kind][:count]}


def numbers(*shape, low=-1.0, high=1.0):
    return [float(v) for v in f32(*shape, low=low, high=high).ravel()]


for dtype in TYPES:
    add("LinearClassifier", (f32(5, 4) * 3).astype(dtype), outputs=2, coefficients=numbers(3, 4), intercepts=numbers(3), name=dtype, **classes(3, 0))
for transform in TRANSFORMS:
    low = 0.05 if transform == "PROBIT" else -1
    add("LinearClassifier", f32(6, 4, low=0, high=0.3), outputs=2, coefficients=numbers(3, 4, low=low), intercepts=[0.01] * 3,
        post_transform=transform, name=transform, tolerance=1e-4, **classes(3, 1))
    if transform in ("NONE", "LOGISTIC"):
        add("LinearClassifier", f32(6, 4), outputs=2, coefficients=numbers(4), intercepts=[0.25], post_transform=transform,
            name=f"{transform}_one", **classes(2, 1))
    for targets in 1, 3:
        if targets > 1 or transform == "NONE":
            add("LinearRegressor", f32(6, 4, low=0, high=0.3), coefficients=numbers(targets, 4, low=low), intercepts=[0.01] * targets,
                targets=targets, post_transform=transform, name=f"{transform}_{targets}", tolerance=1e-4)
add("LinearRegressor", f32(4), coefficients=numbers(4), name="row")
add("LinearRegressor", f32(3, 4), coefficients=numbers(4), intercepts=[0.5], name="batch", dims=[["n", 4]], also=[[f32(1, 4)], [f32(0, 4)]])

KERNELS = {"LINEAR": [0.0, 0.0, 0.0], "POLY": [0.3, 1.5, 3.0], "RBF": [0.4, 0.0, 0.0], "SIGMOID": [0.2, 0.3, 0.0]}
for kernel, parameters in KERNELS.items():
    common = {"kernel_type": kernel, "kernel_params": parameters}
    add("SVMRegressor", f32(6, 4), n_supports=5, support_vectors=numbers(5, 4), coefficients=numbers(5), rho=[0.2], name=kernel, **common)
    add("SVMRegressor", f32(6, 4), n_supports=5, support_vectors=numbers(5, 4), coefficients=numbers(5), rho=[0.02], one_class=1,
        name=f"{kernel}_one_class", **common)
    for count in 2, 3:
        pairs = count * (count - 1) // 2
        machine = {"support_vectors": numbers(2 * count + 1, 4), "coefficients": numbers(count - 1, 2 * count + 1),
                   "rho": numbers(pairs), "vectors_per_class": [2] * (count - 1) + [3], **common}
        for kind in 0, 1:
            add("SVMClassifier", f32(7, 4), outputs=2, name=f"{kernel}_{count}_{kind}", **classes(count, kind), **machine)
        add("SVMClassifier", f32(7, 4), outputs=2, prob_a=numbers(pairs, low=-3.0, high=-1.0), prob_b=numbers(pairs),
            name=f"{kernel}_{count}_probabilities", **classes(count, 0), **machine)
add("SVMRegressor", f32(5, 4), coefficients=numbers(4), rho=[0.1], n_supports=0, name="linear")


# Trees.
MODES = "BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"


def grow(trees, depth, targets, prefix, modes=MODES[:1], missing=False, low=-1.0, votes=None, steps=4):
    """Attributes of complete trees; `votes(tree)`: the targets that its leaves vote for (all without it)."""
    rows = {name: [] for name in ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids", "missing_value_tracks_true")}
    leaves = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    for tree in range(trees):
        for number in range(2 ** (depth + 1) - 1):
            isLeaf = number >= 2 ** depth - 1
            pick = int(ints(low=0, high=1000))
            row = (tree, number, 0 if isLeaf else pick % 5, "LEAF" if isLeaf else modes[pick % len(modes)],
                   0.0 if isLeaf else float(int(ints(low=-steps, high=steps + 1))) / 2, 0 if isLeaf else 2 * number + 1,
                   0 if isLeaf else 2 * number + 2, int(missing and pick % 3 == 0))
            for values, item in zip(rows.values(), row):
                values.append(item)
            if isLeaf:
                for target in votes(tree) if votes else range(targets):
                    for values, item in zip(leaves.values(), (tree, number, target, numbers(1, low=low)[0])):
                        values.append(item)
    if not missing:
        del rows["missing_value_tracks_true"]
    return {f"nodes_{k}": v for k, v in rows.items()} | {f"{prefix}_{k}": v for k, v in leaves.items()}


def features(*shape, dtype=np.float32, missing=False):
    """Many of them equal to thresholds."""
    x = (ints(*shape, low=-6, high=7) / 2).astype(dtype)
    if missing:
        x[ints(*shape) > 6] = np.nan
        x[0, 0], x[-1, -1] = np.inf, -np.inf
    return x


for dtype in TYPES:
    if dtype not in ("int64", "int32"):  # ONNX Runtime has no regressors of integers
        add("TreeEnsembleRegressor", features(9, 5, dtype=dtype), n_targets=1, name=dtype, **grow(4, 3, 1, "target"))
    add("TreeEnsembleClassifier", features(9, 5, dtype=dtype), outputs=2, classlabels_int64s=[5, 6, 7], name=dtype, **grow(4, 3, 3, "class"))
for mode in MODES:
    add("TreeEnsembleRegressor", features(20, 5, missing=True), n_targets=1, name=mode, **grow(4, 3, 1, "target", [mode]))
    add("TreeEnsembleRegressor", features(20, 5, missing=True), n_targets=1, name=f"{mode}_missing", **grow(4, 3, 1, "target", [mode], True))
add("TreeEnsembleRegressor", features(30, 5, missing=True), n_targets=2, name="modes", **grow(5, 4, 2, "target", MODES, True))
for aggregate in "SUM", "AVERAGE", "MIN", "MAX":
    for targets in 1, 3:
        add("TreeEnsembleRegressor", features(9, 5), n_targets=targets, aggregate_function=aggregate, name=f"{aggregate}_{targets}",
            base_values=numbers(targets), **grow(6, 2, targets, "target"))
    add("TreeEnsembleRegressor", features(9, 5), n_targets=3, aggregate_function=aggregate, name=f"{aggregate}_own",
        **grow(6, 2, 3, "target", votes=lambda tree: [tree % 3]))
for transform in TRANSFORMS:
    low = 0.02 if transform == "PROBIT" else -1
    add("TreeEnsembleRegressor", features(9, 5), n_targets=3, post_transform=transform, name=transform, aggregate_function="AVERAGE",
        tolerance=1e-4, **grow(3, 2, 3, "target", low=low))
    add("TreeEnsembleClassifier", features(9, 5), outputs=2, classlabels_strings=["a", "b", "ç"], post_transform=transform, name=transform,
        tolerance=1e-4, **grow(1, 2, 3, "class", low=low))
    if transform != "PROBIT":
        for low in -1, 0:
            for base in [], [0.125]:
                add("TreeEnsembleClassifier", features(9, 5), outputs=2, classlabels_strings=["no", "yes"], post_transform=transform,
                    name=f"{transform}_binary_{low}_{len(base)}", **({"base_values": base} if base else {}),
                    **grow(3, 3, 1, "class", low=low))
add("TreeEnsembleClassifier", features(9, 5), outputs=2, classlabels_int64s=[4, 9, 2], base_values=[0.5, -0.25, 0.1], name="base", **grow(4, 2, 3, "class"))
add("TreeEnsembleClassifier", features(9, 5), outputs=2, classlabels_int64s=[4, 9, 2], name="own", **grow(6, 3, 3, "class", votes=lambda tree: [tree % 3]))
add("TreeEnsembleRegressor", features(5), n_targets=1, name="row", **grow(2, 2, 1, "target"))
add("TreeEnsembleRegressor", features(7, 5), n_targets=1, name="batch", dims=[["n", 5]], also=[[features(1, 5)], [features(300, 5)]], **grow(9, 5, 1, "target"))
add("TreeEnsembleRegressor", features(7, 5), n_targets=1, name="leaf", **grow(2, 0, 1, "target"))


def doubles(attributes, prefix):
    for name in "nodes_values", f"{prefix}_weights":
        attributes[f"{name}_as_tensor"] = tensor(name, attributes.pop(name), np.float64)
    return attributes


add("TreeEnsembleRegressor", features(9, 5, dtype=np.float64), n_targets=2, name="doubles", version=3,
    base_values_as_tensor=tensor("b", [0.5, 1.5], np.float64), **doubles(grow(4, 3, 2, "target"), "target"))
add("TreeEnsembleClassifier", features(9, 5, dtype=np.float64), outputs=2, classlabels_int64s=[5, 6, 7], name="doubles", version=3,
    **doubles(grow(4, 3, 3, "class"), "class"))

placed = dict(n_targets=2, tree_roots=[0, 2], nodes_featureids=[0, 1, 2], nodes_truenodeids=[1, 0, 2], nodes_falsenodeids=[2, 1, 3],
              nodes_trueleafs=[0, 1, 1], nodes_falseleafs=[1, 1, 1], leaf_targetids=[0, 1, 0, 1], version=5)
for dtype in np.float32, np.float64:
    parts = {"nodes_splits": tensor("s", [0.5, -1, 0], dtype), "leaf_weights": tensor("w", [1.5, 2.5, -3.5, 4.5], dtype)}
    for aggregate in 0, 1, 2, 3:
        add("TreeEnsemble", features(20, 3, dtype=dtype), name=f"{np.dtype(dtype)}_{aggregate}", aggregate_function=aggregate,
            nodes_modes=tensor("m", [0, 3, 4], np.uint8), **placed, **parts)
    for transform in 0, 3:  # ONNX Runtime takes 1 for 2 and 2 for 1
        add("TreeEnsemble", features(20, 3, dtype=dtype), name=f"{np.dtype(dtype)}_transform_{transform}", post_transform=transform,
            nodes_modes=tensor("m", [0, 3, 4], np.uint8), **placed, **parts)
