"""A module written the usual way, with a branch and a skip connection: trained, traced, and written as Verilog."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from lutnet.backends import Verilog, write_files
from lutnet.lower import lower_module
from lutnet.nn import InputQuantizer, Joined, LutModule, SparseLinear, make_quantizer, random_wiring
from lutnet.passes import DEFAULT_PASSES, Pipeline, parse_passes, run_passes
from lutnet.train.config import TrainConfig
from lutnet.train.data import Dataset, load
from lutnet.train.loop import train
from lutnet.verify.equivalence import check_equivalent


class Tagger(LutModule):
    """Two branches over the features; the scores read both and the features themselves."""

    def __init__(self, data: Dataset) -> None:
        super().__init__()
        n = data.n_features
        self.inputs = InputQuantizer.fit_quantile(data.train.x, 2)
        self.pairs = SparseLinear(self.inputs, n, random_wiring(n, 16, 2, seed=1), make_quantizer("signed", 2))
        self.triples = SparseLinear(self.inputs, n, random_wiring(n, 16, 3, seed=2), make_quantizer("signed", 2))
        everything = Joined([self.inputs, self.pairs.quantizer, self.triples.quantizer], [n, 16, 16])
        wiring = random_wiring(n + 32, data.n_classes, 6, seed=3)
        self.scores = SparseLinear(everything, n + 32, wiring, make_quantizer("signed", 5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.inputs(x)
        return self.scores(torch.cat([x, self.pairs(x), self.triples(x)], dim=1))


class Decided(nn.Module):
    """The class in hardware."""

    def __init__(self, scores: nn.Module) -> None:
        super().__init__()
        self.scores = scores

    def forward(self, x: Tensor) -> Tensor:
        return self.scores(x).argmax(dim=1)


out = Path(sys.argv[1] if len(sys.argv) > 1 else "build/own_module")
epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 10
torch.manual_seed(0)
data = load("jets_sim_sample")
tagger = Tagger(data)
result = train(tagger, data, TrainConfig(epochs=epochs, learning_rate=5e-3))
hardware = lower_module(Decided(tagger), x=torch.from_numpy(data.train.x[:1]))
netlist, _ = run_passes(hardware.netlist, [*parse_passes(DEFAULT_PASSES), Pipeline()], check=check_equivalent)
classes = netlist.evaluate(hardware.encode(x=data.test.x))[:, 0]
print(f"validation accuracy {result.validation_accuracy:.4f}")
print(f"test accuracy of the netlist: {(classes == data.test.y).mean():.4f}, {netlist!r}")
print(write_files(Verilog(top="own_module").emit(netlist), out / "rtl"))
