"""Additive edge tables on the full simulated jets: accuracy against lookup tables, four sizes, three seeds each.

    python benchmarks/additive.py --data jets_sim.npz --out build/bench

Runs that are complete in the output folder are not repeated. The table is written to benchmarks/additive.md, the rows to
benchmarks/additive.json. The configurations lie in benchmarks/additive; sizes and cost weights were chosen on validation data.
Every row has been through the ladder without a mismatch; the test set is read once, by the report.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from runner import Benchmark, row_of, run, step, write_table

from lutnet.runs import RunFolder

CONFIGS = Path(__file__).resolve().parent / "additive"

AIMS = {
    "jets-additive-xs": (67.6, 360),
    "jets-additive-s": (68.1, 550),
    "jets-additive-m": (68.4, 1000),
    "jets-additive-l": (68.7, 2400),
}
"""Test accuracy in percent that a configuration has to reach, and the lookup tables that it may take."""

TEXT = (
    "350,000 training, 50,000 validation and 100,000 test jets; weights, sizes and cost weights chosen on validation. `LUTs` is",
    "yosys's estimate for UltraScale+ (dual-output packing counted, argmax included) of the whole pipelined design after the",
    "default passes. Trained on one core, other work beside it. Columns without a figure were not measured.",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="jets_sim.npz; without it LUTNET_DATA, else the packaged sample")
    parser.add_argument("--out", default="build/bench", help="folder of the runs")
    parser.add_argument("--configs", nargs="+", default=list(AIMS), choices=list(AIMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    args = parser.parse_args()
    torch.set_num_threads(1)
    data = ["--data", args.data] if args.data else []
    rows: list[dict[str, Any]] = []
    for name in args.configs:
        for seed in args.seeds:
            folder, path = Path(args.out) / f"{name}-seed{seed}", str(CONFIGS / f"{name}.toml")
            if not (RunFolder(folder).model / "config.json").is_file():
                step(
                    "train", path, "--out", str(folder), *data, "--seed", str(seed), "--no-reference", "--device", "cpu"
                )
            run(folder, path, seed, data, synth=True, place=False)
            rows.append(row_of(folder))
            write_table(Benchmark("additive", TITLE, [*TEXT, "", *aims(rows)], "jets_sim.npz", tuple(AIMS)), rows)
    return 0


TITLE = "Additive edge tables on the simulated jets"


def aims(rows: list[dict[str, Any]]) -> list[str]:
    """For each configuration, how many seeds reach what it has to reach."""
    lines = []
    for name, (percent, luts) in AIMS.items():
        mine = [row for row in rows if row["name"] == name]
        reached = sum(100 * row["test_accuracy"] >= percent and row["luts"] <= luts for row in mine)
        if mine:
            lines.append(f"* `{name}`: aim {percent} % in {luts:,} LUTs; reached by {reached} of {len(mine)} seeds.")
    return lines


if __name__ == "__main__":
    sys.exit(main())
