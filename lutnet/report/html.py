"""The comparison of runs as one page of HTML that needs nothing beside it.

Names and texts in reports come from strangers: everything is escaped, the page's policy allows no script but its own and no request at all.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from lutnet.report.compare import COLUMNS, NOT_MEASURED, RunReport, fronts

__all__ = ["render_html"]

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 90rem; padding: 0 1rem; color: #1a1a1a; background: #fff; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.9rem; }
th, td { padding: 0.3rem 0.6rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }
th.text, td.text { text-align: left; }
thead th { border-bottom: 2px solid #666; vertical-align: bottom; position: sticky; top: 0; background: #fff; }
th button { font: inherit; font-weight: 600; border: 0; background: none; padding: 0; cursor: pointer; }
th button { text-align: inherit; white-space: normal; }
th[aria-sort="ascending"] button::after { content: " \\25B2"; }
th[aria-sort="descending"] button::after { content: " \\25BC"; }
tr.front { background: #eaf3fa; }
td.missing { color: #767676; }
figure { margin: 1.5rem 0; max-width: 60rem; }
figure svg { width: 100%; height: auto; }
details { margin: 0.5rem 0; }
summary { cursor: pointer; }
"""

_SCRIPT = """
document.querySelectorAll("table.sortable").forEach(function (table) {
  table.querySelectorAll("thead th").forEach(function (head, column) {
    head.querySelector("button").addEventListener("click", function () {
      var up = head.getAttribute("aria-sort") !== "ascending";
      table.querySelectorAll("thead th").forEach(function (other) { other.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      var body = table.tBodies[0];
      var rows = Array.prototype.slice.call(body.rows);
      var number = head.dataset.kind === "number";
      rows.sort(function (a, b) {
        var x = a.cells[column].dataset.value, y = b.cells[column].dataset.value;
        if (x === "" || y === "") { return (x === "") - (y === ""); }
        var order = number ? parseFloat(x) - parseFloat(y) : x.localeCompare(y, undefined, { numeric: true });
        return up ? order : -order;
      });
      rows.forEach(function (row) { body.appendChild(row); });
    });
  });
});
"""


def render_html(reports: Sequence[RunReport], figure_svg: str) -> str:
    """The page: a table whose columns sort when their heads are clicked, the figure, and every run's layers.

    Args:
        reports: The runs.
        figure_svg: The front as SVG, as :func:`lutnet.report.plots.front_svg` makes it.
    """
    title = f"Comparison of {len(reports)} run{'' if len(reports) == 1 else 's'}"
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title>",
            f"<style>{_STYLE}</style>",
            "</head>",
            "<body>",
            f"<h1>{title}</h1>",
            "<p>Accuracy is that of the netlist on the test set, LUTs are yosys's for UltraScale+ with the argmax. Runs that no "
            "other run on the same data beats in both are shaded. A click on a head sorts by its column.</p>",
            _table(reports),
            f'<figure aria-label="test accuracy against LUTs">{_inline(figure_svg)}<figcaption>Test accuracy against LUTs. '
            "Filled marks are on the front.</figcaption></figure>",
            "<h2>Layers</h2>",
            *(_layers(report) for report in reports),
            f"<script>{_SCRIPT}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _table(reports: Sequence[RunReport]) -> str:
    on_front = {point.name for points in fronts(reports).values() for point in points}
    heads = [_head("run", is_number=False), *(_head(column.title, is_number=column.is_number) for column in COLUMNS)]
    lines = ['<div class="wide"><table class="sortable">', "<thead><tr>", *heads, "</tr></thead>", "<tbody>"]
    for report in reports:
        lines.append('<tr class="front">' if report.label in on_front else "<tr>")
        lines.append(_cell(report.label, report.label, is_number=False))
        for column in COLUMNS:
            lines.append(_cell(column.value(report), column.text(report), is_number=column.is_number))
        lines.append("</tr>")
    return "\n".join([*lines, "</tbody>", "</table></div>"])


def _head(title: str, *, is_number: bool) -> str:
    kind = "number" if is_number else "text"
    return f'<th scope="col" class="{kind}" data-kind="{kind}"><button type="button">{escape(title)}</button></th>'


def _cell(value: object, text: str, *, is_number: bool) -> str:
    kind = "missing" if value is None else "number" if is_number else "text"
    key = "" if value is None else str(value) if is_number else text
    return f'<td class="{kind}" data-value="{escape(key)}">{escape(text)}</td>'


_LAYER_COLUMNS: Mapping[str, str] = {
    "out_bits": "output bits",
    "table_bits": "table bits",
    "closed_form_luts": "LUTs, closed form",
    "luts": "LUTs, estimated",
    "ffs": "FFs",
    "latency_cycles": "cycles",
    "energy_pj": "pJ a sample (model)",
    "energy_integer_pj": "pJ as integers",
}


def _layers(report: RunReport) -> str:
    layers = report.data.get("layers")
    head = f"<details><summary>{escape(report.label)}</summary>"
    if not isinstance(layers, dict) or not isinstance(layers.get("rows"), list):
        return f"{head}<p>{NOT_MEASURED.capitalize()}.</p></details>"
    lines = [head, '<div class="wide"><table>', '<thead><tr><th scope="col" class="text">layer</th>']
    lines += [f'<th scope="col">{escape(title)}</th>' for title in _LAYER_COLUMNS.values()]
    lines += ["</tr></thead>", "<tbody>"]
    for row in layers["rows"]:
        if isinstance(row, dict):
            lines.append(f'<tr><td class="text">{escape(str(row.get("name", "")))}</td>')
            lines += [f"<td>{escape(_figure(row.get(key)))}</td>" for key in _LAYER_COLUMNS]
            lines.append("</tr>")
    return "\n".join([*lines, "</tbody>", "</table></div></details>"])


def _figure(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def _inline(svg: str) -> str:
    """An SVG file without the lines that only a file of its own may have."""
    return svg[svg.index("<svg") :].strip()
