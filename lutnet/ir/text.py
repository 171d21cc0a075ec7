"""The printable form of a netlist and its exact inverse.

One line a statement; ``docs/ir.md`` gives the grammar. ``from_text(to_text(net)) == net`` for every verified netlist.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lutnet.errors import UserError
from lutnet.ir.netlist import IR_VERSION, Netlist
from lutnet.ir.ops import OPS, Node, OpCode
from lutnet.ir.rules import COLUMN_DTYPES
from lutnet.tables import MAX_ADDRESS_BITS, TruthTable

__all__ = ["from_text", "to_text"]

_NAME_TO_OP = {row.name: code for code, row in OPS.items()}
_ROW = re.compile(r"%(?P<id>\d+) = (?P<op>[a-z]+) (?P<sign>[us])(?P<width>\d+)(?P<rest>.*?) @(?P<stage>\d+)$")
_TABLE = re.compile(
    r"table t(?P<id>\d+) \((?P<widths>\d+(?:,\d+)*)\) (?P<out>\d+) (?P<codes>[0-9a-f]+)(?: care (?P<care>[01]+))?$"
)
_OUTPUT = re.compile(r"output (?P<name>\"(?:[^\"\\]|\\.)*\") %(?P<row>\d+)$")


# -- writing ---------------------------------------------------------------------------------------------------------


def to_text(net: Netlist) -> str:
    """The netlist as text, ending in a newline."""
    lines = [f"netlist {IR_VERSION}", f"latency {net.latency_cycles}"]
    lines += [_table_line(i, table) for i, table in enumerate(net.tables)]
    port = {int(row): i for i, row in enumerate(net.inputs)}
    lines += [_node_line(net, node, port) for node in net.nodes()]
    lines += [f"output {json.dumps(name)} %{row}" for name, row in zip(net.output_names, net.outputs, strict=True)]
    return "\n".join(lines) + "\n"


def _table_line(index: int, table: TruthTable) -> str:
    digits = (table.out_width + 3) // 4
    codes = table.codes.astype(f">u{4 if digits > 4 else 2 if digits > 2 else 1}")
    stored = codes.dtype.itemsize * 2
    plain = codes.tobytes().hex()
    text = (
        plain
        if stored == digits
        else "".join(plain[i + stored - digits : i + stored] for i in range(0, len(plain), stored))
    )
    care = "" if table.care is None else " care " + "".join("1" if bit else "0" for bit in table.care)
    return f"table t{index} ({','.join(map(str, table.in_widths))}) {table.out_width} {text}{care}"


def _node_line(net: Netlist, node: Node, port: dict[int, int]) -> str:
    refs = [f"%{row}" for row in node.operands]
    if node.op is OpCode.INPUT:
        rest = f" {port[node.id]} {json.dumps(net.input_names[port[node.id]])}"
    elif node.op is OpCode.LUT:
        rest = f" t{net.table_id[node.id]}({', '.join(refs)})"
    elif node.op is OpCode.SUM:
        rest = "".join(f" {coef:+d}*{ref}" for coef, ref in zip(node.coefs, refs, strict=True)) + f" {node.imm:+d}"
    elif node.op is OpCode.THRESHOLD:
        rest = f" {refs[0]} >= {node.imm}"
    elif node.op is OpCode.SLICE:
        rest = f" {refs[0]} from {node.imm}"
    elif node.op is OpCode.CONST:
        rest = f" {node.imm}"
    else:
        rest = " " + ", ".join(refs)
    return f"%{node.id} = {OPS[node.op].name} {'s' if node.signed else 'u'}{node.width}{rest} @{node.stage}"


# -- reading ---------------------------------------------------------------------------------------------------------


@dataclass
class _Columns:
    """Columns while they grow."""

    op: list[int] = field(default_factory=list)
    width: list[int] = field(default_factory=list)
    signed: list[bool] = field(default_factory=list)
    imm: list[int] = field(default_factory=list)
    fanin: list[int] = field(default_factory=list)
    fanin_ptr: list[int] = field(default_factory=lambda: [0])
    coef: list[int] = field(default_factory=list)
    table_id: list[int] = field(default_factory=list)
    stage: list[int] = field(default_factory=list)
    tables: list[TruthTable] = field(default_factory=list)
    inputs: dict[int, int] = field(default_factory=dict)
    input_names: dict[int, str] = field(default_factory=dict)
    outputs: list[int] = field(default_factory=list)
    output_names: list[str] = field(default_factory=list)
    latency_cycles: int = 0


@dataclass
class _Operands:
    """What a statement says behind its width."""

    rows: list[int] = field(default_factory=list)
    coefs: list[int] | None = None
    imm: int = 0
    table_id: int = -1


def from_text(text: str) -> Netlist:
    """The netlist that a text describes, verified.

    Raises:
        UserError: A line is not of the grammar; the message gives its number.
        NetlistError: The text is well-formed and the netlist breaks a rule.
    """
    lines = text.splitlines()
    if not lines or lines[0] != f"netlist {IR_VERSION}":
        raise UserError(
            f"line 1: expected 'netlist {IR_VERSION}', got {lines[0][:40] if lines else 'nothing'!r}; is this a netlist text?"
        )
    columns = _Columns()
    for number, line in enumerate(lines[1:], start=2):
        if not line or line.startswith("#"):
            continue
        try:
            _read_line(line, columns)
        except (ValueError, KeyError, UserError) as error:
            raise UserError(f"line {number}: cannot read {line[:80]!r}: {error}") from None
    return _finish(columns).verify()


def _read_line(line: str, columns: _Columns) -> None:
    if line.startswith("latency "):
        columns.latency_cycles = int(line.removeprefix("latency "))
    elif match := _TABLE.match(line):
        columns.tables.append(_read_table(match, len(columns.tables)))
    elif match := _OUTPUT.match(line):
        columns.outputs.append(int(match["row"]))
        columns.output_names.append(json.loads(match["name"]))
    elif match := _ROW.match(line):
        _read_row(match, columns)
    else:
        raise ValueError("it is no statement of the grammar in docs/ir.md")


def _read_table(match: re.Match[str], index: int) -> TruthTable:
    if int(match["id"]) != index:
        raise ValueError(f"expected table t{index}")
    widths, out_width = tuple(map(int, match["widths"].split(","))), int(match["out"])
    digits = (out_width + 3) // 4
    if sum(widths) > MAX_ADDRESS_BITS or len(match["codes"]) != digits << sum(widths):
        raise ValueError(f"expected {digits} hexadecimal digits for each of 2**{sum(widths)} addresses")
    codes = np.asarray(
        [int(match["codes"][i : i + digits], 16) for i in range(0, len(match["codes"]), digits)], dtype=np.int64
    )
    care = None if match["care"] is None else np.asarray([bit == "1" for bit in match["care"]])
    return TruthTable(widths, out_width, codes, care)


def _read_row(match: re.Match[str], columns: _Columns) -> None:
    row = len(columns.op)
    if int(match["id"]) != row:
        raise ValueError(f"expected %{row}")
    op = _NAME_TO_OP[match["op"]]
    found = _read_operands(op, match["rest"].strip(), row, columns)
    columns.op.append(op)
    columns.width.append(int(match["width"]))
    columns.signed.append(match["sign"] == "s")
    columns.imm.append(found.imm)
    columns.fanin += found.rows
    columns.fanin_ptr.append(len(columns.fanin))
    columns.coef += found.coefs if found.coefs is not None else [0] * len(found.rows)
    columns.table_id.append(found.table_id)
    columns.stage.append(int(match["stage"]))


def _read_operands(op: OpCode, rest: str, row: int, columns: _Columns) -> _Operands:
    if op is OpCode.INPUT:
        port, _, name = rest.partition(" ")
        columns.inputs[int(port)] = row
        columns.input_names[int(port)] = json.loads(name)
        return _Operands()
    if op is OpCode.CONST:
        return _Operands(imm=int(rest))
    if op is OpCode.LUT:
        head, _, tail = rest.rstrip(")").partition("(")
        return _Operands(rows=_rows(tail), table_id=int(head.removeprefix("t")))
    if op is OpCode.SUM:
        *terms, bias = rest.split()
        pairs = [term.split("*") for term in terms]
        return _Operands([_row(ref) for _, ref in pairs], [int(coef) for coef, _ in pairs], int(bias))
    if op in (OpCode.THRESHOLD, OpCode.SLICE):
        ref, _, constant = rest.split()
        return _Operands([_row(ref)], imm=int(constant))
    return _Operands(_rows(rest))


def _row(ref: str) -> int:
    if not ref.startswith("%"):
        raise ValueError(f"expected a node such as %0, got {ref!r}")
    return int(ref[1:])


def _rows(refs: str) -> list[int]:
    return [_row(ref.strip()) for ref in refs.split(",")]


def _finish(columns: _Columns) -> Netlist:
    ports = sorted(columns.inputs)
    values: dict[str, Any] = {
        "inputs": np.asarray([columns.inputs[i] for i in ports], dtype=np.int32),
        "input_names": tuple(columns.input_names[i] for i in ports),
        "output_names": tuple(columns.output_names),
        "tables": tuple(columns.tables),
        "latency_cycles": columns.latency_cycles,
    }
    for name, dtype in COLUMN_DTYPES.items():
        if name not in values:
            try:
                values[name] = np.asarray(getattr(columns, name), dtype=dtype)
            except OverflowError as error:
                raise UserError(f"a number in column '{name}' is too large: {error}") from None
    return Netlist(**values)
