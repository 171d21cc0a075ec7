"""Verilog-2001: a top module, one module a table, one module a shape of argmax. No memories, no files read at run time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import ClassVar

from lutnet.backends.base import Backend
from lutnet.backends.interface import RtlInterface
from lutnet.backends.names import checked_identifier
from lutnet.backends.templates import read_template
from lutnet.backends.verilog_tables import TABLE_STYLES, literal, table_module
from lutnet.backends.verilog_top import TopModule, argmax_module_name, argmax_shape
from lutnet.errors import UserError
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import Node, OpCode

__all__ = ["Verilog"]


@dataclass(frozen=True)
class Verilog(Backend):
    """Emits Verilog for Vivado, yosys, Icarus and Verilator; see ``docs/rtl.md`` for ports and packing.

    Attributes:
        top: Name of the top module; every other module's name starts with it.
        tables: Style of the tables: ``"case"``, ``"indexed"``, ``"lut6"`` or ``"wide"``, see :data:`TABLE_STYLES`.
        per_layer: Write the tables of each logic level into a file of their own.
        reset: Add a synchronous, active-high ``rst``.
        clock_enable: Add ``ce``.
        valid: Add ``in_valid`` and ``out_valid``.
    """

    name: ClassVar[str] = "verilog"
    ops: ClassVar[frozenset[OpCode]] = frozenset(OpCode)
    top: str = "lutnet_top"
    tables: str = "case"
    per_layer: bool = False
    reset: bool = False
    clock_enable: bool = False
    valid: bool = False

    def __post_init__(self) -> None:
        checked_identifier(self.top, "the name of the top module")
        if self.tables not in TABLE_STYLES:
            raise UserError(f"tables are written as one of {', '.join(sorted(TABLE_STYLES))}, got '{self.tables}'")

    def interface(self, net: Netlist) -> RtlInterface:
        """The ports of the top module."""
        return RtlInterface(
            top=self.top,
            input_names=net.input_names,
            input_widths=net.input_widths,
            output_names=net.output_names,
            output_widths=net.output_widths,
            latency_cycles=net.latency_cycles,
            reset=self.reset,
            clock_enable=self.clock_enable,
            valid=self.valid,
        )

    def emit(self, net: Netlist) -> dict[PurePosixPath, str]:
        """``<top>.v`` and ``interface.json``; with ``per_layer`` also ``<top>_layer<n>.v`` for each logic level."""
        self.check_ops(net)
        if len(net.inputs) == 0:
            raise UserError(
                "a design needs at least one input to have an in_data port; this netlist has only constants"
            )
        interface = self.interface(net)
        top = self._top_module(net, interface)
        files: dict[PurePosixPath, str] = {}
        blocks = self._tables_by_level(net)
        if self.per_layer:
            for level, texts in sorted(blocks.items()):
                files[PurePosixPath(f"{self.top}_layer{level}.v")] = self._file(net, texts)
            files[PurePosixPath(f"{self.top}.v")] = self._file(net, [*self._argmax_modules(net), top])
        else:
            tables = [text for _, texts in sorted(blocks.items()) for text in texts]
            files[PurePosixPath(f"{self.top}.v")] = self._file(net, [*tables, *self._argmax_modules(net), top])
        files[PurePosixPath("interface.json")] = interface.to_json()
        return files

    def table_modules(self, net: Netlist) -> tuple[str, ...]:
        """Module names of the tables, by table id."""
        return tuple(f"{self.top}_t{i}" for i in range(len(net.tables)))

    # -- pieces ------------------------------------------------------------------------------------------------------

    def _file(self, net: Netlist, modules: list[str]) -> str:
        import lutnet

        interface = self.interface(net)
        header = read_template("verilog/header.v").substitute(
            top=self.top,
            version=lutnet.__version__,
            summary=f"{net.n_nodes} nodes, {len(net.tables)} distinct tables, {net.depth} logic levels",
            in_high=interface.in_bits - 1,
            out_high=interface.out_bits - 1,
            n_inputs=len(net.inputs),
            n_outputs=len(net.outputs),
            latency_cycles=net.latency_cycles,
        )
        return "\n".join([header, *modules, read_template("verilog/footer.v").substitute()])

    def _tables_by_level(self, net: Netlist) -> dict[int, list[str]]:
        level_of: dict[int, int] = {}
        for row, index in enumerate(net.table_id.tolist()):
            if index >= 0:
                level_of[index] = min(level_of.get(index, net.n_nodes), int(net.levels[row]))
        blocks: dict[int, list[str]] = {}
        for index, module in enumerate(self.table_modules(net)):
            blocks.setdefault(level_of[index], []).append(table_module(net.tables[index], index, module, self.tables))
        return blocks

    def _argmax_modules(self, net: Netlist) -> list[str]:
        shapes = {argmax_module_name(self.top, node): node for node in net.nodes() if node.op is OpCode.ARGMAX}
        return [_argmax_module(name, node) for name, node in sorted(shapes.items())]

    def _top_module(self, net: Netlist, interface: RtlInterface) -> str:
        module = TopModule(net, interface)
        return read_template("verilog/top.v").substitute(top=self.top, ports=module.ports(), body=module.body())


def _argmax_module(name: str, node: Node) -> str:
    """A tournament: each match keeps the larger value, and the first of two equal ones."""
    width, signed = argmax_shape(node)
    n_values = len(node.operands)
    flip = f" ^ {literal(1 << (width - 1), width)}" if signed else ""
    declare = f"  wire [{width - 1}:0] " if width > 1 else "  wire "
    index = f"  wire [{node.width - 1}:0] " if node.width > 1 else "  wire "
    lines = []
    for i in range(n_values):
        part = f"values[{(i + 1) * width - 1}:{i * width}]" if width > 1 else f"values[{i}]"
        lines += [f"{declare}v{i} = {part}{flip};", f"{index}i{i} = {literal(i, node.width)};"]
    players = list(range(n_values))
    count = n_values
    while len(players) > 1:
        winners = []
        for a, b in zip(players[::2], players[1::2], strict=False):
            final = len(players) == 2
            lines.append(f"  wire k{count} = v{a} >= v{b};")
            if not final:
                lines.append(f"{declare}v{count} = k{count} ? v{a} : v{b};")
            lines.append(f"{index}i{count} = k{count} ? i{a} : i{b};")
            winners.append(count)
            count += 1
        players = winners + ([players[-1]] if len(players) % 2 else [])
    if n_values == 1:
        lines.append("  wire unused_value = &{1'b0, v0};")
    lines.append(f"  assign index = i{players[0]};")
    return read_template("verilog/argmax.v").substitute(
        module=name,
        n_values=n_values,
        kind="signed" if signed else "unsigned",
        width=width,
        in_high=n_values * width - 1,
        index_high=node.width - 1,
        matches="\n".join(lines),
    )
