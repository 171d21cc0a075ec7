"""Retiming against one register a layer on trained netlists: register bits, longest stage, and the clock after place and route.

    python benchmarks/retime.py --runs build/bench

Reads the compiled netlists of the other benchmarks. The table is written to benchmarks/retime.md, the rows to benchmarks/retime.json. Rows
that are in the file already are kept unless --again is given. Function and latency of every row are compared and proved.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from lutnet.backends import Verilog, write_files
from lutnet.cost import ECP5
from lutnet.ir import Netlist, load_design
from lutnet.ir.registers import register_bits
from lutnet.ir.timing import critical_path, stage_levels
from lutnet.passes import Pass, Pipeline, Retime
from lutnet.tools.nextpnr import place_and_route_ecp5
from lutnet.verify.formal import prove_rtl

__all__ = ["main"]

HERE = Path(__file__).resolve().parent

PLACED = ("jsc-s", "jets-additive-s")
"""Small designs, placed and routed."""

NETLISTS = (
    *PLACED,
    "unsw-trees",
    "jets-additive-m",
    "jets-additive-l",
    "jets-trees",
    "jsc-m",
    "jsc-l",
    "mnist-dwn-sm",
    "mnist-dwn-md",
    "mnist-dwn-lg",
)

PLACER_SEEDS = (1, 2, 3)

HEAD = (
    "netlist",
    "passes",
    "latency",
    "register bits",
    "of one a layer",
    "levels a stage",
    "model ns",
    "FFs",
    "nextpnr ns",
    "seconds",
)

TEXT = """\
# Retiming

Trained netlists, compiled with the default passes, then registered in six ways. `pipeline` has one register after each layer.
`retime{every=1}` keeps one level a stage and moves registers only where the latency leaves room. `retime{stages=L,device=ecp5}`
keeps the latency and asks for the shortest possible longest stage under the delay model of ECP5; where one node, such as the argmax, is
slower than several layers, that lets several levels share a stage, and part of the latency is then idle registers at the narrowest places.
`retime{period_ns=P,device=ecp5}` asks for the model period P of the pipeline and takes the latency that this needs.
The last two rows compare registers after every second layer with the same latency under the delay model.

`register bits` is lutnet's own count, `FFs` yosys's after `synth_ecp5`, `nextpnr ns` the clock period after place and route on ECP5
85k, speed grade 6: median over three seeds of the placer, lowest and highest in brackets; small designs only. `model ns` is
the longest stage in lutnet's delay model. Every row is the netlist before with other stages and nothing else
changed; function and latency of the RTL of every placed row are proved. yosys has more registers than the count where it takes a
`case` table for a ROM and moves the registers of its address behind it (jets-additive-s; with `lut6` tables it has
179 for 181). The argmax alone is the slowest path of jets-additive-s with one register a layer and with the latency of ten cycles retimed.
"""


def variants(net: Netlist) -> list[Pass]:
    """The passes to compare; the first one is what the others are measured against."""
    layered = Pipeline(every=1)(net)
    period_ns = critical_path(layered, ECP5).period_ns
    halved = Pipeline(every=2)
    return [
        Pipeline(every=1),
        Retime(every=1),
        Retime(stages=layered.latency_cycles, device="ecp5"),
        Retime(period_ns=period_ns, device="ecp5"),
        halved,
        Retime(stages=halved(net).latency_cycles, device="ecp5"),
    ]


def row_of(name: str, net: Netlist, item: Pass, place: bool) -> dict[str, Any]:
    """The figures of one netlist after one pass."""
    start = time.perf_counter()
    timed = item(net)
    seconds = time.perf_counter() - start
    row: dict[str, Any] = {
        "netlist": name,
        "passes": str(item),
        "latency_cycles": timed.latency_cycles,
        "register_bits": register_bits(timed),
        "levels_per_stage": stage_levels(timed),
        "model_ns": critical_path(timed, ECP5).period_ns,
        "pass_s": round(seconds, 2),
        "unchanged_but_stages": timed.with_stages(net.stage, net.latency_cycles) == net,
        "proof": None,
        "ffs": None,
        "nextpnr_ns": [],
    }
    if place:
        back = Verilog()
        files = back.emit(timed)
        proof = prove_rtl(timed, files, back.interface(timed))
        row["proof"] = f"{proof.status}, {proof.scope}, latency {'proved' if proof.latency_proved else 'not proved'}"
        for seed in PLACER_SEEDS:
            with tempfile.TemporaryDirectory(prefix="lutnet-retime-") as folder:
                write_files(files, Path(folder))
                found = place_and_route_ecp5(
                    [Path(folder) / "lutnet_top.v"], "lutnet_top", folder, timeout_s=900, seed=seed
                )
            row["ffs"] = found.ffs
            row["nextpnr_ns"].append(None if found.fmax_mhz is None else round(1000 / found.fmax_mhz, 2))
    return row


def write_table(rows: list[dict[str, Any]]) -> None:
    """Writes rows and table beside the scripts."""
    (HERE / "retime.json").write_text(json.dumps(rows, indent=2) + "\n")
    lines = [TEXT, "| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD)]
    layered = {row["netlist"]: row["register_bits"] for row in rows if row["passes"] == "pipeline"}
    lines += ["| " + " | ".join(_cells(row, layered[row["netlist"]])) + " |" for row in rows]
    lines += ["", "Made by `python benchmarks/retime.py --runs build/bench`.", ""]
    (HERE / "retime.md").write_text("\n".join(lines))


def _cells(row: dict[str, Any], layered: int) -> list[str]:
    periods = [period for period in row["nextpnr_ns"] if period is not None]
    spread = f"{statistics.median(periods):.2f} ({min(periods):.2f} to {max(periods):.2f})" if periods else ""
    return [
        row["netlist"],
        f"`{row['passes']}`",
        str(row["latency_cycles"]),
        f"{row['register_bits']:,}",
        f"{row['register_bits'] / layered:.2f}",
        str(row["levels_per_stage"]),
        f"{row['model_ns']:.2f}",
        "" if row["ffs"] is None else f"{row['ffs']:,}",
        spread,
        f"{row['pass_s']:.2f}",
    ]


def main() -> int:
    """Fills the table netlist by netlist."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", default="build/bench", help="folder of the trained runs")
    parser.add_argument("--netlists", nargs="+", default=list(NETLISTS))
    parser.add_argument("--again", action="store_true", help="make rows anew that are in the file already")
    args = parser.parse_args()
    kept = json.loads((HERE / "retime.json").read_text()) if (HERE / "retime.json").is_file() and not args.again else []
    known = {(row["netlist"], row["passes"]): row for row in kept}
    rows = []
    for name in args.netlists:
        net = load_design(Path(args.runs) / f"{name}-seed0" / "netlist.npz").netlist
        for item in variants(net):
            row = known.get((name, str(item))) or row_of(name, net, item, name in PLACED)
            rows.append(row)
            print(" ".join(_cells(row, rows[-1]["register_bits"])), flush=True)
            write_table([*rows, *(old for old in kept if old["netlist"] not in {r["netlist"] for r in rows})])
    return 0


if __name__ == "__main__":
    sys.exit(main())
