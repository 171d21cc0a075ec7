"""Building netlists: every structurally equal node is built once, equal tables are stored once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lutnet.errors import UserError
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import OPS, Interval, Node, OpCode, bits_for
from lutnet.tables import TruthTable

__all__ = ["NetlistBuilder"]


class NetlistBuilder:
    """Appends nodes and returns their row numbers; :meth:`build` returns the verified netlist.

    Asking twice for the same computation returns the first row again (hash-consing). ``stage`` is the pipeline stage given to
    the nodes that follow; a node asked for at two stages takes the earlier one.

    Attributes:
        stage: Pipeline stage of the nodes built next; inputs and constants are always at stage 0.
    """

    def __init__(self) -> None:
        self.stage = 0
        self._nodes: list[Node] = []
        self._stages: list[int] = []
        self._ranges: list[Interval] = []
        self._rows: dict[tuple[object, ...], int] = {}
        self._tables: dict[TruthTable, int] = {}
        self._inputs: list[int] = []
        self._outputs: list[int] = []
        self._input_names: list[str] = []
        self._output_names: list[str] = []

    # -- nodes -------------------------------------------------------------------------------------------------------

    def input(self, width: int, name: str | None = None, *, signed: bool = False) -> int:
        """A new input port of ``width`` bits; the name defaults to ``x<port>``."""
        self._input_names.append(f"x{len(self._inputs)}" if name is None else name)
        row = self._append(self._make(OpCode.INPUT, (), width, signed=signed), stage=0)
        self._inputs.append(row)
        return row

    def const(self, code: int, width: int, *, signed: bool = False) -> int:
        """A constant code of ``width`` bits."""
        return self._intern(self._make(OpCode.CONST, (), width, signed=signed, imm=code))

    def lut(self, table: TruthTable, operands: Sequence[int], *, signed: bool = False) -> int:
        """A table read at the codes of its operands; operand 0 is the least significant part of the address."""
        return self._intern(self._make(OpCode.LUT, operands, table.out_width, signed=signed, table=table))

    def sum(
        self,
        operands: Sequence[int],
        coefs: Sequence[int] | None = None,
        *,
        bias: int = 0,
        shape: tuple[int, bool] | None = None,
    ) -> int:
        """Exact ``bias + sum(coef * value)``.

        Args:
            operands: Rows to add; each is read as a value according to its own signedness.
            coefs: One plus or minus power of two an operand; all 1 when left out.
            bias: Integer added.
            shape: ``(width, signed)`` of the result; the narrowest that holds every reachable value when left out.
        """
        factors = tuple(coefs) if coefs is not None else (1,) * len(operands)
        if len(factors) != len(operands):
            raise UserError(f"a sum needs one factor an operand, got {len(factors)} for {len(operands)}")
        if shape is None:
            draft = self._make(OpCode.SUM, operands, 1, imm=bias, coefs=factors)
            shape = bits_for(OPS[OpCode.SUM].range(draft, [self._ranges[row] for row in operands]))
        width, signed = shape
        return self._intern(self._make(OpCode.SUM, operands, width, signed=signed, imm=bias, coefs=factors))

    def threshold(self, operand: int, at_least: int) -> int:
        """One bit: whether the operand's value is ``at_least`` or more."""
        return self._intern(self._make(OpCode.THRESHOLD, (operand,), 1, imm=at_least))

    def argmax(self, operands: Sequence[int]) -> int:
        """Position of the largest value; ties go to the lowest position."""
        width = max(1, (len(operands) - 1).bit_length())
        return self._intern(self._make(OpCode.ARGMAX, operands, width))

    def slice(self, operand: int, low: int, width: int, *, signed: bool = False) -> int:
        """Bits ``low`` to ``low + width - 1`` of the operand."""
        return self._intern(self._make(OpCode.SLICE, (operand,), width, signed=signed, imm=low))

    def concat(self, operands: Sequence[int], *, signed: bool = False) -> int:
        """Codes side by side; operand 0 is least significant."""
        width = sum(self._nodes[row].width for row in operands)
        return self._intern(self._make(OpCode.CONCAT, operands, width, signed=signed))

    def output(self, row: int, name: str | None = None) -> None:
        """Makes a node an output port; the name defaults to ``y<port>``."""
        self._check_operands((row,))
        self._output_names.append(f"y{len(self._outputs)}" if name is None else name)
        self._outputs.append(row)

    # -- reading what is there ---------------------------------------------------------------------------------------

    def node(self, row: int) -> Node:
        """A node built so far."""
        return self._nodes[row]

    def range(self, row: int) -> Interval:
        """Values that a node built so far can reach."""
        return self._ranges[row]

    # -- finishing ---------------------------------------------------------------------------------------------------

    def build(self, *, latency_cycles: int | None = None) -> Netlist:
        """The verified netlist.

        Args:
            latency_cycles: Registers between inputs and outputs; the highest stage when left out.

        Raises:
            NetlistError: A rule of the specification is broken.
        """
        nodes = self._nodes
        fanin = [row for node in nodes for row in node.operands]
        coefs = [coef for node in nodes for coef in node.coefs]
        counts = np.asarray([0] + [len(node.operands) for node in nodes])
        highest = max(self._stages, default=0)
        net = Netlist(
            op=np.asarray([node.op for node in nodes], dtype=np.uint8),
            width=np.asarray([node.width for node in nodes], dtype=np.uint8),
            signed=np.asarray([node.signed for node in nodes], dtype=np.bool_),
            imm=np.asarray([node.imm for node in nodes], dtype=np.int64),
            fanin_ptr=np.cumsum(counts).astype(np.int32),
            fanin=np.asarray(fanin, dtype=np.int32),
            coef=np.asarray(coefs, dtype=np.int64),
            table_id=np.asarray(
                [-1 if node.table is None else self._tables[node.table] for node in nodes], dtype=np.int32
            ),
            tables=tuple(self._tables),
            inputs=np.asarray(self._inputs, dtype=np.int32),
            outputs=np.asarray(self._outputs, dtype=np.int32),
            input_names=tuple(self._input_names),
            output_names=tuple(self._output_names),
            stage=np.asarray(self._stages, dtype=np.int32),
            latency_cycles=highest if latency_cycles is None else latency_cycles,
        )
        return net.verify()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _make(
        self,
        op: OpCode,
        operands: Sequence[int],
        width: int,
        *,
        signed: bool = False,
        imm: int = 0,
        coefs: tuple[int, ...] = (),
        table: TruthTable | None = None,
    ) -> Node:
        self._check_operands(operands)
        if not 1 <= width <= 255:
            raise UserError(f"a '{OPS[op].name}' node cannot have {width} bits")
        return Node(
            id=len(self._nodes),
            op=op,
            width=width,
            signed=signed,
            imm=imm,
            operands=tuple(operands),
            coefs=coefs or (0,) * len(operands),
            operand_widths=tuple(self._nodes[row].width for row in operands),
            operand_signed=tuple(self._nodes[row].signed for row in operands),
            table=table,
            stage=self.stage,
        )

    def _check_operands(self, operands: Sequence[int]) -> None:
        for row in operands:
            if not 0 <= row < len(self._nodes):
                raise UserError(f"node %{row} does not exist yet; the builder has {len(self._nodes)} nodes")

    def _intern(self, node: Node) -> int:
        key = (node.op, node.width, node.signed, node.imm, node.operands, node.coefs, node.table)
        stage = 0 if node.op is OpCode.CONST else max([self.stage, *(self._stages[row] for row in node.operands)])
        row = self._rows.get(key)
        if row is not None:
            self._stages[row] = min(self._stages[row], stage)
            return row
        if node.table is not None:
            self._tables.setdefault(node.table, len(self._tables))
        self._rows[key] = len(self._nodes)
        return self._append(node, stage)

    def _append(self, node: Node, stage: int) -> int:
        self._nodes.append(node)
        self._stages.append(stage)
        self._ranges.append(OPS[node.op].range(node, [self._ranges[row] for row in node.operands]))
        return len(self._nodes) - 1
