"""From a netlist to the network of gates that the C code evaluates."""

from __future__ import annotations

from dataclasses import dataclass

from lutnet.backends.c_logic import FALSE, TRUE, Logic
from lutnet.backends.c_tables import table_word
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import Node, OpCode

__all__ = ["Circuit", "circuit_of"]


@dataclass(frozen=True)
class Circuit:
    """A netlist as gates.

    Attributes:
        logic: The gates.
        outputs: One literal a bit of the packed output.
    """

    logic: Logic
    outputs: tuple[int, ...]


def circuit_of(net: Netlist) -> Circuit:
    """All bits of the packed output as gates over the bits of the packed input. Registers are left out."""
    logic = Logic()
    words: list[list[int]] = []
    first_bit = dict(zip(net.inputs.tolist(), _starts(net.input_widths), strict=True))
    for node in net.nodes():
        operands = [words[row] for row in node.operands]
        if node.op is OpCode.INPUT:
            words.append([logic.input(first_bit[node.id] + bit) for bit in range(node.width)])
        else:
            words.append(_word(logic, node, operands))
    return Circuit(logic, tuple(literal for row in net.outputs.tolist() for literal in words[row]))


def _word(logic: Logic, node: Node, operands: list[list[int]]) -> list[int]:
    if node.op is OpCode.CONST:
        return _constant(node.imm, node.width)
    if node.op is OpCode.LUT:
        if node.table is None:
            raise AssertionError("a lut node carries a table in every verified netlist")
        return table_word(logic, node.table, [literal for word in operands for literal in word])
    if node.op is OpCode.SUM:
        return _sum(logic, node, operands)
    if node.op is OpCode.THRESHOLD:
        return [_at_least(logic, operands[0], node.operand_signed[0], node.imm)]
    if node.op is OpCode.ARGMAX:
        return _argmax(logic, node, operands)
    if node.op is OpCode.SLICE:
        return operands[0][node.imm : node.imm + node.width]
    return [literal for word in operands for literal in word]


def _sum(logic: Logic, node: Node, operands: list[list[int]]) -> list[int]:
    """Every bit has one weight; a bit of negative weight ``-w`` is its complement of weight ``w``, and ``-w`` for the bias."""
    columns: list[list[int]] = [[] for _ in range(node.width)]
    bias = node.imm
    for word, coef, signed in zip(operands, node.coefs, node.operand_signed, strict=True):
        shift = abs(coef).bit_length() - 1
        for place, literal in enumerate(word):
            negative = (coef < 0) != (signed and place == len(word) - 1)
            if negative:
                bias -= 1 << (place + shift)
            if place + shift < node.width:
                columns[place + shift].append(literal ^ 1 if negative else literal)
    for place, literal in enumerate(_constant(bias, node.width)):
        if literal == TRUE:
            columns[place].insert(0, TRUE)
    return logic.weighted_sum(columns)


def _at_least(logic: Logic, word: list[int], signed: bool, constant: int) -> int:
    """``value >= constant``, decided bit by bit from the lowest one up."""
    flip = 1 << (len(word) - 1) if signed else 0
    result = TRUE
    for literal, limit in zip(_ordered(word, signed), _constant(constant ^ flip, len(word)), strict=True):
        result = logic.and_(literal, result) if limit == TRUE else logic.or_(literal, result)
    return result


def _argmax(logic: Logic, node: Node, operands: list[list[int]]) -> list[int]:
    """Rounds of a tournament between neighbours; the later one wins only when it is larger."""
    widths = zip(node.operand_widths, node.operand_signed, strict=True)
    any_signed = any(node.operand_signed)
    width = max(w + (any_signed and not signed) for w, signed in widths)
    players = []
    for place, (word, signed) in enumerate(zip(operands, node.operand_signed, strict=True)):
        wide = word + [word[-1] if signed else FALSE] * (width - len(word))
        players.append((_ordered(wide, any_signed), _constant(place, node.width)))
    while len(players) > 1:
        winners = []
        for (value_a, index_a), (value_b, index_b) in zip(players[::2], players[1::2], strict=False):
            later = logic.less(value_a, value_b)
            winners.append((logic.mux_word(later, value_b, value_a), logic.mux_word(later, index_b, index_a)))
        players = winners + players[len(players) & ~1 :]
    return players[0][1]


def _ordered(word: list[int], signed: bool) -> list[int]:
    """A word whose unsigned order is the order of the values."""
    return [*word[:-1], word[-1] ^ 1] if signed else word


def _constant(value: int, width: int) -> list[int]:
    """Literals of the low bits of an integer."""
    return [TRUE if (value >> bit) & 1 else FALSE for bit in range(width)]


def _starts(widths: tuple[int, ...]) -> list[int]:
    return [sum(widths[:port]) for port in range(len(widths))]
