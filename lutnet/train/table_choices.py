"""What one step of polishing chooses: the entries of a table, or those of three tables, and the features that they read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from lutnet.train.joint_tables import JointTables, best_joint, with_new_left
from lutnet.train.polish_options import PolishOptions
from lutnet.train.table_state import Codes, Places, TableState

__all__ = ["choose", "choose_joint"]

MAX_JOINT_LOSSES = 1 << 17
"""Most pairs of addresses times codes of three tables that are chosen together."""

MAX_WAYS = 32
"""Most ways to read another feature that are tried in one step, drawn from all of them."""

PROMISING = 3
"""How many of these get random beginnings."""

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
T = TypeVar("T")


def choose(state: TableState, layer: int, neuron: int, options: PolishOptions, rng: np.random.Generator) -> int:
    """Gives every entry of a table the code of least loss where that gains enough; the number of changed entries.

    Args:
        state: The tables, which are changed.
        layer: Number of the layer.
        neuron: Number of the neuron.
        options: The least gain, and whether other features may be read.
        rng: What features are drawn from.
    """
    table = state.tables[layer][neuron]
    now = state.wiring[layer][neuron].tolist()
    ways = [now, *(_others(state, now, rng) if options.features and layer == 0 else [])]
    losses = state.losses(layer, neuron, [state.places(layer, neuron, way) for way in ways])
    tables = [_improved(losses[0], table, options.least_gain), *(found.argmin(axis=1) for found in losses[1:])]
    totals = [float(found[np.arange(len(found)), codes].sum()) for found, codes in zip(losses, tables, strict=True)]
    best = int(np.argmin(totals))
    best = best if totals[best] < totals[0] - options.least_gain else 0
    chosen = tables[best].astype(table.dtype)
    n_changed = int((chosen != table).sum())
    if n_changed or best:
        state.change(layer, {neuron: chosen}, {neuron: ways[best]})
    return n_changed


def choose_joint(state: TableState, layer: int, neuron: int, options: PolishOptions, rng: np.random.Generator) -> int:
    """The same for a table of two operands together with the two tables that it alone reads; nothing for others.

    Args:
        state: As in :func:`choose`.
        layer: As in :func:`choose`.
        neuron: As in :func:`choose`.
        options: As in :func:`choose`, and the number of restarts.
        rng: What features and beginnings are drawn from.
    """
    pair = state.wiring[layer][neuron].tolist()
    if layer == 0 or len(set(pair)) != 2 or any(len(state.readers[layer][column]) > 1 for column in pair):
        return 0
    left, right = (state.tables[layer - 1][column] for column in pair)
    table, n_codes = state.tables[layer][neuron], state.n_codes[layer - 1]
    small = len(left) * len(right) * state.n_codes[layer] <= MAX_JOINT_LOSSES
    if not small or len(table) != n_codes * n_codes:
        return 0
    now = [state.wiring[layer - 1][column].tolist() for column in pair]
    ways = [now, *(_others_of_pair(state, now, rng) if options.features and layer == 1 else [])]
    losses = state.losses(layer, neuron, [_of_pair(state, layer - 1, pair, way) for way in ways])
    losses = [found.reshape(len(left), len(right), -1) for found in losses]
    # operand 0 is the least significant part of the address
    tables = left.astype(np.int64), right.astype(np.int64), table.astype(np.int64).reshape(n_codes, n_codes).T
    before, best = best_joint(losses[0], *tables, restarts=options.restarts, rng=rng)
    chosen = now
    begins = [
        (_begun(found, best, way[0] != now[0]), found, way) for found, way in zip(losses[1:], ways[1:], strict=True)
    ]
    for begin, found, way in sorted(begins, key=lambda entry: entry[0].loss)[:PROMISING]:
        other = best_joint(found, begin.left, begin.right, begin.join, restarts=options.restarts, rng=rng)[1]
        if other.loss < best.loss - options.least_gain:
            best, chosen = other, way
    if not before.loss - best.loss > options.least_gain:
        return 0
    below = {pair[0]: best.left.astype(left.dtype), pair[1]: best.right.astype(right.dtype)}
    state.tables[layer][neuron] = best.join.T.reshape(-1).astype(table.dtype)
    state.change(layer - 1, below, dict(zip(pair, chosen, strict=True)))
    return sum(
        int((ours != theirs).sum()) for ours, theirs in zip((best.left, best.right, best.join), tables, strict=True)
    )


def _improved(losses: Floats, table: Codes, least_gain: float) -> Integers:
    """The code of least loss for each entry where it gains enough."""
    every, best = np.arange(len(table)), losses.argmin(axis=1)
    return np.where(losses[every, table] - losses[every, best] > least_gain, best, table)


def _others(state: TableState, read: list[int], rng: np.random.Generator) -> list[list[int]]:
    """Columns of a first-layer table with another feature in the place of one."""
    ways = [
        [*read[:operand], feature, *read[operand + 1 :]]
        for operand, column in enumerate(read)
        for feature in state.features_like(column, read)
    ]
    return _drawn(ways, rng, MAX_WAYS)


def _others_of_pair(state: TableState, now: list[list[int]], rng: np.random.Generator) -> list[list[list[int]]]:
    """What two first-layer tables of one feature each read, with another feature in the place of one; none for wider tables."""
    (left, *more), (right, *even_more) = now
    if more or even_more:
        return []
    ways = [
        *([[feature], [right]] for feature in state.features_like(left, [left, right])),
        *([[left], [feature]] for feature in state.features_like(right, [left, right])),
    ]
    return _drawn(ways, rng, MAX_WAYS)


def _drawn(ways: list[T], rng: np.random.Generator, n: int) -> list[T]:
    return ways if len(ways) <= n else [ways[i] for i in rng.choice(len(ways), n, replace=False)]


def _of_pair(state: TableState, layer: int, pair: Sequence[int], ways: Sequence[Sequence[int]]) -> Places:
    """Addresses of two tables as one place a row, those of the second one in the least significant part."""
    first, second = (state.places(layer, neuron, way) for neuron, way in zip(pair, ways, strict=True))
    return Places(first.of_rows * second.count + second.of_rows, first.count * second.count)


def _begun(losses: Floats, tables: JointTables, is_left: bool) -> JointTables:
    """Tables of which the left or the right one reads another feature now."""
    if is_left:
        return with_new_left(losses, tables)
    return with_new_left(losses.transpose(1, 0, 2), tables.swapped()).swapped()
