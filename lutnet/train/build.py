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
    Ensemble,
    GroupSum,
    Head,
    InputQuantizer,
    Layer,
    LutNetwork,
    Quantizer,
    TableBudget,
    Thermometer,
    make_quantizer,
)
from lutnet.nn.edge_codes import ScoreCodes
from lutnet.nn.families.additive import make_additive_layers
from lutnet.nn.input_ranges import informative_ranges
from lutnet.train.config import ModelConfig
from lutnet.train.data import Dataset
from lutnet.train.heads import dataset_for, make_head
from lutnet.train.wirings import check_wirings, first_wirings

__all__ = ["build_network", "empty_network", "fit_inputs", "layer_quantizer"]


def build_network(
    config: ModelConfig, dataset: Dataset, *, wirings: Sequence[npt.ArrayLike] | None = None
) -> LutNetwork:
    """A network with fresh weights, its input quantiser fitted on the training set.

    Args:
        config: What to make.
        dataset: Features, classes and the training set.
        wirings: For each layer an integer array of shape ``(n_neurons, fan_in)`` in place of ``config.wiring``; for an ensemble member
            after member. A wiring to be learned is random without it; see :func:`lutnet.train.wiring_learning.learned_wirings`.

    Raises:
        UserError: A name is unknown, a fan-in exceeds the inputs, or a table exceeds the budget.
    """
    head = make_head(config.head, dataset.class_names, dataset)
    dataset = dataset_for(head, dataset)
    quantizer = fit_inputs(config, dataset)
    return _assemble(config, quantizer, head, dataset.feature_names, dataset.class_names, wirings, dataset)


def empty_network(
    config: ModelConfig, feature_bits: Sequence[int], feature_names: Sequence[str], class_names: Sequence[str]
) -> LutNetwork:
    """The same shape without data, for a checkpoint to be loaded into."""
    head = make_head(config.head, class_names, None)
    return _assemble(config, InputQuantizer(feature_bits), head, feature_names, class_names, None, None)


def fit_inputs(config: ModelConfig, dataset: Dataset) -> InputQuantizer:
    """The input quantiser of a configuration, fitted on the training set."""
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
        dataset.require_classes("model.input_codes = 'informative'")
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
    head: Head,
    feature_names: Sequence[str],
    class_names: Sequence[str],
    wirings: Sequence[npt.ArrayLike] | None,
    dataset: Dataset | None,
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
    n_features = len(feature_names)
    sizes = (n_features, *config.hidden_layers, head.n_neurons(n_features, len(class_names)))
    if wirings is not None:
        wirings = check_wirings(config, sizes, wirings, "the caller")
    n_layers, options = len(sizes) - 1, config.ensemble
    score = _score_quantizer(config, head, n_layers - 1, sizes[-1]) if config.family in WIRED_FAMILIES else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        members = []
        for member in range(options.members):
            own = None if wirings is None else wirings[member * n_layers : (member + 1) * n_layers]
            members.append(_member(config, inputs, sizes, own, dataset, member, score))
        layers = members[0] if len(members) == 1 else [Ensemble(inputs, sizes[0], members, options)]
    return LutNetwork(inputs, layers, head, feature_names=feature_names, class_names=class_names)


def _member(
    config: ModelConfig,
    inputs: InputQuantizer,
    sizes: Sequence[int],
    wirings: Sequence[npt.ArrayLike] | None,
    dataset: Dataset | None,
    member: int,
    score: Quantizer | None,
) -> Sequence[Layer]:
    """The layers of a network, or of one member of an ensemble."""
    if config.family == "additive":
        return make_additive_layers(inputs, sizes, config.additive)
    if config.family == "differentiable":
        return _boolean_layers(config, inputs, sizes, None if dataset is None else dataset.train.x)
    chosen = first_wirings(config, sizes, member, inputs, dataset) if wirings is None else wirings
    assert score is not None
    return _wired_layers(config, inputs, sizes, chosen, score)


def _wired_layers(
    config: ModelConfig,
    inputs: InputQuantizer,
    sizes: Sequence[int],
    wirings: Sequence[npt.ArrayLike],
    score: Quantizer,
) -> list[Layer]:
    """Hidden layers and an output layer of one neuron a class, each made from a wiring."""
    budget = TableBudget(max_address_bits=config.max_address_bits)
    layers: list[Layer] = []
    source: Quantizer = inputs
    for index, (width, size) in enumerate(pairwise(sizes)):
        make = _wired_family(config, index)
        quantizer = score if index == len(sizes) - 2 else layer_quantizer(config, index, size)
        layers.append(make(source, width, wirings[index], quantizer, budget=budget, widths=config.widths))
        source = quantizer
    return layers


def _wired_family(config: ModelConfig, index: int) -> Callable[..., Layer]:
    """The family of a layer with its options."""
    name = config.family_name(index)
    if name not in WIRED_FAMILIES:
        raise UserError(f"model.layer_families are out of {', '.join(sorted(WIRED_FAMILIES))}, got '{name}'")
    options = {
        "adder": config.adder,
        "arithmetic": config.arithmetic,
        "polynomial": config.polynomial,
        "subnet": config.subnet,
    }
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


def _score_quantizer(config: ModelConfig, head: Head, index: int, size: int) -> Quantizer:
    """The output quantiser of the last layer: exact sums where one arithmetic layer makes them and no table reads them."""
    exact = config.arithmetic.exact_scores and config.ensemble.members == 1 and not head.needs_tables
    return (
        ScoreCodes(1.0) if exact and config.family_name(index) == "arithmetic" else layer_quantizer(config, index, size)
    )


def layer_quantizer(config: ModelConfig, index: int, size: int) -> Quantizer:
    """The output quantiser of a layer of ``size`` neurons."""
    per_channel = config.per_channel and index < len(config.hidden_layers)
    return make_quantizer(config.quantizer_name(index), config.bitwidth(index), size if per_channel else 1)
