"""Small kernels of several families for the windows of a map; each is called as ``kernel(source, window)``."""

from __future__ import annotations

from lutnet.nn import (
    AdditiveEdges,
    AdditiveOptions,
    ArithmeticNeurons,
    ArithmeticOptions,
    Layer,
    SparseLinear,
    contiguous_wiring,
    make_quantizer,
    random_wiring,
)
from lutnet.nn.edge_codes import WrappedCodes
from lutnet.nn.quantize import Quantizer

__all__ = ["additive_kernel", "arithmetic_kernel", "linear_kernel", "two_layer_kernel"]


def linear_kernel(source: Quantizer, window: int) -> list[Layer]:
    """Two weighted sums of three places."""
    return [SparseLinear(source, window, random_wiring(window, 2, 3, 0), make_quantizer("signed", 2))]


def two_layer_kernel(source: Quantizer, window: int) -> list[Layer]:
    """Four weighted sums, and two of these."""
    first = SparseLinear(source, window, random_wiring(window, 4, 2, 0), make_quantizer("hard-tanh", 2, 4))
    return [first, SparseLinear(first.quantizer, 4, contiguous_wiring(4, 2, 2), make_quantizer("signed", 3, 2))]


def additive_kernel(source: Quantizer, window: int) -> list[Layer]:
    """Two sums of edge tables."""
    return [AdditiveEdges(source, window, 2, WrappedCodes(3, 2, 1), AdditiveOptions())]


def arithmetic_kernel(source: Quantizer, window: int) -> list[Layer]:
    """Two dense sums of constant weights."""
    wiring = random_wiring(window, 2, 1, 0)
    return [ArithmeticNeurons(source, window, wiring, make_quantizer("unsigned", 2), options=ArithmeticOptions())]
