"""Training side: quantisers, wiring, layers that become truth tables, networks and their cost. Needs torch."""

from lutnet.nn.anomaly import AnomalyHead
from lutnet.nn.arithmetic_options import ArithmeticOptions
from lutnet.nn.convolution import Convolution, MapLayer
from lutnet.nn.cost import LayerCost, NetworkCost, connection_gates
from lutnet.nn.edge_options import AdditiveOptions
from lutnet.nn.ensemble import Ensemble
from lutnet.nn.families import (
    FAMILIES,
    TABLE_FAMILIES,
    WIRED_FAMILIES,
    AdderNeurons,
    AdditiveEdges,
    ArithmeticNeurons,
    AssembleNeurons,
    DifferentiableLut,
    PolynomialNeurons,
    SparseLinear,
    SubnetNeurons,
)
from lutnet.nn.head_options import HeadOptions
from lutnet.nn.heads import ClassHead, Head, LabelsHead, RegressionHead, ScoresHead
from lutnet.nn.inputs import InputQuantizer
from lutnet.nn.joins import Joined, Summed
from lutnet.nn.layer import Layer
from lutnet.nn.levels import (
    QUANTIZERS,
    Binary,
    FixedQuantizer,
    PowerOfTwo,
    StochasticBinary,
    StochasticTernary,
    Ternary,
    make_quantizer,
)
from lutnet.nn.lut_layer import LutLayer, TableBudget
from lutnet.nn.map_options import MapOptions
from lutnet.nn.maps import Geometry, MapShape
from lutnet.nn.module import LutModule
from lutnet.nn.multi_input_options import AdderOptions, AssembleOptions, PolynomialOptions, SubnetOptions
from lutnet.nn.network import LutNetwork
from lutnet.nn.options import DifferentiableOptions, ThermometerOptions
from lutnet.nn.pooling import AveragePool, MaxPool, OrPool
from lutnet.nn.population_count import GroupSum
from lutnet.nn.quantize import (
    HardTanh,
    Quantizer,
    ScaledQuantizer,
    SignedUniform,
    UniformQuantizer,
    UnsignedUniform,
)
from lutnet.nn.quantizer_kinds import ClippedReLU, FixedPoint, StochasticFixedPoint, UnsignedFixedPoint
from lutnet.nn.skip import AddedSkip, ConcatSkip
from lutnet.nn.thermometer import Thermometer
from lutnet.nn.width_options import WidthOptions
from lutnet.nn.wiring import contiguous_wiring, given_wiring, random_wiring, strided_wiring
from lutnet.nn.wiring_options import EnsembleOptions, WiringOptions

__all__ = [
    "FAMILIES",
    "QUANTIZERS",
    "TABLE_FAMILIES",
    "WIRED_FAMILIES",
    "AddedSkip",
    "AdderNeurons",
    "AdderOptions",
    "AdditiveEdges",
    "AdditiveOptions",
    "AnomalyHead",
    "ArithmeticNeurons",
    "ArithmeticOptions",
    "AssembleNeurons",
    "AssembleOptions",
    "AveragePool",
    "Binary",
    "ClassHead",
    "ClippedReLU",
    "ConcatSkip",
    "Convolution",
    "DifferentiableLut",
    "DifferentiableOptions",
    "Ensemble",
    "EnsembleOptions",
    "FixedPoint",
    "FixedQuantizer",
    "Geometry",
    "GroupSum",
    "HardTanh",
    "Head",
    "HeadOptions",
    "InputQuantizer",
    "Joined",
    "LabelsHead",
    "Layer",
    "LayerCost",
    "LutLayer",
    "LutModule",
    "LutNetwork",
    "MapLayer",
    "MapOptions",
    "MapShape",
    "MaxPool",
    "NetworkCost",
    "OrPool",
    "PolynomialNeurons",
    "PolynomialOptions",
    "PowerOfTwo",
    "Quantizer",
    "RegressionHead",
    "ScaledQuantizer",
    "ScoresHead",
    "SignedUniform",
    "SparseLinear",
    "StochasticBinary",
    "StochasticFixedPoint",
    "StochasticTernary",
    "SubnetNeurons",
    "SubnetOptions",
    "Summed",
    "TableBudget",
    "Ternary",
    "Thermometer",
    "ThermometerOptions",
    "UniformQuantizer",
    "UnsignedFixedPoint",
    "UnsignedUniform",
    "WidthOptions",
    "WiringOptions",
    "connection_gates",
    "contiguous_wiring",
    "given_wiring",
    "make_quantizer",
    "random_wiring",
    "strided_wiring",
]
