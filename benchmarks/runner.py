"""What the benchmark scripts share: runs of configurations over seeds through the whole flow, and the table made of them."""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from lutnet import cli
from lutnet.backends import Verilog
from lutnet.flow import load_run_model, train_run
from lutnet.ir import load_design
from lutnet.runs import RunFolder
from lutnet.train.config import RunConfig
from lutnet.train.data import Dataset

__all__ = ["SIZE_HEADS", "Benchmark", "main", "report_figures", "size_cells", "spread", "tell", "train_if_missing"]

HERE = Path(__file__).resolve().parent

HEAD = (
    "configuration",
    "seed",
    "validation %",
    "test %",
    "float %",
    "closed form",
    "LUTs",
    "LUT cells",
    "FFs",
    "latency",
    "ECP5 MHz",
    "proof",
    "rungs",
    "mismatches",
)


@dataclass(frozen=True)
class Benchmark:
    """One table.

    Attributes:
        name: Stem of the script and of the files that it writes.
        title: Heading of the table.
        text: Lines above the table.
        data: Name of the data file in the command that makes the table.
        configs: Configurations to run.
        aims: Test accuracy in percent that a configuration is to reach, and the LUTs that it may take.
        reference: Whether to train the dense float network of the same layer sizes too.
        synth_seeds: Seeds whose netlists are synthesised.
        place: Configurations that are placed and routed too.
    """

    name: str
    title: str
    text: Sequence[str]
    data: str
    configs: Sequence[str]
    aims: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    reference: bool = True
    synth_seeds: Sequence[int] = (0, 1, 2)
    place: Sequence[str] = ()


