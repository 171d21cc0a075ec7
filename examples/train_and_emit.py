"""The Python API in thirty lines: from a data set to Verilog, with every step checked."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from lutnet.backends import Verilog, write_files
from lutnet.lower import lower_classifier
from lutnet.nn import InputQuantizer, LutNetwork, SparseLinear, make_quantizer, random_wiring
from lutnet.passes import DEFAULT_PASSES, Pipeline, parse_passes, run_passes
from lutnet.train.config import TrainConfig
from lutnet.train.data import load
from lutnet.train.loop import train
from lutnet.verify.equivalence import check_equivalent

out = Path(sys.argv[1] if len(sys.argv) > 1 else "build/example")
epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 10

data = load("jets_sim_sample")
torch.manual_seed(0)
inputs = InputQuantizer.fit_quantile(data.train.x, 3, feature_names=data.feature_names)
hidden = SparseLinear(inputs, 16, random_wiring(16, 30, 2, seed=1), make_quantizer("hard-tanh", 2))
scores = SparseLinear(hidden.quantizer, 30, random_wiring(30, 5, 6, seed=2), make_quantizer("signed", 5))
network = LutNetwork(inputs, [hidden, scores], feature_names=data.feature_names, class_names=data.class_names)

result = train(
    network,
    data,
    TrainConfig(epochs=epochs, learning_rate=5e-3),
    on_epoch=lambda e: print(e.epoch, e.validation_accuracy),
)
netlist, _ = run_passes(lower_classifier(network), [*parse_passes(DEFAULT_PASSES), Pipeline()], check=check_equivalent)
classes = netlist.evaluate(network.encoder().encode(data.test.x))[:, 0]
print(f"test accuracy of the netlist: {(classes == data.test.y).mean():.4f}, {netlist!r}")
print(write_files(Verilog(top="jet_tagger").emit(netlist), out / "rtl"))
