"""The training loop: AdamW, cosine periods, the best epoch by what the head measures on validation rows, exact resumption."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lutnet.cost.device import device_named
from lutnet.errors import UserError
from lutnet.train.augment import RandomShift
from lutnet.train.checkpoint import TrainState, load_state, save_state
from lutnet.train.config import TrainConfig
from lutnet.train.data import Dataset, Split
from lutnet.train.metrics import validate
from lutnet.train.schedule import CostController, CostSchedule
from lutnet.train.targets import learning_rows, training_targets
from lutnet.train.task import Task

__all__ = ["EpochRecord", "Observer", "TrainResult", "choose_device", "train"]


FAR_FROM_TARGET = 10.0
"""Cost over the controller's target above which lookup tables are not measured: the netlist would be huge."""

NORM_BATCHES = 100
"""Most training batches from which averaged weights get the statistics of their batch norms."""


@dataclass(frozen=True)
class EpochRecord:
    """One epoch.

    Attributes:
        epoch: Number, from 0.
        loss: Mean training loss, hardware cost included.
        validation_accuracy: What the head measures on the validation set after the epoch: for classes the accuracy.
        cost_luts: Differentiable hardware cost after the epoch, in lookup tables.
        cost_weight: Weight of the hardware cost at the end of the epoch.
        learning_rate: At the start of the epoch.
        samples_per_s: Training rows a second.
        luts: Lookup tables of the network's netlist, where they were measured; else ``None``.
    """

    epoch: int
    loss: float
    validation_accuracy: float
    cost_luts: float
    cost_weight: float
    learning_rate: float
    samples_per_s: float
    luts: int | None = None


class Observer(Protocol):
    """Somebody who judges networks while they are trained: by their hardware, which the training side does not know."""

    def luts(self, network: nn.Module) -> int | None:
        """Lookup tables of a network as it is now; ``None`` when it has none that could be counted."""

    def keep(self, record: EpochRecord, network: nn.Module) -> None:
        """Offered the network of an epoch that is late enough in its cycle, with its record."""


@dataclass(frozen=True)
class TrainResult:
    """A finished training; the network holds the weights of the best epoch.

    Attributes:
        best_epoch: Epoch of the weights that were kept.
        validation_accuracy: Its validation accuracy.
        n_epochs: Epochs that ran, those before a resumption included.
        stopped_early: Whether patience ended the training.
        history: One record an epoch.
    """

    best_epoch: int
    validation_accuracy: float
    n_epochs: int
    stopped_early: bool
    history: tuple[EpochRecord, ...]