def main(benchmark: Benchmark, description: str) -> int:
    """Runs what is missing in the output folder and writes table and rows beside the scripts."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help=f"{benchmark.data}; without it LUTNET_DATA, the cache, or a download")
    parser.add_argument("--out", default="build/bench", help="folder of the runs")
    parser.add_argument("--configs", nargs="+", default=list(benchmark.configs))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--place", nargs="*", default=list(benchmark.place), help="configurations to place and route")
    parser.add_argument("--synth-seeds", nargs="+", type=int, default=list(benchmark.synth_seeds))
    args = parser.parse_args()
    torch.set_num_threads(1)
    data = ["--data", args.data] if args.data else []
    rows = []
    for config in args.configs:
        for seed in args.seeds:
            folder = Path(args.out) / f"{config}-seed{seed}"
            if not (RunFolder(folder).model / "config.json").is_file():
                more = [] if benchmark.reference else ["--no-reference"]
                step("train", config, "--out", str(folder), *data, "--seed", str(seed), *more)
            finish(folder, data, synth=seed in args.synth_seeds, place=config in args.place)
            rows.append(row_of(folder))
            write_table(benchmark, rows)
    return 0


def finish(folder: Path, data: list[str], *, synth: bool, place: bool) -> None:
    """Runs the steps after training whose results are not in the folder yet."""
    steps = RunFolder(folder)
    if steps.load_result("compile") is None:
        step("compile", str(folder), *data)
        step("emit", str(folder))
    for name in ("simulate", "prove"):
        if steps.load_result(name) is None:
            step(name, str(folder))
    if synth and steps.load_result("synth") is None:
        step("synth", str(folder), *([] if place else ["--no-place"]))
    if not (folder / "report.json").is_file():
        step("report", str(folder), *data)


def step(*argv: str) -> None:
    """One command of lutnet; a failure ends the benchmark."""
    print("$ lutnet", *argv, flush=True)
    if cli.main(argv) != 0:
        sys.exit(1)


def row_of(folder: Path) -> dict[str, Any]:
    """The figures of one run."""
    report = json.loads((folder / "report.json").read_text())
    keys = (
        "name",
        "seed",
        "validation_accuracy",
        "test_accuracy",
        "float_accuracy",
        "closed_form_luts",
        "luts",
        "lut_cells",
        "ffs",
        "latency_cycles",
        "fmax_ecp5_mhz",
    )
    row = {key: report[key] for key in keys}
    row["ladder_mismatches"] = sum(rung["mismatches"] for rung in report["ladder"].values())
    row["ladder_rungs"] = len(report["ladder"])
    row["proof"] = "" if report["proof"] is None else f"{report['proof']['status']}, {report['proof']['scope']}"
    row["epochs"] = report["training"]["n_epochs"]
    row["training_min"] = round(report["training"].get("training_s", 0.0) / 60, 1)
    return row | speed_of(folder)


def speed_of(folder: Path) -> dict[str, float]:
    """Seconds for the netlist before passes, for its text and for 100,000 random samples on one core, and peak memory of this process."""
    model = load_run_model(folder / "model")
    net = load_design(folder / "netlist.npz").netlist
    codes = torch.randint(0, 2 ** min(net.input_widths), (100_000, len(net.inputs))).numpy()
    tables = timed(model.lower)
    verilog = timed(lambda: Verilog().emit(net))
    evaluate = timed(
        lambda: [net.evaluate(part) for part in (codes[i : i + 20_000] for i in range(0, 100_000, 20_000))]
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"tables_s": tables, "verilog_s": verilog, "evaluate_100k_s": evaluate, "peak_mib": peak}


def timed(call: Any) -> float:
    """Wall-clock seconds of a call."""
    start = time.perf_counter()
    call()
    return round(time.perf_counter() - start, 3)


def write_table(benchmark: Benchmark, rows: list[dict[str, Any]]) -> None:
    """Writes rows and table beside the scripts."""
    (HERE / f"{benchmark.name}.json").write_text(json.dumps(rows, indent=2) + "\n")
    command = f"python benchmarks/{benchmark.name}.py --data {benchmark.data}"
    lines = [
        f"# {benchmark.title}",
        "",
        *benchmark.text,
        "",
        "| " + " | ".join(HEAD) + " |",
        "|" + " --- |" * len(HEAD),
    ]
    lines += ["| " + " | ".join(_cells(row)) + " |" for row in rows]
    lines += ["", *_summary(benchmark, rows), "", f"Made by `{command}`.", ""]
    (HERE / f"{benchmark.name}.md").write_text("\n".join(lines))


def _cells(row: dict[str, Any]) -> list[str]:
    percent = [
        "" if row[key] is None else f"{100 * row[key]:.2f}"
        for key in ("validation_accuracy", "test_accuracy", "float_accuracy")
    ]
    numbers = ["" if row[key] is None else f"{row[key]:,}" for key in ("closed_form_luts", "luts", "lut_cells", "ffs")]
    fmax = "" if row["fmax_ecp5_mhz"] is None else f"{row['fmax_ecp5_mhz']:.0f}"
    ladder = [row["proof"], str(row["ladder_rungs"]), str(row["ladder_mismatches"])]
    return [row["name"], str(row["seed"]), *percent, *numbers, str(row["latency_cycles"]), fmax, *ladder]


def _summary(benchmark: Benchmark, rows: list[dict[str, Any]]) -> list[str]:
    """Mean and spread over seeds, the slowest times, and how many seeds reach what they aim at."""
    lines = []
    for name in dict.fromkeys(row["name"] for row in rows):
        mine = [row for row in rows if row["name"] == name]
        luts = [row["luts"] for row in mine if row["luts"] is not None]
        size = f", {spread(luts, 0)} LUTs" if luts else ""
        slowest = {
            key: max(row[key] for row in mine) for key in ("training_min", "tables_s", "verilog_s", "evaluate_100k_s")
        }
        trained = f"training {slowest['training_min']:.1f} min, " if slowest["training_min"] else ""
        lines.append(
            f"* `{name}`, {len(mine)} seed{'s' if len(mine) > 1 else ''}: test accuracy "
            f"{spread([100 * row['test_accuracy'] for row in mine], 2)} %{size}; on one core, at most: {trained}tables and "
            f"netlist {slowest['tables_s']:.2f} s, Verilog {slowest['verilog_s']:.2f} s, 100,000 samples through the evaluator "
            f"{slowest['evaluate_100k_s']:.2f} s.{_aim(benchmark, name, mine)}"
        )
    return lines


def _aim(benchmark: Benchmark, name: str, rows: list[dict[str, Any]]) -> str:
    if name not in benchmark.aims:
        return ""
    percent, luts = benchmark.aims[name]
    counted = [row for row in rows if row["luts"] is not None]
    reached = sum(100 * row["test_accuracy"] >= percent and row["luts"] <= luts for row in counted)
    return f" Aim: {percent} % in {luts:,} LUTs, reached by {reached} of {len(counted)} seeds."


def spread(found: list[float], digits: int) -> str:
    """Mean and standard deviation as text."""
    deviation = f" ± {statistics.stdev(found):,.{digits}f}" if len(found) > 1 else ""
    return f"{statistics.mean(found):,.{digits}f}{deviation}"


FIGURES = ("validation_accuracy", "test_accuracy", "closed_form_luts", "luts", "ffs", "latency_cycles")
"""Figures of a report that every table has."""


def report_figures(folder: Path) -> dict[str, Any]:
    """Figures of a finished run, its ladder summed up."""
    report = json.loads((folder / "report.json").read_text())
    ladder = report["ladder"].values()
    return {key: report[key] for key in FIGURES} | {
        "training_min": round(report["training"]["training_s"] / 60, 1),
        "proof": report["proof"]["status"],
        "rungs": len(ladder),
        "mismatches": sum(rung["mismatches"] for rung in ladder),
    }


SIZE_HEADS = ("closed form", "LUTs", "FFs", "cycles", "training, min", "proof", "rungs", "mismatches")
"""Columns of :func:`size_cells`."""


def size_cells(row: Mapping[str, Any]) -> list[str]:
    """What :func:`report_figures` found of size, time and ladder, as cells of a table."""
    numbers = [f"{row[key]:,}" for key in (*FIGURES[2:], "training_min")]
    return [*numbers, row["proof"], str(row["rungs"]), str(row["mismatches"])]


def tell(step: str) -> None:
    """Says what is done now."""
    print(step, flush=True)


def train_if_missing(folder: Path, config: RunConfig, dataset: Dataset) -> None:
    """Trains a configuration unless its folder has a model."""
    if not (RunFolder(folder).model / "config.json").is_file():
        tell(f"train {folder}")
        result = train_run(folder, config, dataset, reference=False)
        tell(f"validation {100 * result.validation_accuracy:.2f} %, epoch {result.best_epoch}")
