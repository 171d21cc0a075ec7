"""Neuron families: one file, one paper."""

from collections.abc import Mapping
from types import MappingProxyType

from lutnet.nn.families.adder import AdderNeurons
from lutnet.nn.families.additive import AdditiveEdges
from lutnet.nn.families.arithmetic import ArithmeticNeurons
from lutnet.nn.families.assemble import AssembleNeurons
from lutnet.nn.families.differentiable import DifferentiableLut
from lutnet.nn.families.linear import SparseLinear
from lutnet.nn.families.polynomial import PolynomialNeurons
from lutnet.nn.families.subnet import SubnetNeurons
from lutnet.nn.layer import Layer
from lutnet.nn.lut_layer import LutLayer

__all__ = [
    "FAMILIES",
    "TABLE_FAMILIES",
    "WIRED_FAMILIES",
    "AdderNeurons",
    "AdditiveEdges",
    "ArithmeticNeurons",
    "AssembleNeurons",
    "DifferentiableLut",
    "PolynomialNeurons",
    "SparseLinear",
    "SubnetNeurons",
]

TABLE_FAMILIES: Mapping[str, type[LutLayer]] = MappingProxyType(
    {
        "linear": SparseLinear,
        "polynomial": PolynomialNeurons,
        "subnet": SubnetNeurons,
        "assemble": AssembleNeurons,
    }
)
"""Families of one table a neuron by the name that configurations use."""

WIRED_FAMILIES: Mapping[str, type[Layer]] = MappingProxyType(
    {**TABLE_FAMILIES, "adder": AdderNeurons, "arithmetic": ArithmeticNeurons}
)
"""Families that are made from a wiring, a row of operands a neuron, by the name that configurations use."""

FAMILIES: Mapping[str, type[Layer]] = MappingProxyType(
    {**WIRED_FAMILIES, "additive": AdditiveEdges, "differentiable": DifferentiableLut}
)
"""Every family by the name that configurations use."""
