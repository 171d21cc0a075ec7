"""Settings of learned bit widths as frozen data; nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass

from lutnet.errors import UserError
from lutnet.nn.options import one_of

__all__ = ["GRANULARITIES", "WidthOptions"]

GRANULARITIES = ("none", "layer", "channel", "element")
"""What shares one learned width: nothing is learned, all inputs of a layer, all readers of an input, or a connection alone."""

COSTS = ("table", "sum")
"""What a neuron's cost is taken to be."""


@dataclass(frozen=True)
class WidthOptions:
    """Bit widths learned by gradient, and the phases of their training: ``[model.widths]``.

    A training with learned widths goes through four phases: real-valued hidden codes, quantised codes of the first widths,
    widths that move, and widths that are settled.

    Attributes:
        granularity: Which of an input's bits have one width together: ``"none"`` (no widths are learned), ``"layer"``,
            ``"channel"`` (an input of the layer, for all its readers) or ``"element"`` (a connection).
        start_bits: First width; 0 for as much as the source has and the table budget allows.
        float_until: Fraction of training in which hidden values are clipped, but not rounded.
        move_from: Fraction at which the widths begin to move.
        settle_at: Fraction at which they are rounded for good, and the cost lets go.
        cost_warmup: Fraction of training, from ``move_from`` on, over which the gradient of the cost grows to its full size.
        cost: What a neuron is taken to cost: ``"table"``, the closed form of its table, or ``"sum"``, what `lutnet opt` makes of a
            neuron that quantises a weighted sum. Also where no widths are learned.
        lr_scale: Factor on the learning rate for widths, which count in bits.
    """

    granularity: str = "none"
    start_bits: float = 0.0
    float_until: float = 0.0
    move_from: float = 0.1
    settle_at: float = 0.6
    cost_warmup: float = 0.2
    cost: str = "table"
    lr_scale: float = 2.0

    def __post_init__(self) -> None:
        where = "model.widths"
        one_of(f"{where}.granularity", self.granularity, GRANULARITIES)
        one_of(f"{where}.cost", self.cost, COSTS)
        if not 0 <= self.float_until <= self.move_from < self.settle_at <= 1:
            raise UserError(
                f"{where} needs 0 <= float_until <= move_from < settle_at <= 1, got {self.float_until}, {self.move_from} and "
                f"{self.settle_at}"
            )
        if not 0 <= self.cost_warmup <= 1 or self.start_bits < 0 or not self.lr_scale > 0:
            raise UserError(
                f"{where} needs a cost_warmup of 0 to 1, start_bits of at least 0 and a positive lr_scale, got "
                f"{self.cost_warmup}, {self.start_bits} and {self.lr_scale}"
            )
