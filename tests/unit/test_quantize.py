"""Quantisers: codes, exact values, gradients, initialisation."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from lutnet.errors import UserError
from lutnet.formats import Codebook
from lutnet.nn import QUANTIZERS, make_quantizer

KINDS = [
    ("binary", 1),
    ("ternary", 2),
    ("signed", 2),
    ("signed", 5),
    ("unsigned", 1),
    ("unsigned", 4),
    ("clipped-relu", 1),
    ("clipped-relu", 3),
    ("hard-tanh", 1),
    ("hard-tanh", 4),
    ("power-of-two", 2),
    ("power-of-two", 4),
    ("fixed-point", 2),
    ("fixed-point", 5),
    ("unsigned-fixed-point", 1),
    ("unsigned-fixed-point", 4),
    ("stochastic-binary", 1),
    ("stochastic-ternary", 2),
    ("stochastic-fixed-point", 2),
    ("stochastic-fixed-point", 4),
]
N = 5


def data(rows=400, seed=0):
    scale = torch.tensor([0.2, 1.0, 3.0, 1.0, 0.5])
    return torch.randn(rows, N, generator=torch.Generator().manual_seed(seed)) * scale


def nearest(values, x):
    return np.abs(x[:, None] - values[None]).min(axis=1)


@pytest.mark.parametrize("channels", [1, N])
@pytest.mark.parametrize(("kind", "bits"), KINDS)
class TestEveryKind:
    def make(self, kind, bits, channels):
        quantizer = make_quantizer(kind, bits, channels)
        quantizer(data())
        return quantizer

    def test_evaluation_is_exactly_the_value_of_the_code(self, kind, bits, channels):
        quantizer = self.make(kind, bits, channels).eval()
        x = data(seed=1)
        codes, values = quantizer.codes(x), quantizer(x)
        assert codes.dtype == torch.int64 and values.dtype == torch.float64
        assert int(codes.min()) >= 0 and int(codes.max()) < 1 << bits
        for column, fmt in enumerate(quantizer.feature_formats(N)):
            assert fmt.bits == bits
            np.testing.assert_array_equal(values[:, column].numpy(), fmt.values()[codes[:, column].numpy()])

    def test_training_values_are_the_evaluation_values_in_float32(self, kind, bits, channels):
        quantizer = self.make(kind, bits, channels)
        x = data(seed=1)
        training = quantizer(x)
        assert training.dtype == torch.float32
        if kind.startswith("stochastic"):  # a level at random; which one with what chance is in test_quantizer_kinds.py
            for column, fmt in enumerate(quantizer.feature_formats(N)):
                found, levels = training[:, column].detach().double().numpy(), fmt.values()
                assert nearest(levels, found).max() <= 1e-5 * np.abs(levels).max()
        else:
            torch.testing.assert_close(training.detach().double(), quantizer.eval()(x), rtol=1e-5, atol=1e-6)

    def test_every_value_is_a_fixed_point(self, kind, bits, channels):
        quantizer = self.make(kind, bits, channels).eval()
        values = quantizer(data(seed=1))
        assert torch.equal(quantizer(values), values)

    def test_codes_ascend_with_the_number(self, kind, bits, channels):
        quantizer = self.make(kind, bits, channels).eval()
        ramp = torch.linspace(-9, 9, 2001)[:, None].expand(-1, N)
        assert bool((quantizer(ramp).diff(dim=0) >= 0).all())
        for fmt, codes in zip(quantizer.feature_formats(N), quantizer.codes(ramp).T.numpy(), strict=True):
            integers = np.arange(1 << bits) if isinstance(fmt, Codebook) else fmt.integers()
            assert (np.diff(integers[codes]) >= 0).all(), "an unsigned codebook or a format must order the codes"

    def test_codes_do_not_depend_on_mode_batch_or_dtype(self, kind, bits, channels):
        quantizer = self.make(kind, bits, channels)
        x = data(rows=23, seed=2)
        codes = quantizer.codes(x)
        assert torch.equal(codes, quantizer.eval().codes(x.double()))
        assert torch.equal(codes, torch.cat([quantizer.codes(row[None]) for row in x]))

    def test_selected_channels_have_their_own_scale(self, kind, bits, channels):
        quantizer = self.make(kind, bits, channels)
        x = data(seed=3)
        chosen = torch.tensor([4, 1])
        codes = quantizer.codes(x[:, chosen], chosen)
        assert torch.equal(codes, quantizer.codes(x)[:, chosen])
        assert torch.equal(quantizer.values(codes, chosen), quantizer.eval()(x)[:, chosen])
        assert torch.equal(quantizer.codes(x[:, 1:3], slice(1, 3)), quantizer.codes(x)[:, 1:3])

    def test_gradient_reaches_the_input_and_every_parameter(self, kind, bits, channels):
        quantizer = self.make(kind, bits, channels)
        x = (3 * data(seed=4)).requires_grad_()
        weights = torch.randn(x.shape, generator=torch.Generator().manual_seed(5))
        (quantizer(x) * weights).sum().backward()
        assert bool((x.grad != 0).any()) and bool(torch.isfinite(x.grad).all())
        for name, parameter in quantizer.named_parameters():
            assert bool((parameter.grad != 0).all()) and bool(torch.isfinite(parameter.grad).all()), name

    def test_learning_reduces_the_error_from_a_bad_scale(self, kind, bits, channels):
        quantizer = self.make(kind, bits, channels)
        with torch.no_grad():
            for parameter in quantizer.parameters():
                parameter.mul_(0.4)
        x = data(seed=6)
        target = x.clamp_min(0) if kind in ("unsigned", "unsigned-fixed-point", "clipped-relu") else x
        first = last = None
        optimizer = torch.optim.Adam(quantizer.parameters(), lr=0.02)
        for _ in range(60):
            loss = (quantizer(x) - target).square().mean()
            first, last = loss.item() if first is None else first, loss.item()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert last < first

    def test_state_round_trip(self, kind, bits, channels):
        quantizer = self.make(kind, bits, channels)
        other = make_quantizer(kind, bits, channels)
        other.load_state_dict(quantizer.state_dict())
        assert bool(other.initialized)
        assert other.formats() == quantizer.formats()
        x = data(seed=7)
        other(x * 100)
        assert other.formats() == quantizer.formats(), "a loaded quantiser is not initialised again"

    def test_initialisation_is_data_driven_and_robust(self, kind, bits, channels):
        small, large = make_quantizer(kind, bits, channels), make_quantizer(kind, bits, channels)
        small.initialize(data())
        large.initialize(data() * 64)
        for a, b in zip(small.finite_scales(), large.finite_scales(), strict=True):
            assert b == pytest.approx(64 * a, rel=1e-5)
        dead = make_quantizer(kind, bits, channels)
        dead(torch.zeros(8, N))
        assert all(np.isfinite(fmt.values()).all() for fmt in dead.formats())
        with pytest.raises(UserError, match="finite numbers"):
            make_quantizer(kind, bits, channels)(data() * torch.nan)
        with pytest.raises(UserError, match="finite numbers"):
            make_quantizer(kind, bits, channels).initialize(torch.zeros(0, N))

    def test_a_scale_that_became_nan_or_zero(self, kind, bits, channels):
        quantizer = self.make(kind, bits, channels)
        zero = copy.deepcopy(quantizer)
        with torch.no_grad():
            for parameter in zero.parameters():
                parameter.zero_()
            for parameter in quantizer.parameters():
                parameter[-1] = torch.nan
        assert bool(torch.isfinite(zero.eval()(data())).all())
        with pytest.raises(UserError, match="training diverged"):
            quantizer.formats()


def test_least_squares_initialisation_beats_its_neighbours():
    x = data()
    for kind, bits in [("signed", 3), ("hard-tanh", 2), ("power-of-two", 3), ("binary", 1)]:
        quantizer = make_quantizer(kind, bits, N)
        quantizer.initialize(x)
        scale = quantizer.scale().detach().clone()
        errors = []
        for factor in (0.6, 1.0, 1.6):
            quantizer.set_scale(scale * factor)
            errors.append((quantizer.eval()(x) - x).square().mean(dim=0))
        assert bool((errors[1] <= errors[0]).all()) and bool((errors[1] <= errors[2]).all()), kind


@pytest.mark.parametrize("kind", ["signed", "power-of-two"])
def test_nearest_level(kind):
    quantizer = make_quantizer(kind, 4)
    quantizer(data())
    x = data(seed=8)
    fmt = quantizer.formats()[0]
    error = np.abs(quantizer.eval()(x).numpy() - x.double().numpy()).reshape(-1)
    np.testing.assert_allclose(error, nearest(fmt.values(), x.double().numpy().reshape(-1)), atol=1e-12)


def test_levels_written_out():
    def values(kind, bits, scale):
        quantizer = make_quantizer(kind, bits)
        quantizer.set_scale(torch.tensor([scale]))
        return quantizer.formats()[0].values().tolist()

    assert values("binary", 1, 0.5) == [-0.5, 0.5]
    assert values("ternary", 2, 0.5) == [-0.5, 0.0, 0.5, 0.5]
    assert values("power-of-two", 3, 4.0) == [-4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 4.0]
    assert values("signed", 2, 0.5) == [0.0, 0.5, -1.0, -0.5]
    assert values("unsigned", 2, 0.5) == [0.0, 0.5, 1.0, 1.5]
    assert values("clipped-relu", 2, 0.5) == [0.0, 0.5, 1.0, 1.5]
    assert values("hard-tanh", 2, 0.5) == [0.25, 0.75, -0.75, -0.25]


def test_learned_step_size_gradient():
    """Esser et al., Eq. 3, with the gradient scale 1 / sqrt(N Q_P)."""
    quantizer = make_quantizer("signed", 3)
    quantizer.initialized.fill_(True)
    quantizer.set_scale(torch.tensor([0.5]))
    x = torch.tensor([[0.6, -0.9, 7.0, -7.0]])
    quantizer(x).sum().backward()
    inside = sum(round(v / 0.5) - v / 0.5 for v in (0.6, -0.9))
    assert quantizer.step.grad.item() == pytest.approx((inside + 3 - 4) / (4 * 3) ** 0.5, rel=1e-5)


def test_pact_gradient():
    """Choi et al., Eq. 3: one where the input is clipped, zero elsewhere."""
    quantizer = make_quantizer("clipped-relu", 2, 3)
    quantizer.initialized.fill_(True)
    x = torch.tensor([[0.7, 2.5, -1.0], [9.0, 3.0, 0.1]], requires_grad=True)
    quantizer(x).sum().backward()
    assert quantizer.clip.grad.tolist() == [1.0, 2.0, 0.0]
    assert x.grad.tolist() == [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]


def test_hard_tanh_gradient():
    quantizer = make_quantizer("hard-tanh", 2)
    quantizer.initialized.fill_(True)
    quantizer.set_scale(torch.tensor([0.5]))
    x = torch.tensor([[0.3, -0.9, 7.0, -7.0]], requires_grad=True)
    assert quantizer(x).tolist() == [[0.25, -0.75, 0.75, -0.75]]
    quantizer(x)[0, :3].sum().backward()
    assert x.grad.tolist() == [[1.0, 1.0, 0.0, 0.0]]
    inside = (0.5 - 0.3 / 0.5) + (-1.5 + 0.9 / 0.5)
    assert quantizer.step.grad.item() == pytest.approx((inside + 1.5) / 4**0.5, rel=1e-5)


def test_binary_gradient_is_clipped():
    quantizer = make_quantizer("binary", 1)
    quantizer.initialized.fill_(True)
    x = torch.tensor([[-3.0, -1.5, 0.0, 1.5, 3.0]], requires_grad=True)
    quantizer(x).sum().backward()
    assert x.grad.tolist() == [[0.0, 1.0, 1.0, 1.0, 0.0]]
    assert quantizer.magnitude.grad.item() == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make_quantizer("round", 2), "binary, clipped-relu, .* got 'round'"),
        (lambda: make_quantizer("binary", 2), "Binary has 1 bits, got 2"),
        (lambda: make_quantizer("ternary", 3), "Ternary has 2 bits, got 3"),
        (lambda: make_quantizer("signed", 1), "SignedUniform has 2 to 16 bits, got 1"),
        (lambda: make_quantizer("power-of-two", 7), "PowerOfTwo has 2 to 6 bits, got 7"),
        (lambda: make_quantizer("unsigned", 0), "UnsignedUniform has 1 to 16 bits, got 0"),
        (lambda: make_quantizer("unsigned", 2, 0), "at least 1 channel"),
        (lambda: make_quantizer("unsigned", 2, 3)(torch.zeros(2, 4)), "3 channels cannot serve 4 columns"),
        (lambda: make_quantizer("unsigned", 2, 3).feature_formats(2), "3 channels cannot serve 2 columns"),
    ],
)
def test_wrong_use_is_refused(call, message):
    with pytest.raises(UserError, match=message):
        call()


def test_the_dictionary_is_complete():
    assert sorted(QUANTIZERS) == list(QUANTIZERS)
    assert {kind for kind, _ in KINDS} == set(QUANTIZERS)
