"""What a search optimises: accuracy times a forgiving factor, or accuracy and cost as two objectives."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lutnet.errors import UserError
from lutnet.nn.options import one_of

__all__ = ["COSTS", "MODES", "Figures", "Objective", "forgiving_factor"]

COSTS = ("luts", "bits", "energy")
"""Lookup tables of the netlist, bits of its truth tables, dynamic energy of a sample in pJ."""

MODES = ("forgiving", "multi")
"""One objective, accuracy times the forgiving factor; or two, accuracy and cost."""

_LEAST_SHARE = 1e-6


@dataclass(frozen=True)
class Objective:
    """How trials are judged: ``[objective]`` of a space file.

    Attributes:
        mode: A member of :data:`MODES`.
        cost: A member of :data:`COSTS`.
        tolerated_drop: Share of the accuracy that may be lost where the cost falls by the factor ``rate``.
        rate: That factor, above 1.
        stress: Factor on the reference cost; below 1 it makes the search look for smaller networks.
        reference_cost: Cost at which the forgiving factor is 1, in the unit of ``cost``; 0 for the cost of the base
            configuration's network before training.

    Raises:
        UserError: A name is unknown or a number out of its range.
    """

    mode: str = "forgiving"
    cost: str = "luts"
    tolerated_drop: float = 0.02
    rate: float = 2.0
    stress: float = 1.0
    reference_cost: float = 0.0

    def __post_init__(self) -> None:
        one_of("objective.mode", self.mode, MODES)
        one_of("objective.cost", self.cost, COSTS)
        if not (0 < self.tolerated_drop < 1 and self.rate > 1 and self.stress > 0 and self.reference_cost >= 0):
            raise UserError(
                "objective needs a tolerated_drop between 0 and 1, a rate above 1, a positive stress and a reference_cost of at "
                f"least 0, got {self.tolerated_drop}, {self.rate}, {self.stress} and {self.reference_cost}"
            )

    def score(self, accuracy: float, cost: float, reference: float) -> float:
        """Accuracy times the forgiving factor."""
        return accuracy * forgiving_factor(
            cost, reference, tolerated_drop=self.tolerated_drop, rate=self.rate, stress=self.stress
        )

    def values(self, figures: Figures, reference: float) -> tuple[float, ...]:
        """The values of a trial: its score, or its validation accuracy and cost."""
        cost = figures.cost(self.cost)
        if self.mode == "multi":
            return figures.validation_accuracy, cost
        return (self.score(figures.validation_accuracy, cost, reference),)


@dataclass(frozen=True)
class Figures:
    """What was measured on a trained network.

    Attributes:
        validation_accuracy: Share of the validation rows that it gets right.
        luts: Estimated lookup tables of its netlist after the passes that every compilation makes, decision included.
        bits: Bits of that netlist's truth tables.
        energy_pj: Dynamic energy of one sample, where it was asked for.
    """

    validation_accuracy: float
    luts: int
    bits: int
    energy_pj: float | None = None

    def cost(self, kind: str) -> float:
        """The cost of a kind.

        Raises:
            UserError: It was not measured.
        """
        one_of("objective.cost", kind, COSTS)
        found = {"luts": self.luts, "bits": self.bits, "energy": self.energy_pj}[kind]
        if found is None:
            raise UserError(
                "the energy of this device's nodes is not known; choose another train.cost_device or another cost"
            )
        return float(found)


def forgiving_factor(
    cost: float, reference: float, *, tolerated_drop: float = 0.02, rate: float = 2.0, stress: float = 1.0
) -> float:
    """How much accuracy a smaller cost makes up for: 1 at the reference, more below.

    Coelho et al., "Automatic heterogeneous quantization of deep neural networks for low-latency inference on the edge for particle
    detectors", Nature Machine Intelligence 3 (2021), arXiv 2006.10159, Section "AutoQKeras":
    ``FF = 1 + d_acc * log_R(S * C_ref / C_trial)``. Deviation: a cost below a millionth of the reference counts as that, so that a
    network without any hardware has a finite factor.

    Args:
        cost: C_trial, at least 0.
        reference: C_ref, positive.
        tolerated_drop: d_acc, as a share.
        rate: R.
        stress: S.

    Raises:
        UserError: The reference is not positive.
    """
    if not reference > 0 or not cost >= 0:
        raise UserError(
            f"a forgiving factor needs a positive reference and a cost of at least 0, got {reference} and {cost}"
        )
    return 1.0 + tolerated_drop * math.log(stress * reference / max(cost, _LEAST_SHARE * reference)) / math.log(rate)
