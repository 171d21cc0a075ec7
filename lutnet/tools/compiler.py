"""The system's C compiler."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from lutnet.tools.base import Tool, find_executable, run_tool

__all__ = ["c_compiler", "compile_object", "link_shared"]

_INSTALL = "install one with `apt-get install gcc`, or name it in LUTNET_CC"
_TIMEOUT_S = 1800.0


def c_compiler() -> Tool:
    """The C compiler that ``LUTNET_CC`` names, or the first of ``cc``, ``gcc`` and ``clang`` on the ``PATH``.

    Raises:
        MissingToolError: There is none.
    """
    names = ("cc", "gcc", "clang")
    name = next((name for name in names if shutil.which(name)), "cc")
    return Tool("C compiler", (find_executable(name, variable="LUTNET_CC", install=_INSTALL),))


def compile_object(
    tool: Tool, source: Path, target: Path, *, flags: Sequence[str], timeout_s: float = _TIMEOUT_S
) -> None:
    """Translates one C file to an object file.

    Raises:
        ToolError: The compiler failed or ran out of time.
    """
    args = ("-std=c99", *flags, "-c", os.fspath(source), "-o", os.fspath(target))
    run_tool(tool, args, cwd=source.parent, timeout_s=timeout_s)


def link_shared(tool: Tool, objects: Sequence[Path], target: Path, *, timeout_s: float = _TIMEOUT_S) -> None:
    """Links object files to a shared library.

    Raises:
        ToolError: The linker failed or ran out of time.
    """
    run_tool(
        tool, ("-shared", *map(os.fspath, objects), "-o", os.fspath(target)), cwd=target.parent, timeout_s=timeout_s
    )
