"""Figures: accuracy against lookup tables. The only module that imports matplotlib, and only when something is drawn."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from lutnet.report.compare import RunReport, datasets_of, fronts
from lutnet.report.front import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

__all__ = ["draw_front", "front_png", "front_svg"]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#999999")
"""Okabe and Ito, "Color universal design", 2008: told apart with every kind of colour blindness. Markers differ too."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")

_N_STYLES = len(COLOURS) * len(MARKERS)
_PANEL_INCHES = (8.0, 5.2)
_DPI = 150


def front_png(reports: Sequence[RunReport]) -> bytes:
    """The figure as PNG."""
    buffer = io.BytesIO()
    with _style():
        draw_front(reports).savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def front_svg(reports: Sequence[RunReport]) -> str:
    """The figure as SVG; equal reports give equal text."""
    buffer = io.StringIO()
    with _style():
        draw_front(reports).savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def draw_front(reports: Sequence[RunReport]) -> Figure:
    """Test accuracy against lookup tables on a logarithmic axis, a panel for each data set.

    Runs of one configuration share colour and marker; those on the front are filled, joined by a stair, and named.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = datasets_of(reports)
    width, height = _PANEL_INCHES
    figure = Figure(figsize=(width, height * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, name in zip(figure.subplots(len(names), 1, squeeze=False)[:, 0], names, strict=True):
        _panel(axes, name, [report for report in reports if report.dataset == name])
    return figure


def _panel(axes: Axes, dataset: str, reports: Sequence[RunReport]) -> None:
    axes.set_title(dataset, loc="left", fontsize=10, parse_math=False)
    axes.set_xlabel("LUTs (yosys, UltraScale+, argmax included)")
    axes.set_ylabel("test accuracy in %")
    axes.grid(True, which="both", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    measured = [(report, report.point) for report in reports if report.point is not None]
    if not measured:
        axes.text(0.5, 0.5, "no run with a count of LUTs", transform=axes.transAxes, ha="center")
        axes.set_xticks([])
        axes.set_yticks([])
        return
    front = fronts(reports)[dataset]
    styles = {
        name: index for index, name in enumerate(dict.fromkeys(str(report.data["name"]) for report, _ in measured))
    }
    for name, index in styles.items():
        points = [point for report, point in measured if report.data["name"] == name and point is not None]
        _scatter(axes, name, index, points, set(front))
    _stair(axes, front)
    _limits(axes, [point for _, point in measured if point is not None])
    _name_points(axes, front, [point for _, point in measured if point is not None])
    if 1 < len(styles) <= _N_STYLES:
        _legend(axes, len(styles))


def _scatter(axes: Axes, name: str, index: int, points: Sequence[Point], front: set[Point]) -> None:
    colour = COLOURS[index % len(COLOURS)]
    marker = MARKERS[(index + index // len(COLOURS)) % len(MARKERS)]
    for filled in (False, True):
        chosen = [point for point in points if (point in front) == filled]
        axes.scatter(
            [point.luts for point in chosen],
            [100 * point.accuracy for point in chosen],
            s=42,
            marker=marker,
            facecolors=colour if filled else "none",
            edgecolors=colour,
            linewidths=1.3,
            zorder=3 + filled,
        )
    axes.scatter([], [], s=42, marker=marker, facecolors=colour, edgecolors=colour, label=_plain(name))


def _stair(axes: Axes, front: Sequence[Point]) -> None:
    """What can be had for a number of lookup tables: flat up to the next point."""
    xs = [point.luts for point in front]
    ys = [100 * point.accuracy for point in front]
    axes.step(xs, ys, where="post", color="#444444", linewidth=1.0, linestyle="--", zorder=2)


def _limits(axes: Axes, points: Sequence[Point]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    lowest, highest = min(p.luts for p in points), max(p.luts for p in points)
    if lowest > 0:
        axes.set_xscale("log")
        room = max(1.25, (highest / lowest) ** 0.12)
        axes.set_xlim(lowest / room, highest * room)
        axes.xaxis.set_major_locator(LogLocator(base=10, subs=_ticks(highest / lowest)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    else:
        axes.set_xlim(-0.05 * max(highest, 1), 1.1 * max(highest, 1))
    low, high = 100 * min(p.accuracy for p in points), 100 * max(p.accuracy for p in points)
    room = max(0.14 * (high - low), 0.05)
    axes.set_ylim(low - room, high + room)


def _ticks(ratio: float) -> tuple[float, ...]:
    """Numbers of a decade that stand at the axis, fewer the more decades there are."""
    if ratio < 2:
        return tuple(step / 10 for step in (*range(10, 20), *range(20, 50, 2), *range(50, 100, 5)))
    if ratio < 12:
        return (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
    return (1.0, 2.0, 5.0) if ratio < 300 else (1.0,)


def _name_points(axes: Axes, front: Sequence[Point], points: Sequence[Point]) -> None:
    """Names beside the points of the front, where they cover no point, no name and no stair; none where there is no room."""
    from matplotlib.text import Text

    figure = axes.get_figure(root=True)
    if figure is None:
        raise AssertionError("axes are made by a figure")
    renderer: Any = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    figure.draw_without_rendering()
    obstacles = [axes.transData.transform((point.luts, 100 * point.accuracy)) for point in points]
    for left, right in pairwise(front):
        start, end = (axes.transData.transform((point.luts, 100 * left.accuracy)) for point in (left, right))
        obstacles += [start + (end - start) * step / 40 for step in range(41)]
    around = axes.get_window_extent(renderer)
    taken: list[Any] = []
    for point in reversed(front):
        place = axes.transData.transform((point.luts, 100 * point.accuracy))
        for dx, dy in _OFFSETS:
            label = _name(axes, point, dx, dy)
            label.update_positions(renderer)
            box = Text.get_window_extent(label, renderer).padded(3.0)
            anchor = label.get_transform().transform(label.get_position())
            line = [place + (anchor - place) * step / 20 for step in range(6, 20)]
            inside = around.x0 < box.x0 and box.x1 < around.x1 and around.y0 < box.y0 and box.y1 < around.y1
            crossing = any(other.count_contains(line) for other in taken)
            if (
                inside
                and not crossing
                and not box.count_overlaps(taken)
                and not box.padded(4.0).count_contains(obstacles)
            ):
                taken.append(box)
                obstacles += line
                break
            label.remove()


def _name(axes: Axes, point: Point, dx: float, dy: float) -> Annotation:
    """A name so many points from a marker, with a line to it when it is not beside it."""
    return axes.annotate(
        _plain(point.name),
        (point.luts, 100 * point.accuracy),
        xytext=(dx, dy),
        textcoords="offset points",
        ha="left" if dx > 0.5 else "right" if dx < -0.5 else "center",
        va="bottom" if dy > 0.5 else "top" if dy < -0.5 else "center",
        fontsize=7.5,
        color="#222222",
        zorder=5,
        parse_math=False,
        arrowprops={"arrowstyle": "-", "color": "#888888", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3.5}
        if math.hypot(dx, dy) > _OFFSETS_POINTS[0]
        else None,
    )


_OFFSETS_POINTS = (9.0, 18.0, 28.0, 40.0, 54.0, 70.0)

_OFFSETS = tuple(
    (round(radius * math.cos(math.radians(angle)), 2), round(radius * math.sin(math.radians(angle)), 2))
    for radius in _OFFSETS_POINTS
    for angle in (135, 110, 90, 160, 180, 70, 45, 20, 0, -45, -90, -135)
)
"""Where a name may stand, in points from the middle of its marker, best places first: above and left of a front is empty."""


def _legend(axes: Axes, n_entries: int) -> None:
    legend = axes.legend(loc="lower right", fontsize=7.5, framealpha=0.9, ncols=1 + (n_entries - 1) // 10)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _plain(name: str) -> str:
    """A name on one line of bearable length, without signs that cannot be drawn; a leading underscore would hide it in a legend."""
    flat = "".join(sign if sign.isprintable() else " " for sign in name).strip()
    short = flat if len(flat) <= 40 else flat[:39] + "…"
    return "\u200a" + short if short.startswith("_") else short


def _style() -> Any:
    import matplotlib as mpl

    return mpl.rc_context(
        {
            **mpl.rcParamsDefault,
            "font.family": "DejaVu Sans",
            "font.size": 9,
            "svg.fonttype": "path",
            "svg.hashsalt": "lutnet",
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    )
