"""Single tables: what `decompose` makes of them beside the closed form and plain yosys, random and trained ones.

    python benchmarks/tables.py --runs build/bench

The trained tables are neurons of compiled runs (benchmarks/jets.py makes them). Every decomposition is proved on every input. The table is
written to benchmarks/tables.md, one row a table to benchmarks/tables.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from lutnet import Netlist, NetlistBuilder, TruthTable
from lutnet.backends import Verilog
from lutnet.cost import XCVU9P, muxed_table_luts
from lutnet.cost.packing import packed_luts
from lutnet.ir import load_design
from lutnet.ir.estimate import estimate_luts
from lutnet.passes import parse_passes, run_passes
from lutnet.tools.yosys import read_sources, run_yosys
from lutnet.verify.prove import prove_netlists

HERE = Path(__file__).resolve().parent
PASSES = "narrow,decompose,fold,narrow,fold,dedupe,dce"
SIZES = range(8, 15)
BATCH = 20

SCRIPT = """\
{sources}
hierarchy -top all
setattr -mod -set keep_hierarchy 1 {modules}
synth_xilinx -family xcup -flatten -noiopad -noclkbuf -nodsp -nobram -nolutram -nosrl -top all
tee -q -o stat.json stat -json
"""


@dataclass(frozen=True)
class Row:
    """One table: counts of lookup tables with dual-output packing."""

    kind: str
    address_bits: int
    out_bits: int
    closed_form: int
    plain_yosys: int
    decomposed: int
    estimate: int
    proof: str


def main() -> int:
    """Makes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", default="build/bench", help="folder of compiled runs")
    parser.add_argument("--count", type=int, default=200, help="tables of each kind")
    args = parser.parse_args()
    rows: list[Row] = []
    seconds = {"plain yosys": 0.0, "decomposed": 0.0}
    for kind, tables in (
        ("random", random_tables(args.count)),
        ("trained", trained_tables(Path(args.runs), args.count)),
    ):
        for first in range(0, len(tables), BATCH):
            rows += measure(kind, tables[first : first + BATCH], seconds)
            write(rows, seconds)
            print(f"{kind}: {min(first + BATCH, len(tables))} of {len(tables)}", flush=True)
    return 0


def random_tables(count: int) -> list[TruthTable]:
    """Uniform random tables of 8 to 14 address bits and one to three output bits."""
    found = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        n, width = SIZES[seed % len(SIZES)], 1 + seed % 3
        found.append(TruthTable((n,), width, rng.integers(0, 1 << width, 1 << n)))
    return found


def trained_tables(runs: Path, count: int) -> list[TruthTable]:
    """Distinct neurons of 8 to 14 address bits from all compiled runs, spread evenly."""
    found: dict[TruthTable, None] = {}
    for path in sorted(runs.glob("jsc-*/netlist.npz")):
        found.update(dict.fromkeys(t for t in load_design(path).netlist.tables if t.address_bits in SIZES))
    every = sorted(found, key=lambda table: (table.address_bits, table.key))
    if len(every) < count:
        sys.exit(
            f"{runs} has {len(every)} trained tables of 8 to 14 address bits, {count} are wanted; run benchmarks/jets.py"
        )
    rare = [table for table in every if table.address_bits != 12]
    return rare[:count] + [table for table in every if table.address_bits == 12][: max(0, count - len(rare))]


def measure(kind: str, tables: list[TruthTable], seconds: dict[str, float]) -> Iterator[Row]:
    """Counts and proofs of some tables."""
    plain = [single(table) for table in tables]
    small = [run_passes(net, parse_passes(PASSES))[0] for net in plain]
    start = time.perf_counter()
    counts = counted(plain, "case")
    seconds["plain yosys"] += time.perf_counter() - start
    start = time.perf_counter()
    ours = counted(small, "wide")
    seconds["decomposed"] += time.perf_counter() - start
    for table, before, after, a, b in zip(tables, plain, small, counts, ours, strict=True):
        yield Row(
            kind,
            table.address_bits,
            table.out_width,
            muxed_table_luts(table.address_bits, table.out_width, XCVU9P),
            a,
            b,
            estimate_luts(after).luts,
            prove_netlists(before, after).status,
        )


