"""Settings of learned wirings and of ensembles, as frozen data; nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass

from lutnet.errors import UserError
from lutnet.nn.options import one_of

__all__ = ["WIRINGS", "WIRING_METHODS", "EnsembleOptions", "WiringOptions"]

WIRINGS = ("random", "strided", "contiguous", "information", "learned", "file")
"""How the wiring of a layer may be chosen."""

WIRING_METHODS = ("group", "prune", "regrow")
"""How a wiring may be learned."""


@dataclass(frozen=True)
class WiringOptions:
    """How wirings are chosen from data: ``[model.wiring_learning]``. The methods are those of ``lutnet.nn.wiring_search``.

    Attributes:
        method: ``"group"`` (dense, with an exponential penalty of each neuron's weights, then the largest ones), ``"prune"`` (magnitude
            pruning with a schedule) or ``"regrow"`` (pruned connections may come back).
        epochs: Passes over the training set that the search takes, before the training proper.
        batch_size: Rows of a step of the search.
        learning_rate: Of AdamW in the search, half a cosine long.
        penalty: Weight of the exponential penalty; for the method ``"group"``.
        penalty_rate: Growth of the exponential penalty, in doublings for one unit of a neuron's weights.
        prune_from: Share of the search until which it is dense, and ``prune_until`` the share from which every neuron has its fan-in; for
            ``"prune"`` and ``"regrow"``.
        redundancy: How much a feature is passed over whose information a neuron already has, 0 to 1; for the wiring
            ``"information"``.
    """

    method: str = "regrow"
    epochs: int = 10
    batch_size: int = 256
    learning_rate: float = 2e-2
    penalty: float = 1e-4
    penalty_rate: float = 0.03
    prune_from: float = 0.0
    prune_until: float = 0.3
    redundancy: float = 0.25

    def __post_init__(self) -> None:
        where = "model.wiring_learning"
        one_of(f"{where}.method", self.method, WIRING_METHODS)
        if self.epochs < 1 or self.batch_size < 2:
            raise UserError(
                f"{where}.epochs is at least 1 and batch_size at least 2, got {self.epochs} and {self.batch_size}"
            )
        if not self.learning_rate > 0 or self.penalty < 0 or self.penalty_rate <= 0:
            raise UserError(
                f"{where}.learning_rate and penalty_rate must be positive and penalty at least 0, got {self.learning_rate}, "
                f"{self.penalty_rate} and {self.penalty}"
            )
        if not 0 <= self.prune_from <= self.prune_until < 1:
            raise UserError(
                f"{where}.prune_from and prune_until are shares of the search in this order, 0 to below 1, got "
                f"{self.prune_from} and {self.prune_until}"
            )
        if not 0 <= self.redundancy <= 1:
            raise UserError(f"{where}.redundancy is 0 to 1, got {self.redundancy}")


@dataclass(frozen=True)
class EnsembleOptions:
    """Several networks whose scores are joined in one netlist: ``[model.ensemble]``.

    Attributes:
        members: M, how many; 1 for a plain network.
        join: ``"sum"`` for the exact sum of the members' scores, ``"average"`` for their mean, quantised once more like a score.
        train: ``"jointly"``, or ``"in-turn"``: one member after the other, those before it fixed.
    """

    members: int = 1
    join: str = "sum"
    train: str = "jointly"

    def __post_init__(self) -> None:
        where = "model.ensemble"
        one_of(f"{where}.join", self.join, ("sum", "average"))
        one_of(f"{where}.train", self.train, ("jointly", "in-turn"))
        if not 1 <= self.members <= 64:
            raise UserError(f"{where}.members is 1 to 64, got {self.members}")
