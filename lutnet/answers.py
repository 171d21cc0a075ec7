"""What the output codes of a design say: classes, scores, numbers, labels or anomalies, and how right they are.

An answer is made of codes alone, so that the same object serves the emulator, the reports and the command line.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError
from lutnet.formats import CodeFormat

__all__ = [
    "ANSWERS",
    "AnomalyAnswer",
    "Answer",
    "ClassAnswer",
    "LabelsAnswer",
    "NumbersAnswer",
    "ScoresAnswer",
    "accuracy",
    "determination",
    "f1_scores",
    "roc_area",
]

Codes = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Answer(ABC):
    """How rows of output codes are read.

    Attributes:
        formats: What the codes of each output stand for; empty where a code is the answer itself.
        normal: Number of the class that is no anomaly; of :class:`AnomalyAnswer` only.
    """

    formats: tuple[CodeFormat, ...] = ()
    normal: int = 0

    kind: ClassVar[str]
    metric: ClassVar[str]
    """Name of what :meth:`score` measures; more is better."""

    @abstractmethod
    def of(self, codes: Codes) -> npt.NDArray[Any]:
        """Answers of rows of output codes, int64 of shape ``(n, n_outputs)``."""

    @abstractmethod
    def score(self, codes: Codes, y: npt.NDArray[Any]) -> float:
        """How right the codes are.

        Args:
            codes: Output codes, shape ``(n, n_outputs)``.
            y: What a data set says: class numbers of shape ``(n,)``, or targets of shape ``(n, n_outputs)``.
        """

    def values(self, codes: Codes) -> Numbers:
        """What codes stand for by their formats, float64, shape of ``codes``.

        Raises:
            UserError: There are more or fewer columns than formats.
        """
        if codes.ndim != 2 or codes.shape[1] != len(self.formats):
            raise UserError(f"expected codes of shape (n, {len(self.formats)}), got {codes.shape}")
        columns = [fmt.values()[column] for fmt, column in zip(self.formats, codes.T, strict=True)]
        return np.stack(columns, axis=1)


@dataclass(frozen=True)
class ClassAnswer(Answer):
    """Output 0 is the number of a class: int64, shape ``(n,)``."""

    kind: ClassVar[str] = "class"
    metric: ClassVar[str] = "accuracy"

    def of(self, codes: Codes) -> Codes:
        return codes[:, 0]

    def score(self, codes: Codes, y: npt.NDArray[Any]) -> float:
        return accuracy(self.of(codes), y)


@dataclass(frozen=True)
class ScoresAnswer(Answer):
    """An output a class, the largest value wins, ties go to the lowest class: int64, shape ``(n,)``."""

    kind: ClassVar[str] = "scores"
    metric: ClassVar[str] = "accuracy"

    def of(self, codes: Codes) -> Codes:
        return np.asarray(self.values(codes).argmax(axis=1), dtype=np.int64)

    def score(self, codes: Codes, y: npt.NDArray[Any]) -> float:
        return accuracy(self.of(codes), y)


@dataclass(frozen=True)
class NumbersAnswer(Answer):
    """Every output is a fixed-point number: float64, shape ``(n, n_outputs)``."""

    kind: ClassVar[str] = "regression"
    metric: ClassVar[str] = "coefficient of determination"

    def of(self, codes: Codes) -> Numbers:
        return self.values(codes)

    def score(self, codes: Codes, y: npt.NDArray[Any]) -> float:
        return determination(self.of(codes), y)


@dataclass(frozen=True)
class LabelsAnswer(Answer):
    """Every output is a bit, whether its label applies: int64, shape ``(n, n_outputs)``."""

    kind: ClassVar[str] = "labels"
    metric: ClassVar[str] = "macro F1"

    def of(self, codes: Codes) -> Codes:
        return codes

    def score(self, codes: Codes, y: npt.NDArray[Any]) -> float:
        return float(f1_scores(codes != 0, y).mean())


@dataclass(frozen=True)
class AnomalyAnswer(Answer):
    """Output 0 is how badly a row is reconstructed, output 1 whether that is an anomaly: int64, shape ``(n,)``."""

    kind: ClassVar[str] = "anomaly"
    metric: ClassVar[str] = "area under the ROC curve"

    def of(self, codes: Codes) -> Codes:
        return codes[:, 1]

    def score(self, codes: Codes, y: npt.NDArray[Any]) -> float:
        return roc_area(codes[:, 0], y != self.normal)


ANSWERS: Mapping[str, type[Answer]] = MappingProxyType(
    {
        "anomaly": AnomalyAnswer,
        "class": ClassAnswer,
        "labels": LabelsAnswer,
        "regression": NumbersAnswer,
        "scores": ScoresAnswer,
    }
)
"""Every kind of answer by the name that files use."""


def accuracy(classes: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
    """Fraction of rows whose class is right."""
    return float((classes == y).mean())


def determination(numbers: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
    """Coefficient of determination, mean over the columns; 1 for exact numbers, 0 for the mean of ``y``.

    A column that does not vary counts 1 where every number is right, else 0.
    """
    truth = np.asarray(y, dtype=np.float64)
    error = np.square(truth - numbers).sum(axis=0)
    spread = np.square(truth - truth.mean(axis=0)).sum(axis=0)
    varies = spread > 0
    return float(np.where(varies, 1.0 - error / np.where(varies, spread, 1.0), (error == 0).astype(float)).mean())


def f1_scores(found: npt.NDArray[Any], y: npt.NDArray[Any]) -> Numbers:
    """Harmonic mean of precision and recall of each column, shape ``(n_columns,)``; 1 where nothing is there and nothing found."""
    truth = np.asarray(y) > 0.5
    hits, either = (found & truth).sum(axis=0), found.sum(axis=0) + truth.sum(axis=0)
    return np.where(either > 0, 2.0 * hits / np.maximum(either, 1), 1.0)


def roc_area(scores: npt.NDArray[Any], positive: npt.NDArray[Any]) -> float:
    """Area under the receiver operating characteristic: how often a positive row has the higher score, ties counting half.

    Args:
        scores: Shape ``(n,)``.
        positive: Truth values, shape ``(n,)``.

    Raises:
        UserError: All rows are positive, or none is.
    """
    truth = np.asarray(positive, dtype=np.bool_)
    n_positive = int(truth.sum())
    n_negative = len(truth) - n_positive
    if not n_positive or not n_negative:
        raise UserError(
            f"the area under the ROC curve needs rows of both kinds, got {n_positive} positive and {n_negative} others"
        )
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2.0)[place.reshape(-1)]
    return float((ranks[truth].sum() - n_positive * (n_positive + 1) / 2.0) / (n_positive * n_negative))