def choose_device(name: str = "auto") -> torch.device:
    """``"auto"`` takes CUDA when there is one; ``"cpu"`` and ``"cuda"`` are taken at their word.

    Raises:
        UserError: CUDA is asked for and not there, or the name is none of the three.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise UserError(f"a device is auto, cpu or cuda, got '{name}'")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("no CUDA device was found; use --device cpu, or install a torch build with CUDA")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def train(
    task: Task,
    dataset: Dataset,
    config: TrainConfig,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    device: str = "auto",
    teacher: npt.NDArray[np.float32] | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    observer: Observer | None = None,
) -> TrainResult:
    """Trains a network in place and leaves it with the weights of its best epoch on the validation set.

    The order of the batches depends on the seed and the epoch alone, so that a resumed run on the same machine ends with the same
    weights as an uninterrupted one. The test set is not looked at.

    Args:
        task: The network.
        dataset: Training and validation set.
        config: How to train.
        checkpoint: File that holds the state after each epoch; removed when training is complete.
        resume: Go on from the checkpoint; it must be of the same configuration and data set.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        teacher: Probabilities that a teacher gives the training rows, float32, shape ``(n, n_classes)``; they make up
            ``config.teacher_weight`` of what the network is to answer (Hinton et al., "Distilling the knowledge in a
            neural network", 2015, with temperature 1).
        on_epoch: Called after each epoch.
        observer: Measures lookup tables after each epoch and is offered the networks.

    Raises:
        UserError: The checkpoint is missing, damaged or foreign, the loss became NaN, or the device is missing.
    """
    if not isinstance(task, nn.Module):
        raise UserError(f"a network to train is a torch module with prepare, run and cost, got {type(task).__name__}")
    return _Run(task, dataset, config, checkpoint, choose_device(device), teacher, observer).go(resume, on_epoch)


@dataclass(frozen=True)
class _Data:
    x: Tensor
    y: Tensor


class _Run:
    """One training run."""

    def __init__(
        self,
        module: nn.Module,
        dataset: Dataset,
        config: TrainConfig,
        checkpoint: Path | None,
        device: torch.device,
        teacher: npt.NDArray[np.float32] | None,
        observer: Observer | None,
    ) -> None:
        self.module = module.to(device)
        self.observer = observer
        self.timing = CostSchedule(config)
        self.controller = CostController.of(config)
        self.task: Task = module  # type: ignore[assignment]
        self.config = config
        self.checkpoint = checkpoint
        self.device = device
        self.cost_device = device_named(config.cost_device)
        self.fit = self._prepared(learning_rows(dataset.train, self.task.head), exact=False)
        self.validation = self._prepared(dataset.validation, exact=True)
        if len(self.fit.y) < 2:
            raise UserError(f"training needs at least 2 rows, got {len(self.fit.y)}")
        self.targets = training_targets(
            self.task.head, self.fit.x, self.fit.y, teacher, config.teacher_weight, dataset.n_classes
        )
        self.augment = self._augmentation(dataset)
        self.optimizer = torch.optim.AdamW(
            _parameter_groups(module, config.weight_decay), lr=config.learning_rate, fused=True
        )
        self.averaged = self._average()
        self.identity = f"{config!r} on {dataset.name} with {len(self.fit.y)} rows: {_shapes(module)}"
        self.state = TrainState()

    def go(self, resume: bool, on_epoch: Callable[[EpochRecord], None] | None) -> TrainResult:
        if resume:
            self._restore()
        while self.state.epoch < self.config.epochs and not self._out_of_patience():
            record = self._epoch(self.state.epoch)
            if self.observer is not None and self.timing.may_keep(record.epoch):
                self.observer.keep(record, self.judged)
            self._keep(record)
            if on_epoch is not None:
                on_epoch(record)
        self.module.load_state_dict({name: value.to(self.device) for name, value in self.state.best_weights.items()})
        self.module.eval()
        if self.checkpoint is not None:
            self.checkpoint.unlink(missing_ok=True)
        return TrainResult(
            best_epoch=self.state.best_epoch,
            validation_accuracy=self.state.best_accuracy,
            n_epochs=self.state.epoch,
            stopped_early=self.state.epoch < self.config.epochs,
            history=tuple(map(_record, self.state.history)),
        )

    def _prepared(self, split: Split, *, exact: bool) -> _Data:
        """Rows as the first layer reads them: float32 for training, as in evaluation for exact results."""
        self.module.train(not exact)
        with torch.no_grad():
            x = self.task.prepare(torch.from_numpy(split.x).to(self.device))
        return _Data(x if exact else x.float(), torch.from_numpy(split.y).to(self.device))

    def _average(self) -> AveragedModel | None:
        decay = self.config.average_decay
        return AveragedModel(self.module, multi_avg_fn=get_ema_multi_avg_fn(decay)) if decay > 0 else None

    @property
    def judged(self) -> nn.Module:
        """The network that is validated and kept: the averaged one where there is one."""
        return self.module if self.averaged is None else self.averaged.module

    def _augmentation(self, dataset: Dataset) -> Callable[[Tensor, torch.Generator], Tensor]:
        if self.config.shift_pixels == 0:
            return lambda x, _: x
        with torch.no_grad():
            blank = torch.zeros((1, dataset.train.n_features), device=self.device)
            return RandomShift(dataset, self.config.shift_pixels, self.task.prepare(blank).float())

    def _epoch(self, epoch: int) -> EpochRecord:
        self.module.train()
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + epoch)
        order = torch.randperm(len(self.fit.y), generator=generator)
        batches = order.to(self.device).split(self.config.batch_size)
        batches = [rows for rows in batches if len(rows) > 1]
        rate = self.timing.learning_rate(epoch)
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        start = time.perf_counter()
        for step, rows in enumerate(batches):
            done = epoch + step / len(batches)
            self._set_rate(self.timing.learning_rate(done))
            self.task.schedule(self.timing.progress(done))
            total += self._step(rows, generator, done, 1 / len(batches)) * len(rows)
        loss = float(total) / sum(map(len, batches))
        seconds = time.perf_counter() - start
        if not math.isfinite(loss):
            raise UserError(
                f"the loss became {loss} in epoch {epoch}; lower train.learning_rate (it is {self.config.learning_rate})"
            )
        self._fit_norms(batches)
        judged: Task = self.judged  # type: ignore[assignment]
        with torch.no_grad():
            cost = float(judged.cost(self.cost_device))
        found = validate(judged, self.validation.x, self.validation.y)
        luts = self._measured(epoch, cost)
        return EpochRecord(
            epoch, loss, found, cost, self._cost_weight(epoch + 1), rate, len(self.fit.y) / seconds, luts
        )

    @torch.no_grad()
    def _fit_norms(self, batches: Sequence[Tensor]) -> None:
        """Gives averaged weights the batch statistics that they have themselves: those of the weights of the last step do not fit."""
        if self.averaged is None:
            return
        judged = self.judged.train()
        norms = [
            norm for norm in judged.modules() if isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.training
        ]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
        for rows in batches[:NORM_BATCHES] if norms else []:
            cast(Task, judged).run(self.fit.x[rows])
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum

    def _measured(self, epoch: int, cost: float) -> int | None:
        """Lookup tables of the judged network, where somebody wants to know: they take a netlist."""
        if self.observer is None:
            return None
        if self.controller is not None:
            if cost > FAR_FROM_TARGET * self.controller.target_luts:
                return None
            luts = self.observer.luts(self.judged)
            self.controller.measured(luts or 0, cost)
            return luts
        return self.observer.luts(self.judged) if self.timing.may_keep(epoch) else None

    def _cost_weight(self, epochs: float) -> float:
        return self.timing.cost_weight(epochs) if self.controller is None else self.controller.weight

    def _step(self, rows: Tensor, generator: torch.Generator, done: float, length: float) -> Tensor:
        """One step, ``done`` epochs into the training and ``length`` epochs long."""
        scores = self.task.run(self.augment(self.fit.x[rows], generator))
        loss = self.task.head.loss(scores, self.targets[rows]) + self.task.penalty()
        if self._cost_weight(done) > 0 or self.controller is not None:
            cost = self.task.cost(self.cost_device)
            if self.controller is not None:
                self.controller.update(float(cost.detach()), length)
            loss = loss + self._cost_weight(done) * cost
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.task.after_step()
        if self.averaged is not None:
            self.averaged.update_parameters(self.module)
        return loss.detach()

    def _set_rate(self, rate: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["lr_scale"]

    def _out_of_patience(self) -> bool:
        waited = self.state.epoch - 1 - max(self.state.best_epoch, self.timing.first_kept)
        return self.config.patience > 0 and self.state.epoch > 0 and waited >= self.config.patience

    def _keep(self, record: EpochRecord) -> None:
        state = self.state
        state.history.append([math.nan if v is None else float(v) for v in vars(record).values()])
        state.epoch = record.epoch + 1
        if self.timing.may_keep(record.epoch) and record.validation_accuracy > state.best_accuracy:
            state.best_accuracy, state.best_epoch = record.validation_accuracy, record.epoch
            state.best_weights = {
                name: value.detach().cpu().clone() for name, value in self.judged.state_dict().items()
            }
        if self.checkpoint is not None:
            state.weights = self.module.state_dict()
            state.averaged = {} if self.averaged is None else self.averaged.state_dict()
            state.optimizer = self.optimizer.state_dict()
            state.controller = [] if self.controller is None else self.controller.state()
            save_state(self.checkpoint, state, self.identity)

    def _restore(self) -> None:
        if self.checkpoint is None:
            raise UserError("there is nothing to resume without a checkpoint file; name one")
        self.state = load_state(self.checkpoint, self.identity)
        try:
            self.module.load_state_dict(self.state.weights)
            self.optimizer.load_state_dict(self.state.optimizer)
            if self.averaged is not None:
                self.averaged.load_state_dict(self.state.averaged)
            if self.controller is not None:
                self.controller.restore(self.state.controller)
        except (RuntimeError, ValueError, KeyError) as error:
            raise UserError(
                f"the checkpoint {self.checkpoint} is of another network: {str(error).splitlines()[0]}"
            ) from None


def _parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Weights decay; scales, batch norm and biases do not, nor what says ``no_decay``.

    Parameters with the same ``lr_scale`` and ``beta2`` go together.
    """
    groups: dict[tuple[float, float, float], list[nn.Parameter]] = {}
    for parameter in module.parameters():
        if parameter.requires_grad:
            decays = parameter.ndim >= 2 and not getattr(parameter, "no_decay", False)
            key = (
                weight_decay if decays else 0.0,
                float(getattr(parameter, "lr_scale", 1.0)),
                float(getattr(parameter, "beta2", 0.999)),
            )
            groups.setdefault(key, []).append(parameter)
    return [
        {"params": parameters, "weight_decay": decay, "lr_scale": scale, "betas": (0.9, beta2)}
        for (decay, scale, beta2), parameters in groups.items()
    ]


def _record(row: list[float]) -> EpochRecord:
    *numbers, luts = row
    return EpochRecord(int(numbers[0]), *numbers[1:], luts=None if math.isnan(luts) else int(luts))


def _shapes(module: nn.Module) -> str:
    return ", ".join(f"{name} {tuple(value.shape)}" for name, value in module.state_dict().items())
