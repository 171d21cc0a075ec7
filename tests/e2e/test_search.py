"""`lutnet search` from the command line: one worker, several, a worker that is killed, and the ladder at the end."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from lutnet import cli
from lutnet.search.lease import RETRY_OF
from lutnet.search.store import open_storage

SPACE = """
name = "tiny"
base = "{base}"
[train]
epochs = {epochs}
[space]
n_hidden_layers = [1, 2]
hidden_layers = {{ low = 4, high = 10, step = 2 }}
layer_bitwidths = {{ low = 1, high = 3 }}
output_bitwidth = [2, 3]
layer_fanins = {{ low = 1, high = {fan_in} }}
layer_activations = ["hard-tanh", "binary", "ternary", "stochastic-fixed-point"]
"""


@pytest.fixture
def space(tiny_config: Path, tmp_path: Path) -> Path:
    return space_file(tmp_path / "tiny.toml", tiny_config)


def space_file(path: Path, base: Path, epochs: int = 3, fan_in: int = 4) -> Path:
    path.write_text(SPACE.format(base=base, epochs=epochs, fan_in=fan_in))
    return path


def search(space: Path, out: Path, data: Path, *more: str) -> list[str]:
    return ["search", str(space), "--out", str(out), "--data", str(data), "--device", "cpu", *more]


def trials_of(out: Path, storage: str | None = None) -> list[optuna.trial.FrozenTrial]:
    if storage is None and not (out / "study.journal").is_file():
        return []
    found = open_storage(storage, out)
    studies = optuna.get_all_study_summaries(found)
    return optuna.load_study(study_name="tiny", storage=found).trials if studies else []


def test_one_worker_goes_on_where_it_left_and_ends_with_the_ladder(
    space: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "s"
    assert cli.main(search(space, out, tiny_data, "--trials", "2", "--no-ladder")) == 0, capsys.readouterr().err
    first = trials_of(out)
    assert len(first) == 2 and "trial 0: validation accuracy" in capsys.readouterr().out
    assert cli.main(search(space, out, tiny_data, "--trials", "4")) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    trials = trials_of(out)
    assert [t.values for t in trials[:2]] == [t.values for t in first] and len(trials) == 4
    result = json.loads((out / "search.json").read_text())
    (best,) = result["best"]
    complete = [t for t in trials if t.state is TrialState.COMPLETE]
    assert best["number"] == max(complete, key=lambda t: (t.value, -t.number)).number
    assert best["checked"]["mismatches"] == 0 and best["checked"]["vectors"] > 5000 and best["checked"]["luts"] >= 0
    assert best["checked"]["proof"] == "proved"
    assert "quantizer" in said and f"layers of trial {best['number']}" in said
    assert [layer["bits"] for layer in best["layers"]] and "classes" in (out / "search.md").read_text()
    rows = list(csv.DictReader((out / "trials.csv").read_text().splitlines()))
    assert [int(row["number"]) for row in rows] == [0, 1, 2, 3] and rows[0]["state"] == "complete"
    run = out / "trials" / f"{best['number']:04d}"
    assert cli.main(["report", str(run), "--data", str(tiny_data)]) == 0, "a trial is a run like any other"


def test_a_search_by_one_worker_is_repeated_exactly(space: Path, tiny_data: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert cli.main(search(space, tmp_path / name, tiny_data, "--trials", "3", "--no-ladder")) == 0
    first, second = (trials_of(tmp_path / name) for name in ("a", "b"))
    assert [(t.params, t.values) for t in first] == [(t.params, t.values) for t in second]


@pytest.mark.parametrize("store", ["journal", "sqlite"])
def test_a_killed_worker_loses_no_finished_trial_and_its_trial_is_tried_again(
    store: str, tiny_config: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "s"
    storage = None if store == "journal" else f"sqlite:///{tmp_path / 's.db'}"
    space = space_file(tmp_path / "tiny.toml", tiny_config, epochs=40)
    more = ["--grace-s", "3", *([] if storage is None else ["--storage", storage])]
    command = [sys.executable, "-m", "lutnet", *search(space, out, tiny_data, "--trials", "100", "--worker", *more)]
    worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        end = time.monotonic() + 120
        while True:
            assert time.monotonic() < end and worker.poll() is None
            time.sleep(0.05)
            if storage is not None and not (tmp_path / "s.db").is_file():
                continue
            states = [t.state for t in trials_of(out, storage)]
            if states.count(TrialState.COMPLETE) >= 2 and TrialState.RUNNING in states:
                break
    finally:
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
    before = trials_of(out, storage)
    (running,) = [t for t in before if t.state is TrialState.RUNNING]
    n_trials = len(before) + 1
    assert cli.main(search(space, out, tiny_data, "--trials", str(n_trials), "--no-ladder", *more)) == 0
    after = trials_of(out, storage)
    for old, new in zip(before, after, strict=False):
        if old.state.is_finished():
            assert (old.state, old.values, old.params) == (new.state, new.values, new.params)
    assert after[running.number].state is TrialState.FAIL
    (again,) = [t for t in after if t.user_attrs.get(RETRY_OF) == running.number]
    assert again.state in (TrialState.COMPLETE, TrialState.PRUNED)
    assert running.params.items() <= again.params.items()
    assert len(after) == n_trials + 1, "the lost trial and its repetition are one"
    assert "1 lost and tried again" in capsys.readouterr().out


def test_workers_share_the_trials_and_two_objectives_give_a_front(
    space: Path, tiny_data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "s"
    more = ("--trials", "5", "--workers", "2", "--objective", "multi", "--cost", "energy", "--no-ladder")
    assert cli.main(search(space, out, tiny_data, *more)) == 0, capfd.readouterr().err
    trials = trials_of(out)
    assert len(trials) == 5 and all(t.state is TrialState.COMPLETE for t in trials)
    best = json.loads((out / "search.json").read_text())["best"]
    values = [tuple(point["values"]) for point in best]
    assert values == sorted(values, reverse=True) and all(point["figures"]["energy_pj"] >= 0 for point in best)
    costs = [cost for _, cost in values]
    assert costs == sorted(costs, reverse=True), "less accuracy is paid with less cost"
    assert {t.number for t in trials} >= {point["number"] for point in best}


def test_trials_that_do_not_fit_are_pruned_with_their_size(
    tiny_config: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = space_file(tmp_path / "tiny.toml", tiny_config, fan_in=6)
    space.write_text(space.read_text().replace("[train]", "[model]\nmax_address_bits = 3\n[train]"))
    assert cli.main(search(space, tmp_path / "s", tiny_data, "--trials", "12", "--no-ladder")) in (0, 2)
    said = capsys.readouterr().out
    assert "address bits, the budget allows 3" in said
    assert any("address bits" in t.user_attrs.get("reason", "") for t in trials_of(tmp_path / "s"))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--cost", "area"], "objective.cost is one of luts, bits, energy, got 'area'"),
        (["--storage", "postgresql://u:p@127.0.0.1:1/d"], "cannot use the store"),
        (["--trials", "0"], "at least 1 trial"),
        (["--workers", "0"], "at least 1 worker"),
        (["--grace-s", "0"], "positive time of grace"),
    ],
)
def test_mistakes_get_one_sentence_and_leave_nothing(
    more: list[str],
    message: str,
    space: Path,
    tiny_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(search(space, tmp_path / "s", tiny_data, *more)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_another_space_or_data_set_is_refused_and_the_store_untouched(
    space: Path, tiny_config: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "s"
    assert cli.main(search(space, out, tiny_data, "--trials", "1", "--no-ladder")) == 0
    before = (out / "study.journal").read_bytes()
    space_file(space, tiny_config, epochs=4)
    assert cli.main(search(space, out, tiny_data)) == 2
    assert "another search space (base.train.epochs was 3, here it is 4)" in capsys.readouterr().err
    space_file(space, tiny_config)
    assert cli.main(["search", str(space), "--out", str(out), "--dataset", "jets_sim"]) == 2
    assert "begun with another data set" in capsys.readouterr().err
    assert (out / "study.journal").read_bytes() == before
