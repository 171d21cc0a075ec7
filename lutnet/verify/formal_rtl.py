"""What the proof needs of the Verilog: and-inverter graphs of the whole and of the tables, the network between the tables, and
how many registers every path crosses. Yosys reads the Verilog and makes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lutnet.backends.blif import TablePorts
from lutnet.backends.interface import RtlInterface
from lutnet.backends.templates import template_path
from lutnet.tools.yosys import run_yosys

__all__ = ["RtlModel", "TableInstance", "latencies", "read_rtl", "read_tables"]

_FFS = frozenset({"$dff", "$dffe", "$sdff", "$sdffe", "$sdffce"})

_WHOLE = """\
{sources}
hierarchy -check -top {top}
proc
memory_collect
techmap -map {rom} t:$mem_v2
setattr -mod -set keep_hierarchy 1 ={prefix}
flatten {top}
opt_expr {top}
opt_clean {top}
select {top}
write_json -selected design.json
select -clear
techmap -map {ff} {top}
setattr -mod -unset keep_hierarchy ={prefix}
write_aiger2 -strash -flatten whole.aig
expose -evert -sep . {top}/t:{prefix}
delete ={prefix} {others}
techmap {top}
aigmap {top}
opt_clean {top}
hierarchy -purge_lib -top {top}
write_blif network.blif
"""

_TABLES = """\
{sources}
hierarchy -check -top {top}
proc
memory_collect
techmap -map {rom} t:$mem_v2
write_aiger2 -strash -flatten tables.aig
"""


@dataclass(frozen=True)
class TableInstance:
    """One table in the Verilog.

    Attributes:
        table: Number in the name of its module.
        ports: Names of its bits in ``network.blif``.
    """

    table: int
    ports: TablePorts


@dataclass(frozen=True)
class RtlModel:
    """The Verilog of a design with transparent registers, reset low, enable high.

    Attributes:
        whole: AIGER file of the function: packed input (and ``in_valid``) to packed output (and ``out_valid``).
        network: BLIF file of everything but the tables.
        instances: Tables by node id, as instance names tell; a table that no output needs may be missing.
        foreign: Instances of tables whose names tell no node.
        latencies: Fewest and most registers on any path from an input bit to an output bit; ``None`` when no such path exists
            or a loop has no register.
    """

    whole: Path
    network: Path
    instances: Mapping[int, TableInstance]
    foreign: tuple[str, ...]
    latencies: tuple[int, int] | None


def read_rtl(texts: Mapping[str, str], interface: RtlInterface, folder: Path, *, timeout_s: float) -> RtlModel:
    """Lets yosys read the Verilog and write ``whole.aig``, ``network.blif`` and ``design.json`` into a folder.

    Raises:
        ToolError: Yosys is missing, failed, or ran out of time.
    """
    top = f"{interface.top}_proof"
    commands = _sources({**texts, f"{top}.v": _wrapper(interface, top)}, folder)
    ff = _quoted(template_path("verilog/transparent_ff.v"))
    prefix = f"{interface.top}_t[0123456789]*"
    others = f"={interface.top} ={interface.top}_argmax_*"
    script = _WHOLE.format(sources=commands, top=top, rom=_rom(), ff=ff, prefix=prefix, others=others)
    run_yosys(script, cwd=folder, timeout_s=timeout_s, name="whole")
    module = json.loads((folder / "design.json").read_text())["modules"][top]
    instances, foreign = _instances(module, interface.top)
    return RtlModel(folder / "whole.aig", folder / "network.blif", instances, foreign, latencies(module))


def read_tables(
    texts: Mapping[str, str], top: str, tables: Sequence[tuple[int, int, int]], folder: Path, *, timeout_s: float
) -> Path:
    """Lets yosys write the function of several table modules side by side as ``tables.aig``.

    Args:
        texts: Verilog by file name.
        top: Name of the design's top module.
        tables: Number, address bits and output bits of each table; the first one takes the least significant bits.
        folder: Working folder.
        timeout_s: Most wall-clock seconds.

    Raises:
        ToolError: Yosys is missing, failed, or ran out of time.
    """
    name = f"{top}_proof_tables"
    lines, a, y = [], 0, 0
    for table, address_bits, out_width in tables:
        pins = f".a(in_data[{a + address_bits - 1}:{a}]), .y(out_data[{y + out_width - 1}:{y}])"
        lines.append(f"  {top}_t{table} i{table} ({pins});")
        a, y = a + address_bits, y + out_width
    ports = f"input wire [{a - 1}:0] in_data, output wire [{y - 1}:0] out_data"
    wrapper = "\n".join([f"module {name} ({ports});", *lines, "endmodule", ""])
    commands = _sources({**texts, f"{name}.v": wrapper}, folder)
    script = _TABLES.format(sources=commands, top=name, rom=_rom())
    run_yosys(script, cwd=folder, timeout_s=timeout_s, name="tables")
    return folder / "tables.aig"


def latencies(module: Mapping[str, Any]) -> tuple[int, int] | None:
    """Fewest and most flip-flops on any path from ``in_data`` to ``out_data``.

    Args:
        module: A module of yosys's JSON: cells with port directions; every cell but flip-flops is combinational.
    """
    drivers: dict[int, tuple[int, list[int]]] = {}
    for cell in module["cells"].values():
        is_ff = cell["type"] in _FFS
        pins = {name: [b for b in bits if isinstance(b, int)] for name, bits in cell["connections"].items()}
        reads = [name for name, way in cell["port_directions"].items() if way == "input"]
        for name, way in cell["port_directions"].items():
            if way != "output":
                continue
            for place, bit in enumerate(cell["connections"][name]):
                source = cell["connections"]["D"][place : place + 1] if is_ff else [b for r in reads for b in pins[r]]
                drivers[bit] = (int(is_ff), [b for b in source if isinstance(b, int)])
    spans = _spans(drivers, {bit: (0, 0) for bit in module["ports"]["in_data"]["bits"]})
    if spans is None:
        return None
    found = [spans[bit] for bit in module["ports"]["out_data"]["bits"] if spans.get(bit) is not None]
    real = [span for span in found if span is not None]
    return (min(low for low, _ in real), max(high for _, high in real)) if real else None


def _spans(
    drivers: Mapping[int, tuple[int, list[int]]], known: dict[int, tuple[int, int] | None]
) -> dict[int, tuple[int, int] | None] | None:
    """Register counts of every bit that a driver reaches, ``None`` for constants; ``None`` altogether when there is a loop."""
    open_: set[int] = set()
    for root in drivers:
        stack = [root]
        while stack:
            bit = stack[-1]
            if bit in known or bit not in drivers:
                known.setdefault(bit, None)
                open_.discard(stack.pop())
                continue
            step, sources = drivers[bit]
            waiting = [source for source in sources if source not in known]
            if waiting and bit in open_:
                return None
            if waiting:
                open_.add(bit)
                stack += waiting
                continue
            spans = [span for span in map(known.__getitem__, sources) if span is not None]
            known[bit] = (min(s[0] for s in spans) + step, max(s[1] for s in spans) + step) if spans else None
    return known


def _instances(module: Mapping[str, Any], top: str) -> tuple[dict[int, TableInstance], tuple[str, ...]]:
    instances: dict[int, TableInstance] = {}
    foreign = []
    for name, cell in module["cells"].items():
        kind = re.fullmatch(rf"{top}_t(\d+)", cell["type"])
        if kind is None:
            continue
        node = re.fullmatch(r"u\.n(\d+)_table", name)
        if node is None:
            foreign.append(name)
            continue
        address, result = (_bit_names(f"{name}.{port}", len(cell["connections"][port])) for port in ("a", "y"))
        instances[int(node.group(1))] = TableInstance(int(kind.group(1)), TablePorts(address, result))
    return instances, tuple(foreign)


def _bit_names(port: str, width: int) -> tuple[str, ...]:
    """Names that yosys's BLIF gives the bits of a port."""
    return (port,) if width == 1 else tuple(f"{port}[{i}]" for i in range(width))


