"""Properties of random netlists of all ops, shrunk by hypothesis when one fails."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lutnet import Netlist, TruthTable
from lutnet.backends import pack_codes, unpack_codes
from lutnet.ir import from_text, to_text
from lutnet.ir.ops import to_value
from lutnet.passes import DEFAULT_PASSES, Pipeline, parse_passes, run_passes
from lutnet.passes.rebuild import reorder_table_axes
from lutnet.testing import netlists
from lutnet.verify.equivalence import check_equivalent, compare_netlists
from lutnet.verify.vectors import make_vectors

SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@SETTINGS
@given(netlists())
def test_text_round_trip(net: Netlist) -> None:
    assert from_text(to_text(net)) == net


@SETTINGS
@given(netlists(), st.integers(0, 3), st.booleans())
def test_passes_and_pipeline_keep_the_function(net: Netlist, every: int, registered: bool) -> None:
    passes = (Pipeline(every=every, inputs=registered), *parse_passes(DEFAULT_PASSES))
    after, _ = run_passes(net, passes, check=check_equivalent)
    assert compare_netlists(net, after).equal


EVERY_PASS = (
    *parse_passes(
        "fold,narrow,dedupe,dce,absorb,collapse{max_bits=8},observe{rounds=1,effort=1,sweeps=1},recode{tries=8},assign,arith,arith{argmax=true},adders"
    ),
    *parse_passes("decompose{k=3,tries=4},decompose{k=6,tries=4},dontcare{rounds=1,conflicts=100,exhaustive_bits=12}"),
    *parse_passes("pipeline,retime,retime{every=1}"),
)


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(netlists())
def test_every_pass_keeps_the_function(net: Netlist) -> None:
    for item in EVERY_PASS:
        run_passes(net, [item], check=check_equivalent)


@SETTINGS
@given(netlists())
def test_all_passes_one_after_the_other_keep_the_function(net: Netlist) -> None:
    after, _ = run_passes(net, EVERY_PASS, check=check_equivalent)
    assert compare_netlists(net, after).equal


@SETTINGS
@given(netlists())
def test_codes_stay_within_ranges_and_widths(net: Netlist) -> None:
    values = net.evaluate_nodes(make_vectors(net.input_widths, n_random=200).codes)
    for node in net.nodes():
        codes = values[:, node.id]
        assert codes.min() >= 0 and codes.max() < 1 << node.width
        numbers = to_value(codes, node.width, node.signed)
        assert net.ranges[node.id].lo <= numbers.min() and numbers.max() <= net.ranges[node.id].hi


@SETTINGS
@given(st.lists(st.integers(1, 62), min_size=1, max_size=12), st.integers(0, 2**32 - 1))
def test_packing_is_reversible(widths: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(0, 1 << w, 5, dtype=np.int64) for w in widths], axis=1)
    words = pack_codes(codes, widths)
    assert words[0] == sum(int(c) << sum(widths[:i]) for i, c in enumerate(codes[0]))
    np.testing.assert_array_equal(unpack_codes(words, widths), codes)


@SETTINGS
@given(st.permutations([0, 1, 2]), st.integers(0, 2**32 - 1))
def test_reordered_tables_compute_the_same(order: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    widths = rng.integers(1, 4, 3).tolist()
    table = TruthTable(tuple(widths), 5, rng.integers(0, 32, 1 << sum(widths)))
    codes = [rng.integers(0, 1 << w, 50) for w in widths]
    moved = TruthTable(tuple(widths[i] for i in order), 5, reorder_table_axes(table.codes, widths, order))
    np.testing.assert_array_equal(table.lookup(codes), moved.lookup([codes[i] for i in order]))
