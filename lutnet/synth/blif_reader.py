"""Reading networks of lookup tables that another program wrote as BLIF.

The file is a stranger's: everything that is not a flat, combinational network of small tables with the expected ports is an error.
BLIF is the Berkeley Logic Interchange Format (University of California, Berkeley, 1992).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutnet.errors import ToolError

__all__ = ["MappedLut", "MappedNetwork", "read_mapped_blif"]

_QUOTED = 60
"""Most characters of a stranger's text that a message repeats."""


@dataclass(frozen=True)
class MappedLut:
    """One table of one output bit.

    Attributes:
        name: Signal that it drives.
        operands: Signals that it reads, address bit 0 first; all distinct.
        column: Result for every address: bit ``a`` of the integer is the result at address ``a``.
    """

    name: str
    operands: tuple[str, ...]
    column: int

    @property
    def codes(self) -> npt.NDArray[np.uint8]:
        """Result for every address, uint8, shape ``(2**len(operands),)``."""
        n_entries = 1 << len(self.operands)
        raw = np.frombuffer(self.column.to_bytes((n_entries + 7) // 8, "little"), dtype=np.uint8)
        return np.unpackbits(raw, bitorder="little")[:n_entries]


@dataclass(frozen=True)
class MappedNetwork:
    """A combinational network of tables.

    Attributes:
        inputs: Names of the inputs.
        outputs: Names of the outputs; each is driven by a table.
        luts: The tables; each one's operands are inputs or stand before it.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    luts: tuple[MappedLut, ...]

    def cells(self) -> dict[int, int]:
        """Tables of each number of inputs; wires, inverters and constants are free."""
        found: dict[int, int] = {}
        for lut in self.luts:
            if len(lut.operands) > 1:
                found[len(lut.operands)] = found.get(len(lut.operands), 0) + 1
        return found


def read_mapped_blif(text: str, inputs: Sequence[str], outputs: Sequence[str], k: int) -> MappedNetwork:
    """Reads a network of tables with at most ``k`` inputs.

    Args:
        text: The file.
        inputs: Names of the inputs that it must have, in this order.
        outputs: Names of the outputs that it must have, in this order.
        k: Most operands of a table.

    Raises:
        ToolError: It is something else; the message names the line or the signal.
    """
    reader = _Reader(k)
    for number, words in _statements(text):
        reader.statement(number, words)
    for kind, found, expected in (("inputs", reader.inputs, inputs), ("outputs", reader.outputs, outputs)):
        if (found or []) != list(expected):
            raise _wrong(
                f"expected {len(expected)} {kind} in the order in which they were written, got {len(found or [])}"
            )
    return MappedNetwork(tuple(inputs), tuple(outputs), reader.finished())


class _Reader:
    def __init__(self, k: int) -> None:
        self.k = k
        self.inputs: list[str] | None = None
        self.outputs: list[str] | None = None
        self.tables: dict[str, _Cover] = {}
        self.cover: _Cover | None = None
        self.n_models = 0
        self.ended = False

    def statement(self, number: int, words: list[str]) -> None:
        if self.ended:
            raise _wrong(f"line {number}: text after '.end'")
        keyword = words[0]
        if not keyword.startswith("."):
            self._cube(number, words)
            return
        self.cover = None
        if keyword == ".model" and self.n_models == 0:
            self.n_models = 1
        elif self.n_models == 0:
            raise _wrong(f"line {number}: expected '.model' first, got {keyword[:_QUOTED]!r}")
        elif keyword == ".inputs" and self.inputs is None:
            self.inputs = words[1:]
        elif keyword == ".outputs" and self.outputs is None:
            self.outputs = words[1:]
        elif keyword == ".names" and len(words) > 1:
            self._names(number, words[1:])
        elif keyword == ".end" and len(words) == 1:
            self.ended = True
        else:
            raise _wrong(f"line {number}: {' '.join(words)[:_QUOTED]!r} has no place in a flat network of tables")

    def _names(self, number: int, names: list[str]) -> None:
        *operands, name = names
        if len(operands) > self.k:
            raise _wrong(f"line {number}: expected tables of at most {self.k} inputs, got {len(operands)}")
        if len(set(operands)) < len(operands):
            raise _wrong(f"line {number}: a table reads one signal twice")
        if name in self.tables:
            raise _wrong(f"line {number}: signal {name[:_QUOTED]!r} is driven twice")
        self.cover = self.tables[name] = _Cover(tuple(operands))

    def _cube(self, number: int, words: list[str]) -> None:
        if self.cover is None:
            raise _wrong(f"line {number}: {' '.join(words)[:_QUOTED]!r} stands outside of '.names'")
        pins, value = ("", words[0]) if len(words) == 1 else (words[0], words[1])
        fits = len(words) <= 2 and len(pins) == len(self.cover.operands) and set(pins) <= set("01-")
        if not fits or value not in ("0", "1") or self.cover.value not in (None, value):
            raise _wrong(f"line {number}: {' '.join(words)[:_QUOTED]!r} is no row of this cover")
        self.cover.value = value
        self.cover.column |= _column(pins)

    def finished(self) -> tuple[MappedLut, ...]:
        """The tables, every one after those that it reads."""
        if not self.ended:
            raise _wrong("it ends without '.end'")
        known = set(self.inputs or ())
        if len(known) < len(self.inputs or ()) or known & set(self.tables):
            raise _wrong("a table drives an input, or two inputs have one name")
        for name in [*(self.outputs or ()), *(pin for cover in self.tables.values() for pin in cover.operands)]:
            if name not in self.tables and name not in known:
                raise _wrong(f"nothing drives signal {name[:_QUOTED]!r}")
        missing = [name for name in self.outputs or () if name not in self.tables]
        if missing:
            raise _wrong(f"no table drives output {missing[0][:_QUOTED]!r}")
        return tuple(self._ordered(known))

    def _ordered(self, known: set[str]) -> Iterator[MappedLut]:
        waiting = {name: {pin for pin in cover.operands if pin not in known} for name, cover in self.tables.items()}
        readers: dict[str, list[str]] = {}
        for name, pins in waiting.items():
            for pin in pins:
                readers.setdefault(pin, []).append(name)
        ready = [name for name, pins in waiting.items() if not pins]
        n_done = 0
        while ready:
            name = ready.pop()
            n_done += 1
            yield self.tables[name].lut(name)
            for reader in readers.get(name, ()):
                waiting[reader].discard(name)
                if not waiting[reader]:
                    ready.append(reader)
        if n_done < len(self.tables):
            raise _wrong("its tables form a cycle")


@dataclass
class _Cover:
    """Rows of one table: the addresses where it has ``value``; no row at all is the constant 0."""

    operands: tuple[str, ...]
    column: int = 0
    value: str | None = None

    def lut(self, name: str) -> MappedLut:
        full = (1 << (1 << len(self.operands))) - 1
        return MappedLut(name, self.operands, full ^ self.column if self.value == "0" else self.column)


def _column(pins: str) -> int:
    """Addresses of a cube as the bits of an integer; the first character is address bit 0."""
    column, span = 1, 1
    for pin in pins:
        if pin == "1":
            column <<= span
        elif pin == "-":
            column |= column << span
        span *= 2
    return column


def _statements(text: str) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and words, comments removed and continued lines joined."""
    words: list[str] = []
    first = 0
    for number, line in enumerate(text.splitlines(), 1):
        if not words:
            first = number
        line = line.split("#", 1)[0].rstrip()
        goes_on = line.endswith("\\")
        words += line.removesuffix("\\").split()
        if not goes_on and words:
            yield first, words
            words = []
    if words:
        raise _wrong("it ends within a line")


def _wrong(what: str) -> ToolError:
    return ToolError(f"the BLIF file that came back is no network of tables as expected: {what}")
