"""Care sets from samples."""

from __future__ import annotations

import dataclasses
from functools import partial as partial_of

import numpy as np
import pytest

from lutnet import LutnetError, Netlist, NetlistBuilder, TruthTable, UserError
from lutnet.passes import run_passes
from lutnet.passes.base import Steps, parse_passes
from lutnet.passes.rare import Rare, address_counts
from lutnet.testing import random_netlist
from lutnet.verify.equivalence import check_equivalent, check_on_care, on_care


def adder() -> Netlist:
    b = NetlistBuilder()
    x, y = b.input(1), b.input(1)
    b.output(b.lut(TruthTable((1, 1), 2, np.array([0, 1, 1, 2])), [x, y]))
    return b.build()


def test_counts_and_care_by_hand() -> None:
    samples = np.array([[0, 0], [0, 0], [1, 0], [0, 1], [0, 1]])
    assert address_counts(adder(), samples)[2].tolist() == [2, 1, 2, 0]
    for rarity, care in ((1, [True, True, True, False]), (2, [True, False, True, False])):
        table = Rare(rarity, samples)(adder()).tables[0]
        assert table.care is not None and table.care.tolist() == care
        assert table.codes.tolist() == [0, 1, 1, 2]
    assert Rare(0, samples)(adder()) == adder()


def test_without_samples_it_says_what_to_do() -> None:
    with pytest.raises(UserError, match=r"pass 'rare' needs samples .* dataclasses\.replace\(rare, samples=codes\)"):
        Rare()(adder())
    with pytest.raises(UserError, match="expected input codes of shape"):
        Rare(samples=np.zeros((3, 5), dtype=np.int64))(adder())
    with pytest.raises(UserError, match=r"rare\.rarity is a number of samples"):
        Rare(-1)


def test_samples_are_no_part_of_text_and_equality() -> None:
    samples = np.zeros((2, 2), dtype=np.int64)
    (parsed,) = parse_passes("rare{rarity=3}", {"rare": Rare})
    attached = dataclasses.replace(parsed, samples=samples)  # type: ignore[type-var]
    assert str(attached) == "rare{rarity=3}" and attached == parsed and hash(attached) == hash(parsed)
    assert "samples" not in repr(attached) and str(Rare(samples=samples)) == "rare"


@pytest.mark.parametrize("seed", range(60))
def test_samples_stay_inside_and_other_vectors_may_not(seed: int) -> None:
    net = random_netlist(seed, n_nodes=20, max_width=3)
    rng = np.random.default_rng(seed)
    samples = np.stack([rng.integers(0, 1 << w, 20) for w in net.input_widths], axis=1)
    after, (record,) = run_passes(net, [Rare(samples=samples)], check=partial_of(check_on_care, samples=samples))
    assert on_care(after, samples).all() and record.checked != "unchecked"
    steps = Steps(1)
    assert sum(table.care is not None for table in Rare(samples=samples).rewrite(net, steps).tables) <= 1


def test_the_exact_check_refuses_sampled_care() -> None:
    with pytest.raises(
        LutnetError, match="pass 'rare' failed: an output after the pass depends on a code that no care set has"
    ):
        run_passes(adder(), [Rare(samples=np.array([[0, 0], [0, 1], [1, 0]]))], check=check_equivalent)
