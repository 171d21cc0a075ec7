"""Settings of arithmetic layers as frozen data; nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass

from lutnet.errors import UserError
from lutnet.nn.options import one_of

__all__ = ["BOUNDS", "RESCALES", "WEIGHTS", "ArithmeticOptions"]

WEIGHTS = ("binary", "ternary", "power-of-two", "fixed-point")
"""Kinds of constant weights."""

BOUNDS = ("none", "a2q", "a2q+")
"""How training bounds the accumulator."""

RESCALES = ("exact", "shift")
"""What brings a sum to its code: any factor, or a power of two."""

_MOST_BITS = {"binary": 1, "ternary": 2, "power-of-two": 4, "fixed-point": 12}
_FEWEST_BITS = {"binary": 1, "ternary": 2, "power-of-two": 2, "fixed-point": 2}


@dataclass(frozen=True)
class ArithmeticOptions:
    """Dense layers of constant weights, as adders: ``[model.arithmetic]``.

    Attributes:
        weights: ``"binary"`` (-1, +1), ``"ternary"`` (-1, 0, +1), ``"power-of-two"`` (0 and plus or minus powers of two) or
            ``"fixed-point"``.
        weight_bits: Bits of a power-of-two weight (2 to 4) or of a fixed-point one with its sign (2 to 12); the most bits where
            ``model.widths`` learns them.
        dense: Whether a neuron reads all inputs; otherwise the operands of its wiring.
        bound: How training keeps the sum within ``accumulator_bits``: ``"none"``, ``"a2q"`` or ``"a2q+"``; for fixed-point weights.
        accumulator_bits: Bits of the sum with its sign, where it is bounded.
        bound_weight: Weight in the training loss of norms beyond the bound.
        rescale: ``"exact"``: batch norm has any factor, and sums become codes by comparisons or tables; ``"shift"``: factors are
            powers of two, so that a code is a range of bits of the sum.
        exact_scores: Whether the scores of a last layer are the sums themselves; otherwise they are quantised like hidden codes.
        extra_depth: Adders on a path beyond the fewest possible; -1 for no bound, which takes the fewest adders.
        lr_scale: Factor on the learning rate for weights.
    """

    weights: str = "fixed-point"
    weight_bits: int = 4
    dense: bool = True
    bound: str = "none"
    accumulator_bits: int = 12
    bound_weight: float = 1e-3
    rescale: str = "exact"
    exact_scores: bool = True
    extra_depth: int = -1
    lr_scale: float = 1.0

    def __post_init__(self) -> None:
        where = "model.arithmetic"
        one_of(f"{where}.weights", self.weights, WEIGHTS)
        one_of(f"{where}.bound", self.bound, BOUNDS)
        one_of(f"{where}.rescale", self.rescale, RESCALES)
        low, high = _FEWEST_BITS[self.weights], _MOST_BITS[self.weights]
        if self.weights in ("power-of-two", "fixed-point") and not low <= self.weight_bits <= high:
            raise UserError(f"{where}.weight_bits of {self.weights} weights is {low} to {high}, got {self.weight_bits}")
        if self.bound != "none" and self.weights != "fixed-point":
            raise UserError(
                f"{where}.bound = '{self.bound}' is for fixed-point weights, got {where}.weights = '{self.weights}'; the sums of the "
                "others are exact"
            )
        if not 2 <= self.accumulator_bits <= 32:
            raise UserError(f"{where}.accumulator_bits is 2 to 32, got {self.accumulator_bits}")
        if self.extra_depth < -1 or self.bound_weight < 0 or not self.lr_scale > 0:
            raise UserError(
                f"{where} needs an extra_depth of at least -1, a bound_weight of at least 0 and a positive lr_scale, got "
                f"{self.extra_depth}, {self.bound_weight} and {self.lr_scale}"
            )
