"""What the bench puts on the input ports in every clock cycle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from lutnet.backends.interface import RtlInterface

__all__ = ["Driver", "Plan", "full_rate", "with_gaps"]


@dataclass(frozen=True)
class Plan:
    """One entry a clock cycle.

    Attributes:
        words: Value of ``in_data``.
        valid: Whether ``in_valid`` is high; a word without it is a bubble that the design must ignore.
        enabled: Whether ``ce`` is high; a cycle without it must change nothing.
    """

    words: Sequence[int]
    valid: Sequence[bool]
    enabled: Sequence[bool]

    def taken(self) -> list[int]:
        """Cycles in which the design takes a sample, counted in enabled cycles only; one entry a sample."""
        found, count = [], -1
        for valid, enabled in zip(self.valid, self.enabled, strict=True):
            count += enabled
            if valid and enabled:
                found.append(count)
        return found

    def __len__(self) -> int:
        return len(self.words)


def full_rate(words: Sequence[int], interface: RtlInterface) -> Plan:
    """A sample in every cycle, then enough bubbles for the last one to leave, and a few in which nothing may follow."""
    tail = interface.latency_cycles + 3
    return Plan([*words, *[words[-1]] * tail], [True] * len(words) + [False] * tail, [True] * (len(words) + tail))


def with_gaps(words: Sequence[int], interface: RtlInterface, random: Random) -> Plan:
    """The samples in order, with bubbles and stopped cycles between them where the design has ``in_valid`` and ``ce``.

    In a bubble and in a stopped cycle ``in_data`` holds the complement of a sample, and ``in_valid`` is high in half of the
    stopped cycles, so that a design which takes what it must ignore is found out.
    """
    mask = (1 << interface.in_bits) - 1
    cycles: list[tuple[int, bool, bool]] = []
    for word in words:
        while random.random() < 0.5:
            if interface.clock_enable and random.random() < 0.5:
                cycles.append((word ^ mask, random.random() < 0.5, False))
            elif interface.valid:
                cycles.append((word ^ mask, False, True))
        cycles.append((word, True, True))
    cycles += [(words[-1] ^ mask, False, True)] * (interface.latency_cycles + 3)
    return Plan([c[0] for c in cycles], [c[1] for c in cycles], [c[2] for c in cycles])


class Driver:
    """Writes the ports that the design has; a port that keeps its value is not written again."""

    def __init__(self, dut: Any, interface: RtlInterface) -> None:
        self.data = dut.in_data
        self.valid = dut.in_valid if interface.valid else None
        self.enable = dut.ce if interface.clock_enable else None
        self._last: tuple[int, bool | None, bool | None] = (-1, None, None)

    def drive(self, word: int, valid: bool, enabled: bool) -> None:
        """Puts one cycle on the ports; call it away from the rising edge."""
        last_word, last_valid, last_enabled = self._last
        if word != last_word:
            self.data.value = word
        if self.valid is not None and valid is not last_valid:
            self.valid.value = int(valid)
        if self.enable is not None and enabled is not last_enabled:
            self.enable.value = int(enabled)
        self._last = (word, valid, enabled)
