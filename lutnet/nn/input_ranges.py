"""Ranges of uniform input codes that say most about the class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError

__all__ = ["informative_ranges", "mutual_information"]

LOW_QUANTILES = (0.0, 0.003, 0.01, 0.03)
HIGH_QUANTILES = (0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.985, 0.995, 1.0)

Floats = npt.NDArray[np.float64]


def informative_ranges(x: npt.ArrayLike, y: npt.ArrayLike, bits: int | Sequence[int]) -> Floats:
    """For each feature the range whose equal cells share most information with the class.

    A uniform code spends its cells where its range lies: one range cuts a long tail off to resolve the rest, another
    keeps the tail because it tells classes apart. Both ends are tried out of a few quantiles of the training data.

    Args:
        x: Training features, shape ``(n, n_features)``, finite.
        y: Classes, integers from 0, shape ``(n,)``.
        bits: Bits of every feature, or one number a feature.

    Returns:
        Lower and upper ends, float64, shape ``(n_features, 2)``; the whole range where no range of quantiles has a width.

    Raises:
        UserError: Shapes do not fit.
    """
    data, classes = np.asarray(x, dtype=np.float64), np.asarray(y)
    if data.ndim != 2 or classes.shape != data.shape[:1]:
        raise UserError(
            f"expected features (n, n_features) and classes (n,), got shapes {data.shape} and {classes.shape}"
        )
    widths = [bits] * data.shape[1] if isinstance(bits, int) else list(bits)
    if len(widths) != data.shape[1]:
        raise UserError(f"expected one bit width or {data.shape[1]} of them, got {len(widths)}")
    return np.array([_best(column, classes, 1 << width) for column, width in zip(data.T, widths, strict=True)])


def mutual_information(codes: npt.NDArray[np.int64], y: npt.NDArray[np.integer]) -> float:
    """Information in nats that codes from 0 share with classes from 0, from their joint counts."""
    n_classes = int(y.max()) + 1
    joint = np.bincount(codes * n_classes + y, minlength=(int(codes.max()) + 1) * n_classes).reshape(-1, n_classes)
    shares = joint / len(y)
    apart = shares.sum(axis=1, keepdims=True) * shares.sum(axis=0, keepdims=True)
    seen = shares > 0
    return float((shares[seen] * np.log(shares[seen] / apart[seen])).sum())


def _best(column: Floats, y: npt.NDArray[np.integer], n_cells: int) -> tuple[float, float]:
    lows, highs = np.quantile(column, LOW_QUANTILES), np.quantile(column, HIGH_QUANTILES)
    most, best = -1.0, (float(column.min()), float(column.max()))
    for low in lows.tolist():
        for high in highs.tolist():
            if high > low:
                cells = np.floor((column - low) / (high - low) * n_cells).clip(0, n_cells - 1).astype(np.int64)
                found = mutual_information(cells, y)
                if found > most:
                    most, best = found, (low, high)
    return best
