"""Thirty random netlists of all ops through the simulators' rungs, exactly; one changed table entry in one of them is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lutnet.backends import Verilog
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import OpCode
from lutnet.passes import Pipeline
from lutnet.testing import mutate_table, random_netlist
from lutnet.tools.yosys import synthesize_xilinx
from lutnet.verify.cosim import Emitted, check_tables_batch, cosimulate_batch, write_batch

N_DESIGNS = 30
PIPELINES = (Pipeline(), Pipeline(every=2, inputs=True), Pipeline(every=0, outputs=False), Pipeline(outputs=False))
STYLES = ("case", "indexed", "lut6", "wide")


def netlist(seed: int) -> Netlist:
    return PIPELINES[seed % 4](random_netlist(seed, n_inputs=4, n_nodes=16, max_width=3))


def emitted(net: Netlist, seed: int, *, controls: bool) -> Emitted:
    backend = Verilog(
        top=f"net{seed}",
        tables=STYLES[seed % 3],
        per_layer=seed % 5 == 0,
        reset=controls and net.latency_cycles > 0,
        clock_enable=controls and net.latency_cycles > 0,
        valid=controls,
    )
    return Emitted(net, backend.emit(net))


@pytest.fixture(scope="module")
def nets() -> list[Netlist]:
    return [netlist(seed) for seed in range(N_DESIGNS)]


def test_the_netlists_hold_every_op(nets: list[Netlist]) -> None:
    assert all(set(net.op.tolist()) == set(OpCode) for net in nets)


@pytest.mark.parametrize(("simulator", "controls"), [("icarus", True), ("icarus", False), ("verilator", True)])
def test_thirty_designs_equal_their_netlists(nets: list[Netlist], simulator: str, controls: bool) -> None:
    designs = [emitted(net, seed, controls=controls) for seed, net in enumerate(nets)]
    found = cosimulate_batch(designs, simulator=simulator)
    assert len(found) == N_DESIGNS
    assert [result.n_mismatches for result in found] == [0] * N_DESIGNS
    assert [result.n_vectors for result in found] == [1 << sum(net.input_widths) for net in nets]
    assert all(result.exhaustive and result.equal for result in found)


def test_all_tables_of_thirty_designs_equal(nets: list[Netlist]) -> None:
    found = check_tables_batch([emitted(net, seed, controls=False) for seed, net in enumerate(nets)])
    assert [result.n_mismatches for result in found] == [0] * N_DESIGNS
    assert [result.n_vectors for result in found] == [sum(table.n_entries for table in net.tables) for net in nets]


def test_thirty_synthesised_designs_equal_their_netlists(nets: list[Netlist], tmp_path: Path) -> None:
    designs = [emitted(net, 3 * seed, controls=True) for seed, net in enumerate(nets)]
    written = write_batch(designs, tmp_path / "rtl")
    stat = synthesize_xilinx(written.sources, written.interface.top, tmp_path, timeout_s=300)
    found = cosimulate_batch(designs, simulator="verilator", netlist_path=stat.netlist_verilog)
    assert [result.n_mismatches for result in found] == [0] * N_DESIGNS


def test_one_mutant_among_the_designs_is_found_and_named(nets: list[Netlist]) -> None:
    designs = [emitted(net, seed, controls=True) for seed, net in enumerate(nets)]
    for victim in (4, 15):
        mutant = emitted(mutate_table(nets[victim]), victim, controls=True)
        designs[victim] = replace(designs[victim], files=mutant.files)
    found = cosimulate_batch(designs, simulator="icarus")
    assert [i for i, result in enumerate(found) if not result.equal] == [4, 15]
    first = found[4].first
    assert first is not None and first.expected != first.got


def test_a_register_missing_in_one_design_is_found_and_named(nets: list[Netlist]) -> None:
    designs = [emitted(net, seed, controls=False) for seed, net in enumerate(nets)]
    shorter = nets[8].with_stages(nets[8].stage, nets[8].latency_cycles - 1)
    top = next(path for path in designs[8].files if path.suffix == ".v")
    designs[8] = replace(designs[8], files={**designs[8].files, top: emitted(shorter, 8, controls=False).files[top]})
    found = cosimulate_batch(designs, simulator="icarus")
    assert [i for i, result in enumerate(found) if not result.equal] == [8]
