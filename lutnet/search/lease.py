"""Signs of life: how a worker shows that it is at work on a trial, and how the others find out that it no longer is.

A worker counts up an attribute of its trial in the store. The others look at the count now and then; when it has stood still for the
time of grace *by their own clock*, the worker is dead. No two clocks are ever compared, and every kind of store will do.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import optuna
from optuna.exceptions import OptunaError, StorageInternalError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

__all__ = [
    "ATTEMPT",
    "ERROR",
    "MAX_ATTEMPTS",
    "RETRY_OF",
    "SURPLUS",
    "Lease",
    "Watch",
    "attempts",
    "give_back",
    "is_lost",
]

BEAT = "beat"
ERROR = "error"
"""Attribute of a trial that failed by itself and is not to be tried again."""
SURPLUS = "surplus"
"""Attribute of a trial that was begun when enough others had been."""
RETRY_OF = "retry_of"
"""Attribute of a trial that is tried again: number of the lost one."""
ATTEMPT = "attempt"
"""Attribute of a trial that is tried again: how often it was begun before."""

MAX_ATTEMPTS = 3
"""Times that a trial is begun, before it is taken to be what kills its workers."""

_BEATS_A_GRACE = 6


class Lease:
    """While the block runs, a thread shows that the worker lives.

    Attributes:
        lost: Whether the others have given the trial away; what the worker finds no longer counts.
    """

    def __init__(self, trial: Trial, grace_s: float) -> None:
        self.lost = False
        self._trial = trial
        self._every_s = grace_s / _BEATS_A_GRACE
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)

    def __enter__(self) -> Lease:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        count = 0
        while not self._stop.is_set():
            try:
                self._trial.set_user_attr(BEAT, count)
                count += 1
            except UpdateFinishedTrialError:
                self.lost = True
                return
            except (StorageInternalError, OSError):
                pass
            self._stop.wait(self._every_s)


class Watch:
    """What a worker has seen of the others.

    Args:
        grace_s: Seconds without a sign of life after which a trial's worker is dead.
        clock: Seconds by a clock that never goes back.
    """

    def __init__(self, grace_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.grace_s = grace_s
        self._clock = clock
        self._seen: dict[int, tuple[Any, float]] = {}

    def reclaim(self, study: optuna.Study) -> list[int]:
        """Gives trials of dead workers back, to be tried again; their numbers."""
        now = self._clock()
        found = []
        trials = study.get_trials(deepcopy=False)
        retried = {trial.user_attrs.get(RETRY_OF) for trial in trials}
        for trial in trials:
            if trial.state is TrialState.RUNNING:
                sign = trial.user_attrs.get(BEAT)
            elif is_lost(trial) and trial.number not in retried and attempts(trial) < MAX_ATTEMPTS:
                sign = TrialState.FAIL
            else:
                self._seen.pop(trial.number, None)
                continue
            old, since = self._seen.get(trial.number, (None, now))
            if trial.number not in self._seen or old != sign:
                self._seen[trial.number] = (sign, now)
            elif now - since >= self.grace_s:
                del self._seen[trial.number]
                if trial.state is TrialState.FAIL:
                    _try_again(study, trial, attempts(trial))
                    found.append(trial.number)
                elif give_back(study, trial.number):
                    found.append(trial.number)
        return found


def give_back(study: optuna.Study, number: int, *, left: bool = False) -> bool:
    """Ends a trial as lost and queues it again; whether that was left to do.

    Whoever ends the trial first queues it. A worker that dies in between leaves a lost trial without successor, which
    :meth:`Watch.reclaim` finds.

    Args:
        study: The study.
        number: Of the trial.
        left: Whether its worker left of its own accord, so that this does not count as an attempt.
    """
    try:
        study.tell(number, state=TrialState.FAIL)
    except (UpdateFinishedTrialError, ValueError):
        return False
    trial = study.get_trials(deepcopy=False)[number]
    made = attempts(trial) - left
    if trial.state is TrialState.FAIL and made < MAX_ATTEMPTS:
        _try_again(study, trial, made)
    return True


def attempts(trial: FrozenTrial) -> int:
    """How often the trial has been begun, this time included."""
    return int(trial.user_attrs.get(ATTEMPT, 0)) + 1


def is_lost(trial: FrozenTrial) -> bool:
    """Whether the trial ended because its worker did."""
    return trial.state is TrialState.FAIL and ERROR not in trial.user_attrs and SURPLUS not in trial.user_attrs


def _try_again(study: optuna.Study, trial: FrozenTrial, made: int) -> None:
    """Queues the values of a trial, of which ``made`` attempts have failed."""
    fixed = trial.system_attrs.get("fixed_params", {})
    with contextlib.suppress(OptunaError):
        study.enqueue_trial({**fixed, **trial.params}, user_attrs={RETRY_OF: trial.number, ATTEMPT: made})
