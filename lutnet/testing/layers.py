"""What every layer must pass, from its gradients to its Verilog: :func:`check_layer`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lutnet.cost import DEVICES
from lutnet.lower import lower_layer
from lutnet.nn.conformance import MakeLayer
from lutnet.nn.inputs import InputQuantizer
from lutnet.nn.layer import Layer
from lutnet.nn.levels import FixedQuantizer, make_quantizer
from lutnet.nn.quantize import Quantizer
from lutnet.nn.thermometer import BIPOLAR
from lutnet.nn.wiring import random_wiring
from lutnet.passes import DEFAULT_PASSES, Pipeline, parse_passes, run_passes
from lutnet.testing.verilog import check_verilog
from lutnet.verify.equivalence import check_equivalent

__all__ = ["MakeAnyLayer", "check_layer", "check_table_hardware"]

MakeAnyLayer = Callable[[Quantizer, int], Layer]

ROWS = 192
EXHAUSTIVE_BITS = 13


@dataclass(frozen=True)
class _Case:
    """A source and what its codes and values look like: all input codes when they are few, random ones otherwise."""

    name: str
    source: Quantizer
    n_in: int
    codes: Tensor

    @property
    def values(self) -> Tensor:
        return self.source.values(self.codes)


def check_layer(
    make_layer: MakeAnyLayer,
    *,
    bits: int = 1,
    in_features: int = 8,
    seed: int = 0,
    simulate: bool = True,
    alike: bool = False,
) -> None:
    """Checks a layer against the contract of :class:`lutnet.nn.Layer`.

    For several sources: shapes and types in training and evaluation; a finite gradient that reaches every parameter;
    codes that are the same in both modes and for any batch; equal seeds giving equal layers; a checkpoint that restores
    every code; a cost and a summary that are numbers; a netlist that equals torch on every input code (on random ones
    where the inputs have more than 13 bits together), before and after the passes; Verilog that equals the netlist in Icarus
    and re-read by pyverilog.

    Args:
        make_layer: Called as ``make_layer(source, in_features)``; its weights come from torch's global generator.
        bits: Most bits of an input: 1 for layers of Boolean functions.
        in_features: Columns that the layers read.
        seed: Of data and weights.
        simulate: Whether to simulate and re-read the Verilog.
        alike: Whether the inputs of every source have one code, which layers with a shared kernel ask for.

    Raises:
        AssertionError: The layer breaks the contract; the message names the source and the rule.
    """
    with torch.random.fork_rng(devices=[]):
        for number, case in enumerate(_cases(bits, in_features, seed, alike=alike)):
            torch.manual_seed(seed)
            layer = make_layer(case.source, case.n_in)
            _check_training(layer, case)
            _check_codes(layer, case)
            _check_reproducible(make_layer, layer, case, seed)
            _check_cost(layer, case)
            _check_hardware(layer, case, simulate=simulate and number == 0)


def check_table_hardware(make_layer: MakeLayer, *, simulate: bool = True, seed: int = 0) -> None:
    """The hardware part of :func:`check_layer` for a family of one table a neuron."""

    def make(source: Quantizer, n_in: int) -> Layer:
        return make_layer(source, n_in, random_wiring(n_in, 3, 3, seed), make_quantizer("signed", 3))

    case = next(_cases(2, 5, seed))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layer = make(case.source, case.n_in)
        _train_a_little(layer, case)
        _check_hardware(layer, case, simulate=simulate)


def _cases(bits: int, n_in: int, seed: int, *, alike: bool = False) -> Iterator[_Case]:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(ROWS, n_in))
    sources: list[tuple[str, Quantizer]]
    if alike:
        sources = [
            (f"one range of {bits} bits", InputQuantizer.over_range(n_in, bits, -2.0, 2.0)),
            ("bits of -1 and +1", FixedQuantizer(BIPOLAR)) if bits == 1 else ("signed", make_quantizer("signed", bits)),
            (f"clipped-relu of {bits} bits", make_quantizer("clipped-relu", bits)),
        ]
    elif bits == 1:
        sources = [
            ("bits of -1 and +1", FixedQuantizer(BIPOLAR)),
            ("features of 1 bit", InputQuantizer.fit_quantile(features, 1)),
            ("binary", make_quantizer("binary", 1)),
        ]
    else:
        mixed = [1 + i % bits for i in range(n_in)]
        sources = [
            (f"uniform features of {bits} bits", InputQuantizer.fit_uniform(features, bits)),
            (f"features of 1 to {bits} bits", InputQuantizer.fit_quantile(features, mixed)),
            (f"clipped-relu of {bits} bits", make_quantizer("clipped-relu", bits)),
            (f"signed of {bits} bits", make_quantizer("signed", bits)),
        ]
    for name, source in sources:
        source(torch.from_numpy(features).float())
        widths = source.feature_bits(n_in)
        if widths.sum() <= EXHAUSTIVE_BITS:
            address = np.arange(1 << int(widths.sum()))
            starts = np.cumsum(widths) - widths
            codes = (address[:, None] >> starts) & ((1 << widths) - 1)
        else:
            codes = rng.integers(0, 1 << widths, (1 << 11, n_in))
        yield _Case(name, source, n_in, torch.from_numpy(codes))


def _train_a_little(layer: Layer, case: _Case) -> set[str]:
    """Three steps; the names of the parameters that a gradient reached."""
    layer.train()
    pick = torch.from_numpy(np.random.default_rng(2).integers(0, len(case.codes), ROWS))
    inputs = case.values[pick].float().requires_grad_()
    mix = torch.from_numpy(np.random.default_rng(1).normal(size=(ROWS, layer.out_features))).float()
    parameters = dict(layer.named_parameters())
    optimizer = torch.optim.SGD(parameters.values(), lr=1e-2) if parameters else None
    reached: set[str] = set()
    for step in range(3):
        layer.schedule(step / 3)
        layer.zero_grad()
        out = layer(inputs)
        assert out.shape == (ROWS, layer.out_features), f"{case.name}: training output has shape {tuple(out.shape)}"
        assert out.dtype == torch.float32, f"{case.name}: training output is {out.dtype}, expected float32"
        if optimizer is None:
            continue
        ((out * mix).mean() + layer.penalty()).backward()
        for name, parameter in parameters.items():
            if parameter.grad is None:
                continue
            assert bool(torch.isfinite(parameter.grad).all()), f"{case.name}: the gradient of {name} is not finite"
            if bool((parameter.grad != 0).any()):
                reached.add(name)
        optimizer.step()
        layer.after_step()
    return reached


def _check_training(layer: Layer, case: _Case) -> None:
    reached = _train_a_little(layer, case)
    missing = {name for name, _ in layer.named_parameters()} - reached
    assert not missing, f"{case.name}: no gradient reaches {sorted(missing)}"


def _check_codes(layer: Layer, case: _Case) -> None:
    state = copy.deepcopy(layer.state_dict())
    layer.train()
    while_training = layer.codes(case.values)
    layer.eval()
    codes = layer.codes(case.values)
    assert codes.dtype == torch.int64 and codes.shape == (len(case.codes), layer.out_features), (
        f"{case.name}: codes are {codes.dtype} of shape {tuple(codes.shape)}"
    )
    assert torch.equal(codes, while_training), f"{case.name}: codes depend on the mode"
    assert bool((codes >= 0).all()) and bool((codes < 1 << torch.from_numpy(layer.out_bits())).all()), (
        f"{case.name}: codes do not fit their bits"
    )
    out = layer(case.values)
    assert out.dtype == torch.float64, f"{case.name}: evaluation gives {out.dtype}, expected float64"
    assert torch.equal(out, layer.quantizer.values(codes)), f"{case.name}: evaluation differs from the codes' values"
    few = case.values[:50]
    for size in (1, 7):
        parts = torch.cat([layer.codes(few[i : i + size]) for i in range(0, len(few), size)])
        assert torch.equal(parts, codes[:50]), f"{case.name}: codes depend on the batch size"
    assert _same_state(state, layer.state_dict()), f"{case.name}: evaluation changes the layer"


def _check_reproducible(make_layer: MakeAnyLayer, layer: Layer, case: _Case, seed: int) -> None:
    twins = []
    for _ in range(2):
        torch.manual_seed(seed)
        twins.append(make_layer(case.source, case.n_in))
    assert _same_state(twins[0].state_dict(), twins[1].state_dict()), f"{case.name}: equal seeds give different layers"
    torch.manual_seed(seed + 1)
    other = make_layer(case.source, case.n_in)
    other.load_state_dict(layer.state_dict())
    other.eval()
    assert torch.equal(other.codes(case.values), layer.codes(case.values)), (
        f"{case.name}: a loaded checkpoint gives other codes"
    )


def _check_cost(layer: Layer, case: _Case) -> None:
    for device in DEVICES.values():
        cost = layer.cost(device)
        assert cost.shape == () and bool(torch.isfinite(cost)) and cost.item() >= 0, f"{case.name}: cost is {cost}"
        summary = layer.summary("layer0", device)
        assert summary.n_luts >= 0 and summary.n_luts == layer.lut_cost(device), f"{case.name}: summary is {summary}"
    assert layer.penalty().shape == (), f"{case.name}: the penalty is no scalar"


def _check_hardware(layer: Layer, case: _Case, *, simulate: bool) -> None:
    layer.eval()
    net = lower_layer(layer)
    expected = layer.codes(case.values).numpy()
    found = net.evaluate(case.codes.numpy())
    assert np.array_equal(found, expected), f"{case.name}: the netlist differs from torch"
    net, _ = run_passes(net, [*parse_passes(DEFAULT_PASSES), Pipeline()], check=check_equivalent)
    assert np.array_equal(net.evaluate(case.codes.numpy()), expected), f"{case.name}: the passes change the function"
    if simulate:
        check_verilog(net, case.name)


def _same_state(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
