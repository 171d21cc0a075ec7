"""What a network's outputs are for, as data."""

from __future__ import annotations

from dataclasses import dataclass

from lutnet.errors import UserError
from lutnet.nn.options import one_of

__all__ = ["HEADS", "HeadOptions"]

HEADS = ("class", "scores", "regression", "labels", "anomaly")


@dataclass(frozen=True)
class HeadOptions:
    """What a network's outputs are for; see :mod:`lutnet.nn.heads`.

    Attributes:
        kind: ``"class"`` for the number of the class, ``"scores"`` for a score a class without a decision, ``"regression"`` for
            fixed-point numbers, ``"labels"`` for a bit a label, or ``"anomaly"`` for the error of a reconstruction of the
            features and a bit that says whether it is an anomaly.
        thresholds: Scores from which labels apply: ``"validation"`` for those of the best F1 on validation rows, or ``"zero"``.
        normal: Class that is no anomaly: only its rows are trained on.
        error: Error of a feature: ``"absolute"`` or ``"squared"`` difference of its value and its reconstruction.
        error_bits: Bits of the error of a feature; larger errors saturate.
        error_quantile: Quantile of the errors of the normal validation rows at which they begin to saturate.
        false_alarms: Fraction of the normal validation rows that may be called anomalies.
    """

    kind: str = "class"
    thresholds: str = "validation"
    normal: str = "normal"
    error: str = "absolute"
    error_bits: int = 4
    error_quantile: float = 0.999
    false_alarms: float = 0.01

    def __post_init__(self) -> None:
        one_of("model.head.kind", self.kind, HEADS)
        one_of("model.head.thresholds", self.thresholds, ("validation", "zero"))
        one_of("model.head.error", self.error, ("absolute", "squared"))
        if not 1 <= self.error_bits <= 16:
            raise UserError(f"model.head.error_bits is 1 to 16, got {self.error_bits}")
        for name in ("error_quantile", "false_alarms"):
            if not 0 < getattr(self, name) < 1:
                raise UserError(f"model.head.{name} is a fraction between 0 and 1, got {getattr(self, name)}")
