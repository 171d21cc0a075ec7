"""Finding and proving what two netlists have in common, bit by bit: sweeping with simulation and local truth tables.

Both netlists are built into one, inputs shared, in topological order. Bits that agree on all simulated inputs are candidates; two
candidates are one function if their truth tables over a common set of bits below them are equal. Every proved bit is replaced by the
earlier one, so that what reads it is compared over that one: A. Kuehlmann and F. Krohm, "Equivalence checking using cuts and
heaps", DAC 1997, with exhaustive tables in place of BDDs, because the nodes of a netlist are tables of few bits.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import OPS, Node, OpCode, code_range
from lutnet.passes.bits import Bit, wire
from lutnet.passes.rebuild import copy_node
from lutnet.tables import TruthTable, pack_address
from lutnet.verify.linear import Form, LinearForms, extended, trimmed

__all__ = ["Sweep"]

_MAX_LEAVES = 16
"""Truth tables are compared over at most so many bits."""

_MAX_ROUNDS = 400
"""Most replacements of a bit by those below it, for one pair."""

_MAX_WIDE = 64
"""Bits that the search for a common set may hold on its way."""

_MAX_KEPT = 32
_MAX_BYTES = 1 << 28
"""Memory for truth tables that may be asked for again."""

_MAX_TABLES = 5
"""Truth tables that may differ before a pair is given up."""

_MAX_CANDIDATES = 2
"""Earlier bits that one bit is compared with: so many of the oldest and of the latest."""

_AND = TruthTable((1, 1), 1, np.array([0, 0, 0, 1]))
_NOT = TruthTable((1,), 1, np.array([1, 0]))


class Sweep:
    """Grows one netlist out of several with the same inputs and merges bits that are proved equal.

    Equal means: on every input for which each table of the first netlist is read at an address that it cares for.

    Attributes:
        n_merged: Bits that were proved equal to an earlier one by truth tables.
    """

    def __init__(self, first: Netlist, codes: npt.NDArray[np.int64], deadline: float) -> None:
        """Builds the first netlist.

        Args:
            first: A verified netlist.
            codes: Inputs to simulate, shape ``(batch, n_inputs)``; on all of them each table of ``first`` is read at an address that
                it cares for.
            deadline: :func:`time.monotonic` after which no more pairs are tried.
        """
        self.n_merged = 0
        self._deadline = deadline
        self._builder = NetlistBuilder()
        self._words: dict[int, tuple[Bit, ...]] = {}
        self._values: dict[int, npt.NDArray[np.integer]] = {}
        self._care: dict[int, npt.NDArray[np.bool_]] = {}
        self._careful: dict[Bit, set[int]] = {}
        self._tables: dict[tuple[Bit, ...], _LocalTable] = {}
        self._seen: dict[bytes, list[tuple[Bit, bool]]] = {}
        self._forms = LinearForms()
        self._sums: dict[Form, tuple[tuple[Bit, ...], bool]] = {}
        self._inputs = []
        for port, width in enumerate(first.input_widths):
            signed = first.node(int(first.inputs[port])).signed
            row = self._builder.input(width, signed=signed)
            self._values[row] = codes[:, port]
            self._inputs.append(self._fresh(row))
        self._batch = len(codes)
        self.outputs = self._add(first, careful=True)

    def add(self, net: Netlist) -> list[tuple[Bit, ...]]:
        """Builds another netlist; returns the bits of its outputs. Equal bits are equal functions, as far as was found out."""
        return self._add(net, careful=False)

    def sides(self, pairs: Sequence[tuple[Bit, Bit]]) -> tuple[Netlist, Netlist]:
        """Two netlists with the left bits and the right bits as outputs, equal wherever they were merged; to be called once.

        All outputs are 0 where a table of the first netlist is read at an address that it does not care for.
        """
        ok = self._ok()
        for place, (left, right) in enumerate(pairs):
            for side, bit in (("a", left), ("b", right)):
                row = wire(self._builder, [bit])
                self._builder.output(row if ok is None else self._builder.lut(_AND, [row, ok]), f"{side}{place}")
        net = self._builder.build()
        first, second = (replace(net, outputs=net.outputs[i::2], output_names=net.output_names[i::2]) for i in (0, 1))
        return first, second

    def _ok(self) -> int | None:
        """A bit that is 1 where all tables with a care set are read within it; ``None`` without such tables."""
        bits = []
        for row, care in self._care.items():
            node = self._builder.node(row)
            bits.append(self._builder.lut(TruthTable(node.operand_widths, 1, care.astype(np.uint8)), node.operands))
        while len(bits) > 1:
            pairs = [bits[i : i + 2] for i in range(0, len(bits), 2)]
            bits = [self._builder.lut(_AND, pair) if len(pair) == 2 else pair[0] for pair in pairs]
        return bits[0] if bits else None

    # -- building ----------------------------------------------------------------------------------------------------

    def _add(self, net: Netlist, careful: bool) -> list[tuple[Bit, ...]]:
        words: list[tuple[Bit, ...]] = [()] * net.n_nodes
        ports = {row: port for port, row in enumerate(net.inputs.tolist())}
        for node in net.nodes():
            operands = [words[row] for row in node.operands]
            if node.op is OpCode.INPUT:
                words[node.id] = self._inputs[ports[node.id]]
            elif node.op is OpCode.CONST:
                words[node.id] = tuple(Bit(-1, (node.imm >> place) & 1) for place in range(node.width))
            elif node.op is OpCode.SLICE:
                words[node.id] = operands[0][node.imm : node.imm + node.width]
            elif node.op is OpCode.CONCAT:
                words[node.id] = tuple(bit for word in operands for bit in word)
            else:
                words[node.id] = self._node(node, operands, careful)
        return [words[row] for row in net.outputs.tolist()]

    def _node(self, node: Node, operands: list[tuple[Bit, ...]], careful: bool) -> tuple[Bit, ...]:
        if node.table is None:
            return self._arithmetic(node, [trimmed(*pair) for pair in zip(operands, node.operand_signed, strict=True)])
        rows = [wire(self._builder, word) for word in operands]
        table = node.table
        row = self._builder.lut(TruthTable(table.in_widths, table.out_width, table.codes), rows, signed=node.signed)
        if careful and table.care is not None:
            self._care[row] = table.care & self._care.get(row, table.care)
            for bit in self._below(Bit(row, 0)):
                self._careful.setdefault(bit, set()).add(row)
        form = self._forms.table(table, [bit for word in operands for bit in word], node.signed)
        word = self._built(row)
        if form is not None:
            self._forms.remember(row, form, word, node.signed)
        return word

    def _arithmetic(self, node: Node, operands: list[tuple[tuple[Bit, ...], bool]]) -> tuple[Bit, ...]:
        """An op that reads values: how wide their codes are does not matter, and equal sums are one."""
        if node.op is OpCode.THRESHOLD:
            reach = code_range(len(operands[0][0]), operands[0][1])
            if not reach.lo <= node.imm <= reach.hi:
                return (Bit(-1, int(node.imm < reach.lo)),)
        if node.op is not OpCode.SUM:
            return self._built(copy_node(self._builder, node, [wire(self._builder, *pair) for pair in operands]))
        form = self._forms.sum(node.imm, [(coef, *pair) for coef, pair in zip(node.coefs, operands, strict=True)])
        if form not in self._sums:
            rows = [wire(self._builder, *pair) for pair in operands]
            # as wide as the operands ask for, which have lost the ranges of their tables: it never wraps here either
            row = self._builder.sum(rows, node.coefs, bias=node.imm)
            signed = self._builder.node(row).signed
            self._sums[form] = (self._built(row), signed)
            self._forms.remember(row, form, self._built(row), signed)
        return extended(*self._sums[form], node.width)

    def _built(self, row: int) -> tuple[Bit, ...]:
        """The bits of a row, simulated and compared when it is new."""
        if row not in self._words:
            built = self._builder.node(row)
            values = OPS[built.op].kernel(built, [self._codes(operand) for operand in built.operands])
            self._values[row] = np.broadcast_to(values, (self._batch,)).astype(
                np.min_scalar_type((1 << built.width) - 1)
            )
            self._fresh(row)
        return self._words[row]

    def _fresh(self, row: int) -> tuple[Bit, ...]:
        """Bits of a new row, those that are proved equal to earlier ones replaced."""
        found = []
        for place in range(self._builder.node(row).width):
            bit = Bit(row, place)
            column = (self._values[row] >> place) & 1
            inverted = bool(len(column) and column[0])
            key = np.packbits((column ^ inverted).astype(np.uint8)).tobytes()
            found.append(self._merged(bit, inverted, key))
        self._words[row] = tuple(found)
        return self._words[row]

    def _merged(self, bit: Bit, inverted: bool, key: bytes) -> Bit:
        known = self._seen.setdefault(key, [(Bit(-1, 0), False)] if not any(key) else [])
        if self._builder.node(bit.row).op is not OpCode.INPUT and time.monotonic() < self._deadline:
            for other, other_inverted in dict.fromkeys([*known[:_MAX_CANDIDATES], *known[-_MAX_CANDIDATES:]]):
                if self._equal(bit, other, inverted != other_inverted):
                    self.n_merged += 1
                    return self._complement(other) if inverted != other_inverted else other
        known.append((bit, inverted))
        return bit

    def _complement(self, bit: Bit) -> Bit:
        if bit.row < 0:
            return Bit(-1, 1 - bit.place)
        row = self._builder.lut(_NOT, [wire(self._builder, [bit])])
        if row not in self._words:
            self._values[row] = (1 - ((self._values[bit.row] >> bit.place) & 1)).astype(np.uint8)
            self._words[row] = (Bit(row, 0),)
        return Bit(row, 0)

    # -- reading what is built -----------------------------------------------------------------------------------------

    def _word(self, row: int) -> tuple[Bit, ...]:
        """The bits of a row of the joint netlist, wiring seen through."""
        if row not in self._words:
            node = self._builder.node(row)
            if node.op is OpCode.CONST:
                word = tuple(Bit(-1, (node.imm >> place) & 1) for place in range(node.width))
            elif node.op is OpCode.SLICE:
                # the bits of the row itself: what is merged is never wired again
                word = tuple(Bit(node.operands[0], node.imm + place) for place in range(node.width))
            else:
                word = tuple(bit for operand in node.operands for bit in self._own(operand))
            self._words[row] = word
        return self._words[row]

    def _own(self, row: int) -> tuple[Bit, ...]:
        node = self._builder.node(row)
        if node.op in (OpCode.CONST, OpCode.SLICE, OpCode.CONCAT):
            return self._word(row)
        return tuple(Bit(row, place) for place in range(node.width))

    def _codes(self, row: int) -> npt.NDArray[np.int64]:
        """Simulated codes of a row."""
        total = np.zeros(self._batch, dtype=np.int64)
        for place, bit in enumerate(self._own(row)):
            if bit.row < 0:
                total |= bit.place << place
            else:
                total |= ((self._values[bit.row].astype(np.int64) >> bit.place) & 1) << place
        return total

    def _below(self, bit: Bit) -> set[Bit]:
        return {other for row in self._builder.node(bit.row).operands for other in self._own(row) if other.row >= 0}

    def _is_input(self, bit: Bit) -> bool:
        return self._builder.node(bit.row).op is OpCode.INPUT

    # -- comparing -----------------------------------------------------------------------------------------------------

    def _equal(self, bit: Bit, other: Bit, inverted: bool) -> bool:
        """Whether a bit is another one, or its complement, as functions of some bits below both.

        First over the bits that the other one reads. Where the tables differ they may do so only for assignments that never occur,
        because one of those bits depends on others; so the latest leaf is then replaced by the bits below it, a few times.
        """
        below = self._below(other) if other.row >= 0 else set()
        left = self._expanded(bit, below)
        if left is not None and self._same_table(bit, other, inverted, sorted(left | below)):
            return True
        left, right = self._below(bit), {other} if other.row >= 0 else set()
        n_tables = 0
        for _ in range(_MAX_ROUNDS):
            leaves = left | right
            if len(leaves) > _MAX_WIDE or n_tables == _MAX_TABLES:
                return False
            if (left <= right or right <= left) and len(leaves) <= _MAX_LEAVES:
                if self._same_table(bit, other, inverted, sorted(leaves)):
                    return True
                n_tables += 1
            inner = [leaf for leaf in leaves if not self._is_input(leaf)]
            if not inner:
                return False
            latest = max(inner)
            for side in (left, right):
                if latest in side:
                    side.discard(latest)
                    side |= self._below(latest)
        return False

    def _expanded(self, bit: Bit, allowed: set[Bit]) -> set[Bit] | None:
        """The allowed bits that a bit is a function of; ``None`` when it needs others, or there are too many."""
        if not 0 < len(allowed) <= _MAX_LEAVES:
            return None
        oldest = min(allowed)
        leaves, waiting = set(), {bit}
        while waiting:
            latest = max(waiting)
            waiting.discard(latest)
            if latest < oldest or self._is_input(latest) or len(waiting) > _MAX_WIDE:
                return None
            below = self._below(latest)
            leaves |= below & allowed
            waiting |= below - allowed
        return leaves

    def _same_table(self, bit: Bit, other: Bit, inverted: bool, leaves: Sequence[Bit]) -> bool:
        table = self._local(tuple(leaves))
        differ = table.column(bit) != (table.column(other) ^ np.uint8(inverted))
        return not differ.any() or not (differ & table.cared_for()).any()

    def _local(self, leaves: tuple[Bit, ...]) -> _LocalTable:
        """The values over some leaves; those of the last few sets of leaves are kept, for the other bits of a table."""
        found = self._tables.pop(leaves, None) or _LocalTable(self, leaves)
        self._tables[leaves] = found
        while len(self._tables) > 1 and (
            len(self._tables) > _MAX_KEPT or sum(table.n_bytes for table in self._tables.values()) > _MAX_BYTES
        ):
            del self._tables[next(iter(self._tables))]
        return found


class _LocalTable:
    """Values of bits for every assignment to some bits below them."""

    def __init__(self, sweep: Sweep, leaves: Sequence[Bit]) -> None:
        self.sweep = sweep
        self.n_entries = 1 << len(leaves)
        address = np.arange(self.n_entries, dtype=np.int32)
        self.columns: dict[Bit, npt.NDArray[np.uint8]] = {
            leaf: ((address >> place) & 1).astype(np.uint8) for place, leaf in enumerate(leaves)
        }

    @property
    def n_bytes(self) -> int:
        """Memory of the columns."""
        return len(self.columns) * self.n_entries

    def column(self, bit: Bit) -> npt.NDArray[np.uint8]:
        """The bit as 0 and 1 for every assignment."""
        if bit.row < 0:
            return np.full(self.n_entries, bit.place, dtype=np.uint8)
        stack = [bit]
        while stack:
            top = stack[-1]
            if top in self.columns:
                stack.pop()
                continue
            missing = [below for below in self.sweep._below(top) if below not in self.columns]
            if missing:
                stack += missing
            else:
                self._row(top.row)
        return self.columns[bit]

    def cared_for(self) -> npt.NDArray[np.bool_]:
        """Assignments for which the tables whose addresses are known here are read at addresses that they care for."""
        care = np.ones(self.n_entries, dtype=np.bool_)
        for row in {row for bit in self.columns for row in self.sweep._careful.get(bit, ())}:
            if self.sweep._below(Bit(row, 0)) <= self.columns.keys():
                node = self.sweep._builder.node(row)
                address = pack_address([self._codes(operand) for operand in node.operands], node.operand_widths)
                care &= self.sweep._care[row][address]
        return care

    def _row(self, row: int) -> None:
        node = self.sweep._builder.node(row)
        values: npt.NDArray[np.integer]
        if node.table is not None:
            bits = [bit for operand in node.operands for bit in self.sweep._own(operand)]
            values = node.table.codes[self._packed(bits, np.int32)]
        else:
            kernel = OPS[node.op].kernel(node, [self._codes(operand) for operand in node.operands])
            values = np.broadcast_to(kernel, (self.n_entries,))
        for place in range(node.width):
            self.columns.setdefault(Bit(row, place), ((values >> place) & 1).astype(np.uint8))

    def _codes(self, row: int) -> npt.NDArray[np.int64]:
        return self._packed(self.sweep._own(row), np.int64)

    def _packed(self, bits: Sequence[Bit], dtype: type[np.integer]) -> npt.NDArray[Any]:
        total = np.zeros(self.n_entries, dtype=dtype)
        for place, bit in enumerate(bits):
            if bit.row >= 0:
                total |= self.columns[bit].astype(dtype) << dtype(place)
            elif bit.place:
                total |= dtype(1 << place)
        return total
