"""Additive edge tables on the full simulated jets: accuracy against lookup tables, four sizes, three seeds each.

    python benchmarks/additive.py --data jets_sim.npz --out build/bench

Runs that are complete in the output folder are not repeated. The table is written to benchmarks/additive.md, the rows to
benchmarks/additive.json. Sizes and cost weights were chosen on validation data; every row has been through the ladder without a
mismatch, and the test set is read once, by the report.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lutnet.flow import compile_run, emit_run, prove_run, report_run, simulate_run, synth_run, train_run
from lutnet.nn.edge_options import AdditiveOptions
from lutnet.runs import RunFolder
from lutnet.train.config import ModelConfig, RunConfig, TrainConfig
from lutnet.train.data import Dataset, load

HERE = Path(__file__).resolve().parent

HEAD = (
    "configuration",
    "seed",
    "training s",
    "validation %",
    "test %",
    "LUTs",
    "LUT cells",
    "carry",
    "FFs",
    "latency",
    "edges",
    "proof",
    "rungs",
    "mismatches",
)


@dataclass(frozen=True)
class Line:
    """A size, and what it has to reach.

    Attributes:
        name: Of the configuration.
        hidden: Hidden neurons.
        cost_weight: Weight of a lookup table in the loss.
        most_luts: Lookup tables of the whole design, argmax included, that it may take.
        least_percent: Test accuracy that it has to reach.
    """

    name: str
    hidden: int
    cost_weight: float
    most_luts: int
    least_percent: float

    def config(self, seed: int) -> RunConfig:
        """The run of one seed."""
        model = ModelConfig(
            family="additive",
            hidden_layers=(self.hidden,),
            input_bitwidth=6,
            input_codes="uniform",
            input_high=0.95,
            additive=AdditiveOptions(),
        )
        train = TrainConfig(
            epochs=60,
            batch_size=2048,
            learning_rate=1e-3,
            weight_decay=0.0,
            cost_weight=self.cost_weight,
            keep_after=0.9,
        )
        return RunConfig(self.name, "jets_sim", model, train).with_seed(seed)


LINES = (
    Line("jets-additive-xs", 8, 2.5e-4, 360, 67.6),
    Line("jets-additive-s", 8, 1.2e-4, 550, 68.1),
    Line("jets-additive-m", 12, 4.5e-5, 1000, 68.4),
    Line("jets-additive-l", 20, 1.3e-5, 2400, 68.7),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="jets_sim.npz; without it LUTNET_DATA, else the packaged sample")
    parser.add_argument("--out", default="build/bench", help="folder of the runs")
    parser.add_argument("--lines", nargs="+", default=[line.name for line in LINES])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    args = parser.parse_args()
    torch.set_num_threads(1)
    dataset = load("jets_sim", path=args.data)
    rows = []
    for line in LINES:
        for seed in args.seeds if line.name in args.lines else ():
            folder = Path(args.out) / f"{line.name}-seed{seed}"
            run(folder, line.config(seed), dataset)
            rows.append(row_of(folder, line))
            write_table(rows)
    return 0


def run(folder: Path, config: RunConfig, dataset: Dataset) -> None:
    """Runs the steps whose results are not in the folder yet."""
    steps = RunFolder(folder)
    print(folder.name, flush=True)
    if not (steps.model / "config.json").is_file():
        start = time.perf_counter()
        train_run(folder, config, dataset, device="cpu", reference=False)
        steps.save_result("training", {"seconds": round(time.perf_counter() - start, 1)})
    if steps.load_result("compile") is None:
        compile_run(folder, dataset)
        emit_run(folder)
    if steps.load_result("simulate") is None:
        simulate_run(folder)
    if steps.load_result("prove") is None:
        prove_run(folder)
    if steps.load_result("synth") is None:
        synth_run(folder, place=False)
    if not (folder / "report.json").is_file():
        report_run(folder, dataset)


def row_of(folder: Path, line: Line) -> dict[str, Any]:
    """The figures of one run."""
    report = json.loads((folder / "report.json").read_text())
    training = RunFolder(folder).load_result("training") or {}
    names = ("name", "seed", "validation_accuracy", "test_accuracy", "closed_form_luts", "luts", "lut_cells", "carry")
    row: dict[str, Any] = {key: report[key] for key in (*names, "ffs", "latency_cycles")}
    row["train_s"] = training.get("seconds")
    row["n_epochs"] = report["training"]["n_epochs"]
    row["edges"] = [part["n_neurons"] for part in report["closed_form"]["rows"] if part["kind"] != "argmax"]
    row["ladder_mismatches"] = sum(rung["mismatches"] for rung in report["ladder"].values())
    row["ladder_rungs"] = len(report["ladder"])
    row["proof"] = "" if report["proof"] is None else f"{report['proof']['status']}, {report['proof']['scope']}"
    row["most_luts"], row["least_percent"] = line.most_luts, line.least_percent
    row["versions"], row["config"] = report["versions"], report["config"]
    return row


def write_table(rows: list[dict[str, Any]]) -> None:
    """Writes rows and table beside this script."""
    (HERE / "additive.json").write_text(json.dumps(rows, indent=2) + "\n")
    lines = [
        "# Additive edge tables on the simulated jets",
        "",
        "350,000 training, 50,000 validation and 100,000 test jets; everything was chosen on validation data. `LUTs` is yosys's",
        "estimate for UltraScale+ of the whole pipelined design with its argmax, dual-output packing counted. Trained on one core;",
        "`training s` is wall-clock time with other work beside it. `edges` are those left in each layer.",
        "",
        "| " + " | ".join(HEAD) + " |",
        "|" + " --- |" * len(HEAD),
    ]
    for row in rows:
        seconds = "" if row["train_s"] is None else f"{row['train_s']:.0f}"
        percent = [f"{100 * row[key]:.2f}" for key in ("validation_accuracy", "test_accuracy")]
        counts = [f"{row[key]:,}" for key in ("luts", "lut_cells", "carry", "ffs", "latency_cycles")]
        cells = [row["name"], str(row["seed"]), seconds, *percent, *counts, " + ".join(map(str, row["edges"]))]
        lines.append(
            "| " + " | ".join([*cells, row["proof"], str(row["ladder_rungs"]), str(row["ladder_mismatches"])]) + " |"
        )
    lines += ["", *summary(rows), "", "Made by `python benchmarks/additive.py --data jets_sim.npz`.", ""]
    (HERE / "additive.md").write_text("\n".join(lines))


def summary(rows: list[dict[str, Any]]) -> list[str]:
    """Mean and spread over the seeds of each configuration, beside what it had to reach."""
    lines = []
    for name in dict.fromkeys(row["name"] for row in rows):
        mine = [row for row in rows if row["name"] == name]
        tests, luts = [100 * row["test_accuracy"] for row in mine], [row["luts"] for row in mine]
        spread = f", standard deviation {statistics.stdev(tests):.2f}" if len(tests) > 1 else ""
        wanted, most = mine[0]["least_percent"], mine[0]["most_luts"]
        reached = sum(test >= wanted and count <= most for test, count in zip(tests, luts, strict=True))
        lines.append(
            f"* `{name}`: mean test accuracy {statistics.mean(tests):.2f} %{spread}, {min(luts):,} to {max(luts):,} LUTs over "
            f"{len(mine)} seeds; aim: {wanted} % in {most:,} LUTs, reached by {reached}."
        )
    return lines


if __name__ == "__main__":
    sys.exit(main())
