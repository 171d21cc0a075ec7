"""Combinational equivalence checking with ABC, and and-inverter graphs in AIGER form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lutnet.errors import ToolError
from lutnet.tools.yosys import run_abc

__all__ = ["Aig", "CecResult", "check_equivalence", "out_of_time", "read_aig"]

_VERDICT = re.compile(r"Networks are (equivalent|NOT EQUIVALENT|UNDECIDED)")
_PATTERN = re.compile(r"Input pattern:(.*)")
_BIT = re.compile(r"(?:pi|in_data\[)(\d+)\]?=([01])")


@dataclass(frozen=True)
class CecResult:
    """Verdict of ABC.

    Attributes:
        equivalent: Whether the two networks are one function; ``None`` when ABC could not tell in time.
        ones: When they are not: positions of the inputs that are 1 in a counterexample, all others 0.
    """

    equivalent: bool | None
    ones: frozenset[int] = frozenset()


def check_equivalence(folder: Path, left: str, right: str, *, timeout_s: float, by_name: bool = False) -> CecResult:
    """Asks ABC's ``cec`` (simulation, then SAT sweeping) whether two networks are one function.

    Args:
        folder: Folder of the files.
        left: BLIF or AIGER file with inputs ``in_data[i]``.
        right: The other file.
        timeout_s: Most wall-clock seconds.
        by_name: Match ports by name, not by position; a counterexample is then not read.

    Raises:
        ToolError: ABC failed or does not understand a file.
    """
    if timeout_s < 1.0:
        return CecResult(None)
    order = "" if by_name else "-n "
    try:
        done = run_abc(
            f"cec {order}-C 1000000000 -T {int(timeout_s)} {left} {right}\n", cwd=folder, timeout_s=timeout_s + 1
        )
    except ToolError as error:
        if out_of_time(error):
            return CecResult(None)
        raise
    verdict = _VERDICT.search(done.output)
    if verdict is None or verdict.group(1) == "UNDECIDED":
        if verdict is None and "imed out" not in done.output:
            raise ToolError("yosys-abc gave no verdict", argv=done.argv, returncode=done.returncode, output=done.output)
        return CecResult(None)
    if verdict.group(1) == "equivalent":
        return CecResult(True)
    pattern = _PATTERN.search(done.output)
    ones = _BIT.findall(pattern.group(1)) if pattern and not by_name else []
    return CecResult(False, frozenset(int(place) for place, bit in ones if bit == "1"))


def out_of_time(error: ToolError) -> bool:
    """Whether a tool was stopped because its time was up."""
    return error.returncode is None and "did not finish within" in error.message


@dataclass(frozen=True)
class Aig:
    """A combinational and-inverter graph: literal ``2 * v`` is variable ``v``, ``2 * v + 1`` its complement, 0 is constant 0.

    Attributes:
        n_inputs: Inputs are the variables 1 to ``n_inputs``.
        outputs: One literal an output.
        ands: Two literals each; the first one drives variable ``n_inputs + 1``.
    """

    n_inputs: int
    outputs: tuple[int, ...]
    ands: tuple[tuple[int, int], ...]

    def evaluate(self, inputs: Sequence[int]) -> tuple[int, ...]:
        """The output bits for one input, bit by bit."""
        values = [0, *inputs]
        for a, b in self.ands:
            values.append((values[a >> 1] ^ (a & 1)) & (values[b >> 1] ^ (b & 1)))
        return tuple(values[literal >> 1] ^ (literal & 1) for literal in self.outputs)


def read_aig(path: Path) -> Aig:
    """Reads a binary AIGER file without latches (A. Biere, "The AIGER and-inverter graph format", 2007).

    Raises:
        ToolError: It is something else.
    """
    data = path.read_bytes()
    try:
        head, rest = data.split(b"\n", 1)
        kind, *counts = head.split()
        _, n_inputs, n_latches, n_outputs, n_ands = (int(count) for count in counts[:5])
        if kind != b"aig" or n_latches or len(counts) > 5:
            raise ValueError("it has latches or properties")
        *lines, body = rest.split(b"\n", n_outputs)
        ands = _ands(body, n_inputs, n_ands)
        outputs = tuple(int(line) for line in lines)
    except (ValueError, IndexError) as error:
        raise ToolError(f"{path.name} is no combinational AIGER file ({error})") from None
    return Aig(n_inputs, outputs, ands)


def _ands(body: bytes, n_inputs: int, n_ands: int) -> tuple[tuple[int, int], ...]:
    place = 0

    def delta() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = body[place]
            place += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    ands = []
    for variable in range(n_inputs + 1, n_inputs + n_ands + 1):
        first = 2 * variable - delta()
        ands.append((first, first - delta()))
    return tuple(ands)
