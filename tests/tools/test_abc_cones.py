"""Cones through ABC: cheaper, proved, within stages; a wrong answer is caught."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lutnet import LutnetError, Netlist, NetlistBuilder, ToolError, TruthTable
from lutnet.cost.packing import packed_luts
from lutnet.ir.estimate import table_cells
from lutnet.passes import Pipeline, run_passes
from lutnet.synth import Abc
from lutnet.synth import abc as abc_module
from lutnet.synth.blif_reader import MappedNetwork
from lutnet.testing import netlists
from lutnet.verify.equivalence import check_equivalent
from lutnet.verify.prove import prove_netlists


def luts_of(net: Netlist) -> int:
    """Lookup tables of the tables of a netlist, packed."""
    cells: Counter[int] = Counter()
    for node in net.nodes():
        if node.table is not None:
            cells.update(dict(table_cells(node.table)))
    return packed_luts(cells)


def wide(seed: int = 0) -> Netlist:
    """Sums of four codes against constants, written as tables, and one table behind them: far from random."""
    rng = np.random.default_rng(seed)
    b = NetlistBuilder()
    rows = [b.input(3, f"x{i}") for i in range(8)]
    values = sum(((np.arange(4096) >> (3 * i)) & 7) * w for i, w in enumerate((1, 2, -1, 1)))
    tables = [
        b.lut(
            TruthTable((3, 3, 3, 3), 2, np.digitize(values, sorted(rng.choice(20, 3, replace=False)))),
            rng.choice(rows, 4, replace=False).tolist(),
        )
        for _ in range(2)
    ]
    b.output(b.lut(TruthTable((2, 2), 2, rng.integers(0, 4, 16)), tables), "y")
    b.output(b.argmax(tables), "class")
    return b.build()


@pytest.mark.parametrize("script", ["fast", "area", "deep"])
def test_wide_tables_get_cheaper_and_are_proved(script: str) -> None:
    net = wide()
    after, records = run_passes(net, [Abc(script=script, effort=1)], check=check_equivalent)
    assert luts_of(after) < 0.6 * luts_of(net) and records[0].n_rewrites >= 1
    assert max(table.address_bits for table in after.tables) <= 6
    assert prove_netlists(net, after).holds


@pytest.mark.parametrize("k", [4, 5])
def test_tables_are_as_small_as_asked_for(k: int) -> None:
    after = Abc(k=k, effort=1)(wide())
    assert max(table.address_bits for table in after.tables) == k
    assert prove_netlists(wide(), after).holds


def test_what_comes_back_has_the_stage_of_what_it_replaces() -> None:
    net = Pipeline()(wide())
    after = Abc(effort=1)(net)
    assert prove_netlists(net, after).holds and after.latency_cycles == net.latency_cycles
    first = {node.stage for node in after.nodes() if node.table is not None}
    assert first == {node.stage for node in net.nodes() if node.table is not None}
    roots = after.operands(int(after.outputs[1]))
    assert all(after.node(row).stage <= 1 for row in roots)


def test_single_tables_and_repetition() -> None:
    net = wide()
    alone = Abc(across=False, effort=1)(net)
    assert luts_of(alone) < luts_of(net) and prove_netlists(net, alone).holds
    again = Abc(effort=1)(net)
    assert again == Abc(effort=1)(net)


def test_what_is_no_cheaper_stays() -> None:
    b = NetlistBuilder()
    x = [b.input(2, f"x{i}") for i in range(3)]
    table = TruthTable((2, 2, 2), 2, np.random.default_rng(0).integers(0, 4, 64))
    b.output(b.lut(table, x))
    net = b.build()
    assert Abc()(net) is net
    _, records = run_passes(wide(), [Abc(effort=1)], limit=0)
    assert records[0].n_rewrites == 0 and records[0].n_nodes_after == records[0].n_nodes_before


def test_a_wrong_answer_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def corrupted(*args: Any) -> MappedNetwork:
        network = read(*args)
        first = network.luts[0]
        return replace(network, luts=(replace(first, column=first.column ^ 1), *network.luts[1:]))

    read = abc_module.read_mapped_blif
    monkeypatch.setattr(abc_module, "read_mapped_blif", corrupted)
    with pytest.raises(LutnetError, match=r"pass 'abc.*' failed: the function changed"):
        run_passes(wide(), [Abc(effort=1)], check=check_equivalent)


def test_a_program_that_changes_the_function_is_caught_by_the_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = {"area": (("strash; if -K 6; short_names; logic; strash; not_a_command", "ps"),)}
    monkeypatch.setattr(abc_module, "SCRIPTS", scripts)
    with pytest.raises(ToolError, match="refused a command"):
        Abc()(wide())
    other = "read_blif other.blif; strash; if -K 6"
    monkeypatch.setattr(abc_module, "SCRIPTS", {"area": ((other, "ps"),)})
    run = abc_module.run_abc

    def with_other(script: str, **options: Any) -> Any:
        text = (options["cwd"] / "cone.blif").read_text()
        place = text.rindex("\n1 1\n.names") if "\n1 1\n.names" in text else text.rindex("1 1")
        (options["cwd"] / "other.blif").write_text(text[:place] + text[place:].replace("1 1", "0 1", 1))
        return run(script, **options)

    monkeypatch.setattr(abc_module, "run_abc", with_other)
    with pytest.raises(LutnetError, match="changed the function of a cone"):
        Abc()(wide())


def test_a_program_out_of_time_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abc_module, "_TIMEOUT_S", 0.01)
    net = wide()
    assert Abc()(net) is net


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(netlists(max_nodes=30), st.integers(4, 6), st.integers(0, 3), st.booleans())
def test_random_netlists_keep_their_function(net: Netlist, k: int, every: int, across: bool) -> None:
    net = Pipeline(every=every)(net)
    after, _ = run_passes(net, [Abc(k=k, script="fast", effort=1, across=across)], check=check_equivalent)
    assert luts_of(after) <= luts_of(net)
