"""Reports of several runs side by side: one row a run, as Markdown, CSV, and points of a front."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lutnet.errors import UserError
from lutnet.report.front import Point, non_dominated

__all__ = ["COLUMNS", "Column", "RunReport", "datasets_of", "front_csv", "fronts", "render_csv", "render_table"]

NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class RunReport:
    """The report of one run.

    Attributes:
        label: By what the run is known in the comparison; distinct.
        data: What its ``report.json`` holds.
    """

    label: str
    data: Mapping[str, Any]

    @classmethod
    def checked(cls, label: str, data: object, where: str) -> RunReport:
        """A report that has what a comparison cannot do without.

        Raises:
            UserError: It is no report of lutnet.
        """
        if not isinstance(data, dict):
            raise UserError(f"{where} is no report of lutnet (it is no object); write it again with `lutnet report`")
        for key in ("name", "dataset"):
            if not isinstance(data.get(key), str):
                raise UserError(
                    f"{where} is no report of lutnet (it has no '{key}'); write it again with `lutnet report`"
                )
        for column in COLUMNS:
            value = data.get(column.key)
            if column.is_number and value is not None and not _is_figure(value):
                raise UserError(
                    f"{where} is damaged ('{column.key}' is no number); write it again with `lutnet report`"
                )
        return cls(_printable(label), data)

    @property
    def dataset(self) -> str:
        """Data set and number of test rows: two runs compare when they agree in both."""
        name, n_test = _printable(str(self.data["dataset"])), self.data.get("n_test")
        return f"{name}, {n_test:,} test rows" if isinstance(n_test, int) else name

    @property
    def point(self) -> Point | None:
        """Test accuracy and yosys's lookup tables; ``None`` when one was not measured."""
        accuracy, luts = self.data.get("test_accuracy"), self.data.get("luts")
        return None if accuracy is None or luts is None else Point(self.label, float(accuracy), float(luts))


@dataclass(frozen=True)
class Column:
    """A figure of the comparison.

    Attributes:
        key: Name in ``report.json`` and in the CSV.
        title: Head of the column.
        is_number: Whether the figure is a number.
        show: How a measured figure is written.
    """

    key: str
    title: str
    is_number: bool
    show: Callable[[Any], str]

    def value(self, report: RunReport) -> Any:
        """The figure, ``None`` when it was not measured."""
        return report.data.get(self.key)

    def text(self, report: RunReport) -> str:
        """The figure for people."""
        value = self.value(report)
        return NOT_MEASURED if value is None else _printable(self.show(value))


def _is_figure(value: object) -> bool:
    """Whether a value is a number that can be written down; Python's reader of JSON lets others pass."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _LARGEST


_LARGEST = 1e18


def _printable(text: str) -> str:
    """Text without the signs that move a terminal's cursor or turn the direction of writing."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _one_place(value: float) -> str:
    return f"{value:,.1f}"


COLUMNS: tuple[Column, ...] = (
    Column("name", "configuration", False, str),
    Column("dataset", "data", False, str),
    Column("seed", "seed", True, str),
    Column("test_accuracy", "test accuracy", True, _percent),
    Column("validation_accuracy", "validation accuracy", True, _percent),
    Column("float_accuracy", "float accuracy", True, _percent),
    Column("luts", "LUTs", True, _whole),
    Column("estimated_luts", "estimated LUTs", True, _whole),
    Column("ffs", "FFs", True, _whole),
    Column("latency_cycles", "cycles", True, _whole),
    Column("fmax_ecp5_mhz", "MHz on ECP5", True, _one_place),
    Column("latency_ecp5_ns", "ns on ECP5", True, _one_place),
    Column("energy_pj", "pJ a sample (model)", True, _one_place),
    Column("energy_integer_pj", "pJ as integers", True, _one_place),
    Column("energy_float_pj", "pJ as dense floats", True, _one_place),
)
"""The figures in order."""


def datasets_of(reports: Sequence[RunReport]) -> tuple[str, ...]:
    """The different data sets, in order of appearance."""
    return tuple(dict.fromkeys(report.dataset for report in reports))


def fronts(reports: Sequence[RunReport]) -> dict[str, tuple[Point, ...]]:
    """For each data set the measured runs that no other run of it beats."""
    measured: dict[str, list[Point]] = {name: [] for name in datasets_of(reports)}
    for report in reports:
        if report.point is not None:
            measured[report.dataset].append(report.point)
    return {name: non_dominated(points) for name, points in measured.items()}


def render_table(reports: Sequence[RunReport]) -> str:
    """The comparison as a page of Markdown."""
    on_front = _labels_on_front(reports)
    head = ("run", *(column.title for column in COLUMNS), "front")
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for report in reports:
        cells = [report.label, *(column.text(report) for column in COLUMNS), "yes" if report.label in on_front else ""]
        lines.append("| " + " | ".join(_escaped(cell) for cell in cells) + " |")
    notes = [
        "Accuracy is that of the netlist on the test set. LUTs are yosys's for UltraScale+, argmax included; a run is on the front when no "
        "other run on the same data has at least its accuracy for at most its LUTs. Energy is a model, see the reports of the runs."
    ]
    without = [report.label for report in reports if report.point is None]
    if without:
        notes.append(
            f"Not on the front for want of a count of LUTs (`lutnet synth`): {', '.join(map(_escaped, without))}."
        )
    return "\n".join(["# Comparison of runs", "", *lines, "", "\n\n".join(notes), ""])


def render_csv(reports: Sequence[RunReport]) -> str:
    """The comparison as CSV; a figure that was not measured is empty."""
    on_front = _labels_on_front(reports)
    rows = [
        [_as_text(report.label), *(_csv_cell(column, report) for column in COLUMNS), int(report.label in on_front)]
        for report in reports
    ]
    return _csv([["run", *(column.key for column in COLUMNS), "on_front"], *rows])


def front_csv(reports: Sequence[RunReport]) -> str:
    """The measured points by data set and lookup tables as CSV, those on the front marked."""
    on_front = _labels_on_front(reports)
    rows = []
    for name in datasets_of(reports):
        points = [report.point for report in reports if report.dataset == name and report.point is not None]
        for point in sorted(points, key=lambda p: (p.luts, -p.accuracy)):
            figures = (point.accuracy, int(point.luts), int(point.name in on_front))
            rows.append([_as_text(name), _as_text(point.name), *figures])
    return _csv([["dataset", "run", "test_accuracy", "luts", "on_front"], *rows])


def _labels_on_front(reports: Sequence[RunReport]) -> set[str]:
    return {point.name for points in fronts(reports).values() for point in points}


def _escaped(cell: str) -> str:
    """Text that neither ends a cell nor is markup."""
    flat = " ".join(cell.split())
    for sign in "\\|<>&`*[]":
        flat = flat.replace(sign, {"<": "&lt;", ">": "&gt;", "&": "&amp;"}.get(sign, "\\" + sign))
    return flat


def _csv_cell(column: Column, report: RunReport) -> object:
    value = column.value(report)
    return "" if value is None else value if column.is_number else _as_text(column.text(report))


def _as_text(cell: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return "'" + cell if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def _csv(rows: Sequence[Sequence[object]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()
