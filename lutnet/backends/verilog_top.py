"""The top module: one wire a node, one register a delayed node and stage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lutnet.backends.interface import RtlInterface
from lutnet.backends.names import comment_text
from lutnet.backends.verilog_tables import literal
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import Node, OpCode, code_range
from lutnet.ir.registers import bits_read

__all__ = ["TopModule", "argmax_module_name"]


def argmax_module_name(top: str, node: Node) -> str:
    """Name of the module for an argmax over as many values of that shape."""
    width, signed = argmax_shape(node)
    return f"{top}_argmax_{len(node.operands)}x{width}{'s' if signed else 'u'}"


def argmax_shape(node: Node) -> tuple[int, bool]:
    """Common width and signedness that hold every operand of an argmax."""
    signed = any(node.operand_signed)
    pairs = zip(node.operand_widths, node.operand_signed, strict=True)
    return max(width + (signed and not own) for width, own in pairs), signed


@dataclass(frozen=True)
class _Register:
    """A register: its name, what it takes at the clock edge, and its bits."""

    name: str
    source: str
    width: int


class TopModule:
    """Writes ports and body of the top module of one netlist."""

    def __init__(self, net: Netlist, interface: RtlInterface) -> None:
        self.net = net
        self.interface = interface
        self.delayed: set[tuple[int, int]] = set()
        self.widths: dict[str, int] = {f"n{node.id}": node.width for node in net.nodes()}
        self.read_bits: dict[str, int] = {}
        self.kept = _partial_sums(net)
        self.wires = [line for node in net.nodes() for line in self._node(node)]
        self.outputs = self._outputs()
        self.registers = self._registers()

    # -- ports -------------------------------------------------------------------------------------------------------

    def ports(self) -> str:
        """The port list."""
        face = self.interface
        found = []
        if face.clocked:
            found.append("  input  wire clk")
        if face.reset:
            found.append("  input  wire rst")
        if face.clock_enable:
            found.append("  input  wire ce")
        if face.valid:
            found.append("  input  wire in_valid")
        found.append(f"  input  wire [{face.in_bits - 1}:0] in_data")
        if face.valid:
            found.append("  output wire out_valid")
        found.append(f"  output wire [{face.out_bits - 1}:0] out_data")
        return ",\n".join(found)

    def body(self) -> str:
        """Everything between the port list and ``endmodule``."""
        declarations = [f"  reg  {_range(register.width)}{register.name};" for register in self.registers]
        return "\n".join([*declarations, *self.wires, *self._unused(), *self._always(), *self.outputs])

    # -- nodes -------------------------------------------------------------------------------------------------------

    def _node(self, node: Node) -> Iterable[str]:
        operands = [self._at(row, node.stage) for row in node.operands]
        for name, count in zip(operands, bits_read(node), strict=True):
            self._read(name, node.imm if node.op is OpCode.SLICE else 0, count)
        if node.op is OpCode.LUT:
            name = f"{self.interface.top}_t{self.net.table_id[node.id]}"
            address = operands[0] if len(operands) == 1 else "{" + ", ".join(reversed(operands)) + "}"
            return [_declare(node), f"  {name} n{node.id}_table (.a({address}), .y(n{node.id}));"]
        if node.op is OpCode.ARGMAX:
            name = argmax_module_name(self.interface.top, node)
            width, _ = argmax_shape(node)
            values = [self._extended(op, i, node, width) for i, op in enumerate(operands)]
            packed = values[0] if len(values) == 1 else "{" + ", ".join(reversed(values)) + "}"
            return [_declare(node), f"  {name} n{node.id}_argmax (.values({packed}), .index(n{node.id}));"]
        if node.id in self.kept:
            return [f"  (* keep *){_declare(node)[1:]}", f"  assign n{node.id} = {self._expression(node, operands)};"]
        return [_declare(node, self._expression(node, operands))]

    def _expression(self, node: Node, operands: list[str]) -> str:
        if node.op is OpCode.INPUT:
            return self._input(node)
        if node.op is OpCode.CONST:
            return literal(node.imm, node.width)
        if node.op is OpCode.SUM:
            return self._sum(node, operands)
        if node.op is OpCode.THRESHOLD:
            return _threshold(node, operands[0])
        if node.op is OpCode.SLICE:
            return _part(operands[0], node.operand_widths[0], node.imm, node.width)
        return operands[0] if len(operands) == 1 else "{" + ", ".join(reversed(operands)) + "}"

    def _input(self, node: Node) -> str:
        port = self.net.inputs.tolist().index(node.id)
        low = sum(self.interface.input_widths[:port])
        return _part("in_data", self.interface.in_bits, low, node.width, vector=True)

    def _sum(self, node: Node, operands: list[str]) -> str:
        terms = []
        for operand, coef, width, signed in zip(
            operands, node.coefs, node.operand_widths, node.operand_signed, strict=True
        ):
            term = _shifted(operand, width, signed, abs(coef).bit_length() - 1, node.width)
            if term is not None:
                terms.append(("- " if coef < 0 else "+ ") + term)
        bias = node.imm & ((1 << node.width) - 1)
        if bias or not terms:
            terms.append("+ " + literal(bias, node.width))
        if terms[0].startswith("- "):
            terms.insert(0, literal(0, node.width))
        return " ".join(terms).removeprefix("+ ")

    def _extended(self, operand: str, place: int, node: Node, width: int) -> str:
        term = _shifted(operand, node.operand_widths[place], node.operand_signed[place], 0, width)
        if term is None:
            raise AssertionError("an operand without shift keeps its bits")
        return term

    # -- pipeline ----------------------------------------------------------------------------------------------------

    def _at(self, row: int, stage: int) -> str:
        """The name of a node's code in a stage; asks for the registers between."""
        source = self.net.node(row)
        if source.op is OpCode.CONST or stage == source.stage:
            return f"n{row}"
        for later in range(source.stage + 1, stage + 1):
            self.delayed.add((row, later))
            self.widths[f"n{row}_s{later}"] = source.width
            self._read(self._previous(row, later), 0, source.width)
        return f"n{row}_s{stage}"

    def _read(self, name: str, low: int, count: int) -> None:
        self.read_bits[name] = self.read_bits.get(name, 0) | ((1 << count) - 1) << low

    def _outputs(self) -> list[str]:
        names = []
        for row in self.net.outputs.tolist():
            names.append(self._at(row, self.net.latency_cycles))
            self._read(names[-1], 0, self.widths[names[-1]])
        joined = names[0] if len(names) == 1 else "{" + ", ".join(reversed(names)) + "}"
        lines = [f"  assign out_data = {joined};"]
        if self.interface.valid:
            last = f"valid_s{self.net.latency_cycles}" if self.net.latency_cycles else "in_valid"
            lines.append(f"  assign out_valid = {last};")
        return lines

    def _registers(self) -> list[_Register]:
        chain = [
            _Register(f"n{row}_s{s}", self._previous(row, s), int(self.net.width[row]))
            for row, s in sorted(self.delayed)
        ]
        if self.interface.valid:
            stages = range(1, self.net.latency_cycles + 1)
            chain += [_Register(f"valid_s{s}", "in_valid" if s == 1 else f"valid_s{s - 1}", 1) for s in stages]
        return chain

    def _always(self) -> list[str]:
        if not self.interface.clocked:
            return []
        if not self.registers:
            return ["  wire unused_clk = &{1'b0, " + ", ".join(self._controls(["clk"])) + "};"]
        moves = [f"{register.name} <= {register.source};" for register in self.registers]
        resets = [f"{register.name} <= {literal(0, register.width)};" for register in self.registers]
        return ["  always @(posedge clk) begin", *self._clocked(moves, resets), "  end"]

    def _controls(self, names: list[str]) -> list[str]:
        return names + ["rst"] * self.interface.reset + ["ce"] * self.interface.clock_enable

    def _clocked(self, moves: list[str], resets: list[str]) -> list[str]:
        face = self.interface
        if not face.reset and not face.clock_enable:
            return [f"    {move}" for move in moves]
        lines = []
        if face.reset:
            lines += [
                "    if (rst) begin",
                *(f"      {reset}" for reset in resets),
                "    end else" + (" if (ce)" * face.clock_enable) + " begin",
            ]
        else:
            lines.append("    if (ce) begin")
        return [*lines, *(f"      {move}" for move in moves), "    end"]

    def _previous(self, row: int, stage: int) -> str:
        return f"n{row}" if stage - 1 == int(self.net.stage[row]) else f"n{row}_s{stage - 1}"

    # -- what nobody reads -------------------------------------------------------------------------------------------

    def _unused(self) -> list[str]:
        """A wire that reads every bit that nothing else reads, so that linters stay silent about them."""
        parts = []
        for name, width in self.widths.items():
            bit = 0
            missing = ~self.read_bits.get(name, 0) & ((1 << width) - 1)
            while missing >> bit:
                end = bit
                while (missing >> end) & 1:
                    end += 1
                if end > bit:
                    parts.append(_part(name, width, bit, end - bit))
                bit = end + 1
        return [f"  wire unused_bits = &{{1'b0, {', '.join(parts)}}};"] if parts else []


