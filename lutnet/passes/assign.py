"""Codes at addresses outside care sets, chosen such that output bits need fewer address bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError
from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import OPS, Node, OpCode
from lutnet.passes.base import Pass, Steps
from lutnet.passes.bits import Bit
from lutnet.passes.dontcare_reach import source_bits
from lutnet.passes.rebuild import copy_node, rebuild
from lutnet.tables import TruthTable

__all__ = ["Assign", "Partial", "fewest_bits"]

Bools = npt.NDArray[np.bool_]

_TRIES = 400


@dataclass(frozen=True)
class Assign(Pass):
    """Gives new codes to the addresses outside care sets; ``narrow`` then drops what is no longer read.

    First whole bits go: an output bit of a table that every reader can do without, dearest first. Then each output bit by itself
    becomes a constant, an address bit or its complement, an output bit of the same or of an earlier table with the same address,
    or a function of as few address bits as a search finds: exact where ``tries`` suffice, otherwise without any bit that could go.
    Codes at cared-for addresses stay, and care sets too.
    """

    name: ClassVar[str] = "assign"
    tries: int = _TRIES

    def __post_init__(self) -> None:
        if self.tries < 0:
            raise UserError(f"assign.tries is a number of at least 0, got {self.tries}")

    def rewrite(self, net: Netlist, steps: Steps) -> Netlist:
        codes = _Assignment(net, self.tries).run()

        def visit(builder: NetlistBuilder, node: Node, operands: tuple[int, ...]) -> int:
            if node.id not in codes or node.table is None or not steps.take():
                return copy_node(builder, node, operands)
            return builder.lut(node.table.with_codes(codes[node.id]), operands, signed=node.signed)

        return rebuild(net, visit)


@dataclass(frozen=True)
class Partial:
    """One output bit that is known at some addresses only, over all address bits; dropped ones no longer matter.

    Attributes:
        on: Addresses at which it is 1, bool, shape ``(2**n_bits,)``.
        off: Addresses at which it is 0, same shape, apart from ``on``.
    """

    on: Bools
    off: Bools

    def without(self, bit: int) -> Partial | None:
        """The bit as a function that does not read an address bit, ``None`` where it has to."""
        on, off = _joined(self.on, bit), _joined(self.off, bit)
        return None if (on & off).any() else Partial(on, off)

    def agrees(self, column: Bools) -> bool:
        """Whether a complete function has this bit's value wherever it is known."""
        return not ((self.on & ~column).any() or (self.off & column).any())

    def filled(self, column: Bools) -> Bools:
        """The known values, and those of another function elsewhere."""
        return np.asarray(self.on | (column & ~self.off))


def _joined(known: Bools, bit: int) -> Bools:
    """Known where either half is known, the same in both."""
    halves = known.reshape(-1, 2, 1 << bit)
    either = halves[:, :1] | halves[:, 1:]
    return np.broadcast_to(either, halves.shape).reshape(-1)


def fewest_bits(function: Partial, order: Sequence[int], tries: int = _TRIES) -> tuple[Partial, tuple[int, ...]]:
    """The bit over as few address bits as possible.

    Args:
        function: The bit.
        order: Address bits that may go, those first that go rather than others when equally many can.
        tries: Removals that may be tried; where they suffice no function over fewer bits exists.

    Returns:
        The bit with what it is then known of it, and the address bits that went, sorted.
    """
    free = [bit for bit in order if function.without(bit) is not None]
    best: tuple[Partial, tuple[int, ...]] = (function, ())
    stack: list[tuple[Partial, tuple[int, ...], int]] = [(function, (), 0)]
    while stack and (tries > 0 or not best[1]):
        state = stack.pop()
        current, gone, start = state
        if len(gone) > len(best[1]):
            best = (current, gone)
        children = []
        for place in range(start, len(free)):
            if len(gone) + len(free) - place <= len(best[1]):
                break
            tries -= 1
            smaller = current.without(free[place])
            if smaller is not None:
                children.append((smaller, (*gone, free[place]), place + 1))
        stack += reversed(children)
    for bit in free:
        smaller = best[0].without(bit) if bit not in best[1] else None
        best = best if smaller is None else (smaller, (*best[1], bit))
    return best[0], tuple(sorted(best[1]))


