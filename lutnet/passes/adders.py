"""Sums of many operands become trees of two-operand sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import Node, OpCode
from lutnet.passes.base import Pass, Steps
from lutnet.passes.rebuild import copy_node, rebuild
from lutnet.tables import TruthTable

__all__ = ["Adders"]

FULL_ADDER_INPUTS = 3


@dataclass(frozen=True)
class Adders(Pass):
    """Every sum of more than two operands becomes a balanced tree, so that registers can stand between its levels.

    Single bits of one weight go first: three of them through a full adder (two tables of three inputs, which share one
    dual-output lookup table). Then terms of similar width are added in pairs, each on one carry chain, whose free
    carry-in takes one more single bit. For n bits, (n + 1) / 4 full adders and one pair fewer use all bits up.
    """

    name: ClassVar[str] = "adders"

    def rewrite(self, net: Netlist, steps: Steps) -> Netlist:
        def visit(builder: NetlistBuilder, node: Node, operands: tuple[int, ...]) -> int:
            if node.op is not OpCode.SUM or not _worth_it(node) or not steps.take():
                return copy_node(builder, node, operands)
            terms = [_Term(row, coef) for row, coef in zip(operands, node.coefs, strict=True)]
            return _Tree(builder, terms).finish(node)

        return rebuild(net, visit)


@dataclass(frozen=True)
class _Term:
    """``coef`` times the value of a row; the coefficient is plus or minus a power of two."""

    row: int
    coef: int


class _Tree:
    """Terms that are added up level by level."""

    def __init__(self, builder: NetlistBuilder, terms: Sequence[_Term]) -> None:
        self.builder = builder
        bits: dict[int, list[int]] = {}
        self.terms: list[_Term] = []
        for term in terms:
            if _is_bit(builder, term.row):
                bits.setdefault(term.coef, []).append(term.row)
            else:
                self.terms.append(term)
        self.spare: dict[int, list[int]] = {}
        for coef, rows in sorted(bits.items()):
            self._count(coef, rows)

    def finish(self, node: Node) -> int:
        """The row of the whole sum, in the node's own width and signedness."""
        while len(self.terms) + self._n_spare() > 2:
            self._level()
        self._use_up_spare()
        if node.imm == 0 and len(self.terms) == 1 and self.terms[0].coef == 1:
            found = self.builder.node(self.terms[0].row)
            if (found.width, found.signed) == (node.width, node.signed):
                return found.id
        return self.builder.sum(
            [term.row for term in self.terms],
            [term.coef for term in self.terms],
            bias=node.imm,
            shape=(node.width, node.signed),
        )

    def _count(self, coef: int, rows: list[int]) -> None:
        """Full adders for bits of one weight; what the carry-ins can take stays spare."""
        n_adders = -(-(len(rows) + 1) // (FULL_ADDER_INPUTS + 1)) if len(rows) > 1 else 0
        for index in range(n_adders):
            group = rows[FULL_ADDER_INPUTS * index : FULL_ADDER_INPUTS * (index + 1)]
            if len(group) > 1:
                self.terms.append(_Term(self.builder.lut(_count_table(len(group)), group), coef))
            elif group:
                self.terms.append(_Term(group[0], coef))
        self.spare[coef] = rows[FULL_ADDER_INPUTS * n_adders :]

    def _level(self) -> None:
        if len(self.terms) < 2:
            self._use_up_spare()
        terms = sorted(self.terms, key=lambda term: (abs(term.coef), self.builder.node(term.row).width))
        paired = [self._pair(first, second) for first, second in zip(terms[::2], terms[1::2], strict=False)]
        self.terms = paired + terms[len(terms) - len(terms) % 2 :]

    def _pair(self, first: _Term, second: _Term) -> _Term:
        sign = -1 if first.coef < 0 and second.coef < 0 else 1
        unit = sign * min(abs(first.coef), abs(second.coef))
        if first.coef // unit < 0:
            first, second = second, first
        rows, coefs = [first.row, second.row], [first.coef // unit, second.coef // unit]
        if self.spare.get(unit):
            rows.append(self.spare[unit].pop())
            coefs.append(1)
        return _Term(self.builder.sum(rows, coefs), unit)

    def _use_up_spare(self) -> None:
        for coef, rows in self.spare.items():
            self.terms += [_Term(row, coef) for row in rows]
        self.spare = {}

    def _n_spare(self) -> int:
        return sum(map(len, self.spare.values()))


def _worth_it(node: Node) -> bool:
    bits = sum(width == 1 for width in node.operand_widths)
    return len(node.operands) > 2 or (bits == 2 and len(set(node.coefs)) == 1)


def _is_bit(builder: NetlistBuilder, row: int) -> bool:
    """Whether a row is one unsigned bit that is not known to be constant: counts of such bits are not overestimated."""
    node, reach = builder.node(row), builder.range(row)
    return node.width == 1 and not node.signed and reach.lo < reach.hi


def _count_table(n_bits: int) -> TruthTable:
    """How many of some bits are set."""
    address = np.arange(1 << n_bits)
    count = sum((address >> bit) & 1 for bit in range(n_bits))
    return TruthTable((1,) * n_bits, 2, np.asarray(count, dtype=np.uint8))
