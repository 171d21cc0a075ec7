"""One stage of a stream: windows over a map, and the netlist that makes one pixel of the next map of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError
from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import OpCode
from lutnet.passes.rebuild import copy_node
from lutnet.stream.axis import Axis

__all__ = ["StreamStage", "whole_map"]


@dataclass(frozen=True)
class StreamStage:
    """A convolution, a pooling, or, with one window as large as the map, a dense part of a network.

    Attributes:
        rows: Windows along the rows.
        columns: Windows along the columns.
        widths: Bits of each channel of a pixel that is read.
        kernel: Reads a window, row by row, in a row pixel by pixel, in a pixel channel by channel; makes the channels of one pixel.
        outside: Code of each channel outside of the map; 0 for all when left out.
    """

    rows: Axis
    columns: Axis
    widths: tuple[int, ...]
    kernel: Netlist
    outside: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.widths or min(self.widths) < 1:
            raise UserError(f"a pixel has at least one channel of at least 1 bit, got widths {list(self.widths)}")
        if not self.outside:
            object.__setattr__(self, "outside", (0,) * self.n_channels)
        if len(self.outside) != self.n_channels:
            raise UserError(
                f"expected a code outside of the map for {self.n_channels} channels, got {len(self.outside)}"
            )
        for code, width in zip(self.outside, self.widths, strict=True):
            if code < 0 or code >> width:
                raise UserError(
                    f"a channel of {width} bits has codes 0 to {(1 << width) - 1}, got {code} outside of the map"
                )
        wanted = self.widths * self.n_places
        if self.kernel.input_widths != wanted:
            raise UserError(
                f"a window of {self.rows.kernel} x {self.columns.kernel} pixels with {self.n_channels} channels has {len(wanted)} codes "
                f"of {sum(wanted)} bits, the kernel reads {len(self.kernel.inputs)} of {sum(self.kernel.input_widths)} bits"
            )

    @property
    def n_channels(self) -> int:
        """Channels of the map that is read."""
        return len(self.widths)

    @property
    def n_places(self) -> int:
        """Pixels of a window."""
        return self.rows.kernel * self.columns.kernel

    @property
    def pixel_bits(self) -> int:
        """Bits of a pixel of the map that is read."""
        return sum(self.widths)

    @property
    def out_widths(self) -> tuple[int, ...]:
        """Bits of each channel of the map that is made."""
        return self.kernel.output_widths

    @property
    def out_size(self) -> tuple[int, int]:
        """Rows and columns of the map that is made."""
        return self.rows.n_windows, self.columns.n_windows

    def evaluate(self, maps: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Codes of the map that is made: ``(batch, rows, columns, channels)`` to the same of the next map."""
        n_rows, n_columns = self.out_size
        places = self.places
        outside = np.asarray(self.outside, dtype=np.int64)
        flat = np.concatenate(
            [maps.reshape(len(maps), -1, self.n_channels), np.broadcast_to(outside, (len(maps), 1, self.n_channels))],
            axis=1,
        )
        codes = flat[:, places.ravel()].reshape(len(maps) * len(places), -1)
        return self.kernel.evaluate(codes).reshape(len(maps), n_rows, n_columns, -1)

    @cached_property
    def places(self) -> npt.NDArray[np.int64]:
        """Pixel of the map at each place of each window, shape ``(windows, places)``, both row by row; -1 outside."""
        rows, columns = self.rows.pixels()[:, None, :, None], self.columns.pixels()[None, :, None, :]
        found = np.where((rows >= 0) & (columns >= 0), rows * self.columns.size + columns, -1)
        return found.reshape(-1, self.n_places)

    def unroll(self, builder: NetlistBuilder, rows: Sequence[int]) -> list[int]:
        """Adds a copy of the kernel for every window.

        Args:
            builder: Where to add them.
            rows: The rows that carry the codes of the map, pixel by pixel.

        Returns:
            The rows that carry the codes of the map that is made.
        """
        outside = [builder.const(code, width) for code, width in zip(self.outside, self.widths, strict=True)]
        made = []
        for window in self.places.tolist():
            operands: list[int] = []
            for pixel in window:
                low = pixel * self.n_channels
                operands += rows[low : low + self.n_channels] if pixel >= 0 else outside
            made += _instance(builder, self.kernel, operands)
        return made


def whole_map(size: tuple[int, int], widths: tuple[int, ...], kernel: Netlist) -> StreamStage:
    """The stage of a netlist that reads a whole map, pixel by pixel: it makes one pixel, whose channels are the netlist's outputs.

    Args:
        size: Rows and columns of the map.
        widths: Bits of each channel.
        kernel: Reads ``rows * columns * channels`` codes.
    """
    rows, columns = size
    return StreamStage(Axis(rows, rows), Axis(columns, columns), widths, kernel)


def _instance(builder: NetlistBuilder, net: Netlist, operands: Sequence[int]) -> list[int]:
    """Adds a netlist on other rows; codes are read as the netlist reads its own inputs."""
    rows = [-1] * net.n_nodes
    for row, operand in zip(net.inputs.tolist(), operands, strict=True):
        node = net.node(row)
        same = builder.node(operand).signed == node.signed
        rows[row] = operand if same else builder.slice(operand, 0, node.width, signed=node.signed)
    for node in net.nodes():
        if node.op is not OpCode.INPUT:
            rows[node.id] = copy_node(builder, node, tuple(rows[j] for j in node.operands))
    return [rows[row] for row in net.outputs.tolist()]
