"""Which addresses of a table are reached: by simulation from below, by enumeration and by images of cones from above."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import OPS, Node, OpCode
from lutnet.passes.bits import ONE, ZERO, Bit
from lutnet.tables import TruthTable, pack_address

__all__ = ["Reach", "cone_of", "propagate", "source_bits", "stimuli"]

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

_CHUNK = 1 << 14
_IDLE_ROUNDS = 4
_MAX_PRODUCT_BITS = 16


def source_bits(net: Netlist) -> list[tuple[Bit, ...]]:
    """The bits of every node, each a bit of a node that is no wiring, or a constant; bit 0 first."""
    found: list[tuple[Bit, ...]] = []
    for node in net.nodes():
        if node.op is OpCode.CONST:
            found.append(tuple(ONE if (node.imm >> i) & 1 else ZERO for i in range(node.width)))
        elif node.op is OpCode.SLICE:
            found.append(found[node.operands[0]][node.imm : node.imm + node.width])
        elif node.op is OpCode.CONCAT:
            found.append(tuple(bit for row in node.operands for bit in found[row]))
        else:
            found.append(tuple(Bit(node.id, place) for place in range(node.width)))
    return found


def cone_of(net: Netlist, rows: Iterable[int]) -> list[int]:
    """Every node that the given ones depend on, themselves included, lowest row first."""
    seen: set[int] = set()
    stack = list(rows)
    while stack:
        row = stack.pop()
        if row not in seen:
            seen.add(row)
            stack += net.operands(row)
    return sorted(seen)


def propagate(net: Netlist, values: dict[int, Ints], rows: Sequence[int]) -> dict[int, Ints]:
    """Codes of ``rows``, which are a cone in rising order, from the codes of the nodes that ``values`` already holds."""
    for row in rows:
        if row not in values:
            node = net.node(row)
            values[row] = OPS[node.op].kernel(node, [values[operand] for operand in node.operands])
    return values


def stimuli(widths: Sequence[int], n_rows: int, rng: np.random.Generator) -> Ints:
    """Input codes that spread further than uniform ones: a third uniform, a third at both ends, a third of biased bits.

    Returns:
        int64, shape ``(len(widths), n_rows)``.
    """
    full = np.asarray([(1 << width) - 1 for width in widths], dtype=np.int64)[:, None]
    codes = np.stack([rng.integers(0, 1 << width, n_rows, dtype=np.int64) for width in widths])
    kind = np.arange(n_rows) % 3
    ends = np.where(rng.random(codes.shape) < rng.random(n_rows), full, 0)
    mixed = np.where(rng.random(codes.shape) < rng.random(n_rows), ends, codes)
    return np.where(kind == 0, codes, np.where(kind == 1, ends, mixed))


class Reach:
    """What is known of the addresses at which each table is read.

    Attributes:
        net: The netlist.
        tables: Rows of its tables, lowest first.
        bits: Sources of the bits of every node, see :func:`source_bits`.
        seen: Addresses that some input reaches, by row; a bound from below.
        possible: Addresses that no proof excludes, by row; a bound from above.
    """

    def __init__(self, net: Netlist) -> None:
        self.net = net
        self.bits = source_bits(net)
        self.tables = [node.id for node in net.nodes() if node.table is not None]
        self.seen = {row: np.zeros(self._table(row).n_entries, dtype=np.bool_) for row in self.tables}
        self.possible = {row: np.ones(self._table(row).n_entries, dtype=np.bool_) for row in self.tables}

    def _table(self, row: int) -> TruthTable:
        table = self.net.node(row).table
        assert table is not None
        return table

    def open(self, row: int) -> Bools:
        """Addresses of which it is not known whether they are reached."""
        return np.asarray(self.possible[row] & ~self.seen[row])

    # -- from below --------------------------------------------------------------------------------------------------

    def mark(self, codes: Ints) -> Bools:
        """Notes every address that inputs reach; codes of shape ``(n_inputs, n)``. Says which inputs reached a new one."""
        news = np.zeros(codes.shape[1], dtype=np.bool_)
        for start in range(0, codes.shape[1], _CHUNK):
            chunk = np.ascontiguousarray(codes[:, start : start + _CHUNK])
            values: dict[int, Ints] = dict(zip(self.net.inputs.tolist(), chunk, strict=True))
            new = np.zeros(chunk.shape[1], dtype=np.bool_)
            for node in self.net.nodes():
                if node.op is OpCode.INPUT:
                    continue
                operands = [values[operand] for operand in node.operands]
                if node.table is None:
                    values[node.id] = OPS[node.op].kernel(node, operands)
                    continue
                address = pack_address(operands, node.table.in_widths)
                seen = self.seen[node.id]
                new |= ~seen[address]
                seen[address] = True
                values[node.id] = node.table.codes[address].astype(np.int64)
            news[start : start + _CHUNK] = new
        return news

    def explore(self, n_rounds: int, seed: int) -> None:
        """Marks what seeded stimuli reach. Three rounds of four change an input or two of those that reached new addresses."""
        rng = np.random.default_rng(seed)
        widths = self.net.input_widths
        parents = stimuli(widths, 0, rng)
        idle = 0
        for turn in range(n_rounds):
            codes = stimuli(widths, _CHUNK, rng)
            if turn % 4 and parents.shape[1]:
                chosen = parents[:, rng.integers(0, parents.shape[1], _CHUNK)]
                codes = np.where(rng.random(codes.shape) < 1.5 / len(widths), codes, chosen)
            news = self.mark(codes)
            idle = 0 if news.any() else idle + 1
            if idle == _IDLE_ROUNDS:
                return
            parents = np.concatenate([codes[:, news], parents], axis=1)[:, :_CHUNK]

    # -- from above --------------------------------------------------------------------------------------------------

    def enumerate(self, node: Node, most_bits: int) -> bool:
        """Tries every input of the node's operands' cone where that has at most ``most_bits`` bits; says whether it did."""
        cone = cone_of(self.net, node.operands)
        ports = [row for row in cone if self.net.node(row).op is OpCode.INPUT]
        total = sum(self.net.node(row).width for row in ports)
        if total > most_bits or node.table is None:
            return False
        found = np.zeros(node.table.n_entries, dtype=np.bool_)
        for start in range(0, 1 << total, _CHUNK):
            counter = np.arange(start, min(start + _CHUNK, 1 << total), dtype=np.int64)
            values: dict[int, Ints] = {}
            for row in ports:
                width = self.net.node(row).width
                values[row] = counter & ((1 << width) - 1)
                counter = counter >> width
            propagate(self.net, values, cone)
            found[pack_address([values[row] for row in node.operands], node.table.in_widths)] = True
        self.seen[node.id] = found.copy()
        self.possible[node.id] = found
        return True

    def bound(self, node: Node, most_bits: int) -> None:
        """Excludes addresses that the node's operands, seen as tables of their own operands, cannot make together."""
        sources = [bit for row in node.operands for bit in self.bits[row]]
        rows = sorted({bit.row for bit in sources if bit.row >= 0})
        widths = [self.net.node(row).width for row in rows]
        if sum(widths) > _MAX_PRODUCT_BITS or not rows:
            return
        parts = [_Part.of(self, row, most_bits) for row in rows]
        cases = _shared_patterns(self.net, parts, most_bits)
        joint = _product(cases.patterns, widths)
        combinations = np.flatnonzero(joint)
        address = np.zeros_like(combinations)
        for place, bit in enumerate(sources):
            if bit.row < 0:
                address |= np.int64(bit.place) << place
            else:
                low = sum(widths[: rows.index(bit.row)]) + bit.place
                address |= ((combinations >> low) & 1) << place
        reached = np.zeros_like(self.possible[node.id])
        reached[address] = True
        self.possible[node.id] &= reached
        inputs = all(self.net.node(leaf).op is OpCode.INPUT for part in parts for leaf in part.leaves)
        if inputs and cases.complete:
            self.seen[node.id] = self.possible[node.id].copy()

    def codes_of(self, row: int) -> Bools:
        """Which codes of a node are possible, bool, shape ``(2**width,)``."""
        node = self.net.node(row)
        if node.table is None:
            return np.ones(1 << node.width, dtype=np.bool_)
        found = np.zeros(1 << node.width, dtype=np.bool_)
        found[node.table.codes[self.possible[row]]] = True
        return found


