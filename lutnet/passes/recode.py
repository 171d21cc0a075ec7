"""The code of an internal value is chosen anew where that makes its producer and its readers cheaper."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from math import factorial
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from lutnet.cost.device import XCVU9P
from lutnet.errors import UserError
from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import Node
from lutnet.passes.base import Pass, Steps
from lutnet.passes.bits import Bit
from lutnet.passes.compose import BitTable, bit_table, build_bit_table, computing_readers, output_sources
from lutnet.passes.dce import Dce
from lutnet.passes.decompose.function import output_luts
from lutnet.passes.rebuild import copy_node, rebuild
from lutnet.tables import TruthTable

__all__ = ["Recode"]

Ints = npt.NDArray[np.int64]

_MOST_SWEEPS = 12

_MOST_RANDOM_BITS = 8
"""Longest address at which random codes are counted: a longer one rarely loses a bit by chance, and takes long to count."""


@dataclass(frozen=True)
class Recode(Pass):
    """Gives the result of a table that only tables read another code.

    Codes that no reader tells apart where it cares become one, and bits that are then not needed go. Of the ways to number the
    remaining classes, all are tried where there are at most ``tries``. Otherwise those are tried in which some bit of a reader needs
    fewer bits of the number, and ``tries`` seeded random ones where no address is longer than 8 bits. The producer and all its readers
    are counted together, so a code is kept unless another one is cheaper. Numbers without a class are addresses that never occur: they
    read as a class whose number differs in one bit, and are marked as not cared for.

    Attributes:
        max_bits: Longest address of a table that takes part, 2 to 12.
        tries: Codes tried for a value, beside those made for a reader.
        seed: Of the random ones.
    """

    name: ClassVar[str] = "recode"
    max_bits: int = 12
    tries: int = 48
    seed: int = 0

    def __post_init__(self) -> None:
        if not 2 <= self.max_bits <= 12:
            raise UserError(f"recode.max_bits is a number of address bits from 2 to 12, got {self.max_bits}")
        if self.tries < 1:
            raise UserError(f"recode.tries is at least 1, got {self.tries}")

    def rewrite(self, net: Netlist, steps: Steps) -> Netlist:
        settled: set[bytes] = set()
        for _ in range(_MOST_SWEEPS):
            sweep = _Sweep(net, self, settled)
            chosen = sweep.chosen(steps)
            if not chosen:
                break
            net = sweep.recoded(chosen)
        return net


@dataclass(frozen=True, eq=False)
class _Code:
    """A new code of one value.

    Attributes:
        number: New code of every old code.
        width: Bits of the new code.
        members: Old codes that occur, class by class.
        near: Every new code itself where it is used, otherwise a used one.
        used: Which new codes occur.
    """

    number: Ints
    width: int
    members: Ints
    near: Ints
    used: npt.NDArray[np.bool_]


class _Sweep:
    """Values that get another code at once: no table takes part in two changes."""

    def __init__(self, net: Netlist, options: Recode, settled: set[bytes]) -> None:
        self.net = net
        self.options = options
        self.settled = settled
        self.readers = computing_readers(net)
        self.fixed = output_sources(net)

    def chosen(self, steps: Steps) -> dict[int, _Code]:
        """New codes by the row of their producer."""
        found: dict[int, _Code] = {}
        touched: set[int] = set()
        for node in self.net.nodes():
            readers = self.readers.get(node.id, set())
            if not self._takes_part(node) or node.id in self.fixed or ({node.id} | readers) & touched:
                continue
            if not readers or not all(self._takes_part(self.net.node(row)) for row in readers):
                continue
            code = self._best(node, sorted(readers))
            if code is not None and steps.take():
                found[node.id] = code
                touched |= {node.id} | readers
        return found

    def _takes_part(self, node: Node) -> bool:
        return node.table is not None and node.table.address_bits <= self.options.max_bits and node.width <= 6

    def _best(self, node: Node, readers: list[int]) -> _Code | None:
        """The code that saves the most, or nothing."""
        producer = self._table(node)
        views = [_View.of(self._table(self.net.node(row)), node) for row in readers]
        key = _digest(producer, views)
        if key in self.settled:
            return None
        classes = _classes(producer, views, 1 << node.width)
        n_classes = int(classes.max()) + 1
        if n_classes < 2:
            return None
        before = _luts(producer) + sum(_luts(view.table) for view in views)
        width = (n_classes - 1).bit_length()
        best, best_cost = None, (before - 0.25, node.width)
        for order in self._orders(producer, views, classes):
            code = _numbered(classes, order, width)
            cost = _luts(_recoded_producer(producer, code)) + sum(_luts(view.recoded(code)) for view in views)
            if (cost, width) < best_cost or (best is None and width < node.width and cost <= before):
                best, best_cost = code, (cost, width)
        if best is None:
            self.settled.add(key)
        return best

    def _orders(self, producer: BitTable, views: list[_View], classes: Ints) -> Iterator[tuple[int, ...]]:
        """New numbers of the classes: the present order first."""
        n_classes = int(classes.max()) + 1
        width = (n_classes - 1).bit_length()
        places = 1 << width
        yield tuple(range(n_classes))
        if factorial(places) // factorial(places - n_classes) <= self.options.tries:
            yield from permutations(range(places), n_classes)
            return
        yield from sorted(_made_for_readers(views, classes, width))
        if max(len(producer.bits), *(len(view.table.bits) for view in views)) > _MOST_RANDOM_BITS:
            return
        rng = np.random.default_rng(self.options.seed)
        for _ in range(self.options.tries):
            yield tuple(rng.permutation(places)[:n_classes].tolist())

    def _table(self, node: Node) -> BitTable:
        if node.table is None:
            raise AssertionError("only tables are asked for")
        return bit_table(self.net.node, node.table, node.operands)

    def recoded(self, chosen: dict[int, _Code]) -> Netlist:
        """The netlist with the new codes."""
        producer_of = {reader: row for row in chosen for reader in self.readers[row]}
        rows: dict[int, int] = {}

        def visit(builder: NetlistBuilder, node: Node, operands: tuple[int, ...]) -> int:
            old = copy_node(builder, node, operands)
            new = self._new_table(node, chosen, producer_of)
            rows[node.id] = (
                old if new is None else _built(builder, new, rows, signed=node.signed and node.id not in chosen)
            )
            return old if node.id in chosen else rows[node.id]

        for row, new in zip(self.net.inputs.tolist(), range(len(self.net.inputs)), strict=True):
            rows[row] = new
        return Dce()(rebuild(self.net, visit))

    def _new_table(self, node: Node, chosen: dict[int, _Code], producer_of: dict[int, int]) -> BitTable | None:
        """What a producer or a reader of a new code becomes."""
        if node.id in chosen:
            return _recoded_producer(self._table(node), chosen[node.id])
        if node.id in producer_of:
            source = producer_of[node.id]
            return _View.of(self._table(node), self.net.node(source)).recoded(chosen[source])
        return None


@dataclass(frozen=True, eq=False)
class _View:
    """A reader with the bits of one producer apart.

    Attributes:
        table: The reader.
        others: The bits that are not the producer's.
        codes: Result for every code of the producer and every address of the others, shape ``(codes, 2**len(others))``.
        care: Where it matters, same shape.
        producer: Row of the producer.
    """

    table: BitTable
    others: tuple[Bit, ...]
    codes: Ints
    care: npt.NDArray[np.bool_]
    producer: int

    @classmethod
    def of(cls, table: BitTable, producer: Node) -> _View:
        """A reader seen from its producer."""
        others = tuple(bit for bit in table.bits if bit.row != producer.id)
        code = np.arange(1 << producer.width, dtype=np.int64)[:, None]
        rest = np.arange(1 << len(others), dtype=np.int64)[None, :]
        address = np.zeros((code.shape[0], rest.shape[1]), dtype=np.int64)
        for place, bit in enumerate(table.bits):
            value = code >> bit.place if bit.row == producer.id else rest >> others.index(bit)
            address |= (value & 1) << place
        care = np.ones(address.shape, dtype=np.bool_) if table.care is None else table.care[address]
        return cls(table, others, table.codes[address], care, producer.id)

    def joined(self, number: Ints, members: Ints, n_numbers: int) -> tuple[Ints, npt.NDArray[np.bool_]]:
        """Result and care by new number: of the old codes that share one, whichever matters."""
        codes = np.zeros((n_numbers, self.codes.shape[1]), dtype=np.int64)
        care = np.zeros(codes.shape, dtype=np.bool_)
        for old in members[::-1].tolist():
            new = number[old]
            codes[new] = np.where(care[new] & ~self.care[old], codes[new], self.codes[old])
            care[new] |= self.care[old]
        return codes, care

    def recoded(self, code: _Code) -> BitTable:
        """The reader of the new code: the producer's bits are the low ones of the address."""
        codes, care = self.joined(code.number, code.members, len(code.near))
        codes, care = codes[code.near].T.reshape(-1), (care & code.used[:, None]).T.reshape(-1)
        bits = tuple(Bit(self.producer, place) for place in range(code.width)) + self.others
        return BitTable(bits, codes, self.table.width, None if care.all() else care)


