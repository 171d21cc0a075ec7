"""A network of small Boolean gates with complemented edges: what the bit-sliced C code is made of.

A *literal* is ``2 * node + complement``; node 0 is the constant, so that literal 0 is always 0 and literal 1 always 1. Every gate
is built once: asking for the same function of the same literals again returns the first one's literal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from itertools import product

from lutnet.tables import TruthTable

__all__ = ["FALSE", "TRUE", "Kind", "Logic", "LogicNode", "Lookup"]

FALSE = 0
"""The literal that is always 0."""

TRUE = 1
"""The literal that is always 1."""


class Kind(IntEnum):
    """What a node of the network computes from its literals ``a``, ``b`` and ``c``."""

    CONST = 0
    INPUT = 1
    AND = 2
    XOR = 3
    TERNARY = 4
    """Bit ``4 * a + 2 * b + c`` of ``function``."""
    PIN = 5
    """Bit ``b`` of the result of lookup number ``a``; here ``a`` and ``b`` are numbers, no literals."""


N_LITERALS = {Kind.AND: 2, Kind.XOR: 2, Kind.TERNARY: 3}
"""Literals that a gate of each kind reads; the other kinds read none."""


@dataclass(frozen=True)
class LogicNode:
    """One node.

    Attributes:
        kind: What it computes.
        a: First literal, or the number that the kind speaks of.
        b: Second literal or number.
        c: Third literal.
        function: Which function of three bits it is.
    """

    kind: Kind
    a: int = 0
    b: int = 0
    c: int = 0
    function: int = 0

    @property
    def literals(self) -> tuple[int, ...]:
        """The literals that it reads."""
        return (self.a, self.b, self.c)[: N_LITERALS.get(self.kind, 0)]


@dataclass(frozen=True)
class Lookup:
    """A table that is read sample by sample instead of being taken apart.

    Attributes:
        table: The table.
        address: Literals of its address, bit 0 first.
    """

    table: TruthTable
    address: tuple[int, ...]


@dataclass
class Logic:
    """Grows the network. Words are lists of literals, least significant bit first.

    Attributes:
        nodes: The nodes in topological order.
        lookups: Tables that are read sample by sample.
    """

    nodes: list[LogicNode] = field(default_factory=lambda: [LogicNode(Kind.CONST)])
    lookups: list[Lookup] = field(default_factory=list)
    _known: dict[tuple[int, int, int, int, int], int] = field(default_factory=dict)

    def input(self, number: int) -> int:
        """The literal of one bit of the packed input."""
        return self._gate(Kind.INPUT, number, 0, 0)

    def lookup(self, table: TruthTable, address: Sequence[int]) -> list[int]:
        """The word of a table that is read sample by sample."""
        self.lookups.append(Lookup(table, tuple(address)))
        return [self._gate(Kind.PIN, len(self.lookups) - 1, bit, 0) for bit in range(table.out_width)]

    def forget(self, n_nodes: int) -> None:
        """Takes back every node but the first ``n_nodes``; nobody may hold a literal of theirs."""
        while len(self.nodes) > n_nodes:
            node = self.nodes.pop()
            del self._known[(node.kind, node.a, node.b, node.c, node.function)]

    # -- gates -------------------------------------------------------------------------------------------------------

    def and_(self, a: int, b: int) -> int:
        """Conjunction."""
        if a > b:
            a, b = b, a
        if a == FALSE or a == b ^ 1:
            return FALSE
        if a == TRUE or a == b:
            return b
        return self._gate(Kind.AND, a, b, 0)

    def or_(self, a: int, b: int) -> int:
        """Disjunction."""
        return self.and_(a ^ 1, b ^ 1) ^ 1

    def xor(self, a: int, b: int) -> int:
        """Exclusive or; complements move to the result."""
        flip = (a ^ b) & 1
        a, b = sorted((a & ~1, b & ~1))
        if a == b:
            return FALSE ^ flip
        if a == FALSE:
            return b ^ flip
        return self._gate(Kind.XOR, a, b, 0) ^ flip

    def mux(self, select: int, high: int, low: int) -> int:
        """``high`` where ``select`` is 1, otherwise ``low``."""
        if select & 1:
            select, high, low = select ^ 1, low, high
        if high == low or select == FALSE:
            return low
        if high == low ^ 1:
            return self.xor(select, low)
        if high in (FALSE, select ^ 1):
            return self.and_(select ^ 1, low)
        if high in (TRUE, select):
            return self.or_(select, low)
        if low in (FALSE, select):
            return self.and_(select, high)
        if low in (TRUE, select ^ 1):
            return self.or_(select ^ 1, high)
        return self.ternary(0xCA, select, high, low)

    def majority(self, a: int, b: int, c: int) -> int:
        """1 where at least two of three are 1."""
        a, b, c = sorted((a, b, c))
        if a == FALSE:
            return self.and_(b, c)
        if a == TRUE:
            return self.or_(b, c)
        if b in (a, c):
            return b
        if a == b ^ 1:
            return c
        if b == c ^ 1:
            return a
        return self.ternary(0xE8, a, b, c)

    def xor3(self, a: int, b: int, c: int) -> int:
        """Exclusive or of three."""
        flip = (a ^ b ^ c) & 1
        a, b, c = sorted((a & ~1, b & ~1, c & ~1))
        if a == b:
            return c ^ flip
        if b == c or a == FALSE:
            return (a if b == c else self.xor(b, c)) ^ flip
        return self.ternary(0x96, a, b, c) ^ flip

    def ternary(self, function: int, a: int, b: int, c: int) -> int:
        """Any function of three: bit ``4 * a + 2 * b + c`` of the byte."""
        literals = (a, b, c)
        names = sorted({a >> 1, b >> 1, c >> 1})
        form = _form_of(function, tuple(2 * names.index(x >> 1) + (x & 1) for x in literals), names[0] == 0)
        kept = [2 * names[place] for place in form.kept]
        if not kept:
            return form.function & 1
        if len(kept) == 1:
            return kept[0] ^ form.flip
        if len(kept) == 2:
            return self._binary(form.function, *kept) ^ form.flip
        return self._gate(Kind.TERNARY, kept[0], kept[1], kept[2], form.function) ^ form.flip

    def _binary(self, function: int, a: int, b: int) -> int:
        """A function of two, 0 where both are 0, that depends on both: bit ``2 * a + b``."""
        if function == 0b0110:
            return self._gate(Kind.XOR, a, b, 0)
        if function == 0b1110:
            return self.or_(a, b)
        return self.and_(a ^ (function == 0b0010), b ^ (function == 0b0100))

    # -- words -------------------------------------------------------------------------------------------------------

    def mux_word(self, select: int, high: Sequence[int], low: Sequence[int]) -> list[int]:
        """Bit by bit :meth:`mux`."""
        return [self.mux(select, a, b) for a, b in zip(high, low, strict=True)]

    def weighted_sum(self, columns: Sequence[Sequence[int]]) -> list[int]:
        """Sum of bits by columns of one weight each, modulo ``2**len(columns)``.

        Three bits of a column become one of it and one of the next column until one is left (C. S. Wallace, "A Suggestion for a
        Fast Multiplier", IEEE Transactions on Electronic Computers EC-13, 1964).
        """
        left = [list(column) for column in columns] + [[]]
        word = []
        for place in range(len(columns)):
            column = left[place]
            while len(column) > 1:
                a, b = column.pop(0), column.pop(0)
                c = column.pop(0) if column else FALSE
                column.append(self.xor3(a, b, c))
                left[place + 1].append(self.majority(a, b, c))
            word.append(column[0] if column else FALSE)
        return word

    def less(self, a: Sequence[int], b: Sequence[int]) -> int:
        """``a < b`` for unsigned words of one width."""
        result = FALSE
        for x, y in zip(a, b, strict=True):
            result = self.majority(x ^ 1, y, result)
        return result

    def _gate(self, kind: Kind, a: int, b: int, c: int, function: int = 0) -> int:
        key = (int(kind), a, b, c, function)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = len(self.nodes)
            self.nodes.append(LogicNode(kind, a, b, c, function))
        return 2 * known


@dataclass(frozen=True)
class _Form:
    """A function of three literals in the form in which it is kept: of plain, rising, distinct literals that it depends on, 0 at 0.

    Attributes:
        kept: Places of its variables among the sorted ones.
        function: Its values; the first variable is the highest bit of the address.
        flip: 1 when the complement is kept.
    """

    kept: tuple[int, ...]
    function: int
    flip: int


@lru_cache(maxsize=1 << 16)
def _form_of(function: int, literals: tuple[int, ...], has_constant: bool) -> _Form:
    """The form of a function of ``2 * place + complement`` literals; place 0 may be the constant."""
    places = range(int(has_constant), max(literals) // 2 + 1)

    def value(bits: dict[int, int]) -> int:
        address = 0
        for literal in literals:
            address = 2 * address + (bits.get(literal >> 1, 0) ^ (literal & 1))
        return function >> address & 1

    def table(kept: Sequence[int]) -> list[int]:
        return [value(dict(zip(kept, bits, strict=True))) for bits in product((0, 1), repeat=len(kept))]

    def matters(at: int) -> bool:
        points = list(product((0, 1), repeat=len(places)))
        others = [(*bits[:at], 1 - bits[at], *bits[at + 1 :]) for bits in points]
        outs = dict(zip(points, table(places), strict=True))
        return any(outs[bits] != outs[other] for bits, other in zip(points, others, strict=True))

    kept = tuple(place for at, place in enumerate(places) if matters(at))
    outs = table(kept)
    flip = outs[0] if kept else 0
    return _Form(kept, sum((out ^ flip) << address for address, out in enumerate(outs)), flip)
