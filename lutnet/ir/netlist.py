"""The netlist: a flat, immutable list of operations in topological order.

The class docstring is the specification; ``docs/ir.md`` says the same in MUSTs and ``lutnet.ir.rules`` checks it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError
from lutnet.ir.ops import OPS, Interval, Node, OpCode
from lutnet.tables import TruthTable

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["IR_VERSION", "Netlist"]

IR_VERSION = 1
"""Version of the netlist specification; it changes when a stored netlist would mean something else."""

_CHUNK_BYTES = 1 << 26


@dataclass(frozen=True, eq=False)
class Netlist:
    """A network of operations on codes.

    Row ``i`` is node ``%i``; its operands are rows lower than ``i``. Codes are unsigned integers; ``signed`` says how
    ``sum``, ``threshold`` and ``argmax`` read a code as a value. Operand 0 and bit 0 are least significant.

    Pipelining is a label. A node of stage ``s`` computes in clock cycle ``s``; an edge from stage ``a`` to stage ``b`` crosses
    ``b - a`` registers. Inputs and constants are at stage 0 and outputs leave after ``latency_cycles`` registers.

    Attributes:
        op: ``OpCode`` of every node, uint8, shape ``(n,)``.
        width: Bits of every node's code, uint8, shape ``(n,)``, 1 to 62.
        signed: Whether the code is two's complement, bool, shape ``(n,)``.
        imm: Constant of the node, int64, shape ``(n,)``; its meaning is the op's, see :class:`lutnet.ir.ops.Node`.
        fanin_ptr: Operands of node ``i`` are ``fanin[fanin_ptr[i]:fanin_ptr[i + 1]]``; int32, shape ``(n + 1,)``.
        fanin: Row numbers of operands, int32, shape ``(m,)``.
        coef: Factor of every operand of a ``sum``, int64, shape ``(m,)``; 0 for other ops.
        table_id: Index into ``tables`` of every ``lut``, int32, shape ``(n,)``; -1 for other ops.
        tables: The distinct tables.
        inputs: Rows of the inputs in port order, int32.
        outputs: Rows that drive the outputs in port order, int32.
        input_names: One name an input.
        output_names: One name an output.
        stage: Pipeline stage of every node, int32, shape ``(n,)``.
        latency_cycles: Registers between an input port and an output port.
    """

    op: npt.NDArray[np.uint8]
    width: npt.NDArray[np.uint8]
    signed: npt.NDArray[np.bool_]
    imm: npt.NDArray[np.int64]
    fanin_ptr: npt.NDArray[np.int32]
    fanin: npt.NDArray[np.int32]
    coef: npt.NDArray[np.int64]
    table_id: npt.NDArray[np.int32]
    tables: tuple[TruthTable, ...]
    inputs: npt.NDArray[np.int32]
    outputs: npt.NDArray[np.int32]
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    stage: npt.NDArray[np.int32]
    latency_cycles: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            column = getattr(self, field.name)
            if isinstance(column, np.ndarray):
                frozen = column.copy()
                frozen.setflags(write=False)
                object.__setattr__(self, field.name, frozen)

    # -- reading -----------------------------------------------------------------------------------------------------

    @property
    def n_nodes(self) -> int:
        """Number of rows."""
        return len(self.op)

    @property
    def input_widths(self) -> tuple[int, ...]:
        """Bits of each input, in port order."""
        return tuple(int(w) for w in self.width[self.inputs])

    @property
    def output_widths(self) -> tuple[int, ...]:
        """Bits of each output, in port order."""
        return tuple(int(w) for w in self.width[self.outputs])

    def operands(self, row: int) -> tuple[int, ...]:
        """Rows that a node reads."""
        return tuple(self.fanin[self.fanin_ptr[row] : self.fanin_ptr[row + 1]].tolist())

    def node(self, row: int) -> Node:
        """One row for reading."""
        return self._nodes[row]

    def nodes(self) -> Iterator[Node]:
        """All rows in topological order."""
        return iter(self._nodes)

    @cached_property
    def _nodes(self) -> tuple[Node, ...]:
        width, signed = self.width.tolist(), self.signed.tolist()
        ops, imm, table_id, stage = self.op.tolist(), self.imm.tolist(), self.table_id.tolist(), self.stage.tolist()
        ptr, fanin, coef = self.fanin_ptr.tolist(), self.fanin.tolist(), self.coef.tolist()
        rows = []
        for i in range(self.n_nodes):
            operands = tuple(fanin[ptr[i] : ptr[i + 1]])
            rows.append(
                Node(
                    id=i,
                    op=OpCode(ops[i]),
                    width=width[i],
                    signed=signed[i],
                    imm=imm[i],
                    operands=operands,
                    coefs=tuple(coef[ptr[i] : ptr[i + 1]]),
                    operand_widths=tuple(width[j] for j in operands),
                    operand_signed=tuple(signed[j] for j in operands),
                    table=self.tables[table_id[i]] if table_id[i] >= 0 else None,
                    stage=stage[i],
                )
            )
        return tuple(rows)

    @cached_property
    def ranges(self) -> tuple[Interval, ...]:
        """Values that each node can reach, by interval arithmetic over the rows."""
        found: list[Interval] = []
        for node in self._nodes:
            found.append(OPS[node.op].range(node, [found[j] for j in node.operands]))
        return tuple(found)

    @cached_property
    def levels(self) -> npt.NDArray[np.int32]:
        """Logic level of every node: the most non-free ops on a path that ends with it; int32, shape ``(n,)``."""
        level = np.zeros(self.n_nodes, dtype=np.int32)
        for node in self._nodes:
            below = max((int(level[j]) for j in node.operands), default=0)
            level[node.id] = below + (0 if OPS[node.op].free else 1)
        level.setflags(write=False)
        return level

    @property
    def depth(self) -> int:
        """Highest logic level of an output."""
        return int(self.levels[self.outputs].max(initial=0))

    @cached_property
    def graph(self) -> nx.DiGraph:
        """Read-only networkx graph over the columns: an edge runs from an operand to its reader."""
        from lutnet.ir.graph import graph_of

        return graph_of(self)

    def count(self, op: OpCode) -> int:
        """Number of nodes of one op."""
        return int(np.count_nonzero(self.op == op))

    @cached_property
    def key(self) -> bytes:
        """Digest of the whole netlist: equal for equal netlists."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(repr((self.n_nodes, self.input_names, self.output_names, self.latency_cycles)).encode())
        for field in fields(self):
            column = getattr(self, field.name)
            if isinstance(column, np.ndarray):
                digest.update(column.tobytes())
        digest.update(b"".join(table.key for table in self.tables))
        return digest.digest()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Netlist):
            return NotImplemented
        return self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        from lutnet.ir.text import to_text

        return to_text(self)

    def __repr__(self) -> str:
        return (
            f"Netlist({self.n_nodes} nodes, {len(self.tables)} tables, {len(self.inputs)} inputs of {sum(self.input_widths)} bits, "
            f"{len(self.outputs)} outputs of {sum(self.output_widths)} bits, latency {self.latency_cycles} cycles)"
        )

    # -- meaning -----------------------------------------------------------------------------------------------------

    def verify(self) -> Netlist:
        """Checks every rule of the specification and returns the netlist.

        Raises:
            NetlistError: Names the broken rule and the first node that breaks it.
        """
        from lutnet.ir.rules import check_rules

        check_rules(self)
        return self

    def evaluate(self, codes: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Reference semantics: output codes for a batch of input codes (registers do not change values).

        Args:
            codes: Integers, shape ``(batch, n_inputs)``; column ``i`` lies in ``[0, 2**input_widths[i])``.

        Returns:
            int64, shape ``(batch, n_outputs)``.

        Raises:
            UserError: Wrong shape or dtype, or a code outside its input's width.
        """
        batch = self._checked_codes(codes)
        out = np.empty((len(batch), len(self.outputs)), dtype=np.int64)
        chunk = max(1, _CHUNK_BYTES // (8 * max(1, self.n_nodes)))
        for start in range(0, len(batch), chunk):
            rows = np.ascontiguousarray(batch[start : start + chunk].T, dtype=np.int64)
            values = self._propagate(rows)
            for column, row in enumerate(self.outputs):
                out[start : start + chunk, column] = values[row]
        return out

    def evaluate_nodes(self, codes: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Codes of every node for a batch of input codes: int64, shape ``(batch, n_nodes)``; memory grows with both."""
        batch = self._checked_codes(codes)
        values = self._propagate(np.ascontiguousarray(batch.T, dtype=np.int64))
        return np.stack([np.broadcast_to(column, (len(batch),)) for column in values], axis=1)

    def _propagate(self, rows: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
        values: list[npt.NDArray[np.int64]] = [rows[:0]] * self.n_nodes
        for port, row in enumerate(self.inputs.tolist()):
            values[row] = rows[port]
        for node in self._nodes:
            if node.op is not OpCode.INPUT:
                values[node.id] = OPS[node.op].kernel(node, [values[j] for j in node.operands])
        return values

    def _checked_codes(self, codes: npt.ArrayLike) -> npt.NDArray[np.integer]:
        batch = np.asarray(codes)
        if batch.ndim != 2 or batch.shape[1] != len(self.inputs):
            raise UserError(f"expected input codes of shape (batch, {len(self.inputs)}), got {batch.shape}")
        if not np.issubdtype(batch.dtype, np.integer):
            raise UserError(f"expected integer input codes, got dtype {batch.dtype}; encode raw features first")
        if len(batch):
            for port, width in enumerate(self.input_widths):
                lo, hi = int(batch[:, port].min()), int(batch[:, port].max())
                if lo < 0 or hi >> width:
                    raise UserError(
                        f"input '{self.input_names[port]}' takes codes 0 to {(1 << width) - 1}, got {lo} to {hi}; "
                        "encode the features with the encoder stored beside the netlist"
                    )
        return batch

    def with_stages(self, stage: Sequence[int] | npt.NDArray[np.integer], latency_cycles: int) -> Netlist:
        """The same function with other pipeline labels; verified."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        columns["stage"] = np.asarray(stage, dtype=np.int32)
        columns["latency_cycles"] = latency_cycles
        return Netlist(**columns).verify()
