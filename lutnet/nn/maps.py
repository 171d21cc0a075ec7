"""Feature maps and the windows that run over them: which columns a convolution or a pooling reads at each position.

Stride, padding, dilation, groups and transposition are all said by one matrix of column indices (:func:`windows`), so that a layer
over windows is one gather, and its netlist a loop over positions. numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError

__all__ = ["AxisGeometry", "Geometry", "MapShape", "windows"]

Integers = npt.NDArray[np.int64]

MAX_INDICES = 1 << 28
"""Most indices of a matrix of windows: 2 GiB."""


@dataclass(frozen=True)
class MapShape:
    """The shape of a feature map, and the order in which its values stand in columns.

    Attributes:
        channels: Values at each position.
        size: Positions along each axis: ``(height, width)``, or ``(length,)`` for a sequence.
        channels_last: Whether the channels of a position stand side by side; else all positions of channel 0 come first, as
            ``torch.flatten`` puts them. Positions are in row-major order either way.
    """

    channels: int
    size: tuple[int, ...]
    channels_last: bool = False

    def __post_init__(self) -> None:
        if self.channels < 1 or len(self.size) not in (1, 2) or min(self.size) < 1:
            raise UserError(
                f"a map has at least 1 channel and 1 or 2 axes of at least 1 position, got {self.channels} channels of size "
                f"{_text(self.size)}"
            )

    @property
    def n_positions(self) -> int:
        """Positions of the map."""
        return prod(self.size)

    @property
    def n_columns(self) -> int:
        """Values of the map."""
        return self.channels * self.n_positions

    def columns(self) -> Integers:
        """Column of every value, shape ``(n_positions, channels)``."""
        indices = np.arange(self.n_columns, dtype=np.int64)
        if self.channels_last:
            return indices.reshape(self.n_positions, self.channels)
        return indices.reshape(self.channels, self.n_positions).T

    def __str__(self) -> str:
        return f"{self.channels} x {_text(self.size)}"


@dataclass(frozen=True)
class Geometry:
    """How a window runs over a map. A tuple has one number for each axis, or one for all.

    Attributes:
        kernel: Positions of the window along each axis.
        stride: Distance of neighbouring windows; of a transposed convolution that of neighbouring inputs in the output.
        padding: Positions added in front of the map and behind it; of a transposed convolution those taken away.
        padding_end: Positions added behind the map where they differ from those in front; negative ones leave positions of the map
            out. Not for transposed convolutions, whose end ``output_padding`` moves.
        dilation: Distance of neighbouring positions of a window.
        groups: Parts of equally many channels, each of which has windows of its own.
        transposed: Whether it is a transposed convolution: output ``o`` reads input ``i`` through position ``k`` of the window where
            ``o = i * stride - padding + k * dilation``.
        output_padding: Positions added at the end of a transposed convolution's map.
        output_size: Size of a transposed convolution's map, in place of ``output_padding``.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...] = (1,)
    padding: tuple[int, ...] = (0,)
    padding_end: tuple[int, ...] = ()
    dilation: tuple[int, ...] = (1,)
    groups: int = 1
    transposed: bool = False
    output_padding: tuple[int, ...] = (0,)
    output_size: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name, least in (("kernel", 1), ("stride", 1), ("padding", 0), ("dilation", 1), ("output_padding", 0)):
            values = getattr(self, name)
            if not values or min(values) < least:
                raise UserError(f"{name} is at least {least} along each axis, got {list(values)}")
        if self.groups < 1:
            raise UserError(f"groups is at least 1, got {self.groups}")
        if not self.transposed and (any(self.output_padding) or self.output_size):
            raise UserError(
                f"output_padding and output_size are for transposed convolutions, got {list(self.output_padding)} and "
                f"{list(self.output_size)}; set transposed, or leave them out"
            )
        if self.transposed and self.padding_end:
            raise UserError(
                f"the end of a transposed convolution's map is moved by output_padding, got padding_end = {list(self.padding_end)}"
            )
        if self.output_size and any(self.output_padding):
            raise UserError(
                f"output_padding {list(self.output_padding)} and output_size {list(self.output_size)} say the same; give one of them"
            )

    def output(self, shape: MapShape, channels: int) -> MapShape:
        """The map that windows over another one make, in the same order of columns.

        Args:
            shape: The map that is read.
            channels: Values that each position gets, of all groups together.

        Raises:
            UserError: Groups, kernel, stride or output size do not fit the map; the message has the numbers.
        """
        for what, number in (("reads", shape.channels), ("makes", channels)):
            if number % self.groups:
                raise UserError(
                    f"{self.groups} groups share the channels out equally, but the layer {what} {number} channels; choose a divisor "
                    "as groups"
                )
        axes = range(len(shape.size))
        size = tuple(self.axis(axis, len(axes)).output_size(shape.size[axis], axis) for axis in axes)
        return MapShape(channels, size, shape.channels_last)

    def window_of(self, shape: MapShape) -> int:
        """Positions of a window over a map."""
        axes = range(len(shape.size))
        return prod(self.axis(axis, len(axes)).kernel for axis in axes)

    def axis(self, number: int, n_axes: int) -> AxisGeometry:
        """The numbers of one axis.

        Raises:
            UserError: A tuple has neither one number nor one for each axis.
        """

        def of(name: str) -> int:
            values: tuple[int, ...] = getattr(self, name)
            if len(values) not in (1, n_axes):
                raise UserError(f"{name} has 1 number, or {n_axes}: one for each axis of the map, got {list(values)}")
            return values[0] if len(values) == 1 else values[number]

        return AxisGeometry(
            kernel=of("kernel"),
            stride=of("stride"),
            padding=of("padding"),
            padding_end=of("padding_end") if self.padding_end else of("padding"),
            dilation=of("dilation"),
            transposed=self.transposed,
            output_padding=of("output_padding"),
            wanted_size=of("output_size") if self.output_size else 0,
        )


