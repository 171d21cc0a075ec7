"""Step one: a configuration and data become a trained model in the folder of a run."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import lutnet
from lutnet.cost import argmax_luts, device_named
from lutnet.errors import UserError
from lutnet.files import write_text
from lutnet.flow.fronts import FrontKeeper, NetlistMeter
from lutnet.flow.models import save_trees
from lutnet.nn import ClassHead, LutNetwork
from lutnet.nn.reference import DenseReference
from lutnet.runs import RunFolder
from lutnet.train.build import build_network
from lutnet.train.chain import has_wirings
from lutnet.train.checkpoint import SavedModel, save_model
from lutnet.train.config import RunConfig, TrainConfig
from lutnet.train.data import Dataset
from lutnet.train.heads import dataset_for
from lutnet.train.loop import EpochRecord, TrainResult, train
from lutnet.train.polish import SweepRecord, check_polish, polish_tables
from lutnet.train.polish_options import PolishOptions
from lutnet.train.refine import refined_network
from lutnet.train.wiring_learning import learned_wirings, learns_wirings
from lutnet.train.wirings import wirings_of, write_wirings
from lutnet.trees import fit_codes, train_trees

__all__ = ["in_turn", "train_run"]

REFERENCE_EPOCHS = 20
"""Most epochs of a dense float network, reference or teacher."""

REFERENCE_LEARNING_RATE = 5e-3
"""Highest learning rate of dense float networks: tables bear higher ones than weights do."""

TEACHER_ROWS = 1 << 16
"""Rows that a teacher judges at once."""

OnEpoch = Callable[[str, EpochRecord], None]


def train_run(
    folder: str | Path,
    config: RunConfig,
    dataset: Dataset,
    *,
    resume: bool = False,
    device: str = "auto",
    reference: bool = True,
    start: SavedModel | None = None,
    on_start: Callable[[LutNetwork], None] | None = None,
    on_epoch: Callable[[str, EpochRecord], None] | None = None,
    on_round: Callable[[int, int], None] | None = None,
) -> TrainResult:
    """Trains the network or the trees of a configuration and saves them as the run's model.

    Args:
        folder: Folder of the run; made when missing.
        config: Network and training.
        dataset: Training and validation rows; the test rows are not looked at.
        resume: Go on from the folder's checkpoint.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        reference: Also train the dense float network of the same layer sizes, the yardstick of the report.
        start: A finished network of the same configuration to go on from; see
            :func:`lutnet.train.refine.refined_network`.
        on_start: Called with the network before it is trained.
        on_epoch: Called with ``"wiring"``, ``"teacher"``, ``"network"``, ``"polishing"`` or ``"reference"`` and the record after each
            epoch, and after each sweep of polishing.
        on_round: Called after each round of boosting with the rounds done and the rounds in all.

    Raises:
        UserError: Configuration, data, checkpoint or folder cannot be used.
    """
    run = RunFolder(Path(folder))
    if config.model.family == "trees":
        _check_trees(config, dataset)
        if resume or start is not None:
            raise UserError("boosting trees begins anew each time; leave --resume and --from out")
        return _train_trees(run, config, dataset, on_round)
    config = in_turn(config)
    begun = time.perf_counter()
    network = (
        _new_network(config, dataset, device, on_epoch, resume=resume)
        if start is None
        else refined_network(start, config.model, dataset)
    )
    if config.train.polish.sweeps:
        check_polish(network, config.train.polish)
    if on_start is not None:
        on_start(network)
    told = (lambda record: on_epoch("network", record)) if on_epoch is not None else None
    observer = _observer(run, config, network, dataset, resume=resume)
    taught = config.train.teacher_weight > 0 or config.train.polish.teacher_weight > 0
    teacher = _teach(config, dataset, network, device, on_epoch) if taught else None
    result = train(
        network,
        dataset,
        config.train,
        checkpoint=run.checkpoint,
        resume=resume,
        device=device,
        teacher=teacher if config.train.teacher_weight > 0 else None,
        on_epoch=told,
        observer=observer,
    )
    network.cpu()
    if config.train.polish.sweeps:
        result = replace(result, validation_accuracy=_polish(network, dataset, config, teacher, on_epoch))
    seconds = time.perf_counter() - begun
    dense = _train_reference(config, dataset, network, device, on_epoch) if reference else None
    info = _origin(dataset) | {
        "best_epoch": result.best_epoch,
        "n_epochs": result.n_epochs,
        "validation_accuracy": result.validation_accuracy,
        "training_s": round(seconds, 1),
    }
    save_model(run.model, network, config, reference=dense, info=info)
    if has_wirings(config.model):
        write_wirings(run.wiring, wirings_of(network))
    write_text(run.log, _history_csv(result.history))
    run.drop_results("compile", "simulate", "prove", "synth")
    return result


def _polish(
    network: LutNetwork,
    dataset: Dataset,
    config: RunConfig,
    teacher: npt.NDArray[np.float32] | None,
    on_epoch: OnEpoch | None,
) -> float:
    """Polishes a network's tables; its validation accuracy then."""
    settings, last = config.train, time.perf_counter()
    cost = float(network.cost(device_named(settings.cost_device)).detach())

    def told(record: SweepRecord) -> None:
        nonlocal last
        now = time.perf_counter()
        speed, last = len(dataset.train.y) / (now - last), now
        if on_epoch is not None and record.sweep >= 0:
            found = EpochRecord(
                record.sweep, record.loss, record.validation_accuracy, cost, 0.0, 0.0, samples_per_s=speed
            )
            on_epoch("polishing", found)

    records = polish_tables(network, dataset, settings.polish, seed=settings.seed, teacher=teacher, on_sweep=told)
    return max(record.validation_accuracy for record in records)


