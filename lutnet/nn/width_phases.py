"""The phases of a training in which bit widths are learned; see :class:`lutnet.nn.width_options.WidthOptions`."""

from __future__ import annotations

import torch
from torch import nn

from lutnet.nn.width_options import WidthOptions

__all__ = ["WidthPhases"]


class WidthPhases:
    """What a module with learned widths does at some point of the training.

    Attributes:
        width: Parameter, the widths in bits; the module makes it.
        relaxed: Whether values are real, as if there were no widths.
        moving: Whether widths get a gradient.
        pressure: Factor on the gradient of their cost, 0 to 1.
    """

    width: nn.Parameter
    relaxed: bool = False
    moving: bool = True
    pressure: float = 1.0

    def enter_phase(self, options: WidthOptions, progress: float) -> None:
        """Moves, and settles the widths for good once that share of the training is done."""
        self.relaxed = progress < options.float_until
        self.moving = options.move_from <= progress < options.settle_at
        grown = (progress - options.move_from) / options.cost_warmup if options.cost_warmup else 1.0
        self.pressure = min(1.0, max(0.0, grown)) if self.moving else 0.0
        if progress >= options.settle_at:
            with torch.no_grad():
                self.width.copy_(self.width.round())
