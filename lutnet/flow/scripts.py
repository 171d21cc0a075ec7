"""The Vivado script and the constraints that lie beside emitted Verilog."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from lutnet.backends.templates import template_path
from lutnet.tools.vivado import render_clock, render_ooc

__all__ = ["VivadoTarget", "vivado_files"]


@dataclass(frozen=True)
class VivadoTarget:
    """What the Vivado script asks for.

    Attributes:
        part: Ordering code of the device.
        clock_ns: Period of the clock constraint.
    """

    part: str = "xcvu9p-flgb2104-2-i"
    clock_ns: float = 1.6


def vivado_files(
    files: Mapping[PurePosixPath, str], top: str, target: VivadoTarget, *, clocked: bool
) -> dict[PurePosixPath, str]:
    """``vivado_ooc.tcl`` and ``clock.xdc`` for the Verilog among some files."""
    script = render_ooc(
        template_path("tcl/vivado_ooc.tcl").read_text(),
        part=target.part,
        top=top,
        files=[path.name for path in files if path.suffix == ".v"],
        period_ns=target.clock_ns,
    )
    constraints = render_clock(
        template_path("xdc/clock.xdc").read_text(),
        period_ns=target.clock_ns,
        clock="clk" if clocked else None,
    )
    return {PurePosixPath("vivado_ooc.tcl"): script, PurePosixPath("clock.xdc"): constraints}
