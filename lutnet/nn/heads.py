"""What a network's last codes are for: how they are trained, judged, decided and built.

A network is layers and a head. The head knows the loss, chooses what a decision needs (thresholds) on validation rows, and adds the
decision to the netlist; what the netlist's outputs then say is its :class:`lutnet.answers.Answer`.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from lutnet.answers import (
    Answer,
    ClassAnswer,
    LabelsAnswer,
    NumbersAnswer,
    ScoresAnswer,
    accuracy,
    determination,
    f1_scores,
)
from lutnet.cost import Device, argmax_luts, threshold_luts
from lutnet.errors import UserError
from lutnet.formats import Codebook, CodeFormat, Format
from lutnet.nn.cost import LayerCost
from lutnet.nn.layer import Layer
from lutnet.nn.quantize import Quantizer
from lutnet.nn.wires import DecisionWires, Wires
from lutnet.tables import TruthTable

__all__ = ["ClassHead", "Head", "LabelsHead", "RegressionHead", "ScoresHead", "lowest_argmax"]


class Head(nn.Module, ABC):
    """The end of a network. Its buffers, such as thresholds, are saved with the network's weights.

    Attributes:
        inputs: The quantiser of the features, once the head belongs to a network.
        last: The last layer, likewise.
    """

    kind: ClassVar[str]
    metric: ClassVar[str]
    """Name of what :meth:`measure` gives; more is better."""

    names_neurons: ClassVar[bool] = True
    """Whether the network's class names are those of the neurons of its last layer."""

    needs_columns: ClassVar[bool] = False
    """Whether a data set gives a column of real targets a neuron instead of class numbers."""

    needs_tables: ClassVar[bool] = False
    """Whether the codes of the last layer address tables, so that they are to have few bits."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: tuple[Quantizer, Layer] | None = None

    @property
    def inputs(self) -> Quantizer:
        return self._bound()[0]

    @property
    def last(self) -> Layer:
        return self._bound()[1]

    def bind(self, inputs: Quantizer, last: Layer) -> None:
        """Told by a network what stands before it; both belong to the network.

        Raises:
            UserError: The head cannot read the codes of the layer.
        """
        self._parts = (inputs, last)

    def n_neurons(self, n_features: int, n_names: int) -> int:
        """Neurons of the last layer of a network of so many features and class names."""
        return n_names

    # -- training ----------------------------------------------------------------------------------------------------

    def learns_from(self, y: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Which training rows are trained on, shape ``(n,)``, by what the data set says of them."""
        return np.ones(len(y), dtype=np.bool_)

    def targets(self, prepared: Tensor, y: Tensor) -> Tensor:
        """What the network is to answer for prepared rows; the loss compares scores with it."""
        return y

    @abstractmethod
    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """What training lowers, a scalar; scores of shape ``(batch, n_neurons)``."""

    def settle(self, scores: Tensor, prepared: Tensor, y: Tensor) -> None:
        """Chooses what the decision needs on validation rows, in evaluation mode; nothing unless a head says so."""

    @abstractmethod
    def evidence(self, scores: Tensor, prepared: Tensor) -> Tensor:
        """What rows are judged by, shape ``(batch, n)``: of any network, floating-point ones included."""

    @abstractmethod
    def measure(self, evidence: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
        """How good the evidence is; more is better."""

    # -- hardware ----------------------------------------------------------------------------------------------------

    @abstractmethod
    def codes(self, codes: Tensor, prepared: Tensor) -> Tensor:
        """Output codes, int64, shape ``(batch, n_outputs)``, exact.

        Args:
            codes: Of the last layer, shape ``(batch, n_neurons)``.
            prepared: Values of the features' codes in evaluation, shape ``(batch, n_features)``.
        """

    @abstractmethod
    def lower(self, wires: DecisionWires, rows: Sequence[int], inputs: Sequence[int]) -> dict[str, int]:
        """Adds the decision to a netlist.

        Args:
            wires: Where to add it.
            rows: Rows of the last layer's codes.
            inputs: Rows of the features' codes.

        Returns:
            The row of each output by its name, in order.
        """

    def summary(self, device: Device) -> LayerCost | None:
        """Closed-form cost of the decision, if it takes lookup tables."""
        return None

    @abstractmethod
    def answer(self) -> Answer:
        """What the output codes say."""

    def copy(self) -> Head:
        """The same with buffers of its own, for another network."""
        parts, self._parts = self._parts, None
        try:
            return copy.deepcopy(self)
        finally:
            self._parts = parts

    def _bound(self) -> tuple[Quantizer, Layer]:
        if self._parts is None:
            raise UserError(f"{type(self).__name__} belongs to no network yet; give it to a LutNetwork")
        return self._parts

    def _formats(self) -> tuple[CodeFormat, ...]:
        """One format a neuron of the last layer."""
        return self.last.quantizer.feature_formats(self.last.out_features)


class ClassHead(Head):
    """The class is the neuron with the largest integer, ties go to the lowest; trained by cross entropy."""

    kind = "class"
    metric = ClassAnswer.metric

    def bind(self, inputs: Quantizer, last: Layer) -> None:
        _check_comparable(last.quantizer)
        super().bind(inputs, last)

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Cross entropy; targets are class numbers, or probabilities of shape ``(batch, n_classes)``."""
        return functional.cross_entropy(scores, targets)

    def evidence(self, scores: Tensor, prepared: Tensor) -> Tensor:
        return lowest_argmax(scores)[:, None]

    def measure(self, evidence: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
        return accuracy(evidence[:, 0], y)

    def codes(self, codes: Tensor, prepared: Tensor) -> Tensor:
        fmt = self._formats()[0]
        integers = fmt.integers() if isinstance(fmt, Format) else np.arange(1 << fmt.bits)
        return lowest_argmax(torch.from_numpy(integers).to(codes.device)[codes])[:, None]

    def lower(self, wires: DecisionWires, rows: Sequence[int], inputs: Sequence[int]) -> dict[str, int]:
        return {"class": wires.argmax(rows)}

    def summary(self, device: Device) -> LayerCost:
        n_classes, bits = self.last.out_features, self._formats()[0].bits
        index_bits = max(1, (n_classes - 1).bit_length())
        return LayerCost("argmax", "argmax", n_classes, bits, index_bits, 0, argmax_luts(n_classes, bits, device))

    def answer(self) -> Answer:
        return ClassAnswer()


class ScoresHead(ClassHead):
    """A score a class and no decision; trained and judged like classes."""

    kind = "scores"

    def codes(self, codes: Tensor, prepared: Tensor) -> Tensor:
        return codes

    def lower(self, wires: DecisionWires, rows: Sequence[int], inputs: Sequence[int]) -> dict[str, int]:
        return {f"score_{index}": row for index, row in enumerate(rows)}

    def summary(self, device: Device) -> None:
        return None

    def answer(self) -> Answer:
        return ScoresAnswer(self._formats())


class RegressionHead(Head):
    """Every neuron is a fixed-point number; trained by squared errors of standardised targets.

    Layers work on the scale of the standardised targets; mean and spread of the targets make the formats of the outputs, and cost
    nothing.

    Attributes:
        mean: Buffer, mean of each target in the training set, float64, shape ``(n_targets,)``.
        spread: Buffer, standard deviation of each, 1 where it is 0.
    """

    kind = "regression"
    metric = NumbersAnswer.metric
    needs_columns = True
    mean: Tensor
    spread: Tensor

    def __init__(self, n_targets: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_targets, dtype=torch.float64))
        self.register_buffer("spread", torch.ones(n_targets, dtype=torch.float64))

    def fit(self, y: npt.NDArray[Any]) -> None:
        """Sets mean and spread by the targets of training rows, shape ``(n, n_targets)``."""
        data = torch.from_numpy(np.asarray(y, dtype=np.float64))
        spread = data.std(dim=0, unbiased=False)
        self.mean.copy_(data.mean(dim=0))
        self.spread.copy_(torch.where(spread > 0, spread, 1.0))

    def targets(self, prepared: Tensor, y: Tensor) -> Tensor:
        return ((y.double() - self.mean) / self.spread).float()

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Mean squared error."""
        return functional.mse_loss(scores, targets)

    def evidence(self, scores: Tensor, prepared: Tensor) -> Tensor:
        return scores.double() * self.spread + self.mean

    def measure(self, evidence: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
        return determination(evidence, y)

    def codes(self, codes: Tensor, prepared: Tensor) -> Tensor:
        return codes

    def lower(self, wires: DecisionWires, rows: Sequence[int], inputs: Sequence[int]) -> dict[str, int]:
        return {f"value_{index}": row for index, row in enumerate(rows)}

    def answer(self) -> Answer:
        scales = zip(self._formats(), self.spread.tolist(), self.mean.tolist(), strict=True)
        return NumbersAnswer(tuple(_moved(fmt, spread, mean) for fmt, spread, mean in scales))


class LabelsHead(Head):
    """Every neuron says whether its label applies: a bit, the score compared with a threshold; trained by binary cross entropy.

    Attributes:
        best: Whether thresholds are those of the best F1 on validation rows, else 0.
        thresholds: Buffer, the least score with which each label applies, float64, shape ``(n_labels,)``.
    """

    kind = "labels"
    metric = LabelsAnswer.metric
    needs_columns = True
    thresholds: Tensor

    def __init__(self, n_labels: int, *, best: bool = True) -> None:
        super().__init__()
        self.best = best
        self.register_buffer("thresholds", torch.zeros(n_labels, dtype=torch.float64))

    def targets(self, prepared: Tensor, y: Tensor) -> Tensor:
        return y.float()

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Binary cross entropy, the scores being logits."""
        return functional.binary_cross_entropy_with_logits(scores, targets)

    def settle(self, scores: Tensor, prepared: Tensor, y: Tensor) -> None:
        if self.best:
            columns = zip(scores.detach().double().cpu().numpy().T, y.cpu().numpy().T, strict=True)
            found = [_best_threshold(column, truth > 0.5) for column, truth in columns]
            self.thresholds.copy_(torch.tensor(found, dtype=torch.float64))

    def evidence(self, scores: Tensor, prepared: Tensor) -> Tensor:
        return (scores.double() >= self.thresholds).long()

    def measure(self, evidence: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
        return float(f1_scores(evidence != 0, y).mean())

    def codes(self, codes: Tensor, prepared: Tensor) -> Tensor:
        return (self.last.quantizer.values(codes) >= self.thresholds).long()

    def lower(self, wires: DecisionWires, rows: Sequence[int], inputs: Sequence[int]) -> dict[str, int]:
        parts = zip(rows, self._formats(), self.thresholds.tolist(), strict=True)
        return {f"label_{index}": _reaches(wires, row, fmt, least) for index, (row, fmt, least) in enumerate(parts)}

    def summary(self, device: Device) -> LayerCost:
        """One comparison with a constant a label."""
        bits = [fmt.bits for fmt in self._formats()]
        luts = sum(threshold_luts(width, device) for width in bits)
        return LayerCost("labels", "threshold", len(bits), max(bits), 1, 0, luts)

    def answer(self) -> Answer:
        return LabelsAnswer()


def lowest_argmax(scores: Tensor) -> Tensor:
    """Position of the largest score in each row, the lowest of equal ones; int64, shape ``(batch,)``."""
    positions = torch.arange(scores.shape[1], device=scores.device)
    largest = scores == scores.max(dim=1, keepdim=True).values
    return torch.where(largest, positions, scores.shape[1]).min(dim=1).values


def _check_comparable(quantizer: Quantizer) -> None:
    """Refuses codes whose integers do not compare like their values, or those of two classes."""
    if quantizer.channels != 1:
        raise UserError(
            f"the last layer's quantiser has {quantizer.channels} channels, so that the codes of two classes do "
            "not compare; give it one channel"
        )
    fmt = quantizer.formats()[0]
    if not isinstance(fmt, Format) and np.any(np.diff(fmt.values()) < 0):
        raise UserError("the values of the last layer's codes must ascend with the codes; choose a uniform quantiser")


def _moved(fmt: CodeFormat, spread: float, mean: float) -> CodeFormat:
    """The format whose values are ``spread * value + mean``."""
    if isinstance(fmt, Format):
        return Format(fmt.bits, fmt.signed, fmt.scale * spread, fmt.offset * spread + mean)
    return Codebook(tuple(level * spread + mean for level in fmt.levels))


def _best_threshold(scores: npt.NDArray[np.float64], truth: npt.NDArray[np.bool_]) -> float:
    """The least of the scores from which calling rows positive has the best F1; 0 where no row is positive."""
    if not truth.any():
        return 0.0
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(truth[order])
    f1 = 2.0 * hits / (np.arange(1, len(scores) + 1) + truth.sum())
    ends = np.append(np.diff(scores[order]) != 0, True)
    return float(scores[order][np.argmax(np.where(ends, f1, -1.0))])


def _reaches(wires: Wires, row: int, fmt: CodeFormat, least: float) -> int:
    """One bit: whether the value of a code is at least a number."""
    found = fmt.values() >= least
    if found.all() or not found.any():
        return wires.const(int(found.all()), 1)
    if isinstance(fmt, Format):
        number = wires.slice(row, 0, fmt.bits, signed=fmt.signed)
        return wires.threshold(number, int(fmt.integers()[found].min()))
    return wires.lut(TruthTable((fmt.bits,), 1, found.astype(np.uint8)), [row])
