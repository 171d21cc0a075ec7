"""Fixed-point codes of features for trees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError
from lutnet.formats import Format, InputEncoder

__all__ = ["fit_codes"]

MAX_CODE_BITS = 16
"""Widest code: an encoder lists its thresholds."""


def fit_codes(
    x: npt.ArrayLike,
    bits: int,
    feature_names: Sequence[str],
    *,
    low_quantile: float = 0.0,
    high_quantile: float = 1.0,
) -> InputEncoder:
    """Codes that arrive as plain fixed-point numbers: no comparator is hidden in them.

    A feature of whole numbers from 0 that fit into ``bits`` is its own code, in as few bits as its largest value needs.
    Any other one is cut into ``2**bits`` equal cells between two quantiles of the training data and saturates outside.

    Args:
        x: Training data, shape ``(n, n_features)``, finite.
        bits: Most bits of a code, 1 to 16.
        feature_names: One name a column.
        low_quantile: Lower end of the cells.
        high_quantile: Upper end of the cells.

    Raises:
        UserError: Something is out of range or not finite.
    """
    data = np.asarray(x, dtype=np.float64)
    if not 1 <= bits <= MAX_CODE_BITS:
        raise UserError(f"codes of features for trees have 1 to {MAX_CODE_BITS} bits, got {bits}")
    if data.ndim != 2 or len(data) == 0 or data.shape[1] != len(feature_names):
        raise UserError(f"expected features of shape (n, {len(feature_names)}), got {data.shape}")
    if not 0 <= low_quantile < high_quantile <= 1:
        raise UserError(f"expected quantiles 0 <= low < high <= 1, got {low_quantile} and {high_quantile}")
    if not np.all(np.isfinite(data)):
        row, column = np.argwhere(~np.isfinite(data))[0]
        raise UserError(
            f"feature '{feature_names[column]}' of row {row} is {data[row, column]}, expected a finite number; clean the data"
        )
    columns = [_column(values, bits, low_quantile, high_quantile) for values in data.T]
    return InputEncoder(
        tuple(thresholds for thresholds, _ in columns), tuple(fmt for _, fmt in columns), tuple(feature_names)
    )


def _column(
    values: npt.NDArray[np.float64], bits: int, low_quantile: float, high_quantile: float
) -> tuple[npt.NDArray[np.float64], Format]:
    top = values.max()
    if values.min() >= 0 and top < 1 << bits and np.all(values == np.floor(values)):
        width = max(1, int(top).bit_length())
        return np.arange(1, 1 << width, dtype=np.float64), Format(width)
    low, high = np.quantile(values, (low_quantile, high_quantile))
    if not high > low:
        low, high = values.min(), max(top, values.min() + 1.0)
    step = (high - low) / (1 << bits)
    return low + step * np.arange(1, 1 << bits), Format(bits, False, float(step), float(low + step / 2))