def _classes(producer: BitTable, views: list[_View], n_codes: int) -> Ints:
    """Class of every code: codes share one when every reader gives the same wherever it cares for both; codes that never occur are in
    class -1. A code joins the first class that it agrees with, so the fewest classes are not always found.
    """
    occurs = np.zeros(n_codes, dtype=np.bool_)
    occurs[producer.codes if producer.care is None else producer.codes[producer.care]] = True
    rows = np.concatenate([np.where(view.care, view.codes, -1) for view in views], axis=1)
    classes = np.full(n_codes, -1, dtype=np.int64)
    known: list[Ints] = []
    for code in np.flatnonzero(occurs).tolist():
        row = rows[code]
        for place, other in enumerate(known):
            if not ((row != other) & (row >= 0) & (other >= 0)).any():
                known[place] = np.maximum(row, other)
                classes[code] = place
                break
        else:
            classes[code] = len(known)
            known.append(row)
    return classes


def _made_for_readers(views: list[_View], classes: Ints, width: int) -> set[tuple[int, ...]]:
    """Numbers of the classes whose high bits are all that some bit of a reader depends on."""
    found = set()
    members = np.flatnonzero(classes >= 0)
    n_classes = int(classes.max()) + 1
    for view in views:
        codes, care = view.joined(classes, members, n_classes)
        for place in range(view.table.width):
            rows = np.where(care, (codes >> place) & 1, -1)
            kinds: dict[bytes, list[int]] = {}
            for item in range(n_classes):
                kinds.setdefault(rows[item].tobytes(), []).append(item)
            order = _by_kind(list(kinds.values()), width)
            if order is not None:
                found.add(order)
    return found


