"""Seeded splits of the rows into two groups.

Both functions draw from ``numpy.random.RandomState``, whose streams NumPy has frozen (NEP 19), so a seed means the same
split on every version.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError
from lutnet.train.data.dataset import Split

__all__ = [
    "VALIDATION_FRACTION",
    "VALIDATION_SEED",
    "RowGroups",
    "carve_validation",
    "shuffled_groups",
    "stratified_groups",
]

VALIDATION_FRACTION = 0.1
"""Part of the training rows that becomes the validation set where the source has none."""

VALIDATION_SEED = 20261121
"""Seed of that draw."""


@dataclass(frozen=True, eq=False)
class RowGroups:
    """Two disjoint groups that together hold every row.

    Attributes:
        kept: Row numbers, int64.
        held_out: Row numbers, int64.
    """

    kept: npt.NDArray[np.int64]
    held_out: npt.NDArray[np.int64]


def stratified_groups(labels: npt.NDArray[np.integer], fraction: float, seed: int) -> RowGroups:
    """Hold out the same fraction of every class.

    ``round(fraction * n)`` rows are held out, shared among the classes by largest remainder, so that each class gets
    its exact share rounded down or up. The last row of a class is never held out.

    Args:
        labels: One integer a row, shape ``(n,)``.
        fraction: Part of the rows to hold out, between 0 and 1.
        seed: Seed of the draw.

    Returns:
        The groups, each in ascending row order.

    Raises:
        UserError: The fraction is out of range.
    """
    if not 0 < fraction < 1:
        raise UserError(f"a held-out fraction lies between 0 and 1, got {fraction}; 0.1 holds out a tenth")
    random = np.random.RandomState(seed)
    held = np.zeros(len(labels), dtype=bool)
    classes, n_of_class = np.unique(labels, return_counts=True)
    for label, n_held in zip(classes, _shares(n_of_class, fraction), strict=True):
        held[random.permutation(np.flatnonzero(labels == label))[:n_held]] = True
    return RowGroups(np.flatnonzero(~held), np.flatnonzero(held))


def _shares(n_of_class: npt.NDArray[np.integer], fraction: float) -> npt.NDArray[np.int64]:
    """Rows to hold out of each class, by largest remainder; ties go to the lower class."""
    exact = fraction * n_of_class.astype(np.float64)
    shares: npt.NDArray[np.int64] = np.floor(exact).astype(np.int64)
    left = round(fraction * int(n_of_class.sum())) - int(shares.sum())
    for index in np.argsort(shares - exact, kind="stable"):
        if left > 0 and shares[index] + 1 < n_of_class[index]:
            shares[index] += 1
            left -= 1
    return shares


def shuffled_groups(n_rows: int, fraction: float, seed: int) -> RowGroups:
    """The split of scikit-learn's ``train_test_split(test_size=fraction, random_state=seed)``, row for row.

    Published jet-tagging results use it with 0.2 and 42, so the test set here is the published one.

    Returns:
        The groups, each in the shuffled order.
    """
    n_held = int(np.ceil(fraction * n_rows))
    order = np.random.RandomState(seed).permutation(n_rows).astype(np.int64)
    return RowGroups(order[n_held:], order[:n_held])


@dataclass(frozen=True, eq=False)
class TrainValidation:
    """A training set and the validation set taken out of it."""

    train: Split
    validation: Split


def carve_validation(
    split: Split, *, fraction: float = VALIDATION_FRACTION, seed: int = VALIDATION_SEED
) -> TrainValidation:
    """Take a validation set out of a training set, stratified by class; rows with columns of targets are drawn without regard to them.

    Raises:
        UserError: There are too few rows for a validation set.
    """
    classes = split.y if split.y.ndim == 1 else np.zeros(split.n_rows, dtype=np.int64)
    groups = stratified_groups(classes, fraction, seed)
    if not len(groups.held_out) or not len(groups.kept):
        raise UserError(
            f"{split.n_rows} training rows are too few to take {fraction:.0%} of them for validation; give more rows "
            "or a validation set of your own (x_val, y_val)"
        )
    return TrainValidation(
        Split(split.x[groups.kept], split.y[groups.kept]), Split(split.x[groups.held_out], split.y[groups.held_out])
    )
