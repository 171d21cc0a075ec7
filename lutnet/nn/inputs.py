"""The first quantiser: raw features to codes by comparison with thresholds fitted on training data.

The code of a feature is the number of its thresholds that it reaches (``x >= threshold``, float64), so that torch,
numpy and hardware decide alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lutnet.errors import UserError
from lutnet.formats import MAX_FORMAT_BITS, Codebook, CodeFormat, InputEncoder
from lutnet.nn.quantize import EVERY, Quantizer, Selection

__all__ = ["InputQuantizer"]

Floats = npt.NDArray[np.float64]


class InputQuantizer(Quantizer):
    """Per-feature thresholds and the values that the codes stand for; nothing in it is trained.

    Make one with :meth:`fit_uniform`, :meth:`fit_ranges`, :meth:`fit_quantile`, :meth:`fit_binary` or
    :meth:`over_range`. The plain constructor makes the empty shape that a checkpoint is loaded into.

    Attributes:
        thresholds: float64 buffer, shape ``(n_features, 2**widest - 1)``, ascending; a narrower feature's row ends in
            infinity.
        levels: float64 buffer, shape ``(n_features, 2**widest)``, ascending; a narrower feature's row repeats its
            last level.
        widths: int64 buffer, bits of each feature, shape ``(n_features,)``.
    """

    thresholds: Tensor
    levels: Tensor
    widths: Tensor

    def __init__(self, bits: Sequence[int]) -> None:
        super().__init__(len(bits))
        for column, width in enumerate(bits):
            if not 1 <= width <= MAX_FORMAT_BITS:
                raise UserError(f"feature {column} needs 1 to {MAX_FORMAT_BITS} bits, got {width}")
        widest = max(bits)
        thresholds = torch.full((self.channels, (1 << widest) - 1), torch.inf, dtype=torch.float64)
        levels = torch.zeros((self.channels, 1 << widest), dtype=torch.float64)
        for row, width in enumerate(bits):
            n_codes = 1 << width
            thresholds[row, : n_codes - 1] = torch.arange(1, n_codes, dtype=torch.float64) - n_codes / 2
            levels[row] = torch.arange(1 << widest).clamp_max(n_codes - 1).double() - (n_codes - 1) / 2
        self.register_buffer("thresholds", thresholds)
        self.register_buffer("levels", levels)
        self.register_buffer("widths", torch.tensor(list(bits), dtype=torch.int64))

    @classmethod
    def fit_uniform(
        cls,
        x: npt.ArrayLike | Tensor,
        bits: int | Sequence[int],
        *,
        low_quantile: float = 0.01,
        high_quantile: float = 0.99,
        standardize: bool = True,
        allow_constant: bool = False,
        feature_names: Sequence[str] | None = None,
    ) -> InputQuantizer:
        """Equal cells between two quantiles of each feature; codes saturate outside.

        A code stands for the middle of its cell, standardised by the mean and spread of the codes' middles over the
        data, so that outliers have no say. A feature whose two quantiles coincide uses its whole range.

        Args:
            x: Training data, shape ``(n, n_features)``, finite.
            bits: Bits of every feature, or one number a feature.
            low_quantile: Lower end of the range, 0 to below ``high_quantile``.
            high_quantile: Upper end of the range, at most 1.
            standardize: Whether codes stand for standardised values instead of raw ones.
            allow_constant: Whether a feature may have one value only.
            feature_names: For error messages.

        Raises:
            UserError: Data or bits cannot be used; the feature is named.
        """
        if not 0 <= low_quantile < high_quantile <= 1:
            raise UserError(f"expected quantiles 0 <= low < high <= 1, got {low_quantile} and {high_quantile}")
        data = _checked(x, feature_names, allow_constant)
        low, high = np.quantile(data, (low_quantile, high_quantile), axis=0)
        empty = ~(high > low)
        low[empty], high[empty] = data.min(axis=0)[empty], data.max(axis=0)[empty]
        return cls._of_ranges(data, bits, np.stack((low, high), axis=1), standardize)

    @classmethod
    def fit_ranges(
        cls,
        x: npt.ArrayLike | Tensor,
        bits: int | Sequence[int],
        ranges: npt.ArrayLike,
        *,
        standardize: bool = True,
        allow_constant: bool = False,
        feature_names: Sequence[str] | None = None,
    ) -> InputQuantizer:
        """Equal cells of a given range of each feature, ``(n_features, 2)``; codes saturate outside.

        Other arguments, values and errors as for :meth:`fit_uniform`.
        """
        data = _checked(x, feature_names, allow_constant)
        ends = np.asarray(ranges, dtype=np.float64)
        if ends.shape != (data.shape[1], 2) or not np.all(np.isfinite(ends)):
            raise UserError(f"expected finite ranges of shape ({data.shape[1]}, 2), got shape {ends.shape}")
        return cls._of_ranges(data, bits, ends, standardize)

    @classmethod
    def fit_quantile(
        cls,
        x: npt.ArrayLike | Tensor,
        bits: int | Sequence[int],
        *,
        standardize: bool = True,
        allow_constant: bool = False,
        feature_names: Sequence[str] | None = None,
    ) -> InputQuantizer:
        """Cells of equal population: the thresholds are quantiles ("distributive" codes).

        A code stands for the mean of the training values in its cell; a code that no training value has stands for the
        threshold that begins it. Arguments and errors as for :meth:`fit_uniform`.
        """
        data = _checked(x, feature_names, allow_constant)
        thresholds, levels = [], []
        for column, width in zip(data.T, _spread(bits, data.shape[1]), strict=True):
            cuts = np.quantile(column, np.arange(1, 1 << width) / (1 << width))
            codes = np.searchsorted(cuts, column, side="right")
            count = np.bincount(codes, minlength=1 << width)
            middle = np.concatenate((cuts[:1], cuts))
            filled = count > 0
            middle[filled] = np.bincount(codes, weights=column, minlength=1 << width)[filled] / count[filled]
            thresholds.append(cuts)
            levels.append(np.maximum.accumulate(middle))
        return cls._fitted(data, thresholds, levels, standardize)

    @classmethod
    def over_range(cls, n_features: int, bits: int, low: float, high: float) -> InputQuantizer:
        """Equal cells of one stated range for every feature, such as the leading bits of a pixel.

        A code stands for the middle of its cell, scaled to -1 to 1 over the range. Nothing is fitted, so that constant
        features and data outside of the training set's range keep their meaning.

        Args:
            n_features: Number of features.
            bits: Bits of every feature.
            low: Lower end of the first cell.
            high: Upper end of the last cell, above ``low``.

        Raises:
            UserError: The range is empty or not finite.
        """
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            raise UserError(f"a range of input codes needs two finite numbers, low < high, got {low} and {high}")
        quantizer = cls([bits] * n_features)
        n_cells = 1 << bits
        cuts = low + (high - low) * (np.arange(1, n_cells) / n_cells)
        quantizer.thresholds.copy_(torch.from_numpy(cuts))
        quantizer.levels.copy_(torch.from_numpy((np.arange(n_cells) + 0.5) / n_cells * 2.0 - 1.0))
        return quantizer

    @classmethod
    def fit_binary(cls, x: npt.ArrayLike | Tensor, *, feature_names: Sequence[str] | None = None) -> InputQuantizer:
        """One bit for features that are 0 or 1 already: code 0 stands for -1 and code 1 for +1; constant features are
        allowed.

        Raises:
            UserError: A value is neither 0 nor 1; the feature is named.
        """
        data = _checked(x, feature_names, True)
        wrong = np.argwhere((data != 0) & (data != 1))
        if len(wrong):
            row, column = wrong[0]
            raise UserError(
                f"{_name(feature_names, column)} of row {row} is {data[row, column]:g}, expected 0 or 1; fit a uniform "
                "or quantile quantiser instead"
            )
        ones = [np.array([-1.0, 1.0])] * data.shape[1]
        return cls._fitted(data, [np.array([0.5])] * data.shape[1], ones, False)

    @classmethod
    def _of_ranges(cls, data: Floats, bits: int | Sequence[int], ranges: Floats, standardize: bool) -> InputQuantizer:
        thresholds, levels = [], []
        for (low, high), width in zip(ranges, _spread(bits, data.shape[1]), strict=True):
            span = high - low if high > low else 1.0
            n_cells = 1 << width
            thresholds.append(low + span * (np.arange(1, n_cells) / n_cells))
            levels.append(low + span * ((np.arange(n_cells) + 0.5) / n_cells))
        return cls._fitted(data, thresholds, levels, standardize)

    @classmethod
    def _fitted(cls, data: Floats, thresholds: list[Floats], levels: list[Floats], standardize: bool) -> InputQuantizer:
        quantizer = cls([(len(row) - 1).bit_length() for row in levels])
        for column, (cuts, values) in enumerate(zip(thresholds, levels, strict=True)):
            if standardize:
                seen = values[np.searchsorted(cuts, data[:, column], side="right")]
                spread = seen.std()
                values = (values - seen.mean()) / (spread if spread > 0 else 1.0)
            quantizer.thresholds[column, : len(cuts)] = torch.from_numpy(cuts)
            quantizer.levels[column, : len(values)] = torch.from_numpy(values)
            quantizer.levels[column, len(values) :] = float(values[-1])
        return quantizer

    def formats(self) -> tuple[CodeFormat, ...]:
        levels = self.levels.cpu().numpy()
        return tuple(
            Codebook(tuple(row[: 1 << width].tolist())) for row, width in zip(levels, self.widths.tolist(), strict=True)
        )

    def value_table(self) -> Tensor:
        return self.levels

    def soft_bits(self) -> Tensor:
        return self.widths.float()

    @property
    def bits(self) -> int:
        """Bits of the widest feature."""
        return int(self.widths.max())

    def codes(self, x: Tensor, selected: Selection = EVERY) -> Tensor:
        """Codes of raw features, int64, shape ``(batch, n)``.

        Raises:
            UserError: A number is not finite or the number of columns is another.
        """
        thresholds = self.thresholds[selected]
        if x.ndim != 2 or x.shape[1] != len(thresholds):
            raise UserError(
                f"expected features of shape (batch, {len(thresholds)}), got {tuple(x.shape)}; check the columns"
            )
        raw = x.detach().double()
        if not bool(torch.isfinite(raw).all()):
            row, column = torch.nonzero(~torch.isfinite(raw))[0].tolist()
            raise UserError(
                f"feature {column} of row {row} is {raw[row, column].item()}, expected a finite number; clean the data"
            )
        return torch.searchsorted(thresholds, raw.t().contiguous(), right=True).t().contiguous()

    def forward(self, x: Tensor) -> Tensor:
        """Values of raw features, shape ``(batch, n_features)``: float32 in training, float64 in evaluation."""
        return self.fake_quantize(x) if self.training else self.values(self.codes(x))

    def fake_quantize(self, x: Tensor) -> Tensor:
        return self.values(self.codes(x)).float()

    def encoder(self, feature_names: Sequence[str] | None = None) -> InputEncoder:
        """The same codes in numpy.

        Args:
            feature_names: One name a feature; ``x0``, ``x1`` ... without.
        """
        names = tuple(feature_names) if feature_names is not None else tuple(f"x{i}" for i in range(self.channels))
        rows = self.thresholds.cpu().numpy()
        thresholds = tuple(
            row[: (1 << width) - 1].copy() for row, width in zip(rows, self.widths.tolist(), strict=True)
        )
        return InputEncoder(thresholds, self.formats(), names)

    def extra_repr(self) -> str:
        return f"features={self.channels}, bits={sorted(set(self.widths.tolist()))}"


def _name(feature_names: Sequence[str] | None, column: int) -> str:
    return f"feature {column}" if feature_names is None else f"feature '{feature_names[column]}'"


def _spread(bits: int | Sequence[int], n_features: int) -> list[int]:
    widths = [bits] * n_features if isinstance(bits, int) else [int(width) for width in bits]
    if len(widths) != n_features:
        raise UserError(f"expected one bit width or {n_features} of them, got {len(widths)}")
    for column, width in enumerate(widths):
        if not 1 <= width <= MAX_FORMAT_BITS:
            raise UserError(f"feature {column} needs 1 to {MAX_FORMAT_BITS} bits, got {width}")
    return widths


def _checked(x: npt.ArrayLike | Tensor, feature_names: Sequence[str] | None, allow_constant: bool) -> Floats:
    raw = np.asarray(x.detach().cpu().numpy() if isinstance(x, Tensor) else x)
    if raw.ndim != 2 or raw.shape[0] < 1 or raw.shape[1] < 1:
        raise UserError(f"an input quantiser is fitted on features of shape (n, n_features), got {raw.shape}")
    data = raw.astype(np.float64)
    if feature_names is not None and len(feature_names) != data.shape[1]:
        raise UserError(f"expected {data.shape[1]} feature names, got {len(feature_names)}")
    finite = np.isfinite(data)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise UserError(
            f"{_name(feature_names, column)} of row {row} is {data[row, column]}, expected a finite number; clean the "
            "data"
        )
    constant = np.flatnonzero(data.min(axis=0) == data.max(axis=0))
    if len(constant) and not allow_constant:
        column = int(constant[0])
        raise UserError(
            f"{_name(feature_names, column)} is constant ({data[0, column]:g}) in the training data and carries "
            "nothing; drop it or allow constant features"
        )
    return data