@dataclass(frozen=True)
class AxisGeometry:
    """:class:`Geometry` along one axis.

    Attributes:
        wanted_size: Size of a transposed convolution's map that was asked for; 0 for none.
    """

    kernel: int
    stride: int
    padding: int
    padding_end: int
    dilation: int
    transposed: bool
    output_padding: int
    wanted_size: int

    @property
    def extent(self) -> int:
        """Positions from the first of a window to its last."""
        return self.dilation * (self.kernel - 1) + 1

    def output_size(self, size: int, axis: int) -> int:
        """Positions of the map that is made from one of ``size`` positions.

        Raises:
            UserError: The numbers do not fit; ``axis`` names the place.
        """
        if self.transposed:
            return self._transposed_size(size, axis)
        padded = size + self.padding + self.padding_end
        steps = padded - self.extent
        if size + self.padding_end < 1 or steps < 0:
            raise UserError(
                f"a window of {self.extent} positions does not fit a map of {size} with padding {self.padding} and "
                f"{self.padding_end} along axis {axis}; choose a smaller kernel or dilation, or more padding"
            )
        rest = steps % self.stride
        if rest:
            raise UserError(
                f"a map of {size} with padding {self.padding} and {self.padding_end} and a window of {self.extent} positions has "
                f"{steps} steps along axis {axis}, which the stride {self.stride} does not divide; set padding_end to "
                f"{self.padding_end - rest} to leave {rest} positions at the end out, or to {self.padding_end + self.stride - rest}"
            )
        return steps // self.stride + 1

    def sources(self, size: int, made: int) -> Integers:
        """Position that each position of the window reads, shape ``(made, kernel)``; -1 outside of the map of ``size``."""
        out, inside = np.arange(made)[:, None], np.arange(self.kernel) * self.dilation
        if self.transposed:
            found = out + self.padding - inside
            whole = found % self.stride == 0
            found = found // self.stride
        else:
            found = out * self.stride - self.padding + inside
            whole = np.ones_like(found, dtype=bool)
        return np.where(whole & (found >= 0) & (found < size), found, -1).astype(np.int64)

    def _transposed_size(self, size: int, axis: int) -> int:
        least = (size - 1) * self.stride - 2 * self.padding + self.extent
        free = max(self.stride, self.dilation) - 1
        extra = self.wanted_size - least if self.wanted_size else self.output_padding
        if not 0 <= extra <= free or least + extra < 1:
            what = f"output_size {self.wanted_size}" if self.wanted_size else f"output_padding {self.output_padding}"
            raise UserError(
                f"a transposed convolution of a map of {size} with kernel {self.kernel}, stride {self.stride}, padding {self.padding} "
                f"and dilation {self.dilation} makes {least} to {least + free} positions along axis {axis}, which {what} contradicts"
            )
        return least + extra


def windows(shape: MapShape, geometry: Geometry) -> Integers:
    """The columns that each window reads.

    Args:
        shape: The map that is read.
        geometry: Of the windows.

    Returns:
        int64, shape ``(n_positions, groups, window)``: positions of the made map in row-major order; columns of the read map, -1 where
        the window is outside of it. A window has the channels of its group one after the other, and for each channel its positions in
        row-major order, as torch has the weights of a filter.

    Raises:
        UserError: The geometry does not fit the map, or the matrix would have more than :data:`MAX_INDICES` entries.
    """
    made = geometry.output(shape, geometry.groups)
    n_axes = len(shape.size)
    axes = [geometry.axis(axis, n_axes) for axis in range(n_axes)]
    n_indices = made.n_positions * shape.channels * geometry.window_of(shape)
    if n_indices > MAX_INDICES:
        raise UserError(
            f"{made.n_positions:,} windows over a map of {shape} have {n_indices:,} inputs, at most {MAX_INDICES:,} are possible; choose "
            "a larger stride or a smaller map"
        )
    sources = [axis.sources(size, out) for axis, size, out in zip(axes, shape.size, made.size, strict=True)]
    place = sources[0]
    if n_axes == 2:
        rows, columns = sources[0][:, None, :, None], sources[1][None, :, None, :]
        place = np.where((rows >= 0) & (columns >= 0), rows * shape.size[1] + columns, -1)
    place = place.reshape(made.n_positions, -1)
    of_channels = shape.columns()[place].transpose(0, 2, 1)
    found = np.where(place[:, None, :] >= 0, of_channels, -1)
    return np.ascontiguousarray(found.reshape(made.n_positions, geometry.groups, -1))


def _text(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size))
