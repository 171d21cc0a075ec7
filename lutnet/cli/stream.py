"""``lutnet emit --backend stream``."""

from __future__ import annotations

import argparse

from rich.table import Table

from lutnet.cli.display import OUT, steps
from lutnet.errors import UserError

__all__ = ["emit_command", "stream_arguments"]

_NO_PART = {"per_layer": "--per-layer", "reset": "--reset", "clock_enable": "--clock-enable", "valid": "--valid"}


def stream_arguments(sub: argparse.ArgumentParser) -> None:
    """The arguments of ``lutnet emit`` that only a stream has."""
    group = sub.add_argument_group("streams")
    fold = group.add_mutually_exclusive_group()
    fold.add_argument(
        "--pixels-per-clock", type=int, default=1, metavar="P", help="pixels of a row in a clock (default: %(default)s)"
    )
    fold.add_argument(
        "--budget-luts", type=int, metavar="N", help="as many pixels a clock as an estimated N lookup tables allow"
    )
    group.add_argument(
        "-p", "--passes", default="fast", help="preset or passes of lutnet opt for the kernels (default: %(default)s)"
    )


def emit_command(args: argparse.Namespace) -> None:
    """Writes a stream."""
    from lutnet.flow import VivadoTarget, emit_stream
    from lutnet.stream import StreamVerilog

    given = [flag for name, flag in _NO_PART.items() if getattr(args, name)]
    if given:
        raise UserError(
            f"a stream always has a reset and valid bits, never a clock enable; leave out {', '.join(given)}"
        )
    with steps() as tell:
        found = emit_stream(
            args.folder,
            pixels_per_clock=args.pixels_per_clock,
            budget_luts=args.budget_luts,
            passes=args.passes,
            backend=StreamVerilog(top=args.top, tables=args.tables),
            target=VivadoTarget(part=args.part, clock_ns=args.clock_ns),
            on_step=tell,
        )
    design = found.design
    table = Table("stage", "reads", "window", "makes", "pixels a clock", "kernels", "estimated LUTs", "line bits")
    for number, (schedule, part) in enumerate(zip(design.schedules, design.stage_estimates, strict=True)):
        stage = schedule.stage
        made = stage.out_size
        table.add_row(
            str(number),
            f"{stage.rows.size} x {stage.columns.size}, {stage.pixel_bits} bits",
            f"{stage.rows.kernel} x {stage.columns.kernel}",
            f"{made[0]} x {made[1]}, {sum(stage.out_widths)} bits",
            str(schedule.lanes),
            str(schedule.out_lanes),
            str(part.luts),
            str(part.line_bits),
        )
    OUT.print(table)
    OUT.print(
        f"{design.clocks_per_image} clocks an image, latency {design.latency_cycles} after its last pixel, an estimated "
        f"{design.estimate.luts:,} LUTs and {design.estimate.ffs:,} flip-flops"
    )
    for path in found.paths:
        OUT.print(str(path), markup=False)
