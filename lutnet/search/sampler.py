"""Samplers that are seeded anew for every trial, by its number."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, HyperbandPruner, NopPruner
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from lutnet.search.dimensions import Range
from lutnet.search.space import SearchSpace

__all__ = ["NumberedSampler", "pruner_of"]

_PRIME = 1_000_003
REDUCTION = 3


class NumberedSampler(BaseSampler):
    """Multivariate TPE whose random numbers depend on a seed and the trial's number.

    Workers of one study never draw the same values, however many there are and whenever they join; a search by one worker is
    repeated exactly by its seed. Trials that others are at work on count as bad ones (constant liar), so that workers spread.

    Bergstra et al., "Algorithms for hyper-parameter optimization", NeurIPS 2011; Falkner et al., "BOHB", ICML 2018 (multivariate).
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._inner = self._seeded(0)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Seeds the sampler for this trial."""
        self._inner = self._seeded(trial.number)
        self._inner.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Dimensions that are sampled together."""
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Values of those dimensions."""
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Value of another dimension."""
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Tells the sampler how the trial ended."""
        self._inner.after_trial(study, trial, state, values)

    def _seeded(self, number: int) -> TPESampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return TPESampler(
                seed=(self._seed * _PRIME + number) % (1 << 32),
                multivariate=True,
                group=True,
                constant_liar=True,
            )


def pruner_of(space: SearchSpace) -> BasePruner:
    """Hyperband over the epochs; none where there are two objectives or a single epoch.

    Li et al., "Hyperband: a novel bandit-based approach to hyperparameter optimization", JMLR 18 (2018), with reduction factor 3.
    """
    epochs = space.base.train.epochs
    dimension = space.dimensions.get("train.epochs")
    if dimension is not None:
        epochs = int(dimension.high if isinstance(dimension, Range) else max(map(int, dimension.values)))
    if space.objective.mode == "multi" or epochs < REDUCTION:
        return NopPruner()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return HyperbandPruner(
            min_resource=max(1, epochs // REDUCTION**2), max_resource=epochs, reduction_factor=REDUCTION
        )
