"""Runs side by side: table, CSV, page, figure, and what is refused."""

from __future__ import annotations

import csv
import io
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from lutnet.errors import UserError
from lutnet.flow.comparing import load_reports, write_comparison
from lutnet.report.compare import COLUMNS, RunReport, front_csv, fronts, render_csv, render_table
from lutnet.report.html import render_html
from lutnet.report.plots import draw_front, front_png, front_svg

LAYER = {"name": "layer0", "out_bits": 4, "table_bits": 64, "luts": 9, "ffs": 4, "latency_cycles": 1, "energy_pj": 1.25}


def report(label: str, accuracy: float | None = 0.7, luts: int | None = 100, **others: Any) -> RunReport:
    data = {
        "name": "small",
        "dataset": "toy",
        "n_test": 1000,
        "seed": 0,
        "test_accuracy": accuracy,
        "luts": luts,
        **others,
    }
    return RunReport.checked(label, data, label)


@pytest.fixture
def reports() -> list[RunReport]:
    return [
        report("a", 0.70, 100, layers={"rows": [LAYER]}),
        report("b", 0.72, 300, name="large", energy_pj=12.34),
        report("c", 0.69, 150),
        report("d", 0.80, None),
    ]


class Page(HTMLParser):
    """Tags, texts of cells, and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta",):
            self.open.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "td":
            self.cells[-1] += data


def test_the_front_of_the_runs(reports: list[RunReport]) -> None:
    assert [point.name for point in fronts(reports)["toy, 1,000 test rows"]] == ["a", "b"]


def test_the_table_marks_the_front_and_says_what_is_missing(reports: list[RunReport]) -> None:
    text = render_table(reports)
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    assert [row[0] for row in rows] == ["| run", "| a", "| b", "| c", "| d"]
    assert [row[-1] for row in rows[1:]] == ["yes |", "yes |", " |", " |"]
    assert "70.00 %" in rows[1] and "not measured" in rows[4] and "12.3" in rows[2]
    assert "want of a count of LUTs (`lutnet synth`): d." in text


def test_the_csv_has_raw_figures_and_nothing_for_what_was_not_measured(reports: list[RunReport]) -> None:
    rows = list(csv.DictReader(io.StringIO(render_csv(reports))))
    assert list(rows[0]) == ["run", *(column.key for column in COLUMNS), "on_front"]
    assert [row["on_front"] for row in rows] == ["1", "1", "0", "0"]
    assert float(rows[1]["energy_pj"]) == 12.34 and rows[0]["energy_pj"] == "" and rows[3]["luts"] == ""
    points = list(csv.DictReader(io.StringIO(front_csv(reports))))
    assert [(row["run"], row["luts"], row["on_front"]) for row in points] == [
        ("a", "100", "1"),
        ("c", "150", "0"),
        ("b", "300", "1"),
    ]


def test_the_page_stands_alone_and_has_every_figure(reports: list[RunReport]) -> None:
    svg = front_svg(reports)
    text = render_html(reports, svg)
    page = Page(text)
    assert page.open == [] and "72.00 %" in page.cells and "1.2" in page.cells
    assert all("src" not in attrs and not str(attrs.get("href", "#")).startswith("http") for _, attrs in page.tags)
    assert [tag for tag, _ in page.tags].count("svg") == 1 and "@import" not in text and "url(http" not in text
    assert text == render_html(reports, front_svg(reports))


HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '" onclick="alert(1)',
    "$\\frac{1}{$ $x_",
    "=HYPERLINK(1)",
    "a|b\nc\x1b[2J\u202e",
    "_hidden",
    "x" * 300,
]


def test_names_of_strangers_stay_names() -> None:
    found = [report(name, 0.5 + i / 100, 100 + i, name=name, dataset=HOSTILE[0]) for i, name in enumerate(HOSTILE)]
    text = render_html(found, front_svg(found))
    page = Page(text)
    tags = [tag for tag, _ in page.tags]
    assert tags.count("script") == 1 and "img" not in tags and page.open == []
    assert not any(key.startswith("on") for _, attrs in page.tags for key in attrs)
    assert HOSTILE[0] in page.cells and "\x1b" not in text and "\u202e" not in text
    table = render_table(found)
    assert len([line for line in table.splitlines() if line.startswith("|")]) == 2 + len(HOSTILE)
    assert "<" not in table and "\x1b" not in table
    cells = {row["run"] for row in csv.DictReader(io.StringIO(render_csv(found)))}
    assert "'=HYPERLINK(1)" in cells and not any(cell.startswith("=") for cell in cells)
    ElementTree.fromstring(front_svg(found))


def test_figures_are_what_they_say_and_repeat(reports: list[RunReport]) -> None:
    png = front_png(reports)
    assert png[:8] == b"\x89PNG\r\n\x1a\n" and png == front_png(reports)
    assert ElementTree.fromstring(front_svg(reports)).tag.endswith("svg")
    assert front_svg(reports) == front_svg(reports)
    axes = draw_front(reports).axes
    assert len(axes) == 1 and axes[0].get_xscale() == "log"
    assert {text.get_text() for text in axes[0].texts} == {"a", "b"}


def test_a_panel_for_each_data_set(reports: list[RunReport]) -> None:
    both = [*reports, report("e", 0.9, 50, dataset="other"), report("f", None, None, dataset="third")]
    axes = draw_front(both).axes
    assert [ax.get_title(loc="left") for ax in axes] == [
        f"{name}, 1,000 test rows" for name in ("toy", "other", "third")
    ]
    assert "no run with a count of LUTs" in [text.get_text() for text in axes[2].texts]
    front_png([report("zero", 0.5, 0), report("one", 0.6, 1)])


def save(folder: Path, name: str, **data: Any) -> Path:
    path = folder / name
    path.mkdir(parents=True)
    (path / "report.json").write_text(json.dumps(dict(report(name).data) | data))
    return path


def test_all_files_are_written(tmp_path: Path) -> None:
    found = load_reports([save(tmp_path, "a"), save(tmp_path, "b", luts=50)])
    paths = write_comparison(found, tmp_path / "out")
    names = ["compare.csv", "compare.html", "compare.md", "front.csv", "front.png", "front.svg"]
    assert sorted(path.name for path in paths) == names == sorted(path.name for path in (tmp_path / "out").iterdir())


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    found = load_reports([save(tmp_path / "one", "run"), save(tmp_path / "two", "run")])
    assert [item.label for item in found] == ["one/run", "two/run"]


def test_runs_on_different_data_are_refused_unless_asked_for(tmp_path: Path) -> None:
    paths = [save(tmp_path, "a"), save(tmp_path, "b", dataset="other")]
    with pytest.raises(UserError, match=r"a was measured on toy.*b on other.*--mixed"):
        load_reports(paths)
    assert len(load_reports(paths, mixed=True)) == 2
    with pytest.raises(UserError, match="10 test rows"):
        load_reports([paths[0], save(tmp_path, "c", n_test=10)])


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "is damaged"),
        ("[1]", "it is no object"),
        ('{"name": "x"}', "it has no 'dataset'"),
        ('{"name": "x", "dataset": "toy", "luts": "many"}', "'luts' is no number"),
        ('{"name": "x", "dataset": "toy", "luts": true}', "'luts' is no number"),
        ('{"name": "x", "dataset": "toy", "test_accuracy": NaN}', "'test_accuracy' is no number"),
        ('{"name": "x", "dataset": "toy", "luts": 1' + "0" * 400 + "}", "'luts' is no number"),
        ("[" * 100_000, "is damaged"),
    ],
)
def test_damaged_reports_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = save(tmp_path, "a")
    (path / "report.json").write_text(content)
    with pytest.raises(UserError, match=message):
        load_reports([path])


def test_folders_that_are_no_runs_are_refused(tmp_path: Path) -> None:
    run = save(tmp_path, "a")
    with pytest.raises(UserError, match="is no folder"):
        load_reports([run, tmp_path / "nothing"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="is no run"):
        load_reports([run, tmp_path / "empty"])
    with pytest.raises(UserError, match="named twice"):
        load_reports([run, tmp_path / "empty" / ".." / "a"])
    (tmp_path / "b" / "model").mkdir(parents=True)
    with pytest.raises(UserError, match="has no report yet"):
        load_reports([run, tmp_path / "b"])
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(UserError, match="cannot write"):
        write_comparison(load_reports([run]), blocked)
