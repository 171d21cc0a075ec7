"""Single layers of any family from configurations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy.typing as npt

from lutnet.nn import WIRED_FAMILIES, AdditiveEdges, DifferentiableLut, Layer, Quantizer, TableBudget
from lutnet.nn.edge_codes import ScoreCodes, WrappedCodes
from lutnet.train.config import ModelConfig

__all__ = ["additive_layer", "boolean_layer", "table_budget", "wired_layer"]


def wired_layer(
    config: ModelConfig,
    name: str,
    source: Quantizer,
    width: int,
    wiring: npt.ArrayLike,
    quantizer: Quantizer,
    *,
    joins: bool = False,
) -> Layer:
    """A layer of a family that is made from a wiring, with its settings.

    Args:
        config: The network.
        name: A key of ``lutnet.nn.WIRED_FAMILIES``.
        source: Makes its inputs.
        width: How many there are.
        wiring: Integer array, a row of operands a neuron.
        quantizer: Makes its codes.
        joins: Whether it is a level of a tree above its leaves, of the family ``"assemble"``.
    """
    options: dict[str, Any] = {
        "adder": config.adder,
        "arithmetic": config.arithmetic,
        "assemble": config.assemble,
        "polynomial": config.polynomial,
        "subnet": config.subnet,
    }
    more: dict[str, Any] = {"options": options[name]} if name in options else {}
    if name == "assemble":
        more["joins"] = joins
    make: Callable[..., Layer] = WIRED_FAMILIES[name]
    return make(source, width, wiring, quantizer, budget=table_budget(config), widths=config.widths, **more)


def table_budget(config: ModelConfig) -> TableBudget:
    """What the tables of a layer may take."""
    return TableBudget(max_address_bits=config.max_address_bits)


def additive_layer(config: ModelConfig, source: Quantizer, width: int, size: int, *, scores: bool = False) -> Layer:
    """A layer of edge tables: hidden codes, or scores."""
    opt = config.additive
    codes = ScoreCodes(opt.temperature) if scores else WrappedCodes(opt.hidden_bits, size, opt.fraction_bits)
    return AdditiveEdges(source, width, size, codes, opt)


def boolean_layer(
    config: ModelConfig, source: Quantizer, width: int, size: int, *, first: bool, wiring: npt.ArrayLike | None = None
) -> Layer:
    """A layer of differentiable tables; the mapping of the first one is learned unless the settings say otherwise.

    Args:
        config: The network.
        source: Makes bits.
        width: How many.
        size: Number of tables.
        first: Whether it is the first of its chain.
        wiring: Of a layer whose mapping is fixed, in place of a random one.
    """
    mapping = config.differentiable.mapping
    learned = wiring is None and (mapping == "learned" or (mapping == "first" and first))
    return DifferentiableLut(source, width, size, config.differentiable, learned=learned, wiring=wiring)
