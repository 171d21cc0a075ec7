"""The sub-command ``front``: the networks of one training, each brought to its report, side by side."""

from __future__ import annotations

import argparse
from pathlib import Path

from lutnet.cli.commands import dataset_of
from lutnet.cli.display import OUT, steps

__all__ = ["front_command"]


def front_command(args: argparse.Namespace) -> None:
    """Brings the networks of a front through the ladder, compares them and draws them."""
    from lutnet.flow.comparing import load_reports, write_comparison
    from lutnet.flow.finishing import finish_front
    from lutnet.report.compare import render_table
    from lutnet.runs import RunFolder

    folder = Path(args.folder)
    dataset = dataset_of(args, folder)
    with steps() as tell:
        found = finish_front(
            folder,
            dataset,
            n_points=args.points,
            passes=args.passes,
            tables=args.tables,
            timeout_s=args.timeout_s,
            on_step=tell,
        )
    reports = load_reports(found)
    OUT.print(render_table(reports), markup=False, end="")
    for path in write_comparison(reports, RunFolder(folder).front / "compare"):
        OUT.print(str(path), markup=False)
