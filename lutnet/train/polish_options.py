"""How finished tables are polished, as data."""

from __future__ import annotations

from dataclasses import dataclass

from lutnet.errors import UserError

__all__ = ["PolishOptions"]


@dataclass(frozen=True)
class PolishOptions:
    """Entries of tables chosen by the loss after the training: ``[train.polish]``; see :mod:`lutnet.train.polish`.

    Attributes:
        sweeps: Passes over all tables; 0 for none.
        least_gain: Least fall of the summed loss of the training rows, in nats, for which an entry is changed, and several tables together.
        restarts: Random beginnings of the joint choice of two tables and of the one that alone reads them, besides what they are; 0 for
            no such choices.
        teacher_weight: Share of a dense float teacher's probabilities in what the network is to answer, 0 to 1; the label has the rest.
            A teacher's answers are less noisy than labels, so that smaller gains can be trusted. The teacher's layers are
            ``train.teacher_layers``.
        teacher_power: Power to which the teacher's probabilities are raised before they are made to add up to 1 again: above 1 the tables
            are chosen for the teacher's decisions rather than for its doubts.
        features: Whether tables of the first layer may read other features, each in the place of one of the same number of bits; where
            a table joins two of one feature each and reads them alone, all three are chosen for it. At most 32 ways are tried at once.
    """

    sweeps: int = 0
    least_gain: float = 10.0
    restarts: int = 0
    teacher_weight: float = 0.0
    teacher_power: float = 1.0
    features: bool = False

    def __post_init__(self) -> None:
        where = "train.polish"
        if self.sweeps < 0 or self.restarts < 0 or not self.least_gain >= 0:
            raise UserError(
                f"{where}.sweeps, restarts and least_gain are at least 0, got {self.sweeps}, {self.restarts} and {self.least_gain}"
            )
        if not 0 <= self.teacher_weight <= 1:
            raise UserError(f"{where}.teacher_weight is 0 to 1, got {self.teacher_weight}")
        if not 0 < self.teacher_power <= 16:
            raise UserError(f"{where}.teacher_power is above 0 and at most 16, got {self.teacher_power}")