def single(table: TruthTable) -> Netlist:
    """A netlist that is one table."""
    builder = NetlistBuilder()
    builder.output(builder.lut(table, [builder.input(width) for width in table.in_widths]))
    return builder.build()


def counted(nets: list[Netlist], style: str) -> list[int]:
    """Lookup tables of each netlist, all of them in one run of yosys, none merged with another."""
    with tempfile.TemporaryDirectory(prefix="lutnet-tables-") as name:
        folder = Path(name)
        texts, instances, ports, low_in, low_out = [], [], [], 0, 0
        for i, net in enumerate(nets):
            texts += [
                text for path, text in Verilog(top=f"d{i}", tables=style).emit(net).items() if path.suffix == ".v"
            ]
            n_in, n_out = sum(net.input_widths), sum(net.output_widths)
            instances.append(
                f"  d{i} i{i} (.in_data(a[{low_in + n_in - 1}:{low_in}]), .out_data(y[{low_out + n_out - 1}:{low_out}]));"
            )
            low_in, low_out = low_in + n_in, low_out + n_out
        ports = [f"input wire [{low_in - 1}:0] a", f"output wire [{low_out - 1}:0] y"]
        texts.append("\n".join([f"module all ({', '.join(ports)});", *instances, "endmodule\n"]))
        (folder / "all.v").write_text("\n".join(texts))
        modules = " ".join(f"d{i}" for i in range(len(nets)))
        run_yosys(SCRIPT.format(sources=read_sources([folder / "all.v"]), modules=modules), cwd=folder, timeout_s=3600)
        stat = json.loads((folder / "stat.json").read_text())["modules"]
    return [packed_luts(cells(stat[f"\\d{i}"]["num_cells_by_type"])) for i in range(len(nets))]


def cells(by_type: dict[str, int]) -> dict[int, int]:
    """Lookup table cells by number of inputs."""
    return {size: by_type.get(f"LUT{size}", 0) for size in range(1, 7)}


def write(rows: list[Row], seconds: dict[str, float]) -> None:
    """The rows as JSON and what they say as a table."""
    (HERE / "tables.json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    head = (
        "kind",
        "address bits",
        "tables",
        "closed form",
        "plain yosys",
        "decomposed",
        "estimate",
        "above closed form",
        "above yosys + 2 %",
        "proved",
    )
    lines = [
        "# Single tables",
        "",
        "Lookup tables by yosys for UltraScale+, dual-output packing counted, sums over the tables of a row. The closed form",
        "counts leaves of six inputs behind MUXF7, MUXF8 and MUXF9. Plain yosys maps the table as a `case` statement; the",
        "decomposition is written in the style `wide`.",
        "",
        "| " + " | ".join(head) + " |",
        "|" + " --- |" * len(head),
    ]
    for kind in dict.fromkeys(row.kind for row in rows):
        for bits in sorted({row.address_bits for row in rows if row.kind == kind}):
            some = [row for row in rows if (row.kind, row.address_bits) == (kind, bits)]
            sums = [
                sum(getattr(row, key) for row in some)
                for key in ("closed_form", "plain_yosys", "decomposed", "estimate")
            ]
            above = (
                sum(row.decomposed > row.closed_form for row in some),
                sum(row.decomposed > 1.02 * row.plain_yosys for row in some),
            )
            proved = sum(row.proof == "proved" for row in some)
            figures = (kind, bits, len(some), *(f"{n:,}" for n in sums), *above, proved)
            lines.append("| " + " | ".join(map(str, figures)) + " |")
    ratio = seconds["decomposed"] / max(seconds["plain yosys"], 1e-9)
    lines += [
        "",
        f"yosys takes {ratio:.2f} times as long for the decompositions as for the plain tables.",
        "",
        "Made by `python benchmarks/tables.py --runs build/bench`.",
        "",
    ]
    (HERE / "tables.md").write_text("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