class _Assignment:
    """One run of the pass."""

    def __init__(self, net: Netlist, tries: int) -> None:
        self.net = net
        self.tries = tries
        self.bits = source_bits(net)
        self.partials: dict[int, list[Partial]] = {}
        self.gone: dict[int, set[int]] = {}
        self.address: dict[int, tuple[Bit, ...]] = {}
        self.is_value: set[int] = set()
        self.readers: dict[Bit, set[int]] = {}
        self.fixed: set[Bit] = {bit for row in net.outputs.tolist() for bit in self.bits[row]}
        for node in net.nodes():
            if node.table is not None:
                self._add(node, node.table)
            elif not OPS[node.op].free:
                self.fixed |= {bit for row in node.operands for bit in self.bits[row]}
            if node.op in (OpCode.SUM, OpCode.THRESHOLD, OpCode.ARGMAX):
                self.is_value |= set(node.operands)

    def _add(self, node: Node, table: TruthTable) -> None:
        care = np.ones(table.n_entries, dtype=np.bool_) if table.care is None else table.care
        columns = [((table.codes >> bit) & 1).astype(np.bool_) for bit in range(table.out_width)]
        self.partials[node.id] = [Partial(care & column, care & ~column) for column in columns]
        self.gone[node.id] = set()
        self.address[node.id] = tuple(bit for row in node.operands for bit in self.bits[row])
        for bit in self.address[node.id]:
            self.readers.setdefault(bit, set()).add(node.id)

    def run(self) -> dict[int, npt.NDArray[np.int64]]:
        """New codes of the tables that change, by row."""
        self._drop_whole_bits()
        made: dict[tuple[Bit, ...], list[Bools]] = {}
        found = {}
        for row in self.partials:
            codes = self._assign(self.net.node(row), made.setdefault(self.address[row], []))
            if codes is not None:
                found[row] = codes
        return found

    def _drop_whole_bits(self) -> None:
        made = [bit for bit in self.readers if bit.row in self.partials and bit not in self.fixed]
        for bit in sorted(made, key=lambda bit: (-len(self.address[bit.row]), len(self.readers[bit]), bit)):
            smaller: dict[int, list[Partial]] = {}
            for row in sorted(self.readers[bit]):
                places = [place for place, source in enumerate(self.address[row]) if source == bit]
                without = _all_without(self.partials[row], places)
                if without is None or row in self.is_value:
                    break
                smaller[row] = without
            else:
                self.partials.update(smaller)
                for row in smaller:
                    self.gone[row] |= {place for place, source in enumerate(self.address[row]) if source == bit}

    def _assign(self, node: Node, made: list[Bools]) -> npt.NDArray[np.int64] | None:
        """New codes, or ``None``; notes in ``made`` which functions of this address exist now."""
        table = node.table
        if table is None:
            return None
        old = [((table.codes >> bit) & 1).astype(np.bool_) for bit in range(table.out_width)]
        if table.care is None:
            made += old
            return None
        n_made = len(made)
        for partial, column in zip(self.partials[node.id], old, strict=True):
            made.append(self._column(node.id, partial, column, made))
        codes = np.zeros(table.n_entries, dtype=np.int64)
        for bit, column in enumerate(made[n_made:]):
            codes |= column.astype(np.int64) << bit
        if not np.array_equal(codes, table.codes) and self._fits(node, codes):
            return codes
        made[n_made:] = old
        return None

    def _fits(self, node: Node, codes: npt.NDArray[np.int64]) -> bool:
        """Whether the values stay within the range that readers of values rely on."""
        if node.id not in self.is_value or node.table is None:
            return True
        half = (1 << (node.width - 1)) if node.signed else 0
        new, old = codes ^ half, node.table.codes.astype(np.int64) ^ half
        return bool(old.min() <= new.min() and new.max() <= old.max())

    def _column(self, row: int, partial: Partial, old: Bools, made: Sequence[Bools]) -> Bools:
        """The complete function of one output bit."""
        address, index = self.address[row], np.arange(len(old))
        places = [place for place in range(len(address)) if place not in self.gone[row]]
        wires = [((index >> place) & 1).astype(np.bool_) for place in places]
        for column in (np.zeros_like(old), *wires, *made):
            if partial.agrees(column):
                return column
            if partial.agrees(~column):
                return np.asarray(~column)
        order = sorted(places, key=lambda place: (len(self.readers.get(address[place], ())), place))
        smaller, gone = fewest_bits(partial, order, self.tries)
        for place in {*gone, *self.gone[row]}:
            halves = old.reshape(-1, 2, 1 << place)
            old = np.broadcast_to(halves[:, :1], halves.shape).reshape(-1)
        return smaller.filled(old)


def _all_without(partials: Sequence[Partial], places: Sequence[int]) -> list[Partial] | None:
    found = []
    for partial in partials:
        current: Partial | None = partial
        for place in places:
            current = None if current is None else current.without(place)
        if current is None:
            return None
        found.append(current)
    return found
