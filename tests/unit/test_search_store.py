"""Stores that survive what happens to their users: torn lines, dead workers, foreign files."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sqlite3
import time
import warnings
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from lutnet.errors import UserError
from lutnet.search.census import best_trials, take_census
from lutnet.search.journal import JournalFile
from lutnet.search.lease import ERROR, MAX_ATTEMPTS, RETRY_OF, Lease, Watch, give_back
from lutnet.search.sampler import NumberedSampler
from lutnet.search.store import Identity, check_folder, mark_folder, open_storage, open_study, reference_cost

IDENTITY = Identity({"name": "s", "rows": 5}, {"mode": "forgiving"}, {"sha256": "aa"}, "0.1")


def study_in(folder: Path, storage: str | None = None) -> optuna.Study:
    return open_study(open_storage(storage, folder), IDENTITY, reference=3.0, where="here")


def journal_lines(path: Path) -> list[dict]:
    return list(JournalFile(path).read_logs(0))


class TestJournal:
    def test_reading_makes_no_file(self, tmp_path: Path) -> None:
        path = tmp_path / "deep" / "j"
        assert journal_lines(path) == [] and not path.parent.exists()
        JournalFile(path).append_logs([{"op_code": 0, "worker_id": "a"}])
        assert journal_lines(path) == [{"op_code": 0, "worker_id": "a"}]

    def test_a_torn_line_was_never_written(self, tmp_path: Path) -> None:
        path = tmp_path / "j"
        writer, reader = JournalFile(path), JournalFile(path)
        logs = [{"op_code": i, "worker_id": "w" * 70_000} for i in range(3)]
        writer.append_logs(logs[:1])
        with path.open("ab") as file:
            file.write(json.dumps(logs[1]).encode()[:-5])
        assert list(reader.read_logs(0)) == logs[:1]
        writer.append_logs(logs[1:])
        assert list(reader.read_logs(1)) == logs[1:] and journal_lines(path) == logs
        assert list(reader.read_logs(3)) == []

    def test_a_file_of_somebody_else(self, tmp_path: Path) -> None:
        for text in ("name = 'x'\n", "name", '{"a": 1}\n', "[1]\n"):
            path = tmp_path / "f"
            path.write_text(text)
            with pytest.raises(UserError, match="no journal of a search"):
                JournalFile(path)
            assert path.read_text() == text

    def test_a_damaged_line_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "j"
        JournalFile(path).append_logs([{"op_code": 0, "worker_id": "a"}] * 2)
        path.write_text(path.read_text().splitlines()[0] + "\n{oh no\n")
        with pytest.raises(UserError, match="damaged in line 2"):
            journal_lines(path)

    def test_writers_that_are_killed(self, tmp_path: Path) -> None:
        """Some of four writers die while they write; the others go on, and every line is whole."""
        path = tmp_path / "j"
        context = multiprocessing.get_context("spawn")
        workers = [context.Process(target=_write_forever, args=(str(path), i)) for i in range(3)]
        for worker in workers:
            worker.start()
        try:
            for worker in workers:
                _wait_for(
                    lambda worker=worker: any(
                        log["worker_id"] == str(workers.index(worker)) for log in journal_lines(path)
                    )
                )
                os.kill(worker.pid, signal.SIGKILL)
        finally:
            for worker in workers:
                worker.kill()
                worker.join()
        n = len(journal_lines(path))
        JournalFile(path).append_logs([{"op_code": 9, "worker_id": "last"}])
        assert len(journal_lines(path)) == n + 1 and journal_lines(path)[-1]["worker_id"] == "last"


def _write_forever(path: str, number: int) -> None:
    journal = JournalFile(path)
    while True:
        journal.append_logs([{"op_code": 1, "worker_id": str(number), "text": "x" * 20_000}])


def _wait_for(condition, timeout_s: float = 30.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture(params=["journal", "sqlite"])
def study(request: pytest.FixtureRequest, tmp_path: Path) -> optuna.Study:
    return study_in(tmp_path, None if request.param == "journal" else f"sqlite:///{tmp_path / 's.db'}")


class TestLease:
    def test_a_dead_worker_is_found_by_the_clock_of_the_one_who_looks(self, study: optuna.Study) -> None:
        now = [0.0]
        watch = Watch(10.0, lambda: now[0])
        study.enqueue_trial({"x": 0.25})
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        for beat in range(5):
            trial.set_user_attr("beat", beat)
            assert watch.reclaim(study) == []
            now[0] += 9.0
        now[0] += 1.0
        assert watch.reclaim(study) == [0]
        assert [t.state for t in study.trials] == [TrialState.FAIL, TrialState.WAITING]
        assert Watch(0.0).reclaim(study) == [] and len(study.trials) == 2, "it is queued once"
        again = study.ask()
        assert again.number == 1 and again.suggest_float("x", 0, 1) == 0.25 and again.user_attrs[RETRY_OF] == 0

    def test_a_worker_that_lost_its_trial_is_told(self, study: optuna.Study) -> None:
        trial = study.ask()
        with Lease(trial, 0.06) as lease:
            assert not lease.lost
            assert give_back(study, trial.number)
            _wait_for(lambda: lease.lost)
        assert not give_back(study, trial.number), "whoever comes second does nothing"
        assert take_census(study).lost == 1 and take_census(study).waiting == 1 and len(study.trials) == 2

    def test_a_trial_that_kills_its_workers_is_given_up(self, study: optuna.Study) -> None:
        for _ in range(MAX_ATTEMPTS):
            assert give_back(study, study.ask().number)
        census = take_census(study)
        assert (census.failed, census.open, census.done, len(study.trials)) == (1, 0, 1, MAX_ATTEMPTS)

    def test_leaving_of_ones_own_accord_is_no_attempt(self, study: optuna.Study) -> None:
        for _ in range(MAX_ATTEMPTS + 1):
            assert give_back(study, study.ask().number, left=True)
        assert take_census(study).waiting == 1 and take_census(study).failed == 0

    def test_a_rescuer_that_died_halfway(self, study: optuna.Study) -> None:
        """A lost trial without successor is queued by the next one who looks."""
        trial = study.ask()
        study.tell(trial, state=TrialState.FAIL)
        now = [0.0]
        watch = Watch(10.0, lambda: now[0])
        assert watch.reclaim(study) == [] and take_census(study).open == 1
        now[0] = 10.0
        assert watch.reclaim(study) == [0] and take_census(study).waiting == 1

    def test_errors_of_a_trial_are_not_tried_again(self, study: optuna.Study) -> None:
        trial = study.ask()
        trial.set_user_attr(ERROR, "ValueError: no")
        study.tell(trial, state=TrialState.FAIL)
        assert Watch(0.0).reclaim(study) == Watch(0.0).reclaim(study) == []
        assert take_census(study).failed == 1 and take_census(study).lost == 0


def test_the_census_counts_a_repeated_trial_once(tmp_path: Path) -> None:
    study = study_in(tmp_path)
    study.tell(study.ask(), 0.5)
    study.tell(study.ask(), state=TrialState.PRUNED)
    give_back(study, study.ask().number)
    census = take_census(study)
    assert (census.complete, census.pruned, census.open, census.begun, census.lost) == (1, 1, 1, 3, 1)
    assert take_census(study, before=2).begun == 2
    assert best_trials(study)[0].number == 0


def test_a_sampler_draws_by_the_number_of_the_trial() -> None:
    def drawn(seed: int) -> list[float]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            study = optuna.create_study(sampler=NumberedSampler(seed))
            return [study.ask().suggest_float("x", 0, 1) for _ in range(4)]

    assert drawn(1) == drawn(1) and drawn(1) != drawn(2) and len(set(drawn(1))) == 4


class TestIdentity:
    @pytest.mark.parametrize("storage", [None, "sqlite"])
    def test_joining(self, tmp_path: Path, storage: str | None) -> None:
        where = None if storage is None else f"sqlite:///{tmp_path / 's.db'}"
        assert reference_cost(study_in(tmp_path, where)) == 3.0
        again = open_study(open_storage(where, tmp_path), IDENTITY, reference=4.0, where="here")
        assert reference_cost(again) == 3.0, "whoever begins the study says what it is compared with"

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"space": {"name": "s", "rows": 6}}, r"another search space \(rows was 5, here it is 6\)"),
            ({"data": {"sha256": "bb"}}, "another data set"),
            ({"objective": {"mode": "forgiving", "cost": "bits"}}, r"another objective \(cost was null"),
            ({"version": "0.2"}, "lutnet 0.1, this is 0.2"),
        ],
    )
    def test_another_search_is_refused_and_nothing_written(self, tmp_path: Path, change, message: str) -> None:
        study_in(tmp_path)
        mark_folder(tmp_path, IDENTITY)
        other = Identity(**{**vars(IDENTITY), **change})
        before = (tmp_path / "study.journal").read_bytes()
        with pytest.raises(UserError, match=message):
            open_study(open_storage(None, tmp_path), other, reference=3.0, where="here")
        assert (tmp_path / "study.journal").read_bytes() == before
        with pytest.raises(UserError, match=message):
            check_folder(tmp_path, other)
        check_folder(tmp_path, IDENTITY)

    def test_a_study_that_lutnet_did_not_make(self, tmp_path: Path) -> None:
        storage = open_storage(f"sqlite:///{tmp_path / 's.db'}", tmp_path)
        optuna.create_study(study_name="s", storage=storage).enqueue_trial({"x": 1})
        with pytest.raises(UserError, match="was not made by lutnet"):
            open_study(storage, IDENTITY, reference=3.0, where="here")


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("mysql://u@h/d", "kind 'mysql'"),
        ("sqlite://", "in memory cannot be shared"),
        ("sqlite:///{tmp}/none/s.db", "there is no folder"),
        ("sqlite:///{tmp}/birds.db", r"tables of another program \(birds\)"),
        ("sqlite:///{tmp}/text.db", "file is not a database"),
        ("postgresql://me:secret@127.0.0.1:1/d", r"cannot use the store postgresql\+psycopg://me:\*\*\*@127.0.0.1:1/d"),
        ("nothing://", "a store is a file"),
    ],
)
def test_stores_that_cannot_be_used(where: str, message: str, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "birds.db")
    connection.execute("create table birds (name)")
    connection.close()
    (tmp_path / "text.db").write_text("this is no database, it is a text that is long enough\n" * 20)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(UserError, match=message) as error:
        open_storage(where.format(tmp=tmp_path), tmp_path)
    assert "secret" not in str(error.value)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
