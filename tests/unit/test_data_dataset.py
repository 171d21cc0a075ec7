"""Split, Dataset, and how rows are divided."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lutnet.errors import UserError
from lutnet.train.data import Dataset, Split, carve_validation
from lutnet.train.data.splits import shuffled_groups, stratified_groups


def split(n: int = 6, n_features: int = 3) -> Split:
    x = np.arange(n * n_features).reshape(n, n_features)
    return Split.from_arrays(x, np.arange(n) % 2)


def dataset(**changes: object) -> Dataset:
    base = Dataset("toy", split(), split(4), split(4), ("a", "b", "c"), ("no", "yes"), "test")
    return replace(base, **changes)  # type: ignore[arg-type]


def with_value(value: float, row: int = 2, column: int = 1) -> Split:
    x = split().x.copy()
    x[row, column] = value
    return Split(x, split().y)


def test_from_arrays_converts_types_exactly() -> None:
    made = Split.from_arrays([[1, 2], [3, 4]], np.array([0, 1], dtype=np.uint8))
    assert made.x.dtype == np.float32 and made.y.dtype == np.int64
    np.testing.assert_array_equal(made.x, [[1, 2], [3, 4]])
    assert (made.n_rows, made.n_features) == (2, 2)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([["a"]], [0], "real numbers"),
        ([[1.0]], [0.5], "whole numbers"),
        ([[1.0]], [float("nan")], "whole numbers"),
        ([[1.0]], ["g"], "whole numbers"),
        ([1.0, 2.0], [0, 1], r"\(2,\)"),
        ([[1.0], [2.0]], [0], r"\(2, 1\) and \(1,\)"),
    ],
)
def test_from_arrays_refuses(x: object, y: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Split.from_arrays(x, y)  # type: ignore[arg-type]


def test_split_does_not_convert_silently() -> None:
    with pytest.raises(UserError, match="float64 and int64"):
        Split(np.zeros((2, 2)), np.zeros(2, dtype=np.int64))  # type: ignore[arg-type]


def test_dataset_counts() -> None:
    data = dataset()
    assert (data.n_features, data.n_classes, list(data.parts)) == (3, 2, ["training", "validation", "test"])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_non_finite_feature_is_named_with_column_and_row(value: float, part: str) -> None:
    name = {"train": "training"}.get(part, part)
    with pytest.raises(UserError, match=rf"feature 'b' \(column 1\) of row 2 in the {name} set of 'toy' is {value}"):
        dataset(**{part: with_value(value)})


def test_float64_beyond_float32_counts_as_infinite() -> None:
    big = Split.from_arrays([[1e300, 1, 2], [0, 2, 3]], [0, 1])
    with pytest.raises(UserError, match=r"feature 'a'.*row 0.*inf.*float32"):
        dataset(train=big)


@pytest.mark.parametrize("label", [-1, 2])
def test_label_out_of_range(label: int) -> None:
    y = split().y.copy()
    y[3] = label
    with pytest.raises(UserError, match=f"label of row 3 in the test set of 'toy' is {label}, expected 0 to 1"):
        dataset(test=Split(split().x, y))


def test_empty_split() -> None:
    with pytest.raises(UserError, match="validation set of 'toy' is empty"):
        dataset(validation=Split(np.zeros((0, 3), np.float32), np.zeros(0, np.int64)))


def test_feature_count_must_match_names() -> None:
    with pytest.raises(UserError, match="test set of 'toy' has 2 features, expected 3"):
        dataset(test=split(4, 2))


def test_names_are_unique_and_classes_at_least_two() -> None:
    with pytest.raises(UserError, match="'a'"):
        dataset(feature_names=("a", "a", "c"))
    with pytest.raises(UserError, match="at least 2 classes"):
        dataset(class_names=("only",))


def test_constant_feature_is_refused_unless_allowed() -> None:
    x = split().x.copy()
    x[:, 2] = 7
    constant = Split(x, split().y)
    with pytest.raises(UserError, match="one single value in the whole training set: 'c'; drop"):
        dataset(train=constant)
    assert dataset(train=constant, allow_constant=True).constant_features() == (2,)
    assert dataset(test=constant).constant_features() == ()


def test_stratified_groups_take_the_same_fraction_of_each_class() -> None:
    labels = np.repeat([0, 1, 2], [1000, 105, 5])
    np.random.RandomState(0).shuffle(labels)
    groups = stratified_groups(labels, 0.1, seed=3)
    assert len(groups.held_out) == 111
    held = np.bincount(labels[groups.held_out], minlength=3)
    assert held[0] == 100 and sorted(held[1:]) in ([0, 11], [1, 10])
    np.testing.assert_array_equal(np.sort(np.concatenate([groups.kept, groups.held_out])), np.arange(len(labels)))
    np.testing.assert_array_equal(groups.held_out, np.sort(groups.held_out))


def test_stratified_groups_depend_on_the_seed_only() -> None:
    labels = np.arange(200) % 4
    first, again, other = (stratified_groups(labels, 0.25, seed).held_out for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_class_never_loses_its_last_row() -> None:
    labels = np.array([0, 0, 0, 1, 2])
    assert set(labels[stratified_groups(labels, 0.9, 0).kept]) == {0, 1, 2}


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_stratified_fraction_is_checked(fraction: float) -> None:
    with pytest.raises(UserError, match="between 0 and 1"):
        stratified_groups(np.zeros(4, dtype=np.int64), fraction, 0)


def test_shuffled_groups_are_those_of_scikit_learn() -> None:
    """Reference: train_test_split(range(23), test_size=0.2, random_state=42)."""
    groups = shuffled_groups(23, 0.2, 42)
    assert groups.held_out.tolist() == [15, 9, 0, 8, 17]
    assert groups.kept.tolist() == [12, 1, 13, 5, 2, 11, 20, 3, 4, 18, 16, 21, 22, 7, 10, 14, 19, 6]


def test_carve_validation_partitions_the_training_rows() -> None:
    whole = Split.from_arrays(np.arange(100)[:, None], np.arange(100) % 2)
    parts = carve_validation(whole, fraction=0.2)
    assert (parts.train.n_rows, parts.validation.n_rows) == (80, 20)
    assert sorted([*parts.train.x[:, 0], *parts.validation.x[:, 0]]) == list(range(100))
    np.testing.assert_array_equal(parts.train.x[:, 0] % 2, parts.train.y)


def test_carve_validation_needs_rows() -> None:
    with pytest.raises(UserError, match="2 training rows are too few"):
        carve_validation(split(2))
