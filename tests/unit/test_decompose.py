"""Tables taken apart: sums found inside them, column multiplicity, multiplexers, and the pass that builds them."""

from __future__ import annotations

import numpy as np
import pytest

from lutnet import LutnetError, Netlist, NetlistBuilder, TruthTable, UserError
from lutnet.cost import DEVICES, XCVU9P, muxed_table_luts
from lutnet.ir import OpCode
from lutnet.passes import Decompose, Pass
from lutnet.passes.decompose import rewrite
from lutnet.passes.decompose.additive import Sum, find_sum
from lutnet.passes.decompose.columns import cut_at, n_columns
from lutnet.passes.decompose.function import Function
from lutnet.passes.decompose.parts import partitions
from lutnet.passes.decompose.plans import Summed
from lutnet.passes.decompose.search import Planner
from lutnet.testing import random_netlist
from lutnet.verify.equivalence import compare_netlists


def neuron(weights: list[float], bits: int, out_bits: int, *, signed: bool = False) -> TruthTable:
    """A quantised weighted sum of unsigned operands, as a trained neuron is."""
    grids = np.meshgrid(*[np.arange(1 << bits)] * len(weights), indexing="ij")
    total = sum(weight * grid.T.ravel() for weight, grid in zip(weights, grids, strict=True))
    total = (total - total.mean()) / (2 * total.std())
    half = 1 << (out_bits - 1)
    levels = np.clip(np.floor(total * half) + half, 0, 2 * half - 1).astype(np.int64)
    return TruthTable((bits,) * len(weights), out_bits, levels ^ (half if signed else 0))


def single(table: TruthTable) -> Netlist:
    b = NetlistBuilder()
    b.output(b.lut(table, [b.input(width) for width in table.in_widths]))
    return b.build()


def random_table(seed: int, n_bits: int, width: int) -> TruthTable:
    rng = np.random.default_rng(seed)
    return TruthTable((n_bits,), width, rng.integers(0, 1 << width, 1 << n_bits))


def levels_of(found: Sum, highest: int) -> np.ndarray:
    total = sum(
        part.reshape([-1 if i == axis else 1 for i in range(len(found.parts))]) for axis, part in enumerate(found.parts)
    )
    return np.clip((total >> found.shift) - found.n_below, 0, highest)


# -- sums ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [[1.0, -0.37], [0.2, 3.1, -1.7], [1.3, -0.8, 0.5, 0.31]])
def test_the_sum_inside_a_neuron_is_found(weights: list[float]) -> None:
    levels = neuron(weights, 3, 3).codes.astype(np.int64).reshape((8,) * len(weights))
    found = find_sum(levels, None, 7)
    assert found is not None
    np.testing.assert_array_equal(levels_of(found, 7), levels)
    assert all(int(part.min()) >= 0 for part in found.parts)


def test_the_coarsest_step_and_the_fewest_bits_are_taken() -> None:
    levels = np.arange(4)[:, None] + np.arange(4)[None, :]
    found = find_sum(levels, None, 7)
    assert found is not None
    assert (found.shift, found.n_below, found.width) == (0, 0, 3)


def test_a_table_that_no_sum_gives_is_refused() -> None:
    assert find_sum(np.asarray([[0, 1], [1, 0]]), None, 1) is None
    rng = np.random.default_rng(0)
    assert find_sum(rng.integers(0, 8, (8, 8)), None, 7) is None
    assert find_sum(rng.integers(0, 8, (4, 4, 4)), None, 7) is None


def test_addresses_that_do_not_matter_free_the_sum() -> None:
    levels = np.asarray([[0, 1], [1, 0]])
    care = np.asarray([[True, True], [True, False]])
    found = find_sum(levels, care, 1)
    assert found is not None
    np.testing.assert_array_equal(levels_of(found, 1)[care], levels[care])


# -- columns -------------------------------------------------------------------------------------------------------------


def test_columns_of_a_decomposable_function() -> None:
    rng = np.random.default_rng(1)
    inner, outer = rng.integers(0, 2, 32), rng.integers(0, 2, 16)
    address = np.arange(256)
    function = Function(outer[inner[address & 31] | (address >> 5) << 1], 1)
    assert n_columns(function, range(5)) == 2
    cut = cut_at(function, range(5))
    assert cut is not None and cut.inner.width == 1
    np.testing.assert_array_equal(cut.outer.codes[cut.inner.codes[address & 31] | (address >> 5) << 1], function.codes)
    assert cut_at(Function(np.arange(16), 4), (0, 1)) is None


def test_columns_merge_where_addresses_do_not_matter() -> None:
    codes = np.asarray([1, 1, 1, 0, 0, 0, 1, 1])
    care = np.asarray([1, 1, 1, 0, 0, 1, 1, 1], dtype=bool)
    free = cut_at(Function(codes, 1, care), (0, 1))
    assert free is not None and free.inner.width == 1
    address = np.arange(8)
    got = free.outer.codes[free.inner.codes[address & 3] | (address >> 2) << 1]
    np.testing.assert_array_equal(got[care], codes[care])


