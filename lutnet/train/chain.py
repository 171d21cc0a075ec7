"""The layers of a network, of any family in any place, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError
from lutnet.nn import (
    FAMILIES,
    WIRED_FAMILIES,
    AddedSkip,
    ConcatSkip,
    GroupSum,
    Head,
    InputQuantizer,
    Layer,
    Quantizer,
    Thermometer,
    make_quantizer,
)
from lutnet.nn.edge_codes import ScoreCodes
from lutnet.train.config import ModelConfig
from lutnet.train.layers import additive_layer, boolean_layer, table_budget, wired_layer
from lutnet.train.maps import map_layers

__all__ = ["LayerChain", "check_families", "has_wirings", "layer_quantizer", "score_quantizer"]


def has_wirings(config: ModelConfig) -> bool:
    """Whether every layer is of a family with a wiring."""
    return all(config.family_name(index) in WIRED_FAMILIES for index in range(config.n_layers))


def check_families(config: ModelConfig, head: Head) -> None:
    """Refuses families that do not exist, or not in their place.

    Raises:
        UserError: The message names the layer.
    """
    for index in range(config.n_layers):
        name = config.family_name(index)
        if name not in FAMILIES:
            known = ", ".join(sorted([*FAMILIES, "trees"]))
            where = f"layer {index} of model.layer_families" if config.layer_families else "model.family"
            raise UserError(f"{where} is one of {known}, got '{name}'")
        if config.widths.granularity != "none" and name not in WIRED_FAMILIES:
            raise UserError(
                f"model.widths are learned by families with a wiring ({', '.join(sorted(WIRED_FAMILIES))}), the family "
                f"'{name}' has its own; leave model.widths out"
            )
    last = config.family_name(config.n_layers - 1)
    if head.needs_tables and last in ("additive", "differentiable"):
        raise UserError(
            f"the head '{head.kind}' reads the last codes as tables, the family '{last}' ends in sums that are too wide for them; end "
            "model.layer_families with another family"
        )
    if last == "differentiable" and (
        config.n_layers < 2 or config.family_name(config.n_layers - 2) != "differentiable"
    ):
        raise UserError("the family 'differentiable' needs at least one hidden layer; set model.hidden_layers")


def score_quantizer(config: ModelConfig, head: Head, size: int) -> Quantizer:
    """The output quantiser of a last layer with a wiring: exact sums where one arithmetic layer makes them and no table reads them."""
    last = config.n_layers - 1
    exact = config.arithmetic.exact_scores and config.ensemble.members == 1 and not head.needs_tables
    return (
        ScoreCodes(1.0) if exact and config.family_name(last) == "arithmetic" else layer_quantizer(config, last, size)
    )


def layer_quantizer(config: ModelConfig, index: int, size: int) -> Quantizer:
    """The output quantiser of a layer of ``size`` neurons."""
    per_channel = config.per_channel and index < len(config.hidden_layers)
    return make_quantizer(config.quantizer_name(index), config.bitwidth(index), size if per_channel else 1)


@dataclass
class LayerChain:
    """Makes the layers of a network, or of one member of an ensemble.

    Attributes:
        config: Which layers.
        wirings: A wiring a layer; those of layers without one are not looked at.
        score: Makes the codes of a last layer with a wiring.
        x: Features of the training set, which thermometers are fitted on; ``None`` where they are loaded later.
    """

    config: ModelConfig
    wirings: Sequence[npt.ArrayLike]
    score: Quantizer
    x: npt.NDArray[np.float32] | None = None

    def layers(self, inputs: Quantizer, n_in: int, n_out: int) -> list[Layer]:
        """Hidden layers and an output layer, each with the connection around it that the configuration asks for.

        Args:
            inputs: What makes the inputs.
            n_in: Number of inputs.
            n_out: Neurons of the output layer.
        """
        found = [self._thermometer(inputs, n_in)] if self.config.reads_bits else []
        found += map_layers(self.config, found[-1].quantizer if found else inputs, n_in)
        source, width = (found[-1].quantizer, found[-1].out_features) if found else (inputs, n_in)
        for index, size in enumerate((*self.config.hidden_layers, n_out)):
            layer = self._with_skip(index, source, width, self._layer(index, source, width, size))
            found.append(layer)
            source, width = layer.quantizer, layer.out_features
        return found

    def _layer(self, index: int, source: Quantizer, width: int, size: int) -> Layer:
        config, last = self.config, index == self.config.n_layers - 1
        name = config.family_name(index)
        if name == "additive":
            return additive_layer(config, source, width, size, scores=last)
        if name == "differentiable":
            if last:
                return GroupSum(source, width, size, tau=config.differentiable.tau)
            return boolean_layer(config, source, width, size, first=index == 0)
        quantizer = self.score if last else layer_quantizer(config, index, size)
        joins = config.joins(index)
        return wired_layer(config, name, source, width, self.wirings[index], quantizer, joins=joins)

    def _with_skip(self, index: int, source: Quantizer, width: int, layer: Layer) -> Layer:
        kind = self.config.skip_name(index)
        if kind == "concat":
            return ConcatSkip(source, width, [layer])
        if kind == "sum":
            quantizer = layer_quantizer(self.config, index, layer.out_features)
            return AddedSkip(source, width, [layer], quantizer, budget=table_budget(self.config))
        return layer

    def _thermometer(self, inputs: Quantizer, n_in: int) -> Layer:
        if not isinstance(inputs, InputQuantizer):
            raise UserError("a thermometer reads the codes of features; put the family 'differentiable' in front")
        codes = self.config.thermometer
        encoder = Thermometer(inputs, n_in, codes.n_thresholds, learned=codes.learned, ramp=codes.ramp)
        encoder.positions.lr_scale = codes.lr_scale  # type: ignore[attr-defined]
        if self.x is not None:
            encoder.fit(codes.placement, self.x)
        return encoder
