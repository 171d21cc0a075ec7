"""Input quantisers: the same codes in torch and numpy, fits, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lutnet.errors import UserError
from lutnet.nn import InputQuantizer

WIDTHS = [1, 3, 6, 2]


def features(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    columns = [rng.normal(5, 2, n), rng.exponential(1, n), rng.integers(0, 4, n), 1e-3 * rng.standard_cauchy(n)]
    return np.stack(columns, axis=1).astype(np.float32)


FITS = {
    "uniform": lambda x: InputQuantizer.fit_uniform(x, WIDTHS),
    "quantile": lambda x: InputQuantizer.fit_quantile(x, WIDTHS),
    "raw": lambda x: InputQuantizer.fit_uniform(x, 4, standardize=False),
}


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
class TestEveryFit:
    def test_torch_and_numpy_make_the_same_codes_and_values(self, fit):
        quantizer = fit(features())
        encoder = quantizer.encoder(["a", "b", "c", "d"])
        x = np.concatenate([features(seed=1), quantizer.thresholds[:, :1].T.numpy().repeat(2, axis=0)])
        codes = quantizer.codes(torch.from_numpy(x))
        np.testing.assert_array_equal(codes.numpy(), encoder.encode(x))
        values = quantizer.eval()(torch.from_numpy(x)).numpy()
        for column, fmt in enumerate(encoder.formats):
            np.testing.assert_array_equal(values[:, column], fmt.values()[codes[:, column]])
        assert encoder.feature_names == ("a", "b", "c", "d")

    def test_values_ascend_with_codes(self, fit):
        for fmt in fit(features()).formats():
            assert (np.diff(fmt.values()) >= 0).all()

    def test_state_restores_everything(self, fit):
        quantizer = fit(features())
        other = InputQuantizer([int(quantizer.bits)] * 4)
        other.load_state_dict(quantizer.state_dict())
        assert other.formats() == quantizer.formats()
        np.testing.assert_array_equal(
            other.encoder().encode(features(seed=2)), quantizer.encoder().encode(features(seed=2))
        )

    def test_training_values_are_float32(self, fit):
        quantizer = fit(features())
        x = torch.from_numpy(features(seed=1))
        assert quantizer.train()(x).dtype == torch.float32
        torch.testing.assert_close(quantizer(x).double(), quantizer.eval()(x))


@pytest.mark.parametrize("name", ["uniform", "quantile"])
def test_standardised_codes_have_mean_zero_and_spread_one(name):
    x = features()
    values = FITS[name](x).eval()(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(values.std(axis=0), 1, atol=1e-9)


def test_uniform_thresholds_written_out():
    x = np.array([[0.0], [1.0], [2.0], [8.0]])
    quantizer = InputQuantizer.fit_uniform(x, 2, low_quantile=0, high_quantile=1, standardize=False)
    assert quantizer.thresholds.tolist() == [[2.0, 4.0, 6.0]]
    assert quantizer.levels.tolist() == [[1.0, 3.0, 5.0, 7.0]]
    assert quantizer.codes(torch.tensor([[-5.0], [1.99], [2.0], [6.0], [99.0]])).flatten().tolist() == [0, 0, 1, 3, 3]


def test_quantile_codes_have_equal_population_and_mean_values():
    x = np.random.default_rng(0).exponential(size=(4096, 1))
    quantizer = InputQuantizer.fit_quantile(x, 3, standardize=False)
    codes = quantizer.codes(torch.from_numpy(x)).numpy()[:, 0]
    assert np.ptp(np.bincount(codes, minlength=8)) <= 1
    for code in range(8):
        assert quantizer.levels[0, code].item() == pytest.approx(x[codes == code].mean())


def test_few_values_and_many_codes():
    x = np.array([[0.0], [0.0], [0.0], [1.0]] * 20)
    for quantizer in (InputQuantizer.fit_quantile(x, 3), InputQuantizer.fit_uniform(x, 3, high_quantile=0.5)):
        values = quantizer.eval()(torch.tensor([[0.0], [1.0]])).flatten()
        assert values[0] < values[1]


def test_binary_features():
    x = np.array([[0.0, 1.0], [1.0, 1.0]])
    quantizer = InputQuantizer.fit_binary(x)
    assert quantizer.eval()(torch.from_numpy(x)).tolist() == [[-1.0, 1.0], [1.0, 1.0]]
    assert quantizer.encoder().encode(x).tolist() == [[0, 1], [1, 1]]
    with pytest.raises(UserError, match=r"feature 'flag' of row 1 is 0.5, expected 0 or 1"):
        InputQuantizer.fit_binary([[0.0], [0.5]], feature_names=["flag"])


@pytest.mark.parametrize("fit", [InputQuantizer.fit_uniform, InputQuantizer.fit_quantile])
def test_bad_data_is_refused_by_name(fit):
    x = features()
    names = ["pt", "mass", "n", "width"]
    broken = x.copy()
    broken[7, 1] = np.nan
    with pytest.raises(UserError, match="feature 'mass' of row 7 is nan"):
        fit(broken, 3, feature_names=names)
    constant = x.copy()
    constant[:, 2] = 4
    with pytest.raises(UserError, match=r"feature 'n' is constant \(4\)"):
        fit(constant, 3, feature_names=names)
    with pytest.raises(UserError, match="feature 2 is constant"):
        fit(constant, 3)
    allowed = fit(constant, 3, allow_constant=True)
    assert bool(torch.isfinite(allowed.eval()(torch.from_numpy(constant))).all())
    with pytest.raises(UserError, match="expected one bit width or 4 of them, got 2"):
        fit(x, [1, 2])
    with pytest.raises(UserError, match="feature 1 needs 1 to 24 bits, got 0"):
        fit(x, [1, 0, 1, 1])
    with pytest.raises(UserError, match="expected 4 feature names, got 1"):
        fit(x, 2, feature_names=["a"])
    with pytest.raises(UserError, match="shape"):
        fit(x[:, 0], 2)


def test_bad_use_is_refused():
    quantizer = InputQuantizer.fit_uniform(features(), 3)
    with pytest.raises(UserError, match=r"\(batch, 4\), got \(2, 3\)"):
        quantizer(torch.zeros(2, 3))
    bad = torch.zeros(3, 4)
    bad[2, 1] = torch.inf
    with pytest.raises(UserError, match="feature 1 of row 2 is inf"):
        quantizer(bad)
    with pytest.raises(UserError, match="quantiles"):
        InputQuantizer.fit_uniform(features(), 3, low_quantile=0.9, high_quantile=0.1)
    with pytest.raises(UserError, match="feature 0 needs 1 to 24 bits"):
        InputQuantizer([25])
