"""Logic synthesis by external programs: cones of a netlist go out, are mapped to lookup tables, and come back proved equal.

The room stands above ``passes`` because a pass there runs no program.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from lutnet.passes import PASSES, Pass, base
from lutnet.passes.rare import Rare
from lutnet.synth.abc import Abc

__all__ = ["ALL_PASSES", "Abc", "parse_passes"]

ALL_PASSES: Mapping[str, type[Pass]] = MappingProxyType({**PASSES, "abc": Abc, "rare": Rare})
"""Every pass by name, those that run a program or need samples too."""


def parse_passes(text: str) -> tuple[Pass, ...]:
    """Passes from text such as ``"fold,abc{script=deep},dce"``; see :func:`lutnet.passes.base.parse_passes`."""
    return base.parse_passes(text, ALL_PASSES)
