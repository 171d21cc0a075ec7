"""Several runs side by side: their reports are read, written where they are missing, and put into one table, one page and one figure."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from lutnet.errors import UserError
from lutnet.files import replaced_file, write_text
from lutnet.flow.reporting import report_run
from lutnet.report.compare import RunReport, datasets_of, front_csv, render_csv, render_table
from lutnet.report.html import render_html
from lutnet.report.plots import front_png, front_svg
from lutnet.runs import RunFolder
from lutnet.train.data import Dataset

__all__ = ["load_reports", "write_comparison"]


def load_reports(
    folders: Sequence[str | Path],
    *,
    dataset_of: Callable[[Path], Dataset] | None = None,
    mixed: bool = False,
    on_step: Callable[[str], None] | None = None,
) -> tuple[RunReport, ...]:
    """The reports of some runs, in the order given.

    All folders are looked at before the first test set is read.

    Args:
        folders: Folders of runs, each once.
        dataset_of: Gives the data of a run that has no report, which is then written.
        mixed: Whether the runs may be of different data sets.
        on_step: Told what is being done.

    Raises:
        UserError: A folder is no run, is named twice or has a damaged report, or the data sets differ.
    """
    tell = on_step if on_step is not None else (lambda _: None)
    paths = [Path(folder) for folder in folders]
    for path in paths:
        _check_run(path)
    _check_once(paths)
    reports = {}
    missing = []
    labels = _labels(paths)
    for path, label in zip(paths, labels, strict=True):
        if (path / "report.json").is_file():
            reports[path] = _read(path, label)
        else:
            missing.append((path, label))
    if not mixed:
        _check_same([reports[path] for path in paths if path in reports])
    for path, label in missing:
        if dataset_of is None:
            raise UserError(f"{path} has no report yet; write it with `lutnet report {path}`")
        tell(f"report of {path}")
        report_run(path, dataset_of(path))
        reports[path] = _read(path, label)
    found = tuple(reports[path] for path in paths)
    if not mixed:
        _check_same(found)
    return found


def write_comparison(reports: Sequence[RunReport], folder: str | Path) -> tuple[Path, ...]:
    """Writes ``compare.md``, ``compare.csv``, ``compare.html``, ``front.csv``, ``front.svg`` and ``front.png`` and returns their paths.

    Raises:
        UserError: The folder cannot be written.
    """
    target = Path(folder)
    svg, png = front_svg(reports), front_png(reports)
    texts = {
        "compare.md": render_table(reports),
        "compare.csv": render_csv(reports),
        "compare.html": render_html(reports, svg),
        "front.csv": front_csv(reports),
        "front.svg": svg,
    }
    paths = [write_text(target / name, text) for name, text in texts.items()]
    with replaced_file(target / "front.png") as file:
        file.write(png)
    return (*paths, target / "front.png")


def _check_run(path: Path) -> None:
    if not path.is_dir():
        raise UserError(f"{path} is no folder; name folders of runs, as `lutnet train` makes them")
    run = RunFolder(path)
    if not (path / "report.json").is_file() and not run.model.is_dir():
        raise UserError(
            f"{path} is no run (it has neither a report nor a model); name folders of runs, as `lutnet train` makes them"
        )


def _check_once(paths: Sequence[Path]) -> None:
    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in seen:
            raise UserError(f"{path} is named twice; name every run once")
        seen.add(path.resolve())


def _labels(paths: Sequence[Path]) -> list[str]:
    """The last parts of the paths, as few as tell them apart."""
    whole = [path.resolve() for path in paths]
    for depth in range(1, max(len(path.parts) for path in whole) + 1):
        labels = ["/".join(path.parts[-depth:]) for path in whole]
        if len(set(labels)) == len(labels):
            return labels
    return [str(path) for path in whole]


def _read(path: Path, label: str) -> RunReport:
    source = path / "report.json"
    try:
        data = json.loads(source.read_text())
    except (OSError, RecursionError, ValueError) as error:
        raise UserError(f"{source} is damaged ({error}); write it again with `lutnet report {path}`") from None
    return RunReport.checked(label, data, str(source))


def _check_same(reports: Sequence[RunReport]) -> None:
    names = datasets_of(reports)
    if len(names) > 1:
        first, other = (next(report for report in reports if report.dataset == name) for name in names[:2])
        raise UserError(
            f"{first.label} was measured on {first.dataset}, {other.label} on {other.dataset}: their accuracies do not compare; leave "
            "one out, or put them side by side all the same with --mixed"
        )