def _by_kind(kinds: list[list[int]], width: int) -> tuple[int, ...] | None:
    """Numbers in which the fewest high bits tell the kinds apart; ``None`` when all bits are needed."""
    for n_high in range(width):
        size = 1 << (width - n_high)
        if sum(-(-len(kind) // size) for kind in kinds) <= 1 << n_high:
            number, start = {}, 0
            for kind in kinds:
                number.update({item: start + i for i, item in enumerate(kind)})
                start += -(-len(kind) // size) * size
            return tuple(number[item] for item in sorted(number))
    return None


def _digest(producer: BitTable, views: list[_View]) -> bytes:
    """Of everything that a choice depends on."""
    digest = hashlib.blake2b(digest_size=16)
    for view in views:
        digest.update(repr((view.codes.shape, view.table.width)).encode())
        digest.update(view.codes.tobytes() + view.care.tobytes())
    digest.update(repr((len(producer.bits), producer.width, producer.care is None)).encode())
    digest.update(producer.codes.tobytes() + (b"" if producer.care is None else producer.care.tobytes()))
    return digest.digest()


def _numbered(classes: Ints, order: tuple[int, ...], width: int) -> _Code:
    """The code in which class ``i`` has the number ``order[i]``; codes that never occur have that of class 0."""
    number = np.asarray(order, dtype=np.int64)[np.maximum(classes, 0)]
    used = np.zeros(1 << width, dtype=np.bool_)
    used[list(order)] = True
    near = np.arange(1 << width, dtype=np.int64)
    for new in np.flatnonzero(~used).tolist():
        near[new] = next((new ^ (1 << bit) for bit in range(width) if used[new ^ (1 << bit)]), min(order))
    return _Code(number, width, np.flatnonzero(classes >= 0), near, used)


def _recoded_producer(producer: BitTable, code: _Code) -> BitTable:
    return BitTable(producer.bits, code.number[producer.codes], code.width, producer.care)


def _luts(table: BitTable) -> float:
    return output_luts(table.codes, table.width, XCVU9P)


def _built(builder: NetlistBuilder, table: BitTable, rows: dict[int, int], *, signed: bool) -> int:
    """A table over bits of the old netlist, on the rows that stand for them now."""
    operands = tuple(builder.slice(rows[bit.row], bit.place, 1) for bit in table.bits)
    single = TruthTable((1,) * len(operands), table.width, table.codes, table.care)
    return build_bit_table(builder, bit_table(builder.node, single, operands), signed=signed)
