"""Vivado: the out-of-context script, the constraint file, the program itself, and its reports."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from types import MappingProxyType

from lutnet.errors import UserError
from lutnet.tools.base import Tool, ToolRun, check_identifier, find_executable, run_tool, tool_version
from lutnet.tools.vivado_reports import VivadoTiming, VivadoUtilization, parse_timing, parse_utilization

__all__ = [
    "STRATEGIES",
    "Strategy",
    "VivadoResult",
    "render_clock",
    "render_ooc",
    "run_vivado",
    "synthesize_vivado",
    "vivado_tool",
    "vivado_version",
]

_INSTALL = "install AMD Vivado and source its settings64.sh, or set LUTNET_VIVADO to the executable"


@dataclass(frozen=True)
class Strategy:
    """Options of each step of a Vivado run.

    Attributes:
        synth: Options of ``synth_design``.
        opt: Directive of ``opt_design``.
        place: Directive of ``place_design``.
        phys_opt: Directive of ``phys_opt_design``.
        route: Directive of ``route_design``.
    """

    synth: str
    opt: str = "Default"
    place: str = "Default"
    phys_opt: str = "Default"
    route: str = "Default"


STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        "Default": Strategy(synth=""),
        "Flow_PerfOptimized_high": Strategy(
            synth="-directive PerformanceOptimized -fsm_extraction one_hot -keep_equivalent_registers -resource_sharing off "
            "-no_lc -shreg_min_size 5",
            opt="Explore",
            place="Explore",
            phys_opt="AggressiveExplore",
            route="Explore",
        ),
        "Flow_AreaOptimized_high": Strategy(synth="-directive AreaOptimized_high", opt="ExploreArea"),
    }
)
"""Strategies by the name of Vivado's synthesis strategy. LogicNets and its successors report ``Flow_PerfOptimized_high``,
whose options are written here as newer versions of Vivado define it; it does without sharing one site between two functions, so it
counts more LUTs than ``Default`` does."""


@dataclass(frozen=True)
class VivadoResult:
    """A placed and routed design.

    Attributes:
        utilization: What ``report_utilization`` says.
        timing: What ``report_timing_summary`` says.
        tool_version: Version of Vivado.
        seconds: Wall-clock time.
    """

    utilization: VivadoUtilization
    timing: VivadoTiming
    tool_version: str | None
    seconds: float


class _TclTemplate(Template):
    """Placeholders are ``@{name}``, because Tcl's own variables start with a dollar sign."""

    delimiter = "@"


def render_ooc(
    template_text: str,
    *,
    part: str,
    top: str,
    files: Sequence[str],
    period_ns: float,
    strategy: str = "Flow_PerfOptimized_high",
) -> str:
    """Fills ``rtl_templates/tcl/vivado_ooc.tcl``.

    Args:
        template_text: The template.
        part: Ordering code such as "xcvu9p-flgb2104-2-i".
        top: Top module.
        files: Verilog files, relative to the folder of the script.
        period_ns: Clock period in ns, which the script prints; the constraint itself is in the file of :func:`render_clock`.
        strategy: Key of :data:`STRATEGIES`.

    Raises:
        UserError: A value could be read by Tcl as anything but itself, or there is no such strategy.
    """
    if strategy not in STRATEGIES:
        raise UserError(f"expected a Vivado strategy out of {', '.join(STRATEGIES)}, got '{strategy}'")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", part):
        raise UserError(f"expected a part such as 'xcvu9p-flgb2104-2-i', got {part[:120]!r}")
    if not files:
        raise UserError("expected at least one Verilog file for Vivado, got none")
    for file in files:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_./-]*", file) or ".." in file.split("/"):
            raise UserError(
                f"file names for Vivado are relative and made of letters, digits and '_./-', got {file[:120]!r}; rename it"
            )
    options = STRATEGIES[strategy]
    return _TclTemplate(template_text).substitute(
        part=part,
        top=check_identifier(top, "the name of the top module"),
        files=" ".join(files),
        period_ns=_period(period_ns),
        strategy=strategy,
        synth_options=options.synth,
        opt_directive=options.opt,
        place_directive=options.place,
        phys_opt_directive=options.phys_opt,
        route_directive=options.route,
    )


def render_clock(template_text: str, *, period_ns: float, clock: str | None = "clk") -> str:
    """Fills ``rtl_templates/xdc/clock.xdc``.

    Args:
        template_text: The template.
        period_ns: Clock period in ns.
        clock: Clock port, or ``None`` for a combinational design, which gets a virtual clock.

    Raises:
        UserError: The period is no positive number or the port's name no identifier.
    """
    port = "" if clock is None else f" [get_ports {check_identifier(clock, 'the name of the clock')}]"
    keep = "" if clock is None else f" && NAME != {clock}"
    return _TclTemplate(template_text).substitute(period_ns=_period(period_ns), clock_port=port, not_clock=keep)


def vivado_tool() -> Tool:
    """Vivado: what ``LUTNET_VIVADO`` names or what is on the ``PATH``.

    Raises:
        MissingToolError: There is none.
    """
    path = find_executable("vivado", variable="LUTNET_VIVADO", install=_INSTALL)
    return Tool("vivado", (path,), version_args=("-version",), version_pattern=r"(?i)vivado v\.?(\d+\.\d+[\w.]*)")


def vivado_version() -> str | None:
    """Version of Vivado, such as "2022.2"; ``None`` when it does not say."""
    return tool_version(vivado_tool())


def run_vivado(script: str | Path, *, cwd: str | Path, timeout_s: float) -> ToolRun:
    """Runs a Tcl script in batch mode, without journal and log files.

    Args:
        script: The script.
        cwd: Working folder.
        timeout_s: Most wall-clock seconds.

    Raises:
        UserError: The script is missing.
        ToolError: Vivado is missing, failed, or ran out of time.
    """
    path = Path(script).absolute()
    if not path.is_file():
        raise UserError(f"the Vivado script {path} does not exist")
    args = ("-mode", "batch", "-nojournal", "-nolog", "-notrace", "-source", str(path))
    return run_tool(vivado_tool(), args, cwd=cwd, timeout_s=timeout_s)


def synthesize_vivado(script: str | Path, *, timeout_s: float) -> VivadoResult:
    """Runs a script made by :func:`render_ooc` and reads the reports that it writes beside itself.

    Raises:
        UserError: The script is missing.
        ToolError: Vivado is missing, failed, or ran out of time.
    """
    folder = Path(script).absolute().parent
    reports = folder / "utilization.rpt", folder / "timing.rpt"
    for report in reports:
        report.unlink(missing_ok=True)
    done = run_vivado(script, cwd=folder, timeout_s=timeout_s)
    utilization, timing = (report.read_text(errors="replace") if report.is_file() else "" for report in reports)
    return VivadoResult(parse_utilization(utilization), parse_timing(timing), vivado_version(), done.seconds)


def _period(period_ns: float) -> str:
    if not (math.isfinite(period_ns) and 0.001 <= period_ns <= 1e6):
        raise UserError(f"expected a clock period of 0.001 to 1000000 ns, got {period_ns!r}")
    return f"{period_ns:.3f}"
