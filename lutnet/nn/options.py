"""Settings of families and encoders as frozen data; nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass

from lutnet.errors import UserError

__all__ = ["THERMOMETERS", "DifferentiableOptions", "ThermometerOptions", "one_of"]

THERMOMETERS = ("uniform", "quantile", "gaussian")
"""How the first thresholds of thermometer codes are chosen."""


@dataclass(frozen=True)
class DifferentiableOptions:
    """Differentiable lookup tables: ``[model.differentiable]``.

    Attributes:
        lut_inputs: K, inputs of each function, 2 to 6.
        mapping: Which bits the functions read: ``"first"`` (learned in the first layer, random behind it),
            ``"learned"`` (in every layer) or ``"random"``.
        parametrization: ``"entries"``, ``"walsh"``, or ``"gates"`` for K = 2.
        relaxation: ``"hard"`` or ``"soft"``, see :class:`lutnet.nn.DifferentiableLut`.
        init: ``"uniform"`` or ``"residual"``.
        tau: Count that makes one unit of a score in the training loss.
        difference_decay: Weight of more distant addresses in the gradient to the inputs, 0 to 1.
        mapping_until: Fraction of training after which a learned mapping is frozen.
        mapping_lr_scale: Factor on the learning rate for the scores of a learned mapping.
        spectral_weight: Weight of the spectral penalty.
        harden_from: Fraction of training at which soft tables begin to harden.
        harden_until: Fraction at which they are hard.
    """

    lut_inputs: int = 6
    mapping: str = "first"
    parametrization: str = "entries"
    relaxation: str = "hard"
    init: str = "uniform"
    tau: float = 3.0
    difference_decay: float = 1 / 3
    mapping_until: float = 1.0
    mapping_lr_scale: float = 0.15
    spectral_weight: float = 0.0
    harden_from: float = 0.25
    harden_until: float = 0.75

    def __post_init__(self) -> None:
        where = "model.differentiable"
        if not 2 <= self.lut_inputs <= 6:
            raise UserError(f"{where}.lut_inputs is 2 to 6, got {self.lut_inputs}")
        one_of(f"{where}.mapping", self.mapping, ("first", "learned", "random"))
        one_of(f"{where}.parametrization", self.parametrization, ("entries", "walsh", "gates"))
        one_of(f"{where}.relaxation", self.relaxation, ("hard", "soft"))
        one_of(f"{where}.init", self.init, ("uniform", "residual"))
        if self.parametrization == "gates" and self.lut_inputs != 2:
            raise UserError(
                f"{where}.parametrization = 'gates' is for lut_inputs = 2, got {self.lut_inputs}; choose 'walsh'"
            )
        if not 0 <= self.harden_from <= self.harden_until <= 1:
            raise UserError(
                f"{where} needs 0 <= harden_from <= harden_until <= 1, got {self.harden_from} and {self.harden_until}"
            )
        if not (self.tau > 0 and 0 <= self.difference_decay <= 1 and self.mapping_lr_scale > 0):
            raise UserError(
                f"{where} needs a positive tau and mapping_lr_scale and a difference_decay of 0 to 1, got {self.tau}, "
                f"{self.mapping_lr_scale} and {self.difference_decay}"
            )
        if not (0 <= self.mapping_until <= 1 and self.spectral_weight >= 0):
            raise UserError(
                f"{where} needs a mapping_until of 0 to 1 and a spectral_weight of at least 0, got "
                f"{self.mapping_until} and {self.spectral_weight}"
            )


@dataclass(frozen=True)
class ThermometerOptions:
    """Thermometer codes in front of Boolean functions: ``[model.thermometer]``.

    Attributes:
        n_thresholds: Bits of each feature.
        placement: First thresholds: ``"uniform"``, ``"quantile"`` or ``"gaussian"``.
        learned: Whether training moves them.
        ramp: Half width of the gradient of learned thresholds, in codes.
        lr_scale: Factor on the learning rate for learned thresholds.
    """

    n_thresholds: int = 1
    placement: str = "quantile"
    learned: bool = False
    ramp: float = 4.0
    lr_scale: float = 1.0

    def __post_init__(self) -> None:
        where = "model.thermometer"
        one_of(f"{where}.placement", self.placement, THERMOMETERS)
        if self.n_thresholds < 1 or not self.ramp > 0 or not self.lr_scale > 0:
            raise UserError(
                f"{where} needs at least 1 threshold and a positive ramp and lr_scale, got {self.n_thresholds}, "
                f"{self.ramp} and {self.lr_scale}"
            )


def one_of(where: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a value that is not among the known ones."""
    if value not in known:
        raise UserError(f"{where} is one of {', '.join(known)}, got '{value}'")
