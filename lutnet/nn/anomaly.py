"""Autoencoders as detectors of anomalies: the error of the reconstruction, computed in hardware."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lutnet.answers import AnomalyAnswer, Answer, roc_area
from lutnet.cost import Device, adder_luts, table_luts
from lutnet.errors import UserError
from lutnet.nn.cost import LayerCost
from lutnet.nn.head_options import HeadOptions
from lutnet.nn.heads import Head
from lutnet.nn.layer import Layer
from lutnet.nn.quantize import Quantizer
from lutnet.nn.wires import DecisionWires
from lutnet.tables import TruthTable

__all__ = ["AnomalyHead"]

MAX_ERROR_ADDRESS_BITS = 16
"""Most bits of a feature's code and of its reconstruction together."""


class AnomalyHead(Head):
    """The network reconstructs the values of its features' codes; the score of a row is the sum of the features' errors.

    The error of a feature is a table of its code and the code of its reconstruction: the absolute or squared difference of their
    values in steps, rounded, saturating at ``2**error_bits - 1`` steps. The sum is exact. A row whose sum reaches a threshold is an
    anomaly. Step and threshold are chosen on the validation rows of the normal class.

    Attributes:
        normal: Number of the class that is no anomaly: only its rows are trained on.
        options: See :class:`HeadOptions`.
        step: Buffer, what one step is worth, float64; 0 as long as errors are real numbers.
        threshold: Buffer, the least sum that is an anomaly, int64.
    """

    kind = "anomaly"
    metric = AnomalyAnswer.metric
    names_neurons = False
    needs_tables = True
    step: Tensor
    threshold: Tensor

    def __init__(self, normal: int = 0, options: HeadOptions | None = None) -> None:
        super().__init__()
        self.normal = normal
        self.options = options if options is not None else HeadOptions(kind="anomaly")
        self.register_buffer("step", torch.zeros((), dtype=torch.float64))
        self.register_buffer("threshold", torch.ones((), dtype=torch.int64))

    def bind(self, inputs: Quantizer, last: Layer) -> None:
        """Told what is reconstructed, and by whom.

        Raises:
            UserError: The layer has not one neuron a feature, or a table of errors would be too wide.
        """
        if inputs.channels != last.out_features:
            raise UserError(
                f"an autoencoder has a neuron for each of {inputs.channels} features, its last layer has {last.out_features}"
            )
        bits = int((inputs.feature_bits(last.out_features) + last.out_bits()).max())
        if bits > MAX_ERROR_ADDRESS_BITS:
            raise UserError(
                f"the error of a feature is a table of the bits of its code and of its reconstruction, {bits} in all, at most "
                f"{MAX_ERROR_ADDRESS_BITS} are allowed; lower model.output_bitwidth or model.input_bitwidth"
            )
        super().bind(inputs, last)

    def n_neurons(self, n_features: int, n_names: int) -> int:
        return n_features

    def learns_from(self, y: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        return np.asarray(y == self.normal)

    def targets(self, prepared: Tensor, y: Tensor) -> Tensor:
        return prepared.float()

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Mean error, without steps."""
        return self._differences(targets, scores).mean()

    def settle(self, scores: Tensor, prepared: Tensor, y: Tensor) -> None:
        """Sets step and threshold; the head of a floating-point network goes on with real errors.

        Raises:
            UserError: No row is normal.
        """
        if self._parts is None:
            return
        rows = torch.as_tensor(self.learns_from(y.cpu().numpy()), device=scores.device)
        if not bool(rows.any()):
            raise UserError(
                f"the threshold of anomalies is chosen on normal rows, but none of {len(y)} validation rows is of class {self.normal}"
            )
        errors = self._differences(prepared[rows].double(), scores[rows].double()).detach().cpu().numpy()
        reach = float(np.quantile(errors, self.options.error_quantile)) or float(errors.max()) or 1.0
        self.step.fill_(reach / self._highest)
        sums = np.sort(self.evidence(scores[rows], prepared[rows])[:, 0].long().cpu().numpy())
        n_quiet = int(np.ceil((1.0 - self.options.false_alarms) * len(sums)))
        self.threshold.fill_(int(sums[n_quiet - 1]) + 1)

    def evidence(self, scores: Tensor, prepared: Tensor) -> Tensor:
        return self.errors(prepared.double(), scores.double()).sum(dim=1, keepdim=True)

    def measure(self, evidence: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
        return roc_area(evidence[:, 0], y != self.normal)

    def errors(self, values: Tensor, reconstructed: Tensor) -> Tensor:
        """Errors of features in steps, whole numbers, shape of both arguments; real numbers as long as there is no step."""
        found = self._differences(values, reconstructed)
        if self._parts is None or not bool(self.step > 0):
            return found
        return (found / self.step).round().clamp_max(self._highest)

    def codes(self, codes: Tensor, prepared: Tensor) -> Tensor:
        sums = self.errors(prepared, self.last.quantizer.values(codes)).sum(dim=1).long()
        return torch.stack((sums, (sums >= self.threshold).long()), dim=1)

    def tables(self) -> list[TruthTable]:
        """The error of each feature by its code and that of its reconstruction.

        Raises:
            UserError: Step and threshold have not been chosen.
        """
        if not bool(self.step > 0):
            raise UserError(
                "the step of the errors and the threshold of anomalies are chosen on validation rows; train the network, or call "
                "its settle() with rows"
            )
        found = []
        n = self.last.out_features
        formats = zip(self.inputs.feature_formats(n), self.last.quantizer.feature_formats(n), strict=True)
        for given, made in formats:
            values, reconstructed = (torch.from_numpy(fmt.values()).to(self.step) for fmt in (given, made))
            entries = self.errors(values[None, :], reconstructed[:, None]).reshape(-1).long().cpu().numpy()
            width = max(1, int(entries.max()).bit_length())
            found.append(TruthTable((given.bits, made.bits), width, entries))
        return found

    def lower(self, wires: DecisionWires, rows: Sequence[int], inputs: Sequence[int]) -> dict[str, int]:
        tables = self.tables()
        parts = zip(tables, inputs, rows, strict=True)
        operands = [wires.lut(table, [given, made]) for table, given, made in parts if table.codes.any()]
        total = wires.sum(operands) if operands else wires.const(0, 1)
        largest, least = sum(int(table.codes.max()) for table in tables), int(self.threshold)
        known = least <= 0 or least > largest
        alarm = wires.const(int(least <= 0), 1) if known else wires.threshold(total, least)
        return {"error": total, "anomaly": alarm}

    def summary(self, device: Device) -> LayerCost:
        """Tables of the errors and their adders."""
        n, bits = self.last.out_features, self.options.error_bits
        widths = (self.inputs.feature_bits(n) + self.last.out_bits()).tolist()
        luts = sum(table_luts(width, bits, device) for width in widths) + adder_luts(bits, n)
        return LayerCost("error", "error", n, max(widths), bits, sum(1 << width for width in widths), luts)

    def answer(self) -> Answer:
        return AnomalyAnswer(normal=self.normal)

    @property
    def _highest(self) -> int:
        return (1 << self.options.error_bits) - 1

    def _differences(self, values: Tensor, reconstructed: Tensor) -> Tensor:
        apart = (values - reconstructed).abs()
        return apart * apart if self.options.error == "squared" else apart
