"""When each window of a stage is complete, and where its pixels stand then in the line of the pixels that came last.

A map comes row by row, ``lanes`` pixels of a row a clock: a *group*. The groups go into a shift register, the *line*; a step shifts it by
one group. Group ``g`` of row ``r`` is taken in step ``r * groups + g`` of its image, so that the pixels of a window stand at constant ages
in the line, and every place of the window is one fixed part of it. Steps go on without input after the last group, until the windows
that hang over the end of the map are out; when the next image is there earlier, its groups make these steps. Its own windows come
later than those of the image before it, because no stage makes more windows of a row, or more rows, than it has steps for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import gcd

import numpy as np
import numpy.typing as npt

from lutnet.stream.axis import Axis
from lutnet.stream.stage import StreamStage

__all__ = ["Schedule", "Span", "Tap"]


@dataclass(frozen=True)
class Span:
    """Steps, counted in rows or in groups of a row, in which a place of a window lies on the map.

    Attributes:
        first: The first.
        last: The last.
    """

    first: int
    last: int


@dataclass(frozen=True)
class Tap:
    """Where a place of a window stands in the line when the window is complete.

    Attributes:
        age: Groups that were taken after its own.
        lane: Its pixel in the group.
        rows: Rows in which it lies on the map; ``None`` for all.
        groups: Groups of a row in which it lies on the map; ``None`` for all.
    """

    age: int
    lane: int
    rows: Span | None
    groups: Span | None

    @property
    def masked(self) -> bool:
        """Whether it lies outside of the map in some step."""
        return self.rows is not None or self.groups is not None


@dataclass(frozen=True)
class Schedule:
    """A stage at a number of pixels a clock.

    Attributes:
        stage: The stage.
        lanes: Pixels of a group of the map that is read.
    """

    stage: StreamStage
    lanes: int

    @property
    def groups(self) -> int:
        """Groups of a row of the map that is read; the last one may be filled in part."""
        return -(-self.stage.columns.size // self.lanes)

    @property
    def n_in(self) -> int:
        """Groups of an image."""
        return self.stage.rows.size * self.groups

    @property
    def out_lanes(self) -> int:
        """Pixels of a group of the map that is made: kernels side by side."""
        return min(self.lanes // gcd(self.lanes, self.stage.columns.stride), self.stage.columns.n_windows)

    @property
    def out_groups(self) -> int:
        """Groups of a row of the map that is made."""
        return -(-self.stage.columns.n_windows // self.out_lanes)

    @property
    def n_out(self) -> int:
        """Groups that an image makes."""
        return self.stage.rows.n_windows * self.out_groups

    @property
    def every(self) -> int:
        """Steps between the groups that are made of a row."""
        stride = self.stage.columns.stride
        return stride // gcd(self.lanes, stride) if self.out_groups > 1 else 1

    @property
    def last_row(self) -> int:
        """The row in which the last windows are made, counted from that of the first ones."""
        return (self.stage.rows.n_windows - 1) * self.stage.rows.stride

    @property
    def last_group(self) -> int:
        """The group of a row in which its last windows are made, counted from that of the first ones."""
        return (self.out_groups - 1) * self.every

    @property
    def first(self) -> int:
        """The step of an image that completes its first windows, from 0."""
        return self._row_lag * self.groups + self._group_lag

    @property
    def last(self) -> int:
        """The step that completes its last windows."""
        return self.first + self.last_row * self.groups + self.last_group

    @property
    def pointwise(self) -> bool:
        """Whether every pixel is a window of its own, so that there is nothing to keep."""
        stage = self.stage
        return stage.out_size == (stage.rows.size, stage.columns.size) and stage.n_places == 1

    @property
    def masked(self) -> bool:
        """Whether some place of a window is outside of the map in some step, so that windows are registered behind masks."""
        return any(tap is None or tap.masked for lane in self.taps for tap in lane)

    @property
    def depth(self) -> int:
        """Groups in the line."""
        return 1 + max((tap.age for lane in self.taps for tap in lane if tap is not None), default=0)

    @cached_property
    def taps(self) -> tuple[tuple[Tap | None, ...], ...]:
        """For each kernel side by side, the places of its window row by row; ``None`` for one that never lies on the map."""
        found = []
        for lane in range(self.out_lanes):
            row_spans = [self._row_span(place) for place in range(self.stage.rows.kernel)]
            group_spans = [self._group_span(lane, place) for place in range(self.stage.columns.kernel)]
            found.append(
                tuple(
                    self._tap(lane, row, column, rows, groups)
                    for row, rows in enumerate(row_spans)
                    for column, groups in enumerate(group_spans)
                )
            )
        return tuple(found)

    def arrivals(self, taken: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Clock edges at which the next stage takes the groups that one image alone makes.

        Args:
            taken: Clock edges at which the groups of the image are taken, shape ``(n_in,)``.

        Returns:
            Shape ``(n_out,)``.
        """
        if self.pointwise:
            return taken + self.stage.kernel.latency_cycles
        drain = taken[-1] + 1 + np.arange(max(0, self.last + 1 - self.n_in))
        edges = np.concatenate([taken, drain])
        rows = np.arange(self.stage.rows.n_windows)[:, None] * self.stage.rows.stride
        steps = self.first + rows * self.groups + np.arange(self.out_groups) * self.every
        return np.asarray(edges[steps.ravel()] + 1 + int(self.masked) + self.stage.kernel.latency_cycles)

    # -- inside ------------------------------------------------------------------------------------------------------

    @cached_property
    def _row_lag(self) -> int:
        """Rows from the first one to the lowest one that a window of the first row reads."""
        places = [k for k in range(self.stage.rows.kernel) if self._row_span(k) is not None]
        return max([0, *(_offset(self.stage.rows, 0, place) for place in places)])

    @cached_property
    def _group_lag(self) -> int:
        """Groups from the first one to the last one that a window of the first group of a row reads."""
        pairs = [(p, k) for p in range(self.out_lanes) for k in range(self.stage.columns.kernel)]
        reads = [pair for pair in pairs if self._group_span(*pair) is not None]
        return max([0, *(_offset(self.stage.columns, *pair) // self.lanes for pair in reads)])

    def _row_span(self, place: int) -> Span | None:
        inside = np.flatnonzero(self.stage.rows.pixels()[:, place] >= 0)
        stride = self.stage.rows.stride
        return Span(int(inside[0]) * stride, int(inside[-1]) * stride) if len(inside) else None

    def _group_span(self, lane: int, place: int) -> Span | None:
        """The groups of a row in which the window of a lane exists and a place of it lies on the map."""
        inside = np.flatnonzero(self.stage.columns.pixels()[lane :: self.out_lanes, place] >= 0)
        return Span(int(inside[0]) * self.every, int(inside[-1]) * self.every) if len(inside) else None

    def _tap(self, lane: int, row: int, column: int, rows: Span | None, groups: Span | None) -> Tap | None:
        if rows is None or groups is None:
            return None
        group, pixel = divmod(_offset(self.stage.columns, lane, column), self.lanes)
        n_windows = len(range(lane, self.stage.columns.n_windows, self.out_lanes))
        return Tap(
            age=(self._row_lag - _offset(self.stage.rows, 0, row)) * self.groups + self._group_lag - group,
            lane=pixel,
            rows=rows if rows != Span(0, self.last_row) else None,
            groups=groups if groups != Span(0, (n_windows - 1) * self.every) else None,
        )


def _offset(axis: Axis, window: int, place: int) -> int:
    """The pixel that a place of a window reads, were there no end of the map."""
    return window * axis.stride - axis.before + place * axis.dilation