def test_parts_of_an_address() -> None:
    four = tuple(tuple(range(3 * i, 3 * i + 3)) for i in range(4))
    assert len(list(partitions(four, 6))) == 3
    assert all(sorted(sum(groups, ())) == list(range(12)) for groups in partitions(four, 6))
    wide = tuple(tuple(range(4 * i, 4 * i + 4)) for i in range(3))
    sizes = [tuple(map(len, groups)) for groups in partitions(wide, 6)]
    assert (6, 6) in sizes and (4, 4, 4) in sizes
    assert list(partitions(((0, 1),), 6)) == []


# -- plans ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signed", [False, True])
def test_a_neuron_becomes_tables_and_one_sum(signed: bool) -> None:
    net = single(neuron([1.3, -0.8, 0.5, 0.31], 3, 3, signed=signed))
    after = Decompose()(net)
    assert compare_netlists(net, after).exhaustive and compare_netlists(net, after).equal
    assert after.count(OpCode.SUM) == 1
    assert max(node.table.address_bits for node in after.nodes() if node.table) <= 6
    planner = Planner(XCVU9P, 6, 10, 0)
    groups = tuple(tuple(range(3 * i, 3 * i + 3)) for i in range(4))
    plan = planner.plan(Function(net.tables[0].codes.astype(np.int64), 3), groups)
    assert isinstance(plan, Summed)
    assert plan.luts < 0.2 * muxed_table_luts(12, 3, XCVU9P)


@pytest.mark.parametrize("n_bits", [7, 8, 9, 10, 11, 12])
def test_random_tables_never_exceed_the_closed_form(n_bits: int) -> None:
    for seed in range(3):
        table = random_table(seed, n_bits, 1 + seed)
        plan = Planner(XCVU9P, 6, 10, 0).plan(Function(table.codes.astype(np.int64), table.out_width))
        assert plan.luts <= muxed_table_luts(n_bits, table.out_width, XCVU9P)
        net = single(table)
        assert compare_netlists(net, Decompose(tries=10)(net)).equal


@pytest.mark.parametrize("k", [3, 4, 5, 6])
def test_tables_are_as_small_as_asked_for(k: int) -> None:
    for device in DEVICES.values():
        if k > device.lut_inputs:
            continue
        net = single(random_table(k, 9, 2))
        after = Decompose(k=k, device=device.name, tries=5)(net)
        assert compare_netlists(net, after).equal
        reach = device.wide_mux_inputs[-1] if k == device.lut_inputs else k
        assert max(node.table.address_bits for node in after.nodes() if node.table) <= reach


def test_equal_cofactors_are_built_once() -> None:
    rng = np.random.default_rng(3)
    leaf = rng.integers(0, 2, 512)
    shared = single(TruthTable((11,), 1, np.tile(leaf, 4) ^ np.repeat([0, 1, 1, 0], 512)))
    after = Decompose(tries=5)(shared)
    assert compare_netlists(shared, after).equal
    assert sum(node.table.address_bits > 6 for node in after.nodes() if node.table) <= 2


def test_idle_address_bits_cost_nothing() -> None:
    address = np.arange(1 << 12)
    net = single(TruthTable((12,), 1, ((address >> 3) & (address >> 9)) & 1))
    after = Decompose()(net)
    assert [node.table.address_bits for node in after.nodes() if node.table] == [2]


@pytest.mark.parametrize("seed", range(6))
def test_values_keep_their_meaning(seed: int) -> None:
    """Tables whose codes a sum reads as signed numbers."""
    rng = np.random.default_rng(seed)
    b = NetlistBuilder()
    x = b.input(8)
    tables = [TruthTable((8,), 4, rng.integers(3, 9, 256)), TruthTable((8,), 4, rng.integers(0, 16, 256))]
    rows = [b.lut(tables[0], [x]), b.lut(tables[1], [x], signed=True)]
    b.output(b.sum(rows, [1, -2], bias=-3))
    net = b.build()
    assert compare_netlists(net, Decompose(tries=5)(net)).equal


@pytest.mark.parametrize("seed", range(40))
def test_random_netlists_keep_the_function(seed: int) -> None:
    net = random_netlist(seed, n_inputs=1 + seed % 5, n_nodes=7 + seed % 25, max_width=2 + seed % 4)
    assert compare_netlists(net, Decompose(k=3 + seed % 4, tries=3)(net)).equal


def test_a_plan_that_differs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Planner.plan

    def flipped(self: Planner, function: Function, operands: tuple = ()) -> object:
        return original(
            self, Function(function.codes ^ (np.arange(len(function.codes)) == 5), function.width), operands
        )

    monkeypatch.setattr(rewrite.Planner, "plan", flipped)
    with pytest.raises(LutnetError, match=r"in place of .* at address 5"):
        Decompose()(single(random_table(0, 8, 1)))


def test_options_are_checked() -> None:
    for options, message in (({"k": 7}, "3 to 6"), ({"k": 2}, "3 to 6"), ({"tries": 0}, "at least 1")):
        with pytest.raises(UserError, match=message):
            Decompose(**options)
    with pytest.raises(UserError, match="device"):
        Decompose(device="abacus")
    assert isinstance(Decompose(), Pass) and str(Decompose(k=5)) == "decompose{k=5}"
