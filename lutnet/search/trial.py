"""One trial: values become a network, which is trained, pruned when it falls behind, measured and saved."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import cast

import optuna
from optuna.exceptions import TrialPruned
from optuna.trial import Trial

from lutnet.cost.device import device_named
from lutnet.errors import UserError
from lutnet.flow import load_run_model, train_run
from lutnet.nn import WIRED_FAMILIES
from lutnet.nn.network import LutNetwork
from lutnet.runs import RunFolder
from lutnet.search.configure import describe_layers, widest_address
from lutnet.search.dimensions import Choice, Dimension, Value
from lutnet.search.measure import measure
from lutnet.search.objective import Figures, Objective
from lutnet.search.space import SearchSpace
from lutnet.train.build import build_network
from lutnet.train.config import RunConfig
from lutnet.train.data import Dataset, Split
from lutnet.train.loop import EpochRecord

__all__ = ["REASON", "LostTrial", "Reference", "run_trial", "training_rows", "trial_folder"]

REASON = "reason"
"""Attribute of a pruned trial: why."""

_DIVERGED = "learning rate"
"""What every message about numbers that are no longer finite advises to lower."""


class LostTrial(Exception):
    """The trial has been given to another worker; whoever still works on it stops."""


@dataclass(frozen=True)
class Reference:
    """What trials are compared with.

    Attributes:
        cost: Cost at which the forgiving factor is 1.
        closed_form_luts: Lookup tables of the base configuration by the closed form, 0 where it has none.
    """

    cost: float
    closed_form_luts: int


def trial_folder(folder: Path, number: int) -> RunFolder:
    """The run folder of a trial."""
    return RunFolder(folder / "trials" / f"{number:04d}")


def training_rows(dataset: Dataset, rows: int) -> Dataset:
    """The data set with the first rows of its training set, all of them for 0.

    Raises:
        UserError: There are fewer rows.
    """
    if not rows:
        return dataset
    if rows > dataset.train.n_rows:
        raise UserError(
            f"the search space asks for {rows} training rows, the data set '{dataset.name}' has {dataset.train.n_rows}; lower rows"
        )
    return replace(dataset, train=Split(dataset.train.x[:rows], dataset.train.y[:rows]))


def run_trial(
    trial: Trial,
    space: SearchSpace,
    dataset: Dataset,
    folder: Path,
    reference: Reference,
    *,
    device: str = "auto",
    is_lost: Callable[[], bool] = lambda: False,
) -> Figures:
    """Trains the network of a trial and measures it; its run folder is left with the model.

    Args:
        trial: Where values come from, and reports go to.
        space: What is searched.
        dataset: Training and validation rows.
        folder: Folder of the search.
        reference: What the trial is compared with while it is trained.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        is_lost: Asked after each epoch whether the trial is somebody else's now.

    Raises:
        TrialPruned: The values fit no table budget or make no network, training diverged, or others are far ahead.
        LostTrial: The trial is somebody else's.
    """
    config = space.configure(dataset.n_features, lambda name, dimension: _suggest(trial, name, dimension))
    config = replace(config, name=f"{space.name}-{trial.number:04d}")
    trial.set_user_attr("config", config.to_dict())
    trial.set_user_attr("layers", describe_layers(config))
    trial.set_user_attr("host", socket.gethostname())
    _check_size(trial, config, dataset)
    run = trial_folder(folder, trial.number)
    watcher = _Watcher(trial, space.objective, reference, is_lost)
    try:
        result = train_run(
            run.path,
            config,
            dataset,
            device=device,
            reference=False,
            on_start=watcher.start,
            on_epoch=watcher.epoch,
        )
        model = load_run_model(run.model)
        figures = measure(
            model.lower(),
            model.encoder(),
            config,
            dataset,
            accuracy=result.validation_accuracy,
            energy=space.objective.cost == "energy",
        )
    except (TrialPruned, LostTrial):
        shutil.rmtree(run.path, ignore_errors=True)
        raise
    except UserError as error:
        if _DIVERGED not in str(error).replace("_", " "):
            raise
        shutil.rmtree(run.path, ignore_errors=True)
        raise _pruned(trial, "training diverged") from None
    trial.set_user_attr("figures", asdict(figures))
    run.save_result("search", {"number": trial.number, "params": trial.params, "figures": asdict(figures)})
    return figures


class _Watcher:
    """Looks on while a trial is trained."""

    def __init__(self, trial: Trial, objective: Objective, reference: Reference, is_lost: Callable[[], bool]) -> None:
        self._trial, self._objective, self._reference, self._is_lost = trial, objective, reference, is_lost
        self._network: LutNetwork | None = None

    def start(self, network: LutNetwork) -> None:
        self._network = network

    def epoch(self, kind: str, record: EpochRecord) -> None:
        """Reports what the trial would be worth now, with the closed form in place of the netlist.

        Raises:
            TrialPruned: Others are far ahead.
            LostTrial: The trial is somebody else's.
        """
        if self._is_lost():
            raise LostTrial
        if kind != "network" or self._objective.mode == "multi":
            return
        self._trial.report(self._worth(record.validation_accuracy), record.epoch)
        if self._trial.should_prune():
            raise _pruned(self._trial, f"behind the others after epoch {record.epoch + 1}")

    def _worth(self, accuracy: float) -> float:
        closed = self._reference.closed_form_luts
        if self._network is None or not closed:
            return accuracy
        device = device_named(str(self._trial.user_attrs["config"]["train"]["cost_device"]))
        cost = self._network.lut_cost(device).n_luts / closed * self._reference.cost
        return self._objective.score(accuracy, cost, self._reference.cost)


def _suggest(trial: Trial, name: str, dimension: Dimension) -> Value:
    if isinstance(dimension, Choice):
        return cast(Value, trial.suggest_categorical(name, dimension.values))
    if isinstance(dimension.low, int):
        return trial.suggest_int(name, dimension.low, int(dimension.high), step=int(dimension.step), log=dimension.log)
    return trial.suggest_float(name, dimension.low, dimension.high, step=dimension.step or None, log=dimension.log)


def _check_size(trial: Trial, config: RunConfig, dataset: Dataset) -> None:
    """Ends a trial whose tables do not fit, before anything of their size exists."""
    model = config.model
    if model.family in WIRED_FAMILIES:
        bits = widest_address(model, dataset.n_features)
        if bits > model.max_address_bits:
            raise _pruned(trial, f"a table of {bits} address bits, the budget allows {model.max_address_bits}")
    if model.family != "trees":
        try:
            build_network(model, dataset)
        except UserError as error:
            raise _pruned(trial, str(error)) from None


def _pruned(trial: Trial, reason: str) -> TrialPruned:
    trial.set_user_attr(REASON, reason)
    return optuna.TrialPruned(reason)