def _wrapper(face: RtlInterface, top: str) -> str:
    """A module with data ports only: reset low, enable high; the valid bit is the highest bit of the data."""
    pins = [f".in_data(in_data[{face.in_bits - 1}:0])", f".out_data(out_data[{face.out_bits - 1}:0])"]
    if face.clocked:
        pins.append(".clk(1'b0)")
    if face.reset:
        pins.append(".rst(1'b0)")
    if face.clock_enable:
        pins.append(".ce(1'b1)")
    if face.valid:
        pins += [f".in_valid(in_data[{face.in_bits}])", f".out_valid(out_data[{face.out_bits}])"]
    high_in, high_out = face.in_bits - 1 + face.valid, face.out_bits - 1 + face.valid
    ports = f"input wire [{high_in}:0] in_data, output wire [{high_out}:0] out_data"
    return f"module {top} ({ports});\n  {face.top} u ({', '.join(pins)});\nendmodule\n"


def _sources(texts: Mapping[str, str], folder: Path) -> str:
    """Writes the texts under names that no script can misread, and returns the commands that read them."""
    lines = []
    for place, text in enumerate(texts.values()):
        (folder / f"source{place}.v").write_text(text)
        lines.append(f"read_verilog source{place}.v")
    return "\n".join(lines)


def _rom() -> str:
    return _quoted(template_path("verilog/rom_select.v"))


def _quoted(path: Path) -> str:
    return f'"{path}"'
