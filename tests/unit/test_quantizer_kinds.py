"""Fixed point and rounding at random: what the tests of all quantisers do not ask."""

from __future__ import annotations

import math

import pytest
import torch

from lutnet.nn import make_quantizer
from lutnet.nn.quantizer_kinds import nearest_power_of_two

STOCHASTIC = [("stochastic-binary", 1), ("stochastic-ternary", 2), ("stochastic-fixed-point", 3)]
TWINS = {"stochastic-binary": "binary", "stochastic-ternary": "ternary", "stochastic-fixed-point": "fixed-point"}


def ready(kind, bits, channels=1, seed=0):
    torch.manual_seed(seed)
    quantizer = make_quantizer(kind, bits, channels)
    quantizer.initialized.fill_(True)
    return quantizer


def test_the_nearest_power_of_two_is_exact() -> None:
    x = torch.tensor([2.0**-20, 0.36, 0.5, 0.70, 0.71, 0.75, 1.0, 1.41, 1.42, 3.0, 2.0**30 * 1.3])
    expected = [2.0 ** math.floor(math.log2(v) + 0.5) for v in x.tolist()]
    assert nearest_power_of_two(x).tolist() == expected
    assert nearest_power_of_two(x.double()).tolist() == expected


@pytest.mark.parametrize("kind", ["fixed-point", "unsigned-fixed-point", "stochastic-fixed-point"])
def test_the_step_of_fixed_point_is_a_power_of_two(kind: str) -> None:
    quantizer = make_quantizer(kind, 4, 3)
    quantizer(torch.randn(300, 3) * torch.tensor([0.03, 1.0, 50.0]))
    steps = [fmt.scale for fmt in quantizer.formats()]
    assert all(math.frexp(step)[0] == 0.5 for step in steps) and steps[0] < steps[1] < steps[2]
    quantizer.set_scale(torch.tensor([0.3, 0.4, 1.5]))
    assert [fmt.scale for fmt in quantizer.formats()] == [0.25, 0.5, 2.0]


def test_the_place_of_the_point_is_learned() -> None:
    quantizer = ready("fixed-point", 4)
    x = torch.randn(2000, 1)
    quantizer.set_scale(torch.tensor([1.0]))
    optimizer = torch.optim.Adam(quantizer.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        (quantizer(x) - x).square().mean().backward()
        optimizer.step()
    assert quantizer.formats()[0].scale in (0.25, 0.5)


@pytest.mark.parametrize(("kind", "bits"), STOCHASTIC)
def test_random_rounding_makes_levels_only_and_is_right_on_average(kind: str, bits: int) -> None:
    quantizer = ready(kind, bits)
    quantizer.set_scale(torch.tensor([0.5]))
    ramp = torch.linspace(-2.5, 2.5, 51)
    made = quantizer(ramp.expand(4000, -1))
    levels = torch.tensor(quantizer.formats()[0].values()).float()
    assert bool(torch.isclose(made.detach()[..., None], levels, atol=1e-5).any(dim=-1).all())
    soft = {
        "stochastic-binary": ramp.clamp(-0.5, 0.5),
        "stochastic-ternary": 0.5 * ramp.clamp(-1, 1),
        "stochastic-fixed-point": ramp.clamp(-2.0, 1.5),
    }[kind]
    torch.testing.assert_close(made.mean(dim=0), soft, atol=0.04, rtol=0)
    assert bool((made[0] != made[1]).any())


@pytest.mark.parametrize(("kind", "bits"), STOCHASTIC)
def test_evaluation_and_codes_are_those_of_the_deterministic_twin(kind: str, bits: int) -> None:
    quantizer, twin = ready(kind, bits), ready(TWINS[kind], bits)
    x = torch.randn(500, 4)
    twin.load_state_dict({k: v for k, v in quantizer.state_dict().items() if k in twin.state_dict()})
    assert torch.equal(quantizer.codes(x), twin.codes(x))
    assert torch.equal(quantizer.eval()(x), twin.eval()(x))
    assert int(quantizer.n_draws) == 0, "evaluation draws nothing"


@pytest.mark.parametrize(("kind", "bits"), STOCHASTIC)
def test_the_same_seed_draws_the_same_numbers_and_a_loaded_state_goes_on(kind: str, bits: int) -> None:
    x = torch.randn(200, 4)
    first, second, other = ready(kind, bits), ready(kind, bits), ready(kind, bits, seed=1)
    assert torch.equal(first(x), second(x))
    assert not torch.equal(first(x), other(x))
    state = {name: value.clone() for name, value in first.state_dict().items()}
    following = [first(x) for _ in range(3)]
    assert not torch.equal(following[0], following[1])
    other.load_state_dict(state)
    assert all(torch.equal(other(x), made) for made in following)


@pytest.mark.parametrize(("kind", "bits"), STOCHASTIC)
def test_the_gradient_is_that_of_the_ramp(kind: str, bits: int) -> None:
    quantizer = ready(kind, bits)
    quantizer.set_scale(torch.tensor([0.5]))
    x = torch.tensor([[-9.0, -0.3, 0.2, 9.0]], requires_grad=True)
    quantizer(x).sum().backward()
    inside = {"stochastic-binary": 1.0, "stochastic-ternary": 0.5, "stochastic-fixed-point": 1.0}[kind]
    assert x.grad.tolist()[0] == [0.0, inside, inside, 0.0]
