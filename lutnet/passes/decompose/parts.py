"""Ways to divide an address into parts that one table each can read."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["partitions"]

Groups = tuple[tuple[int, ...], ...]

_MOST_OPERANDS = 6
"""Operands of which all groupings are tried; more are taken as they stand."""


def partitions(operands: Groups, k: int) -> Iterator[Groups]:
    """Groupings of operands into parts of at most ``k`` bits, largest part first.

    The fewest parts come first: operands divided between two parts where that saves a part, then whole operands. A
    table whose operands enter through a weighted sum of their bits allows the former, any additive one the latter.

    Args:
        operands: Address bits of each operand.
        k: Most bits of a part.
    """
    n_bits = sum(map(len, operands))
    if not operands or n_bits <= k:
        return
    whole = sorted(_groupings(operands, k), key=len)
    fewest = -(-n_bits // k)
    if not whole or len(whole[0]) > fewest:
        yield from _divided(operands, k)
    for groups in whole:
        if len(groups) == len(whole[0]):
            yield groups


def _groupings(operands: Groups, k: int) -> list[Groups]:
    """All groupings of whole operands, each once; none when an operand is too wide."""
    if any(len(operand) > k for operand in operands):
        return []
    if len(operands) > _MOST_OPERANDS:
        return [_sorted(_packed(operands, k))]
    found: list[list[tuple[int, ...]]] = [[]]
    for operand in operands:
        longer = []
        for groups in found:
            longer.append([*groups, operand])
            for i, group in enumerate(groups):
                if len(group) + len(operand) <= k:
                    longer.append([*groups[:i], group + operand, *groups[i + 1 :]])
        found = longer
    return [_sorted(groups) for groups in found]


def _packed(operands: Groups, k: int) -> list[tuple[int, ...]]:
    """Operands put together in order while they fit."""
    groups = [operands[0]]
    for operand in operands[1:]:
        if len(groups[-1]) + len(operand) <= k:
            groups[-1] += operand
        else:
            groups.append(operand)
    return groups


def _divided(operands: Groups, k: int) -> Iterator[Groups]:
    """Each operand in turn is the one that two parts share."""
    seen = set()
    for shift in range(len(operands)):
        bits = [place for operand in (*operands[shift:], *operands[:shift]) for place in operand]
        groups = _sorted([tuple(bits[start : start + k]) for start in range(0, len(bits), k)])
        if groups not in seen:
            seen.add(groups)
            yield groups


def _sorted(groups: list[tuple[int, ...]]) -> Groups:
    return tuple(sorted(groups, key=lambda group: (-len(group), group)))
