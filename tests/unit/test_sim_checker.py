"""The pure parts of the simulation rungs: the in-order checker, the generated wrappers, reading words."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import numpy as np
import pytest

from lutnet.backends.interface import RtlInterface
from lutnet.backends.templates import data_folder
from lutnet.errors import UserError
from lutnet.tables import TruthTable
from lutnet.verify.cosim_run import read_words
from lutnet.verify.cosim_tables import quicker_for_tables
from lutnet.verify.harness import batch_of, sweeps_of


@pytest.fixture(scope="module")
def checker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lutnet_sim_checker", data_folder("sim") / "checker.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def pipeline(samples: list[str], latency: int) -> tuple[list[str], list[int]]:
    """Every cycle's output of registers in a row, of which the first are still unknown."""
    words = ["XX"] * (latency - 1) + samples
    return words, list(range(len(words)))


SAMPLES = ["00", "01", "11", "10", "00", "11"]


def test_without_valid_the_outputs_are_those_at_the_stated_latency(checker: ModuleType) -> None:
    words, cycles = pipeline(SAMPLES, 3)
    verdict = checker.check_stream(words, cycles, range(6), latency_cycles=3, has_valid=False, expected=SAMPLES)
    assert verdict.outputs == SAMPLES and verdict.problems == [] and verdict.differences == []


@pytest.mark.parametrize("latency", [2, 4])
def test_without_valid_another_latency_is_found_out_and_named(checker: ModuleType, latency: int) -> None:
    words, cycles = pipeline(SAMPLES, latency)
    verdict = checker.check_stream(words, cycles, range(6), latency_cycles=3, has_valid=False, expected=SAMPLES)
    assert f"fit a latency of {latency} cycles, the interface says 3" in verdict.differences[-1]
    assert any("samples differ" in text for text in verdict.differences)


def test_with_valid_samples_are_matched_in_order_and_the_latency_is_measured(checker: ModuleType) -> None:
    taken = [0, 2, 3, 7]
    right = checker.check_stream(
        SAMPLES[:4], [2, 4, 5, 9], taken, latency_cycles=3, has_valid=True, expected=SAMPLES[:4]
    )
    assert (right.problems, right.differences) == ([], [])
    late = checker.check_stream(
        SAMPLES[:4], [3, 5, 6, 10], taken, latency_cycles=3, has_valid=True, expected=SAMPLES[:4]
    )
    assert late.problems == ["out_valid comes after 4 cycles, the interface says 3"] and late.differences == []


def test_a_lost_and_an_additional_output_are_problems(checker: ModuleType) -> None:
    lost = checker.check_stream(["00", "01"], [0, 1], [0, 1, 2], latency_cycles=1, has_valid=True)
    assert lost.problems == ["3 samples went in, 2 valid outputs came out"] and lost.outputs == ["00", "01", ""]
    more = checker.check_stream(["00", "01", "11"], [0, 1, 2], [0, 1], latency_cycles=1, has_valid=True)
    assert more.problems == ["2 samples went in, 3 valid outputs came out"] and more.outputs == ["00", "01"]


def test_unknown_bits_are_a_difference_even_when_nothing_is_expected(checker: ModuleType) -> None:
    verdict = checker.check_stream(["0X", "01"], [0, 1], [0, 1], latency_cycles=0, has_valid=False)
    assert verdict.differences == ["1 outputs have unknown bits, first sample 0: 0X"]


def face(top: str, latency: int, **controls: bool) -> RtlInterface:
    return RtlInterface(top, ("x",), (2,), ("y",), (3,), latency, **controls)


def test_a_batch_delays_every_design_to_the_largest_latency() -> None:
    batch = batch_of("both", [face("a", 1, valid=True), face("b", 3, valid=True), face("c", 0, valid=True)])
    assert batch.interface.latency_cycles == 3
    assert batch.interface.output_names == ("a_y", "a_out_valid", "b_y", "b_out_valid", "c_y", "c_out_valid")
    assert batch.interface.output_widths == (3, 1, 3, 1, 3, 1)
    assert batch.verilog.count("always @(posedge clk)") == 2 + 0 + 3
    assert "assign out_valid = out_data[3] | out_data[7] | out_data[11];" in batch.verilog


@pytest.mark.parametrize(
    "designs",
    [
        [],
        [face("a", 1), face("a", 2)],
        [face("a", 1, reset=True), face("b", 1)],
        [face("a", 0, valid=True), face("b", 1)],
    ],
)
def test_designs_that_cannot_stand_side_by_side_are_refused(designs: list[RtlInterface]) -> None:
    with pytest.raises(UserError, match=r"a batch needs|designs of a batch"):
        batch_of("both", designs)


def test_sweeps_hold_every_table_once_and_stay_small() -> None:
    tables = [TruthTable((bits,), 2, np.zeros(1 << bits, dtype=np.int64)) for bits in (3, 16, 19, 18, 12, 19, 16)]
    sweeps = sweeps_of("sweep", [f"t{i}" for i in range(len(tables))], tables)
    assert sorted(i for sweep in sweeps for i in sweep.table_ids) == list(range(len(tables)))
    assert len({sweep.top for sweep in sweeps}) == len(sweeps) > 1
    for sweep in sweeps:
        assert sweep.address_bits == max(table.address_bits for table in sweep.tables)
        assert sum(table.n_entries for table in sweep.tables) <= 1 << 20
        assert all(f"  t{i} table" in sweep.verilog for i in sweep.table_ids)


def test_large_tables_go_to_verilator_and_small_ones_to_icarus() -> None:
    small = [TruthTable((6,), 1, np.arange(64) & 1)] * 100
    large = [TruthTable((12,), 1, np.arange(4096) & 1)] * 200
    assert (quicker_for_tables(small), quicker_for_tables(large)) == ("icarus", "verilator")


def test_words_are_read_with_bit_0_first_and_unknown_bits_marked(tmp_path) -> None:
    (tmp_path / "words.txt").write_text("0011\n1X0Z\n\n")
    assert read_words(tmp_path / "words.txt", 4).tolist() == [[1, 1, 0, 0], [-1, 0, -1, 1], [-1, -1, -1, -1]]
