"""Which inputs a neuron reads: int64 arrays of shape ``(n_out, fan_in)``.

Column k of a row is the index of operand k; operand 0 is the least significant part of the table's address. No row
holds an input twice.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError

__all__ = ["Wiring", "contiguous_wiring", "given_wiring", "random_wiring", "strided_wiring"]

Wiring = npt.NDArray[np.int64]


def random_wiring(n_in: int, n_out: int, fan_in: int, seed: int) -> Wiring:
    """Random connections, chosen before training, as evenly spread over the inputs as possible.

    Each neuron draws without replacement from the inputs that the fewest neurons before it read, so that the uses of
    any two inputs differ by at most one, and every input is used when ``n_out * fan_in >= n_in``. LogicNets (Umuroglu
    et al., FPL 2020) draws every neuron independently and may leave inputs unread.

    Args:
        n_in: Number of inputs to choose from.
        n_out: Number of neurons.
        fan_in: Inputs of each neuron.
        seed: Equal seeds give equal wirings.

    Returns:
        int64, shape ``(n_out, fan_in)``, each row ascending.

    Raises:
        UserError: ``fan_in`` exceeds ``n_in``, or a number is below 1.
    """
    _check_sizes(n_in, n_out, fan_in)
    rng = np.random.default_rng(seed)
    uses = np.zeros(n_in, dtype=np.int64)
    wiring = np.empty((n_out, fan_in), dtype=np.int64)
    for row in wiring:
        row[:] = np.sort(np.lexsort((rng.random(n_in), uses))[:fan_in])
        uses[row] += 1
    return wiring


def contiguous_wiring(n_in: int, n_out: int, fan_in: int) -> Wiring:
    """Neighbouring inputs: neuron j reads ``j * fan_in + k`` modulo ``n_in``, in this order.

    With ``n_out * fan_in == n_in`` this is a partition: the leaves of a tree.
    """
    _check_sizes(n_in, n_out, fan_in)
    return (np.arange(n_out * fan_in, dtype=np.int64) % n_in).reshape(n_out, fan_in)


def strided_wiring(n_in: int, n_out: int, fan_in: int) -> Wiring:
    """Spread inputs: neuron j reads ``j + k * (n_in // fan_in)`` modulo ``n_in``, in this order."""
    _check_sizes(n_in, n_out, fan_in)
    start = np.arange(n_out, dtype=np.int64)[:, None]
    return (start + np.arange(fan_in, dtype=np.int64) * (n_in // fan_in)) % n_in


def given_wiring(indices: npt.ArrayLike, n_in: int) -> Wiring:
    """A wiring of the user's own, checked; the order of each row is kept.

    Args:
        indices: Integers, shape ``(n_out, fan_in)``.
        n_in: Number of inputs that exist.

    Returns:
        int64 copy of the same shape.

    Raises:
        UserError: The shape, a type, an index out of range, or an input twice in one neuron; the place is named.
    """
    try:
        array = np.array(indices)
    except ValueError:
        raise UserError("a wiring needs equally long rows, one a neuron, got rows of different lengths") from None
    if array.ndim != 2 or array.size == 0:
        raise UserError(f"a wiring has shape (neurons, fan-in) with both at least 1, got {array.shape}")
    if not np.issubdtype(array.dtype, np.integer):
        raise UserError(f"a wiring holds integer indices of inputs, got dtype {array.dtype}")
    wrong = np.argwhere((array < 0) | (array >= n_in))
    if len(wrong):
        row, column = wrong[0]
        raise UserError(f"neuron {row} reads input {array[row, column]} as operand {column}, expected 0 to {n_in - 1}")
    ordered = np.sort(array, axis=1)
    twice = np.argwhere(ordered[:, 1:] == ordered[:, :-1])
    if len(twice):
        row, column = twice[0]
        raise UserError(
            f"neuron {row} reads input {ordered[row, column]} twice; every operand of a neuron must be another input"
        )
    return array.astype(np.int64)


def _check_sizes(n_in: int, n_out: int, fan_in: int) -> None:
    if min(n_in, n_out, fan_in) < 1:
        raise UserError(f"a wiring needs at least 1 input, neuron and fan-in, got {n_in}, {n_out} and {fan_in}")
    if fan_in > n_in:
        raise UserError(
            f"a fan-in of {fan_in} needs at least {fan_in} inputs, got {n_in}; lower the fan-in or widen the layer "
            "before"
        )