class _Part:
    """One operand as a function of a few nodes (leaves).

    Attributes:
        leaves: Rows of the leaves; the first is the least significant part of the index.
        widths: Their bits.
        codes: Code of the operand for every index.
        allowed: Which indices are possible.
        n_codes: Two to the width of the operand.
    """

    def __init__(self, leaves: list[int], widths: list[int], codes: Ints, allowed: Bools, n_codes: int) -> None:
        self.leaves, self.widths, self.codes, self.allowed, self.n_codes = leaves, widths, codes, allowed, n_codes

    @classmethod
    def of(cls, reach: Reach, row: int, most_bits: int) -> _Part:
        node = reach.net.node(row)
        alone = cls(
            [row], [node.width], np.arange(1 << node.width, dtype=np.int64), reach.codes_of(row), 1 << node.width
        )
        if node.table is None:
            return alone
        sources = [bit for operand in node.operands for bit in reach.bits[operand]]
        leaves = sorted({bit.row for bit in sources if bit.row >= 0})
        widths = [reach.net.node(leaf).width for leaf in leaves]
        if sum(widths) > most_bits:
            return alone
        index = np.arange(1 << sum(widths), dtype=np.int64)
        address = np.zeros_like(index)
        allowed = np.ones(len(index), dtype=np.bool_)
        low = 0
        for leaf, width in zip(leaves, widths, strict=True):
            code = (index >> low) & ((1 << width) - 1)
            allowed &= reach.codes_of(leaf)[code]
            for place, bit in enumerate(sources):
                if bit.row == leaf:
                    address |= ((code >> bit.place) & 1) << place
            low += width
        for place, bit in enumerate(sources):
            if bit.row < 0:
                address |= np.int64(bit.place) << place
        allowed &= reach.possible[row][address]
        return cls(leaves, widths, node.table.codes[address].astype(np.int64), allowed, 1 << node.width)

    def patterns(self, shared: Sequence[int]) -> tuple[Bools, Ints]:
        """Possible codes for every combination of the shared leaves: distinct rows, and the row of each combination."""
        index = np.arange(len(self.codes), dtype=np.int64)
        place = np.zeros_like(index)
        low = high = 0
        for leaf, width in zip(self.leaves, self.widths, strict=True):
            if leaf in shared:
                place |= ((index >> low) & ((1 << width) - 1)) << high
                high += width
            low += width
        table = np.zeros((1 << high, self.n_codes), dtype=np.bool_)
        table[place[self.allowed], self.codes[self.allowed]] = True
        rows, which = np.unique(table, axis=0, return_inverse=True)
        return rows, which.reshape(-1).astype(np.int64)


