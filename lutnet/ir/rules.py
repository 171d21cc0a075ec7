"""The grammar of netlists as a table of rules.

Each rule yields the nodes that break it, lowest first; :func:`check_rules` raises for the first one found. Rules run in
order, and a rule may rely on the ones before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from lutnet.errors import NetlistError
from lutnet.ir.ops import MAX_WIDTH, OPS, OpCode, bits_for, code_range, is_signed_power

if TYPE_CHECKING:
    from lutnet.ir.netlist import Netlist

__all__ = ["COLUMN_DTYPES", "RULES", "Breach", "Rule", "check_rules", "node_key"]

COLUMN_DTYPES: Mapping[str, np.dtype[Any]] = MappingProxyType(
    {
        "op": np.dtype(np.uint8),
        "width": np.dtype(np.uint8),
        "signed": np.dtype(np.bool_),
        "imm": np.dtype(np.int64),
        "fanin_ptr": np.dtype(np.int32),
        "fanin": np.dtype(np.int32),
        "coef": np.dtype(np.int64),
        "table_id": np.dtype(np.int32),
        "inputs": np.dtype(np.int32),
        "outputs": np.dtype(np.int32),
        "stage": np.dtype(np.int32),
    }
)
"""Type of every column of a netlist."""


@dataclass(frozen=True)
class Breach:
    """A node (or ``None`` for the whole netlist) and what is wrong with it."""

    node: int | None
    message: str


@dataclass(frozen=True)
class Rule:
    """A rule of the grammar: its name, the sentence in the specification, and the check."""

    name: str
    text: str
    check: Callable[[Netlist], Iterator[Breach]]


def check_rules(net: Netlist) -> None:
    """Raises :class:`NetlistError` for the first rule that is broken."""
    for rule in RULES:
        for breach in rule.check(net):
            raise NetlistError(rule.name, breach.node, breach.message)


def node_key(net: Netlist, row: int) -> tuple[object, ...]:
    """What makes two nodes the same computation: everything but the stage."""
    lo, hi = net.fanin_ptr[row], net.fanin_ptr[row + 1]
    return (
        int(net.op[row]),
        int(net.width[row]),
        bool(net.signed[row]),
        int(net.imm[row]),
        tuple(net.fanin[lo:hi].tolist()),
        tuple(net.coef[lo:hi].tolist()),
        int(net.table_id[row]),
    )


def _columns(net: Netlist) -> Iterator[Breach]:
    n = len(net.op)
    for name, dtype in COLUMN_DTYPES.items():
        column = getattr(net, name)
        if column.dtype != dtype or column.ndim != 1:
            yield Breach(
                None, f"column '{name}' is {column.ndim}-dimensional {column.dtype}, expected 1-dimensional {dtype}"
            )
            return
    for name in ("width", "signed", "imm", "table_id", "stage"):
        if getattr(net, name).shape != (n,):
            yield Breach(None, f"column '{name}' has shape {getattr(net, name).shape}, expected ({n},)")
    if net.fanin_ptr.shape != (n + 1,):
        yield Breach(None, f"column 'fanin_ptr' has shape {net.fanin_ptr.shape}, expected ({n + 1},)")
        return
    if net.fanin_ptr[0] != 0 or net.fanin_ptr[-1] != len(net.fanin) or np.any(np.diff(net.fanin_ptr) < 0):
        yield Breach(None, "column 'fanin_ptr' must rise from 0 to the number of operands")
    if net.coef.shape != net.fanin.shape:
        yield Breach(None, f"column 'coef' has shape {net.coef.shape}, expected {net.fanin.shape}")


def _known_op(net: Netlist) -> Iterator[Breach]:
    known = [int(code) for code in OPS]
    for row in np.flatnonzero(~np.isin(net.op, known)):
        yield Breach(int(row), f"op number {net.op[row]} is none of {known}")


def _width_bounds(net: Netlist) -> Iterator[Breach]:
    for row in np.flatnonzero((net.width < 1) | (net.width > MAX_WIDTH)):
        yield Breach(int(row), f"width {net.width[row]} is outside 1 to {MAX_WIDTH}")


def _topological(net: Netlist) -> Iterator[Breach]:
    reader = np.repeat(np.arange(net.n_nodes), np.diff(net.fanin_ptr))
    for edge in np.flatnonzero((net.fanin < 0) | (net.fanin >= reader)):
        yield Breach(int(reader[edge]), f"it reads %{net.fanin[edge]}, which is not a lower row")


def _ports(net: Netlist) -> Iterator[Breach]:
    if len(net.input_names) != len(net.inputs) or len(net.output_names) != len(net.outputs):
        yield Breach(None, "there must be one name an input and one name an output")
    for kind, names in (("input", net.input_names), ("output", net.output_names)):
        if len(set(names)) != len(names) or not all(names):
            yield Breach(None, f"{kind} names must be distinct and not empty")
    if not np.array_equal(np.sort(net.inputs), np.flatnonzero(net.op == OpCode.INPUT)):
        yield Breach(None, "'inputs' must list every input node once")
    if len(net.outputs) == 0:
        yield Breach(None, "there must be at least one output")
    if len(net.outputs) and not (net.outputs.min() >= 0 and net.outputs.max() < net.n_nodes):
        yield Breach(None, "'outputs' must list existing nodes")


def _tables(net: Netlist) -> Iterator[Breach]:
    is_lut = net.op == OpCode.LUT
    bad = np.where(is_lut, (net.table_id < 0) | (net.table_id >= len(net.tables)), net.table_id != -1)
    for row in np.flatnonzero(bad):
        yield Breach(int(row), f"table id {net.table_id[row]} does not fit op '{OPS[OpCode(net.op[row])].name}'")
    if len(set(net.tables)) != len(net.tables):
        yield Breach(None, "equal tables must be stored once")
    unused = set(range(len(net.tables))) - set(net.table_id[is_lut].tolist())
    if unused:
        yield Breach(None, f"table t{min(unused)} has no reader")


def _operands(net: Netlist) -> Iterator[Breach]:
    for node in net.nodes():
        op = OPS[node.op]
        most = op.max_operands if op.max_operands is not None else len(node.operands)
        if not op.min_operands <= len(node.operands) <= most:
            yield Breach(node.id, f"'{op.name}' cannot have {len(node.operands)} operands")
        if node.table is not None and node.table.in_widths != node.operand_widths:
            yield Breach(
                node.id, f"its table reads widths {node.table.in_widths}, its operands have {node.operand_widths}"
            )
        if node.signed and not op.signed_ok:
            yield Breach(node.id, f"'{op.name}' is never signed")


def _immediates(net: Netlist) -> Iterator[Breach]:
    for node in net.nodes():
        if node.op is OpCode.CONST and not 0 <= node.imm < (1 << node.width):
            yield Breach(node.id, f"constant {node.imm} is no code of {node.width} bits")
        elif node.op is OpCode.SLICE and not 0 <= node.imm <= node.operand_widths[0] - node.width:
            yield Breach(node.id, f"bits {node.imm} to {node.imm + node.width - 1} are not all in its operand")
        elif node.op is OpCode.SUM and not all(is_signed_power(coef) for coef in node.coefs):
            yield Breach(node.id, f"factors {node.coefs} are not all plus or minus a power of two")
        elif node.op is not OpCode.SUM and any(node.coefs):
            yield Breach(node.id, "only 'sum' has factors")
        elif node.op in (OpCode.INPUT, OpCode.LUT, OpCode.ARGMAX, OpCode.CONCAT) and node.imm:
            yield Breach(node.id, f"'{OPS[node.op].name}' has no constant")


def _widths(net: Netlist) -> Iterator[Breach]:
    for node in net.nodes():
        width = OPS[node.op].width(node)
        if width is not None and width != node.width:
            yield Breach(node.id, f"'{OPS[node.op].name}' must have {width} bits here, it has {node.width}")


def _sums(net: Netlist) -> Iterator[Breach]:
    for node in net.nodes():
        if node.op is OpCode.SUM and not net.ranges[node.id].within(code_range(node.width, node.signed)):
            found = net.ranges[node.id]
            width, signed = bits_for(found)
            kind = "signed" if signed else "unsigned"
            yield Breach(node.id, f"it reaches {found.lo} to {found.hi} and so needs {width} {kind} bits")


def _thresholds(net: Netlist) -> Iterator[Breach]:
    for node in net.nodes():
        if node.op is OpCode.THRESHOLD:
            within = code_range(node.operand_widths[0], node.operand_signed[0])
            if not within.lo <= node.imm <= within.hi:
                yield Breach(node.id, f"constant {node.imm} is no value of its operand ({within.lo} to {within.hi})")


def _distinct(net: Netlist) -> Iterator[Breach]:
    seen: dict[tuple[object, ...], int] = {}
    for row in np.flatnonzero(net.op != OpCode.INPUT).tolist():
        first = seen.setdefault(node_key(net, row), row)
        if first != row:
            yield Breach(row, f"it is the same as %{first}")


def _stages(net: Netlist) -> Iterator[Breach]:
    fixed = np.isin(net.op, (OpCode.INPUT, OpCode.CONST))
    for row in np.flatnonzero((net.stage < 0) | (fixed & (net.stage != 0))):
        yield Breach(int(row), f"stage {net.stage[row]} is not allowed for '{OPS[OpCode(net.op[row])].name}'")
    reader = np.repeat(np.arange(net.n_nodes), np.diff(net.fanin_ptr))
    for edge in np.flatnonzero(net.stage[reader] < net.stage[net.fanin]):
        yield Breach(int(reader[edge]), f"stage {net.stage[reader[edge]]} is before its operand %{net.fanin[edge]}")
    if net.latency_cycles < int(net.stage.max(initial=0)):
        yield Breach(None, f"latency {net.latency_cycles} is below the highest stage {int(net.stage.max())}")


RULES: tuple[Rule, ...] = (
    Rule(
        "columns",
        "Columns MUST have matching lengths and 'fanin_ptr' MUST rise from 0 to the number of operands.",
        _columns,
    ),
    Rule("known-op", "Every op number MUST be one of the ops of this version.", _known_op),
    Rule("width-bounds", f"Every width MUST be 1 to {MAX_WIDTH}.", _width_bounds),
    Rule("topological", "A node MUST read only lower rows.", _topological),
    Rule(
        "ports",
        "Every input node MUST be one port; ports MUST have distinct, non-empty names; there MUST be an output.",
        _ports,
    ),
    Rule("tables", "A 'lut' MUST name a table, other ops MUST NOT; tables MUST be distinct and used.", _tables),
    Rule("operands", "The number of operands and their widths MUST fit the op and its table.", _operands),
    Rule("immediates", "Constants and factors MUST lie where the op allows them.", _immediates),
    Rule("widths", "A node MUST have the width that its op derives from its operands.", _widths),
    Rule("sums", "A 'sum' MUST be wide enough for every value that its operands' ranges allow; it never wraps.", _sums),
    Rule("thresholds", "The constant of a 'threshold' MUST be a value of its operand.", _thresholds),
    Rule("distinct", "Two nodes MUST NOT be the same computation.", _distinct),
    Rule(
        "stages",
        "A stage MUST NOT be before an operand's; inputs and constants are at stage 0; latency MUST cover all.",
        _stages,
    ),
)
"""Every rule, in the order in which they are checked."""
