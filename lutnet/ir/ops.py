"""All that is known about an operation, one row each.

A row says how many operands an op takes, which width it must have, which values it can reach, what it computes, and how
many lookup tables it costs. Every analysis of a netlist reads these rows; no other place lists the ops.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from lutnet.cost.device import Device
from lutnet.cost.luts import adder_luts, argmax_luts, table_luts, threshold_luts
from lutnet.tables import TruthTable

__all__ = [
    "MAX_WIDTH",
    "OPS",
    "Interval",
    "Node",
    "Op",
    "OpCode",
    "bits_for",
    "code_range",
    "is_signed_power",
    "to_value",
]

MAX_WIDTH = 62
"""Widest code of a node: codes and values stay exact in int64."""

Codes = npt.NDArray[np.int64]


class OpCode(IntEnum):
    """Number of an op in the ``op`` column. The numbers are part of the stored format."""

    INPUT = 0
    CONST = 1
    LUT = 2
    SUM = 3
    THRESHOLD = 4
    ARGMAX = 5
    SLICE = 6
    CONCAT = 7


@dataclass(frozen=True)
class Interval:
    """All integers from ``lo`` to ``hi``, both included."""

    lo: int
    hi: int

    def within(self, other: Interval) -> bool:
        """Whether every integer of this interval lies in the other."""
        return other.lo <= self.lo and self.hi <= other.hi


@dataclass(frozen=True)
class Node:
    """One row of a netlist with its operands, for reading.

    Attributes:
        id: Row number.
        op: The operation.
        width: Bits of the code.
        signed: Whether the code is two's complement where it is read as a value.
        imm: Code of a ``const``, bias of a ``sum``, constant of a ``threshold``, lowest bit of a ``slice``; otherwise 0.
        operands: Row numbers, all lower than ``id``.
        coefs: One factor an operand for ``sum`` (plus or minus a power of two); otherwise zeros.
        operand_widths: Bits of each operand.
        operand_signed: Signedness of each operand.
        table: The table of a ``lut``; otherwise ``None``.
        stage: Clock cycle in which the node computes.
    """

    id: int
    op: OpCode
    width: int
    signed: bool
    imm: int
    operands: tuple[int, ...]
    coefs: tuple[int, ...]
    operand_widths: tuple[int, ...]
    operand_signed: tuple[bool, ...]
    table: TruthTable | None
    stage: int


@dataclass(frozen=True)
class Op:
    """What is known about one operation.

    Attributes:
        name: Name in the text form.
        min_operands: Fewest operands.
        max_operands: Most operands, ``None`` for no bound.
        free: Whether it is wiring only: no hardware and no logic level.
        signed_ok: Whether the node may be signed.
        width: The width that the node must have, ``None`` where the op leaves it open.
        range: Values that the node can reach, from the values that its operands can reach.
        kernel: Codes of the node from the codes of its operands, all int64 of one shape.
        luts: Closed-form number of LUTs on a device, no sharing between nodes.
    """

    name: str
    min_operands: int
    max_operands: int | None
    free: bool
    signed_ok: bool
    width: Callable[[Node], int | None]
    range: Callable[[Node, Sequence[Interval]], Interval]
    kernel: Callable[[Node, Sequence[Codes]], Codes]
    luts: Callable[[Node, Device], int]


def code_range(width: int, signed: bool) -> Interval:
    """Values that a code of this width and signedness can stand for."""
    return Interval(-(1 << (width - 1)), (1 << (width - 1)) - 1) if signed else Interval(0, (1 << width) - 1)


def to_value(codes: Codes, width: int, signed: bool) -> Codes:
    """Codes read as integers: two's complement when ``signed``."""
    if not signed:
        return codes
    half = np.int64(1) << (width - 1)
    return np.asarray((codes ^ half) - half)


def bits_for(interval: Interval) -> tuple[int, bool]:
    """Narrowest ``(width, signed)`` whose codes hold every integer of the interval; unsigned unless one is negative."""
    if interval.lo >= 0:
        return max(1, interval.hi.bit_length()), False
    return max((-interval.lo - 1).bit_length(), max(interval.hi, 0).bit_length()) + 1, True


def is_signed_power(factor: int) -> bool:
    """Whether a factor is plus or minus a power of two."""
    magnitude = abs(factor)
    return magnitude > 0 and magnitude & (magnitude - 1) == 0


def _mask(width: int) -> np.int64:
    mask: np.int64 = np.int64((1 << width) - 1)
    return mask


def _need_table(node: Node) -> TruthTable:
    if node.table is None:
        raise AssertionError("a lut node carries a table in every verified netlist")
    return node.table


def _full_range(node: Node, _: Sequence[Interval]) -> Interval:
    return code_range(node.width, node.signed)


