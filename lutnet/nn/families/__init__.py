"""Neuron families: one file, one paper."""

from collections.abc import Mapping
from types import MappingProxyType

from lutnet.nn.families.linear import SparseLinear
from lutnet.nn.lut_layer import LutLayer

__all__ = ["FAMILIES", "SparseLinear"]

FAMILIES: Mapping[str, type[LutLayer]] = MappingProxyType({"linear": SparseLinear})
"""Every family by the name that configurations use."""
