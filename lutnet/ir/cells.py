"""One-bit functions of a netlist, and which of them synthesis makes one: a function that one other reads joins it where it fits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence

from lutnet.cost.comparisons import ComparisonCell, comparison_cells
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import Node, OpCode

__all__ = ["Cells"]

_MOST_INPUTS = 6
_COST = (0, 0, 2, 3, 5, 5, 5)
"""What the mapping of yosys 0.70 (``synth_xilinx``) counts for a function by its inputs."""

Key = Hashable
Name = tuple[str, int, int]


class Cells:
    """Functions of at most six inputs, added in row order.

    A function is named by the node and place of its bit, or by what it compares; an input is such a name too, or a bit of another
    node. Copies are the bits that they copy, and constants are no inputs.
    """

    def __init__(self, net: Netlist) -> None:
        self.net = net
        self._bits: list[Sequence[Key | None]] = []
        self._inputs: dict[Key, set[Key]] = {}
        self._stage: dict[Key, int] = {}
        self._same: dict[Key, Key | None] = {}
        self._pinned: set[Key] = set()
        self._constants: dict[tuple[int, int], set[int]] = {}
        for node in net.nodes():
            self._bits.append(self._wired(node))
            if node.op is OpCode.THRESHOLD:
                self._constants.setdefault((node.operands[0], node.stage), set()).add(_unsigned(node))

    def _wired(self, node: Node) -> Sequence[Key | None]:
        if node.op is OpCode.CONST:
            return [None] * node.width
        if node.op is OpCode.SLICE:
            return self._bits[node.operands[0]][node.imm : node.imm + node.width]
        if node.op is OpCode.CONCAT:
            return [bit for row in node.operands for bit in self._bits[row]]
        return [(node.id, place) for place in range(node.width)]

    def add_bit(self, node: Node, out_bits: Sequence[int], places: Sequence[int]) -> None:
        """Output bits of a table that are equal or complements, as one function of some of its address bits."""
        address = [bit for row in node.operands for bit in self._bits[row]]
        name = (node.id, out_bits[0])
        self._add(name, [address[place] for place in places], node.stage)
        self._same.update({(node.id, place): self._same.get(name, name) for place in out_bits[1:]})

    def add_threshold(self, node: Node) -> None:
        """A comparison, with all comparisons of the same code in the same stage."""
        group = (node.operands[0], node.stage)
        bits, width = self._bits[node.operands[0]], node.operand_widths[0]
        found = {cell.name: cell for cell in comparison_cells(width, tuple(sorted(self._constants[group])))}
        constant = _unsigned(node)
        if not 0 < constant < 1 << width:
            self._same[node.id, 0] = None
            return
        result = ("at least", width, constant)
        made = (group, result)
        self._compare(group, result, found, node.stage)
        self._same[node.id, 0] = self._same.get(made, made) if result in found else self._of(bits[width - 1])

    def _compare(self, group: tuple[int, int], name: Name, cells: Mapping[Name, ComparisonCell], stage: int) -> None:
        """A cell and those that it reads."""
        if name not in cells or (group, name) in self._inputs or (group, name) in self._same:
            return
        parts = cells[name].inputs
        for part in parts:
            if isinstance(part, tuple):
                self._compare(group, part, cells, stage)
        bits = self._bits[group[0]]
        self._add((group, name), [(group, part) if isinstance(part, tuple) else bits[part] for part in parts], stage)

    def pin(self, rows: Iterable[int]) -> None:
        """Nodes of which every bit is read by something that no function joins."""
        for row in rows:
            self._pinned |= {self._of(bit) for bit in self._bits[row]}

    def _of(self, bit: Key | None) -> Key | None:
        return self._same.get(bit, bit)

    def _add(self, name: Key, bits: Sequence[Key | None], stage: int) -> None:
        inputs = {self._of(bit) for bit in bits} - {None}
        if len(inputs) <= 1:
            self._same[name] = next(iter(inputs), None)
        elif len(inputs) <= _MOST_INPUTS:
            self._inputs[name] = inputs
            self._stage[name] = stage
            self._pinned |= {other for other in inputs if self._stage.get(other, stage) != stage}
        else:
            self._pinned |= inputs

    def joined(self) -> Counter[int]:
        """Functions by their inputs after every function of one reader has joined it that fits and costs no more."""
        inputs = {name: set(read) for name, read in self._inputs.items()}
        users: dict[Key, set[Key]] = {}
        for name, read in inputs.items():
            for other in read:
                users.setdefault(other, set()).add(name)
        waiting = list(inputs)
        while waiting:
            moved = []
            for name in waiting:
                if name not in inputs:
                    continue
                reader = self._only_reader(name, users)
                if reader is None or not _fit(inputs[name], inputs[reader], name):
                    continue
                inputs[reader] = (inputs[reader] - {name}) | inputs[name]
                for other in inputs.pop(name):
                    users[other] = (users[other] - {name}) | {reader}
                moved.append(reader)
            waiting = [
                name for reader in moved if reader in inputs for name in (reader, *inputs[reader]) if name in inputs
            ]
        return Counter(len(read) for read in inputs.values())

    def _only_reader(self, name: Key, users: Mapping[Key, set[Key]]) -> Key | None:
        found = users.get(name, set())
        return next(iter(found)) if len(found) == 1 and name not in self._pinned else None


def _fit(inner: set[Key], outer: set[Key], name: Key) -> bool:
    """Whether two functions become one of six inputs; functions of six are primitives that nothing joins."""
    both = len((outer - {name}) | inner)
    if max(len(inner), len(outer), both - 1) >= _MOST_INPUTS:
        return False
    return _COST[both] <= _COST[len(inner)] + _COST[len(outer)]


def _unsigned(node: Node) -> int:
    """The constant of a comparison as a code with the sign turned over, which orders values as plain numbers."""
    return node.imm + ((1 << (node.operand_widths[0] - 1)) if node.operand_signed[0] else 0)
