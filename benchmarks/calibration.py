"""The cost in the loss against the lookup tables that `lutnet opt` and yosys leave, over the zoo and the networks of the fronts.

    python benchmarks/calibration.py --data jets_sim.npz --runs build/bench --out build/calibration

The cost is that of the network as it was trained, argmax in closed form added; neurons that quantise a sum are counted as sums
(`model.widths.cost = "sum"`). What `lutnet opt` leaves of single such neurons of few to many address bits is measured too. The table is
written to benchmarks/calibration.md, the rows to benchmarks/calibration.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lutnet.backends import Verilog
from lutnet.cost import XCVU9P, argmax_luts, smooth_sum_luts
from lutnet.flow import compile_run, emit_run, synth_run
from lutnet.flow.models import load_run_model
from lutnet.flow.optimising import OPT_PRESETS, optimise_run
from lutnet.ir import NetlistBuilder
from lutnet.ir.estimate import estimate_luts
from lutnet.nn import LutNetwork, SparseLinear, WidthOptions
from lutnet.passes import parse_passes, run_passes
from lutnet.runs import RunFolder
from lutnet.train.build import empty_network
from lutnet.train.checkpoint import SavedModel, load_model
from lutnet.train.data import load

HERE = Path(__file__).resolve().parent

ZOO = (
    "jsc-s",
    "jsc-m",
    "jsc-l",
    "jets-additive-xs",
    "jets-additive-s",
    "jets-additive-m",
    "jets-additive-l",
    "mnist-dwn-sm",
    "mnist-dwn-md",
    "mnist-dwn-lg",
)

NEURONS = ("jsc-m", 2)
"""Run and layer whose neurons are taken one by one."""


def main() -> int:
    """Measures what is missing and writes table and rows beside the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="jets_sim.npz; without it LUTNET_DATA, the cache, or a download")
    parser.add_argument("--images", help="mnist.npz, likewise")
    parser.add_argument("--runs", default="build/bench", help="folder of the trained runs")
    parser.add_argument("--out", default="build/calibration", help="folder of the optimised copies")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in ZOO:
        source, target = Path(args.runs) / f"{name}-seed0", Path(args.out) / name
        path = args.images if name.startswith("mnist") else args.data
        rows.append({"name": name, **cost_of(source), "luts": measured(source, target, path)})
    for front in sorted(Path(args.runs).glob("*-front-seed0/front/e*/report.json")):
        run = front.parent
        luts = json.loads(front.read_text())["luts"]
        rows.append(
            {"name": f"{run.parent.parent.name.removesuffix('-seed0')} {run.name}", **cost_of(run), "luts": luts}
        )
    neurons = list(single_neurons(load_model(RunFolder(Path(args.runs) / f"{NEURONS[0]}-seed0").model).network))
    write(rows, neurons)
    return 0


def measured(source: Path, target: Path, data: str | None) -> int:
    """Lookup tables that yosys counts after ``lutnet opt -p fast``."""
    run = RunFolder(target)
    if not run.model.is_dir():
        shutil.copytree(RunFolder(source).model, run.model)
    if run.load_result("synth") is None:
        print("measure", target, flush=True)
        dataset = load(load_run_model(run.model).config.dataset, path=data)
        compile_run(target, dataset)
        optimise_run(target, "fast")
        emit_run(target, Verilog(tables="wide"))
        synth_run(target, place=False)
    found = run.load_result("synth")
    assert found is not None
    return int(found["reports"][0]["luts"])


def cost_of(folder: Path) -> dict[str, float]:
    """Cost in the loss with neurons as sums and as tables, argmax included."""
    saved = load_model(RunFolder(folder).model)
    argmax = argmax_luts(saved.network.n_classes, saved.network.score_format().bits, XCVU9P)
    with torch.no_grad():
        found = {form: float(counted_as(form, saved).cost(XCVU9P)) + argmax for form in ("sum", "table")}
    return {"cost": found["sum"], "cost_as_tables": found["table"]}


