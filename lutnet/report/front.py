"""The Pareto front of accuracy against lookup tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lutnet.errors import UserError

__all__ = ["Point", "non_dominated"]


@dataclass(frozen=True)
class Point:
    """A design as the front sees it.

    Attributes:
        name: What it is called.
        accuracy: Share of rows that are classified correctly, 0 to 1; more is better.
        luts: Lookup tables, counted or estimated in the same way for all points that are compared; fewer is better.

    Raises:
        UserError: A figure is not a finite number.
    """

    name: str
    accuracy: float
    luts: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.accuracy) and math.isfinite(self.luts)):
            raise UserError(
                f"a point of the front needs finite figures, got accuracy {self.accuracy} and {self.luts} LUTs for "
                f"'{self.name}'; leave out designs that were not measured"
            )


def non_dominated(points: Sequence[Point]) -> tuple[Point, ...]:
    """The points that no other point beats, ordered by lookup tables; accuracy rises strictly along them.

    A point is beaten by one that is at least as good in both figures and better in one. Of points that are equal in both the first is
    kept.
    """
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (p.luts, -p.accuracy)):
        if not front or point.accuracy > front[-1].accuracy:
            front.append(point)
    return tuple(front)
