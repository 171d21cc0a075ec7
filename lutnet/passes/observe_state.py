"""A netlist as functions of single bits, with samples and a solver at hand, and the next netlist after some functions change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import OPS, Node, OpCode
from lutnet.passes.bits import ONE, ZERO, Bit, wire
from lutnet.passes.compose import BitTable, bit_table, build_bit_table, source_bits
from lutnet.passes.observe_choice import Seen
from lutnet.passes.observe_sat import Answer, Questions
from lutnet.passes.observe_window import Sight, Window, direct_readers, window_of
from lutnet.passes.rebuild import copy_node, start
from lutnet.tables import TruthTable

__all__ = ["Limits", "Rewritten", "State", "read_as_values", "replaced", "substituted"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_MUTANTS = 63


@dataclass(frozen=True)
class Limits:
    """What functions are looked at, and how far: most inputs, window levels (0 for all), conflicts a question, bits to choose from."""

    inputs: int
    levels: int
    conflicts: int
    candidates: int


class State:
    """One netlist.

    Attributes:
        net: The netlist.
        limits: What is looked at.
        functions: Every live output bit of the tables that may change, over the bits that it depends on.
        users: Which of those functions read a bit.
        pinned: Bits that something else reads, or an output.
        samples: Input codes, int64, shape ``(n_inputs, n)``; ``learned`` are those that the solver found, with their neighbours.
        work: Codes worked out on samples.
    """

    def __init__(self, net: Netlist, limits: Limits, samples: Ints, learned: Ints) -> None:
        self.net = net
        self.limits = limits
        self.samples = samples
        self.learned = learned
        self.readers = direct_readers(net)
        self.functions: dict[Bit, BitTable] = {}
        self.users: dict[Bit, list[Bit]] = {}
        self.pinned: set[Bit] = {bit for row in net.outputs.tolist() for bit in source_bits(net.node, row)}
        self._find_functions()
        self._windows: dict[int, Window] = {}
        self._sight = Sight(net, samples)
        self._learned_sight = Sight(net, learned)
        self._questions: Questions | None = None

    def _find_functions(self) -> None:
        value = read_as_values(self.net)
        live = set(self.pinned)
        for node in sorted(self.net.nodes(), key=lambda node: -node.id):
            if OPS[node.op].free:
                continue
            places = [place for place in range(node.width) if Bit(node.id, place) in live]
            tables = {place: _column(self.net, node, place, self.limits.inputs) for place in places}
            if node.id in value or any(table is None for table in tables.values()):
                read = {bit for row in node.operands for bit in source_bits(self.net.node, row)} if places else set()
                self.pinned |= read
                live |= read
                continue
            for place, table in tables.items():
                if table is not None:
                    self.functions[Bit(node.id, place)] = table
                    live |= set(table.bits)
                    for bit in table.bits:
                        self.users.setdefault(bit, []).append(Bit(node.id, place))
        self.live = live

    def close(self) -> None:
        """Frees the solver."""
        if self._questions is not None:
            self._questions.close()
            self._questions = None

    @property
    def work(self) -> int:
        """Codes worked out on samples."""
        return self._sight.work + self._learned_sight.work

    @cached_property
    def sources(self) -> list[Bit]:
        """Live bits that a function may read instead, by row."""
        return sorted(bit for bit in self.live if bit.row >= 0)

    def window(self, row: int) -> Window:
        """The window of a node."""
        if row not in self._windows:
            self._windows[row] = window_of(self.net, self.readers, row, self.limits.levels)
        return self._windows[row]

    def seen(self, bit: Bit) -> Seen:
        """The samples on which a function's value shows."""
        window = self.window(bit.row)
        sights = (self._sight, self._learned_sight)
        places = [np.flatnonzero(sight.observable(bit, window)) for sight in sights]
        found: dict[Bit, Bools] = {}

        def signal(source: Bit) -> Bools:
            if source not in found:
                found[source] = np.concatenate([s.signal(source)[at] for s, at in zip(sights, places, strict=True)])
            return found[source]

        return Seen(signal(bit), signal)

    def candidates(self, bit: Bit, gone: Bit, *, same_level: bool = False) -> list[Bit]:
        """Bits that a function may read in place of one, no later and no deeper than what it reads now; likely ones first."""
        levels, stages = self.net.levels, self.net.stage
        top = int(levels[bit.row]) + same_level
        near = self._sources_of(gone.row)
        old = set(self.functions[bit].bits)
        fit = [
            source
            for source in self.sources
            if levels[source.row] < top
            and stages[source.row] <= stages[bit.row]
            and source not in old
            and source != bit
        ]
        fit.sort(key=lambda s: (-len(near & self._sources_of(s.row)), -levels[s.row], s))
        return fit[: self.limits.candidates]

    def _sources_of(self, row: int) -> frozenset[int]:
        operands = self.net.operands(row)
        return frozenset({bit.row for j in operands for bit in source_bits(self.net.node, j)} | {row})

    def ask(self, bit: Bit, function: BitTable) -> Answer:
        """Whether a function may become another one; an input on which it may not is learned, with its neighbours."""
        if self._questions is None:
            self._questions = Questions(self.net, self.limits.conflicts)
        answer = self._questions.ask(bit, function, self.window(bit.row))
        if answer.inputs is not None:
            self._learn(answer.inputs)
        return answer

    def _learn(self, inputs: Ints) -> None:
        rng = np.random.default_rng(self.learned.shape[1])
        codes = np.repeat(inputs[:, None], 1 + _MUTANTS, axis=1)
        widths = np.asarray(self.net.input_widths)[:, None]
        chosen = rng.random(codes.shape) < 1.5 / len(codes)
        chosen[:, 0] = False
        codes ^= np.where(chosen, rng.integers(0, 1 << 62, codes.shape) & ((np.int64(1) << widths) - 1), 0)
        self.learned = np.concatenate([self.learned, codes], axis=1)
        more = Sight(self.net, self.learned)
        more.work += self._learned_sight.work
        self._learned_sight = more


