"""Polishing: the entries of finished tables, chosen one table after the other by what they do to the loss.

Once a network is tables, what an entry does is known without a gradient. With all other tables held fixed, every training row reads one
entry of a table, and for each code that the entry could have, the loss of the row follows by evaluating the tables behind it.
The entries of one table are therefore chosen independently of each other and exactly: block coordinate descent on the loss of the
quantised network itself, in which no straight-through estimator has a part. In trees two tables and the one that alone reads them are
chosen together, see :mod:`lutnet.train.joint_tables`, and so may be the features that tables read.

Tables of one lookup table a bit cost the same whatever they hold; wider ones that were sums or had regular functions take more lookup
tables afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError
from lutnet.nn import LutLayer, LutNetwork
from lutnet.nn.heads import ClassHead
from lutnet.train.data import Dataset
from lutnet.train.polish_options import PolishOptions
from lutnet.train.table_choices import choose, choose_joint
from lutnet.train.table_state import TableState

__all__ = ["SweepRecord", "check_polish", "polish_tables"]

MAX_CODE_BITS = 10
"""Most bits of a code whose values are all tried."""


@dataclass(frozen=True)
class SweepRecord:
    """One pass over all tables.

    Attributes:
        sweep: Number, from 0; -1 for the network as it was.
        loss: Mean loss of the training rows after it.
        validation_accuracy: After it.
        n_changed: Entries that it changed.
    """

    sweep: int
    loss: float
    validation_accuracy: float
    n_changed: int


def polish_tables(
    network: LutNetwork,
    dataset: Dataset,
    options: PolishOptions,
    *,
    seed: int = 0,
    teacher: npt.NDArray[np.float32] | None = None,
    on_sweep: Callable[[SweepRecord], None] | None = None,
) -> tuple[SweepRecord, ...]:
    """Changes entries of a classifier's tables in place and settles its layers on the best of them by validation accuracy.

    Time grows with training rows, neurons, codes of a neuron, and neurons behind a neuron. It ends early where a sweep changes nothing.

    Args:
        network: A trained network whose layers are all tables.
        dataset: Its training rows are what the loss is counted on; of equally good tables the earliest are kept.
        options: How; front to back and back to front in turn.
        seed: Of the order of the neurons, and of joint choices.
        teacher: Probabilities that a teacher gives the training rows, shape ``(rows, n_classes)``, for ``options.teacher_weight``.
        on_sweep: Called after each pass, and before the first one.

    Returns:
        One record a pass, and one of the network as it was.

    Raises:
        UserError: The network cannot be polished, or there is no teacher for a weight above 0.
    """
    check_polish(network, options)
    state = TableState(network, dataset.train.x, _targets(dataset, options, teacher))
    validation = network.encoder().encode(dataset.validation.x).T

    def record(sweep: int, n_changed: int) -> SweepRecord:
        hits = state.decide(state.evaluate(validation)[-1]) == dataset.validation.y
        found = SweepRecord(sweep, state.loss() / state.n_rows, float(hits.mean()), n_changed)
        if on_sweep is not None:
            on_sweep(found)
        return found

    records = [record(-1, 0)]
    best, kept = records[0], state.copy()
    rng = np.random.default_rng(seed)
    for sweep in range(options.sweeps):
        n_changed = 0
        order = range(state.depth)[:: 1 if sweep % 2 == 0 else -1]
        for step in (choose_joint, choose) if options.restarts else (choose,):
            for layer in order:
                for neuron in rng.permutation(len(state.tables[layer])).tolist():
                    n_changed += step(state, layer, neuron, options, rng)
        records.append(record(sweep, n_changed))
        if records[-1].validation_accuracy > best.validation_accuracy:
            best, kept = records[-1], state.copy()
        if not n_changed:
            break
    if best.sweep >= 0:
        for layer_of, (tables, wiring) in zip(state.layers, kept, strict=True):
            layer_of.settle(tables, wiring)
    return tuple(records)


def check_polish(network: LutNetwork, options: PolishOptions) -> None:
    """Refuse a network that cannot be polished; it need not be trained.

    Raises:
        UserError: It is no classifier, a layer is no table, a code has too many values to try them all, or two codes of a layer's
            inputs have the same value, or features are to be chosen for operands of learned widths.
    """
    leave = "leave train.polish out"
    if not isinstance(network.head, ClassHead):
        raise UserError(f"polishing is for classifiers, the network has the head '{network.head.kind}'; {leave}")
    for number, layer in enumerate(network.layers):
        if not isinstance(layer, LutLayer):
            raise UserError(
                f"polishing is for layers that are one table a neuron, layer {number} is a {type(layer).__name__}; {leave}"
            )
        if layer.quantizer.bits > MAX_CODE_BITS:
            raise UserError(
                f"polishing tries all codes of a neuron, those of layer {number} have {layer.quantizer.bits} bits, more than "
                f"{MAX_CODE_BITS}; {leave}, or lower the bits"
            )
        layer.check_settles()
    if options.features and cast("LutLayer", network.layers[0]).widths is not None:
        raise UserError(
            "train.polish.features needs operands that are read whole, but those of layer 0 have learned widths; leave features out, or "
            "set model.widths.granularity to none"
        )


def _targets(
    dataset: Dataset, options: PolishOptions, teacher: npt.NDArray[np.float32] | None
) -> npt.NDArray[np.float32]:
    """What the network is to answer, shape ``(rows, n_classes)``."""
    labels: npt.NDArray[np.float32] = np.eye(dataset.n_classes, dtype=np.float32)[dataset.train.y]
    weight = np.float32(options.teacher_weight)
    if weight == 0:
        return labels
    if teacher is None or teacher.shape != labels.shape:
        got = "none" if teacher is None else f"shape {teacher.shape}"
        raise UserError(
            f"train.polish.teacher_weight needs a teacher's probabilities of shape {labels.shape}, got {got}"
        )
    sharp = (teacher / teacher.max(axis=1, keepdims=True)) ** options.teacher_power
    mixed: npt.NDArray[np.float32] = (1 - weight) * labels + weight * sharp / sharp.sum(axis=1, keepdims=True)
    return mixed
