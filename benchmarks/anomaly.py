"""Autoencoders on network traffic as detectors of anomalies: the netlist beside a float model of the same layer sizes.

    python benchmarks/anomaly.py --data unsw_nb15_82k.npz --out build/bench

UNSW-NB15, the 82,332-record partition: 39 numbers and the protocols, services and states of at least 0.5 % of the normal training records.
Every value is taken as log(1 + x), which moves thresholds and costs nothing. Networks and float models are trained on normal records
only, with the same loss, epochs and choice of the epoch, the area under the ROC curve on validation records; the float model reads the
standardised values themselves. Every network goes through the ladder and synthesis. Runs that are complete in the output
folder are not repeated. The table is written to benchmarks/anomaly.md, the rows to benchmarks/anomaly.json; the test set is read once.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from runner import SIZE_HEADS, report_figures, size_cells, spread, tell

from lutnet.backends import Verilog
from lutnet.flow import compile_run, emit_run, prove_run, report_run, simulate_run, synth_run, train_run
from lutnet.ir import load_design
from lutnet.nn import ArithmeticOptions, HeadOptions
from lutnet.passes import Pipeline
from lutnet.runs import RunFolder
from lutnet.train.config import ModelConfig, RunConfig, TrainConfig
from lutnet.train.data import Dataset, Split, load

HERE = Path(__file__).resolve().parent

N_NUMBERS, RAREST = 39, 0.005

HEAD = (
    "network",
    "seed",
    "validation",
    "test",
    "float test",
    "difference",
    "false alarms %",
    "attacks found %",
    *SIZE_HEADS,
)

SIZES = {"unsw-autoencoder": (32, 8, 32)}


def traffic(path: str | None) -> Dataset:
    """The records as the networks see them."""
    data = load("unsw_nb15_82k", path=path)
    normal = data.train.x[data.train.y == 0]
    common = np.flatnonzero((normal > 0).mean(axis=0) >= RAREST)
    columns = [*range(N_NUMBERS), *common[common >= N_NUMBERS].tolist()]

    def part(split: Split) -> Split:
        return Split(np.log1p(np.ascontiguousarray(split.x[:, columns])), split.y)

    return replace(
        data,
        train=part(data.train),
        validation=part(data.validation),
        test=part(data.test),
        feature_names=tuple(data.feature_names[column] for column in columns),
    )


def config_of(name: str, n_features: int) -> RunConfig:
    """Dense layers in adders; six bits in the middle, four beside it."""
    model = ModelConfig(
        hidden_layers=SIZES[name],
        family="arithmetic",
        arithmetic=ArithmeticOptions(weight_bits=5),
        input_codes="uniform",
        input_low=0.0,
        input_high=1.0,
        feature_bits=(4,) * N_NUMBERS + (1,) * (n_features - N_NUMBERS),
        layer_bitwidths=(4, 6, 4, 5),
        activation="unsigned",
        per_channel=True,
        head=HeadOptions(kind="anomaly", error="squared", error_bits=7),
    )
    training = TrainConfig(epochs=20, batch_size=256, learning_rate=5e-3, weight_decay=0.0, average_decay=0.99)
    return RunConfig(name, "unsw_nb15_82k", model, training)


def main() -> int:
    """Runs what is missing and writes table and rows beside the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="unsw_nb15_82k.npz; without it LUTNET_DATA, the cache, or a download")
    parser.add_argument("--out", default="build/bench", help="folder of the runs")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--only", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--train-only", action="store_true", help="train what is missing and stop")
    parser.add_argument("--table", default=str(HERE / "anomaly"), help="path of the table without its ending")
    args = parser.parse_args()
    torch.set_num_threads(1)
    data = traffic(args.data)
    rows = []
    for name in args.only:
        for seed in args.seeds:
            folder = Path(args.out) / f"{name}-seed{seed}"
            if not (RunFolder(folder).model / "config.json").is_file():
                tell(f"train {folder}")
                found = train_run(folder, config_of(name, data.n_features).with_seed(seed), data)
                tell(f"validation {found.validation_accuracy:.4f}, epoch {found.best_epoch}")
            if not args.train_only:
                finish(folder, data)
                rows.append(row_of(folder, name, seed, data))
                write(rows, Path(args.table))
    return 0


def finish(folder: Path, data: Dataset) -> None:
    """The ladder, synthesis and the report, unless the run has one; a register after every sixth logic level."""
    if (folder / "report.json").is_file():
        return
    compile_run(folder, data, pipeline=Pipeline(every=6), on_step=tell)
    emit_run(folder, Verilog(tables="wide"))
    simulate_run(folder, n_vectors=1000, on_step=tell)
    synth_run(folder, place=False, on_step=tell)
    prove_run(folder, on_step=tell)
    report_run(folder, data)


def row_of(folder: Path, name: str, seed: int, data: Dataset) -> dict[str, Any]:
    """The figures of a finished run."""
    report = json.loads((folder / "report.json").read_text())
    design = load_design(RunFolder(folder).netlist)
    assert design.encoder is not None
    alarms = design.answer.of(design.netlist.evaluate(design.encoder.encode(data.test.x)))
    return {
        "name": name,
        "seed": seed,
        **report_figures(folder),
        "float_accuracy": report["float_accuracy"],
        "false_alarms": float(alarms[data.test.y == 0].mean()),
        "found": float(alarms[data.test.y == 1].mean()),
        "proof": f"{report['proof']['status']}, {report['proof']['scope']}",
    }


def write(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Writes rows and table."""
    path.with_suffix(".json").write_text(json.dumps(rows, indent=2) + "\n")
    lines = [
        "# Autoencoders on UNSW-NB15 as detectors of anomalies",
        "",
        "Trained on normal records only; `validation`, `test` and `float test` are areas under the ROC curve: of the netlist's sum of",
        "errors, and of the squared errors of a dense float model of the same layer sizes, trained likewise. `false alarms` and `attacks",
        "found` are the shares of normal and of other test records whose alarm bit is set; the threshold is the one of 1 % false alarms on",
        "normal validation records. `LUTs` is yosys's estimate for UltraScale+ (dual-output packing counted) of the whole design,",
        "errors, their sum and the comparison included, after `lutnet compile --every 6`. Settings are chosen on validation data.",
        "",
        "| " + " | ".join(HEAD) + " |",
        "|" + " --- |" * len(HEAD),
    ]
    lines += ["| " + " | ".join(_cells(row)) + " |" for row in rows]
    lines.append("")
    for name in dict.fromkeys(row["name"] for row in rows):
        mine = [row for row in rows if row["name"] == name]
        areas = [spread([row[key] for row in mine], 4) for key in ("test_accuracy", "float_accuracy")]
        lines.append(f"* `{name}`, {len(mine)} seed{'s' if len(mine) > 1 else ''}: {areas[0]}, float model {areas[1]}.")
    lines += ["", "Made by `python benchmarks/anomaly.py --data unsw_nb15_82k.npz`.", ""]
    path.with_suffix(".md").write_text("\n".join(lines))


def _cells(row: Mapping[str, Any]) -> list[str]:
    areas = [f"{row[key]:.4f}" for key in ("validation_accuracy", "test_accuracy", "float_accuracy")]
    difference = f"{row['test_accuracy'] - row['float_accuracy']:+.4f}"
    percent = [f"{100 * row[key]:.2f}" for key in ("false_alarms", "found")]
    return [row["name"], str(row["seed"]), *areas, difference, *percent, *size_cells(row)]


if __name__ == "__main__":
    sys.exit(main())
