"""Networks from configurations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch

from lutnet.errors import UserError
from lutnet.nn import (
    FAMILIES,
    WIRED_FAMILIES,
    DifferentiableLut,
    GroupSum,
    InputQuantizer,
    Layer,
    LutNetwork,
    Quantizer,
    TableBudget,
    Thermometer,
    make_quantizer,
)
from lutnet.nn.families.additive import make_additive_layers
from lutnet.nn.families.assemble import tree_wiring
from lutnet.nn.input_ranges import informative_ranges
from lutnet.nn.wiring import Wiring, contiguous_wiring, random_wiring, strided_wiring
from lutnet.train.config import ModelConfig
from lutnet.train.data import Dataset

__all__ = ["build_network", "empty_network"]


def build_network(
    config: ModelConfig, dataset: Dataset, *, wirings: Sequence[npt.ArrayLike] | None = None
) -> LutNetwork:
    """A network with fresh weights, its input quantiser fitted on the training set.

    Args:
        config: What to make.
        dataset: Features, classes and the training set.
        wirings: For each layer an integer array of shape ``(n_neurons, fan_in)`` in place of ``config.wiring``.

    Raises:
        UserError: A name is unknown, a fan-in exceeds the inputs, or a table exceeds the budget.
    """
    quantizer = _fit_inputs(config, dataset)
    return _assemble(config, quantizer, dataset.feature_names, dataset.class_names, wirings, dataset.train.x)


def empty_network(
    config: ModelConfig, feature_bits: Sequence[int], feature_names: Sequence[str], class_names: Sequence[str]
) -> LutNetwork:
    """The same shape without data, for a checkpoint to be loaded into."""
    return _assemble(config, InputQuantizer(feature_bits), feature_names, class_names, None, None)


def _fit_inputs(config: ModelConfig, dataset: Dataset) -> InputQuantizer:
    x, names = dataset.train.x, dataset.feature_names
    if config.input_codes == "binary":
        if config.input_bitwidth != 1:
            raise UserError(f"binary input codes have 1 bit, got model.input_bitwidth = {config.input_bitwidth}")
        return InputQuantizer.fit_binary(x, feature_names=names)
    if config.input_codes == "range":
        return InputQuantizer.over_range(len(names), config.input_bitwidth, *config.input_range)
    bits: int | tuple[int, ...] = config.feature_bits or config.input_bitwidth
    allow = dataset.allow_constant
    if config.input_codes == "informative":
        ranges = informative_ranges(x, dataset.train.y, bits)
        return InputQuantizer.fit_ranges(x, bits, ranges, allow_constant=allow, feature_names=names)
    if config.input_codes == "uniform":
        low, high = config.input_low, config.input_high
        return InputQuantizer.fit_uniform(
            x, bits, low_quantile=low, high_quantile=high, allow_constant=allow, feature_names=names
        )
    return InputQuantizer.fit_quantile(x, bits, allow_constant=allow, feature_names=names)


def _assemble(
    config: ModelConfig,
    inputs: InputQuantizer,
    feature_names: Sequence[str],
    class_names: Sequence[str],
    wirings: Sequence[npt.ArrayLike] | None,
    x: npt.NDArray[np.float32] | None,
) -> LutNetwork:
    if config.family == "trees":
        raise UserError("the family 'trees' is no network; train it with `lutnet train` or lutnet.trees.train_trees")
    if config.family not in FAMILIES:
        raise UserError(f"model.family is one of {', '.join(sorted([*FAMILIES, 'trees']))}, got '{config.family}'")
    if wirings is not None and config.family not in WIRED_FAMILIES:
        raise UserError(
            f"the family '{config.family}' chooses its wiring itself; leave wirings out, or choose one of "
            f"{', '.join(sorted(WIRED_FAMILIES))}"
        )
    if config.widths.granularity != "none" and config.family not in WIRED_FAMILIES:
        raise UserError(
            f"model.widths are learned by families with a wiring ({', '.join(sorted(WIRED_FAMILIES))}), the family "
            f"'{config.family}' has its own; leave model.widths out"
        )
    sizes = (len(feature_names), *config.hidden_layers, len(class_names))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        layers: Sequence[Layer]
        if config.family == "additive":
            layers = make_additive_layers(inputs, sizes, config.additive)
        elif config.family == "differentiable":
            layers = _boolean_layers(config, inputs, sizes, x)
        else:
            layers = _wired_layers(config, inputs, sizes, wirings)
    return LutNetwork(inputs, layers, feature_names=feature_names, class_names=class_names)


def _wired_layers(
    config: ModelConfig, inputs: InputQuantizer, sizes: Sequence[int], wirings: Sequence[npt.ArrayLike] | None
) -> list[Layer]:
    """Hidden layers and an output layer of one neuron a class, each made from a wiring."""
    if wirings is not None and len(wirings) != len(sizes) - 1:
        raise UserError(f"expected a wiring for each of {len(sizes) - 1} layers, got {len(wirings)}")
    budget = TableBudget(max_address_bits=config.max_address_bits)
    layers: list[Layer] = []
    source: Quantizer = inputs
    for index, (width, size) in enumerate(pairwise(sizes)):
        make = _wired_family(config, index)
        wiring = _wiring(config, index, width, size) if wirings is None else wirings[index]
        layer = make(source, width, wiring, _quantizer(config, index, size), budget=budget, widths=config.widths)
        layers.append(layer)
        source = layer.quantizer
    return layers


def _wired_family(config: ModelConfig, index: int) -> Callable[..., Layer]:
    """The family of a layer with its options."""
    name = config.family_name(index)
    if name not in WIRED_FAMILIES:
        raise UserError(f"model.layer_families are out of {', '.join(sorted(WIRED_FAMILIES))}, got '{name}'")
    options = {"adder": config.adder, "polynomial": config.polynomial, "subnet": config.subnet}
    family: Callable[..., Layer] = WIRED_FAMILIES[name]
    if name == "assemble":
        return partial(family, options=config.assemble, joins=config.joins(index))
    return partial(family, options=options[name]) if name in options else family


def _boolean_layers(
    config: ModelConfig, inputs: InputQuantizer, sizes: Sequence[int], x: npt.NDArray[np.float32] | None
) -> list[Layer]:
    """Thermometer codes, hidden layers of Boolean functions, and a population count a class."""
    options, codes = config.differentiable, config.thermometer
    if not config.hidden_layers:
        raise UserError("the family 'differentiable' needs at least one hidden layer; set model.hidden_layers")
    encoder = Thermometer(inputs, sizes[0], codes.n_thresholds, learned=codes.learned, ramp=codes.ramp)
    encoder.positions.lr_scale = codes.lr_scale
    if x is not None:
        encoder.fit(codes.placement, x)
    layers: list[Layer] = [encoder]
    for index, size in enumerate(config.hidden_layers):
        learned = options.mapping == "learned" or (options.mapping == "first" and index == 0)
        before = layers[-1]
        layers.append(DifferentiableLut(before.quantizer, before.out_features, size, options, learned=learned))
    last = layers[-1]
    layers.append(GroupSum(last.quantizer, last.out_features, sizes[-1], tau=options.tau))
    return layers


def _quantizer(config: ModelConfig, index: int, size: int) -> Quantizer:
    per_channel = config.per_channel and index < len(config.hidden_layers)
    return make_quantizer(config.quantizer_name(index), config.bitwidth(index), size if per_channel else 1)


def _wiring(config: ModelConfig, index: int, n_in: int, n_out: int) -> Wiring:
    """A row a neuron; one row after the other for each term of neurons that are sums."""
    n_rows = n_out * config.adder.terms if config.family_name(index) == "adder" else n_out
    fan_in = config.fanin(index)
    if config.joins(index):
        return tree_wiring(n_in, n_out, fan_in, f"layer {index}, a level of a tree")
    kind = config.wiring_name(index)
    if kind == "strided":
        wiring = strided_wiring(n_in, n_rows, fan_in)
    elif kind == "contiguous":
        wiring = contiguous_wiring(n_in, n_rows, fan_in)
    else:
        wiring = random_wiring(n_in, n_rows, fan_in, config.seed * 1000 + index)
    return wiring.reshape(n_out, -1)
