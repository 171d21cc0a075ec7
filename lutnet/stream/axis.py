"""Windows along one axis of a map, as a stream sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError

__all__ = ["Axis"]


@dataclass(frozen=True)
class Axis:
    """Windows along the rows or along the columns of a map.

    Window ``i`` reads the pixels ``i * stride - before + k * dilation`` for ``k`` in ``range(kernel)``; those outside of the map have a
    constant code.

    Attributes:
        size: Pixels of the map along the axis.
        kernel: Pixels of a window along the axis.
        stride: Distance of neighbouring windows.
        dilation: Distance of neighbouring pixels of a window.
        before: Pixels added in front of the map.
        after: Pixels added behind it; negative to leave pixels of the map out.
    """

    size: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0

    def __post_init__(self) -> None:
        if min(self.size, self.kernel, self.stride, self.dilation) < 1 or self.before < 0:
            raise UserError(
                f"size, kernel, stride and dilation of an axis are at least 1 and its padding at least 0, got {self.size}, "
                f"{self.kernel}, {self.stride}, {self.dilation} and {self.before}"
            )
        if self.size + self.before + self.after < self.extent:
            raise UserError(
                f"a window of {self.extent} pixels does not fit an axis of {self.size} with padding {self.before} and {self.after}"
            )
        if max(self.before, self.after) >= self.extent:
            raise UserError(
                f"padding {self.before} and {self.after} gives windows of {self.extent} pixels that see no pixel of the map; pad less "
                "than the window's extent"
            )
        if (self.n_windows - 1) * self.stride >= self.size:
            raise UserError(
                f"{self.n_windows} windows at stride {self.stride} along an axis of {self.size} pixels are more than a stream without "
                f"stalls can make, at most {-(-self.size // self.stride)}; pad less, {self.extent - 1} pixels in all"
            )

    @property
    def extent(self) -> int:
        """Pixels from the first of a window to its last."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def n_windows(self) -> int:
        """Windows along the axis, which is the size of the map that is made."""
        return (self.size + self.before + self.after - self.extent) // self.stride + 1

    def pixels(self) -> npt.NDArray[np.int64]:
        """The pixel that each place of each window reads, shape ``(n_windows, kernel)``; -1 outside of the map."""
        found = np.arange(self.n_windows)[:, None] * self.stride - self.before + np.arange(self.kernel) * self.dilation
        return np.where((found >= 0) & (found < self.size), found, -1).astype(np.int64)
