"""What `lutnet opt` saves on trained networks, beside plain yosys, each result proved and taken through the whole ladder.

    python benchmarks/optimizer.py --runs build/bench --data jets_sim.npz

Works on copies of compiled runs (benchmarks/jets.py and its neighbours make them). The table is written to benchmarks/optimizer.md, the
rows to benchmarks/optimizer.json. Rows that are complete in the output folder are not repeated. The test set is not read.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from lutnet.ir import load_design
from lutnet.ir.estimate import estimate_luts
from lutnet.runs import RunFolder

HERE = Path(__file__).resolve().parent

CASES = (
    ("jsc-s-seed0", "area"),
    ("jsc-m-seed0", "fast"),
    ("jsc-m-seed0", "area"),
    ("jsc-m-seed0", "rare"),
    ("jsc-l-seed0", "fast"),
    ("jets-additive-s-seed0", "area"),
    ("jets-trees-seed0", "area"),
    ("unsw-trees-seed0", "area"),
    ("mnist-dwn-md-seed0", "fast"),
)

HEAD = (
    "run",
    "passes",
    "LUTs by yosys before",
    "LUTs by yosys after",
    "ratio",
    "estimate after",
    "FFs before",
    "FFs after",
    "cycles",
    "opt s",
    "opt MiB",
    "validation % before",
    "after",
    "proof",
    "rungs",
    "mismatches",
)


def main() -> int:
    """Makes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", default="build/bench", help="folder of compiled and synthesised runs")
    parser.add_argument("--out", default="build/opt", help="folder of the optimised copies")
    parser.add_argument(
        "--data", help="jets_sim.npz, for the rows with `rare`; without it LUTNET_DATA, the cache, or a download"
    )
    parser.add_argument("--only", nargs="+", help="runs to optimise, by the start of their names")
    args = parser.parse_args()
    rows = []
    for name, passes in CASES:
        if args.only and not name.startswith(tuple(args.only)):
            continue
        source, target = Path(args.runs) / name, Path(args.out) / f"{name}-{passes}"
        if not (target / "row.json").is_file():
            (target.parent).mkdir(parents=True, exist_ok=True)
            row = measured(source, target, passes, ["--data", args.data] if args.data else [])
            (target / "row.json").write_text(json.dumps(row, indent=1) + "\n")
        row = json.loads((target / "row.json").read_text())
        row["estimate_after"] = estimate_luts(load_design(RunFolder(target).netlist).netlist).luts
        rows.append(row)
        write(rows)
    return 0


def measured(source: Path, target: Path, passes: str, data: list[str]) -> dict[str, Any]:
    """The row of one run: optimised, emitted, simulated, proved, synthesised."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    before = json.loads((source / "results" / "synth.json").read_text())["reports"][0]
    start = time.perf_counter()
    peak_mib = command("opt", str(target), "-p", passes, *(data if passes == "rare" else []))
    seconds = time.perf_counter() - start
    for step in (("emit", "--tables", "wide"), ("simulate",), ("prove",), ("synth", "--no-place")):
        command(step[0], str(target), *step[1:])
    run = RunFolder(target)
    results = {step: run.load_result(step) or {} for step in ("compile", "opt", "simulate", "prove", "synth")}
    ladder = {
        **results["compile"]["ladder"],
        **results["opt"]["ladder"],
        **results["simulate"]["ladder"],
        **results["synth"]["ladder"],
    }
    after = results["synth"]["reports"][0]
    net = load_design(run.netlist).netlist
    return {
        "run": source.name,
        "passes": passes,
        "luts_before": before["luts"],
        "luts_after": after["luts"],
        "estimate_after": estimate_luts(net).luts,
        "ffs_before": before["ffs"],
        "ffs_after": after["ffs"],
        "latency_cycles": net.latency_cycles,
        "opt_s": round(seconds, 1),
        "opt_mib": round(peak_mib),
        "validation": results["opt"]["validation"],
        "proof_opt": results["opt"]["proof"]["status"],
        "proof_rtl": f"{results['prove']['status']}, {results['prove']['scope']}",
        "rungs": len(ladder),
        "mismatches": sum(rung["mismatches"] for rung in ladder.values()),
    }


def command(*argv: str) -> float:
    """One command of lutnet in a process of its own; its peak memory in MiB. A failure ends the benchmark."""
    print("$ lutnet", *argv, flush=True)
    child = subprocess.Popen([sys.executable, "-m", "lutnet", *argv])
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"lutnet {argv[0]} ended with status {child.returncode}")
    return usage.ru_maxrss / 1024


def write(rows: list[dict[str, Any]]) -> None:
    """Rows and table beside the script."""
    (HERE / "optimizer.json").write_text(json.dumps(rows, indent=2) + "\n")
    lines = [
        "# Netlist optimiser",
        "",
        "Lookup tables and flip-flops by yosys (`synth_xilinx` for UltraScale+, dual-output packing counted) of the whole",
        "pipelined design: before, from `lutnet compile` with tables as `case`; after, from `lutnet opt` with tables as `wide`.",
        "Seconds and memory are those of `lutnet opt` with all checks and the proof, on one core with other work beside it. Every",
        "result is proved equal to the netlist before; `rare` on its care set, with validation accuracy before and after.",
        "",
        "| " + " | ".join(HEAD) + " |",
        "|" + " --- |" * len(HEAD),
    ]
    for row in rows:
        validation = (
            ["", ""]
            if row["validation"] is None
            else [f"{100 * row['validation'][key]:.2f}" for key in ("before", "after")]
        )
        figures = [
            f"`{row['run']}`",
            row["passes"],
            f"{row['luts_before']:,}",
            f"{row['luts_after']:,}",
            f"{row['luts_after'] / row['luts_before']:.3f}",
            f"{row['estimate_after']:,}",
            f"{row['ffs_before']:,}",
            f"{row['ffs_after']:,}",
            str(row["latency_cycles"]),
            str(row["opt_s"]),
            str(row["opt_mib"]),
            *validation,
            f"{row['proof_opt']}; RTL {row['proof_rtl']}",
            str(row["rungs"]),
            str(row["mismatches"]),
        ]
        lines.append("| " + " | ".join(figures) + " |")
    lines += [
        "",
        "Made by `python benchmarks/optimizer.py --runs build/bench --data jets_sim.npz`.",
        "",
    ]
    (HERE / "optimizer.md").write_text("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