def counted_as(form: str, saved: SavedModel) -> LutNetwork:
    """The same network with another idea of what its neurons cost."""
    model = replace(saved.config.model, widths=replace(saved.config.model.widths, cost=form))
    network = saved.network
    bits = network.input_quantizer.widths.tolist()
    twin = empty_network(model, bits, network.feature_names, network.class_names)
    twin.load_state_dict(network.state_dict())
    return twin.eval()


def single_neurons(network: LutNetwork) -> Iterator[dict[str, float]]:
    """Mean lookup tables of one layer's neurons, their operands cut down at random to so many address bits."""
    rng = np.random.default_rng(0)
    layer = network.layers[NEURONS[1]]
    passes = parse_passes(OPT_PRESETS["fast"])
    widest = int(layer.address_bits().max())
    for address_bits in range(4, widest + 1):
        twin = SparseLinear(
            layer.source, layer.in_features, layer.wiring, layer.quantizer, widths=WidthOptions(granularity="element")
        )
        twin.load_state_dict({**twin.state_dict(), **layer.state_dict()})
        assert twin.widths is not None
        with torch.no_grad():
            twin.widths.width.copy_(torch.from_numpy(_cut_down(layer.operand_bits(), address_bits, rng)))
        found = []
        for table in twin.eval().tables():
            builder = NetlistBuilder()
            inputs = [builder.input(width) for width in table.in_widths]
            builder.output(builder.lut(table, inputs))
            found.append(estimate_luts(run_passes(builder.build(), passes)[0]).luts)
        bits = torch.tensor(float(address_bits))
        formula = float(smooth_sum_luts(bits, float(layer.quantizer.bits), XCVU9P))
        yield {"address_bits": address_bits, "luts": float(np.mean(found)), "formula": formula}


def _cut_down(bits: np.ndarray, total: int, rng: np.random.Generator) -> np.ndarray:
    out = bits.astype(np.float32)
    for row in out:
        while row.sum() > total:
            row[rng.choice(np.flatnonzero(row))] -= 1
    return out


def write(rows: Sequence[Mapping[str, Any]], neurons: Sequence[Mapping[str, float]]) -> None:
    """Writes rows and table beside the script."""
    (HERE / "calibration.json").write_text(json.dumps({"networks": rows, "neurons": neurons}, indent=2) + "\n")
    luts = np.array([row["luts"] for row in rows], dtype=float)
    lines = [
        "# The cost in the loss against the lookup tables in the end",
        "",
        "`LUTs` is yosys's estimate after `lutnet opt -p fast`, tables written in style `wide`. Costs include the argmax in closed form.",
        "",
        "| network | LUTs | cost, neurons as sums | ratio | cost, neurons as tables |",
        "|" + " --- |" * 5,
    ]
    for row in rows:
        ratio = f"{row['cost'] / row['luts']:.2f}"
        lines.append(
            f"| {row['name']} | {row['luts']:,} | {row['cost']:,.0f} | {ratio} | {row['cost_as_tables']:,.0f} |"
        )
    lines.append("")
    for key, what in (("cost", "as sums"), ("cost_as_tables", "as tables")):
        cost = np.array([row[key] for row in rows])
        plain, log = np.corrcoef(luts, cost)[0, 1], np.corrcoef(np.log(luts), np.log(cost))[0, 1]
        lines.append(
            f"* Neurons {what}: correlation {plain:.3f}, of the logarithms {log:.3f}, over {len(rows)} networks."
        )
    lines += [
        "",
        f"Single neurons of layer {NEURONS[1]} of `{NEURONS[0]}`, cut down to fewer address bits:",
        "",
        "| address bits | LUTs, mean | formula |",
        "| --- | --- | --- |",
        *(f"| {row['address_bits']} | {row['luts']:.1f} | {row['formula']:.1f} |" for row in neurons),
        "",
        "Made by `python benchmarks/calibration.py --data jets_sim.npz --images mnist.npz`.",
        "",
    ]
    (HERE / "calibration.md").write_text("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
