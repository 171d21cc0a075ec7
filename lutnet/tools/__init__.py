"""External programs, each behind a function that says honestly what happened."""

from __future__ import annotations

from lutnet.tools.base import MissingToolError, Tool, ToolRun, run, run_tool, tool_version
from lutnet.tools.nextpnr import Ecp5Timing, place_and_route_ecp5
from lutnet.tools.simulators import LintResult, icarus_env, lint_icarus, lint_verilator, verilator_env
from lutnet.tools.vivado import VivadoResult, render_clock, render_ooc, synthesize_vivado
from lutnet.tools.vivado_reports import VivadoTiming, VivadoUtilization, parse_timing, parse_utilization
from lutnet.tools.yosys import XilinxStat, run_abc, run_yosys, share_file, synthesize_xilinx

__all__ = [
    "Ecp5Timing",
    "LintResult",
    "MissingToolError",
    "Tool",
    "ToolRun",
    "VivadoResult",
    "VivadoTiming",
    "VivadoUtilization",
    "XilinxStat",
    "icarus_env",
    "lint_icarus",
    "lint_verilator",
    "parse_timing",
    "parse_utilization",
    "place_and_route_ecp5",
    "render_clock",
    "render_ooc",
    "run",
    "run_abc",
    "run_tool",
    "run_yosys",
    "share_file",
    "synthesize_vivado",
    "synthesize_xilinx",
    "tool_version",
    "verilator_env",
]
