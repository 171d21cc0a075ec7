"""Networks from configurations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy.typing as npt
import torch

from lutnet.errors import UserError
from lutnet.nn import WIRED_FAMILIES, Ensemble, Head, InputQuantizer, LutNetwork
from lutnet.nn.input_ranges import informative_ranges
from lutnet.train.chain import LayerChain, check_families, has_wirings, score_quantizer
from lutnet.train.config import ModelConfig
from lutnet.train.data import Dataset
from lutnet.train.heads import dataset_for, make_head
from lutnet.train.maps import n_map_columns
from lutnet.train.wirings import check_wirings, first_wirings

__all__ = ["build_network", "empty_network", "fit_inputs"]


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
    check_families(config, head)
    if wirings is not None and not has_wirings(config):
        raise UserError(
            f"the family '{config.family}' chooses its wiring itself; leave wirings out, or choose one of "
            f"{', '.join(sorted(WIRED_FAMILIES))}"
        )
    n_features = len(feature_names)
    n_outputs = head.n_neurons(n_features, len(class_names))
    sizes = (n_map_columns(config, n_features), *config.hidden_layers, n_outputs)
    if wirings is not None:
        wirings = check_wirings(config, sizes, wirings, "the caller")
    n_layers, options = config.n_layers, config.ensemble
    score = score_quantizer(config, head, sizes[-1])
    x = None if dataset is None else dataset.train.x
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        members = []
        for member in range(options.members):
            own = None if wirings is None else wirings[member * n_layers : (member + 1) * n_layers]
            chosen = first_wirings(config, sizes, member, inputs, dataset) if own is None else own
            members.append(LayerChain(config, chosen, score, x).layers(inputs, n_features, n_outputs))
        layers = members[0] if len(members) == 1 else [Ensemble(inputs, n_features, members, options)]
    return LutNetwork(inputs, layers, head, feature_names=feature_names, class_names=class_names)
