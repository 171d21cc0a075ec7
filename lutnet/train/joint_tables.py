"""Two tables and the one that alone reads them, chosen together.

Which codes the two tables use is nobody's business but the third one's, so that choosing them one after the other stays where it began:
no entry gains by another code while the third table has no use for it. Together they are a clustering problem: the addresses of
either table are put into as many clusters as it has codes, and each pair of clusters gets the code of least loss (Lloyd's alternation,
as in clustering the rows and columns of a matrix at once).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

__all__ = ["JointTables", "best_joint", "with_new_left"]

ROUNDS = 30
"""Most alternations of one beginning."""

SHARES = (0.15, 0.3, 0.6, 1.0)
"""Of the addresses that a beginning puts into random clusters, in turn."""

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class JointTables:
    """Three tables.

    Attributes:
        left: Code of each address of one table, shape ``(n_left,)``.
        right: The same of the other one, shape ``(n_right,)``.
        join: Code for each pair of them, shape ``(codes of left, codes of right)``.
        loss: Their summed loss.
    """

    left: Integers
    right: Integers
    join: Integers
    loss: float

    def swapped(self) -> JointTables:
        """The same with left and right in each other's place."""
        return JointTables(self.right, self.left, self.join.T, self.loss)


def best_joint(
    losses: Floats, left: Integers, right: Integers, join: Integers, *, restarts: int, rng: np.random.Generator
) -> tuple[JointTables, JointTables]:
    """The tables as they are, and the best ones that were found, which are never worse.

    Args:
        losses: By addresses of both tables and by the code of the third one, shape ``(n_left, n_right, n_codes)``.
        left: Code of each address of one table.
        right: The same of the other one.
        join: Code for each pair of codes, shape ``(codes of left, codes of right)``.
        restarts: Beginnings besides these tables.
        rng: What they are drawn from.
    """
    n_left, n_right = join.shape
    clustered = np.einsum("ijc,ir,js->rsc", losses, np.eye(n_left)[left], np.eye(n_right)[right], optimize=True)
    now = JointTables(left, right, join, float(np.take_along_axis(clustered, join[..., None], axis=2).sum()))
    best = _alternated(losses, now)
    for number in range(restarts):
        share = SHARES[number % len(SHARES)]
        begin = JointTables(
            _scattered(best.left, n_left, share, rng), _scattered(best.right, n_right, share, rng), best.join, np.inf
        )
        found = _alternated(losses, _joined(losses, begin))
        best = found if found.loss < best.loss else best
    return now, best if best.loss < now.loss else now


def with_new_left(losses: Floats, tables: JointTables) -> JointTables:
    """Tables found from those whose left one had other addresses: the left one is made anew, then all three in turn.

    Args:
        losses: As in :func:`best_joint`, with the new addresses.
        tables: Where to begin; their left one is not read.
    """
    left = _assigned(losses, tables.right, tables.join)
    return _alternated(losses, _joined(losses, JointTables(left, tables.right, tables.join, np.inf)))


def _scattered(codes: Integers, n_codes: int, share: float, rng: np.random.Generator) -> Integers:
    return np.where(rng.random(len(codes)) < share, rng.integers(0, n_codes, len(codes)), codes)


def _joined(losses: Floats, tables: JointTables) -> JointTables:
    """The best third table for two others."""
    n_left, n_right = tables.join.shape
    sums = np.einsum("ijc,js->isc", losses, np.eye(n_right)[tables.right], optimize=True)
    clustered = np.einsum("isc,ir->rsc", sums, np.eye(n_left)[tables.left], optimize=True)
    return JointTables(tables.left, tables.right, clustered.argmin(axis=2), float(clustered.min(axis=2).sum()))


def _alternated(losses: Floats, tables: JointTables) -> JointTables:
    """One table after the other until nothing gets better."""
    transposed = losses.transpose(1, 0, 2)
    for _ in range(ROUNDS):
        left = _assigned(losses, tables.right, tables.join)
        right = _assigned(transposed, left, tables.join.T)
        found = _joined(losses, JointTables(left, right, tables.join, np.inf))
        if not found.loss < tables.loss - 1e-9 * abs(tables.loss):
            return tables if tables.loss <= found.loss else found
        tables = found
    return tables


def _assigned(losses: Floats, other: Integers, join: Integers) -> Integers:
    """The best code of each address of a table, given the other table and the third one."""
    sums = np.einsum("ijc,js->isc", losses, np.eye(join.shape[1])[other], optimize=True)
    by_code = np.take_along_axis(sums[:, None], join[None, :, :, None], axis=3)[..., 0].sum(axis=2)
    return cast("Integers", by_code.argmin(axis=1))
