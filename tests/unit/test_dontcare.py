"""Care sets: sound against every input, found by each method alone, and a wrong one is caught."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from lutnet import LutnetError, Netlist, NetlistBuilder, TruthTable, UserError
from lutnet.passes import dontcare_reach, parse_passes, run_passes
from lutnet.passes.assign import Assign
from lutnet.passes.base import Steps
from lutnet.passes.dontcare import DontCare, reachable
from lutnet.passes.dontcare_reach import Reach
from lutnet.passes.dontcare_sat import Clauses, Prover
from lutnet.tables import pack_address
from lutnet.testing import random_netlist
from lutnet.verify.equivalence import check_equivalent, check_on_care, first_uncared, on_care
from lutnet.verify.vectors import make_vectors

BY_ENUMERATION = DontCare(conflicts=0)
BY_BOUND = DontCare(exhaustive_bits=6, rounds=0, conflicts=0)
BY_SAT = DontCare(exhaustive_bits=0, rounds=0, conflicts=1000)


def reached(net: Netlist) -> dict[int, npt.NDArray[np.bool_]]:
    """The addresses that every input together reaches."""
    vectors = make_vectors(net.input_widths)
    assert vectors.exhaustive
    codes = net.evaluate_nodes(vectors.codes)
    found = {}
    for node in net.nodes():
        if node.table is not None:
            found[node.id] = np.zeros(node.table.n_entries, dtype=np.bool_)
            operands = [codes[:, row] for row in node.operands]
            found[node.id][pack_address(operands, node.table.in_widths)] = True
    return found


def layered(seed: int, n_inputs: int = 4, layers: Sequence[int] = (5, 5, 3), fan_in: int = 3) -> Netlist:
    """Layers of tables with 2-bit codes, some of them rarely used."""
    rng = np.random.default_rng(seed)
    b = NetlistBuilder()
    rows = [b.input(2) for _ in range(n_inputs)]
    for width in layers:
        made = []
        for _ in range(width):
            operands = sorted(rng.choice(rows, fan_in, replace=False).tolist())
            weights = rng.normal(size=fan_in)
            address = np.arange(4**fan_in)
            score = sum(w * ((address >> (2 * i)) & 3) for i, w in enumerate(weights))
            codes = np.clip(np.floor(score - score.mean() + 2), 0, 3).astype(np.int64)
            made.append(b.lut(TruthTable((2,) * fan_in, 2, codes), operands))
        rows = list(dict.fromkeys(made))
        if len(rows) < fan_in:
            break
    for row in rows:
        b.output(row)
    return b.build()


@pytest.mark.parametrize(
    "options", [DontCare(), BY_ENUMERATION, BY_BOUND, BY_SAT], ids=["all", "cones", "bound", "sat"]
)
@pytest.mark.parametrize("seed", range(25))
def test_no_reached_address_is_uncared(options: DontCare, seed: int) -> None:
    for net in (random_netlist(seed, n_inputs=1 + seed % 4, n_nodes=25, max_width=3), layered(seed)):
        truth = reached(net)
        found = reachable(net, options).possible
        for row, addresses in truth.items():
            assert not (addresses & ~found[row]).any()
        run_passes(net, [options], check=check_equivalent)


@pytest.mark.parametrize("options", [BY_ENUMERATION, BY_SAT], ids=["cones", "sat"])
@pytest.mark.parametrize("seed", range(15))
def test_exact_methods_find_every_address_that_never_occurs(options: DontCare, seed: int) -> None:
    net = layered(seed)
    found = reachable(net, options)
    for row, addresses in reached(net).items():
        np.testing.assert_array_equal(found.possible[row], addresses)
        assert not found.open(row).any()


def test_the_bound_is_exact_above_inputs() -> None:
    net = layered(3, layers=(5, 5))
    found = reachable(net, BY_BOUND)
    for row, addresses in reached(net).items():
        np.testing.assert_array_equal(found.possible[row], addresses)


def test_two_thresholds_of_one_input_by_hand() -> None:
    b = NetlistBuilder()
    x = b.input(3)
    low, high = b.threshold(x, 2), b.threshold(x, 5)
    b.output(b.lut(TruthTable((1, 1), 1, np.array([0, 1, 1, 0])), [low, high]))
    for options in (BY_ENUMERATION, BY_SAT):
        table = options(b.build()).tables[0]
        assert table.care is not None
        np.testing.assert_array_equal(table.care, [True, True, False, True])


@pytest.mark.parametrize("seed", range(40))
def test_clauses_say_what_the_netlist_says(seed: int) -> None:
    net = random_netlist(seed, n_inputs=3, n_nodes=20, max_width=3)
    clauses = Clauses(net)
    literals = {row: clauses.bits(row) for row in range(net.n_nodes)}
    codes = make_vectors(net.input_widths).codes[:: 1 << max(0, sum(net.input_widths) - 5)]
    values = net.evaluate_nodes(codes)
    for vector in range(len(codes)):
        given = []
        for row in net.inputs.tolist():
            given += [bit if (values[vector, row] >> i) & 1 else -bit for i, bit in enumerate(literals[row])]
        assert clauses.solver.solve(assumptions=given)
        model = set(clauses.solver.get_model())
        for node in net.nodes():
            free = any(net.node(row).op.name == "ARGMAX" for row in dontcare_reach.cone_of(net, [node.id]))
            if not free:
                got = sum(1 << i for i, bit in enumerate(literals[node.id]) if bit == 1 or bit in model)
                assert got == values[vector, node.id]
    clauses.close()


def test_a_mutant_of_the_clauses_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    true_table = Clauses.table

    def flipped(self: Clauses, codes: npt.NDArray[np.integer], n_bits: int, address: Sequence[int]) -> list[int]:
        codes = codes.copy()
        if len(codes) == 64 and n_bits == 2:
            codes[codes == 0] = 1
        return true_table(self, codes, n_bits, address)

    monkeypatch.setattr(Clauses, "table", flipped)
    with pytest.raises(
        LutnetError,
        match=r"pass 'dontcare\{.*\}' failed: an output after the pass depends on a code that no care set has",
    ):
        for seed in range(10):
            run_passes(layered(seed), [BY_SAT], check=check_equivalent)


def test_a_mutant_of_the_bound_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    true_codes = Reach.codes_of

    def fewer(self: Reach, row: int) -> npt.NDArray[np.bool_]:
        found = true_codes(self, row).copy()
        found[-1] = False
        return found

    monkeypatch.setattr(Reach, "codes_of", fewer)
    with pytest.raises(LutnetError, match="depends on a code that no care set has"):
        run_passes(layered(0), [BY_BOUND], check=check_equivalent)


def test_questions_that_cost_too_much_leave_addresses_cared_for() -> None:
    net = layered(1)
    reach = Reach(net)
    prover = Prover(reach, conflicts=1000, attempts=0, seed=0)
    for row in reach.tables:
        prover.prove(net.node(row))
        assert reach.possible[row].all()
    prover.close()


def test_care_sets_only_shrink_and_steps_count_tables() -> None:
    net = layered(2)
    steps = Steps()
    full = DontCare().rewrite(net, steps)
    assert steps.n_taken > 2
    some = DontCare().rewrite(net, Steps(2))
    assert sum(table.care is not None for table in some.tables) <= 2
    assert DontCare()(full) == full


def test_equal_netlists_give_equal_bytes() -> None:
    assert DontCare()(layered(7)).key == DontCare()(layered(7)).key


@pytest.mark.parametrize("seed", range(60))
def test_with_the_passes_that_use_it(seed: int) -> None:
    for net in (random_netlist(seed, n_inputs=1 + seed % 4, n_nodes=8 + seed % 20, max_width=3), layered(seed)):
        passes = [
            DontCare(),
            Assign(),
            *parse_passes("fold,narrow,fold,dedupe,dce"),
            DontCare(),
            Assign(),
            *parse_passes("narrow"),
        ]
        run_passes(net, passes, check=check_equivalent)


def test_options_are_checked() -> None:
    with pytest.raises(UserError, match=r"dontcare\.rounds is a number of at least 0, got -1"):
        DontCare(rounds=-1)
    with pytest.raises(UserError, match="at most 24"):
        DontCare(exhaustive_bits=30)


# -- the check on care sets ------------------------------------------------------------------------------------------------


def with_care(care: Sequence[bool], codes: Sequence[int] = (0, 1, 1, 0)) -> Netlist:
    b = NetlistBuilder()
    b.output(b.lut(TruthTable((1, 1), 1, np.array(codes), np.array(care)), [b.input(1), b.input(1)]))
    return b.build()


def test_care_sets_are_held_to_their_word() -> None:
    wrong = with_care([True, True, False, True])
    with pytest.raises(
        LutnetError, match=r"an output before the pass depends on a code that no care set has, input codes \[0, 1\]"
    ):
        check_equivalent(wrong, wrong)
    with pytest.raises(LutnetError, match="an output after the pass depends"):
        check_equivalent(with_care([True] * 4), wrong)
    read = first_uncared(wrong, make_vectors((1, 1)).codes)
    assert read is not None and (read.row, read.address, read.inputs) == (2, 2, (0, 1))


def test_codes_that_no_output_depends_on_need_no_care() -> None:
    b = NetlistBuilder()
    x, y = b.input(1), b.input(1)
    inner = b.lut(TruthTable((1, 1), 1, np.array([0, 1, 0, 0]), np.array([True, True, False, False])), [x, y])
    b.output(b.lut(TruthTable((1, 1), 1, np.array([0, 1, 0, 0])), [inner, y]))
    net = b.build()
    assert first_uncared(net, make_vectors((1, 1)).codes) is not None
    assert check_equivalent(net, net) == "all 4 vectors, 0 differ"


def test_vectors_outside_a_sampled_care_set_are_left_out_and_counted() -> None:
    before = with_care([True, True, False, True])
    np.testing.assert_array_equal(on_care(before, make_vectors((1, 1)).codes), [True, True, False, True])
    after = with_care([True, True, False, True], codes=(0, 1, 0, 0))
    assert check_on_care(before, after) == "3 vectors, 0 differ, 1 vectors outside care sets"
    assert check_on_care(with_care([True] * 4), before) == "all 4 vectors, 0 differ"
    with pytest.raises(LutnetError, match="the function changed on 1 of 3 vectors"):
        check_on_care(before, with_care([True] * 4, codes=(1, 1, 1, 0)))
    with pytest.raises(LutnetError, match="all 4 vectors read outside care sets, so nothing was compared"):
        check_on_care(with_care([False] * 4), with_care([True] * 4))
    assert (
        check_on_care(before, after, np.array([[0, 1], [1, 1]])) == "4 vectors, 0 differ, 2 vectors outside care sets"
    )
