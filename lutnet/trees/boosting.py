"""Boosting on the codes that the hardware sees, with XGBoost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError
from lutnet.formats import InputEncoder
from lutnet.trees.ensemble import FloatEnsemble, QuantizedEnsemble, Tree
from lutnet.trees.importers import from_xgboost
from lutnet.trees.options import TreeOptions
from lutnet.trees.quantize import leaf_scale, quantize_ensemble, quantize_tree

__all__ = ["BoostedTrees", "train_trees"]

Told = Callable[[int, int], None]


@dataclass(frozen=True)
class BoostedTrees:
    """What boosting gives.

    Attributes:
        quantized: The ensemble of integers, to become a netlist.
        reference: The same settings on raw features in floating point: the yardstick.
    """

    quantized: QuantizedEnsemble
    reference: FloatEnsemble


def train_trees(
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.int64],
    encoder: InputEncoder,
    class_names: Sequence[str],
    options: TreeOptions | None = None,
    *,
    seed: int = 0,
    n_threads: int = 1,
    on_round: Told | None = None,
) -> BoostedTrees:
    """Trains trees on codes, and the same in floating point for comparison.

    With ``quantization_aware`` every round begins from the integer sums of the rounds before it, so that later trees
    make up for what rounding has lost (Alsharari et al., "FQTree", 2026).

    Args:
        x: Raw training features, float32, shape ``(n, n_features)``.
        y: Classes from 0, int64, shape ``(n,)``.
        encoder: Codes of the features.
        class_names: One name a class.
        options: How to boost.
        seed: Of the rows that each round sees.
        n_threads: Threads of XGBoost.
        on_round: Told the rounds done and the rounds in all, the reference's included.

    Raises:
        UserError: XGBoost is missing, or the labels do not fit the classes.
    """
    chosen = options if options is not None else TreeOptions()
    if y.min() < 0 or y.max() >= len(class_names):
        raise UserError(f"labels are 0 to {len(class_names) - 1}, got {int(y.min())} to {int(y.max())}")
    if len(np.unique(y)) < 2:
        raise UserError(f"the training set holds class {int(y[0])} only; trees need at least two classes to tell apart")
    run = _Boosting(_xgboost(), y, encoder, tuple(class_names), chosen, seed, n_threads, on_round)
    reference = run.plain(x)
    on_codes = run.on_codes(run.plain(encoder.encode(x).astype(np.float32)))
    if not chosen.quantization_aware:
        return BoostedTrees(quantize_ensemble(on_codes, encoder, chosen.leaf_bits), reference)
    return BoostedTrees(run.quantization_aware(encoder.encode(x), on_codes), reference)


@dataclass
class _Boosting:
    xgb: ModuleType
    y: npt.NDArray[np.int64]
    encoder: InputEncoder
    class_names: tuple[str, ...]
    options: TreeOptions
    seed: int
    n_threads: int
    on_round: Told | None

    def plain(self, x: npt.NDArray[np.float32]) -> FloatEnsemble:
        """All rounds in floating point."""
        data = self._matrix(x)
        booster = None
        for number in range(self.options.n_rounds):
            booster = self.xgb.train(self._settings(number), data, num_boost_round=1, xgb_model=booster)
            self._tell()
        return from_xgboost(booster, self.encoder.feature_names, self.class_names)

    def on_codes(self, ensemble: FloatEnsemble) -> FloatEnsemble:
        """Trees that compare codes, as trees that compare raw features with the encoder's thresholds."""
        trees = tuple(self._raw_tree(tree) for tree in ensemble.trees)
        return FloatEnsemble(trees, ensemble.outputs, ensemble.base, ensemble.feature_names, ensemble.class_names)

    def quantization_aware(self, codes: npt.NDArray[np.int64], draft: FloatEnsemble) -> QuantizedEnsemble:
        """Rounds that each begin from the integer sums so far; the draft sets what an integer is worth."""
        scale = leaf_scale(draft.trees, self.options.leaf_bits)
        highest = (1 << self.options.leaf_bits) - 1
        sums = np.tile(np.rint(np.asarray(draft.base) * scale).astype(np.int64), (len(codes), 1))
        bias = sums[0].copy()
        data = self._matrix(codes.astype(np.float32))
        trees: list[Tree] = []
        outputs: list[int] = []
        for number in range(self.options.n_rounds):
            data.set_base_margin(np.ascontiguousarray((sums / scale).astype(np.float32)).squeeze())
            booster = self.xgb.train({**self._settings(number), "base_score": 0.5}, data, num_boost_round=1)
            grown = from_xgboost(booster, self.encoder.feature_names, self.class_names)
            for tree, output in zip(grown.trees, grown.outputs, strict=True):
                offset = int(np.rint(tree.value[tree.leaves].min() * scale))
                small = quantize_tree(self._raw_tree(tree), self.encoder, scale)
                small = Tree(small.feature, small.threshold, small.left, small.right, small.value.clip(0, highest))
                bias[output] += offset
                sums[:, output] += offset + small.evaluate(codes)
                if small.span > 0:
                    trees.append(small)
                    outputs.append(output)
            self._tell()
        return QuantizedEnsemble(
            self.encoder, tuple(trees), tuple(outputs), tuple(bias.tolist()), 1.0 / scale, self.class_names
        )

    def _raw_tree(self, tree: Tree) -> Tree:
        threshold = tree.threshold.copy()
        for row in np.flatnonzero(~tree.leaves).tolist():
            cuts = self.encoder.thresholds[int(tree.feature[row])]
            threshold[row] = cuts[min(max(int(np.ceil(tree.threshold[row])), 1), len(cuts)) - 1]
        return Tree(tree.feature, threshold, tree.left, tree.right, tree.value)

    def _matrix(self, x: npt.NDArray[np.float32]) -> Any:
        return self.xgb.QuantileDMatrix(x, label=self.y, max_bin=self.options.max_bins, nthread=self.n_threads)

    def _settings(self, number: int) -> dict[str, Any]:
        opt = self.options
        multi = len(self.class_names) > 2
        objective = (
            {"objective": "multi:softprob", "num_class": len(self.class_names)}
            if multi
            else {"objective": "binary:logistic"}
        )
        return {
            **objective,
            "tree_method": "hist",
            "eta": opt.learning_rate,
            "max_depth": opt.max_depth,
            "min_child_weight": opt.min_child_weight,
            "lambda": opt.regularization,
            "gamma": opt.min_gain,
            "subsample": opt.subsample,
            "max_bin": opt.max_bins,
            "seed": 1000 * self.seed + number,
            "nthread": self.n_threads,
            "verbosity": 0,
        }

    def _tell(self) -> None:
        self._done = getattr(self, "_done", 0) + 1
        if self.on_round is not None:
            self.on_round(self._done, self.options.n_rounds * (3 if self.options.quantization_aware else 2))


def _xgboost() -> ModuleType:
    try:
        import xgboost
    except ImportError:
        raise UserError(
            "training trees needs XGBoost, which is not installed; run `pip install lutnet[trees]`"
        ) from None
    return xgboost
