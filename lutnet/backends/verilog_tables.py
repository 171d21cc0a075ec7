"""Truth tables as Verilog modules, in four styles of the same function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from lutnet.backends.templates import read_template
from lutnet.tables import TruthTable

__all__ = ["TABLE_STYLES", "literal", "table_module"]

_PER_LINE = 8
_MUX4_INIT = sum(1 << a for a in range(64) if (a >> (a >> 4)) & 1)
_MUX2_INIT = sum(1 << a for a in range(64) if (a >> ((a >> 2) & 1)) & 1)


def literal(value: int, width: int) -> str:
    """A sized hexadecimal literal."""
    return f"{width}'h{value:x}"


def table_module(table: TruthTable, index: int, module: str, style: str) -> str:
    """The module of a table: input ``a`` is the packed address, output ``y`` the code."""
    return TABLE_STYLES[style](table, index, module)


def _common(table: TruthTable, index: int, module: str) -> dict[str, object]:
    return {
        "table": index,
        "module": module,
        "widths": " ".join(map(str, table.in_widths)),
        "out_width": table.out_width,
        "address_high": table.address_bits - 1,
        "out_high": table.out_width - 1,
    }


def _case(table: TruthTable, index: int, module: str) -> str:
    """Addresses grouped by code; the most frequent code is the default."""
    codes = table.codes.astype(np.int64)
    distinct, counts = np.unique(codes, return_counts=True)
    default = int(distinct[np.argmax(counts)])
    items = []
    for code in distinct.tolist():
        if code == default:
            continue
        labels = [literal(a, table.address_bits) for a in np.flatnonzero(codes == code).tolist()]
        lines = [", ".join(labels[i : i + _PER_LINE]) for i in range(0, len(labels), _PER_LINE)]
        items.append("      " + ",\n      ".join(lines) + f": y = {literal(code, table.out_width)};")
    return read_template("verilog/table_case.v").substitute(
        _common(table, index, module), items="\n".join(items), default=literal(default, table.out_width)
    )


def _indexed(table: TruthTable, index: int, module: str) -> str:
    lines = []
    for bit in range(table.out_width):
        contents = _contents((table.codes >> bit) & 1)
        lines.append(f"  localparam [{table.n_entries - 1}:0] T{bit} = {literal(contents, table.n_entries)};")
    lines += [f"  assign y[{bit}] = T{bit}[a];" for bit in range(table.out_width)]
    return read_template("verilog/table_indexed.v").substitute(_common(table, index, module), bits="\n".join(lines))


def _lut6(table: TruthTable, index: int, module: str) -> str:
    return _primitives(table, index, module, 8)


def _wide(table: TruthTable, index: int, module: str) -> str:
    """Output bits of six inputs and more are primitives; synthesis is free to merge what is smaller."""
    if table.address_bits < 6:
        return _case(table, index, module)
    lines: list[str] = []
    idle = set(range(table.address_bits))
    for bit in range(table.out_width):
        places, column = _on_support((table.codes >> bit) & 1)
        idle -= set(places)
        if len(places) < 6:
            address = ", ".join(f"a[{place}]" for place in reversed(places))
            lines += [f"  localparam [{len(column) - 1}:0] T{bit} = {literal(_contents(column), len(column))};"]
            value = f"T{bit}[{{{address}}}]" if places else f"T{bit}"
        else:
            pins = [f"a[{place}]" for place in places]
            value = _Cells(f"b{bit}", pins, lines, 9).build(column.astype(np.uint8))
        lines.append(f"  assign y[{bit}] = {value};")
    if idle:
        lines.append(f"  wire unused_bits = &{{1'b0, {', '.join(f'a[{place}]' for place in sorted(idle))}}};")
    return read_template("verilog/table_lut6.v").substitute(_common(table, index, module), cells="\n".join(lines))


def _on_support(column: npt.NDArray[np.integer]) -> tuple[list[int], npt.NDArray[np.integer]]:
    """Address bits that a one-bit table depends on, and the table of these alone."""
    places = list(range((len(column) - 1).bit_length()))
    for place in reversed(range(len(places))):
        pairs = column.reshape(-1, 2, 1 << place)
        if np.array_equal(pairs[:, 0], pairs[:, 1]):
            column = pairs[:, 0].reshape(-1)
            del places[place]
    return places, column


def _primitives(table: TruthTable, index: int, module: str, widest_mux: int) -> str:
    lines: list[str] = []
    pins = [f"a[{place}]" for place in range(table.address_bits)]
    for bit in range(table.out_width):
        column = ((table.codes >> bit) & 1).astype(np.uint8)
        lines.append(f"  assign y[{bit}] = {_Cells(f'b{bit}', pins, lines, widest_mux).build(column)};")
    return read_template("verilog/table_lut6.v").substitute(_common(table, index, module), cells="\n".join(lines))


class _Cells:
    """Writes the primitives of one output bit: 6-input leaves, MUXF7 to the widest one, then multiplexers in lookup tables."""

    def __init__(self, prefix: str, pins: list[str], lines: list[str], widest_mux: int) -> None:
        self.prefix = prefix
        self.pins = pins
        self.lines = lines
        self.widest_mux = widest_mux
        self.count = 0

    def build(self, column: npt.NDArray[np.uint8]) -> str:
        """The wire that carries the function whose values are ``column``, shape ``(2**n,)``."""
        n = (len(column) - 1).bit_length()
        if n <= 6:
            init = _contents(np.tile(column, 64 // len(column)))
            pins = [self.pins[i] if i < n else "1'b0" for i in range(6)]
            return self._lut(init, pins)
        if n <= self.widest_mux:
            low, high = (self.build(half) for half in np.split(column, 2))
            return self._instance(f"MUXF{n}", {"I0": low, "I1": high, "S": self.pins[n - 1]})
        if (n - self.widest_mux) % 2:
            low, high = (self.build(half) for half in np.split(column, 2))
            return self._lut(_MUX2_INIT, [low, high, self.pins[n - 1], "1'b0", "1'b0", "1'b0"])
        quarters = [self.build(quarter) for quarter in np.split(column, 4)]
        return self._lut(_MUX4_INIT, [*quarters, self.pins[n - 2], self.pins[n - 1]])

    def _lut(self, init: int, pins: list[str]) -> str:
        return self._instance(f"LUT6 #(.INIT(64'h{init:016x}))", {f"I{i}": pin for i, pin in enumerate(pins)})

    def _instance(self, cell: str, pins: Mapping[str, str]) -> str:
        wire = f"{self.prefix}_{self.count}"
        self.count += 1
        connections = ", ".join(f".{pin}({net})" for pin, net in pins.items())
        self.lines += [f"  wire {wire};", f"  {cell} {wire}_cell (.O({wire}), {connections});"]
        return wire


def _contents(column: npt.NDArray[np.integer]) -> int:
    """The entries of a one-bit table as one integer, address 0 in bit 0."""
    packed = np.packbits(column.astype(np.uint8), bitorder="little")
    return int.from_bytes(packed.tobytes(), "little")


TABLE_STYLES: Mapping[str, Callable[[TruthTable, int, str], str]] = MappingProxyType(
    {"case": _case, "indexed": _indexed, "lut6": _lut6, "wide": _wide}
)
"""Ways to write a table: ``case`` statement; indexed constant per output bit; AMD primitives LUT6, MUXF7 and MUXF8; or output bits of up to
five inputs as constants and wider ones as primitives LUT6 with MUXF7, MUXF8 and MUXF9 (UltraScale+)."""