@dataclass(frozen=True)
class _Cases:
    """Possible codes of parts in cases that exclude each other.

    Attributes:
        patterns: For each part bool, shape ``(n_cases, n_codes)``.
        complete: Whether every leaf that parts share is fixed by the case.
    """

    patterns: list[Bools]
    complete: bool


def _shared_patterns(net: Netlist, parts: Sequence[_Part], most_bits: int) -> _Cases:
    """Possible codes of each part, one row a case that fixes the leaves which several parts read.

    Given those leaves the parts share nothing and are independent. Leaves beyond ``most_bits`` count as read by one part only,
    which allows more.
    """
    readers: dict[int, int] = {}
    for part in parts:
        for leaf in part.leaves:
            readers[leaf] = readers.get(leaf, 0) + 1
    shared: list[int] = []
    total = 0
    for leaf in sorted(readers, key=lambda leaf: (-readers[leaf], leaf)):
        width = net.node(leaf).width
        if readers[leaf] > 1 and total + width <= most_bits:
            shared.append(leaf)
            total += width
    case = np.arange(1 << total, dtype=np.int64)
    offset = {leaf: sum(net.node(other).width for other in shared[:i]) for i, leaf in enumerate(shared)}
    rows, key = [], np.zeros_like(case)
    radix = 1
    sizes = []
    for part in parts:
        patterns, which = part.patterns(shared)
        index = np.zeros_like(case)
        high = 0
        for leaf, width in zip(part.leaves, part.widths, strict=True):
            if leaf in offset:
                index |= ((case >> offset[leaf]) & ((1 << width) - 1)) << high
                high += width
        key += which[index] * radix
        radix *= len(patterns)
        rows.append(patterns)
        sizes.append(len(patterns))
    keys = np.unique(key)
    found = []
    for patterns, size in zip(rows, sizes, strict=True):
        found.append(patterns[keys % size])
        keys = keys // size
    return _Cases(found, len(shared) == sum(n > 1 for n in readers.values()))


def _product(patterns: Sequence[Bools], widths: Sequence[int]) -> Bools:
    """Which combinations of codes some case allows, bool, shape ``(2**sum(widths),)``, part 0 least significant."""
    n_cases = len(patterns[0])
    found = np.zeros(1 << sum(widths), dtype=np.bool_)
    step = max(1, (1 << 22) // len(found))
    for start in range(0, n_cases, step):
        joint = patterns[0][start : start + step]
        for part in patterns[1:]:
            joint = (part[start : start + step, :, None] & joint[:, None, :]).reshape(len(joint), -1)
        found |= joint.any(axis=0)
    return found
