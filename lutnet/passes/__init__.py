"""Passes: netlist to netlist with the same function."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from lutnet.passes import base
from lutnet.passes.absorb import Absorb
from lutnet.passes.adders import Adders
from lutnet.passes.arith import Arith
from lutnet.passes.assign import Assign
from lutnet.passes.base import Check, Pass, PassRecord, run_passes
from lutnet.passes.collapse import Collapse
from lutnet.passes.dce import Dce
from lutnet.passes.decompose import Decompose
from lutnet.passes.dedupe import Dedupe
from lutnet.passes.dontcare import DontCare
from lutnet.passes.fold import Fold
from lutnet.passes.narrow import Narrow
from lutnet.passes.observe import Observe
from lutnet.passes.pipeline import Pipeline
from lutnet.passes.recode import Recode
from lutnet.passes.retime import Retime

__all__ = [
    "DEFAULT_PASSES",
    "PASSES",
    "Absorb",
    "Adders",
    "Arith",
    "Assign",
    "Check",
    "Collapse",
    "Dce",
    "Decompose",
    "Dedupe",
    "DontCare",
    "Fold",
    "Narrow",
    "Observe",
    "Pass",
    "PassRecord",
    "Pipeline",
    "Recode",
    "Retime",
    "parse_passes",
    "run_passes",
]

PASSES: Mapping[str, type[Pass]] = MappingProxyType(
    {
        "absorb": Absorb,
        "adders": Adders,
        "arith": Arith,
        "assign": Assign,
        "collapse": Collapse,
        "dce": Dce,
        "decompose": Decompose,
        "dedupe": Dedupe,
        "dontcare": DontCare,
        "fold": Fold,
        "narrow": Narrow,
        "observe": Observe,
        "pipeline": Pipeline,
        "recode": Recode,
        "retime": Retime,
    }
)
"""Every pass by name."""

DEFAULT_PASSES = "fold,narrow,fold,dedupe,dce,adders"
"""What ``lutnet compile`` runs before pipelining."""


def parse_passes(text: str) -> tuple[Pass, ...]:
    """Passes from text such as ``"fold,narrow,pipeline{every=2}"``; see :func:`lutnet.passes.base.parse_passes`."""
    return base.parse_passes(text, PASSES)