def _const_range(node: Node, _: Sequence[Interval]) -> Interval:
    value = int(to_value(np.asarray(node.imm, dtype=np.int64), node.width, node.signed))
    return Interval(value, value)


def _lut_range(node: Node, _: Sequence[Interval]) -> Interval:
    values = to_value(_need_table(node).codes.astype(np.int64), node.width, node.signed)
    return Interval(int(values.min()), int(values.max()))


def _sum_range(node: Node, ranges: Sequence[Interval]) -> Interval:
    lo = hi = node.imm
    for coef, part in zip(node.coefs, ranges, strict=True):
        lo += min(coef * part.lo, coef * part.hi)
        hi += max(coef * part.lo, coef * part.hi)
    return Interval(lo, hi)


def _threshold_range(node: Node, ranges: Sequence[Interval]) -> Interval:
    return Interval(int(ranges[0].lo >= node.imm), int(ranges[0].hi >= node.imm))


def _argmax_range(node: Node, _: Sequence[Interval]) -> Interval:
    return Interval(0, len(node.operands) - 1)


def _input_kernel(node: Node, _: Sequence[Codes]) -> Codes:
    raise AssertionError("the codes of an input come from the caller")


def _const_kernel(node: Node, _: Sequence[Codes]) -> Codes:
    return np.asarray(node.imm, dtype=np.int64)


def _lut_kernel(node: Node, operands: Sequence[Codes]) -> Codes:
    return _need_table(node).lookup(operands)


def _sum_kernel(node: Node, operands: Sequence[Codes]) -> Codes:
    total = np.asarray(node.imm, dtype=np.int64)
    for coef, codes, width, signed in zip(node.coefs, operands, node.operand_widths, node.operand_signed, strict=True):
        total = total + np.int64(coef) * to_value(codes, width, signed)
    return np.asarray(total & _mask(node.width))


def _threshold_kernel(node: Node, operands: Sequence[Codes]) -> Codes:
    value = to_value(operands[0], node.operand_widths[0], node.operand_signed[0])
    return np.asarray(value >= node.imm, dtype=np.int64)


def _argmax_kernel(node: Node, operands: Sequence[Codes]) -> Codes:
    columns = zip(operands, node.operand_widths, node.operand_signed, strict=True)
    values = np.broadcast_arrays(*[to_value(codes, width, signed) for codes, width, signed in columns])
    return np.asarray(np.argmax(np.stack(values), axis=0).astype(np.int64), dtype=np.int64)


def _slice_kernel(node: Node, operands: Sequence[Codes]) -> Codes:
    return np.asarray((operands[0] >> np.int64(node.imm)) & _mask(node.width))


def _concat_kernel(node: Node, operands: Sequence[Codes]) -> Codes:
    total = np.zeros((), dtype=np.int64)
    shift = 0
    for codes, width in zip(operands, node.operand_widths, strict=True):
        total = np.asarray(total | (codes << np.int64(shift)))
        shift += width
    return total


def _no_luts(_: Node, __: Device) -> int:
    return 0


OPS: Mapping[OpCode, Op] = MappingProxyType(
    {
        OpCode.INPUT: Op("input", 0, 0, True, True, lambda node: None, _full_range, _input_kernel, _no_luts),
        OpCode.CONST: Op("const", 0, 0, True, True, lambda node: None, _const_range, _const_kernel, _no_luts),
        OpCode.LUT: Op(
            "lut",
            1,
            None,
            False,
            True,
            lambda node: _need_table(node).out_width,
            _lut_range,
            _lut_kernel,
            lambda node, device: table_luts(_need_table(node).address_bits, node.width, device),
        ),
        OpCode.SUM: Op(
            "sum",
            1,
            None,
            False,
            True,
            lambda node: None,
            _sum_range,
            _sum_kernel,
            lambda node, device: adder_luts(node.width, len(node.operands) + bool(node.imm)),
        ),
        OpCode.THRESHOLD: Op(
            "threshold",
            1,
            1,
            False,
            False,
            lambda node: 1,
            _threshold_range,
            _threshold_kernel,
            lambda node, device: threshold_luts(node.operand_widths[0], device, node.imm),
        ),
        OpCode.ARGMAX: Op(
            "argmax",
            1,
            None,
            False,
            False,
            lambda node: max(1, (len(node.operands) - 1).bit_length()),
            _argmax_range,
            _argmax_kernel,
            lambda node, device: argmax_luts(len(node.operands), max(node.operand_widths), device),
        ),
        OpCode.SLICE: Op("slice", 1, 1, True, True, lambda node: None, _full_range, _slice_kernel, _no_luts),
        OpCode.CONCAT: Op(
            "concat", 1, None, True, True, lambda node: sum(node.operand_widths), _full_range, _concat_kernel, _no_luts
        ),
    }
)
"""The row of every op."""
