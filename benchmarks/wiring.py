"""Learned against random wiring at equal hardware on MNIST, family by family, ways to learn, and ensembles.

    python benchmarks/wiring.py --data mnist.npz --out build/bench

Runs that are complete in the output folder are not repeated. The tables are written to benchmarks/wiring.md, the rows to
benchmarks/wiring.json. Every network has been through the ladder without a mismatch and its netlist is proven equal to its RTL; the test
set is read once, by the report.
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
from runner import report_figures, spread, tell, train_if_missing

from lutnet.flow.finishing import finish_run
from lutnet.nn import AdderOptions, AssembleOptions, EnsembleOptions, PolynomialOptions, SubnetOptions, WiringOptions
from lutnet.train.config import ModelConfig, RunConfig, TrainConfig
from lutnet.train.data import load

HERE = Path(__file__).resolve().parent

SIZES = (600, 300, 80)
"""Neurons of the hidden layers of every family but the trees, each one table of six bits."""

TREES: dict[str, Any] = {
    "hidden_layers": (1080, 180, 360, 60),
    "output_fanin": 6,
    "assemble": AssembleOptions((0, 1, 0, 1, 1), 8, inner="binary"),
}
"""Leaves and roots of two layers of trees: 1080 = 180 * 6, 360 = 60 * 6, and 60 = 10 * 6."""

FAMILIES: Mapping[str, dict[str, Any]] = {
    "linear": {},
    "polynomial": {"polynomial": PolynomialOptions(2)},
    "subnet": {"subnet": SubnetOptions(8, 2, 2)},
    "adder": {"adder": AdderOptions(2, 1, 2), "layer_fanins": (3, 3, 3, 4)},
    "assemble": TREES,
}

EPOCHS = 12
"""Of the training proper; a network whose wiring needs no search is trained longer by the epochs of a search."""

SEARCH_EPOCHS = 4
"""Of the search for a wiring."""

METHODS: Mapping[str, dict[str, Any]] = {
    "information": {"layer_wirings": ("information", "random", "random", "random")},
    "regrow": {"wiring": "learned", "wiring_learning": WiringOptions("regrow", SEARCH_EPOCHS)},
}

ENSEMBLES: Mapping[str, EnsembleOptions] = {
    "1 of 200": EnsembleOptions(1),
    "3 of 200, sum": EnsembleOptions(3),
    "3 of 200, average": EnsembleOptions(3, "average"),
}
"""Members of a third of the neurons; three of them have as many as the single networks above."""


def network(family: str, **more: Any) -> RunConfig:
    """A network of one-bit codes and tables of six address bits, but for the scores."""
    settings: dict[str, Any] = {
        "family": family,
        "hidden_layers": SIZES,
        "activation": "binary",
        "input_bitwidth": 1,
        "hidden_bitwidth": 1,
        "output_bitwidth": 4,
        "input_fanin": 6,
        "hidden_fanin": 6,
        "output_fanin": 8,
        "input_codes": "range",
        "input_range": (0, 256),
        **FAMILIES[family],
        **more,
    }
    model = ModelConfig(**settings)
    epochs = EPOCHS if model.wiring == "learned" else EPOCHS + SEARCH_EPOCHS
    return RunConfig(family, "mnist", model, TrainConfig(epochs, batch_size=256, learning_rate=5e-3, weight_decay=0.0))


def contests() -> dict[str, RunConfig]:
    """Every network of the tables by name."""
    found = {}
    for family in FAMILIES:
        found[f"wiring-{family}-random"] = network(family)
        found[f"wiring-{family}-regrow"] = network(family, **METHODS["regrow"])
    for method, settings in METHODS.items():
        found.setdefault(f"wiring-linear-{method}", network("linear", **settings))
    for name, ensemble in ENSEMBLES.items():
        small = {"hidden_layers": (200, 100, 40), "ensemble": ensemble, **METHODS["regrow"]}
        found[f"wiring-ensemble-{name.replace(', ', '-').replace(' ', '-')}"] = network("linear", **small)
    return {name: replace(config, name=name) for name, config in found.items()}


def learned_contests() -> list[RunConfig]:
    """A network of each family and two ensembles, all with a learned wiring."""
    found = contests()
    ensembles = [name for name in found if name.startswith("wiring-ensemble-3")]
    return [found[name] for name in [*(f"wiring-{family}-regrow" for family in FAMILIES), *ensembles]]


def main() -> int:
    """Runs what is missing and writes tables and rows beside the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="mnist.npz; without it LUTNET_DATA, the cache, or a download")
    parser.add_argument("--out", default="build/bench", help="folder of the runs")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", default=[""], help="names of networks that hold one of these texts")
    parser.add_argument("--epochs", type=int, help="of search and training, for a quick look; nothing is written")
    parser.add_argument(
        "--train-only", action="store_true", help="train what is missing, print validation figures and stop"
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    dataset = load("mnist", path=args.data)
    rows = []
    for name, config in contests().items():
        for seed in args.seeds if any(text in name for text in args.only) else []:
            folder = Path(args.out) / f"{name}-seed{seed}"
            chosen = config.with_seed(seed)
            train_if_missing(folder, chosen if args.epochs is None else shortened(chosen, args.epochs), dataset)
            if not args.train_only:
                finish_run(folder, dataset, on_step=tell)
                rows.append({"name": name, "seed": seed, **report_figures(folder)})
                if args.epochs is None:
                    write(rows, args.seeds, args.only)
    return 0


def shortened(config: RunConfig, epochs: int) -> RunConfig:
    """The same, trained for a moment."""
    learning = replace(config.model.wiring_learning, epochs=epochs)
    return config.with_model(wiring_learning=learning).with_train(epochs=epochs * config.model.ensemble.members)


def write(rows: Sequence[Mapping[str, Any]], seeds: Sequence[int], only: Sequence[str]) -> None:
    """Writes rows and tables beside the script."""
    (HERE / "wiring.json").write_text(json.dumps(rows, indent=2) + "\n")
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_name.setdefault(row["name"], []).append(row)
    lines = [
        "# Learned wirings and ensembles on MNIST",
        "",
        "54,000 training, 6,000 validation and the 10,000 original test images, one bit a pixel; everything is chosen on validation data,",
        "the test set is read once, by the report. Hidden codes have one bit, so that a hidden neuron is one six-input table (one of two",
        "terms three), whatever its wiring. `LUTs` is yosys's estimate for UltraScale+ (dual-output packing counted) of the whole design,",
        "argmax included, after `lutnet opt -p fast`. Mean and standard deviation over the seeds. A wiring is searched for",
        f"{SEARCH_EPOCHS} epochs before {EPOCHS} epochs of training; networks without a search are trained for {EPOCHS + SEARCH_EPOCHS}.",
        "",
        "## Learned against random wiring, same layers, fan-ins and bits",
        "",
        *gains(by_name),
        "",
        "## All networks",
        "",
        "| network | seeds | validation % | test % | LUTs | FFs | cycles | rungs | mismatches | proof | training min |",
        "|" + " --- |" * 11,
    ]
    lines += [_line(name, found) for name, found in by_name.items()]
    chosen = f" --only {' '.join(only)}" if any(only) else ""
    lines += [
        "",
        f"Made by `python benchmarks/wiring.py --data mnist.npz --seeds {' '.join(map(str, seeds))}{chosen}`.",
        "",
    ]
    (HERE / "wiring.md").write_text("\n".join(lines))


def gains(by_name: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """What the learned wiring of each family has over the random one, as far as both are there."""
    lines = [
        "| family | random: validation % | test % | LUTs | learned: validation % | test % | LUTs | gain, test |",
        "|" + " --- |" * 8,
    ]
    for family in FAMILIES:
        pair = [by_name.get(f"wiring-{family}-{kind}") for kind in ("random", "regrow")]
        if all(pair):
            cells = [text for found in pair for text in _figures(found or [])]
            means = [statistics.mean(100 * row["test_accuracy"] for row in found or []) for found in pair]
            lines.append("| " + " | ".join([family, *cells, f"{means[1] - means[0]:+.2f}"]) + " |")
    return lines


def _figures(found: Sequence[Mapping[str, Any]]) -> list[str]:
    percent = [spread([100 * row[key] for row in found], 2) for key in ("validation_accuracy", "test_accuracy")]
    return [*percent, spread([row["luts"] for row in found], 0)]


def _line(name: str, found: Sequence[Mapping[str, Any]]) -> str:
    sums = [str(sum(row[key] for row in found)) for key in ("rungs", "mismatches")]
    ffs, cycles = (spread([row[key] for row in found], 0) for key in ("ffs", "latency_cycles"))
    proofs = ", ".join(sorted({row["proof"] for row in found}))
    minutes = f"{max(row['training_min'] for row in found):.1f}"
    return "| " + " | ".join([name, str(len(found)), *_figures(found), ffs, cycles, *sums, proofs, minutes]) + " |"


if __name__ == "__main__":
    sys.exit(main())
