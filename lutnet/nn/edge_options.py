"""Settings of additive layers as frozen data; nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass

from lutnet.errors import UserError

__all__ = ["AdditiveOptions"]


@dataclass(frozen=True)
class AdditiveOptions:
    """Edge tables and sums: ``[model.additive]``.

    Attributes:
        parametrization: What the edge functions are made of, a key of ``lutnet.nn.edge_tables.EDGE_TABLES``.
        hidden_bits: Bits of a hidden code.
        fraction_bits: Low bits of a hidden sum that its code leaves out.
        smoothness: Weight in the training loss of the sum of squared differences of neighbouring entries.
        smooth_order: 1 for the entries' differences, which also keeps tables small; 2 for the differences of these, which
            lets straight tables be.
        cost_warmup: Fraction of training over which the gradient of the hardware cost grows to its full size.
        prune_swing: An edge whose table swings by less than this many integers is cut off for good.
        prune_from: Fraction of training at which cutting begins, with a threshold that grows from 0.
        settle_at: Fraction at which the threshold has grown to ``prune_swing``, and the widths of all edges are settled;
            afterwards the cost no longer acts. 1 to never settle them.
        edge_bits: Bits that every edge has from the start, none cut off or narrowed: the uniform widths that learned ones are
            compared with. 0 to learn them.
        swing: Swing of the scores at the start, in integers.
        temperature: What one integer of a score is worth in the training loss at the start; learned.
        lr_scale: Factor on the learning rate for entries and spline coefficients, which count in integers.
        spline_cells: Cells of a spline.
        spline_degree: Degree of a spline.
        mlp_units: Hidden units of the perceptron of an edge.
    """

    parametrization: str = "entries"
    hidden_bits: int = 6
    fraction_bits: int = 0
    smoothness: float = 1e-5
    smooth_order: int = 1
    cost_warmup: float = 0.3
    prune_swing: float = 1.0
    prune_from: float = 0.3
    settle_at: float = 0.6
    edge_bits: int = 0
    swing: float = 12.0
    temperature: float = 0.1
    lr_scale: float = 100.0
    spline_cells: int = 12
    spline_degree: int = 3
    mlp_units: int = 8

    def __post_init__(self) -> None:
        where = "model.additive"
        for name, least in (
            ("hidden_bits", 1),
            ("fraction_bits", 0),
            ("edge_bits", 0),
            ("spline_cells", 1),
            ("spline_degree", 0),
            ("mlp_units", 1),
        ):
            if getattr(self, name) < least:
                raise UserError(f"{where}.{name} is at least {least}, got {getattr(self, name)}")
        if self.smooth_order not in (1, 2):
            raise UserError(f"{where}.smooth_order is 1 or 2, got {self.smooth_order}")
        if not 0 <= self.prune_from <= self.settle_at <= 1:
            raise UserError(
                f"{where} needs 0 <= prune_from <= settle_at <= 1, got {self.prune_from} and {self.settle_at}"
            )
        if not 0 <= self.cost_warmup <= 1 or self.smoothness < 0 or self.prune_swing < 0:
            raise UserError(
                f"{where} needs a cost_warmup of 0 to 1, smoothness and prune_swing of at least 0, got "
                f"{self.cost_warmup}, {self.smoothness} and {self.prune_swing}"
            )
        if not (self.swing > 0 and self.temperature > 0 and self.lr_scale > 0):
            raise UserError(
                f"{where} needs a positive swing, temperature and lr_scale, got {self.swing}, {self.temperature} and "
                f"{self.lr_scale}"
            )
