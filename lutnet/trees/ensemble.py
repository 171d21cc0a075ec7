"""Decision trees and their sums: in real numbers, and quantised to integers as hardware computes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError
from lutnet.formats import InputEncoder

__all__ = ["FloatEnsemble", "QuantizedEnsemble", "Tree"]

LEAF = -1


@dataclass(frozen=True, eq=False)
class Tree:
    """A binary decision tree, one row a node, row 0 the root, children behind their parent.

    At an inner node a sample goes right where ``x[feature] >= threshold`` and left otherwise.

    Attributes:
        feature: Column that an inner node looks at, -1 at a leaf; int64, shape ``(n_nodes,)``.
        threshold: float64 for raw features, int64 for codes.
        left: Row of the left child; 0 at a leaf.
        right: Row of the right child; 0 at a leaf.
        value: Value of a leaf; float64, or int64 and at least 0 when quantised.
    """

    feature: npt.NDArray[np.int64]
    threshold: npt.NDArray[Any]
    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    value: npt.NDArray[Any]

    def __post_init__(self) -> None:
        n = len(self.feature)
        columns = (self.threshold, self.left, self.right, self.value)
        if n == 0 or any(column.shape != (n,) for column in (self.feature, *columns)):
            raise UserError("a tree needs columns of one length and at least one node; the file or model is damaged")
        inner = ~self.leaves
        rows = np.arange(n)[inner]
        for child in (self.left[inner], self.right[inner]):
            if np.any(child <= rows) or np.any(child >= n):
                raise UserError("a tree's children stand behind their parent; the file or model is damaged")
        for what, numbers in (("threshold", self.threshold[inner]), ("leaf", self.value[self.leaves])):
            if not np.all(np.isfinite(numbers)):
                raise UserError(
                    f"a {what} of a tree is {numbers[~np.isfinite(numbers)][0]}, expected a finite number; train without "
                    "missing values and check the model"
                )

    @property
    def leaves(self) -> npt.NDArray[np.bool_]:
        """Which rows are leaves, shape ``(n_nodes,)``."""
        found: npt.NDArray[np.bool_] = self.feature == LEAF
        return found

    @property
    def span(self) -> float:
        """Largest leaf minus smallest leaf."""
        found = self.value[self.leaves]
        return float(found.max() - found.min())

    def evaluate(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Leaf values of rows ``x`` of shape ``(batch, n_features)``, shape ``(batch,)``."""
        row = np.zeros(len(x), dtype=np.int64)
        active = np.flatnonzero(~self.leaves[row])
        while len(active):
            at = row[active]
            goes_right = x[active, self.feature[at]] >= self.threshold[at]
            row[active] = np.where(goes_right, self.right[at], self.left[at])
            active = active[~self.leaves[row[active]]]
        return np.asarray(self.value[row])


@dataclass(frozen=True, eq=False)
class FloatEnsemble:
    """A sum of trees over raw features.

    Attributes:
        trees: The trees, thresholds and leaves float64.
        outputs: Which output each tree adds to.
        base: What each output begins with; one output for two classes, else one a class.
        feature_names: One name a column.
        class_names: At least two.
    """

    trees: tuple[Tree, ...]
    outputs: tuple[int, ...]
    base: tuple[float, ...]
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_ensemble(self.trees, self.outputs, len(self.base), len(self.feature_names), self.class_names)

    def margins(self, x: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Sums before the decision.

        Args:
            x: Raw features, shape ``(batch, n_features)``; compared as float64 after rounding to float32.

        Returns:
            float64, shape ``(batch, n_outputs)``.
        """
        raw = np.asarray(x, dtype=np.float32).astype(np.float64)
        out = np.tile(np.asarray(self.base, dtype=np.float64), (len(raw), 1))
        for tree, output in zip(self.trees, self.outputs, strict=True):
            out[:, output] += tree.evaluate(raw)
        return out

    def predict(self, x: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Class of each row: with two classes class 1 where the margin is above 0, else the largest, ties to the lowest."""
        margins = self.margins(x)
        return decide(margins)


@dataclass(frozen=True, eq=False)
class QuantizedEnsemble:
    """A sum of trees of integers over codes, exactly what the netlist computes.

    Attributes:
        encoder: Raw features to codes.
        trees: Thresholds are codes of at least 1, leaves integers of at least 0.
        outputs: Which output each tree adds to.
        bias: Integer that each output begins with.
        scale: What one integer is worth in units of the float ensemble.
        class_names: At least two.
    """

    encoder: InputEncoder
    trees: tuple[Tree, ...]
    outputs: tuple[int, ...]
    bias: tuple[int, ...]
    scale: float
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_ensemble(self.trees, self.outputs, len(self.bias), self.encoder.n_features, self.class_names)
        for tree in self.trees:
            inner = ~tree.leaves
            tops = np.asarray([(1 << width) - 1 for width in self.encoder.widths])[tree.feature[inner]]
            if np.any(tree.threshold[inner] < 1) or np.any(tree.threshold[inner] > tops):
                raise UserError(
                    "a threshold of a quantised tree is no code of its feature; quantise the ensemble again"
                )
            if np.any(tree.value[tree.leaves] < 0):
                raise UserError("a leaf of a quantised tree is negative; quantise the ensemble again")

    def scores(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Integer sums of rows of codes, shape ``(batch, n_outputs)``."""
        out = np.tile(np.asarray(self.bias, dtype=np.int64), (len(codes), 1))
        for tree, output in zip(self.trees, self.outputs, strict=True):
            out[:, output] += tree.evaluate(codes)
        return out

    def predict_codes(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Class of each row of codes: with two classes class 1 where the sum is above 0, else the largest, ties to the lowest."""
        return decide(self.scores(codes))

    def predict(self, x: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Class of each row of raw features."""
        return self.predict_codes(self.encoder.encode(x))

    @property
    def keys(self) -> tuple[tuple[int, int], ...]:
        """The different comparisons ``code[feature] >= threshold``, ascending."""
        found: set[tuple[int, int]] = set()
        for tree in self.trees:
            inner = ~tree.leaves
            found |= set(zip(tree.feature[inner].tolist(), tree.threshold[inner].tolist(), strict=True))
        return tuple(sorted(found))


def decide(sums: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Classes from sums of shape ``(batch, n_outputs)``."""
    if sums.shape[1] == 1:
        return (sums[:, 0] > 0).astype(np.int64)
    return np.asarray(np.argmax(sums, axis=1), dtype=np.int64)


def _check_ensemble(
    trees: Sequence[Tree], outputs: Sequence[int], n_outputs: int, n_features: int, class_names: Sequence[str]
) -> None:
    expected = 1 if len(class_names) == 2 else len(class_names)
    if len(class_names) < 2 or n_outputs != expected:
        raise UserError(f"an ensemble of {len(class_names)} classes needs {expected} outputs, got {n_outputs}")
    if not trees or len(outputs) != len(trees):
        raise UserError(
            f"an ensemble needs trees and an output for each, got {len(trees)} trees and {len(outputs)} outputs; train more rounds"
        )
    if any(not 0 <= output < n_outputs for output in outputs):
        raise UserError(f"outputs of trees are 0 to {n_outputs - 1}, got {min(outputs)} to {max(outputs)}")
    widest = max(int(tree.feature.max()) for tree in trees)
    if widest >= n_features:
        raise UserError(
            f"a tree reads feature {widest}, the data have {n_features} features; give the features that it was trained on"
        )
