"""A network of tables as arrays: what its training rows read, and what another code at a neuron would do to their loss."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch

from lutnet.formats import Format
from lutnet.nn import LutLayer, LutNetwork

__all__ = ["Codes", "Places", "TableState"]

ROWS = 1 << 14
"""Rows that are evaluated at once, few enough for the caches."""

Codes = npt.NDArray[np.unsignedinteger]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Reader:
    """A neuron that a changed code reaches, and the operands by which it does."""

    neuron: int
    operands: tuple[int, ...]


@dataclass(frozen=True)
class Places:
    """One of several places for each row, such as its address in a table.

    Attributes:
        of_rows: Place of each row, shape ``(rows,)``.
        count: How many places there are.
    """

    of_rows: Integers
    count: int


class TableState:
    """Tables of all layers, which may be changed, and the codes of all neurons on some rows.

    Attributes:
        layers: The layers, whose tables these were.
        tables: By layer and neuron, the code at each address.
        wiring: By layer, the columns that the neurons read.
        n_codes: By layer, codes that a neuron may have.
        codes: By layer, the inputs first: codes of shape ``(columns, rows)``.
        readers: By layer and column, the neurons that read it and as which operand.
    """

    def __init__(self, network: LutNetwork, x: npt.NDArray[np.float32], targets: npt.NDArray[np.float32]) -> None:
        """Tabulate and evaluate.

        Args:
            network: A classifier whose layers are all tables.
            x: Raw features, shape ``(rows, n_features)``.
            targets: What the network is to answer, probabilities of shape ``(rows, n_classes)``; the loss is the cross entropy.
        """
        self.layers = layers = cast("list[LutLayer]", list(network.layers))
        self.n_codes = [1 << layer.quantizer.bits for layer in layers]
        self.wiring = [layer.wiring.cpu().numpy().copy() for layer in layers]
        self.tables: list[list[Codes]] = [[table.codes.copy() for table in layer.tables()] for layer in layers]
        self.readers = [_readers(layer.in_features, wiring) for layer, wiring in zip(layers, self.wiring, strict=True)]
        reads = [layer.operand_bits() for layer in layers]
        self._drops = [
            layer.source.feature_bits(layer.in_features)[wiring] - widths
            for layer, wiring, widths in zip(layers, self.wiring, reads, strict=True)
        ]
        self._feature_bits = layers[0].source.feature_bits(layers[0].in_features)
        self._shifts = [np.cumsum(widths, axis=1) - widths for widths in reads]
        values = layers[-1].quantizer.value_table()[0].numpy()
        # the loss is the same for scores that are all lower by one number, and their exponentials do not overflow
        self._values = (values - values.max()).astype(np.float32)
        self._exp = np.exp(self._values)
        fmt = network.score_format()
        self._order = fmt.integers() if isinstance(fmt, Format) else np.arange(len(values))
        self._targets = np.ascontiguousarray(targets.T)
        self.codes = self.evaluate(network.encoder().encode(x).T)
        self._chunks = [slice(i, min(i + ROWS, len(x))) for i in range(0, len(x), ROWS)]
        self._total = self._exp[self.codes[-1]].sum(axis=0)

    @property
    def depth(self) -> int:
        """Number of layers."""
        return len(self.tables)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self._targets.shape[1])

    def evaluate(self, inputs: Integers) -> list[Codes]:
        """Codes of all columns for input codes of shape ``(features, rows)``, layer by layer, the inputs first."""
        found: list[Codes] = [np.ascontiguousarray(inputs.astype(np.uint16))]
        for layer, tables in enumerate(self.tables):
            found.append(np.stack([t[self._address_of(layer, n, found[-1])] for n, t in enumerate(tables)]))
        return found

    def decide(self, scores: Codes) -> Integers:
        """Classes of score codes of shape ``(classes, rows)``."""
        found: Integers = self._order[scores].argmax(axis=0)
        return found

    def loss(self) -> float:
        """Summed cross entropy of the rows."""
        answered = (self._targets * self._values[self.codes[-1]]).sum(axis=0)
        return float((np.log(self._total) * self._targets.sum(axis=0) - answered).sum(dtype=np.float64))

    def copy(self) -> list[tuple[list[Codes], Integers]]:
        """Tables and wiring of each layer as they are now."""
        pairs = zip(self.tables, self.wiring, strict=True)
        return [([table.copy() for table in tables], wiring.copy()) for tables, wiring in pairs]

    def places(self, layer: int, neuron: int, columns: Sequence[int] | None = None) -> Places:
        """Address of a neuron in each row, as it would be if it read other columns of as many bits."""
        return Places(self._address_of(layer, neuron, self.codes[layer], columns), self.tables[layer][neuron].shape[0])

    def features_like(self, feature: int, taken: Collection[int]) -> list[int]:
        """Features of as many bits that are not taken."""
        alike = np.flatnonzero(self._feature_bits == self._feature_bits[feature]).tolist()
        return [other for other in alike if other not in taken]

    def losses(self, layer: int, neuron: int, places: Sequence[Places]) -> list[Floats]:
        """Summed loss of the rows by their places and by the code that the neuron would have there.

        Args:
            layer: Number of the layer.
            neuron: Number of the neuron.
            places: The rows' places, in one way or several.

        Returns:
            For each of these, shape ``(places, codes)``.
        """
        cone = self._cone(layer, [neuron])

        def part(rows: slice) -> list[Floats]:
            by_code = self._row_losses(layer, neuron, cone, rows)
            return [
                np.stack([np.bincount(p.of_rows[rows], weights=row, minlength=p.count) for row in by_code], axis=1)
                for p in places
            ]

        totals = [np.zeros((p.count, self.n_codes[layer])) for p in places]
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            for found in pool.map(part, self._chunks):
                for total, more in zip(totals, found, strict=True):
                    total += more
        return totals

    def change(self, layer: int, tables: dict[int, Codes], columns: Mapping[int, Sequence[int]] | None = None) -> None:
        """Gives some neurons of a layer other tables, and other columns of as many bits to read."""
        for neuron, read in (columns or {}).items():
            self.wiring[layer][neuron] = read
        if columns:
            self.readers[layer] = _readers(len(self.readers[layer]), self.wiring[layer])
        for neuron, table in tables.items():
            self.tables[layer][neuron] = table
            self.codes[layer + 1][neuron] = table[self.places(layer, neuron).of_rows]
        for above, readers in enumerate(self._cone(layer, tables), start=layer + 1):
            for reader in readers:
                table = self.tables[above][reader.neuron]
                self.codes[above + 1][reader.neuron] = table[self.places(above, reader.neuron).of_rows]
        self._total = self._exp[self.codes[-1]].sum(axis=0)

    def _row_losses(
        self, layer: int, neuron: int, cone: Sequence[Sequence[_Reader]], rows: slice
    ) -> npt.NDArray[np.float32]:
        """Loss of some rows by the code that a neuron would have, up to a constant a row; shape ``(codes, rows)``."""
        changed: dict[int, Codes] = {neuron: np.arange(self.n_codes[layer], dtype=np.uint16)[:, None]}
        for above, readers in enumerate(cone, start=layer + 1):
            changed = {
                reader.neuron: self.tables[above][reader.neuron][self._addresses(above, reader, changed, rows)]
                for reader in readers
            }
        targets = self._targets[:, rows]
        total = np.repeat(self._total[None, rows], self.n_codes[layer], axis=0)
        answered = np.zeros_like(total)
        for column, codes in changed.items():
            total += self._exp[codes] - self._exp[self.codes[-1][column, rows]]
            answered += targets[column] * self._values[codes]
        # what is taken away was once added, up to rounding
        return cast("npt.NDArray[np.float32]", np.log(np.maximum(total, np.float32(1e-30))) - answered)

    def _addresses(self, layer: int, reader: _Reader, changed: dict[int, Codes], rows: slice) -> Integers:
        """Addresses of a reader for each code that a neuron before it could have, shape ``(codes, rows)``."""
        fixed = np.zeros(rows.stop - rows.start, dtype=np.int64)
        moved = np.zeros((1, 1), dtype=np.int64)
        for operand, column in enumerate(self.wiring[layer][reader.neuron]):
            drop, shift = self._drops[layer][reader.neuron, operand], self._shifts[layer][reader.neuron, operand]
            if operand in reader.operands:
                moved = moved + ((changed[column].astype(np.int64) >> drop) << shift)
            else:
                fixed += (self.codes[layer][column, rows].astype(np.int64) >> drop) << shift
        return fixed + moved

    def _address_of(self, layer: int, neuron: int, codes: Codes, columns: Sequence[int] | None = None) -> Integers:
        found = np.zeros(codes.shape[1], dtype=np.int64)
        for operand, column in enumerate(self.wiring[layer][neuron] if columns is None else columns):
            code = codes[column].astype(np.int64) >> self._drops[layer][neuron, operand]
            found += code << self._shifts[layer][neuron, operand]
        return found

    def _cone(self, layer: int, neurons: Iterable[int]) -> list[tuple[_Reader, ...]]:
        """The neurons behind some neurons, layer by layer."""
        found, reached = [], set(neurons)
        for above in range(layer + 1, self.depth):
            found.append(self._readers_of(above, reached))
            reached = {reader.neuron for reader in found[-1]}
        return found

    def _readers_of(self, layer: int, columns: Collection[int]) -> tuple[_Reader, ...]:
        operands: dict[int, list[int]] = {}
        for column in sorted(columns):
            for reader, operand in self.readers[layer][column]:
                operands.setdefault(reader, []).append(operand)
        return tuple(_Reader(reader, tuple(found)) for reader, found in sorted(operands.items()))


def _readers(n_columns: int, wiring: Integers) -> list[list[tuple[int, int]]]:
    found: list[list[tuple[int, int]]] = [[] for _ in range(n_columns)]
    for neuron, columns in enumerate(wiring.tolist()):
        for operand, column in enumerate(columns):
            found[column].append((neuron, operand))
    return found
