"""The two types that every loader returns: :class:`Split` and :class:`Dataset`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError

__all__ = ["Dataset", "Split"]


def _describe(names: Sequence[str], limit: int = 4) -> str:
    """The first names of a list, quoted, with a count of those left out."""
    shown = ", ".join(f"'{name}'" for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


@dataclass(frozen=True, eq=False)
class Split:
    """One set of labelled rows.

    Attributes:
        x: Raw features, float32, shape ``(n, n_features)``.
        y: Class numbers, int64, shape ``(n,)``, from 0; or real targets, float32, shape ``(n, n_targets)``, where several labels
            are targets of 0 and 1.
    """

    x: npt.NDArray[np.float32]
    y: npt.NDArray[Any]

    def __post_init__(self) -> None:
        if self.x.dtype != np.float32 or self.y.dtype != (np.float32 if self.y.ndim == 2 else np.int64):
            raise UserError(
                f"a split holds float32 features and int64 labels or float32 targets, got {self.x.dtype} and {self.y.dtype}; "
                "build it with Split.from_arrays, which converts"
            )
        if self.x.ndim != 2 or self.y.ndim not in (1, 2) or len(self.x) != len(self.y):
            raise UserError(
                f"a split needs features of shape (n, features) and labels of shape (n,), or targets of shape (n, n_targets), got "
                f"{self.x.shape} and {self.y.shape}; give one row of features for each label"
            )

    @classmethod
    def from_arrays(cls, x: npt.ArrayLike, y: npt.ArrayLike) -> Split:
        """Convert anything array-like.

        Args:
            x: Numbers, shape ``(n, n_features)``; rounded to float32.
            y: Whole numbers, shape ``(n,)``, or real numbers, shape ``(n, n_targets)``, rounded to float32.

        Raises:
            UserError: Something is not a number, a label is not whole, or the shapes do not fit.
        """
        features, labels = np.asarray(x), np.asarray(y)
        if features.dtype.kind not in "buif":
            raise UserError(
                f"features must be real numbers, got an array of type {features.dtype}; convert text to numbers first"
            )
        if labels.dtype.kind not in "buif" or (
            labels.ndim != 2
            and labels.dtype.kind == "f"
            and not np.all(np.isfinite(labels) & (labels == np.floor(labels)))
        ):
            raise UserError(
                f"labels must be whole numbers from 0, got an array of type {labels.dtype}; number the classes first"
            )
        with np.errstate(over="ignore"):
            return cls(features.astype(np.float32), labels.astype(np.float32 if labels.ndim == 2 else np.int64))

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.y)

    @property
    def n_features(self) -> int:
        """Number of columns of ``x``."""
        return int(self.x.shape[1])


@dataclass(frozen=True, eq=False)
class Dataset:
    """A task as three sets: classes, or a column a target. Building one checks it, so whoever holds one can train on it.

    The validation set serves early stopping and the choice of checkpoints; the test set is never used for either.

    Attributes:
        name: Short name, as given to :func:`lutnet.train.data.load`.
        train: Training set.
        validation: Validation set.
        test: Test set.
        feature_names: One name a column of ``x``.
        class_names: One name a class, label ``k`` is ``class_names[k]``; or one name a column of targets.
        source: Where the rows came from, for reports.
        allow_constant: Whether a feature may have one single value in the whole training set. It carries no information
            there, and in a table of measurements it is a mistake, so ``False`` refuses it. Border pixels and one-hot
            columns are constant legitimately; sets of those say ``True``, and the fitting of input quantisers asks
            :meth:`constant_features`.
        image_shape: ``(height, width)`` when a row is an image, pixels line by line; ``None`` otherwise.

    Raises:
        UserError: A set is empty, shapes or names do not fit, a feature is NaN, infinite or (unless allowed) constant,
            a label has no class, or targets are no finite numbers, one for each name.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]
    source: str
    allow_constant: bool = False
    image_shape: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.has_classes and len(self.class_names) < 2:
            raise UserError(
                f"data set '{self.name}' needs at least 2 classes, got {len(self.class_names)}; check the labels"
            )
        for what, names in (("feature", self.feature_names), ("class", self.class_names)):
            if len(set(names)) != len(names):
                twice = sorted({name for name in names if names.count(name) > 1})
                raise UserError(
                    f"data set '{self.name}' has several columns or classes called {_describe(twice)}; make every "
                    f"{what} name unique"
                )
        if self.image_shape is not None and self.image_shape[0] * self.image_shape[1] != len(self.feature_names):
            raise UserError(
                f"data set '{self.name}' has {len(self.feature_names)} features, which are no image of "
                f"{self.image_shape[0]} x {self.image_shape[1]} pixels; correct image_shape"
            )
        for part, split in self.parts.items():
            self._check_part(part, split)
        constant = self.constant_features()
        if constant and not self.allow_constant:
            raise UserError(
                f"data set '{self.name}' has features with one single value in the whole training set: "
                f"{_describe([self.feature_names[i] for i in constant])}; drop these columns, or set allow_constant "
                "where they are meant, as in one-hot data"
            )

    def _check_part(self, part: str, split: Split) -> None:
        where = f"the {part} set of '{self.name}'"
        if split.n_rows == 0:
            raise UserError(f"{where} is empty, expected at least one row; check how the data were split")
        if split.n_features != len(self.feature_names):
            raise UserError(
                f"{where} has {split.n_features} features, expected {len(self.feature_names)}, one for each name; "
                "check the columns"
            )
        finite = np.isfinite(split.x)
        if not finite.all():
            row, column = (int(i) for i in np.argwhere(~finite)[0])
            raise UserError(
                f"feature '{self.feature_names[column]}' (column {column}) of row {row} in {where} is "
                f"{split.x[row, column]}, expected a finite number of float32; clean the data or drop the row"
            )
        if split.y.ndim != self.train.y.ndim:
            raise UserError(
                f"{where} has y of shape {split.y.shape}, the training set of shape {self.train.y.shape}; give classes or targets in all"
            )
        if split.y.ndim == 2:
            self._check_targets(where, split.y)
            return
        bad = (split.y < 0) | (split.y >= len(self.class_names))
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise UserError(
                f"the label of row {row} in {where} is {split.y[row]}, expected 0 to {len(self.class_names) - 1} for "
                f"{len(self.class_names)} classes; correct the labels or the class names"
            )

    def _check_targets(self, where: str, y: npt.NDArray[Any]) -> None:
        if y.shape[1] != len(self.class_names):
            raise UserError(
                f"{where} has {y.shape[1]} columns of targets, expected {len(self.class_names)}, one for each name; name them in "
                "class_names"
            )
        finite = np.isfinite(y)
        if not finite.all():
            row, column = (int(i) for i in np.argwhere(~finite)[0])
            raise UserError(
                f"target '{self.class_names[column]}' of row {row} in {where} is {y[row, column]}, expected a finite number; clean the "
                "data or drop the row"
            )

    @property
    def has_classes(self) -> bool:
        """Whether rows have class numbers; else they have a column a target."""
        return self.train.y.ndim == 1

    def require_classes(self, what: str) -> None:
        """Refuses targets where something needs classes.

        Raises:
            UserError: Rows have no class numbers.
        """
        if not self.has_classes:
            raise UserError(
                f"{what} needs classes, data set '{self.name}' has {self.n_classes} columns of targets; choose another setting"
            )

    @property
    def parts(self) -> dict[str, Split]:
        """The three sets by name: training, validation, test."""
        return {"training": self.train, "validation": self.validation, "test": self.test}

    @property
    def n_features(self) -> int:
        """Number of features."""
        return len(self.feature_names)

    @property
    def n_classes(self) -> int:
        """Number of classes, or of columns of targets."""
        return len(self.class_names)

    def constant_features(self) -> tuple[int, ...]:
        """Columns that have one single value in the whole training set, ascending."""
        x = self.train.x
        return tuple(int(i) for i in np.flatnonzero(x.min(axis=0) == x.max(axis=0)))
