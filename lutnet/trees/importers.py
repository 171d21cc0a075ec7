"""Ensembles that other libraries have trained: XGBoost, LightGBM, scikit-learn.

Models are read through their public dumps, never unpickled. A split sends a sample right where ``x >= threshold``;
libraries that compare with ``<=`` get the next representable threshold, which decides alike.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError
from lutnet.trees.ensemble import LEAF, FloatEnsemble, Tree

__all__ = ["from_lightgbm", "from_sklearn", "from_xgboost"]

BINARY, MULTI = ("binary:logistic", "binary:logitraw"), ("multi:softprob", "multi:softmax")


def from_xgboost(
    model: Any, feature_names: Sequence[str] | None = None, class_names: Sequence[str] | None = None
) -> FloatEnsemble:
    """The trees of an XGBoost booster or classifier.

    Args:
        model: ``xgboost.Booster`` or ``xgboost.XGBClassifier``, trained with the booster ``gbtree``.
        feature_names: Names of the columns in order; those of the model, else ``x0``, ``x1`` ... when left out.
        class_names: Names of the classes in order; numbers when left out.

    Raises:
        UserError: The model is of another kind, has categorical or missing-value splits, or its features are others.
    """
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    learner = json.loads(bytes(booster.save_raw("json")).decode())["learner"]
    objective = learner["objective"]["name"]
    if objective not in BINARY + MULTI:
        raise UserError(
            f"the objective '{objective}' of the XGBoost model is no classification; train with one of "
            f"{', '.join(BINARY + MULTI)}"
        )
    grown = learner["gradient_booster"]
    if grown["name"] != "gbtree":
        raise UserError(f"the XGBoost booster '{grown['name']}' is not supported; train with booster = 'gbtree'")
    sizes = learner["learner_model_param"]
    n_features = int(sizes["num_feature"])
    n_outputs = max(1, int(sizes["num_class"]))
    names = _feature_names(feature_names, learner.get("feature_names"), n_features)
    trees = tuple(_xgboost_tree(entry, names) for entry in grown["model"]["trees"])
    if any(int(entry["tree_param"].get("size_leaf_vector", 1)) > 1 for entry in grown["model"]["trees"]):
        raise UserError(
            "XGBoost trees with vectors as leaves are not supported; train with multi_strategy = 'one_output_per_tree'"
        )
    base = np.asarray(_numbers(sizes["base_score"]), dtype=np.float64)
    if objective == "binary:logistic":
        base = np.log(base / (1.0 - base))
    base = np.broadcast_to(base, (n_outputs,))
    outputs = tuple(int(i) for i in grown["model"]["tree_info"])
    return FloatEnsemble(trees, outputs, tuple(base.tolist()), names, _class_names(class_names, max(2, n_outputs)))


def from_lightgbm(
    model: Any, feature_names: Sequence[str] | None = None, class_names: Sequence[str] | None = None
) -> FloatEnsemble:
    """The trees of a LightGBM booster or classifier; arguments and errors as for :func:`from_xgboost`."""
    booster = getattr(model, "booster_", model)
    dump = booster.dump_model()
    objective = dump.get("objective", "none").split(" ")[0]
    if objective not in ("binary", "multiclass", "softmax"):
        raise UserError(
            f"the objective '{objective}' of the LightGBM model is no classification; train with binary or multiclass"
        )
    if dump.get("average_output"):
        raise UserError("LightGBM random forests are not supported; train with boosting = 'gbdt'")
    n_outputs = int(dump["num_tree_per_iteration"])
    names = _feature_names(feature_names, dump["feature_names"], len(dump["feature_names"]))
    trees = tuple(_lightgbm_tree(entry["tree_structure"], names) for entry in dump["tree_info"])
    outputs = tuple(i % n_outputs for i in range(len(trees)))
    return FloatEnsemble(trees, outputs, (0.0,) * n_outputs, names, _class_names(class_names, max(2, n_outputs)))


def from_sklearn(
    model: Any, feature_names: Sequence[str] | None = None, class_names: Sequence[str] | None = None
) -> FloatEnsemble:
    """The trees of a scikit-learn classifier: gradient boosting (both kinds), random forest, extra trees, decision tree.

    A forest votes by mean probabilities; with two classes its margin is the mean probability of class 1 minus one half.
    Arguments and errors as for :func:`from_xgboost`.
    """
    kind = type(model).__name__
    if not hasattr(model, "classes_"):
        raise UserError(f"the scikit-learn model {kind} is no trained classifier; call fit first, or use a classifier")
    n_classes = len(model.classes_)
    names = _feature_names(feature_names, getattr(model, "feature_names_in_", None), int(model.n_features_in_))
    classes = _class_names(class_names, n_classes)
    n_outputs = 1 if n_classes == 2 else n_classes
    if kind == "HistGradientBoostingClassifier":
        grown = [(_hist_tree(tree.nodes, names), k) for stage in model._predictors for k, tree in enumerate(stage)]
        base = np.asarray(model._baseline_prediction, dtype=np.float64).reshape(-1)
    elif kind == "GradientBoostingClassifier":
        rate = float(model.learning_rate)
        grown = [
            (_sklearn_tree(tree.tree_, rate * tree.tree_.value[:, 0, 0]), k)
            for stage in model.estimators_
            for k, tree in enumerate(stage)
        ]
        if model.init_ != "zero" and type(model.init_).__name__ != "DummyClassifier":
            raise UserError("gradient boosting that begins with another model is not supported; leave init out")
        base = np.asarray(model._raw_predict_init(np.zeros((1, len(names)))), dtype=np.float64).reshape(-1)
    elif kind in ("RandomForestClassifier", "ExtraTreesClassifier", "DecisionTreeClassifier"):
        members = getattr(model, "estimators_", [model])
        grown = [entry for tree in members for entry in _voting_trees(tree.tree_, len(members), n_classes)]
        base = np.full(n_outputs, -0.5 if n_classes == 2 else 0.0)
    else:
        raise UserError(
            f"the scikit-learn model {kind} is not supported; use HistGradientBoostingClassifier, "
            "GradientBoostingClassifier, RandomForestClassifier, ExtraTreesClassifier or DecisionTreeClassifier"
        )
    trees, outputs = tuple(tree for tree, _ in grown), tuple(output for _, output in grown)
    return FloatEnsemble(trees, outputs, tuple(np.broadcast_to(base, (n_outputs,)).tolist()), names, classes)


# -- one tree --------------------------------------------------------------------------------------------------------


def _xgboost_tree(entry: dict[str, Any], names: tuple[str, ...]) -> Tree:
    left, right = (np.asarray(entry[key], dtype=np.int64) for key in ("left_children", "right_children"))
    leaf = left < 0
    feature = np.where(leaf, LEAF, np.asarray(entry["split_indices"], dtype=np.int64))
    condition = np.asarray(entry["split_conditions"], dtype=np.float32).astype(np.float64)
    kinds = np.asarray(entry.get("split_type", []), dtype=np.int64)
    if entry.get("categories_nodes") or np.any(kinds[: len(leaf)] != 0):
        row = int(np.flatnonzero(kinds != 0)[0]) if np.any(kinds != 0) else int(entry["categories_nodes"][0])
        raise _categorical(names[int(feature[row])])
    bad = ~leaf & ~np.isfinite(condition)
    if np.any(bad):
        raise _missing(names[int(feature[np.flatnonzero(bad)[0]])])
    return _ordered(feature, np.where(leaf, 0.0, condition), left, right, np.where(leaf, condition, 0.0))


def _lightgbm_tree(root: dict[str, Any], names: tuple[str, ...]) -> Tree:
    rows: list[list[float]] = []

    def add(node: dict[str, Any]) -> int:
        row = len(rows)
        if "split_feature" not in node:
            rows.append([LEAF, 0.0, 0, 0, float(node["leaf_value"])])
            return row
        name = names[int(node["split_feature"])]
        if node["decision_type"] != "<=":
            raise _categorical(name)
        if node.get("missing_type", "None") != "None":
            raise _missing(name)
        rows.append([float(node["split_feature"]), float(np.nextafter(node["threshold"], np.inf)), 0, 0, 0.0])
        rows[row][2] = add(node["left_child"])
        rows[row][3] = add(node["right_child"])
        return row

    add(root)
    table = np.asarray(rows, dtype=np.float64)
    whole = table[:, [0, 2, 3]].astype(np.int64)
    return Tree(whole[:, 0], table[:, 1], whole[:, 1], whole[:, 2], table[:, 4])


def _hist_tree(nodes: npt.NDArray[Any], names: tuple[str, ...]) -> Tree:
    leaf = nodes["is_leaf"].astype(bool)
    feature = np.where(leaf, LEAF, nodes["feature_idx"].astype(np.int64))
    categorical = ~leaf & nodes["is_categorical"].astype(bool)
    if np.any(categorical):
        raise _categorical(names[int(feature[np.flatnonzero(categorical)[0]])])
    threshold = nodes["num_threshold"].astype(np.float64)
    if np.any(~leaf & ~np.isfinite(threshold)):
        raise _missing(names[int(feature[np.flatnonzero(~leaf & ~np.isfinite(threshold))[0]])])
    threshold = np.where(leaf, 0.0, np.nextafter(threshold, np.inf))
    left, right = nodes["left"].astype(np.int64), nodes["right"].astype(np.int64)
    return _ordered(feature, threshold, left, right, np.where(leaf, nodes["value"], 0.0))


def _sklearn_tree(tree: Any, value: npt.NDArray[np.float64]) -> Tree:
    left, right = (np.asarray(a, dtype=np.int64) for a in (tree.children_left, tree.children_right))
    leaf = left < 0
    feature = np.where(leaf, LEAF, np.asarray(tree.feature, dtype=np.int64))
    threshold = np.where(leaf, 0.0, np.nextafter(np.asarray(tree.threshold, dtype=np.float64), np.inf))
    return _ordered(feature, threshold, left, right, np.where(leaf, value, 0.0))


def _voting_trees(tree: Any, n_members: int, n_classes: int) -> list[tuple[Tree, int]]:
    share = np.asarray(tree.value[:, 0, :], dtype=np.float64)
    share = share / share.sum(axis=1, keepdims=True) / n_members
    if n_classes == 2:
        return [(_sklearn_tree(tree, share[:, 1]), 0)]
    return [(_sklearn_tree(tree, share[:, k]), k) for k in range(n_classes)]


def _ordered(
    feature: npt.NDArray[np.int64],
    threshold: npt.NDArray[np.float64],
    left: npt.NDArray[np.int64],
    right: npt.NDArray[np.int64],
    value: npt.NDArray[np.float64],
) -> Tree:
    """The reachable nodes in an order in which children stand behind their parents."""
    order = [0]
    for row in order:
        if feature[row] != LEAF:
            order += [int(left[row]), int(right[row])]
        if len(order) > len(feature):
            raise UserError("a tree of the model has a loop; the model is damaged")
    place = np.zeros(len(feature), dtype=np.int64)
    place[order] = np.arange(len(order))
    inner = feature[order] != LEAF
    children = [np.where(inner, place[np.where(inner, side[order], 0)], 0) for side in (left, right)]
    return Tree(feature[order], threshold[order], children[0], children[1], value[order])


# -- names and errors ------------------------------------------------------------------------------------------------


def _feature_names(given: Sequence[str] | None, own: Sequence[str] | None, n_features: int) -> tuple[str, ...]:
    known = tuple(str(name) for name in own) if own is not None and len(own) else None
    if given is None:
        return known if known is not None else tuple(f"x{i}" for i in range(n_features))
    names = tuple(given)
    if len(names) != n_features:
        raise UserError(
            f"the model was trained on {n_features} features, got {len(names)} names; give all of them in order"
        )
    generic = known is not None and all(name in (f"Column_{i}", f"f{i}", f"x{i}") for i, name in enumerate(known))
    if known is not None and not generic and names != known:
        wrong = next(i for i in range(n_features) if names[i] != known[i])
        raise UserError(
            f"feature {wrong} is '{names[wrong]}' here and '{known[wrong]}' in the model; give the features in the order in "
            "which the model was trained"
        )
    return names


def _class_names(given: Sequence[str] | None, n_classes: int) -> tuple[str, ...]:
    names = tuple(given) if given is not None else tuple(str(i) for i in range(n_classes))
    if len(names) != n_classes:
        raise UserError(f"the model tells {n_classes} classes apart, got {len(names)} class names")
    return names


def _categorical(name: str) -> UserError:
    return UserError(
        f"a tree splits feature '{name}' by categories, which are no comparisons with a threshold; code categories as one "
        "column each before training"
    )


def _missing(name: str) -> UserError:
    return UserError(
        f"a tree splits feature '{name}' by whether it is missing, and hardware has no missing values; fill them in before "
        "training"
    )


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.strip("[] ").split(",")]