def in_turn(config: RunConfig) -> RunConfig:
    """The same with a cosine period for each member of an ensemble that is trained in turn, unless it has some period already.

    Raises:
        UserError: The epochs cannot be shared out equally, or the training has cycles of its own.
    """
    settings, ensemble = config.train, config.model.ensemble
    if ensemble.train != "in-turn" or ensemble.members == 1:
        return config
    if settings.epochs % ensemble.members or settings.cost_cycles > 1:
        raise UserError(
            f"model.ensemble.train = 'in-turn' shares the epochs out equally among {ensemble.members} members in one cycle, got "
            f"{settings.epochs} epochs and {settings.cost_cycles} cycles; change train.epochs or train.cost_cycles"
        )
    return config.with_train(restart_epochs=settings.restart_epochs or settings.epochs // ensemble.members)


def _new_network(
    config: RunConfig, dataset: Dataset, device: str, on_epoch: OnEpoch | None, *, resume: bool
) -> LutNetwork:
    """A network with fresh weights and the wirings that it is to have; a resumed run finds the learned ones in its checkpoint."""
    if not learns_wirings(config.model) or resume:
        return build_network(config.model, dataset)
    told = (lambda record: on_epoch("wiring", record)) if on_epoch is not None else None
    shift = config.train.shift_pixels
    found = learned_wirings(config.model, dataset, device=device, shift_pixels=shift, on_epoch=told)
    return build_network(config.model, dataset, wirings=found)


def _train_trees(
    run: RunFolder, config: RunConfig, dataset: Dataset, on_round: Callable[[int, int], None] | None
) -> TrainResult:
    """Boosts trees; a result without epochs, as boosting keeps every round."""
    model = config.model
    begun = time.perf_counter()
    encoder = fit_codes(
        dataset.train.x,
        model.input_bitwidth,
        dataset.feature_names,
        low_quantile=model.input_low,
        high_quantile=model.input_high,
    )
    found = train_trees(
        dataset.train.x,
        dataset.train.y,
        encoder,
        dataset.class_names,
        model.trees,
        seed=model.seed,
        n_threads=torch.get_num_threads(),
        on_round=on_round,
    )
    seconds = time.perf_counter() - begun
    valid = float((found.quantized.predict(dataset.validation.x) == dataset.validation.y).mean())
    info = _origin(dataset) | {
        "n_epochs": model.trees.n_rounds,
        "validation_accuracy": valid,
        "training_s": round(seconds, 1),
    }
    save_trees(run.model, found, config, info)
    run.drop_results("compile", "simulate", "prove", "synth")
    return TrainResult(model.trees.n_rounds - 1, valid, model.trees.n_rounds, False, ())


def _check_trees(config: RunConfig, dataset: Dataset) -> None:
    """Refuses heads that trees do not have."""
    if config.model.head.kind != "class":
        raise UserError(
            f"trees decide between classes, got model.head.kind = '{config.model.head.kind}'; choose another family"
        )
    dataset.require_classes("the family 'trees'")


def _observer(
    run: RunFolder, config: RunConfig, network: LutNetwork, dataset: Dataset, *, resume: bool
) -> NetlistMeter | None:
    """Who measures lookup tables while the network is trained, if the configuration asks for it."""
    settings = config.train
    if settings.target_luts:
        _check_target(settings, network)
    if settings.front:
        return FrontKeeper(run, config, _origin(dataset), resume=resume)
    return NetlistMeter(config) if settings.target_luts else None


def _check_target(settings: TrainConfig, network: LutNetwork) -> None:
    """Refuses a number of lookup tables that no training can reach."""
    device = device_named(settings.cost_device)
    least = argmax_luts(network.n_classes, 1, device) if isinstance(network.head, ClassHead) else 0
    if settings.target_luts < least:
        raise UserError(
            f"train.target_luts is {settings.target_luts}, but the argmax of {network.n_classes} one-bit scores alone takes "
            f"{least} lookup tables; raise the target"
        )
    if not network.cost(device).requires_grad:
        raise UserError(
            f"train.target_luts is {settings.target_luts}, but the network has nothing that training could narrow and takes "
            f"{network.lut_cost(device).n_luts} lookup tables; leave the target out, or choose sizes that reach it"
        )


def _origin(dataset: Dataset) -> dict[str, Any]:
    return {
        "lutnet": lutnet.__version__,
        "torch": str(torch.__version__),
        "dataset": dataset.name,
        "dataset_source": dataset.source,
    }


def _train_reference(
    config: RunConfig, dataset: Dataset, network: LutNetwork, device: str, on_epoch: OnEpoch | None
) -> DenseReference:
    return _train_dense("reference", config.model.hidden_layers, config, dataset, network, device, on_epoch)


def _teach(
    config: RunConfig, dataset: Dataset, network: LutNetwork, device: str, on_epoch: OnEpoch | None
) -> npt.NDArray[np.float32]:
    """Probabilities that a dense float teacher gives the training rows, float32, shape ``(n, n_classes)``."""
    if not isinstance(network.head, ClassHead):
        raise UserError(
            f"a teacher teaches classes, the head '{network.head.kind}' has none; set train.teacher_weight = 0"
        )
    dense = _train_dense("teacher", config.train.teacher_layers, config, dataset, network, device, on_epoch)
    with torch.no_grad():
        parts = [torch.softmax(dense(x), dim=1) for x in torch.from_numpy(dataset.train.x).split(TEACHER_ROWS)]
    found: npt.NDArray[np.float32] = torch.cat(parts).float().numpy()
    return found


def _train_dense(
    kind: str,
    layers: Sequence[int],
    config: RunConfig,
    dataset: Dataset,
    network: LutNetwork,
    device: str,
    on_epoch: OnEpoch | None,
) -> DenseReference:
    """A dense network with the head of another."""
    n_outputs = network.layers[-1].out_features
    x = dataset_for(network.head, dataset).train.x
    dense = DenseReference(x, layers, n_outputs, config.model.seed, network.head)
    told = (lambda record: on_epoch(kind, record)) if on_epoch is not None else None
    settings = replace(
        config.train,
        epochs=min(config.train.epochs, REFERENCE_EPOCHS),
        learning_rate=min(config.train.learning_rate, REFERENCE_LEARNING_RATE),
        restart_epochs=0,
        cost_weight=0.0,
        cost_weight_end=0.0,
        cost_cycles=1,
        target_luts=0,
        front=False,
        keep_after=0.0,
        teacher_weight=0.0,
        polish=PolishOptions(),
    )
    train(dense, dataset, settings, device=device, on_epoch=told)
    return dense.cpu()


def _history_csv(history: tuple[EpochRecord, ...]) -> str:
    text = io.StringIO()
    if history:
        writer = csv.DictWriter(text, list(asdict(history[0])), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(record) for record in history)
    return text.getvalue()
