"""Trees: imported exactly, quantised, boosted on codes, and equal to their netlist."""

from __future__ import annotations

import builtins
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lutnet.errors import UserError
from lutnet.ir import OpCode
from lutnet.lower import lower_trees
from lutnet.testing import check_trees, mutate_table
from lutnet.trees import (
    BoostedTrees,
    FloatEnsemble,
    QuantizedEnsemble,
    Tree,
    TreeOptions,
    fit_codes,
    from_lightgbm,
    from_sklearn,
    from_xgboost,
    load_ensembles,
    quantize_ensemble,
    save_ensembles,
    train_trees,
)

NAMES = ("mass", "width", "count", "energy")


def data(n: int = 1500, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    x[:, 2] = rng.integers(0, 7, n)
    total = np.abs(x[:, 0]) + 0.4 * x[:, 2] * (x[:, 1] > 0) + 0.2 * rng.normal(size=n)
    return x, np.digitize(total, np.quantile(total, np.arange(1, classes) / classes))


def boosted(classes: int = 3, **options: object) -> tuple[BoostedTrees, np.ndarray, np.ndarray]:
    x, y = data(classes=classes)
    encoder = fit_codes(x, 4, NAMES)
    chosen = replace(TreeOptions(n_rounds=4, max_depth=3, leaf_bits=4), **options)
    return train_trees(x, y, encoder, [f"c{i}" for i in range(classes)], chosen), x, y


# -- import ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 3])
def test_xgboost_margins_are_reproduced(classes: int) -> None:
    import xgboost

    x, y = data(classes=classes)
    model = xgboost.XGBClassifier(n_estimators=7, max_depth=4, tree_method="hist", n_jobs=1).fit(x, y)
    ensemble = from_xgboost(model, NAMES)
    expected = model.predict(x, output_margin=True).reshape(len(x), -1)
    np.testing.assert_allclose(ensemble.margins(x), expected, atol=2e-5)
    np.testing.assert_array_equal(ensemble.predict(x), model.predict(x))


@pytest.mark.parametrize("classes", [2, 3])
def test_lightgbm_margins_are_reproduced(classes: int) -> None:
    import lightgbm

    x, y = data(classes=classes)
    settings = {"objective": "binary"} if classes == 2 else {"objective": "multiclass", "num_class": classes}
    train_set = lightgbm.Dataset(x, y, params={"verbose": -1, "use_missing": False})
    model = lightgbm.train({**settings, "verbose": -1, "num_threads": 1, "use_missing": False}, train_set, 6)
    expected = np.asarray(model.predict(x, raw_score=True)).reshape(len(x), -1)
    np.testing.assert_allclose(from_lightgbm(model, NAMES).margins(x), expected, atol=1e-9)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(
    "kind", ["HistGradientBoosting", "GradientBoosting", "RandomForest", "ExtraTrees", "DecisionTree"]
)
def test_scikit_learn_classes_are_reproduced(kind: str, classes: int) -> None:
    from sklearn import ensemble as ensembles
    from sklearn import tree as trees

    x, y = data(classes=classes)
    settings = {
        "HistGradientBoosting": {"max_iter": 5, "early_stopping": False},
        "GradientBoosting": {"n_estimators": 5},
        "RandomForest": {"n_estimators": 5, "max_depth": 5},
        "ExtraTrees": {"n_estimators": 5, "max_depth": 5},
        "DecisionTree": {"max_depth": 5},
    }[kind]
    source = trees if kind == "DecisionTree" else ensembles
    model = getattr(source, f"{kind}Classifier")(random_state=0, **settings).fit(x, y)
    found = from_sklearn(model, NAMES)
    if hasattr(model, "decision_function"):
        expected = model.decision_function(x).reshape(len(x), -1)
    else:
        expected = model.predict_proba(x) if classes > 2 else model.predict_proba(x)[:, 1:] - 0.5
    np.testing.assert_allclose(found.margins(x), expected, atol=1e-9)


def test_an_imported_model_goes_to_hardware() -> None:
    import xgboost

    x, y = data()
    model = xgboost.XGBClassifier(n_estimators=5, max_depth=3, n_jobs=1).fit(x, y)
    ensemble = from_xgboost(model, NAMES)
    small = quantize_ensemble(ensemble, fit_codes(x, 6, NAMES), 6)
    check_trees(BoostedTrees(small, ensemble), x, simulate=False)
    assert (small.predict(x) == ensemble.predict(x)).mean() > 0.93


# -- quantisation and boosting ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("aware", [True, False])
def test_boosted_trees_conform(classes: int, aware: bool) -> None:
    found, x, y = boosted(classes, quantization_aware=aware)
    net = check_trees(found, x, simulate=aware and classes < 5)
    assert (found.quantized.predict(x) == y).mean() > 0.9 - 0.09 * classes
    assert net.count(OpCode.THRESHOLD) <= len(found.quantized.keys) + 1


def test_deep_trees_become_tables_below_multiplexers() -> None:
    found, x, _ = boosted(3, max_depth=6, n_rounds=2)
    check_trees(found, x, simulate=False)
    shallow = lower_trees(found.quantized, table_keys=3)
    widest = max(len(node.operands) for node in shallow.nodes() if node.op is OpCode.LUT)
    assert widest == 3
    codes = np.random.default_rng(0).integers(0, 1 << np.asarray(found.quantized.encoder.widths), (500, 4))
    np.testing.assert_array_equal(shallow.evaluate(codes)[:, 0], found.quantized.predict_codes(codes))


def test_quantisation_is_that_of_treelut() -> None:
    left = Tree(
        np.array([0, -1, -1]), np.array([0.5, 0, 0]), np.array([1, 0, 0]), np.array([2, 0, 0]), np.array([0, -1.0, 2.0])
    )
    right = replace(left, value=np.array([0, 0.5, 1.1]))
    ensemble = FloatEnsemble((left, right), (0, 0), (0.25,), ("f",), ("no", "yes"))
    encoder = fit_codes(np.array([[0.0], [1.0], [2.0], [3.0]]), 2, ("f",))
    small = quantize_ensemble(ensemble, encoder, 3)
    assert small.scale == pytest.approx(3 / 7)
    assert [tree.value.tolist() for tree in small.trees] == [[0, 0, 7], [0, 0, 1]]
    assert small.bias == (round((0.25 - 1.0 + 0.5) * 7 / 3),)
    assert small.keys == ((0, 1),)


def test_aware_boosting_makes_up_for_coarse_leaves() -> None:
    results = {}
    for aware in (True, False):
        found, x, y = boosted(3, quantization_aware=aware, n_rounds=12, leaf_bits=1)
        results[aware] = (found.quantized.predict(x) == y).mean()
    assert results[True] > results[False]


def test_training_is_deterministic_and_depends_on_the_seed() -> None:
    x, y = data()
    encoder = fit_codes(x, 4, NAMES)
    runs = [train_trees(x, y, encoder, "abc", TreeOptions(n_rounds=2), seed=seed).quantized for seed in (1, 1, 2)]
    codes = encoder.encode(x)
    np.testing.assert_array_equal(runs[0].scores(codes), runs[1].scores(codes))
    assert not np.array_equal(runs[0].scores(codes), runs[2].scores(codes))


def test_whole_numbers_are_their_own_codes_and_others_are_cut_evenly() -> None:
    x, _ = data()
    encoder = fit_codes(x, 5, NAMES)
    assert encoder.widths == (5, 5, 3, 5)
    np.testing.assert_array_equal(encoder.encode(x)[:, 2], x[:, 2].astype(int))
    assert np.ptp(np.diff(encoder.thresholds[0])) < 1e-12
    wide = fit_codes(x, 2, NAMES)
    assert wide.widths == (2, 2, 2, 2)


@pytest.mark.parametrize("bias", [-3, 0, 2])
def test_a_margin_of_zero_is_class_zero_and_a_bias_costs_nothing(bias: int) -> None:
    tree = Tree(
        np.array([0, -1, -1]), np.array([2, 0, 0]), np.array([1, 0, 0]), np.array([2, 0, 0]), np.array([0, 0, 3])
    )
    encoder = fit_codes(np.arange(4.0)[:, None], 2, ("f",))
    ensemble = QuantizedEnsemble(encoder, (tree,), (0,), (bias,), 1.0, ("no", "yes"))
    net = lower_trees(ensemble)
    codes = np.arange(4)[:, None]
    np.testing.assert_array_equal(net.evaluate(codes)[:, 0], np.array([0, 0, 3, 3]) + bias > 0)


def test_one_wrong_entry_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    found, x, _ = boosted()
    import lutnet.testing.trees as checks

    monkeypatch.setattr(checks, "lower_trees", lambda ensemble: mutate_table(lower_trees(ensemble)))
    with pytest.raises(AssertionError, match="the netlist differs from the ensemble"):
        check_trees(found, x, simulate=False)


# -- bad input -------------------------------------------------------------------------------------------------------


def test_categorical_splits_are_refused() -> None:
    import lightgbm
    import xgboost

    x, y = data()
    matrix = xgboost.DMatrix(x, y, feature_types=["q", "q", "c", "q"], enable_categorical=True)
    settings = {"objective": "multi:softprob", "num_class": 3, "max_cat_to_onehot": 1, "tree_method": "hist"}
    model = xgboost.train(settings, matrix, 8)
    with pytest.raises(UserError, match=r"splits feature 'count' by categories"):
        from_xgboost(model, NAMES)
    train_set = lightgbm.Dataset(x, y, categorical_feature=[2], params={"verbose": -1})
    model = lightgbm.train({"objective": "multiclass", "num_class": 3, "verbose": -1}, train_set, 8)
    with pytest.raises(UserError, match=r"splits feature 'count' by categories"):
        from_lightgbm(model, NAMES)


def test_missing_values_are_refused() -> None:
    import lightgbm
    from sklearn.ensemble import HistGradientBoostingClassifier

    x, y = data()
    x[::3, 0] = np.nan
    model = lightgbm.train({"objective": "multiclass", "num_class": 3, "verbose": -1}, lightgbm.Dataset(x, y), 4)
    with pytest.raises(UserError, match=r"splits feature 'mass' by whether it is missing"):
        from_lightgbm(model, NAMES)
    labels = np.isnan(x[:, 0]).astype(int)
    hist = HistGradientBoostingClassifier(max_iter=2).fit(x, labels)
    with pytest.raises(UserError, match=r"splits feature 'mass' by whether it is missing"):
        from_sklearn(hist, NAMES)
    with pytest.raises(UserError, match=r"feature 'mass' of row 0 is nan"):
        fit_codes(x, 4, NAMES)


def test_other_objectives_models_and_features_are_refused() -> None:
    import xgboost
    from sklearn.linear_model import LogisticRegression

    x, y = data()
    with pytest.raises(UserError, match=r"objective 'reg:squarederror' of the XGBoost model is no classification"):
        from_xgboost(xgboost.XGBRegressor(n_estimators=2).fit(x, y))
    with pytest.raises(UserError, match=r"booster 'gblinear' is not supported"):
        from_xgboost(xgboost.XGBClassifier(n_estimators=2, booster="gblinear").fit(x, y))
    with pytest.raises(UserError, match=r"LogisticRegression is not supported"):
        from_sklearn(LogisticRegression().fit(x, y))
    with pytest.raises(UserError, match=r"is no trained classifier; call fit first"):
        from_sklearn(LogisticRegression())
    model = xgboost.train(
        {"objective": "multi:softprob", "num_class": 3}, xgboost.DMatrix(x, y, feature_names=list(NAMES)), 2
    )
    with pytest.raises(
        UserError, match=r"feature 0 is 'width' here and 'mass' in the model; give the features in the order"
    ):
        from_xgboost(model, ("width", "mass", "count", "energy"))
    with pytest.raises(UserError, match=r"trained on 4 features, got 3 names"):
        from_xgboost(model, NAMES[:3])
    ensemble = from_xgboost(model)
    with pytest.raises(UserError, match=r"compares feature '\w+' with .*, its codes cover"):
        quantize_ensemble(ensemble, fit_codes(x * 1e-3, 6, NAMES), 5)
    with pytest.raises(UserError, match=r"same features in the same order"):
        quantize_ensemble(ensemble, fit_codes(x, 6, NAMES[::-1]), 5)


def test_damaged_trees_are_refused(tmp_path: Path) -> None:
    found, _, _ = boosted(n_rounds=1)
    path = save_ensembles(tmp_path / "trees.json", found)
    good = json.loads(path.read_text())
    with pytest.raises(UserError, match=r"cannot read the trees"):
        load_ensembles(tmp_path / "none.json")
    inner = next(i for i, feature in enumerate(good["trees"][0]["feature"]) if feature >= 0)
    for change, message in (
        ({"left": 0}, "children stand behind their parent"),
        ({"threshold": 10**6}, "is no code of its feature"),
        ({"feature": 77}, "a tree reads feature 77, the data have 4"),
    ):
        bad = json.loads(json.dumps(good))
        for key, value in change.items():
            bad["trees"][0][key][inner] = value
        path.write_text(json.dumps(bad))
        with pytest.raises(UserError, match=message):
            load_ensembles(path)
    path.write_text(json.dumps({**good, "version": 99}))
    with pytest.raises(UserError, match=r"has version 99"):
        load_ensembles(path)
    path.write_text("[1, 2")
    with pytest.raises(UserError, match=r"holds no trees of lutnet or is damaged"):
        load_ensembles(path)
    with pytest.raises(UserError, match=r"a threshold of a tree is inf, expected a finite number"):
        Tree(np.array([0, -1, -1]), np.array([np.inf, 0, 0]), np.array([1, 0, 0]), np.array([2, 0, 0]), np.zeros(3))


def test_trees_without_effect_and_bad_settings_are_refused() -> None:
    x, _ = data()
    encoder = fit_codes(x, 4, NAMES)
    with pytest.raises(UserError, match=r"holds class 0 only"):
        train_trees(x, np.zeros(len(x), dtype=np.int64), encoder, ("a", "b"))
    with pytest.raises(UserError, match=r"every tree of the ensemble is constant"):
        train_trees(x, data()[1], encoder, "abc", TreeOptions(n_rounds=2, min_child_weight=1e9))
    with pytest.raises(UserError, match=r"labels are 0 to 1, got 0 to 2"):
        train_trees(x, data()[1], encoder, ("a", "b"))
    with pytest.raises(UserError, match=r"model.trees.max_depth is 1 to 12, got 40"):
        TreeOptions(max_depth=40)
    with pytest.raises(UserError, match=r"codes of features for trees have 1 to 16 bits, got 24"):
        fit_codes(x, 24, NAMES)
    found, _, _ = boosted(n_rounds=1)
    with pytest.raises(UserError, match=r"a table of a tree reads 1 to 12 comparisons, got 30"):
        lower_trees(found.quantized, table_keys=30)


def test_a_missing_library_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name == "xgboost":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    x, y = data()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"pip install lutnet\[trees\]"):
        train_trees(x, y, fit_codes(x, 4, NAMES), "abc")
