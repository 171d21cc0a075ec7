"""How strongly the hardware cost pulls while a network is trained: constant, growing, in cycles, or steered to a target.

Sun et al., "HGQ: high granularity quantization for real-time neural networks on FPGAs", 2024 (arXiv 2405.00645), Section
III-E: one training in which the weight of the cost grows exponentially passes through networks of every size, and those that no
other beats are kept. Deviation: the weight may also grow in steps, one a cycle, so that every size is given a phase in which widths
move and one in which they are settled (``Layer.schedule``), with a learning rate that falls in both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lutnet.train.config import TrainConfig

__all__ = ["CostController", "CostSchedule"]

PROPORTIONAL = 4.0
"""Decades of cost weight by which the controller answers at once to a cost that is a decade off."""

INTEGRAL = 5.0
"""Decades of cost weight that the controller adds over its descent while the cost is a decade off."""

DESCENT = 0.5
"""Share of the time before networks are kept over which the controller lets the cost come down to the target."""

FIRST_SHARE = 0.02
"""Loss that the whole cost makes in the first step of the controller, unless the configuration gives a weight."""

WEIGHTS = (1e-9, 1.0)
"""Between these the controller stays."""


@dataclass(frozen=True)
class CostSchedule:
    """Cycles, learning rate and weight of the cost, as functions of the epochs done.

    Attributes:
        config: How to train.
    """

    config: TrainConfig

    @property
    def cycle_epochs(self) -> int:
        """Epochs of a cycle."""
        return self.config.epochs // self.config.cost_cycles

    def progress(self, epochs: float) -> float:
        """Fraction of the present cycle that is done: what the layers are told."""
        return (epochs % self.cycle_epochs) / self.cycle_epochs

    def learning_rate(self, epochs: float) -> float:
        """Half a cosine a period: from the full rate to 0."""
        period = self.config.restart_epochs or self.cycle_epochs
        return 0.5 * self.config.learning_rate * (1 + math.cos(math.pi * (epochs % period) / period))

    def cost_weight(self, epochs: float) -> float:
        """Weight of the cost: geometric from the first to the last one, by cycle or, in a single cycle, by step."""
        config = self.config
        if not config.cost_weight_end:
            return config.cost_weight
        if config.cost_cycles > 1:
            share = (epochs // self.cycle_epochs) / (config.cost_cycles - 1)
        else:
            share = epochs / config.epochs
        growth: float = (config.cost_weight_end / config.cost_weight) ** min(1.0, share)
        return config.cost_weight * growth

    @property
    def first_kept(self) -> int:
        """First epoch of a cycle after which a network may be kept."""
        return min(self.cycle_epochs - 1, math.ceil(self.config.keep_after * self.cycle_epochs))

    def may_keep(self, epoch: int) -> bool:
        """Whether the network may be kept after an epoch: it is late enough in its cycle."""
        return epoch % self.cycle_epochs >= self.first_kept


@dataclass
class CostController:
    """Proportional and integral control of the cost weight towards a number of lookup tables, on logarithmic scales.

    What is steered is the differentiable cost times a ratio: lookup tables that were last measured over the cost at that time. It
    follows a set point that falls geometrically from the first cost to the target, so that a network which needs many steps to
    shrink is not driven past it.

    Attributes:
        target_luts: Where to steer.
        descent_epochs: Epochs until the set point is at the target.
        weight: Cost weight now.
        log_weight: Logarithm to base 10 of the integral part.
        ratio: Lookup tables measured for each one of the cost.
        first_cost: Cost of the first step, 0 before it.
        epochs: Epochs done.
    """

    target_luts: float
    descent_epochs: float
    weight: float = 0.0
    log_weight: float = -math.inf
    ratio: float = 1.0
    first_cost: float = 0.0
    epochs: float = 0.0

    @classmethod
    def of(cls, config: TrainConfig) -> CostController | None:
        """The controller of a configuration, if it has a target."""
        if not config.target_luts:
            return None
        descent = DESCENT * (config.keep_after or 1.0) * config.epochs
        first = config.cost_weight
        return cls(float(config.target_luts), descent, first, math.log10(first) if first else -math.inf)

    def update(self, cost: float, epochs: float) -> None:
        """Takes in the cost after a step.

        Args:
            cost: Differentiable cost now.
            epochs: Length of the step in epochs.
        """
        low, high = map(math.log10, WEIGHTS)
        self.first_cost = self.first_cost or cost
        if self.log_weight == -math.inf:
            self.log_weight = math.log10(FIRST_SHARE / max(cost, 1e-3))
        self.epochs += epochs
        left = max(0.0, 1.0 - self.epochs / self.descent_epochs)
        wanted = self.target_luts * max(1.0, self.first_cost * self.ratio / self.target_luts) ** left
        error = math.log10(max(cost * self.ratio, 1e-3) / wanted)
        step = INTEGRAL * error * epochs / self.descent_epochs
        self.log_weight = min(high, max(low, self.log_weight + step))
        self.weight = 10.0 ** min(high, max(low, self.log_weight + PROPORTIONAL * error))

    def measured(self, luts: float, cost: float) -> None:
        """Takes in the lookup tables of the network as it is now, whose differentiable cost is ``cost``."""
        if luts > 0 and cost > 0:
            self.ratio = luts / cost

    def state(self) -> list[float]:
        """What a checkpoint has to hold."""
        return [self.weight, self.log_weight, self.ratio, self.first_cost, self.epochs]

    def restore(self, state: list[float]) -> None:
        """Goes on from what :meth:`state` gave."""
        self.weight, self.log_weight, self.ratio, self.first_cost, self.epochs = state
