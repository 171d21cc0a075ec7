"""All families of multi-input tables on the simulated jets and on MNIST, beside the linear family at an equal number of lookup tables.

    python benchmarks/families.py --jets jets_sim.npz --mnist mnist.npz --out build/bench

All networks of a data set have about the same closed-form cost; those of the linear, polynomial, sub-network and tree families have tables
of the very same sizes, and every neuron is read by another. `jets-linear-deep` has the shape of LogicNets' small networks. Every network
goes through `lutnet opt`, the ladder and synthesis. Runs that are complete in the output folder are not repeated. The table is written to
benchmarks/families.md, the rows to benchmarks/families.json; the test set is read once, by the report.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from runner import tell, train_if_missing

from lutnet.flow.finishing import finish_run
from lutnet.flow.models import load_run_model
from lutnet.nn import AdderOptions, AssembleOptions, PolynomialOptions, SubnetOptions
from lutnet.runs import RunFolder
from lutnet.train.config import ModelConfig, RunConfig
from lutnet.train.data import load
from lutnet.train.presets import PRESETS

HERE = Path(__file__).resolve().parent

HEAD = (
    "network",
    "seed",
    "validation %",
    "test %",
    "over linear",
    "closed form",
    "LUTs",
    "FFs",
    "cycles",
    "training, min",
    "proof",
    "rungs",
    "mismatches",
)

DATA = {"jets_sim": "The simulated jets", "mnist": "MNIST"}


def _networks(dataset: str, tree: RunConfig, adder: ModelConfig) -> list[RunConfig]:
    """The linear family first, then the others at its cost, in the shape of the trees."""
    short = dataset.removesuffix("_sim")
    shape = replace(tree.model, family="linear", assemble=AssembleOptions())
    models = {
        "linear": shape,
        "polynomial": replace(shape, family="polynomial", polynomial=PolynomialOptions(3)),
        "subnet": replace(shape, family="subnet", subnet=SubnetOptions(16, 4, 2)),
        "adder": adder,
        "assemble": tree.model,
    }
    return [RunConfig(f"{short}-{name}", dataset, model, tree.train) for name, model in models.items()]


_JETS_TREE, _MNIST_TREE = PRESETS["jsc-openml"], PRESETS["mnist-assemble"]
_JETS_ADDER = replace(
    _JETS_TREE.model,
    family="adder",
    hidden_layers=(160, 40, 10),
    hidden_fanin=2,
    output_fanin=1,
    adder=AdderOptions(2, 2, inner_bits=3),
    assemble=AssembleOptions(),
)
_MNIST_ADDER = replace(
    _MNIST_TREE.model,
    family="adder",
    hidden_layers=(430, 90, 430, 90, 24),
    adder=AdderOptions(2, 2, inner_bits=2),
    assemble=AssembleOptions(),
)
_JETS_DEEP = ModelConfig(input_bitwidth=3, hidden_bitwidth=3, output_bitwidth=4)

NETWORKS = {
    "jets_sim": [
        *_networks("jets_sim", _JETS_TREE, _JETS_ADDER),
        RunConfig("jets-linear-deep", "jets_sim", _JETS_DEEP, _JETS_TREE.train),
    ],
    "mnist": _networks("mnist", _MNIST_TREE, _MNIST_ADDER),
}


def main() -> int:
    """Runs what is missing and writes table and rows beside the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jets", help="jets_sim.npz; without it LUTNET_DATA, the cache, or a download")
    parser.add_argument("--mnist", help="mnist.npz, likewise")
    parser.add_argument("--out", default="build/bench", help="folder of the runs")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--data", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--only", nargs="+", help="names of networks; all of a data set by default")
    parser.add_argument("--epochs", type=int, help="in place of the configurations', for a try")
    parser.add_argument("--train-only", action="store_true", help="train what is missing and stop")
    parser.add_argument("--table", default=str(HERE / "families"), help="path of the table without its ending")
    args = parser.parse_args()
    torch.set_num_threads(1)
    paths = {"jets_sim": args.jets, "mnist": args.mnist}
    rows = []
    for name in args.data:
        dataset = load(name, path=paths[name])
        for config in NETWORKS[name]:
            if args.only and config.name not in args.only:
                continue
            for seed in args.seeds:
                folder = Path(args.out) / f"families-{config.name}-seed{seed}"
                chosen = config.with_seed(seed)
                train_if_missing(folder, chosen.with_train(epochs=args.epochs) if args.epochs else chosen, dataset)
                if not args.train_only:
                    finish_run(folder, dataset, on_step=tell)
                    rows.append(row_of(folder, config, seed))
                    write(rows, Path(args.table))
    return 0


def row_of(folder: Path, config: RunConfig, seed: int) -> dict[str, Any]:
    """The figures of a finished run."""
    report = json.loads((folder / "report.json").read_text())
    keys = ("validation_accuracy", "test_accuracy", "closed_form_luts", "luts", "ffs", "latency_cycles")
    ladder = report["ladder"].values()
    training = load_run_model(RunFolder(folder).model).info
    row = {"name": config.name, "dataset": config.dataset, "family": config.model.family, "seed": seed}
    return (
        row
        | {key: report[key] for key in keys}
        | {
            "training_min": round(training["training_s"] / 60, 1),
            "proof": report["proof"]["status"],
            "rungs": len(ladder),
            "mismatches": sum(rung["mismatches"] for rung in ladder),
        }
    )


def gain(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> float | None:
    """Points of test accuracy over the mean of the linear networks of the same shape; ``None`` where there is none."""
    name = row["name"].split("-")[0] + "-linear"
    linear = [other["test_accuracy"] for other in rows if other["name"] == name]
    return 100 * (row["test_accuracy"] - statistics.mean(linear)) if linear else None


def write(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Writes rows and tables."""
    path.with_suffix(".json").write_text(json.dumps(rows, indent=2) + "\n")
    lines = [
        "# Families of multi-input tables",
        "",
        "The networks of a data set have about the same closed-form cost; those of the linear, polynomial, sub-network and tree families",
        "have tables of the same sizes, `jets-linear-deep` has the shape of LogicNets' small networks. Settings are chosen on validation",
        "data, the test set is read once, by the report. `over linear` is the gain in points of test accuracy over the linear network of",
        "the same shape. `LUTs` is yosys's estimate for UltraScale+ (dual-output packing counted) of the whole pipelined design, argmax",
        "included, after `lutnet opt -p fast`. Trained on one core beside other work.",
    ]
    for name in dict.fromkeys(row["dataset"] for row in rows):
        lines += ["", f"## {DATA[name]}", "", "| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD)]
        lines += ["| " + " | ".join(_cells(row, rows)) + " |" for row in rows if row["dataset"] == name]
    lines += ["", "Made by `python benchmarks/families.py --jets jets_sim.npz --mnist mnist.npz`.", ""]
    path.with_suffix(".md").write_text("\n".join(lines))


def _cells(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    percent = [f"{100 * row[key]:.2f}" for key in ("validation_accuracy", "test_accuracy")]
    more = gain(row, rows)
    numbers = [f"{row[key]:,}" for key in ("closed_form_luts", "luts", "ffs", "latency_cycles", "training_min")]
    ladder = [row["proof"], str(row["rungs"]), str(row["mismatches"])]
    return [row["name"], str(row["seed"]), *percent, "" if more is None else f"{more:+.2f}", *numbers, *ladder]


if __name__ == "__main__":
    sys.exit(main())
