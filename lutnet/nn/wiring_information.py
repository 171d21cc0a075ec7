"""A first wiring from what single features say of the class."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError
from lutnet.nn.wiring import Wiring

__all__ = ["class_information", "information_wiring", "shared_information"]

MOST_LEVELS = 4
"""Levels of a feature that are told apart when it is compared with another one; wider codes are judged by their leading bits."""

MOST_ROWS = 8192
"""Rows that pairs of features are compared on."""

Floats = npt.NDArray[np.float64]


def information_wiring(
    codes: npt.NDArray[np.integer],
    y: npt.NDArray[np.integer],
    n_out: int,
    fan_in: int,
    seed: int,
    *,
    redundancy: float = 0.25,
) -> Wiring:
    """Features drawn by the information that they share with the class and hardly with what the neuron reads already.

    Each operand of a neuron is drawn with a probability proportional to ``I(x_i; y) * (1 - redundancy * r) / (1 + u)``: u is how
    often feature i is read so far, and r the largest of ``I(x_i; x_k) / min(H(x_i), H(x_k))`` over the features k that the neuron reads.
    The criterion is that of Peng, Long and Ding, "Feature selection based on mutual information", 2005, as a product and
    drawn at random, so that neurons differ.

    Args:
        codes: Codes of the training rows, from 0, shape ``(n, n_features)``.
        y: Classes from 0, shape ``(n,)``.
        n_out: Neurons.
        fan_in: Features of each neuron.
        seed: Equal seeds give equal wirings.
        redundancy: How much r counts, 0 to 1.

    Returns:
        int64, shape ``(n_out, fan_in)``, rows ascending. Features that tell nothing are read only where there are no others.

    Raises:
        UserError: Shapes do not fit, or ``fan_in`` exceeds the features.
    """
    if codes.ndim != 2 or y.shape != codes.shape[:1] or not len(y):
        raise UserError(f"expected codes (n, n_features) and classes (n,), got shapes {codes.shape} and {y.shape}")
    n_in = codes.shape[1]
    if not 1 <= fan_in <= n_in:
        raise UserError(f"a fan-in of {fan_in} needs at least 1 and {fan_in} features, got {n_in}")
    rng = np.random.default_rng(seed)
    relevance = class_information(codes, y)
    relevance = np.maximum(relevance, 1e-9 * max(float(relevance.max()), 1e-9))
    shared = shared_information(codes) if redundancy > 0 and fan_in > 1 else None
    uses = np.zeros(n_in)
    wiring = np.empty((n_out, fan_in), dtype=np.int64)
    for row in wiring:
        weight = relevance / (1.0 + uses)
        known = np.zeros(n_in)
        for place in range(fan_in):
            chance = weight * np.maximum(1.0 - redundancy * known, 1e-6)
            row[place] = chosen = rng.choice(n_in, p=chance / chance.sum())
            weight[chosen] = 0.0
            if shared is not None:
                np.maximum(known, shared[chosen], out=known)
        uses[row] += 1
        row.sort()
    return wiring


def class_information(codes: npt.NDArray[np.integer], y: npt.NDArray[np.integer]) -> Floats:
    """Information in nats that each column shares with the class, shape ``(n_features,)``."""
    n_classes = int(y.max()) + 1
    out = np.empty(codes.shape[1])
    of_class = _entropy(np.bincount(y, minlength=n_classes)[None])[0]
    for i, column in enumerate(codes.T):
        joint = np.bincount(column * n_classes + y, minlength=(int(column.max()) + 1) * n_classes)
        of_column = joint.reshape(-1, n_classes).sum(axis=1)
        out[i] = of_class + _entropy(of_column[None])[0] - _entropy(joint[None])[0]
    return np.maximum(out, 0.0)


def shared_information(codes: npt.NDArray[np.integer]) -> Floats:
    """``I(x_i; x_k) / min(H(x_i), H(x_k))`` of all pairs of columns, 0 to 1, shape ``(n_features, n_features)``.

    Equally spaced rows, :data:`MOST_ROWS` at most, and the leading bits of the codes are looked at. A constant column shares nothing.
    """
    rows = codes[:: max(1, -(-len(codes) // MOST_ROWS))]
    levels = max(2, int(rows.max()) + 1)
    shift = max(0, (levels - 1).bit_length() - (MOST_LEVELS - 1).bit_length())
    rows = rows >> shift
    n_levels = int(rows.max()) + 1
    marks = np.stack([(rows == level).astype(np.float32) for level in range(n_levels)], axis=1)
    single = _entropy(marks.sum(axis=0, dtype=np.float64).T)
    both = np.zeros((rows.shape[1], rows.shape[1]))
    for one in range(n_levels):
        for other in range(n_levels):
            share = (marks[:, one].T @ marks[:, other]).astype(np.float64) / len(rows)
            both -= share * np.log(np.where(share > 0, share, 1.0))
    least = np.minimum(single[:, None], single[None])
    found: Floats = np.clip((single[:, None] + single[None] - both) / np.where(least > 1e-12, least, np.inf), 0.0, 1.0)
    return found


def _entropy(counts: npt.NDArray[np.generic]) -> Floats:
    """Entropy in nats of each row of counts."""
    share = counts / counts.sum(axis=1, keepdims=True)
    found: Floats = -(share * np.log(np.where(share > 0, share, 1.0))).sum(axis=1)
    return found
