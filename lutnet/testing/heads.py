"""What every head must pass, from its loss to its outputs in hardware: :func:`check_head`."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import cast

import numpy as np
import numpy.typing as npt
import torch

from lutnet.ir.netlist import Netlist
from lutnet.lower import lower_network
from lutnet.nn.families.linear import SparseLinear
from lutnet.nn.heads import Head
from lutnet.nn.inputs import InputQuantizer
from lutnet.nn.layer import Layer
from lutnet.nn.levels import make_quantizer
from lutnet.nn.network import LutNetwork
from lutnet.nn.wiring import random_wiring
from lutnet.passes import DEFAULT_PASSES, parse_passes, run_passes
from lutnet.testing.verilog import check_verilog
from lutnet.verify.equivalence import check_equivalent
from lutnet.verify.vectors import random_codes

__all__ = ["check_head"]

FEATURES, ROWS = 4, 256


def check_head(
    make_head: Callable[[], Head], y: npt.NDArray[np.generic], *, n_neurons: int, simulate: bool = True
) -> None:
    """Checks a head behind a small network.

    The loss is finite and reaches the weights; a copy is independent; buffers survive a state dict; the netlist's outputs are those of
    torch on rows and on random codes, before and after passes, and of the Verilog; what is measured on rows by the real-valued evidence is
    what the answer measures by the output codes.

    Args:
        make_head: Makes the head.
        y: What a data set says of 256 rows.
        n_neurons: Neurons of the last layer.
        simulate: Whether to simulate and re-read the Verilog.
    """
    assert len(y) == ROWS, f"expected {ROWS} rows, got {len(y)}"
    x = np.random.default_rng(0).normal(size=(ROWS, FEATURES))
    head = make_head()
    network = _network(x, head, n_neurons)
    rows, truth = torch.from_numpy(x), torch.from_numpy(y)
    chosen = torch.from_numpy(head.learns_from(y))
    prepared = network.train().prepare(rows)
    targets = head.targets(prepared, truth)
    loss = head.loss(network.run(prepared[chosen]), targets[chosen])
    torch.autograd.backward(loss)
    assert bool(torch.isfinite(loss)), "the loss is not finite"
    assert all(p.grad is not None for p in network.layers.parameters()), "the loss does not reach every weight"

    network.eval()
    exact = network.prepare(rows)
    network.settle(exact, truth)
    net = lower_network(network)
    codes = np.concatenate([network.encoder().encode(x), random_codes(net.input_widths, ROWS, seed=1)])
    expected = _in_torch(network, codes)
    np.testing.assert_array_equal(net.evaluate(codes), expected, err_msg="netlist and torch differ")
    optimised, _ = run_passes(net, parse_passes(DEFAULT_PASSES), check=check_equivalent)
    np.testing.assert_array_equal(optimised.evaluate(codes), expected, err_msg="netlist after passes and torch differ")
    if simulate:
        check_verilog(optimised, type(head).__name__)

    with torch.no_grad():
        evidence = head.evidence(network.run(exact), exact).numpy()
    measured, answered = head.measure(evidence, y), head.answer().score(expected[:ROWS], y)
    assert np.isclose(measured, answered, rtol=0, atol=1e-9), f"evidence measures {measured}, the answer {answered}"
    _check_copies(network, x, make_head, n_neurons, net)


def _network(x: npt.NDArray[np.float64], head: Head, n_neurons: int) -> LutNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        inputs = InputQuantizer.fit_uniform(x, 2)
        layer = SparseLinear(inputs, FEATURES, random_wiring(FEATURES, n_neurons, 2, 0), make_quantizer("signed", 3))
        return LutNetwork(inputs, [layer], head)


def _in_torch(network: LutNetwork, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    prepared = network.input_quantizer.values(torch.from_numpy(codes))
    with torch.no_grad():
        layer = cast("Layer", network.layers[-1])
        last = layer.quantizer.codes(network.run(prepared))
        found: npt.NDArray[np.int64] = network.head.codes(last, prepared).numpy()
    return found


def _check_copies(
    network: LutNetwork, x: npt.NDArray[np.float64], make_head: Callable[[], Head], n_neurons: int, net: Netlist
) -> None:
    """A copy belongs to nobody and has buffers of its own; a state dict brings everything back."""
    twin = network.head.copy()
    for mine, theirs in zip(network.head.buffers(), twin.buffers(), strict=True):
        assert mine.data_ptr() != theirs.data_ptr() and torch.equal(mine, theirs), "a copy shares a buffer"
    again = _network(x, make_head(), n_neurons)
    again.load_state_dict(network.state_dict())
    assert lower_network(again) == net, "a state dict does not hold all that the netlist depends on"
    assert lower_network(copy.deepcopy(network)) == net, "a deep copy of the network is another network"
