"""A2Q+ against A2Q at the same accumulator width on MNIST.

    python benchmarks/accumulators.py --mnist mnist.npz

A float network of one hidden layer of 64 neurons is trained once a seed. Its weights start every network: arithmetic layers with inputs
and hidden codes of 4 bits and weights of 6 bits, without a bound or with one on the sums of both layers. Every sum's range is computed
exactly from the integer weights and compared with the bound. The best epoch is chosen on the validation set; the test set is read once,
when all networks are trained. The table is written to benchmarks/accumulators.md, the rows to benchmarks/accumulators.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn

from lutnet.nn import ArithmeticNeurons, ArithmeticOptions, LutNetwork, ScaledQuantizer
from lutnet.nn.edge_codes import ScoreCodes
from lutnet.train.build import build_network
from lutnet.train.config import ModelConfig, TrainConfig
from lutnet.train.data import Dataset, load
from lutnet.train.loop import train

HERE = Path(__file__).resolve().parent

HIDDEN, BITS, WEIGHT_BITS = 64, 4, 6
WIDTHS = (8, 10, 12, 14)
SEEDS = (0, 1)
FLOAT_EPOCHS, EPOCHS = 4, 3


@dataclass(frozen=True)
class Row:
    """One network; bits are those of its widest sum."""

    bound: str
    width: int
    seed: int
    validation: float
    test: float
    proved_bits: tuple[int, ...]
    holds: bool


def float_network(data: Dataset, seed: int) -> nn.Sequential:
    """A trained perceptron on pixels from 0 to 1."""
    torch.manual_seed(seed)
    n_in, n_out = data.train.x.shape[1], len(data.class_names)
    model = nn.Sequential(
        nn.Linear(n_in, HIDDEN, bias=False), nn.BatchNorm1d(HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, n_out)
    )
    x, y = torch.from_numpy(data.train.x) / 255.0, torch.from_numpy(np.asarray(data.train.y, dtype=np.int64))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(FLOAT_EPOCHS):
        for rows in torch.randperm(len(x)).split(256):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
    return model.eval()


def start(network: LutNetwork, model: nn.Sequential, data: Dataset) -> None:
    """Takes over weights, batch norm and biases."""
    first, last = (cast("ArithmeticNeurons", layer) for layer in network.layers)
    dense, norm, _, scores = (cast("nn.Linear", part) for part in model)
    top = float((1 << BITS) - 1)
    first.start_from(dense.weight.detach().t() / top)
    assert first.norm is not None and last.bias is not None
    first.norm.load_state_dict(norm.state_dict())
    network.train()
    network(torch.from_numpy(data.train.x[:2048]))
    hidden = cast("ScaledQuantizer", first.quantizer).scale().detach()
    last.start_from(scores.weight.detach().t() * hidden)
    step = last.weights.step().detach()
    with torch.no_grad():
        cast("ScoreCodes", last.quantizer).log_scale.copy_(torch.log(step[0]))
        last.bias.copy_(scores.bias / step)


def run(data: Dataset, model: nn.Sequential, bound: str, width: int, seed: int) -> tuple[LutNetwork, Row]:
    """One trained network; its row has no test accuracy yet."""
    options = ArithmeticOptions(weight_bits=WEIGHT_BITS, bound=bound, accumulator_bits=width)
    config = ModelConfig(
        hidden_layers=(HIDDEN,),
        family="arithmetic",
        input_codes="range",
        input_bitwidth=BITS,
        hidden_bitwidth=BITS,
        activation="unsigned",
        arithmetic=options,
        seed=seed,
    )
    network = build_network(config, data)
    start(network, model, data)
    settings = TrainConfig(epochs=EPOCHS, batch_size=256, learning_rate=1e-3, weight_decay=0.0, seed=seed)
    result = train(network, data, settings)
    network.eval()
    proofs = [cast("ArithmeticNeurons", layer).prove_accumulator() for layer in network.layers]
    bits = tuple(proof.bits for proof in proofs)
    return network, Row(bound, width, seed, result.validation_accuracy, 0.0, bits, all(proof.holds for proof in proofs))


def accuracy(network: LutNetwork, data: Dataset) -> float:
    """Of the integer network on the test set."""
    with torch.no_grad():
        found = torch.cat([network.predict(rows) for rows in torch.from_numpy(data.test.x).split(2000)])
    return float((found.numpy() == data.test.y).mean())


def table(rows: list[Row]) -> str:
    """Markdown."""
    free = statistics.mean(row.test for row in rows if row.bound == "none")
    bits = sorted({row.proved_bits for row in rows if row.bound == "none"})
    lines = [
        "# Bounded accumulators",
        "",
        f"MNIST, 784 inputs, {HIDDEN} hidden neurons, inputs and hidden codes of {BITS} bits, weights of {WEIGHT_BITS}, mean over "
        f"{len(SEEDS)} seeds, {EPOCHS} epochs from the same float network (`python benchmarks/accumulators.py --mnist mnist.npz`). "
        f"Without a bound: {100 * free:.2f} % on the test set, sums of {' or '.join(' and '.join(map(str, b)) for b in bits)} bits. "
        "The proof is the exact range of every sum, and of every part of it, over all inputs.",
        "",
        "| bits of the sums | A2Q test % | A2Q+ test % | A2Q loses | A2Q+ loses | A2Q validation % | A2Q+ validation % | widest proved | "
        "bound kept |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for width in WIDTHS:
        own = {bound: [row for row in rows if (row.bound, row.width) == (bound, width)] for bound in ("a2q", "a2q+")}
        test = {bound: 100 * statistics.mean(row.test for row in found) for bound, found in own.items()}
        val = {bound: 100 * statistics.mean(row.validation for row in found) for bound, found in own.items()}
        both = own["a2q"] + own["a2q+"]
        lines.append(
            f"| {width} | {test['a2q']:.2f} | {test['a2q+']:.2f} | {100 * free - test['a2q']:.2f} | {100 * free - test['a2q+']:.2f} | "
            f"{val['a2q']:.2f} | {val['a2q+']:.2f} | {max(max(row.proved_bits) for row in both)} | "
            f"{'yes' if all(row.holds for row in both) else 'NO'} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", required=True, help="mnist.npz")
    args = parser.parse_args()
    data = load("mnist", path=args.mnist)
    trained: list[tuple[LutNetwork, Row]] = []
    for seed in SEEDS:
        model = float_network(data, seed)
        for bound, width in [("none", 0), *((b, w) for w in WIDTHS for b in ("a2q", "a2q+"))]:
            trained.append(run(data, model, bound, width or 12, seed))
            print(trained[-1][1], flush=True)
    rows = [Row(**{**asdict(row), "test": accuracy(network, data)}) for network, row in trained]
    (HERE / "accumulators.md").write_text(table(rows), encoding="utf-8")
    (HERE / "accumulators.json").write_text(
        json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
