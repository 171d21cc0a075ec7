"""The published jet configurations on the full simulated jets: accuracy, cost, LUTs, flip-flops, latency.

    python benchmarks/jets.py --data jets_sim.npz --out build/bench

Runs that are complete in the output folder are not repeated. The table is written to benchmarks/jets.md, the rows to
benchmarks/jets.json. Every row has been through the ladder without a mismatch; the test set is read once, by the report.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch

from lutnet import cli
from lutnet.backends import Verilog
from lutnet.ir import load_design
from lutnet.runs import RunFolder
from lutnet.train.checkpoint import load_model

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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="jets_sim.npz; without it LUTNET_DATA, else the packaged sample")
    parser.add_argument("--out", default="build/bench", help="folder of the runs")
    parser.add_argument("--configs", nargs="+", default=["jsc-s", "jsc-m", "jsc-l"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--place", nargs="*", default=["jsc-s"], help="configurations to place and route on ECP5")
    parser.add_argument("--synth-seeds", nargs="+", type=int, default=[0], help="seeds whose netlists are synthesised")
    args = parser.parse_args()
    torch.set_num_threads(1)
    data = ["--data", args.data] if args.data else []
    rows = []
    for config in args.configs:
        for seed in args.seeds:
            folder = Path(args.out) / f"{config}-seed{seed}"
            run(folder, config, seed, data, synth=seed in args.synth_seeds, place=config in args.place)
            rows.append(row_of(folder))
            write_table(rows)
    return 0


def run(folder: Path, config: str, seed: int, data: list[str], *, synth: bool, place: bool) -> None:
    """Runs the steps whose results are not in the folder yet."""
    steps = RunFolder(folder)
    if not (steps.model / "config.json").is_file():
        step("train", config, "--out", str(folder), *data, "--seed", str(seed))
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
    )
    row = {key: report[key] for key in (*keys, "ffs", "latency_cycles", "fmax_ecp5_mhz")}
    row["ladder_mismatches"] = sum(rung["mismatches"] for rung in report["ladder"].values())
    row["ladder_rungs"] = len(report["ladder"])
    row["proof"] = "" if report["proof"] is None else f"{report['proof']['status']}, {report['proof']['scope']}"
    row["epochs"] = report["training"]["n_epochs"]
    return row | speed_of(folder)


def speed_of(folder: Path) -> dict[str, float]:
    """Seconds for tables, Verilog text and 100,000 samples on one core, and peak memory of this process."""
    network = load_model(folder / "model").network
    net = load_design(folder / "netlist.npz").netlist
    codes = torch.randint(0, 2 ** min(net.input_widths), (100_000, len(net.inputs))).numpy()
    tables = timed(lambda: [layer.tables() for layer in network.layers])
    verilog = timed(lambda: Verilog().emit(net))
    evaluate = timed(lambda: net.evaluate(codes))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"tables_s": tables, "verilog_s": verilog, "evaluate_100k_s": evaluate, "peak_mib": peak}


def timed(call: Any) -> float:
    """Wall-clock seconds of a call."""
    start = time.perf_counter()
    call()
    return round(time.perf_counter() - start, 3)


def write_table(rows: list[dict[str, Any]]) -> None:
    """Writes rows and table beside this script."""
    (HERE / "jets.json").write_text(json.dumps(rows, indent=2) + "\n")
    lines = [
        "# Published jet configurations on the simulated jets",
        "",
        "350,000 training, 50,000 validation and 100,000 test jets; weights chosen on validation. `LUTs` is yosys's estimate for",
        "UltraScale+ (dual-output packing counted, argmax included) after `fold,narrow,fold,dedupe,dce`. The simulated jets are",
        "harder than the published sets: these accuracies do not compare with theirs.",
        "",
        "| " + " | ".join(HEAD) + " |",
        "|" + " --- |" * len(HEAD),
    ]
    for row in rows:
        percent = [f"{100 * row[key]:.2f}" for key in ("validation_accuracy", "test_accuracy", "float_accuracy")]
        numbers = [
            "" if row[key] is None else f"{row[key]:,}" for key in ("closed_form_luts", "luts", "lut_cells", "ffs")
        ]
        fmax = "" if row["fmax_ecp5_mhz"] is None else f"{row['fmax_ecp5_mhz']:.0f}"
        cells = [row["name"], str(row["seed"]), *percent, *numbers, str(row["latency_cycles"]), fmax]
        lines.append(
            "| " + " | ".join([*cells, row["proof"], str(row["ladder_rungs"]), str(row["ladder_mismatches"])]) + " |"
        )
    lines += ["", *summary(rows), "", "Made by `python benchmarks/jets.py --data jets_sim.npz`.", ""]
    (HERE / "jets.md").write_text("\n".join(lines))


def summary(rows: list[dict[str, Any]]) -> list[str]:
    """Mean and spread of the test accuracy over seeds, and the slowest times."""
    lines = []
    for name in dict.fromkeys(row["name"] for row in rows):
        mine = [row for row in rows if row["name"] == name]
        found = [100 * row["test_accuracy"] for row in mine]
        spread = f", standard deviation {statistics.stdev(found):.2f}" if len(found) > 1 else ""
        times = [max(row[key] for row in mine) for key in ("tables_s", "verilog_s", "evaluate_100k_s")]
        lines.append(
            f"* `{name}`: mean test accuracy {statistics.mean(found):.2f} % over {len(found)} seeds{spread}; on one core, tables "
            f"{times[0]:.2f} s, Verilog {times[1]:.2f} s, 100,000 jets through the evaluator {times[2]:.2f} s."
        )
    return lines


if __name__ == "__main__":
    sys.exit(main())
