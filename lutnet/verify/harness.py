"""Generated Verilog around designs under test: many designs as one, and all tables of a design side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lutnet.backends.interface import RtlInterface
from lutnet.errors import UserError
from lutnet.tables import TruthTable

__all__ = ["Batch", "Sweep", "batch_of", "sweeps_of"]

_SWEEP_ENTRIES = 1 << 20
_SWEEP_BITS = 1 << 26


@dataclass(frozen=True)
class Batch:
    """Several designs in one module.

    Attributes:
        verilog: The module; its ports are ``in_data`` and ``out_data`` of the designs, design 0 in the least significant bits.
        interface: Its ports. With ``valid`` the output after those of a design is its ``out_valid``, which is 1 with every sample.
    """

    verilog: str
    interface: RtlInterface


def batch_of(top: str, designs: Sequence[RtlInterface]) -> Batch:
    """Instantiates designs of distinct names side by side and delays the outputs of each to the largest latency.

    ``out_valid`` is high when any design says so: a design whose valid bit comes early, late or without a sample shows in its own output.

    Raises:
        UserError: There are none, two have one name, or their control ports differ.
    """
    _check_batch(designs)
    latency = max(face.latency_cycles for face in designs)
    valid = designs[0].valid
    clocked = [face for face in designs if face.clocked]
    interface = RtlInterface(
        top=top,
        input_names=tuple(f"{face.top}_{name}" for face in designs for name in face.input_names),
        input_widths=tuple(width for face in designs for width in face.input_widths),
        output_names=tuple(f"{f.top}_{name}" for f in designs for name in (*f.output_names, *["out_valid"] * f.valid)),
        output_widths=tuple(width for face in designs for width in (*face.output_widths, *[1] * face.valid)),
        latency_cycles=latency,
        reset=any(face.reset for face in clocked),
        clock_enable=any(face.clock_enable for face in clocked),
        valid=valid,
    )
    lines = [f"module {top} (", *_ports(interface), ");"]
    low_in = low_out = 0
    valid_bits = []
    for i, face in enumerate(designs):
        width = face.out_bits + face.valid
        lines += _instance(i, face, low_in, latency - face.latency_cycles, interface)
        lines.append(f"  assign out_data[{low_out + width - 1}:{low_out}] = d{i}_{latency - face.latency_cycles};")
        valid_bits.append(f"out_data[{low_out + width - 1}]")
        low_in, low_out = low_in + face.in_bits, low_out + width
    if valid:
        lines.append(f"  assign out_valid = {' | '.join(valid_bits)};")
    return Batch("\n".join([*lines, "endmodule", ""]), interface)


@dataclass(frozen=True)
class Sweep:
    """Table modules side by side on one address port.

    Attributes:
        verilog: The module: ``in_data`` is the address, ``out_data`` the outputs, table 0 in the least significant bits.
        top: Its name.
        address_bits: Width of ``in_data``: that of the widest table; the others read its low bits.
        table_ids: Numbers of the tables in the order of their outputs.
        tables: The tables themselves.
    """

    verilog: str
    top: str
    address_bits: int
    table_ids: tuple[int, ...]
    tables: tuple[TruthTable, ...]


def sweeps_of(top: str, modules: Sequence[str], tables: Sequence[TruthTable]) -> list[Sweep]:
    """Modules that sweep all tables, the widest addresses first; few enough entries in each for a simulator to build."""
    order = sorted(range(len(tables)), key=lambda i: -tables[i].address_bits)
    groups: list[list[int]] = []
    entries = bits = 0
    for i in order:
        steps = tables[groups[-1][0]].n_entries if groups else 0
        if (
            not groups
            or entries + tables[i].n_entries > _SWEEP_ENTRIES
            or steps * (bits + tables[i].out_width) > _SWEEP_BITS
        ):
            groups.append([])
            entries = bits = 0
        groups[-1].append(i)
        entries, bits = entries + tables[i].n_entries, bits + tables[i].out_width
    return [_sweep(f"{top}{n}", group, modules, tables) for n, group in enumerate(groups)]


def _sweep(top: str, ids: Sequence[int], all_modules: Sequence[str], all_tables: Sequence[TruthTable]) -> Sweep:
    modules, tables = [all_modules[i] for i in ids], [all_tables[i] for i in ids]
    total = sum(table.out_width for table in tables)
    address_bits = tables[0].address_bits
    lines = [
        f"module {top} (",
        f"  input  wire [{address_bits - 1}:0] in_data,",
        f"  output wire [{total - 1}:0] out_data",
        ");",
    ]
    low = 0
    for i, (module, table) in enumerate(zip(modules, tables, strict=True)):
        high = low + table.out_width - 1
        lines.append(f"  {module} table{i} (.a(in_data[{table.address_bits - 1}:0]), .y(out_data[{high}:{low}]));")
        low = high + 1
    return Sweep("\n".join([*lines, "endmodule", ""]), top, address_bits, tuple(ids), tuple(tables))


def _check_batch(designs: Sequence[RtlInterface]) -> None:
    if not designs:
        raise UserError("a batch needs at least one design")
    if len({face.top for face in designs}) != len(designs):
        raise UserError(
            "the designs of a batch need top modules of distinct names; emit them with other values of 'top'"
        )
    controls = {(face.reset, face.clock_enable) for face in designs if face.clocked}
    if len(controls) > 1 or len({face.valid for face in designs}) > 1:
        raise UserError(
            "the designs of a batch must agree on reset, clock enable and valid; emit them with the same options"
        )


def _ports(face: RtlInterface) -> list[str]:
    names = ["clk"] * face.clocked + ["rst"] * face.reset + ["ce"] * face.clock_enable + ["in_valid"] * face.valid
    lines = [f"  input  wire {name}," for name in names]
    lines += ["  output wire out_valid,"] * face.valid
    return [*lines, f"  input  wire [{face.in_bits - 1}:0] in_data,", f"  output wire [{face.out_bits - 1}:0] out_data"]


def _instance(i: int, face: RtlInterface, low: int, delay: int, outer: RtlInterface) -> list[str]:
    """One design, and ``delay`` registers on its outputs that obey the controls of the batch."""
    high = face.out_bits + face.valid - 1
    names = ["clk"] * face.clocked + ["rst"] * face.reset + ["ce"] * face.clock_enable + ["in_valid"] * face.valid
    pins = [f".{name}({name})" for name in names]
    pins += [f".in_data(in_data[{low + face.in_bits - 1}:{low}])", f".out_data(d{i}_0[{face.out_bits - 1}:0])"]
    pins += [f".out_valid(d{i}_0[{high}])"] * face.valid
    lines = [f"  wire [{high}:0] d{i}_0;", f"  {face.top} d{i} ({', '.join(pins)});"]
    for n in range(1, delay + 1):
        clear = f"if (rst) d{i}_{n} <= 0; else " if outer.reset else ""
        move = ("if (ce) " if outer.clock_enable else "") + f"d{i}_{n} <= d{i}_{n - 1};"
        lines += [f"  reg  [{high}:0] d{i}_{n};", f"  always @(posedge clk) {clear}{move}"]
    return lines
