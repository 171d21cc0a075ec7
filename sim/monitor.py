"""What the bench sees on the output ports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lutnet.backends.interface import RtlInterface

__all__ = ["Monitor", "Seen"]


@dataclass
class Seen:
    """Outputs in the order in which they came.

    Attributes:
        words: ``out_data`` as text of ``0``, ``1``, ``X`` and ``Z``, most significant bit first.
        cycles: The enabled cycle in which each was seen, from 0.
        unknown_valid_cycles: Enabled cycles in which ``out_valid`` was neither 0 nor 1.
    """

    words: list[str] = field(default_factory=list)
    cycles: list[int] = field(default_factory=list)
    unknown_valid_cycles: list[int] = field(default_factory=list)


class Monitor:
    """Samples ``out_data`` after every enabled cycle, or only when ``out_valid`` is high if the design has it."""

    def __init__(self, dut: Any, interface: RtlInterface) -> None:
        self.data = dut.out_data
        self.valid = dut.out_valid if interface.valid else None
        self.cycle = -1
        self.seen = Seen()

    def sample(self, enabled: bool) -> None:
        """Looks at the ports once the cycle's effect is there; a stopped cycle is not counted."""
        if not enabled:
            return
        self.cycle += 1
        if self.valid is not None:
            valid = str(self.valid.value)
            if valid != "1":
                if valid != "0":
                    self.seen.unknown_valid_cycles.append(self.cycle)
                return
        self.seen.words.append(str(self.data.value))
        self.seen.cycles.append(self.cycle)

    def ports(self) -> tuple[str, str]:
        """``out_data`` and ``out_valid`` as they stand; the second is empty when there is none."""
        return str(self.data.value), "" if self.valid is None else str(self.valid.value)
