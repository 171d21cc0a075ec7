"""What every neuron family must pass, unchanged: :func:`check_family`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lutnet.cost import DEVICES, XCVU9P
from lutnet.nn.inputs import InputQuantizer
from lutnet.nn.levels import make_quantizer
from lutnet.nn.lut_layer import LutLayer
from lutnet.nn.quantize import Quantizer
from lutnet.nn.wiring import Wiring, random_wiring
from lutnet.tables import unpack_address

__all__ = ["MakeLayer", "check_family"]

MakeLayer = Callable[[Quantizer, int, Wiring, Quantizer], LutLayer]

ROWS = 256


@dataclass(frozen=True)
class _Case:
    """A source, an output quantiser, a wiring, and the values that the source makes of random data."""

    name: str
    source: Quantizer
    wiring: Wiring
    quantizer: Quantizer
    values: Tensor

    @property
    def n_in(self) -> int:
        return self.values.shape[1]


def check_family(
    make_layer: MakeLayer, *, in_features: int = 9, out_features: int = 6, fan_in: int = 3, seed: int = 0
) -> None:
    """Check a neuron family against the contract of :class:`LutLayer`.

    Runs over sources with mixed widths, per-layer and per-channel scales and unequal levels, and over several output
    quantisers. For each: shapes and dtypes; tables equal to the forward pass on every address of every neuron, in training and
    evaluation mode, which the call leaves as they are; results independent of the batch, and real-valued ones of how rows and
    neurons are cut into chunks; a finite gradient that reaches every parameter and the inputs; equal seeds giving equal layers; a
    checkpoint that restores every table; a cost that is positive and grows with fan-in and bits.

    Args:
        make_layer: Called as ``make_layer(source, in_features, wiring, quantizer)``.
        in_features: Columns that the layers read, at least ``fan_in + 1``.
        out_features: Neurons.
        fan_in: Operands of each neuron; tables of up to ``3 * fan_in`` address bits are enumerated.
        seed: Of the data, wirings and weights.

    Raises:
        AssertionError: The family breaks the contract; the message names the case and the rule.
    """
    with torch.random.fork_rng(devices=[]):
        for case in _cases(in_features, out_features, fan_in, seed):
            torch.manual_seed(seed)
            layer = make_layer(case.source, case.n_in, case.wiring, case.quantizer)
            _check_gradients(layer, case)
            _check_forward(layer, case)
            _check_tables(layer, case, seed)
            _check_chunks(layer, case)
            _check_reproducible(make_layer, layer, case, seed)
            _check_cost(layer, case)
        _check_cost_grows(make_layer, in_features, out_features, fan_in, seed)


def _cases(n_in: int, n_out: int, fan_in: int, seed: int) -> Iterator[_Case]:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(ROWS, n_in))
    wiring = random_wiring(n_in, n_out, fan_in, seed)
    widths = [1 + i % 3 for i in range(n_in)]
    sources: list[tuple[str, Quantizer]] = [
        ("features of 1 to 3 bits", InputQuantizer.fit_quantile(features, widths)),
        ("clipped-relu of 2 bits", make_quantizer("clipped-relu", 2)),
        ("power-of-two of 3 bits a channel", make_quantizer("power-of-two", 3, n_in)),
        ("ternary", make_quantizer("ternary", 2)),
    ]
    outputs = [("hard-tanh", 3, n_out), ("signed", 4, 1), ("binary", 1, 1), ("unsigned", 2, n_out)]
    for (name, source), (kind, bits, channels) in zip(sources, outputs, strict=True):
        raw = torch.from_numpy(features).float()
        source(raw)
        values = source.values(source.codes(raw))
        yield _Case(f"{name} to {kind}", source, wiring, make_quantizer(kind, bits, channels), values)


def _check_gradients(layer: LutLayer, case: _Case) -> None:
    layer.train()
    before = {name: p.detach().clone() for name, p in layer.named_parameters()}
    assert before, f"{case.name}: the layer has no parameter"
    inputs = case.values.float().requires_grad_()
    mix = torch.from_numpy(np.random.default_rng(1).normal(size=layer.out_features)).float()
    optimizer = torch.optim.SGD(layer.parameters(), lr=1e-2)
    reached: set[str] = set()
    for _ in range(3):
        optimizer.zero_grad()
        out = layer(inputs)
        assert out.shape == (ROWS, layer.out_features), f"{case.name}: training output has shape {tuple(out.shape)}"
        assert out.dtype == torch.float32, f"{case.name}: training output is {out.dtype}, expected float32"
        (out * mix).square().mean().backward()
        for name, parameter in layer.named_parameters():
            grad = parameter.grad
            assert grad is not None, f"{case.name}: no gradient reaches parameter {name}"
            assert bool(torch.isfinite(grad).all()), f"{case.name}: the gradient of {name} is not finite"
            if bool((grad != 0).any()):
                reached.add(name)
        optimizer.step()
    assert reached == set(before), f"{case.name}: the gradient of {sorted(set(before) - reached)} is zero"
    read = torch.zeros(case.n_in, dtype=torch.bool)
    read[layer.wiring.reshape(-1)] = True
    grad = inputs.grad
    assert grad is not None and bool((grad[:, read] != 0).any()), f"{case.name}: no gradient reaches the inputs"
    assert not bool((grad[:, ~read] != 0).any()), f"{case.name}: a gradient reaches an input that no neuron reads"


def _check_forward(layer: LutLayer, case: _Case) -> None:
    layer.eval()
    response = layer.respond(layer.gather(case.values, layer.wiring), slice(None))
    assert response.dtype == torch.float64, f"{case.name}: respond() gives {response.dtype}, expected float64"
    out = layer(case.values)
    assert out.dtype == torch.float64, f"{case.name}: evaluation gives {out.dtype}, expected float64"
    codes = layer.codes(case.values)
    assert codes.dtype == torch.int64 and codes.shape == out.shape, (
        f"{case.name}: codes are {codes.dtype} {codes.shape}"
    )
    expected = layer.quantizer.values(codes)
    assert torch.equal(out, expected), f"{case.name}: evaluation differs from the values of the codes"
    for size in (1, 7):
        parts = torch.cat([layer.codes(part) for part in case.values.split(size)])
        assert torch.equal(parts, codes), f"{case.name}: codes depend on the batch size ({size} and {ROWS})"


def _check_tables(layer: LutLayer, case: _Case, seed: int) -> None:
    rng = np.random.default_rng(seed)
    layer.train()
    layer.quantizer.eval()
    state = copy.deepcopy(layer.state_dict())
    tables = layer.tables()
    assert layer.training and not layer.quantizer.training, f"{case.name}: tables() changes the mode"
    assert _same_state(state, layer.state_dict()), f"{case.name}: tables() changes the layer"
    assert len(tables) == layer.out_features, f"{case.name}: {len(tables)} tables for {layer.out_features} neurons"
    assert tables == layer.eval().tables(), f"{case.name}: tables depend on the mode or differ between two calls"
    widths = case.source.feature_bits(case.n_in)
    reads = layer.operand_bits()
    for neuron, table in enumerate(tables):
        read = reads[neuron] > 0
        operands, bits = layer.wiring[neuron].numpy()[read], reads[neuron][read]
        assert table.in_widths == tuple(bits.tolist()), f"{case.name}: widths of table {neuron}"
        assert table.out_width == layer.out_bits()[neuron], f"{case.name}: output width of table {neuron}"
        codes = rng.integers(0, 1 << widths, size=(table.n_entries, case.n_in))
        parts = _addresses(table.n_entries, table.in_widths) if len(bits) else []
        for column, unread, part in zip(operands, widths[operands] - bits, parts, strict=True):
            codes[:, column] = (part << unread) | (codes[:, column] & ((1 << unread) - 1))
        got = layer.codes(case.source.values(torch.from_numpy(codes)))[:, neuron].numpy()
        assert np.array_equal(got, table.codes), f"{case.name}: table {neuron} differs from the forward pass"


def _check_chunks(layer: LutLayer, case: _Case) -> None:
    layer.eval()
    operands = layer.gather(case.values, layer.wiring)
    whole = layer.respond(operands, slice(None))
    for rows, n in ((1, layer.out_features), (5, 1), (64, 2)):
        chosen = torch.arange(layer.out_features - 1, -1, -1).split(n)
        parts = [torch.cat([layer.respond(part, some) for part in operands[:, some].split(rows)]) for some in chosen]
        assert torch.equal(torch.cat(parts, dim=1).flip(1), whole), (
            f"{case.name}: respond() depends on how rows and neurons are cut into chunks ({rows} rows of {n} neurons)"
        )


def _check_reproducible(make_layer: MakeLayer, layer: LutLayer, case: _Case, seed: int) -> None:
    twins = []
    for _ in range(2):
        torch.manual_seed(seed)
        twins.append(make_layer(case.source, case.n_in, case.wiring, copy.deepcopy(case.quantizer)))
    first, second = twins
    assert _same_state(first.state_dict(), second.state_dict()), f"{case.name}: equal seeds give different layers"
    torch.manual_seed(seed + 1)
    other = make_layer(case.source, case.n_in, case.wiring, _altered(case.quantizer))
    other.load_state_dict(layer.state_dict())
    assert other.tables() == layer.tables(), f"{case.name}: a loaded checkpoint gives other tables"


def _altered(quantizer: Quantizer) -> Quantizer:
    """A copy whose learned numbers are all different."""
    twin = copy.deepcopy(quantizer)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.mul_(1.5)
    return twin


def _check_cost(layer: LutLayer, case: _Case) -> None:
    for device in DEVICES.values():
        cost = layer.cost(device)
        assert cost.shape == () and bool(torch.isfinite(cost)) and cost.item() > 0, f"{case.name}: cost is {cost}"
        assert layer.lut_cost(device) > 0, f"{case.name}: closed-form cost is {layer.lut_cost(device)}"


def _check_cost_grows(make_layer: MakeLayer, n_in: int, n_out: int, fan_in: int, seed: int) -> None:
    def costs(reads: int, bits: int, out_bits: int) -> npt.NDArray[np.float64]:
        torch.manual_seed(seed)
        quantizer = make_quantizer("signed", out_bits)
        layer = make_layer(make_quantizer("unsigned", bits), n_in, random_wiring(n_in, n_out, reads, seed), quantizer)
        return np.array([layer.cost(XCVU9P).item(), layer.lut_cost(XCVU9P)])

    base = costs(fan_in, 3, 2)
    for what, more in (
        ("fan-in", costs(fan_in + 1, 3, 2)),
        ("operands' bits", costs(fan_in, 4, 2)),
        ("output's bits", costs(fan_in, 3, 3)),
    ):
        assert more[0] > base[0], f"the differentiable cost does not grow with the {what}: {base[0]} to {more[0]}"
        assert more[1] >= base[1], f"the closed-form cost falls with the {what}: {base[1]} to {more[1]}"


def _addresses(n_entries: int, widths: tuple[int, ...]) -> list[npt.NDArray[np.int64]]:
    return unpack_address(np.arange(n_entries, dtype=np.int64), widths)


def _same_state(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
