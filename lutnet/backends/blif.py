"""BLIF: the combinational function of a netlist, for ABC, yosys and every other logic synthesiser.

BLIF is the Berkeley Logic Interchange Format (University of California, Berkeley, 1992).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from lutnet.backends.base import Backend
from lutnet.backends.gates import ONE, ZERO, Gate, Gates
from lutnet.backends.names import checked_identifier, comment_text
from lutnet.errors import UserError
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import Node, OpCode
from lutnet.tables import TruthTable

__all__ = ["Blif", "TablePorts", "cut_blif"]

_PER_LINE = 8


@dataclass(frozen=True)
class Blif(Backend):
    """Emits one flat, combinational model ``<top>.blif``.

    Ports are single bits: ``in_data[i]`` and ``out_data[i]`` are the bits of the packed vectors, so input 0 starts at
    ``in_data[0]``. Gates of node ``%i`` are named ``n<i>_<k>``. Pipeline stages are ignored: there is no latch, and the outputs are
    those of the pipelined design after its latency. Tables of at most ``cover_bits`` address bits are one ``.names`` an output
    bit, an irredundant cover of the on-set or the off-set, whichever has fewer cubes; larger ones are multiplexers that share
    equal cofactors. Sums are ripple-carry adders. Don't-care entries keep the code that the table stores.

    Attributes:
        top: Name of the model.
        cover_bits: Most address bits of a table that is written as one cover an output bit, 0 to 10.
    """

    name: ClassVar[str] = "blif"
    ops: ClassVar[frozenset[OpCode]] = frozenset(OpCode)
    top: str = "lutnet_top"
    cover_bits: int = 6

    def __post_init__(self) -> None:
        checked_identifier(self.top, "the name of the model")
        if not 0 <= self.cover_bits <= 10:
            raise UserError(f"blif.cover_bits is a number of address bits from 0 to 10, got {self.cover_bits}")

    def emit(self, net: Netlist) -> dict[PurePosixPath, str]:
        """``<top>.blif``."""
        self.check_ops(net)
        inputs = [f"in_data[{i}]" for i in range(sum(net.input_widths))]
        outputs = [f"out_data[{i}]" for i in range(sum(net.output_widths))]
        text = _Model(net, self.cover_bits, inputs, MappingProxyType({})).text(self.top, outputs)
        return {PurePosixPath(f"{self.top}.blif"): text}


@dataclass(frozen=True)
class TablePorts:
    """Names of the ports that stand for a table that is cut out.

    Attributes:
        address: One output a bit of the table's address, bit 0 first.
        result: One input a bit of the table's result, bit 0 first.
    """

    address: tuple[str, ...]
    result: tuple[str, ...]


def cut_blif(
    net: Netlist, tables: Mapping[int, TablePorts], *, top: str, inputs: Sequence[str], outputs: Sequence[str]
) -> str:
    """A netlist without some of its tables, as BLIF: their results come in as ports, their addresses go out.

    Args:
        net: The netlist.
        tables: Ports by node id of a ``lut``; the other tables stay.
        top: Name of the model.
        inputs: One name a bit of the packed input.
        outputs: One name a bit of the packed output.
    """
    model = _Model(net, 0, inputs, tables)
    names = [*outputs, *(name for row in sorted(tables) for name in tables[row].address)]
    return model.text(top, names)


class _Model:
    """The gates of one netlist and the names of their signals."""

    def __init__(self, net: Netlist, cover_bits: int, inputs: Sequence[str], cut: Mapping[int, TablePorts]) -> None:
        self.net = net
        self.cover_bits = cover_bits
        self.inputs = list(inputs)
        self.cut = cut
        self.gates = Gates()
        self.words: list[list[int]] = []
        self.names: dict[int, str] = {}
        for node in net.nodes():
            self.gates.owner = node.id
            self.words.append(self._word(node))
        self._name_gates()

    # -- ops ---------------------------------------------------------------------------------------------------------

    def _word(self, node: Node) -> list[int]:
        """The bits of a node."""
        operands = [self.words[row] for row in node.operands]
        if node.op is OpCode.INPUT:
            return self._input(node)
        if node.op is OpCode.CONST:
            return _bits(node.imm, node.width)
        if node.op is OpCode.LUT:
            if node.id in self.cut:
                return self._ports(self.cut[node.id].result)
            return self._lut(node, [bit for word in operands for bit in word])
        if node.op is OpCode.SUM:
            return self._sum(node, operands)
        if node.op is OpCode.THRESHOLD:
            return [self._at_least(operands[0], node.operand_signed[0], node.imm)]
        if node.op is OpCode.ARGMAX:
            return self._argmax(node, operands)
        if node.op is OpCode.SLICE:
            return operands[0][node.imm : node.imm + node.width]
        return [bit for word in operands for bit in word]

    def _input(self, node: Node) -> list[int]:
        port = self.net.inputs.tolist().index(node.id)
        low = sum(self.net.input_widths[:port])
        return self._ports(self.inputs[low : low + node.width])

    def _ports(self, names: Sequence[str]) -> list[int]:
        word = [self.gates.new_signal() for _ in names]
        self.names.update(zip(word, names, strict=True))
        return word

    def _lut(self, node: Node, address: list[int]) -> list[int]:
        table = node.table
        if table is None:
            raise AssertionError("a lut node carries a table in every verified netlist")
        if len(address) > self.cover_bits or len({*address, ZERO, ONE}) < len(address) + 2:
            return self.gates.table(address, table.codes, table.out_width)
        return [self._covered(address, table, bit) for bit in range(table.out_width)]

    def _covered(self, address: list[int], table: TruthTable, bit: int) -> int:
        column = int.from_bytes(
            np.packbits(((table.codes >> bit) & 1).astype(np.uint8), bitorder="little").tobytes(), "little"
        )
        full = (1 << table.n_entries) - 1
        if column in (0, full):
            return ONE if column else ZERO
        on, off = (_isop(f, f, len(address)) for f in (column, full ^ column))
        pins = tuple(address)
        return self.gates.gate(pins, on) if len(on) <= len(off) else self.gates.not_(self.gates.gate(pins, off))

    def _sum(self, node: Node, operands: list[list[int]]) -> list[int]:
        """Terms are added one after the other to the bias; a subtracted one is complemented and carries one in."""
        total = _bits(node.imm, node.width)
        for word, coef, signed in zip(operands, node.coefs, node.operand_signed, strict=True):
            term = [ZERO] * (abs(coef).bit_length() - 1) + word
            term = _extended(term, signed, node.width)[: node.width]
            if coef < 0:
                total = self.gates.add(total, [self.gates.not_(bit) for bit in term], ONE)
            else:
                total = self.gates.add(total, term)
        return total

    def _at_least(self, word: list[int], signed: bool, constant: int) -> int:
        """``value >= constant``, decided bit by bit from the lowest one up; a sign bit counts the other way round."""
        result = ONE
        for place, (bit, limit) in enumerate(zip(word, _bits(constant, len(word)), strict=True)):
            if signed and place == len(word) - 1:
                bit, limit = self.gates.not_(bit), ONE - limit
            result = self.gates.and_(bit, result) if limit == ONE else self.gates.or_(bit, result)
        return result

    def _less(self, a: list[int], b: list[int]) -> int:
        """``a < b`` for signed words of one width: the sign of their exact difference."""
        wide_a, wide_b = (_extended(word, True, len(word) + 1) for word in (a, b))
        return self.gates.add(wide_a, [self.gates.not_(bit) for bit in wide_b], ONE)[-1]

    def _argmax(self, node: Node, operands: list[list[int]]) -> list[int]:
        """Rounds of a tournament between neighbours; the later one wins only when it is larger."""
        width = max(node.operand_widths) + 1
        players = [
            (_extended(word, signed, width), _bits(place, node.width))
            for place, (word, signed) in enumerate(zip(operands, node.operand_signed, strict=True))
        ]
        while len(players) > 1:
            winners = []
            for (value_a, index_a), (value_b, index_b) in zip(players[::2], players[1::2], strict=False):
                later = self._less(value_a, value_b)
                winners.append(
                    (self.gates.mux_word(later, value_a, value_b), self.gates.mux_word(later, index_a, index_b))
                )
            players = winners + players[len(players) & ~1 :]
        return players[0][1]

    # -- text --------------------------------------------------------------------------------------------------------

    def _name_gates(self) -> None:
        counts: dict[int, int] = {}
        for gate in self.gates.gates:
            place = counts.get(gate.owner, 0)
            counts[gate.owner] = place + 1
            self.names[gate.out] = f"n{gate.owner}_{place}"

    def text(self, top: str, outputs: Sequence[str]) -> str:
        """The whole file; gates that no output needs are left out."""
        cut = sorted(self.cut)
        drivers = [bit for row in self.net.outputs.tolist() for bit in self.words[row]]
        drivers += [bit for row in cut for operand in self.net.operands(row) for bit in self.words[operand]]
        inputs = [*self.inputs, *(name for row in cut for name in self.cut[row].result)]
        lines = [f"# {self.net.n_nodes} nodes; combinational, registers left out", f".model {top}"]
        lines += [_wrapped(".inputs", inputs), _wrapped(".outputs", list(outputs))]
        owner = -1
        for gate in self._needed(drivers):
            if gate.owner != owner:
                owner = gate.owner
                lines.append(f"# %{owner} {comment_text(self.net.node(owner).op.name.lower())}")
            lines.append(_wrapped(".names", [self.names[pin] for pin in gate.pins] + [self.names[gate.out]]))
            lines += [f"{cube} 1" for cube in gate.cubes]
        for name, driver in zip(outputs, drivers, strict=True):
            if driver in (ZERO, ONE):
                lines += [f".names {name}"] + ["1"] * (driver == ONE)
            else:
                lines += [f".names {self.names[driver]} {name}", "1 1"]
        return "\n".join([*lines, ".end", ""])

    def _needed(self, drivers: list[int]) -> list[Gate]:
        needed = set(drivers)
        kept = []
        for gate in reversed(self.gates.gates):
            if gate.out in needed:
                needed.update(gate.pins)
                kept.append(gate)
        return kept[::-1]


def _bits(value: int, width: int) -> list[int]:
    """Constant signals of the low bits of an integer."""
    return [ONE if (value >> bit) & 1 else ZERO for bit in range(width)]


def _extended(word: list[int], signed: bool, width: int) -> list[int]:
    return word + [word[-1] if signed else ZERO] * (width - len(word))


def _wrapped(keyword: str, names: list[str]) -> str:
    """One BLIF line, continued after every few names."""
    rows = [" ".join(names[i : i + _PER_LINE]) for i in range(0, len(names), _PER_LINE)]
    return f"{keyword} " + " \\\n  ".join(rows)


def _isop(on: int, upper: int, n: int) -> tuple[str, ...]:
    """An irredundant sum of products between two functions of ``n`` variables.

    S. Minato, "Fast generation of irredundant sum-of-products forms from binary decision diagrams", SASIMI 1992, on
    truth tables held as integers, address 0 in bit 0.

    Args:
        on: Addresses that must be covered.
        upper: Addresses that may be covered; a superset of ``on``.
        n: Number of variables.

    Returns:
        Cubes with the character of variable 0 first.
    """
    return tuple(cube for cube, _ in _isop_cubes(on, upper, n))


def _isop_cubes(on: int, upper: int, n: int) -> list[tuple[str, int]]:
    """Cubes and the addresses that each one covers."""
    size = 1 << n
    if on == 0:
        return []
    if upper == (1 << size) - 1:
        return [("-" * n, upper)]
    half = size >> 1
    mask = (1 << half) - 1
    on0, on1, upper0, upper1 = on & mask, on >> half, upper & mask, upper >> half
    low = _isop_cubes(on0 & ~upper1, upper0, n - 1)
    high = _isop_cubes(on1 & ~upper0, upper1, n - 1)
    rest0, rest1 = on0 & ~_union(low), on1 & ~_union(high)
    both = _isop_cubes(rest0 | rest1, upper0 & upper1, n - 1)
    return (
        [(cube + "0", covered) for cube, covered in low]
        + [(cube + "1", covered << half) for cube, covered in high]
        + [(cube + "-", covered | covered << half) for cube, covered in both]
    )


def _union(cubes: list[tuple[str, int]]) -> int:
    total = 0
    for _, covered in cubes:
        total |= covered
    return total
