"""Wirings: sizes, balance, determinism, refusal."""

from __future__ import annotations

import numpy as np
import pytest

from lutnet.errors import UserError
from lutnet.nn import contiguous_wiring, given_wiring, random_wiring, strided_wiring

SIZES = [(16, 64, 3), (7, 5, 7), (593, 100, 7), (10, 1, 4), (5, 33, 1)]


@pytest.mark.parametrize(("n_in", "n_out", "fan_in"), SIZES)
@pytest.mark.parametrize("make", [lambda *s: random_wiring(*s, 3), contiguous_wiring, strided_wiring])
def test_every_wiring_is_valid(make, n_in, n_out, fan_in):
    wiring = make(n_in, n_out, fan_in)
    assert wiring.dtype == np.int64 and wiring.shape == (n_out, fan_in)
    np.testing.assert_array_equal(given_wiring(wiring, n_in), wiring)


@pytest.mark.parametrize(("n_in", "n_out", "fan_in"), SIZES)
def test_random_wiring_is_balanced_sorted_and_reproducible(n_in, n_out, fan_in):
    wiring = random_wiring(n_in, n_out, fan_in, seed=1)
    uses = np.bincount(wiring.reshape(-1), minlength=n_in)
    assert uses.max() - uses.min() <= 1
    assert (np.diff(wiring, axis=1) > 0).all()
    np.testing.assert_array_equal(wiring, random_wiring(n_in, n_out, fan_in, seed=1))


def test_seeds_matter():
    assert (random_wiring(16, 32, 3, 0) != random_wiring(16, 32, 3, 1)).any()


def test_structured_wirings_written_out():
    assert contiguous_wiring(6, 3, 2).tolist() == [[0, 1], [2, 3], [4, 5]]
    assert contiguous_wiring(5, 3, 2).tolist() == [[0, 1], [2, 3], [4, 0]]
    assert strided_wiring(6, 3, 2).tolist() == [[0, 3], [1, 4], [2, 5]]


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([[0, 1], [2, 4]], "neuron 1 reads input 4 as operand 1, expected 0 to 3"),
        ([[0, -1]], "neuron 0 reads input -1"),
        ([[0, 1], [3, 3]], "neuron 1 reads input 3 twice"),
        ([[0, 1], [3]], "different lengths"),
        ([0, 1], r"shape \(neurons, fan-in\)"),
        (np.zeros((0, 3), dtype=int), r"got \(0, 3\)"),
        ([[0.0, 1.0]], "got dtype float64"),
    ],
)
def test_bad_wirings_are_refused(indices, message):
    with pytest.raises(UserError, match=message):
        given_wiring(indices, 4)


def test_impossible_sizes_are_refused():
    with pytest.raises(UserError, match="fan-in of 5 needs at least 5 inputs, got 4"):
        random_wiring(4, 2, 5, 0)
    with pytest.raises(UserError, match="at least 1"):
        contiguous_wiring(4, 0, 2)
    with pytest.raises(UserError, match="fan-in of 9"):
        strided_wiring(4, 2, 9)
