"""Polishing: the entries of finished tables, chosen one table after the other by what they do to the loss.

Once a network is tables, what an entry does is known without a gradient. With all other tables held fixed, every training row reads one
entry of a table, and for each code that the entry could have, the loss of the row follows by evaluating the tables behind it.
The entries of one table are therefore chosen independently of each other and exactly: block coordinate descent on the loss of the
quantised network itself, in which no straight-through estimator has a part. Tables of one lookup table a bit cost the same whatever
they hold; wider ones that were sums or had regular functions take more lookup tables afterwards.

An entry is changed only for a gain that noise in the training rows does not explain; see ``TrainConfig.polish_gain``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch

from lutnet.errors import UserError
from lutnet.formats import Format
from lutnet.nn import LutLayer, LutNetwork
from lutnet.nn.heads import ClassHead
from lutnet.train.data import Dataset, Split

__all__ = ["SweepRecord", "check_polish", "polish_tables"]

ROWS = 1 << 14
"""Rows that are evaluated at once, few enough for the caches."""

MAX_CODE_BITS = 10
"""Most bits of a code whose values are all tried."""

Codes = npt.NDArray[np.unsignedinteger]


@dataclass(frozen=True)
class SweepRecord:
    """One pass over all tables.

    Attributes:
        sweep: Number, from 0; -1 for the network as it was.
        loss: Cross entropy of the training rows after it.
        validation_accuracy: After it.
        n_changed: Entries that it changed.
    """

    sweep: int
    loss: float
    validation_accuracy: float
    n_changed: int


@dataclass(frozen=True)
class _Reader:
    """A neuron that a changed code reaches, and the operands by which it does."""

    neuron: int
    operands: tuple[int, ...]


def polish_tables(
    network: LutNetwork,
    dataset: Dataset,
    *,
    sweeps: int,
    least_gain: float,
    seed: int = 0,
    on_sweep: Callable[[SweepRecord], None] | None = None,
) -> tuple[SweepRecord, ...]:
    """Changes entries of a classifier's tables in place and settles its layers on the best of them by validation accuracy.

    Time grows with training rows, neurons, codes of a neuron, and neurons behind a neuron.

    Args:
        network: A trained network whose layers are all tables.
        dataset: Its training rows are what the loss is counted on; of equally good tables the earliest are kept.
        sweeps: Passes over all tables, front to back and back to front in turn; fewer where one changes nothing.
        least_gain: Least fall of the summed loss, in nats, for which an entry is changed.
        seed: Of the order of the neurons.
        on_sweep: Called after each pass, and before the first one.

    Returns:
        One record a pass, and one of the network as it was.

    Raises:
        UserError: A layer is no table, or a code has too many values to try them all.
    """
    check_polish(network)
    state = _State(network, dataset.train)
    validation = network.encoder().encode(dataset.validation.x).T

    def record(sweep: int, n_changed: int) -> SweepRecord:
        hits = state.decide(state.evaluate(validation)[-1]) == dataset.validation.y
        return SweepRecord(sweep, state.loss(), float(hits.mean()), n_changed)

    records = [record(-1, 0)]
    best, kept = records[0], state.copy_tables()
    rng = np.random.default_rng(seed)
    if on_sweep is not None:
        on_sweep(best)
    for sweep in range(sweeps):
        order = range(state.depth)[:: 1 if sweep % 2 == 0 else -1]
        pairs = [(layer, int(n)) for layer in order for n in rng.permutation(len(state.tables[layer]))]
        n_changed = sum(state.improve(layer, neuron, least_gain) for layer, neuron in pairs)
        records.append(record(sweep, n_changed))
        if on_sweep is not None:
            on_sweep(records[-1])
        if records[-1].validation_accuracy > best.validation_accuracy:
            best, kept = records[-1], state.copy_tables()
        if not n_changed:
            break
    if best.sweep >= 0:
        for layer, tables in zip(state.layers, kept, strict=True):
            layer.settle(tables)
    return tuple(records)


def check_polish(network: LutNetwork) -> None:
    """Refuse a network that cannot be polished; it need not be trained.

    Raises:
        UserError: It is no classifier, a layer is no table, a code has too many values to try them all, or two codes of a layer's
            inputs have the same value.
    """
    leave = "leave train.polish_sweeps out"
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


class _State:
    """A network as arrays, and the codes of all its neurons on the training rows.

    Attributes:
        layers: The layers, whose tables these were.
        tables: By layer and neuron, the code at each address.
        codes: By layer, the inputs first: codes of shape ``(columns, rows)``.
    """

    def __init__(self, network: LutNetwork, rows: Split) -> None:
        self.layers = layers = cast("list[LutLayer]", list(network.layers))
        self.n_codes = [1 << layer.quantizer.bits for layer in layers]
        self.widths = [layer.operand_bits() for layer in layers]
        self.wiring = [layer.wiring.cpu().numpy() for layer in layers]
        self.drops = [
            layer.source.feature_bits(layer.in_features)[wiring] - widths
            for layer, wiring, widths in zip(layers, self.wiring, self.widths, strict=True)
        ]
        self.shifts = [np.cumsum(widths, axis=1) - widths for widths in self.widths]
        self.tables: list[list[Codes]] = [[table.codes.copy() for table in layer.tables()] for layer in layers]
        self.readers = [_readers(layer.in_features, wiring) for layer, wiring in zip(layers, self.wiring, strict=True)]
        values = layers[-1].quantizer.value_table()[0].numpy()
        self.values = (values - values.max()).astype(np.float32)
        self.exp = np.exp(self.values)
        fmt = network.score_format()
        self.order = fmt.integers() if isinstance(fmt, Format) else np.arange(len(self.values))
        self.labels = rows.y
        self.codes = self.evaluate(network.encoder().encode(rows.x).T)
        self.chunks = [slice(i, i + ROWS) for i in range(0, len(rows.y), ROWS)]
        self.total = self.exp[self.codes[-1]].sum(axis=0)

    @property
    def depth(self) -> int:
        """Number of layers."""
        return len(self.tables)

    def evaluate(self, inputs: npt.NDArray[np.int64]) -> list[Codes]:
        """Codes of all columns for input codes of shape ``(features, rows)``, layer by layer, the inputs first."""
        found: list[Codes] = [np.ascontiguousarray(inputs.astype(np.uint16))]
        for layer, tables in enumerate(self.tables):
            found.append(np.stack([t[self._address(layer, n, found[-1])] for n, t in enumerate(tables)]))
        return found

    def decide(self, scores: Codes) -> npt.NDArray[np.int64]:
        """Classes of score codes of shape ``(classes, rows)``."""
        found: npt.NDArray[np.int64] = self.order[scores].argmax(axis=0)
        return found

    def loss(self) -> float:
        """Mean cross entropy of the training rows."""
        of_label = np.take_along_axis(self.codes[-1], self.labels[None], axis=0)[0]
        return float((np.log(self.total) - self.values[of_label]).mean(dtype=np.float64))

    def copy_tables(self) -> list[list[Codes]]:
        """The tables as they are now."""
        return [[table.copy() for table in tables] for tables in self.tables]

    def improve(self, layer: int, neuron: int, least_gain: float) -> int:
        """Gives every entry of a table the code of least loss where that gains enough; the number of changes."""
        table = self.tables[layer][neuron]
        address = self._address(layer, neuron, self.codes[layer])
        cone = list(self._cone(layer, neuron))
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            parts = pool.map(lambda rows: self._losses(layer, neuron, cone, address[rows], rows), self.chunks)
            losses = sum(parts, np.zeros((len(table), self.n_codes[layer])))
        every = np.arange(len(table))
        best = losses.argmin(axis=1)
        gain = losses[every, table] - losses[every, best]
        changed = gain > least_gain
        if not changed.any():
            return 0
        self.tables[layer][neuron] = table = np.where(changed, best, table).astype(table.dtype)
        self.codes[layer + 1][neuron] = table[address]
        for above, readers in enumerate(cone, start=layer + 1):
            for reader in readers:
                at = self._address(above, reader.neuron, self.codes[above])
                self.codes[above + 1][reader.neuron] = self.tables[above][reader.neuron][at]
        self.total = self.exp[self.codes[-1]].sum(axis=0)
        return int(changed.sum())

    def _losses(
        self, layer: int, neuron: int, cone: Sequence[Sequence[_Reader]], address: npt.NDArray[np.int64], rows: slice
    ) -> npt.NDArray[np.float64]:
        """Loss of some rows by entry that they read and by code that the entry could have, ``(entries, codes)``."""
        n_codes, n_entries = self.n_codes[layer], len(self.tables[layer][neuron])
        changed: dict[int, Codes] = {neuron: np.arange(n_codes, dtype=np.uint16)[:, None]}
        for above, readers in enumerate(cone, start=layer + 1):
            changed = {
                reader.neuron: self.tables[above][reader.neuron][self._addresses(above, reader, changed, rows)]
                for reader in readers
            }
        total = np.broadcast_to(self.total[rows], (n_codes, len(address))).copy()
        gained = np.zeros_like(total)
        for column, codes in changed.items():
            total += self.exp[codes] - self.exp[self.codes[-1][column, rows]]
            gained += np.where(self.labels[rows] == column, self.values[codes], np.float32(0))
        # what is taken away was once added, up to rounding
        losses = np.log(np.maximum(total, np.float32(1e-30))) - gained
        return np.stack([np.bincount(address, weights=row, minlength=n_entries) for row in losses], axis=1)

    def _addresses(self, layer: int, reader: _Reader, changed: dict[int, Codes], rows: slice) -> npt.NDArray[np.int64]:
        """Addresses of a reader for each code that a neuron before it could have, shape ``(codes, rows)``."""
        fixed = np.zeros(rows.indices(len(self.labels))[1] - rows.start, dtype=np.int64)
        moved = np.zeros((1, 1), dtype=np.int64)
        for operand, column in enumerate(self.wiring[layer][reader.neuron]):
            drop, shift = self.drops[layer][reader.neuron, operand], self.shifts[layer][reader.neuron, operand]
            if operand in reader.operands:
                moved = moved + ((changed[column].astype(np.int64) >> drop) << shift)
            else:
                fixed += (self.codes[layer][column, rows].astype(np.int64) >> drop) << shift
        return fixed + moved

    def _address(self, layer: int, neuron: int, codes: Codes) -> npt.NDArray[np.int64]:
        """Address of a neuron in each row."""
        found = np.zeros(codes.shape[1], dtype=np.int64)
        for operand, column in enumerate(self.wiring[layer][neuron]):
            code = codes[column].astype(np.int64) >> self.drops[layer][neuron, operand]
            found += code << self.shifts[layer][neuron, operand]
        return found

    def _cone(self, layer: int, neuron: int) -> Iterator[tuple[_Reader, ...]]:
        """The neurons behind a neuron, layer by layer."""
        reached = {neuron}
        for above in range(layer + 1, self.depth):
            operands: dict[int, list[int]] = {}
            for column in sorted(reached):
                for reader, operand in self.readers[above][column]:
                    operands.setdefault(reader, []).append(operand)
            yield tuple(_Reader(reader, tuple(found)) for reader, found in sorted(operands.items()))
            reached = set(operands)


def _readers(n_columns: int, wiring: npt.NDArray[np.int64]) -> list[list[tuple[int, int]]]:
    """For each column the neurons that read it, and as which operand."""
    found: list[list[tuple[int, int]]] = [[] for _ in range(n_columns)]
    for neuron, columns in enumerate(wiring.tolist()):
        for operand, column in enumerate(columns):
            found[column].append((neuron, operand))
    return found
