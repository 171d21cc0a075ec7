"""The gates of a circuit as C: one statement a gate, in functions of bounded length that hand values on in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from lutnet.backends.c_logic import FALSE, Kind, Logic, LogicNode
from lutnet.backends.c_lower import Circuit
from lutnet.backends.c_ternary import expression_of
from lutnet.tables import TruthTable

__all__ = ["Body", "body_of", "entry_bits", "order_of"]

PART_GATES = 100
"""Gates of one function: 50,000 gates compile in 9 s with 100 or 200, in 16 s with 800, and are slower then."""

_UNIT_PARTS = 100
"""Functions of one unit."""

_PER_LINE = 16

_PARAMETERS = "(const vec *in, vec *out, vec *slot)"


@dataclass(frozen=True)
class Body:
    """The text of a circuit.

    Attributes:
        tables: Definitions of the tables that are read sample by sample.
        parts: Definitions of the functions, in the order of their calls.
        macros: Definitions of the functions of three bits.
        declarations: Their declarations.
        n_units: Groups of functions that may be compiled side by side.
        calls: The calls.
        n_slots: Vectors of memory that the functions hand values on in.
        n_gates: Gates written.
        entry_bits: Widths of the entries of the tables that are read sample by sample: 8, 16 or 32.
    """

    tables: str
    parts: str
    macros: str
    declarations: str
    n_units: int
    calls: str
    n_slots: int
    n_gates: int
    entry_bits: tuple[int, ...]


def body_of(circuit: Circuit, top: str) -> Body:
    """The functions that compute ``out`` from ``in``, both arrays of bit planes.

    Args:
        circuit: The gates.
        top: What every name starts with.
    """
    writer = _Writer(circuit, top)
    texts = [writer.part(number) for number in range(len(writer.parts))]
    lookups = sorted({writer.logic.nodes[n].a for n in writer.order if writer.logic.nodes[n].kind is Kind.PIN})
    return Body(
        tables="\n".join(writer.table(number) for number in lookups),
        parts=_in_units(texts),
        macros=_macros(
            writer.logic.nodes[n].function for n in writer.order if writer.logic.nodes[n].kind is Kind.TERNARY
        ),
        declarations="\n".join(f"LUTNET_PART void {top}_part{n}{_PARAMETERS};" for n in range(len(texts))),
        n_units=-(-len(texts) // _UNIT_PARTS),
        calls="\n".join(f"    {top}_part{number}(in, out, slot);" for number in range(len(texts))),
        n_slots=writer.n_slots,
        n_gates=sum(writer.logic.nodes[n].kind is not Kind.PIN for n in writer.order),
        entry_bits=tuple(sorted({entry_bits(writer.logic.lookups[n].table) for n in lookups})),
    )


def _in_units(texts: list[str]) -> str:
    """The functions, each group of them left out where another unit is compiled."""
    groups = [texts[i : i + _UNIT_PARTS] for i in range(0, len(texts), _UNIT_PARTS)]
    return "\n".join("\n".join([f"#if LUTNET_HAS({unit})", *group, "#endif"]) for unit, group in enumerate(groups))


def entry_bits(table: TruthTable) -> int:
    """Bits of the narrowest unsigned integer of C that holds an entry."""
    return next(bits for bits in (8, 16, 32) if table.out_width <= bits)


def order_of(logic: Logic, outputs: tuple[int, ...]) -> list[int]:
    """The gates that the outputs need, each behind what it reads and close to its first reader."""
    order: list[int] = []
    done: set[int] = set()
    pins: dict[int, list[int]] = {}
    for number, node in enumerate(logic.nodes):
        if node.kind is Kind.PIN:
            pins.setdefault(node.a, []).append(number)
    stack = [(literal >> 1, False) for literal in reversed(outputs)]
    while stack:
        number, ready = stack.pop()
        node = logic.nodes[number]
        if number in done or node.kind in (Kind.CONST, Kind.INPUT):
            continue
        if ready:
            group = pins[node.a] if node.kind is Kind.PIN else [number]
            order += group
            done.update(group)
            continue
        stack.append((number, True))
        stack += [(literal >> 1, False) for literal in reversed(_reads(logic, node))]
    return order


def _reads(logic: Logic, node: LogicNode) -> tuple[int, ...]:
    return logic.lookups[node.a].address if node.kind is Kind.PIN else node.literals


@dataclass
class _Part:
    """Gates of one function, and the slots that its values are kept in for later ones."""

    gates: list[int]
    kept: dict[int, int] = field(default_factory=dict)
    loaded: dict[int, int] = field(default_factory=dict)


class _Writer:
    """Orders the gates, divides them into functions, and writes each."""

    def __init__(self, circuit: Circuit, top: str) -> None:
        self.logic = circuit.logic
        self.top = top
        self.outputs = circuit.outputs
        self.order = order_of(self.logic, circuit.outputs)
        self.parts = [_Part(gates) for gates in self._divided()] or [_Part([])]
        self.n_slots = self._place()
        self.ports: dict[int, list[int]] = {}
        for port, literal in enumerate(circuit.outputs):
            self.ports.setdefault(literal >> 1, []).append(port)

    # -- memory ------------------------------------------------------------------------------------------------------

    def _divided(self) -> list[list[int]]:
        """Runs of gates; the bits of one lookup stay together."""
        runs: list[list[int]] = []
        last: LogicNode | None = None
        for number in self.order:
            node = self.logic.nodes[number]
            together = last is not None and node.kind is last.kind is Kind.PIN and node.a == last.a
            if not runs or (len(runs[-1]) >= PART_GATES and not together):
                runs.append([])
            runs[-1].append(number)
            last = node
        return runs

    def _place(self) -> int:
        """Gives a slot to every value that a later function reads; a slot is used again behind its last reader."""
        home = {number: place for place, part in enumerate(self.parts) for number in part.gates}
        last_reader = dict(home)
        for place, part in enumerate(self.parts):
            for number in part.gates:
                for literal in _reads(self.logic, self.logic.nodes[number]):
                    if literal >> 1 in home:
                        last_reader[literal >> 1] = place
        slot_of: dict[int, int] = {}
        free: list[int] = []
        ending: dict[int, list[int]] = {}
        n_slots = 0
        for place, part in enumerate(self.parts):
            for number in part.gates:
                if last_reader[number] > place:
                    if not free:
                        free.append(n_slots)
                        n_slots += 1
                    slot_of[number] = part.kept[number] = free.pop()
                    ending.setdefault(last_reader[number], []).append(slot_of[number])
                for literal in _reads(self.logic, self.logic.nodes[number]):
                    if home.get(literal >> 1, place) != place:
                        part.loaded[literal >> 1] = slot_of[literal >> 1]
            free += ending.pop(place, [])
        return n_slots

    # -- text --------------------------------------------------------------------------------------------------------

    def table(self, number: int) -> str:
        """A table as an array."""
        table = self.logic.lookups[number].table
        codes = [f"{code}u" for code in table.codes.tolist()]
        rows = [", ".join(codes[i : i + _PER_LINE]) for i in range(0, len(codes), _PER_LINE)]
        body = ",\n    ".join(rows)
        return f"static const uint{entry_bits(table)}_t {self.top}_table{number}[{len(codes)}] = {{\n    {body}}};\n"

    def part(self, number: int) -> str:
        """One function."""
        part = self.parts[number]
        lines = [f"    const vec n{n} = slot[{slot}];" for n, slot in part.loaded.items()]
        inputs = dict.fromkeys(
            literal >> 1
            for n in part.gates
            for literal in _reads(self.logic, self.logic.nodes[n])
            if self.logic.nodes[literal >> 1].kind is Kind.INPUT
        )
        lines += [f"    const vec n{n} = in[{self.logic.nodes[n].a}];" for n in inputs]
        for n in part.gates:
            lines += self._gate(n)
            if n in part.kept:
                lines.append(f"    slot[{part.kept[n]}] = n{n};")
            lines += [f"    out[{port}] = {_name(self.outputs[port])};" for port in self.ports.get(n, ())]
        if number == len(self.parts) - 1:
            lines += self._wires()
        lines += ["    (void)in;", "    (void)out;", "    (void)slot;"]
        head = f"LUTNET_PART void {self.top}_part{number}{_PARAMETERS}"
        return "\n".join([head, "{", *lines, "}", ""])

    def _wires(self) -> list[str]:
        """Outputs that no gate drives."""
        lines = []
        for number, ports in self.ports.items():
            node = self.logic.nodes[number]
            if node.kind not in (Kind.CONST, Kind.INPUT):
                continue
            for port in ports:
                flip = "~" if self.outputs[port] & 1 else ""
                source = f"in[{node.a}]" if node.kind is Kind.INPUT else "LUTNET_ZERO"
                lines.append(f"    out[{port}] = {flip}{source};")
        return lines

    def _gate(self, number: int) -> list[str]:
        node = self.logic.nodes[number]
        if node.kind is Kind.PIN:
            return self._pin(number, node)
        return [f"    const vec n{number} = {_expression(node)};"]

    def _pin(self, number: int, node: LogicNode) -> list[str]:
        """The first bit of a lookup reads the table; the others only take their plane."""
        lookup = self.logic.lookups[node.a]
        lines = []
        if node.b == 0:
            lines.append(f"    vec t{node.a}[64];")
            for bit, literal in enumerate(lookup.address):
                value = _name(literal) if literal > 1 else "LUTNET_ZERO" if literal == FALSE else "~LUTNET_ZERO"
                lines.append(f"    t{node.a}[{bit}] = {value};")
            lines.append(
                f"    lookup{entry_bits(lookup.table)}({self.top}_table{node.a}, {len(lookup.address)}, t{node.a});"
            )
        return [*lines, f"    const vec n{number} = t{node.a}[{node.b}];"]


def _name(literal: int) -> str:
    return f"{'~' if literal & 1 else ''}n{literal >> 1}"


def _expression(node: LogicNode) -> str:
    names = [_name(literal) for literal in node.literals]
    if node.kind is Kind.AND:
        return f"{names[0]} & {names[1]}"
    if node.kind is Kind.XOR:
        return f"{names[0]} ^ {names[1]}"
    return f"T{node.function:02X}({', '.join(names)})"


def _macros(functions: Iterable[int]) -> str:
    """One macro for each function of three bits, with and without the processor's own instruction."""
    used = sorted(set(functions))
    native = [f"#define T{f:02X}(a, b, c) LUTNET_TERNARY(a, b, c, 0x{f:02X})" for f in used]
    plain = [f"#define T{f:02X}(a, b, c) {expression_of(f)}" for f in used]
    return "\n".join(["#ifdef LUTNET_TERNARY", *native, "#else", *plain, "#endif"]) if used else ""