def _column(net: Netlist, node: Node, place: int, most: int) -> BitTable | None:
    """One bit of a table over what it depends on; ``None`` where the node is no table or the bit depends on more than ``most``."""
    if node.table is None:
        return None
    table = bit_table(net.node, node.table, node.operands).column(place)
    return BitTable(table.bits, table.codes, 1) if len(table.bits) <= most else None


def read_as_values(net: Netlist) -> set[int]:
    """Nodes on whose range of values a sum relies, directly or through a comparison; they keep their codes."""
    return {row for node in net.nodes() if node.op in (OpCode.SUM, OpCode.THRESHOLD) for row in node.operands}


@dataclass(frozen=True, eq=False)
class Rewritten:
    """A netlist with some functions replaced.

    Attributes:
        net: The netlist; its tables have no care sets, because what they say holds for the netlist before.
        rows: Row of every node of the netlist before.
    """

    net: Netlist
    rows: Sequence[int]

    def bit(self, old: Bit) -> Bit:
        """Where a bit is now."""
        return source_bits(self.net.node, self.rows[old.row])[old.place]


def replaced(net: Netlist, functions: Mapping[Bit, BitTable]) -> Rewritten:
    """The netlist with other functions for some bits of its tables. A node keeps one table where its address does not grow."""
    builder, rows = start(net)
    by_row: dict[int, dict[int, BitTable]] = {}
    for bit, function in functions.items():
        by_row.setdefault(bit.row, {})[bit.place] = function
    columns = {row: _columns(net, net.node(row), changed) for row, changed in by_row.items()}
    for row in _order(net, columns):
        node = net.node(row)
        if node.op is OpCode.INPUT:
            continue
        builder.stage = node.stage
        if row in columns:
            rows[row] = _build(builder, node, [_moved(builder, column, rows) for column in columns[row]])
            continue
        operands = tuple(rows[j] for j in node.operands)
        if node.table is not None:
            table = TruthTable(node.table.in_widths, node.width, node.table.codes)
            rows[row] = builder.lut(table, operands, signed=node.signed)
        else:
            rows[row] = copy_node(builder, node, operands)
    for row, name in zip(net.outputs.tolist(), net.output_names, strict=True):
        builder.output(rows[row], name)
    return Rewritten(builder.build(latency_cycles=net.latency_cycles), rows)


