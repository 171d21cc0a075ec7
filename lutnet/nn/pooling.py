"""Pooling over the windows of a feature map: the largest value, the mean, or an OR of bits.

Every channel has windows of its own. A pooling is a :class:`lutnet.nn.convolution.MapLayer` whose kernel has nothing to learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from lutnet.cost import XCVU9P, Device, adder_luts, table_luts
from lutnet.errors import UserError
from lutnet.formats import Format
from lutnet.nn.code_views import CodesOf, code_places
from lutnet.nn.convolution import UNROLLED_LUTS, MapLayer
from lutnet.nn.cost import LayerCost
from lutnet.nn.integer_inputs import IntegerInputs
from lutnet.nn.joins import codes_of_values
from lutnet.nn.layer import Layer
from lutnet.nn.maps import Geometry, MapShape
from lutnet.nn.quantize import Quantizer
from lutnet.nn.step_functions import StepFunction, find_steps
from lutnet.nn.wires import Wires
from lutnet.tables import TruthTable, unpack_address

__all__ = ["AveragePool", "MaxPool", "OrPool"]

TABLE_BITS = 6
"""Address bits up to which as many codes as fit are compared in one table."""

PAIR_BITS = 8
"""Address bits up to which two codes are compared in a table, and above which by a subtraction."""

UNEVEN = 1e-6
"""Steps by which values may miss the multiples of a step."""


class MaxPool(MapLayer):
    """The largest value of each window, in the codes of the map that is read. Places outside of the map do not count."""

    def __init__(
        self, source: Quantizer, shape: MapShape, geometry: Geometry, *, max_luts: int = UNROLLED_LUTS
    ) -> None:
        """Make the layer.

        Args:
            source: The quantiser that makes the map.
            shape: The map.
            geometry: Of the windows; its ``groups`` are the channels, whatever it says.
            max_luts: Lookup tables above which the layer is not unrolled.

        Raises:
            UserError: The geometry does not fit the map.
        """
        per_channel = _per_channel(geometry, shape)
        n_kernels = 1 if source.channels == 1 else shape.channels
        super().__init__(source, shape, per_channel, _largest, n_kernels=n_kernels, max_luts=max_luts)

    def outside(self, values: Tensor) -> Tensor:
        """The smallest value, which is never larger than another."""
        return values.amin(dim=1)


class OrPool(MaxPool):
    """Whether any bit of a window is 1."""

    def __init__(
        self, source: Quantizer, shape: MapShape, geometry: Geometry, *, max_luts: int = UNROLLED_LUTS
    ) -> None:
        """Make the layer; arguments as for :class:`MaxPool`.

        Raises:
            UserError: The map has wider codes than a bit, or the geometry does not fit it.
        """
        if source.bits != 1:
            raise UserError(f"an OR is of bits, the map has codes of {source.bits} bits; choose a max-pool")
        super().__init__(source, shape, geometry, max_luts=max_luts)


class AveragePool(MapLayer):
    """The mean of each window, quantised. Places outside of the map count as the value nearest to 0.

    The sum of integers is exact; a step function makes codes of it.
    """

    def __init__(
        self,
        source: Quantizer,
        shape: MapShape,
        geometry: Geometry,
        quantizer: Quantizer,
        *,
        max_luts: int = UNROLLED_LUTS,
    ) -> None:
        """Make the layer.

        Args:
            source: The quantiser that makes the map.
            shape: The map.
            geometry: Of the windows; its ``groups`` are the channels, whatever it says.
            quantizer: Makes codes of the means: of one channel, its values ascending with what is quantised.
            max_luts: Lookup tables above which the layer is not unrolled.

        Raises:
            UserError: The geometry does not fit the map, or the quantiser has several channels.
        """
        if quantizer.channels != 1:
            raise UserError(
                f"the means of all channels have one quantiser of 1 channel, got {quantizer.channels} channels"
            )
        n_kernels = 1 if source.channels == 1 else shape.channels

        def mean(view: Quantizer, window: int) -> Sequence[Layer]:
            return [_MeanOf(view, window, quantizer)]

        super().__init__(source, shape, _per_channel(geometry, shape), mean, n_kernels=n_kernels, max_luts=max_luts)


class _LargestOf(Layer):
    """The largest of some values of one format, in one column."""

    def __init__(self, source: Quantizer, in_features: int) -> None:
        super().__init__(source, in_features, 1, CodesOf([source], [in_features], [0]))

    def respond_training(self, x: Tensor) -> Tensor:
        return x.amax(dim=1, keepdim=True)

    def codes(self, x: Tensor) -> Tensor:
        self.check_columns(x)
        return codes_of_values(self.source.value_table()[:1], x.amax(dim=1, keepdim=True))

    def lower(self, wires: Wires, rows: Sequence[int]) -> list[int]:
        """Adds a tree of tables, or of comparisons where codes are wide."""
        fmt = self.source.feature_formats(self.in_features)[0]
        signed = isinstance(fmt, Format) and fmt.signed
        places, now = code_places(fmt), list(rows)
        size = self._table_size()
        if size:
            while len(now) > 1:
                parts = [now[i : i + size] for i in range(0, len(now), size)]
                now = [
                    wires.lut(_largest_table(places, fmt.bits, len(part)), part, signed=signed)
                    if len(part) > 1
                    else part[0]
                    for part in parts
                ]
            return now
        ascend = isinstance(fmt, Format) or np.array_equal(places, np.arange(len(places)))
        to_places = TruthTable((fmt.bits,), fmt.bits, places)
        now = [wires.slice(row, 0, fmt.bits, signed=signed) if ascend else wires.lut(to_places, [row]) for row in now]
        while len(now) > 1:
            pairs = [_larger(wires, *now[i : i + 2], fmt.bits, signed) for i in range(0, len(now) - 1, 2)]
            now = pairs + now[len(now) - len(now) % 2 :]
        if ascend:
            return now
        return [wires.lut(TruthTable((fmt.bits,), fmt.bits, _code_at(places)), now)]

    def cost(self, device: Device) -> Tensor:
        """The closed form."""
        return torch.tensor(float(self.lut_cost(device)))

    def summary(self, name: str, device: Device) -> LayerCost:
        bits, size, n_luts, left = self.source.bits, self._table_size(), 0, self.in_features
        while size and left > 1:
            full, rest = divmod(left, size)
            n_luts += full * table_luts(size * bits, bits, device)
            n_luts += table_luts(rest * bits, bits, device) if rest > 1 else 0
            left = full + (rest > 0)
        if not size:
            n_luts = (self.in_features - 1) * (adder_luts(bits, 2) + bits)
        return LayerCost(name, "max", 1, (size or 2) * bits, bits, 0, n_luts)

    def _table_size(self) -> int:
        """Codes that one table compares; 0 where a subtraction does."""
        bits = self.source.bits
        return max(2, TABLE_BITS // bits) if 2 * bits <= PAIR_BITS else 0


class _MeanOf(Layer):
    """The quantised mean of some values of one format, in one column."""

    def __init__(self, source: Quantizer, in_features: int, quantizer: Quantizer) -> None:
        super().__init__(source, in_features, 1, quantizer)
        self.inputs = IntegerInputs(source, in_features)

    def respond_training(self, x: Tensor) -> Tensor:
        step, first = self._line()
        means = self.inputs.real(x).mean(dim=1, keepdim=True) * step + first
        return self.quantizer(means)  # type: ignore[no-any-return]

    def codes(self, x: Tensor) -> Tensor:
        self.check_columns(x)
        return self._codes_of_sums(self.inputs.exact(x.detach().double()).sum(dim=1, keepdim=True))

    def lower(self, wires: Wires, rows: Sequence[int]) -> list[int]:
        """Adds the sum of the integers and its step function."""
        fmt = self.quantizer.formats()[0]
        total = wires.sum(self.inputs.rows(wires, rows))
        signed = isinstance(fmt, Format) and fmt.signed
        return [self._steps().lower(wires, total, fmt.bits, XCVU9P, signed=signed)]

    def cost(self, device: Device) -> Tensor:
        """The closed form."""
        return torch.tensor(float(self.lut_cost(device)))

    def summary(self, name: str, device: Device) -> LayerCost:
        bits = int(self.inputs.bits()[0])
        n_luts = adder_luts(bits, self.in_features) + self._steps().luts(self.quantizer.bits, device)
        return LayerCost(name, "mean", 1, bits, self.quantizer.bits, 0, n_luts)

    def _codes_of_sums(self, sums: Tensor) -> Tensor:
        step, first = self._line()
        found: Tensor = self.quantizer.codes(sums.double() / self.in_features * step + first)
        return found

    def _steps(self) -> StepFunction:
        low, high = (np.array([ends.sum()]) for ends in (self.inputs.lows(), self.inputs.highs()))
        order = code_places(self.quantizer.formats()[0])[None]
        return find_steps(lambda sums: self._codes_of_sums(torch.from_numpy(sums)).numpy(), order, low, high)[0]

    def _line(self) -> tuple[float, float]:
        """What one integer is worth, and the value of the integer 0.

        Raises:
            UserError: The values are no multiples of a step.
        """
        values = self.source.value_table()[0]
        low, high = int(self.inputs.lows()[0]), int(self.inputs.highs()[0])
        lowest, highest = float(values.min()), float(values.max())
        step = (highest - lowest) / (high - low) if high > low else 1.0
        first = lowest - low * step
        integers = self.inputs.exact(values[:, None].expand(-1, self.in_features).double())[:, 0]
        off = float((values - integers * step - first).abs().max())
        if off > UNEVEN * step:
            raise UserError(
                f"a mean is of values that are multiples of a step, {len(values)} values from {lowest:.4g} to {highest:.4g} are none; "
                "choose equally spaced codes, or a max-pool"
            )
        return step, first


def _per_channel(geometry: Geometry, shape: MapShape) -> Geometry:
    if geometry.transposed:
        raise UserError("a pooling has no transposed form; choose a transposed convolution")
    return replace(geometry, groups=shape.channels)


def _largest(view: Quantizer, window: int) -> Sequence[Layer]:
    return [_LargestOf(view, window)]


def _largest_table(places: np.ndarray, bits: int, count: int) -> TruthTable:
    """The code of the largest value of some codes; the lowest one where several have it."""
    codes = np.stack(unpack_address(np.arange(1 << (bits * count)), (bits,) * count))
    largest = places[codes].max(axis=0)
    return TruthTable((bits,) * count, bits, _code_at(places)[largest])


def _code_at(places: np.ndarray) -> np.ndarray:
    """The lowest code at each place; repeated for places beyond the last."""
    found = np.unique(places, return_index=True)[1]
    return np.pad(found, (0, len(places) - len(found)), mode="edge")


def _larger(wires: Wires, a: int, b: int, bits: int, signed: bool) -> int:
    """The larger of two rows whose values are in order."""
    first = wires.threshold(wires.sum([a, b], [1, -1]), 0)
    choice = TruthTable((1, 1, 1), 1, np.array([0, 0, 1, 1, 0, 1, 0, 1]))
    chosen = [wires.lut(choice, [wires.slice(a, k, 1), wires.slice(b, k, 1), first]) for k in range(bits)]
    return wires.concat(chosen, signed=signed)
