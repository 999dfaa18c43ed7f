"""scikit-learn through skl2onnx, XGBoost and LightGBM through onnxmltools: models of a table of numbers, of ai.onnx.ml."""
import functools

from . import TableCase

FEATURES = 5
# name -> module, class, options, the classes to tell apart (0: a regression, None: nothing to learn from)
SCIKIT = {
    "standard_scaler": ("preprocessing", "StandardScaler", {}, None),
    "min_max_scaler": ("preprocessing", "MinMaxScaler", {}, None),
    "normalizer": ("preprocessing", "Normalizer", {}, None),
    "binarizer": ("preprocessing", "Binarizer", {}, None),
    "polynomial_features": ("preprocessing", "PolynomialFeatures", {}, None),
    "pca": ("decomposition", "PCA", {"n_components": 3}, None),
    "kmeans": ("cluster", "KMeans", {"n_clusters": 3, "random_state": 0}, None),
    "linear_regression": ("linear_model", "LinearRegression", {}, 0),
    "logistic_regression": ("linear_model", "LogisticRegression", {}, 2),
    "logistic_regression_3": ("linear_model", "LogisticRegression", {}, 3),
    "svc": ("svm", "SVC", {"probability": False}, 3),
    "svr": ("svm", "SVR", {}, 0),
    "linear_svc": ("svm", "LinearSVC", {}, 3),
    "nearest_neighbours": ("neighbors", "KNeighborsClassifier", {"n_neighbors": 3}, 3),
    "gaussian_nb": ("naive_bayes", "GaussianNB", {}, 3),
    "mlp": ("neural_network", "MLPClassifier", {"max_iter": 50, "random_state": 0}, 3),
    "decision_tree": ("tree", "DecisionTreeClassifier", {"random_state": 0}, 3),
    "decision_tree_regression": ("tree", "DecisionTreeRegressor", {"random_state": 0}, 0),
    "random_forest": ("ensemble", "RandomForestClassifier", {"n_estimators": 10, "random_state": 0}, 3),
    "random_forest_regression": ("ensemble", "RandomForestRegressor", {"n_estimators": 10, "random_state": 0}, 0),
    "gradient_boosting": ("ensemble", "GradientBoostingClassifier", {"n_estimators": 10, "random_state": 0}, 2),
    "hist_gradient_boosting": ("ensemble", "HistGradientBoostingRegressor", {"max_iter": 10, "random_state": 0}, 0),
    "isolation_forest": ("ensemble", "IsolationForest", {"n_estimators": 10, "random_state": 0}, None),
}
BOOSTERS = {
    "xgboost_classifier": ("xgboost", "XGBClassifier", 3), "xgboost_binary": ("xgboost", "XGBClassifier", 2),
    "xgboost_regressor": ("xgboost", "XGBRegressor", 0),
    "lightgbm_classifier": ("lightgbm", "LGBMClassifier", 3), "lightgbm_binary": ("lightgbm", "LGBMClassifier", 2),
    "lightgbm_regressor": ("lightgbm", "LGBMRegressor", 0),
}


def data(classes):
    """Rows of features, and what to learn of them: a class, a number or nothing."""
    import numpy as np
    random = np.random.default_rng(3)
    rows = random.standard_normal((200, FEATURES)).astype(np.float32)
    value = rows[:, 0] - 2 * rows[:, 1] + rows[:, 2] * rows[:, 3]
    if classes is None:
        return rows, None
    return rows, value if classes == 0 else np.digitize(value, np.quantile(value, np.arange(1, classes) / classes))


def scikit(name):
    import importlib

    import skl2onnx
    from skl2onnx.common.data_types import FloatTensorType
    module, kind, options, classes = SCIKIT[name]
    rows, target = data(classes)
    model = getattr(importlib.import_module(f"sklearn.{module}"), kind)(**options)
    model.fit(rows, target)
    zipmap = {"options": {id(model): {"zipmap": False}}} if classes and hasattr(model, "predict_proba") else {}
    return skl2onnx.convert_sklearn(model, initial_types=[("rows", FloatTensorType([None, FEATURES]))],
                                    target_opset={"": 18, "ai.onnx.ml": 3}, **zipmap), rows[:20]


def booster(name):
    import importlib

    import onnxmltools
    from onnxmltools.convert.common.data_types import FloatTensorType
    package, kind, classes = BOOSTERS[name]
    rows, target = data(classes)
    model = getattr(importlib.import_module(package), kind)(n_estimators=10)
    model.fit(rows, target)
    convert = getattr(onnxmltools, f"convert_{package}")
    options = {"zipmap": False} if package == "lightgbm" else {}
    return convert(model, initial_types=[("rows", FloatTensorType([None, FEATURES]))], target_opset=15, **options), rows[:20]


CASES = [*(TableCase(name, functools.partial(scikit, name)) for name in SCIKIT),
         *(TableCase(name, functools.partial(booster, name)) for name in BOOSTERS)]