def _range(width: int) -> str:
    return f"[{width - 1}:0] " if width > 1 else ""


def _partial_sums(net: Netlist) -> set[int]:
    """Sums that another sum reads in the same stage. Yosys makes one compressor tree of such a chain, two lookup tables of three inputs
    a bit in place of one of two inputs, unless the wire between is kept.
    """
    sums = [node for node in net.nodes() if node.op is OpCode.SUM]
    stage = {node.id: node.stage for node in sums}
    return {row for node in sums for row in node.operands if stage.get(row) == node.stage}


def _declare(node: Node, expression: str | None = None) -> str:
    value = "" if expression is None else f" = {expression}"
    origin = f"{node.op.name.lower()} {'s' if node.signed else 'u'}{node.width}"
    return f"  wire {_range(node.width)}n{node.id}{value};  // %{node.id} {comment_text(origin)}, stage {node.stage}"


def _part(name: str, width: int, low: int, count: int, *, vector: bool = False) -> str:
    """Some bits of a signal; ``vector`` says that it has a range even when it has one bit."""
    if low == 0 and count == width:
        return name
    if width == 1 and not vector:
        return name
    return f"{name}[{low}]" if count == 1 else f"{name}[{low + count - 1}:{low}]"


def _shifted(name: str, width: int, signed: bool, shift: int, out_width: int) -> str | None:
    """The operand times ``2**shift`` in exactly ``out_width`` bits, or ``None`` when no bit is left."""
    room = out_width - shift
    if room <= 0:
        return None
    parts = [_part(name, width, 0, min(width, room))]
    if room > width:
        sign = _part(name, width, width - 1, 1)
        parts.insert(0, f"{{{room - width}{{{sign}}}}}" if signed else literal(0, room - width))
    if shift:
        parts.append(literal(0, shift))
    return parts[0] if len(parts) == 1 else "{" + ", ".join(parts) + "}"


def _threshold(node: Node, operand: str) -> str:
    """An unsigned comparison; a signed operand and its constant are both moved up by half the range."""
    width, signed = node.operand_widths[0], node.operand_signed[0]
    lowest = code_range(width, signed).lo
    if node.imm == lowest:
        return literal(1, 1)
    moved = f"({operand} ^ {literal(1 << (width - 1), width)})" if signed else operand
    compare = "==" if node.imm == code_range(width, signed).hi else ">="
    return f"{moved} {compare} {literal(node.imm - lowest, width)}"
