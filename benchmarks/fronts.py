"""One training with learned widths against hand-set uniform widths, on the full simulated jets: additive and linear family.

    python benchmarks/fronts.py --data jets_sim.npz --out build/bench

For each family one run keeps every network that no other of it beats; some of them, spread over the front, go through `lutnet opt`, the
ladder and synthesis. The competitors are networks of the same family in which everything has the same width, trained one by one and
finished in the same way. Runs that are complete in the output folder are not repeated. The tables are written to benchmarks/fronts.md, the
rows to benchmarks/fronts.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from runner import tell, train_if_missing

from lutnet.cost import XCVU9P
from lutnet.flow.finishing import finish_front, finish_run
from lutnet.flow.models import load_run_model
from lutnet.nn import AdditiveOptions
from lutnet.runs import RunFolder
from lutnet.train.config import ModelConfig, RunConfig, TrainConfig
from lutnet.train.data import Dataset, load
from lutnet.train.presets import PRESETS

HERE = Path(__file__).resolve().parent

HEAD = ("network", "validation %", "test %", "closed form", "LUTs", "FFs", "cycles", "proof", "rungs", "mismatches")


@dataclass(frozen=True)
class Contest:
    """A front and what it is compared with.

    Attributes:
        title: Heading.
        front: Configuration of the one run.
        twins: Configurations with uniform widths, by the name of their run folder.
        n_points: Networks of the front that are finished.
    """

    title: str
    front: str
    twins: Mapping[str, RunConfig]
    n_points: int = 16


def _additive_twin(hidden: int, bits: int) -> RunConfig:
    config = PRESETS["jets-additive-xs"]
    options = replace(config.model.additive, edge_bits=bits)
    assert isinstance(options, AdditiveOptions)
    twin = config.with_model(hidden_layers=(hidden,), additive=options).with_train(cost_weight=0.0, keep_after=0.5)
    return replace(twin, name=f"jets-additive-uniform-h{hidden}b{bits}")


def _linear_twin(bits: int, fan_in: int, hidden: tuple[int, ...] = (64, 32, 32, 32)) -> RunConfig:
    model = ModelConfig(
        hidden_layers=hidden,
        input_bitwidth=bits,
        hidden_bitwidth=bits,
        output_bitwidth=max(2, bits),
        input_fanin=fan_in,
        hidden_fanin=fan_in,
        output_fanin=fan_in,
        activation="hard-tanh" if bits > 1 else "binary",
    )
    train = TrainConfig(epochs=60, batch_size=1024, learning_rate=5e-3, weight_decay=1e-3)
    return RunConfig(f"jets-linear-uniform-{hidden[0]}x{bits}b{fan_in}", "jets_sim", model, train)


_ADDITIVE = [
    _additive_twin(*sizes)
    for sizes in ((4, 2), (4, 3), (4, 4), (4, 5), (8, 2), (8, 3), (8, 4), (8, 5), (12, 2), (12, 3))
]
_LINEAR = [_linear_twin(*sizes) for sizes in ((1, 6), (2, 4))]

CONTESTS = (
    Contest(
        "Additive family: edges with learned widths against edges of equal width",
        "jets-additive-front",
        {twin.name: twin for twin in _ADDITIVE},
    ),
    Contest(
        "Linear family: operands with learned widths against operands of equal width",
        "jets-linear-front",
        {twin.name: twin for twin in _LINEAR} | {name: PRESETS[name] for name in ("jsc-s", "jsc-m")},
    ),
)


def main() -> int:
    """Runs what is missing and writes tables and rows beside the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="jets_sim.npz; without it LUTNET_DATA, the cache, or a download")
    parser.add_argument("--out", default="build/bench", help="folder of the runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--contests", nargs="+", type=int, default=list(range(len(CONTESTS))))
    parser.add_argument("--train-only", action="store_true", help="train what is missing and stop")
    args = parser.parse_args()
    torch.set_num_threads(1)
    dataset = load("jets_sim", path=args.data)
    out = Path(args.out)
    blocks = []
    for contest in (CONTESTS[number] for number in args.contests):
        for name, config in {contest.front: PRESETS[contest.front], **contest.twins}.items():
            train_if_missing(out / f"{name}-seed{args.seed}", config.with_seed(args.seed), dataset)
        if not args.train_only:
            blocks.append(compared(contest, out, args.seed, dataset))
            write(blocks)
    return 0


