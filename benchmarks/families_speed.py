"""A training step of each family of multi-input tables against the same arithmetic one neuron after the other.

    python benchmarks/families_speed.py

The neuron by neuron layer is made of layers of one neuron each, with the same weights, which pick their operands from the batch and
whose responses one quantiser reads; that it gives the same numbers is checked first. A step is forward, backward and optimiser (AdamW,
fused), the gradient to the inputs of hidden layers included. Both are timed in turns in one process on one thread, in processor time, and
the least of the repetitions counts. Where a batch has more rows than a table has entries, the layer computes its tables and looks them up,
the loop does not. The table is written to benchmarks/families_speed.md, the rows to benchmarks/families_speed.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from lutnet.nn import (
    AdderNeurons,
    AdderOptions,
    AssembleNeurons,
    AssembleOptions,
    PolynomialNeurons,
    PolynomialOptions,
    SubnetNeurons,
    SubnetOptions,
    address_lookup,
    make_quantizer,
    random_wiring,
)

HERE = Path(__file__).resolve().parent

FAMILIES: dict[str, tuple[Callable[..., Any], int]] = {
    "polynomial, degree 2": (partial(PolynomialNeurons, options=PolynomialOptions(2)), 1),
    "polynomial, degree 4": (partial(PolynomialNeurons, options=PolynomialOptions(4)), 1),
    "subnet, 8 wide, 2 deep": (partial(SubnetNeurons, options=SubnetOptions(8, 2, 0)), 1),
    "subnet, 16 wide, 4 deep": (partial(SubnetNeurons, options=SubnetOptions(16, 4, 2)), 1),
    "assemble, 64 wide, 2 deep": (partial(AssembleNeurons, options=AssembleOptions(width=64)), 1),
    "adder of 2, degree 1": (partial(AdderNeurons, options=AdderOptions(2, 1)), 2),
    "adder of 2, degree 2": (partial(AdderNeurons, options=AdderOptions(2, 2)), 2),
}
"""Families with their options, and the terms of a neuron."""


@dataclass(frozen=True)
class Shape:
    """A layer and its batch."""

    name: str
    n_in: int
    n_out: int
    fan_in: int
    bits: int
    batch: int
    hidden: bool = False


SHAPES = (
    Shape("jets, hidden", 64, 64, 4, 3, 128, True),
    Shape("jets, hidden", 64, 64, 4, 3, 1024, True),
    Shape("level of a tree", 320, 160, 2, 3, 1024, True),
    Shape("images", 784, 256, 6, 1, 128),
    Shape("images", 784, 256, 6, 1, 1024),
)


class NeuronByNeuron(nn.Module):
    """The layer as a loop over layers of one neuron."""

    def __init__(self, layer: Any, make: Callable[..., Any]) -> None:
        super().__init__()
        self.quantizer = layer.quantizer
        self.neurons = nn.ModuleList()
        self.columns = []
        for j, row in enumerate(layer.wiring):
            columns, own = row.unique(return_inverse=True)
            self.columns.append(columns)
            neuron = make(layer.source, len(columns), own[None], make_quantizer("hard-tanh", self.quantizer.bits))
            for name, value in neuron.state_dict().items():
                if name.endswith("wiring"):
                    continue
                whole = layer.state_dict()[name]
                shared = whole.shape == value.shape
                value.copy_(whole if shared else whole[j * len(value) : (j + 1) * len(value)])
            self.neurons.append(neuron)

    def forward(self, x: Tensor) -> Tensor:
        """As the layer."""
        with mock.patch.object(address_lookup, "lookup_pays", lambda *_: False):
            parts = [neuron.response(x[:, columns]) for neuron, columns in zip(self.neurons, self.columns, strict=True)]
        return self.quantizer(torch.cat(parts, dim=1))


def main() -> int:
    """Measures all and writes table and rows beside the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5, help="of which the least time counts")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for shape in SHAPES:
        for family, (make, terms) in FAMILIES.items():
            rows.append(measure(shape, family, make, terms, options.repetitions))
            print(rows[-1], flush=True)
    write(rows)
    return 0


def measure(shape: Shape, family: str, make: Callable[..., Any], terms: int, repetitions: int) -> dict[str, Any]:
    """One row: milliseconds of both and their ratio."""
    torch.manual_seed(0)
    source = make_quantizer("binary" if shape.bits == 1 else "hard-tanh", shape.bits)
    x = source(torch.randn(shape.batch, shape.n_in)).detach().requires_grad_(shape.hidden)
    wiring = random_wiring(shape.n_in, shape.n_out * terms, shape.fan_in, 0).reshape(shape.n_out, -1)
    layer = make(source, shape.n_in, wiring, make_quantizer("hard-tanh", 2))
    layer(x)
    loop = NeuronByNeuron(layer, make)
    torch.testing.assert_close(loop(x), layer(x), rtol=1e-3, atol=1e-3)
    steps = [step_of(module, x) for module in (layer, loop)]
    best = [float("inf")] * 2
    for _ in range(repetitions):
        for number, step in enumerate(steps):
            best[number] = min(best[number], seconds(step, (10, 1)[number]))
    return {
        "shape": shape.name,
        "neurons": shape.n_out,
        "fan_in": shape.fan_in,
        "batch": shape.batch,
        "family": family,
        "batched_ms": round(best[0] * 1e3, 2),
        "loop_ms": round(best[1] * 1e3, 1),
        "ratio": round(best[1] / best[0], 1),
    }


def step_of(module: nn.Module, x: Tensor) -> Callable[[], None]:
    """A training step of a module, run once to warm up."""
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        module(x).square().mean().backward()
        optimizer.step()

    step()
    return step


def seconds(step: Callable[[], None], count: int) -> float:
    """Processor time of a step, the mean over some in a row."""
    begin = time.process_time()
    for _ in range(count):
        step()
    return (time.process_time() - begin) / count


def write(rows: list[dict[str, Any]]) -> None:
    """Writes rows and table beside the script."""
    (HERE / "families_speed.json").write_text(json.dumps(rows, indent=2) + "\n")
    lines = [
        "# A training step, batched and neuron by neuron",
        "",
        "Forward, backward and optimiser of one layer, milliseconds of processor time on one thread of a processor. `one by one` is a",
        "loop over layers of one neuron with the same weights and results. Where a batch has more rows than a table has entries, the",
        "batched layer computes its tables and looks them up.",
        "",
        "| layer | fan-in | rows | family | batched, ms | one by one, ms | ratio |",
        "|" + " --- |" * 7,
    ]
    for row in rows:
        layer = f"{row['shape']}, {row['neurons']} neurons"
        cells = (layer, row["fan_in"], row["batch"], row["family"], row["batched_ms"], row["loop_ms"], row["ratio"])
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines += ["", "Made by `python benchmarks/families_speed.py`.", ""]
    (HERE / "families_speed.md").write_text("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
