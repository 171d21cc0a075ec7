"""The Pareto front."""

from __future__ import annotations

import numpy as np
import pytest

from lutnet.errors import UserError
from lutnet.report.front import Point, non_dominated


def beaten(point: Point, by: Point) -> bool:
    return (
        by.accuracy >= point.accuracy
        and by.luts <= point.luts
        and (by.accuracy, by.luts) != (point.accuracy, point.luts)
    )


@pytest.mark.parametrize("seed", range(20))
def test_the_front_is_what_nothing_beats(seed: int) -> None:
    rng = np.random.default_rng(seed)
    figures = zip(rng.integers(0, 12, 30) / 12, rng.integers(1, 12, 30), strict=True)
    points = [Point(str(i), float(accuracy), int(luts)) for i, (accuracy, luts) in enumerate(figures)]
    front = non_dominated(points)
    by_definition = {(p.accuracy, p.luts) for p in points if not any(beaten(p, q) for q in points)}
    assert [(p.accuracy, p.luts) for p in front] == sorted(by_definition, key=lambda figure: figure[1])


def test_of_equal_points_the_first_stays() -> None:
    points = [Point("a", 0.5, 10), Point("b", 0.5, 10), Point("c", 0.5, 11)]
    assert non_dominated(points) == (points[0],)
    assert non_dominated(points[::-1]) == (points[1],)


def test_no_points_no_front() -> None:
    assert non_dominated([]) == ()


@pytest.mark.parametrize("accuracy, luts", [(float("nan"), 1.0), (0.5, float("inf"))])
def test_points_are_measured(accuracy: float, luts: float) -> None:
    with pytest.raises(UserError, match="finite figures"):
        Point("x", accuracy, luts)