def compared(contest: Contest, out: Path, seed: int, dataset: Dataset) -> dict[str, Any]:
    """Finishes front and twins and puts them side by side."""
    run = out / f"{contest.front}-seed{seed}"
    found = finish_front(run, dataset, n_points=contest.n_points, on_step=tell)
    front = [row_of(folder, f"epoch {int(folder.name[1:])}") for folder in found]
    twins = []
    for name in contest.twins:
        folder = out / "fronts" / f"{name}-seed{seed}"
        if not RunFolder(folder).model.is_dir():
            copy_model(out / f"{name}-seed{seed}", folder)
        finish_run(folder, dataset, on_step=tell)
        twins.append(row_of(folder, name))
    training = load_run_model(RunFolder(run).model).info
    return {
        "title": contest.title,
        "front_of": contest.front,
        "training_min": round(training["training_s"] / 60, 1),
        "front": sorted(front, key=lambda row: row["luts"]),
        "twins": sorted(twins, key=lambda row: row["luts"]),
    }


def copy_model(source: Path, target: Path) -> None:
    """A run folder with the same model, so that what other tables were made of stays as it is."""
    shutil.copytree(RunFolder(source).model, RunFolder(target).model)


def row_of(folder: Path, name: str) -> dict[str, Any]:
    """The figures of a finished run."""
    report = json.loads((folder / "report.json").read_text())
    keys = ("validation_accuracy", "test_accuracy", "closed_form_luts", "luts", "ffs", "latency_cycles")
    ladder = report["ladder"].values()
    return {"name": name, **{key: report[key] for key in keys}} | {
        "proof": report["proof"]["status"],
        "rungs": len(ladder),
        "mismatches": sum(rung["mismatches"] for rung in ladder),
        "calibrated_cost": calibrated_cost(folder),
    }


def calibrated_cost(folder: Path) -> float:
    """The differentiable cost of the network, in lookup tables."""
    network = load_run_model(RunFolder(folder).model).saved.network
    with torch.no_grad():
        return float(network.cost(XCVU9P))


def beaten(front: Sequence[Mapping[str, Any]], twin: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The smallest network of the front that is at least as accurate on validation data."""
    able = [row for row in front if row["validation_accuracy"] >= twin["validation_accuracy"]]
    return min(able, key=lambda row: row["luts"], default=None)


def write(blocks: Sequence[Mapping[str, Any]]) -> None:
    """Writes rows and tables beside the script."""
    (HERE / "fronts.json").write_text(json.dumps(blocks, indent=2) + "\n")
    lines = [
        "# Learned widths against uniform widths on the simulated jets",
        "",
        "350,000 training, 50,000 validation and 100,000 test jets; everything is chosen on validation data, the test set is read once, by",
        "the report. `LUTs` is yosys's estimate for UltraScale+ (dual-output packing counted) of the whole pipelined design, argmax",
        "included, after `lutnet opt -p fast`, tables written in style `wide`. One seed.",
    ]
    for block in blocks:
        lines += ["", f"## {block['title']}", "", *_block(block)]
    lines += ["", "Made by `python benchmarks/fronts.py --data jets_sim.npz`.", ""]
    (HERE / "fronts.md").write_text("\n".join(lines))


def _block(block: Mapping[str, Any]) -> list[str]:
    front, twins = block["front"], block["twins"]
    lines = [
        f"One run of `{block['front_of']}`, {block['training_min']} minutes on one core beside other work: {len(front)} networks, "
        f"{front[0]['luts']:,} to {front[-1]['luts']:,} LUTs, a factor of {front[-1]['luts'] / front[0]['luts']:.1f}.",
        "",
        *_table(front),
        "",
        "Uniform widths:",
        "",
        *_table(twins),
        "",
        "The smallest network of the front that is at least as accurate on validation data:",
        "",
        "| uniform | validation % | LUTs | front | validation % | LUTs | ratio |",
        "|" + " --- |" * 7,
    ]
    for twin in twins:
        row = beaten(front, twin)
        mine = [twin["name"], f"{100 * twin['validation_accuracy']:.2f}", f"{twin['luts']:,}"]
        other = (
            ["none", "", "", ""]
            if row is None
            else [
                row["name"],
                f"{100 * row['validation_accuracy']:.2f}",
                f"{row['luts']:,}",
                f"{row['luts'] / twin['luts']:.2f}",
            ]
        )
        lines.append("| " + " | ".join(mine + other) + " |")
    return lines


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD)]
    for row in rows:
        percent = [f"{100 * row[key]:.2f}" for key in ("validation_accuracy", "test_accuracy")]
        numbers = [f"{row[key]:,}" for key in ("closed_form_luts", "luts", "ffs", "latency_cycles")]
        ladder = [row["proof"], str(row["rungs"]), str(row["mismatches"])]
        lines.append("| " + " | ".join([row["name"], *percent, *numbers, *ladder]) + " |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
