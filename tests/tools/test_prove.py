"""Netlist against netlist: equal ones are proved by each decider, different ones refuted with a right counterexample."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

from lutnet import LutnetError, Netlist, NetlistBuilder, TruthTable, UserError, cli
from lutnet.backends import Verilog, write_files
from lutnet.ir import to_text
from lutnet.ir.store import Design, save_design
from lutnet.passes import DEFAULT_PASSES, Pipeline, parse_passes, run_passes
from lutnet.passes.rebuild import copy_node, rebuild
from lutnet.testing import mutate_table, random_netlist
from lutnet.verify import prove
from lutnet.verify.equivalence import on_care
from lutnet.verify.linear import LinearForms, extended, trimmed
from lutnet.verify.prove import check_proved, prove_netlists
from lutnet.verify.sweep import Sweep

XOR = TruthTable((1, 1), 1, np.array([0, 1, 1, 0]))


def layers(seed: int = 0, n_neurons: int = 24, n_layers: int = 3) -> Netlist:
    """Layers of tables of nine address bits on 48 input bits, and an argmax."""
    rng = np.random.default_rng(seed)
    b = NetlistBuilder()
    rows = [b.input(3, f"x{i}") for i in range(16)]
    for _ in range(n_layers):
        tables = [TruthTable((3, 3, 3), 3, rng.integers(0, 8, 512)) for _ in range(n_neurons)]
        rows = [b.lut(table, rng.choice(rows, 3, replace=False).tolist()) for table in tables]
    b.output(b.argmax(rows[:5]), "class")
    b.output(rows[5], "score")
    return b.build()


def split(net: Netlist) -> Netlist:
    """The same function with every table as two half tables and a choice."""

    def visit(builder: NetlistBuilder, node: Any, operands: tuple[int, ...]) -> int:
        if node.table is None or node.table.address_bits < 9:
            return copy_node(builder, node, operands)
        *rest, last = operands
        top = node.operand_widths[-1] - 1
        low = [*rest, builder.slice(last, 0, top)]
        widths = tuple(builder.node(row).width for row in low)
        halves = np.split(node.table.codes, 2)
        both = [builder.lut(TruthTable(widths, node.width, half), low) for half in halves]
        choice = np.arange(1 << (2 * node.width + 1))
        codes = np.where(choice >> (2 * node.width), choice >> node.width, choice) & ((1 << node.width) - 1)
        pick = TruthTable((node.width, node.width, 1), node.width, codes)
        return builder.lut(pick, [*both, builder.slice(last, top, 1)], signed=node.signed)

    return rebuild(net, visit)


@pytest.mark.parametrize("seed", range(12))
def test_passes_are_proved(seed: int) -> None:
    net = random_netlist(seed, n_inputs=8, n_nodes=40)
    after, _ = run_passes(net, parse_passes(DEFAULT_PASSES))
    found = prove_netlists(net, after)
    assert found.holds and found.n_outputs == sum(net.output_widths), found


def test_restructured_tables_are_proved_without_sat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prove, "check_equivalence", None)
    net = layers()
    found = prove_netlists(net, split(net))
    assert (found.status, found.method, found.n_open, found.tool_version) == ("proved", "sweeping", 0, None)
    assert found.n_merged >= 24 * 3 * 2


def test_registers_do_not_matter_and_equal_netlists_are_identical() -> None:
    net = layers()
    assert prove_netlists(net, Pipeline()(net)).method == "sweeping"
    assert prove_netlists(net, net).method == "identical"


@pytest.mark.parametrize("seed", range(6))
def test_one_flipped_entry_is_refuted_at_once(seed: int) -> None:
    net = layers(seed)
    mutant = mutate_table(split(net), seed=seed)
    found = prove_netlists(net, mutant)
    check_refuted(net, mutant, found)
    with pytest.raises(LutnetError, match="in the first and"):
        found.require()


def check_refuted(net: Netlist, mutant: Netlist, found: Any) -> None:
    assert found.status == "refuted" and found.counterexample is not None and not found.holds
    inputs = np.asarray([found.counterexample.inputs])
    assert tuple(net.evaluate(inputs)[0]) == found.counterexample.expected
    assert tuple(mutant.evaluate(inputs)[0]) == found.counterexample.got != found.counterexample.expected
    wrong = next(
        i
        for i, (x, y) in enumerate(zip(found.counterexample.expected, found.counterexample.got, strict=True))
        if x != y
    )
    expected, got = found.counterexample.expected[wrong], found.counterexample.got[wrong]
    assert f"{net.output_names[wrong]} is {expected} in the first and {got} in the second" in str(found)
    assert f"{net.input_names[0]}={found.counterexample.inputs[0]}" in str(found)


def rare(one: int) -> Netlist:
    """Whether 24 bits are all 1, or never: random inputs do not tell the two."""
    b = NetlistBuilder()
    rows = [b.input(8, f"x{i}") for i in range(3)]
    full = [b.lut(TruthTable((8,), 1, (np.arange(256) == 255).astype(int)), [row]) for row in rows]
    b.output(b.lut(TruthTable((1, 1, 1), 1, np.array([0] * 7 + [one])), full), "all")
    b.output(b.sum(rows), "total")
    return b.build()


def test_a_rare_difference_is_found_by_sat(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = rare(1), rare(0)
    monkeypatch.setattr(prove, "make_vectors", lambda widths, n_random: prove_vectors(widths))
    found = prove_netlists(a, b)
    assert found.method == "sweeping and ABC cec" and found.n_open == 1
    check_refuted(a, b, found)
    assert found.counterexample is not None and found.counterexample.inputs == (255, 255, 255)


def prove_vectors(widths: tuple[int, ...]) -> Any:
    """Random vectors alone."""
    from lutnet.verify.vectors import Vectors, random_codes

    return Vectors(random_codes(widths, 500, 3), False)


def cared(care: bool, entry: int) -> Netlist:
    """A table whose entry 3 is read where both inputs have their lowest bit set."""
    b = NetlistBuilder()
    x, y = (b.input(16, name) for name in "xy")
    table = TruthTable((1, 1), 2, np.array([0, 1, 2, entry]), np.array([True, True, True, not care]))
    first = b.lut(table, [b.slice(x, 0, 1), b.slice(y, 0, 1)])
    b.output(b.sum([first, b.slice(x, 8, 4)]), "sum")
    return b.build()


@pytest.mark.parametrize("sweeping", [True, False])
def test_addresses_without_care_may_give_anything(sweeping: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not sweeping:
        monkeypatch.setattr(prove, "_SWEEP_SHARE", -1.0)
    found = prove_netlists(cared(True, 3), cared(False, 0))
    assert found.holds and found.on_care and "that it cares for" in str(found)
    assert found.method == ("sweeping" if sweeping else "sweeping and ABC cec")
    found = prove_netlists(cared(False, 3), cared(True, 0))
    assert found.status == "refuted" and not found.on_care
    other = rebuild(
        cared(True, 3), lambda b, n, o: b.sum(o, bias=1) if len(n.coefs) == 2 and any(n.coefs) else copy_node(b, n, o)
    )
    found = prove_netlists(cared(True, 3), other)
    assert found.status == "refuted" and found.counterexample is not None
    assert on_care(cared(True, 3), np.asarray([found.counterexample.inputs])).all()


def test_inputs_without_care_are_counted() -> None:
    codes = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [3, 5]])
    np.testing.assert_array_equal(on_care(cared(True, 3), codes), [True, True, True, False, False])
    assert on_care(cared(False, 3), codes).all()


def adders(order: list[int], by_tables: bool) -> Netlist:
    """24 bits added up, either by sums alone or after full adders made of tables."""
    b = NetlistBuilder()
    bits = [b.input(1, f"x{i}") for i in range(24)]
    shuffled = [bits[i] for i in order]
    full = TruthTable((1, 1, 1), 2, np.array([0, 1, 1, 2, 1, 2, 2, 3]))
    parts = [shuffled[i : i + 3] for i in range(0, 24, 3)]
    words = [b.lut(full, part) if by_tables else b.sum(part) for part in parts]
    while len(words) > 1:
        words = [b.sum(words[i : i + 2]) for i in range(0, len(words), 2)]
    b.output(b.threshold(words[0], 11), "many")
    b.output(b.sum(words, [-2], bias=5), "score")
    return b.build()


def test_trees_of_adders_are_proved_without_sat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prove, "check_equivalence", None)
    order = np.random.default_rng(1).permutation(24).tolist()
    for by_tables in (False, True):
        found = prove_netlists(adders(list(range(24)), False), adders(order, by_tables))
        assert (found.status, found.method) == ("proved", "sweeping"), found
    twice = [0, 0, *range(2, 24)]
    assert prove_netlists(adders(list(range(24)), False), adders(twice, True)).status == "refuted"


def test_words_of_values_are_trimmed_and_extended() -> None:
    from lutnet.passes.bits import ZERO, Bit

    a, b = Bit(1, 0), Bit(1, 1)
    assert trimmed([a, b, b, b], True) == ((a, b), True)
    assert trimmed([a, b, ZERO, ZERO], False) == ((a, b), False)
    assert trimmed([a, b, ZERO], True) == ((a, b), False)
    assert trimmed([ZERO, ZERO], True) == ((ZERO,), False)
    assert extended((a, b), True, 4) == (a, b, b, b)
    assert extended((a, b), False, 3) == (a, b, ZERO)
    assert extended((a, b), True, 1) == (a,)


def test_a_word_is_seen_through_only_as_a_whole() -> None:
    from lutnet.passes.bits import Bit

    forms = LinearForms()
    x, y = Bit(0, 0), Bit(1, 0)
    total = forms.sum(0, [(1, (x,), False), (1, (y,), False)])
    word = (Bit(2, 0), Bit(2, 1))
    forms.remember(2, total, word, False)
    assert forms.sum(1, [(2, word, False)]).weights == ((x, 2), (y, 2))
    assert forms.sum(1, [(2, word, True)]).weights == ((word[0], 2), (word[1], -4))
    assert forms.sum(1, [(2, word[:1], False)]).weights == ((word[0], 2),)


def test_ports_that_differ_are_one_sentence() -> None:
    with pytest.raises(UserError, match="different input names"):
        prove_netlists(layers(), random_netlist(1))
    with pytest.raises(UserError, match="at least one output"):
        prove_netlists(rebuild_without_outputs(), rebuild_without_outputs())


def rebuild_without_outputs() -> Netlist:
    from dataclasses import fields

    net = random_netlist(3)
    columns = {field.name: getattr(net, field.name) for field in fields(net)}
    return Netlist(**{**columns, "outputs": net.outputs[:0], "output_names": ()})


def test_no_time_is_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    net = layers()
    found = prove_netlists(net, split(net), timeout_s=0.01)
    assert found.status == "undecided" and not found.holds and found.n_open == 6
    found.require()


def test_the_check_of_passes_proves_and_names_the_pass() -> None:
    net = layers()
    _, records = run_passes(net, parse_passes("dedupe,narrow"), check=check_proved)
    assert {record.checked for record in records} <= {"proved (sweeping)", "proved (identical)"}
    with pytest.raises(LutnetError, match="in the first and"):
        check_proved(net, mutate_table(net))


def test_a_wrong_merge_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep that believes its simulation proves a wrong pair: the tables are what decides."""
    monkeypatch.setattr(prove, "make_vectors", lambda widths, n_random: prove_vectors(widths))
    monkeypatch.setattr(Sweep, "_same_table", lambda *_: True)
    assert prove_netlists(rare(1), rare(0)).status == "proved"


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = layers()
    a, b, c = tmp_path / "a.npz", tmp_path / "b.txt", tmp_path / "c.npz"
    save_design(a, Design(net))
    b.write_text(to_text(split(net)))
    save_design(c, Design(mutate_table(net)))
    assert cli.main(["prove", str(a), str(b)]) == 0
    assert "proved (sweeping)" in capsys.readouterr().out
    assert cli.main(["prove", str(a), str(c)]) == 1
    assert "in the first and" in capsys.readouterr().out
    assert cli.main(["prove", str(a), str(b), "--timeout-s", "0.01"]) == 2
    assert "undecided" in capsys.readouterr().out
    for wrong, message in ((tmp_path / "none.npz", "no netlist at"), (tmp_path, "holds neither")):
        assert cli.main(["prove", str(a), str(wrong)]) == 2
        assert message in capsys.readouterr().err
    save_design(tmp_path / "d.npz", Design(random_netlist(1)))
    assert cli.main(["prove", str(a), str(tmp_path / "d.npz")]) == 2
    assert "different input names" in capsys.readouterr().err


def test_verilog_against_a_netlist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = layers(n_neurons=6, n_layers=2)
    save_design(tmp_path / "a.npz", Design(net))
    for name, design in (("rtl", split(net)), ("bad", mutate_table(net))):
        write_files({PurePosixPath(k): v for k, v in Verilog().emit(design).items()}, tmp_path / name)
    assert cli.main(["prove", str(tmp_path / "a.npz"), str(tmp_path / "rtl")]) == 0
    assert cli.main(["prove", str(tmp_path / "bad"), str(tmp_path / "a.npz")]) == 1
    capsys.readouterr()
    assert cli.main(["prove", str(tmp_path / "rtl"), str(tmp_path / "bad")]) == 2
    assert "both Verilog" in capsys.readouterr().err
