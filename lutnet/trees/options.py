"""Settings of boosted trees as frozen data."""

from __future__ import annotations

from dataclasses import dataclass

from lutnet.errors import UserError

__all__ = ["TreeOptions"]


@dataclass(frozen=True)
class TreeOptions:
    """Boosted trees: ``[model.trees]``. The width of the features' codes is ``model.input_bitwidth``.

    Attributes:
        n_rounds: Rounds of boosting; each adds one tree, or one a class where there are more than two.
        max_depth: Most comparisons on the way to a leaf.
        learning_rate: Factor on the leaves of each round.
        leaf_bits: Bits of the largest leaf.
        quantization_aware: Whether each round fits what the quantised rounds before it have left over.
        min_child_weight: Least sum of second derivatives in a leaf.
        regularization: L2 penalty on leaves.
        min_gain: Least gain of a split.
        subsample: Fraction of the rows that a round sees.
        max_bins: Candidate thresholds of a feature.
    """

    n_rounds: int = 20
    max_depth: int = 4
    learning_rate: float = 0.3
    leaf_bits: int = 5
    quantization_aware: bool = True
    min_child_weight: float = 1.0
    regularization: float = 1.0
    min_gain: float = 0.0
    subsample: float = 0.8
    max_bins: int = 256

    def __post_init__(self) -> None:
        where = "model.trees"
        for name, least, most in (
            ("n_rounds", 1, 10_000),
            ("max_depth", 1, 12),
            ("leaf_bits", 1, 16),
            ("max_bins", 2, 65_536),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                raise UserError(f"{where}.{name} is {least} to {most}, got {value}")
        if not (self.learning_rate > 0 and 0 < self.subsample <= 1):
            raise UserError(
                f"{where} needs a positive learning_rate and a subsample above 0 and up to 1, got {self.learning_rate} and "
                f"{self.subsample}"
            )
        if min(self.min_child_weight, self.regularization, self.min_gain) < 0:
            raise UserError(f"{where}: min_child_weight, regularization and min_gain are at least 0")
