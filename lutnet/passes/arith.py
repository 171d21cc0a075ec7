"""Sums, comparisons and argmax in the form that takes the fewest lookup tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import Interval, Node, OpCode, code_range
from lutnet.passes.arith_pairs import SharedPairs, Term, shared_pairs
from lutnet.passes.base import Pass, Steps
from lutnet.passes.bits import ONE, ZERO, Bit, bits_of, wire
from lutnet.passes.compose import source_bits
from lutnet.passes.rebuild import copy_node, start
from lutnet.passes.small_tables import build_table

__all__ = ["Arith"]

_COMPARED_BY_TABLE = 6
"""Bits of two values together that one table compares."""

_MUX = np.asarray([0, 1, 0, 1, 0, 0, 1, 1], dtype=np.int64)


@dataclass(frozen=True)
class Arith(Pass):
    """Four rewrites of arithmetic, each exact.

    * A sum inside a sum of the same stage, read by nothing else, gives its operands and its constant to the outer one.
    * Two operands that several sums add in the same proportion are added once (two-term sharing, as in C. Sun et al., "da4ml:
      distributed arithmetic for real-time neural networks on FPGAs", 2025).
    * A sum gets the width that the range of its values needs, and a comparison of a sum with a constant becomes its sign, the constant
      moved into the sum.
    * An argmax becomes its tournament: a table or the sign of a difference for every match, and multiplexers for as many bits as differ
      between the values; registers can then stand inside it.

    Attributes:
        argmax: Whether argmax is taken apart too; worth it where registers are to stand inside it.
    """

    name: ClassVar[str] = "arith"
    argmax: bool = False

    def rewrite(self, net: Netlist, steps: Steps) -> Netlist:
        return _Rewriting(net, steps, self.argmax).run()


class _Rewriting:
    """One run of the pass.

    A node has a row of its own width, and perhaps another row of fewer bits that stands for the same value.
    """

    def __init__(self, net: Netlist, steps: Steps, argmax: bool) -> None:
        self.net = net
        self.steps = steps
        self.argmax = argmax
        self.builder, self.rows = start(net)
        self.values: dict[int, int] = {}
        self.n_readers = np.bincount(net.fanin, minlength=net.n_nodes) + np.bincount(net.outputs, minlength=net.n_nodes)
        self.terms, self.bias, self.inlined = self._flattened()
        self.pairs = {
            stage: self._pairs_of(stage) for stage in sorted({self.net.node(row).stage for row in self.terms})
        }
        self.pair_rows: dict[tuple[int, int], int] = {}

    def run(self) -> Netlist:
        """The rewritten netlist."""
        for node in self.net.nodes():
            if node.op is OpCode.INPUT or node.id in self.inlined:
                continue
            self.builder.stage = node.stage
            self.rows[node.id] = self._visit(node)
        for row, name in zip(self.net.outputs.tolist(), self.net.output_names, strict=True):
            self.builder.output(self.rows[row], name)
        return self.builder.build(latency_cycles=self.net.latency_cycles)

    # -- sums --------------------------------------------------------------------------------------------------------

    def _flattened(self) -> tuple[dict[int, list[Term]], dict[int, int], set[int]]:
        """Terms and constant of every sum, after the sums that it alone reads in its stage moved in."""
        terms: dict[int, list[Term]] = {}
        bias: dict[int, int] = {}
        inlined: set[int] = set()
        for node in self.net.nodes():
            if node.op is not OpCode.SUM:
                continue
            terms[node.id], bias[node.id] = [], node.imm
            for row, coef in zip(node.operands, node.coefs, strict=True):
                alone = row in terms and self.n_readers[row] == 1 and int(self.net.stage[row]) == node.stage
                if alone and self._holds_exactly(row) and self.steps.take():
                    inlined.add(row)
                    terms[node.id] += [Term(inner.row, inner.coef * coef) for inner in terms[row]]
                    bias[node.id] += bias[row] * coef
                else:
                    terms[node.id].append(Term(row, coef))
        return terms, bias, inlined

    def _pairs_of(self, stage: int) -> SharedPairs:
        """Pairs that the sums of one stage share."""
        left = {
            row: tuple(terms)
            for row, terms in self.terms.items()
            if row not in self.inlined and self.net.node(row).stage == stage
        }
        return shared_pairs(left, self.steps.take)

    def _holds_exactly(self, row: int) -> bool:
        """Whether a sum's code is its value: then it may be replaced by its terms."""
        node = self.net.node(row)
        return self.net.ranges[row].within(_allowed(node))

    def _sum(self, node: Node) -> int:
        shared = self.pairs[node.stage]
        terms = shared.terms.get(node.id, tuple(self.terms[node.id]))
        rows, coefs = [self._term(term, node.stage) for term in terms], [term.coef for term in terms]
        row = self.builder.sum(rows, coefs, bias=self.bias[node.id])
        found = self.builder.node(row)
        if (found.width, found.signed) == (node.width, node.signed):
            return row
        if found.width < node.width:
            if self.steps.take():
                self.values[node.id] = row
            return self._extended(row, node)
        return self.builder.slice(row, 0, node.width, signed=node.signed)

    def _term(self, term: Term, stage: int) -> int:
        """The new row of a term; a shared pair is built when it is first read."""
        if term.row >= 0:
            return self._value(term.row)
        key = (stage, term.row)
        if key not in self.pair_rows:
            first, second = self.pairs[stage].pairs[-term.row - 1]
            rows = [self._term(part, stage) for part in (first, second)]
            self.pair_rows[key] = self.builder.sum(rows, [first.coef, second.coef])
        return self.pair_rows[key]

    def _value(self, row: int) -> int:
        """A new row with the value of an old node, perhaps of fewer bits."""
        return self.values.get(row, self.rows[row])

    def _extended(self, row: int, node: Node) -> int:
        """The same value in the width and signedness of an old node."""
        source = self.builder.node(row)
        bits = list(bits_of(self.builder, row))
        fill = bits[-1] if source.signed else ZERO
        return wire(self.builder, bits + [fill] * (node.width - source.width), node.signed)

    # -- comparisons -------------------------------------------------------------------------------------------------

    def _visit(self, node: Node) -> int:
        if node.op is OpCode.SUM:
            return self._sum(node)
        if node.op is OpCode.THRESHOLD:
            return self._threshold(node)
        if node.op is OpCode.ARGMAX:
            if self.argmax and len(node.operands) > 1 and self.steps.take():
                return self._tournament(node)
            return self.builder.argmax([self._value(row) for row in node.operands])
        return copy_node(self.builder, node, [self.rows[row] for row in node.operands])

    def _threshold(self, node: Node) -> int:
        source = node.operands[0]
        row = self._value(source)
        found = self.builder.node(row)
        if not Interval(node.imm, node.imm).within(code_range(found.width, found.signed)):
            # decided whatever the sum is, which its narrower row cannot say
            return self.builder.threshold(self.rows[source], node.imm)
        whole = source in self.terms and self._holds_exactly(source) and found.op is OpCode.SUM
        if not whole or self.n_readers[source] > 1 or node.imm == 0 or not self.steps.take():
            return self.builder.threshold(row, node.imm)
        moved = self.builder.sum(found.operands, found.coefs, bias=found.imm - node.imm)
        return self.builder.threshold(moved, 0)

    def _tournament(self, node: Node) -> int:
        rows = [self._value(row) for row in node.operands]
        width = max(self.builder.node(row).width + (not self.builder.node(row).signed) for row in rows)
        unsigned = not any(self.builder.node(row).signed for row in rows)
        players = [
            _Player(row, self._bits(row, width - unsigned), _constant(place, node.width))
            for place, row in enumerate(rows)
        ]
        while len(players) > 1:
            winners = [
                self._match(a, b, final=len(players) == 2) for a, b in zip(players[::2], players[1::2], strict=False)
            ]
            players = winners + players[len(players) & ~1 :]
        return wire(self.builder, players[0].index)

    def _match(self, a: _Player, b: _Player, *, final: bool) -> _Player:
        """The winner; the later one wins only when it is larger."""
        later = self._less(a, b)
        index = self._chosen(later, a.index, b.index)
        if final:
            return _Player(-1, (), index)
        bits = self._chosen(later, a.bits, b.bits)
        signed = self.builder.node(a.row).signed or self.builder.node(b.row).signed
        return _Player(wire(self.builder, bits, signed), bits, index)

    def _less(self, a: _Player, b: _Player) -> Bit:
        """Whether a is less than b."""
        first, second = self.builder.node(a.row), self.builder.node(b.row)
        n_bits = first.width + second.width
        if n_bits <= _COMPARED_BY_TABLE:
            address = np.arange(1 << n_bits, dtype=np.int64)
            x = _read(address & ((1 << first.width) - 1), first.width, first.signed)
            y = _read(address >> first.width, second.width, second.signed)
            bits = bits_of(self.builder, a.row) + bits_of(self.builder, b.row)
            return build_table(self.builder, (x < y).astype(np.int64), 1, bits)[0]
        difference = self.builder.sum([a.row, b.row], [1, -1])
        found = self.builder.node(difference)
        return Bit(difference, found.width - 1) if found.signed else ZERO

    def _chosen(self, later: Bit, a: Sequence[Bit], b: Sequence[Bit]) -> tuple[Bit, ...]:
        return tuple(
            x if x == y else build_table(self.builder, _MUX, 1, (x, y, later))[0] for x, y in zip(a, b, strict=True)
        )

    def _bits(self, row: int, width: int) -> tuple[Bit, ...]:
        node = self.builder.node(row)
        bits = source_bits(self.builder.node, row)
        return bits + (bits[-1] if node.signed else ZERO,) * (width - node.width)


@dataclass(frozen=True)
class _Player:
    """A value in a tournament, its bits in the common width, and the bits of its position."""

    row: int
    bits: tuple[Bit, ...]
    index: tuple[Bit, ...]


def _constant(value: int, width: int) -> tuple[Bit, ...]:
    return tuple(ONE if (value >> place) & 1 else ZERO for place in range(width))


def _read(
    codes: np.ndarray[tuple[int], np.dtype[np.int64]], width: int, signed: bool
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.asarray(codes - ((codes >> (width - 1)) << width) if signed else codes)


def _allowed(node: Node) -> Interval:
    return code_range(node.width, node.signed)
