"""Arithmetic layers: the contract, weights, bounds that are proved, and step functions."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lutnet import NetlistBuilder
from lutnet.cost import XCVU9P
from lutnet.errors import UserError
from lutnet.lower import lower_classifier, lower_layer
from lutnet.nn import (
    ArithmeticNeurons,
    ArithmeticOptions,
    InputQuantizer,
    Quantizer,
    UnsignedUniform,
    WidthOptions,
    make_quantizer,
)
from lutnet.nn.accumulator_bound import projected, prove_accumulator
from lutnet.nn.edge_codes import ScoreCodes, WrappedCodes
from lutnet.nn.step_functions import StepFunction, find_steps
from lutnet.testing import check_layer
from lutnet.train.build import build_network
from lutnet.train.config import ModelConfig
from lutnet.train.data import load

CASES: dict[str, tuple[tuple | None, dict, WidthOptions | None]] = {
    "binary": (("binary", 1), {"weights": "binary"}, None),
    "ternary": (("signed", 3, 4), {"weights": "ternary", "extra_depth": 0}, None),
    "powers of two": (("power-of-two", 3), {"weights": "power-of-two"}, None),
    "fixed-point": (("clipped-relu", 3, 4), {}, None),
    "scores": (None, {}, None),
    "shift": (("unsigned", 3), {"rescale": "shift", "weight_bits": 6}, None),
    "a2q": (("signed", 3), {"bound": "a2q", "accumulator_bits": 10}, None),
    "a2q+ scores": (None, {"bound": "a2q+", "accumulator_bits": 10}, None),
    "element widths": (("hard-tanh", 3), {}, WidthOptions("element")),
    "channel widths": (None, {}, WidthOptions("channel", start_bits=2)),
}


def maker(
    quantizer: tuple | None, options: dict, widths: WidthOptions | None
) -> Callable[[Quantizer, int], ArithmeticNeurons]:
    def make(source: Quantizer, n_in: int) -> ArithmeticNeurons:
        out = ScoreCodes(0.1) if quantizer is None else make_quantizer(*quantizer)
        wiring = np.zeros((4, 1), dtype=np.int64)
        return ArithmeticNeurons(source, n_in, wiring, out, options=ArithmeticOptions(**options), widths=widths)

    return make


@pytest.mark.parametrize("name", CASES)
def test_contract(name: str) -> None:
    check_layer(maker(*CASES[name]), bits=3, in_features=5, simulate=name == "shift")


def trained(**options: object) -> tuple[ArithmeticNeurons, torch.Tensor, torch.Tensor]:
    """A layer of 3 neurons on 4 inputs of 2 bits, all codes and all values."""
    torch.manual_seed(0)
    source = UnsignedUniform(2)
    source(torch.rand(64, 4) * 3)
    layer = ArithmeticNeurons(
        source,
        4,
        np.zeros((3, 1), dtype=np.int64),
        make_quantizer("signed", 3, 3),
        options=ArithmeticOptions(**options),
    )
    codes = torch.cartesian_prod(*[torch.arange(4)] * 4)
    values = source.values(codes)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.05)
    for _ in range(20):
        optimizer.zero_grad()
        ((layer(values.float()) - torch.randn(3)).square().mean() + layer.penalty()).backward()
        optimizer.step()
    layer.eval()
    return layer, codes, values


@pytest.mark.parametrize("bound", ["a2q", "a2q+"])
@pytest.mark.parametrize("bits", [5, 6, 8])
def test_the_bound_is_proved_and_kept_on_every_input(bound: str, bits: int) -> None:
    layer, codes, _ = trained(bound=bound, accumulator_bits=bits, weight_bits=6)
    proof = layer.prove_accumulator()
    assert proof.holds and proof.bound_bits == bits
    weights = layer.integer_weights().numpy()
    sums = codes.numpy() @ weights
    assert sums.any() and sums.min() == proof.low and sums.max() == proof.high
    assert proof.low_part >= -(1 << (bits - 1)) and proof.high_part < 1 << (bits - 1)


def test_the_centred_bound_allows_larger_norms() -> None:
    norms = {}
    for bound in ("a2q", "a2q+"):
        layer, *_ = trained(bound=bound, accumulator_bits=6, weight_bits=6)
        layer.start_from(torch.randn(4, 3, generator=torch.Generator().manual_seed(1)) * 100)
        norms[bound] = int(layer.integer_weights().abs().sum())
    assert norms["a2q+"] > 1.5 * norms["a2q"]


def test_a_broken_bound_is_reported() -> None:
    layer, *_ = trained(bound="a2q", accumulator_bits=6, weight_bits=6)
    weights = layer.integer_weights()
    lows, highs = torch.zeros(4, dtype=torch.int64), torch.full((4,), 3)
    assert prove_accumulator(weights, lows, highs, 6).holds
    weights[1, 2] += 8
    assert not prove_accumulator(weights, lows, highs, 6).holds


def test_projection_is_the_nearest_point_of_the_ball() -> None:
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(6, 50, generator=generator, dtype=torch.float64)
    radius = torch.full((50,), 2.0, dtype=torch.float64)
    ball = projected(weights, radius)
    norm = ball.abs().sum(dim=0)
    assert bool((norm <= 2.0 + 1e-9).all())
    inside = weights.abs().sum(dim=0) <= 2.0
    assert torch.equal(ball[:, inside], weights[:, inside])
    other = projected(ball + 0.05 * torch.randn(6, 50, generator=generator, dtype=torch.float64), radius)
    assert bool(((weights - ball).norm(dim=0) <= (weights - other).norm(dim=0) + 1e-9).all())


def test_shifts_need_no_comparison() -> None:
    layer, *_ = trained(rescale="shift", weight_bits=6)
    shifts = [function.shift for function in layer.steps() if len(function.steps) > 1]
    assert shifts and None not in shifts
    assert layer.summary("", XCVU9P).n_luts > 0


def test_a_changed_weight_changes_the_netlist() -> None:
    layer, codes, _ = trained()
    expected = lower_layer(layer).evaluate(codes.numpy())
    with torch.no_grad():
        layer.weights.weight[1] += 3 * layer.weights.step()
    assert not np.array_equal(lower_layer(layer).evaluate(codes.numpy()), expected)


def test_learned_widths_narrow_with_the_cost() -> None:
    torch.manual_seed(0)
    source = InputQuantizer.fit_uniform(np.random.default_rng(0).normal(size=(200, 6)), 3)
    layer = maker(None, {"weight_bits": 6}, WidthOptions("element", move_from=0.0, settle_at=0.9, cost_warmup=0.0))(
        source, 6
    )
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)
    layer.schedule(0.1)
    before = layer.graph().adders
    for _ in range(60):
        optimizer.zero_grad()
        layer.cost(XCVU9P).backward()
        optimizer.step()
        layer.after_step()
    layer.schedule(0.95)
    width = layer.weights.get_parameter("width")
    assert torch.equal(width, width.round()) and layer.graph().adders < 0.5 * before


def test_wrapped_codes_as_inputs_are_levels() -> None:
    """Codes of a sum that wraps around are ranked by a table before they are added."""
    torch.manual_seed(0)
    source = WrappedCodes(3, 4)
    low, high = torch.tensor([-3, 0, 5, -11]), torch.tensor([9, 4, 30, 2])
    source.bind(lambda: (low, high))
    layer = ArithmeticNeurons(source, 4, np.zeros((3, 1), dtype=np.int64), make_quantizer("unsigned", 2))
    codes = torch.randint(0, 8, (300, 4))
    layer(source.values(codes).float())
    layer.eval()
    found = lower_layer(layer).evaluate(codes.numpy())
    np.testing.assert_array_equal(found, layer.codes(source.values(codes)).numpy())


@given(
    st.lists(st.integers(-400, 400), min_size=1, max_size=9, unique=True),
    st.sampled_from([1, -1, 2, -4]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=80, deadline=None)
def test_step_functions_become_the_same_netlist(steps: list[int], coef: int, equal: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    places = tuple(sorted(steps))
    if equal:
        places = tuple(places[0] + 16 * k for k in range(7))
    codes = tuple(range(8)[: len(places) + 1]) if equal else tuple(rng.permutation(16)[: len(places) + 1].tolist())
    low, high = -600 // abs(coef) * abs(coef), 600 // abs(coef) * abs(coef)
    function = StepFunction(places, codes, low, high).of_multiple(coef)
    x = np.arange(-(600 // abs(coef)), 600 // abs(coef) + 1)
    whole = StepFunction(places, codes, low, high)
    np.testing.assert_array_equal(function(x), whole(coef * x))
    builder = NetlistBuilder()
    source = builder.input(11, signed=True)
    out_bits = 3 if equal else 4
    builder.output(function.lower(builder, source, out_bits, XCVU9P))
    found = builder.build().evaluate((x & 2047)[:, None])[:, 0]
    np.testing.assert_array_equal(found, function(x))


def test_steps_are_found_by_bisection() -> None:
    def codes_of(sums: np.ndarray) -> np.ndarray:
        return np.stack([np.clip((sums[:, 0] + 5) >> 3, 0, 3), np.clip(-sums[:, 1], 0, 3)], axis=1)

    order = np.broadcast_to(np.arange(4), (2, 4))
    found = find_steps(codes_of, order, np.array([-50, -9]), np.array([60, 9]))
    assert found[0] == StepFunction((3, 11, 19), (0, 1, 2, 3), -50, 60) and found[0].shift == 3
    assert found[1] == StepFunction((-2, -1, 0), (3, 2, 1, 0), -9, 9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "octal"}, "weights"),
        ({"weight_bits": 1}, "weight_bits"),
        ({"weights": "power-of-two", "weight_bits": 5}, "weight_bits"),
        ({"bound": "a2q", "weights": "ternary"}, "fixed-point weights"),
        ({"accumulator_bits": 1}, "accumulator_bits"),
        ({"extra_depth": -2}, "extra_depth"),
    ],
)
def test_bad_options(options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        ArithmeticOptions(**options)


def test_bad_layers() -> None:
    source, wiring = UnsignedUniform(4), np.zeros((3, 1), dtype=np.int64)
    with pytest.raises(UserError, match="accumulators of 4 bits"):
        ArithmeticNeurons(
            source, 4, wiring, ScoreCodes(1.0), options=ArithmeticOptions(bound="a2q", accumulator_bits=4)
        )
    with pytest.raises(UserError, match="equally spaced"):
        ArithmeticNeurons(source, 4, wiring, make_quantizer("binary", 1), options=ArithmeticOptions(rescale="shift"))
    with pytest.raises(UserError, match="WrappedCodes"):
        ArithmeticNeurons(source, 4, wiring, WrappedCodes(3, 3))
    with pytest.raises(UserError, match="widths of weights"):
        options = ArithmeticOptions(weights="binary")
        ArithmeticNeurons(source, 4, wiring, ScoreCodes(1.0), options=options, widths=WidthOptions("element"))


def test_layers_of_tables_and_adders_mix() -> None:
    config = ModelConfig(
        hidden_layers=(6, 5),
        layer_families=("linear", "arithmetic", "arithmetic"),
        per_channel=True,
        input_bitwidth=3,
        arithmetic=ArithmeticOptions(weights="ternary"),
    )
    data = load("jets_sim_sample")
    network = build_network(config, data)
    x = torch.from_numpy(data.train.x[:300])
    network(x).sum().backward()
    network.eval()
    net = lower_classifier(network)
    codes = network.input_quantizer.codes(x).numpy()
    np.testing.assert_array_equal(net.evaluate(codes)[:, 0], network.predict(x).numpy())
    assert isinstance(network.layers[2].quantizer, ScoreCodes)
    assert network.lut_cost(XCVU9P).n_luts > 0
