"""A network as a stream: a chain of stages, each as many kernels side by side as keep up with the pixels that come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError
from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.netlist import Netlist
from lutnet.stream.estimate import StreamEstimate, estimate_stage
from lutnet.stream.schedule import Schedule
from lutnet.stream.stage import StreamStage

__all__ = ["StreamDesign"]

MAX_UNROLLED_NODES = 4_000_000
"""Most nodes of an unrolled netlist."""

_CHUNK_CODES = 1 << 23


@dataclass(frozen=True)
class StreamDesign:
    """A chain of stages that reads a map pixel by pixel and makes another one, or the outputs of a network.

    Images follow each other without gap, clocks without input may stand anywhere between their pixels, and nothing ever has to wait:
    every stage takes a group of pixels a clock.

    Attributes:
        stages: In order; each reads the map that the one before makes.
        pixels_per_clock: Pixels of a row of the first map that come in one clock, a divisor of its columns.
        order: Column of the flat input codes that stands at each place of the stream, where the places are numbered row by row, pixel
            by pixel, channel by channel; the same order when left out.
    """

    stages: tuple[StreamStage, ...]
    pixels_per_clock: int = 1
    order: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.stages:
            raise UserError("a stream needs at least one stage, got none")
        for number, (before, stage) in enumerate(zip(self.stages, self.stages[1:], strict=False), start=1):
            size, reads = before.out_size, (stage.rows.size, stage.columns.size)
            if size != reads or before.out_widths != stage.widths:
                raise UserError(
                    f"stage {number} reads {reads[0]} x {reads[1]} pixels of widths {list(stage.widths)}, the stage before it makes "
                    f"{size[0]} x {size[1]} of widths {list(before.out_widths)}"
                )
        if self.pixels_per_clock not in self.folds:
            raise UserError(
                f"{self.pixels_per_clock} pixels a clock do not divide rows of {self.columns} pixels; choose one of "
                f"{', '.join(map(str, self.folds))}"
            )
        if not self.order:
            object.__setattr__(self, "order", tuple(range(self.n_inputs)))
        if sorted(self.order) != list(range(self.n_inputs)):
            raise UserError(
                f"the order of a stream of {self.rows} x {self.columns} pixels with {len(self.widths)} channels holds every column from 0 "
                f"to {self.n_inputs - 1} once, got {len(self.order)} columns, {len(set(self.order))} different"
            )

    # -- shape -------------------------------------------------------------------------------------------------------

    @property
    def rows(self) -> int:
        """Rows of the first map."""
        return self.stages[0].rows.size

    @property
    def columns(self) -> int:
        """Columns of the first map."""
        return self.stages[0].columns.size

    @property
    def widths(self) -> tuple[int, ...]:
        """Bits of each channel of a pixel of the first map."""
        return self.stages[0].widths

    @property
    def n_inputs(self) -> int:
        """Codes of an image."""
        return self.rows * self.columns * len(self.widths)

    @property
    def input_widths(self) -> tuple[int, ...]:
        """Bits of each column of the flat input codes."""
        widths = np.empty(self.n_inputs, dtype=np.int64)
        widths[list(self.order)] = np.tile(self.widths, self.rows * self.columns)
        return tuple(widths.tolist())

    @property
    def folds(self) -> tuple[int, ...]:
        """The numbers of pixels a clock that are possible, ascending."""
        return tuple(n for n in range(1, self.columns + 1) if self.columns % n == 0)

    # -- meaning -----------------------------------------------------------------------------------------------------

    def evaluate(self, codes: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Reference semantics: what the unrolled netlist gives.

        Args:
            codes: Integers, shape ``(batch, n_inputs)``.

        Returns:
            int64, shape ``(batch, out_rows * out_columns * out_channels)``: row by row, pixel by pixel, channel by channel.

        Raises:
            UserError: The codes have another shape, or one does not fit its width.
        """
        images = self.images(codes)
        largest = max(stage.places.size * stage.n_channels for stage in self.stages)
        chunk = max(1, _CHUNK_CODES // largest)
        parts = []
        for start in range(0, max(1, len(images)), chunk):
            maps = images[start : start + chunk]
            for stage in self.stages:
                maps = stage.evaluate(maps)
            parts.append(maps.reshape(len(maps), -1))
        return np.concatenate(parts)

    def images(self, codes: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Flat input codes as maps in the order of the stream: int64, shape ``(batch, rows, columns, channels)``."""
        batch = np.asarray(codes)
        if batch.ndim != 2 or batch.shape[1] != self.n_inputs or not np.issubdtype(batch.dtype, np.integer):
            raise UserError(
                f"expected integer codes of shape (batch, {self.n_inputs}), got {batch.dtype} {batch.shape}"
            )
        images = batch.astype(np.int64)[:, list(self.order)].reshape(len(batch), self.rows, self.columns, -1)
        for channel, width in enumerate(self.widths):
            codes_of = images[..., channel]
            if codes_of.size and (int(codes_of.min()) < 0 or int(codes_of.max()) >> width):
                raise UserError(
                    f"channel {channel} takes codes 0 to {(1 << width) - 1}, got {codes_of.min()} to {codes_of.max()}; encode the "
                    "features with the encoder stored beside the netlist"
                )
        return images

    def unroll(self) -> Netlist:
        """The same function as one netlist, with a copy of a kernel for every window.

        Raises:
            UserError: It would have more than :data:`MAX_UNROLLED_NODES` nodes.
        """
        n_nodes = sum(len(stage.places) * stage.kernel.n_nodes for stage in self.stages)
        if n_nodes > MAX_UNROLLED_NODES:
            raise UserError(
                f"the stream has {n_nodes:,} nodes when every window has a kernel of its own, at most {MAX_UNROLLED_NODES:,} are unrolled"
            )
        builder = NetlistBuilder()
        inputs = [builder.input(width) for width in self.input_widths]
        rows = [inputs[column] for column in self.order]
        for stage in self.stages:
            rows = stage.unroll(builder, rows)
        for row in rows:
            builder.output(row)
        return builder.build()

    # -- hardware ----------------------------------------------------------------------------------------------------

    @cached_property
    def schedules(self) -> tuple[Schedule, ...]:
        """Each stage at the number of pixels a clock that reaches it."""
        found: list[Schedule] = []
        for stage in self.stages:
            found.append(Schedule(stage, found[-1].out_lanes if found else self.pixels_per_clock))
        return tuple(found)

    @property
    def clocks_per_image(self) -> int:
        """Clocks from an image to the next when they follow each other without gap."""
        return self.rows * self.columns // self.pixels_per_clock

    @cached_property
    def latency_cycles(self) -> int:
        """Registers between the last group of an image and the last group of its result, for an image with nothing behind it.

        When the next image follows, its pixels push the windows at the end of the one before through, so that a pause in the next image can
        make a result later than this; it never makes it earlier.
        """
        edges = np.arange(self.clocks_per_image, dtype=np.int64)
        for schedule in self.schedules:
            edges = schedule.arrivals(edges)
        return int(edges[-1]) - (self.clocks_per_image - 1)

    @cached_property
    def stage_estimates(self) -> tuple[StreamEstimate, ...]:
        """Lookup tables and flip-flops of each stage, counted without synthesis."""
        return tuple(estimate_stage(schedule) for schedule in self.schedules)

    @property
    def estimate(self) -> StreamEstimate:
        """Lookup tables and flip-flops of the whole."""
        parts = self.stage_estimates
        return StreamEstimate(
            kernel_luts=sum(part.kernel_luts for part in parts),
            shell_luts=sum(part.shell_luts for part in parts),
            line_bits=sum(part.line_bits for part in parts),
            ffs=sum(part.ffs for part in parts),
        )

    def at(self, pixels_per_clock: int) -> StreamDesign:
        """The same function at another number of pixels a clock."""
        return replace(self, pixels_per_clock=pixels_per_clock)

    def fold_for(self, budget_luts: int) -> StreamDesign:
        """The design of most pixels a clock whose estimate stays within a budget.

        Args:
            budget_luts: Most lookup tables.

        Raises:
            UserError: One pixel a clock takes more.
        """
        for fold in reversed(self.folds):
            design = self.at(fold)
            if design.estimate.luts <= budget_luts:
                return design
        raise UserError(
            f"one pixel a clock takes an estimated {self.at(1).estimate.luts:,} lookup tables, more than the budget of {budget_luts:,}; "
            "raise the budget, or choose smaller kernels"
        )

    def map_kernels(self, change: Callable[[Netlist], Netlist]) -> StreamDesign:
        """The design with every kernel changed, such as optimised or pipelined; the function of each has to stay the same."""
        return replace(self, stages=tuple(replace(stage, kernel=change(stage.kernel)) for stage in self.stages))
