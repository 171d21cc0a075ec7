"""Yosys: the PyPI package ``pyosys`` run by this interpreter in a process of its own, or a ``yosys`` executable."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lutnet.errors import ToolError, UserError
from lutnet.tools.base import (
    MissingToolError,
    Tool,
    ToolRun,
    check_identifier,
    find_executable,
    package_folder,
    run_tool,
    tool_version,
)

__all__ = [
    "NO_STATE_MACHINES",
    "ParsedStat",
    "XilinxStat",
    "parse_xilinx_stat",
    "read_sources",
    "run_abc",
    "run_synthesis",
    "run_yosys",
    "share_file",
    "synthesize_xilinx",
    "yosys_abc",
    "yosys_tool",
    "yosys_version",
]

_INSTALL = "install it with `pip install pyosys`, or set LUTNET_YOSYS to a yosys executable"

NO_STATE_MACHINES = 'setattr -set fsm_encoding "none" w:*'
"""Tells yosys that registers behind tables are no states: it would give their codes others, and may crash on the way."""

_XILINX_SCRIPT = f"""\
{{sources}}
{NO_STATE_MACHINES}
synth_xilinx -family {{family}} -flatten -noiopad -noclkbuf -nodsp -nobram -nolutram -nosrl -top {{top}}
tee -q -o xilinx_stat.txt stat -tech xilinx
tee -q -o xilinx_stat.json stat -tech xilinx -json
write_verilog -noattr xilinx_netlist.v
write_json xilinx_netlist.json
"""

_LUT = re.compile(r"LUT[1-6]")
_FF = re.compile(r"FD[RSCP]E(_1)?")

_LOST_LOGIC = re.compile(
    r"^Warning: Driver-driver conflict for .* and constant .*Resolved using constant", re.MULTILINE
)
"""What yosys prints when it puts a constant in the place of logic that it has just mapped."""

_OLDER_WRITER = "scratchpad -set abc9.xaiger 1\n"
"""Makes ``abc9`` write its networks as yosys did before 0.70, whose writer can lose kept wires (yosys issue 6237)."""


@dataclass(frozen=True)
class XilinxStat:
    """What yosys counts after mapping to AMD cells. A number that could not be read is ``None``.

    Attributes:
        luts: Yosys's "estimated number of LCs": lookup tables with dual-output packing counted.
        lut_cells: Cells LUT1 to LUT6.
        muxf7: MUXF7 cells; ``muxf8`` and ``muxf9`` likewise.
        carry4: CARRY4 cells (4 bits each).
        carry8: CARRY8 cells (8 bits each).
        ffs: Flip-flops FDRE, FDSE, FDCE, FDPE and their falling-edge forms.
        cells: Every cell type with its count; empty when unknown.
        family: Family that ``synth_xilinx`` mapped to.
        tool_version: Version of yosys.
        seconds: Wall-clock time of the run.
        log: What yosys printed.
        netlist_verilog: The mapped netlist, for simulation with ``share_file("xilinx/cells_sim.v")``.
        netlist_json: The same as yosys JSON.
    """

    luts: int | None
    lut_cells: int | None
    muxf7: int | None
    muxf8: int | None
    muxf9: int | None
    carry4: int | None
    carry8: int | None
    ffs: int | None
    cells: Mapping[str, int]
    family: str
    tool_version: str | None
    seconds: float
    log: Path
    netlist_verilog: Path
    netlist_json: Path


@dataclass(frozen=True)
class ParsedStat:
    """The counts alone, as :class:`XilinxStat` explains them; ``cells`` is ``None`` when it could not be read."""

    luts: int | None
    cells: Mapping[str, int] | None

    def count(self, pattern: re.Pattern[str] | str) -> int | None:
        """Cells whose whole type matches; ``None`` when the cells are unknown, 0 when there is none."""
        if self.cells is None:
            return None
        return sum(n for kind, n in self.cells.items() if re.fullmatch(pattern, kind))


def yosys_tool() -> Tool:
    """Yosys, ready to run with ``-s SCRIPT`` or ``-V``.

    Raises:
        MissingToolError: There is none.
    """
    pattern = r"Yosys (\d+\.\d+\S*)"
    if not os.environ.get("LUTNET_YOSYS") and package_folder("pyosys") is not None:
        argv = (sys.executable, str(Path(__file__).with_name("run_pyosys.py")))
        return Tool("yosys", argv, version_args=("-V",), version_pattern=pattern)
    path = find_executable("yosys", variable="LUTNET_YOSYS", install=_INSTALL)
    return Tool("yosys", (path,), version_args=("-V",), version_pattern=pattern)


def yosys_version() -> str | None:
    """Version of yosys, such as "0.70"; ``None`` when it does not say."""
    return tool_version(yosys_tool())


def yosys_abc() -> Tool:
    """ABC as it comes with yosys.

    Raises:
        MissingToolError: There is none.
    """
    package = package_folder("pyosys")
    beside = [package] if package and not os.environ.get("LUTNET_YOSYS") else [Path(yosys_tool().argv[0]).parent]
    pattern = r"ABC (\d+\.\d+)"
    for folder in beside:
        if os.access(folder / "yosys-abc", os.X_OK):
            return Tool("yosys-abc", (str(folder / "yosys-abc"),), version_args=("-h",), version_pattern=pattern)
    path = find_executable("yosys-abc", install=_INSTALL)
    return Tool("yosys-abc", (path,), version_args=("-h",), version_pattern=pattern)


def share_file(name: str) -> Path:
    """A file of yosys's data folder, such as ``xilinx/cells_sim.v``.

    Raises:
        MissingToolError: Yosys, or the file, is not there.
    """
    tool = yosys_tool()
    package = package_folder("pyosys")
    if len(tool.argv) > 1 and package is not None:
        path = package / "share" / name
    else:
        path = Path(tool.argv[0]).resolve().parent.parent / "share" / "yosys" / name
    if not path.is_file():
        raise MissingToolError(f"yosys's data file {name} is not at {path}; {_INSTALL}")
    return path


def run_yosys(script: str, *, cwd: str | Path, timeout_s: float, name: str = "yosys") -> ToolRun:
    """Runs a yosys script.

    Args:
        script: Commands, one a line.
        cwd: Working folder.
        timeout_s: Most wall-clock seconds.
        name: The script stays in ``cwd`` as ``<name>.ys`` and what yosys printed as ``<name>.log``.

    Raises:
        ToolError: Yosys is missing, failed, or ran out of time.
    """
    tool = yosys_tool()
    folder = Path(cwd)
    (folder / f"{name}.ys").write_text(script)
    done = run_tool(tool, ("-s", f"{name}.ys"), cwd=folder, timeout_s=timeout_s)
    (folder / f"{name}.log").write_text(done.output + "\n")
    return done


def run_synthesis(script: str, *, cwd: str | Path, timeout_s: float, name: str) -> ToolRun:
    """Runs a script that maps a design, once more with an older part of yosys where the mapping lost logic.

    Args:
        script: As in :func:`run_yosys`; it can be run again in the same folder.
        cwd: As in :func:`run_yosys`.
        timeout_s: Most wall-clock seconds of a run.
        name: As in :func:`run_yosys`.

    Raises:
        ToolError: As in :func:`run_yosys`, or the mapped netlist is not the design either way.
    """
    done = run_yosys(script, cwd=cwd, timeout_s=timeout_s, name=name)
    if _LOST_LOGIC.search(done.output):
        done = run_yosys(_OLDER_WRITER + script, cwd=cwd, timeout_s=timeout_s, name=name)
    lost = _LOST_LOGIC.search(done.output)
    if lost:
        raise ToolError(
            f"yosys put constants in the place of mapped logic, so its netlist is not the design: {lost[0]!r}",
            argv=done.argv,
            version=yosys_version(),
            returncode=done.returncode,
            output=done.output,
        )
    return done


def run_abc(script: str, *, cwd: str | Path, timeout_s: float) -> ToolRun:
    """Runs an ABC script, which stays in ``cwd`` as ``abc.script``.

    Raises:
        ToolError: ABC is missing, failed, refused a command, or ran out of time.
    """
    tool = yosys_abc()
    (Path(cwd) / "abc.script").write_text(script)
    done = run_tool(tool, ("-s", "-f", "abc.script"), cwd=cwd, timeout_s=timeout_s)
    if "** cmd error" in done.output:
        raise ToolError(
            "yosys-abc refused a command", argv=done.argv, version=tool_version(tool), returncode=0, output=done.output
        )
    return done


def read_sources(files: Sequence[str | Path]) -> str:
    """The yosys commands that read Verilog files; ``.sv`` files are read as SystemVerilog.

    Raises:
        UserError: There is no file, one is missing, or a name cannot be written into a script.
    """
    if not files:
        raise UserError("expected at least one Verilog file to synthesise, got none")
    lines = []
    for file in files:
        path = Path(file).absolute()
        if not path.is_file():
            raise UserError(f"the Verilog file {path} does not exist")
        if not str(path).isprintable() or any(char in str(path) for char in '"\\;'):
            raise UserError(
                f"yosys cannot read a file whose name holds quotes, ';' or control characters: {str(path)!r}; rename it"
            )
        lines.append(f'read_verilog{" -sv" if path.suffix == ".sv" else ""} "{path}"')
    return "\n".join(lines)


def parse_xilinx_stat(stat_json: str, stat_text: str) -> ParsedStat:
    """Reads what ``stat -tech xilinx`` printed with and without ``-json``.

    Args:
        stat_json: Output with ``-json``.
        stat_text: Output without; older versions of yosys have the number of LCs only here.
    """
    totals: Any = None
    start = stat_json.find("{")
    if start >= 0:
        try:
            totals = json.JSONDecoder().raw_decode(stat_json[start:])[0].get("design")
        except (ValueError, AttributeError):
            totals = None
    totals = totals if isinstance(totals, dict) else {}
    raw = totals.get("num_cells_by_type")
    cells = None
    if isinstance(raw, dict) and all(isinstance(n, int) for n in raw.values()):
        cells = MappingProxyType({str(kind): int(n) for kind, n in raw.items()})
    luts = totals.get("estimated_num_lc")
    if not isinstance(luts, int):
        found = re.findall(r"Estimated number of LCs:\s+(\d+)", stat_text)
        luts = int(found[-1]) if found else None
    return ParsedStat(luts, cells)


def synthesize_xilinx(
    verilog_files: Sequence[str | Path], top: str, workdir: str | Path, *, timeout_s: float, family: str = "xcup"
) -> XilinxStat:
    """Maps a design to AMD lookup tables, multiplexers, carry chains and flip-flops, out of context.

    Args:
        verilog_files: The design.
        top: Its top module.
        workdir: Existing folder for the script, the log, the statistics and the netlist.
        timeout_s: Most wall-clock seconds.
        family: Family of ``synth_xilinx``: ``xcup`` (UltraScale+), ``xcu``, ``xc7``.

    Returns:
        Counts and the files written.

    Raises:
        UserError: A file is missing or a name is unusable.
        ToolError: Yosys is missing, failed, or ran out of time.
    """
    folder = Path(workdir).absolute()
    script = _XILINX_SCRIPT.format(
        sources=read_sources(verilog_files),
        family=check_identifier(family, "the family"),
        top=check_identifier(top, "the name of the top module"),
    )
    for name in ("xilinx_stat.txt", "xilinx_stat.json", "xilinx_netlist.v", "xilinx_netlist.json"):
        (folder / name).unlink(missing_ok=True)
    done = run_synthesis(script, cwd=folder, timeout_s=timeout_s, name="xilinx")
    stat = parse_xilinx_stat(_read(folder / "xilinx_stat.json"), _read(folder / "xilinx_stat.txt"))
    return XilinxStat(
        luts=stat.luts,
        lut_cells=stat.count(_LUT),
        muxf7=stat.count("MUXF7"),
        muxf8=stat.count("MUXF8"),
        muxf9=stat.count("MUXF9"),
        carry4=stat.count("CARRY4"),
        carry8=stat.count("CARRY8"),
        ffs=stat.count(_FF),
        cells=stat.cells if stat.cells is not None else MappingProxyType({}),
        family=family,
        tool_version=yosys_version(),
        seconds=done.seconds,
        log=folder / "xilinx.log",
        netlist_verilog=folder / "xilinx_netlist.v",
        netlist_json=folder / "xilinx_netlist.json",
    )


def _read(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""
