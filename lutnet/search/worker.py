"""Workers: they join a search, take trials, look after those of workers that died, and leave."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import optuna
from optuna.exceptions import OptunaError, TrialPruned, UpdateFinishedTrialError
from optuna.trial import Trial, TrialState

from lutnet.cost.device import device_named
from lutnet.errors import UserError
from lutnet.lower import lower_network
from lutnet.search.census import best_trials, take_census
from lutnet.search.lease import ERROR, SURPLUS, Lease, Watch, give_back
from lutnet.search.measure import measure
from lutnet.search.objective import Figures
from lutnet.search.sampler import NumberedSampler, pruner_of
from lutnet.search.space import SearchSpace
from lutnet.search.store import (
    JOURNAL,
    check_folder,
    identity_of,
    mark_folder,
    open_storage,
    open_study,
    reference_cost,
    store_errors,
)
from lutnet.search.trial import LostTrial, Reference, run_trial, training_rows
from lutnet.train.build import build_network
from lutnet.train.config import ModelConfig
from lutnet.train.data import Dataset

__all__ = ["GRACE_S", "Search", "check_limits", "open_search", "work"]

GRACE_S = 120.0
"""Seconds without a sign of life after which a worker is taken to be dead."""

_LOOK_S = 1.0
"""Longest time between two looks at what the others do."""


@dataclass(frozen=True)
class Search:
    """A search that a worker has joined.

    Attributes:
        space: What is searched.
        dataset: Rows that trials are trained and judged on.
        folder: Folder of the trials' runs.
        study: The study in the store.
        where: Name of the store in messages.
        reference: What trials are compared with.
    """

    space: SearchSpace
    dataset: Dataset
    folder: Path
    study: optuna.Study
    where: str
    reference: Reference


def open_search(space: SearchSpace, dataset: Dataset, folder: str | Path, storage: str | None = None) -> Search:
    """Joins a search, or begins it.

    Args:
        space: What is searched.
        dataset: All rows; the test set is not looked at.
        folder: Folder of the search; trials are saved in it.
        storage: Where the trials live, see :func:`lutnet.search.store.open_storage`.

    Raises:
        UserError: Nothing in the space fits, the store cannot be used, or store or folder hold another search; both are
            untouched.
    """
    target = Path(folder)
    rows = training_rows(dataset, space.rows)
    smallest = space.smallest(dataset.n_features)
    if smallest.model.family != "trees":
        build_network(smallest.model, rows)
    start = space.start_values(dataset.n_features)
    reference = _reference(space, rows)
    where = str(target / JOURNAL) if storage is None else _without_password(storage)
    identity = identity_of(space, dataset)
    check_folder(target, identity)
    study = open_study(open_storage(storage, target), identity, reference=reference.cost, where=where)
    mark_folder(target, identity)
    study.sampler, study.pruner = NumberedSampler(space.seed), pruner_of(space)
    with store_errors(where):
        for values in start:
            study.enqueue_trial(values, skip_if_exists=True)
        reference = replace(reference, cost=reference_cost(study))
    return Search(space, rows, target, study, where, reference)


def check_limits(n_trials: int, grace_s: float) -> None:
    """Refuses numbers that :func:`work` cannot work with.

    Raises:
        UserError: There is no trial to make, or no time of grace.
    """
    if n_trials < 1 or not grace_s > 0:
        raise UserError(f"a search has at least 1 trial and a positive time of grace, got {n_trials} and {grace_s}")


def work(
    search: Search,
    n_trials: int,
    *,
    timeout_s: float | None = None,
    grace_s: float = GRACE_S,
    device: str = "auto",
    on_trial: Callable[[str], None] | None = None,
) -> int:
    """Makes trials until the search has as many as it shall have; the number of trials that this worker made.

    A worker that finds nothing to begin waits for the trials of the others, because one of them may die.

    Args:
        search: The search.
        n_trials: Trials of the whole search, by all workers together, those of earlier calls included.
        timeout_s: Seconds after which no further trial is begun.
        grace_s: Seconds without a sign of life after which another worker is taken to be dead; the same for all workers.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        on_trial: Told in a sentence how each trial ended.

    Raises:
        UserError: A number is out of its range, or the store failed; finished trials are safe in it.
    """
    check_limits(n_trials, grace_s)
    tell = on_trial if on_trial is not None else (lambda _: None)
    watch, made, end = Watch(grace_s), 0, None if timeout_s is None else time.monotonic() + timeout_s
    with store_errors(search.where):
        while True:
            for number in watch.reclaim(search.study):
                tell(f"trial {number}: its worker died, it is tried again")
            census = take_census(search.study)
            if census.done >= n_trials or (end is not None and time.monotonic() >= end):
                return made
            if census.waiting or census.begun < n_trials:
                made += _one(search, n_trials, grace_s, device, tell)
            else:
                time.sleep(min(_LOOK_S, grace_s / 4))


def _one(search: Search, n_trials: int, grace_s: float, device: str, tell: Callable[[str], None]) -> int:
    """Takes a trial and ends it; 0 when there were enough."""
    study = search.study
    trial = study.ask()
    if take_census(study, before=trial.number).begun >= n_trials:
        trial.set_user_attr(SURPLUS, True)
        study.tell(trial, state=TrialState.FAIL)
        return 0
    with Lease(trial, grace_s) as lease:
        try:
            figures = run_trial(
                trial,
                search.space,
                search.dataset,
                search.folder,
                search.reference,
                device=device,
                is_lost=lambda: lease.lost,
            )
            values = search.space.objective.values(figures, search.reference.cost)
            ours = _end(study, trial, TrialState.COMPLETE, values)
            tell(_sentence(search, trial, figures, values) if ours else _taken(trial))
        except TrialPruned as reason:
            ours = _end(study, trial, TrialState.PRUNED)
            tell(f"trial {trial.number}: pruned, {reason}" if ours else _taken(trial))
        except (LostTrial, UpdateFinishedTrialError):
            tell(_taken(trial))
        except KeyboardInterrupt:
            give_back(study, trial.number, left=True)
            raise
        except BaseException as error:
            with contextlib.suppress(OptunaError):
                trial.set_user_attr(ERROR, f"{type(error).__name__}: {error}"[:500])
                _end(study, trial, TrialState.FAIL)
            raise
    return 1


def _end(study: optuna.Study, trial: Trial, state: TrialState, values: tuple[float, ...] | None = None) -> bool:
    """Ends a trial, unless others have done so."""
    try:
        study.tell(trial, values, state=state)
    except (UpdateFinishedTrialError, ValueError):
        if not study.get_trials(deepcopy=False)[trial.number].state.is_finished():
            raise
        return False
    return True


def _taken(trial: Trial) -> str:
    return f"trial {trial.number}: taken over by another worker"


def _sentence(search: Search, trial: Trial, figures: Figures, values: tuple[float, ...]) -> str:
    cost = search.space.objective.cost
    unit = {"luts": "LUTs", "bits": "table bits", "energy": "pJ"}[cost]
    text = f"trial {trial.number}: validation accuracy {figures.validation_accuracy:.4f} at {figures.cost(cost):,.6g} {unit}"
    if len(values) > 1:
        return text
    best = best_trials(search.study)[0]
    return f"{text}, objective {values[0]:.4f} (best {best.values[0]:.4f}, trial {best.number})"


def _reference(space: SearchSpace, dataset: Dataset) -> Reference:
    """Cost of the base configuration before training, unless the space names one; the base need not fit the space's budget."""
    given, model = space.objective.reference_cost, space.base.model
    budget = max(model.max_address_bits, ModelConfig.max_address_bits)
    try:
        network = build_network(replace(model, max_address_bits=budget), dataset).eval()
    except UserError as error:
        if not given:
            raise UserError(
                f"the base of the search space '{space.name}' has no cost to compare with ({error}); name objective.reference_cost"
            ) from None
        return Reference(given, 0)
    closed = network.lut_cost(device_named(space.base.train.cost_device)).n_luts
    if not given:
        cost = space.objective.cost
        raw, encoder = lower_network(network), network.encoder()
        given = measure(raw, encoder, space.base, dataset, accuracy=0.0, energy=cost == "energy").cost(cost)
    return Reference(given, closed)


def _without_password(storage: str) -> str:
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", storage)
