"""All families of multi-input tables on the simulated jets and on MNIST, beside the linear family at an equal number of lookup tables.

    python benchmarks/families.py --jets jets_sim.npz --mnist mnist.npz --out build/bench

The networks of a data set have the same shape and about the same closed-form cost; those of the linear, polynomial, sub-network and tree
families on the jets have tables of the very same sizes, and so have all on MNIST. `jets-linear-deep` has the shape of LogicNets' small
networks. `jsc-openml` and `mnist-assemble` are the published configurations of trees, trained for long. Every network goes through
`lutnet opt`, the ladder and synthesis. Runs that are complete in the output folder are not repeated. The table is written to
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
from runner import SIZE_HEADS, report_figures, size_cells, tell, train_if_missing
from wiring import learned_contests

from lutnet.flow.finishing import finish_run
from lutnet.nn import AdderOptions, AssembleOptions, EnsembleOptions, PolynomialOptions, SubnetOptions
from lutnet.train.config import ModelConfig, RunConfig
from lutnet.train.data import Dataset, load
from lutnet.train.polish_options import PolishOptions
from lutnet.train.presets import PRESETS

HERE = Path(__file__).resolve().parent

JETS_EPOCHS = 15
"""Of the networks that are compared with each other on the jets."""

HEAD = (
    "network",
    "seed",
    "validation %",
    "test %",
    "over linear",
    *SIZE_HEADS,
)

TREES = "XGBoost, 500 rounds of trees of depth 6"

DATA = {"jets_sim": "The simulated jets", "mnist": "MNIST"}


LINEAR = {"jets-": "jets-linear", "wiring-": "wiring-linear-regrow"}
"""The linear network that the others whose names begin so are compared with."""


def _jets(tree: ModelConfig, adder: ModelConfig) -> dict[str, ModelConfig]:
    """The linear family first, then the others at its cost, in the shape of the trees."""
    shape = replace(tree, family="linear", assemble=AssembleOptions())
    return {
        "jets-linear": shape,
        "jets-polynomial": replace(shape, family="polynomial", polynomial=PolynomialOptions(3)),
        "jets-subnet": replace(shape, family="subnet", subnet=SubnetOptions(16, 4, 2)),
        "jets-adder": adder,
        "jets-assemble": tree,
        "jets-ensemble": replace(shape, hidden_layers=shape.hidden_layers[1:], ensemble=EnsembleOptions(2)),
        "jets-linear-deep": ModelConfig(input_bitwidth=3, hidden_bitwidth=3, output_bitwidth=4),
    }


_JETS_TREE = PRESETS["jsc-openml"]
_JETS_SHAPE = replace(_JETS_TREE.model, layer_wirings=())
_JETS_ADDER = replace(
    _JETS_SHAPE,
    family="adder",
    hidden_layers=(160, 40, 10),
    hidden_fanin=2,
    output_fanin=1,
    adder=AdderOptions(2, 2, inner_bits=3),
    assemble=AssembleOptions(),
)
_JETS_TRAIN = replace(_JETS_TREE.train, epochs=JETS_EPOCHS, polish=PolishOptions())

_JETS = _jets(_JETS_SHAPE, _JETS_ADDER).items()

NETWORKS = {
    "jets_sim": [*(RunConfig(name, "jets_sim", model, _JETS_TRAIN) for name, model in _JETS), _JETS_TREE],
    "mnist": [*learned_contests(), PRESETS["mnist-assemble"]],
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
    rows: list[dict[str, Any]] = []
    trees = {}
    for name in args.data:
        dataset = load(name, path=paths[name])
        if name == "jets_sim":
            trees[name] = boosted_trees(dataset, Path(args.out) / f"xgboost-{name}.json")
        for config in NETWORKS[name]:
            if args.only and config.name not in args.only:
                continue
            for seed in args.seeds:
                folder = Path(args.out) / f"{config.name}-seed{seed}"
                chosen = config.with_seed(seed)
                train_if_missing(folder, chosen.with_train(epochs=args.epochs) if args.epochs else chosen, dataset)
                if not args.train_only:
                    finish_run(folder, dataset, on_step=tell)
                    named = {"name": config.name, "dataset": name, "family": config.model.family, "seed": seed}
                    rows.append(named | report_figures(folder))
                    write(rows, trees, Path(args.table), args.only or ())
    return 0


def boosted_trees(dataset: Dataset, file: Path) -> dict[str, float]:
    """Accuracies of floating-point XGBoost, 500 trees a class of depth 6; read from the file where they are there."""
    if not file.is_file():
        from xgboost import XGBClassifier

        tell(f"{TREES} on {dataset.name}")
        model = XGBClassifier(n_estimators=500, max_depth=6, learning_rate=0.1, tree_method="hist", n_jobs=1)
        model.fit(dataset.train.x, dataset.train.y)
        parts = {"validation_accuracy": dataset.validation, "test_accuracy": dataset.test}
        found = {name: float((model.predict(part.x) == part.y).mean()) for name, part in parts.items()}
        file.write_text(json.dumps(found) + "\n")
    known: dict[str, float] = json.loads(file.read_text())
    return known


def gain(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> float | None:
    """Points of test accuracy over the mean of the linear networks of the same shape; ``None`` where there is none."""
    name = next((name for start, name in LINEAR.items() if row["name"].startswith(start)), None)
    linear = [other["test_accuracy"] for other in rows if other["name"] == name]
    return 100 * (row["test_accuracy"] - statistics.mean(linear)) if linear else None


def write(
    rows: Sequence[Mapping[str, Any]], trees: Mapping[str, Mapping[str, float]], path: Path, only: Sequence[str]
) -> None:
    """Writes rows and tables."""
    path.with_suffix(".json").write_text(json.dumps({"networks": rows, "xgboost": trees}, indent=2) + "\n")
    lines = [
        "# Families of multi-input tables",
        "",
        "`jets-*` have the shape of the trees of `jsc-openml`, random wirings and 15 epochs of training, and tables of the same sizes but",
        "for `jets-adder`, `jets-ensemble` (two linear networks of half the size) and `jets-linear-deep`. `wiring-*` are those of",
        "wiring.md with a learned wiring, one six-input table a hidden neuron, three for sums of two terms; an ensemble has three members",
        "of a third of the neurons. `jsc-openml` and `mnist-assemble` are the published trees with their own training. Settings are",
        "chosen on validation data, the test set is read once, by the report. `over linear` is the gain in points of test accuracy over",
        "the linear network of the same data. `LUTs` is yosys's estimate for UltraScale+ (dual-output packing counted) of the whole",
        "pipelined design, argmax included, after `lutnet opt -p fast`. Trained on one core beside other work.",
    ]
    for name in dict.fromkeys(row["dataset"] for row in rows):
        lines += ["", f"## {DATA[name]}", "", "| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD)]
        lines += ["| " + " | ".join(_cells(row, rows)) + " |" for row in rows if row["dataset"] == name]
        if name in trees:
            percent = [f"{100 * trees[name][key]:.2f} %" for key in ("validation_accuracy", "test_accuracy")]
            lines += ["", f"{TREES}, in floating point: {percent[0]} on validation, {percent[1]} on test data."]
    chosen = f" --only {' '.join(only)}" if only else ""
    lines += ["", f"Made by `python benchmarks/families.py --jets jets_sim.npz --mnist mnist.npz{chosen}`.", ""]
    path.with_suffix(".md").write_text("\n".join(lines))


def _cells(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    percent = [f"{100 * row[key]:.2f}" for key in ("validation_accuracy", "test_accuracy")]
    more = gain(row, rows)
    return [row["name"], str(row["seed"]), *percent, "" if more is None else f"{more:+.2f}", *size_cells(row)]


if __name__ == "__main__":
    sys.exit(main())