def _columns(net: Netlist, node: Node, changed: Mapping[int, BitTable]) -> list[BitTable]:
    """The functions of a table's output bits, some of them changed."""
    if node.table is None:
        raise AssertionError("only tables are looked at")
    old = bit_table(net.node, node.table, node.operands)
    return [changed[place] if place in changed else old.column(place) for place in range(node.width)]


def _order(net: Netlist, columns: Mapping[int, Sequence[BitTable]]) -> list[int]:
    """All rows, each after those that it reads now: a function may read a bit of a higher row."""
    found: list[int] = []
    state = bytearray(net.n_nodes)  # 1: waits for what it reads, 2: placed
    for first in range(net.n_nodes):
        stack = [first]
        while stack:
            row = stack[-1]
            if state[row]:
                stack.pop()
                if state[row] == 1:
                    state[row] = 2
                    found.append(row)
                continue
            state[row] = 1
            read = {bit.row for column in columns[row] for bit in column.bits} if row in columns else net.operands(row)
            stack += [below for below in sorted(read, reverse=True) if not state[below]]
    return found


def substituted(outer: BitTable, bit: Bit, inner: BitTable) -> BitTable:
    """A function with one of its bits replaced by a function of one output bit."""
    bits = sorted({other for other in outer.bits if other != bit} | set(inner.bits))
    value = _over(bits, inner).codes
    index = np.arange(1 << len(bits), dtype=np.int64)
    address = np.zeros_like(index)
    for place, other in enumerate(outer.bits):
        address |= (value if other == bit else (index >> bits.index(other)) & 1) << place
    return BitTable(tuple(bits), outer.codes[address], outer.width).without_idle()


def _build(builder: NetlistBuilder, node: Node, columns: Sequence[BitTable]) -> int:
    """A node for functions of one output bit each; a copy is a wire, so that it adds no logic level."""
    bits = sorted({bit for column in columns for bit in column.bits})
    n_bits = sum(node.operand_widths)
    if len(bits) <= n_bits and not any(column.codes.tolist() == [0, 1] for column in columns):
        codes = sum(_over(bits, column).codes << place for place, column in enumerate(columns))
        whole = BitTable(tuple(bits), np.asarray(codes, dtype=np.int64), node.width)
        return build_bit_table(builder, whole, signed=node.signed)
    return wire(builder, [_one_bit(builder, column) for column in columns], signed=node.signed)


def _one_bit(builder: NetlistBuilder, column: BitTable) -> Bit:
    """A function of one output bit; a constant or a copy is no node."""
    if not column.bits:
        return ONE if column.codes[0] else ZERO
    if column.codes.tolist() == [0, 1]:
        return column.bits[0]
    return Bit(build_bit_table(builder, column), 0)


def _moved(builder: NetlistBuilder, column: BitTable, rows: Sequence[int]) -> BitTable:
    """A function over the bits of the new netlist, constants taken out."""
    address = [source_bits(builder.node, rows[bit.row])[bit.place] for bit in column.bits]
    bits = sorted({bit for bit in address if bit.row >= 0})
    return _over(bits, BitTable(tuple(address), column.codes, 1)).without_idle()


def _over(bits: Sequence[Bit], table: BitTable) -> BitTable:
    """The same function over other bits, which hold all of its own but constants."""
    index = np.arange(1 << len(bits), dtype=np.int64)
    address = np.zeros_like(index)
    for place, bit in enumerate(table.bits):
        address |= (((index >> bits.index(bit)) & 1) if bit.row >= 0 else np.int64(bit.place)) << place
    return BitTable(tuple(bits), table.codes[address], table.width)
