"""A network with a skip connection on the simulated jets beside the chain of the same layers.

    python benchmarks/graphs.py --data jets_sim.npz --out build/bench

Every network goes through `lutnet opt`, the ladder and synthesis. Runs that are complete in the output folder are not repeated. The
table is written to benchmarks/graphs.md, the rows to benchmarks/graphs.json; the test set is read once, by the report.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from runner import SIZE_HEADS, report_figures, size_cells, tell, train_if_missing

from lutnet.flow.finishing import finish_run
from lutnet.train.config import RunConfig
from lutnet.train.data import load
from lutnet.train.presets import PRESETS

HERE = Path(__file__).resolve().parent

HEAD = (
    "network",
    "seed",
    "skips",
    "validation %",
    "test %",
    *SIZE_HEADS,
)

_CHAIN = PRESETS["jets-additive-xs"].with_train(epochs=12, keep_after=0.8)

NETWORKS = (
    replace(_CHAIN, name="jets-chain"),
    replace(_CHAIN.with_model(layer_skips=("concat", "none")), name="jets-skip"),
)


def main() -> int:
    """Runs what is missing and writes table and rows beside the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="jets_sim.npz; without it LUTNET_DATA, the cache, or a download")
    parser.add_argument("--out", default="build/bench", help="folder of the runs")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--only", nargs="+", help="names of networks; all by default")
    parser.add_argument("--epochs", type=int, help="in place of the configurations', for a try")
    parser.add_argument("--train-only", action="store_true", help="train what is missing and stop")
    parser.add_argument("--table", default=str(HERE / "graphs"), help="path of the table without its ending")
    args = parser.parse_args()
    torch.set_num_threads(1)
    dataset = load("jets_sim", path=args.data)
    rows = []
    for config in NETWORKS:
        if args.only and config.name not in args.only:
            continue
        for seed in args.seeds:
            folder = Path(args.out) / f"graphs-{config.name}-seed{seed}"
            chosen = config.with_seed(seed)
            train_if_missing(folder, chosen.with_train(epochs=args.epochs) if args.epochs else chosen, dataset)
            if not args.train_only:
                finish_run(folder, dataset, on_step=tell)
                rows.append(row_of(folder, config, seed))
                write(rows, Path(args.table))
    return 0


def row_of(folder: Path, config: RunConfig, seed: int) -> dict[str, Any]:
    """The figures of a finished run."""
    skips = [config.model.skip_name(i) for i in range(config.model.n_layers)]
    return {"name": config.name, "seed": seed, "skips": skips, **report_figures(folder)}


def write(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Writes rows and table."""
    path.with_suffix(".json").write_text(json.dumps(rows, indent=2) + "\n")
    lines = [
        "# A skip connection on the simulated jets",
        "",
        "Edge tables of 16 features, 8 hidden sums and 5 scores: the preset `jets-additive-xs` in 12 epochs, and the same with a skip",
        "connection: scores are sums over features and hidden sums. Both are trained with the same weight of the hardware cost.",
        "The test set is read once, by the report. `LUTs` is yosys's estimate for UltraScale+ (dual-output packing counted) of the whole",
        "pipelined design, argmax included, after `lutnet opt -p fast`.",
        "",
        "On these jets a skip has not helped.",
        "",
        "| " + " | ".join(HEAD) + " |",
        "|" + " --- |" * len(HEAD),
    ]
    lines += ["| " + " | ".join(_cells(row)) + " |" for row in rows]
    lines += ["", "Made by `python benchmarks/graphs.py --data jets_sim.npz`.", ""]
    path.with_suffix(".md").write_text("\n".join(lines))


def _cells(row: Mapping[str, Any]) -> list[str]:
    skips = "" if set(row["skips"]) == {"none"} else ", ".join(row["skips"][:-1])
    percent = [f"{100 * row[key]:.2f}" for key in ("validation_accuracy", "test_accuracy")]
    return [row["name"], str(row["seed"]), skips, *percent, *size_cells(row)]


if __name__ == "__main__":
    sys.exit(main())
