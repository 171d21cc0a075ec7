"""The sub-command ``opt``: passes over a netlist, and what each of them gained."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from lutnet.cli.commands import dataset_of
from lutnet.cli.display import OUT, steps
from lutnet.errors import UserError

if TYPE_CHECKING:
    from lutnet.flow.optimising import Optimisation

__all__ = ["opt_command"]


def opt_command(args: argparse.Namespace) -> int:
    """Optimises: 0 when done and proved or no proof was asked for, 2 when the proof ran out of time."""
    from lutnet.flow.optimising import optimise_file, optimise_run, wants_samples

    timeout_s = args.timeout_s or None
    is_run = Path(args.netlist).is_dir()
    if is_run and args.out is not None:
        raise UserError(f"{args.netlist} is the folder of a run, whose netlist is replaced; leave out --out {args.out}")
    if not is_run and args.out is None:
        raise UserError(f"name the file of the new netlist: lutnet opt {args.netlist} --out optimised.npz")
    if not is_run and wants_samples(args.passes):
        raise UserError(f"the pass rare needs training data, and {args.netlist} is no folder of a run; name the run")
    dataset = dataset_of(args, Path(args.netlist)) if is_run and (wants_samples(args.passes) or args.data) else None
    with steps() as tell:
        if is_run:
            found = optimise_run(
                args.netlist, args.passes, dataset=dataset, limit=args.limit, timeout_s=timeout_s, on_pass=tell
            )
        else:
            found = optimise_file(
                args.netlist, args.out, args.passes, limit=args.limit, timeout_s=timeout_s, on_pass=tell
            )
    OUT.print(_table(found))
    if found.accuracy is not None:
        OUT.print(f"validation accuracy {found.accuracy.before:.4f} before, {found.accuracy.after:.4f} after")
    if found.proof is None:
        return 0
    OUT.print(str(found.proof), markup=False)
    return 0 if found.proof.holds else 2


def _table(found: Optimisation) -> Table:
    table = Table("pass", "rewrites", "LUTs", "levels", "register bits", "cycles", "seconds", "checked")
    before, after = found.before, found.after
    table.add_row(
        "before", "", *map(str, (before.luts, before.depth, before.register_bits, before.latency_cycles)), "", ""
    )
    for record in found.passes:
        figures = (record.n_rewrites, record.luts, record.depth, record.register_bits)
        table.add_row(record.name, *map(str, figures), "", f"{record.seconds:.2f}", record.checked)
    seconds = sum(record.seconds for record in found.passes)
    figures = (after.luts, after.depth, after.register_bits, after.latency_cycles)
    table.add_row("after", "", *map(str, figures), f"{seconds:.2f}", "" if found.proof is None else found.proof.status)
    return table
