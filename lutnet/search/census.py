"""How far a search is: which trials count, and which of them are the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, TrialState

from lutnet.search.lease import ERROR, MAX_ATTEMPTS, RETRY_OF, SURPLUS, attempts, is_lost

__all__ = ["Census", "best_trials", "take_census"]


@dataclass(frozen=True)
class Census:
    """Trials by what has become of them; those that others repeat or that were too many are left out.

    Attributes:
        complete: Trained and measured.
        pruned: Ended early, or not begun because they do not fit.
        failed: Ended by an error of their own, or begun :data:`lutnet.search.lease.MAX_ATTEMPTS` times without end.
        open: Running, waiting, or lost and about to be tried again.
        waiting: Those of the open ones that anybody may begin now.
        lost: Begun by workers that died or left; tried again by others.
    """

    complete: int
    pruned: int
    failed: int
    open: int
    waiting: int
    lost: int

    @property
    def done(self) -> int:
        """Trials that need nothing more."""
        return self.complete + self.pruned + self.failed

    @property
    def begun(self) -> int:
        """Trials that are done, or in somebody's hands."""
        return self.done + self.open


def take_census(study: optuna.Study, before: int | None = None) -> Census:
    """Counts the trials of a study.

    Args:
        study: The study.
        before: Count trials of lower numbers only.
    """
    trials = study.get_trials(deepcopy=False)
    retried = {trial.user_attrs.get(RETRY_OF) for trial in trials}
    complete = pruned = failed = running = waiting = lost = 0
    for trial in trials:
        gone = is_lost(trial)
        lost += gone
        if (before is not None and trial.number >= before) or SURPLUS in trial.user_attrs:
            continue
        if gone and trial.number in retried:
            continue
        if trial.state is TrialState.COMPLETE:
            complete += 1
        elif trial.state is TrialState.PRUNED:
            pruned += 1
        elif ERROR in trial.user_attrs or (gone and attempts(trial) >= MAX_ATTEMPTS):
            failed += 1
        elif trial.state is TrialState.WAITING:
            waiting += 1
        else:
            running += 1
    return Census(complete, pruned, failed, running + waiting, waiting, lost)


def best_trials(study: optuna.Study) -> Sequence[FrozenTrial]:
    """The best trial, or those that no other beats where there are two objectives, by falling accuracy."""
    if not any(trial.state is TrialState.COMPLETE for trial in study.get_trials(deepcopy=False)):
        return ()
    found = {tuple(trial.values): trial for trial in reversed(study.best_trials)}
    if len(study.directions) == 1:
        return (min(found.values(), key=lambda trial: trial.number),)
    return sorted(found.values(), key=lambda trial: -trial.values[0])
