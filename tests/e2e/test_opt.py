"""`lutnet opt` from the command line: presets, files, samples, limits, and what it says when something is wrong."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lutnet import LutnetError, NetlistBuilder, TruthTable, UserError, cli
from lutnet.flow import optimising
from lutnet.flow.optimising import OPT_PRESETS, optimise_design, wants_samples
from lutnet.ir import Design, load_design, save_design
from lutnet.ir.estimate import estimate_luts
from lutnet.passes import Pass
from lutnet.passes.base import Steps
from lutnet.testing import mutate_table, random_netlist
from lutnet.verify.equivalence import compare_netlists


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


def neurons() -> Design:
    """Weighted sums of four operands of three bits: what a trained network looks like."""
    rng = np.random.default_rng(0)
    b = NetlistBuilder()
    inputs = [b.input(3) for _ in range(6)]
    a = np.arange(1 << 12)
    for _ in range(4):
        total = sum(weight * ((a >> 3 * i) & 7) for i, weight in enumerate(rng.normal(size=4)))
        levels = np.clip(np.floor(2 * (total - total.mean()) / total.std()) + 4, 0, 7).astype(np.int64)
        b.output(b.lut(TruthTable((3, 3, 3, 3), 3, levels), [inputs[i] for i in rng.choice(6, 4, replace=False)]))
    return Design(b.build())


@pytest.mark.parametrize("preset", [name for name in OPT_PRESETS if name != "rare"])
def test_presets_keep_the_function_and_save_tables(preset: str) -> None:
    design = neurons()
    found = optimise_design(design, preset)
    assert found.proof is not None and found.proof.status == "proved" and not found.proof.on_care
    assert compare_netlists(design.netlist, found.design.netlist).equal
    assert found.after.luts < 0.3 * found.before.luts
    assert all(record.checked != "unchecked" for record in found.passes)


@pytest.mark.parametrize("preset", [name for name in OPT_PRESETS if name != "rare"])
@pytest.mark.parametrize("seed", range(4))
def test_presets_on_random_netlists(preset: str, seed: int) -> None:
    net = random_netlist(seed, n_inputs=4, n_nodes=30, max_width=4)
    found = optimise_design(Design(net), preset)
    assert found.proof is not None and found.proof.holds
    assert compare_netlists(net, found.design.netlist).equal


def test_samples_decide_what_matters() -> None:
    design = neurons()
    samples = np.random.default_rng(1).integers(2, 5, (400, 6))
    found = optimise_design(design, "rare", samples=samples)
    np.testing.assert_array_equal(found.design.netlist.evaluate(samples), design.netlist.evaluate(samples))
    assert found.proof is not None and found.proof.holds and found.proof.on_care
    assert not compare_netlists(design.netlist, found.design.netlist).equal
    assert found.after.luts < optimise_design(design, "fast").after.luts
    assert wants_samples("rare") and wants_samples("fold,rare{rarity=3}") and not wants_samples("area")
    with pytest.raises(UserError, match=r"pass 'rare'.* needs samples"):
        optimise_design(design, "rare")


def test_a_limit_stops_after_so_many_rewrites() -> None:
    design = neurons()
    found = optimise_design(design, "fast", limit=2)
    assert sum(record.n_rewrites for record in found.passes) == 2
    assert optimise_design(design, "fast", limit=0).design.netlist == design.netlist


def test_a_flipped_table_bit_is_caught_and_the_pass_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    (decompose,) = optimising.find_passes("decompose")
    kind = type(decompose)
    original = kind.rewrite

    def corrupted(self: Pass, net: object, steps: Steps) -> object:
        return mutate_table(original(self, net, steps))

    monkeypatch.setattr(kind, "rewrite", corrupted)
    with pytest.raises(LutnetError, match="pass 'decompose' failed: the function changed on"):
        optimise_design(neurons(), "fast")


def test_a_run_is_optimised_and_goes_on_up_the_ladder(
    run: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = load_design(run / "netlist.npz").netlist
    assert cli.main(["opt", str(run), "--data", str(tiny_data)]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "decompose" in said and "proved" in said and "validation accuracy" in said
    after = load_design(run / "netlist.npz").netlist
    assert compare_netlists(before, after).equal
    assert estimate_luts(after).luts <= estimate_luts(before).luts
    for step in (
        ["emit", "--tables", "wide"],
        ["simulate", "--vectors", "200"],
        ["prove"],
        ["report", "--data", str(tiny_data)],
    ):
        assert cli.main([step[0], str(run), *step[1:]]) == 0, capsys.readouterr().err
    report = json.loads((run / "report.json").read_text())
    assert report["ladder"]["opt"]["mismatches"] == 0 and report["ladder"]["opt"]["vectors"] > 300
    assert report["proof"]["status"] == "proved"
    assert report["estimated_luts"] == estimate_luts(after).luts
    assert cli.main(["compile", str(run), "--data", str(tiny_data)]) == 0
    assert load_design(run / "netlist.npz").netlist == before
    assert not (run / "results" / "opt.json").exists()


def test_samples_come_from_the_data_of_the_run(run: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["opt", str(run), "-p", "rare", "--data", str(tiny_data)]) == 0, capsys.readouterr().err
    result = json.loads((run / "results" / "opt.json").read_text())
    assert result["proof"]["status"] == "proved" and result["ladder"]["opt"]["mismatches"] == 0
    assert any("4896 vectors, 0 differ" in record["checked"] for record in result["passes"])
    assert abs(result["validation"]["after"] - result["validation"]["before"]) < 0.05


def test_a_file_becomes_another_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    design = neurons()
    source, target = tmp_path / "a.npz", tmp_path / "b.npz"
    save_design(source, replace(design, class_names=("x", "y")))
    assert cli.main(["opt", str(source), "-o", str(target), "-p", "fast", "--timeout-s", "0"]) == 0
    found = load_design(target)
    assert found.class_names == ("x", "y") and compare_netlists(design.netlist, found.netlist).equal
    assert load_design(source).netlist == design.netlist
    assert cli.main(["prove", str(source), str(target)]) == 0
    assert "proved" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "name the file of the new netlist"),
        (["-o", "b.txt"], "stored as a .npz file"),
        (["-o", "b.npz", "-p", "rare"], "needs training data"),
        (["-o", "b.npz", "-p", "polish"], "unknown pass 'polish'"),
        (["-o", "b.npz", "-p", "rare{samples=3}"], "has no option 'samples'"),
    ],
)
def test_mistakes_get_one_sentence(
    more: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save_design("a.npz", neurons())
    assert cli.main(["opt", "a.npz", *more]) == 2
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz"]


def test_an_output_for_a_run_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["opt", str(run), "-o", "c.npz"]) == 2
    assert "whose netlist is replaced" in capsys.readouterr().err
