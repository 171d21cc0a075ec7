"""Rungs, comparisons and vectors: what counts as equal, and that nothing compared is no success."""

from __future__ import annotations

import numpy as np
import pytest

from lutnet import LutnetError, NetlistBuilder, UserError
from lutnet.testing import mutate_table, random_netlist
from lutnet.verify.equivalence import Comparison, check_equivalent, compare_codes, compare_netlists
from lutnet.verify.ladder import Rung, ladder_to_json, require_rungs, rungs_from_json, timed_rung
from lutnet.verify.vectors import EXHAUSTIVE_BITS, make_vectors


def test_vectors_are_exhaustive_when_they_can_be() -> None:
    small = make_vectors((2, 3, 1))
    assert small.exhaustive and len(np.unique(small.codes, axis=0)) == 64
    assert small.codes[1].tolist() == [1, 0, 0]
    big = make_vectors((EXHAUSTIVE_BITS, 1), n_random=10)
    assert not big.exhaustive and len(big.codes) == 6 + 2 * (EXHAUSTIVE_BITS + 1) + 10
    assert big.codes.max(axis=0).tolist() == [(1 << EXHAUSTIVE_BITS) - 1, 1] and big.codes.min() == 0
    np.testing.assert_array_equal(make_vectors((20, 62), seed=3).codes, make_vectors((20, 62), seed=3).codes)


def test_one_differing_code_is_a_mismatch_with_its_input() -> None:
    inputs = np.array([[1], [2], [3]])
    found = compare_codes(inputs, np.array([[0, 1], [2, 3], [4, 5]]), np.array([[0, 1], [2, 9], [4, 5]]))
    assert (found.n_vectors, found.n_mismatches, found.equal) == (3, 1, False)
    assert str(found.first) == "input codes [2]: expected [2, 3], got [2, 9]"
    with pytest.raises(UserError, match="shape"):
        compare_codes(inputs, np.zeros((3, 2), int), np.zeros((2, 2), int))


@pytest.mark.parametrize("seed", [1, 7, 9, 12, 24])
def test_a_mutant_is_found(seed: int) -> None:
    net = random_netlist(seed, n_nodes=30)
    mutant = mutate_table(net, seed=seed)
    assert compare_netlists(net, mutant).n_mismatches > 0
    with pytest.raises(LutnetError, match="the function changed on"):
        check_equivalent(net, mutant)


def test_other_ports_are_refused_by_name() -> None:
    nets = []
    for name in ("mass", "charge"):
        b = NetlistBuilder()
        b.output(b.slice(b.input(2, name), 0, 1), "y")
        nets.append(b.build())
    with pytest.raises(UserError, match="different input names, from port 0 on: 'mass' and 'charge'"):
        compare_netlists(*nets)


def test_nothing_compared_holds_nothing() -> None:
    assert not Comparison(0, 0).equal
    rung = timed_rung("empty", "how", lambda: Comparison(0, 0))
    assert not rung.holds
    with pytest.raises(LutnetError, match="rung 'empty' does not hold"):
        require_rungs([Rung("fine", 1, 0, True, 0.0, ""), rung])


def test_rungs_survive_json() -> None:
    rungs = (Rung("a", 5, 0, True, 0.5, "how"), Rung("b", 7, 1, False, 1.0, "how"))
    assert rungs_from_json(ladder_to_json(rungs)) == rungs
    with pytest.raises(UserError, match="damaged"):
        rungs_from_json({"a": {"vectors": 1}})
