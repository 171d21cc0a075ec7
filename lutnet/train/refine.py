"""Going on from a finished network: more training, or fewer bits of the inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from lutnet.errors import UserError
from lutnet.nn import DifferentiableLut, Layer, LutNetwork, Thermometer
from lutnet.train.build import build_network
from lutnet.train.chain import has_wirings
from lutnet.train.checkpoint import SavedModel
from lutnet.train.config import ModelConfig
from lutnet.train.data import Dataset
from lutnet.train.wirings import wirings_of

__all__ = ["refined_network"]


def refined_network(saved: SavedModel, config: ModelConfig, dataset: Dataset) -> LutNetwork:
    """A network with the weights of a saved one, to be trained further; learned mappings stay as they are.

    Args:
        saved: The network to begin with; it is left as it is.
        config: The same network, or the same with another ``input_bitwidth``: the thresholds of its thermometer then
            move to the nearest ones that the new codes can state.
        dataset: What the new codes are fitted on.

    Raises:
        UserError: The configuration is of another network, or other input codes would change the tables behind them.
    """
    before = saved.config.model
    same = replace(config, input_bitwidth=before.input_bitwidth, seed=before.seed)
    if same != before:
        changed = [name for name in vars(before) if getattr(same, name) != getattr(before, name)]
        raise UserError(
            f"going on from '{saved.config.name}' needs its own network, this configuration differs in "
            f"{', '.join(f'model.{name}' for name in changed)}; only model.input_bitwidth may change"
        )
    wirings = wirings_of(saved.network) if has_wirings(before) else None
    network = build_network(replace(config, seed=before.seed), dataset, wirings=wirings)
    layers = cast("Sequence[Layer]", network.layers)
    for layer in network.modules():
        if isinstance(layer, DifferentiableLut):
            layer.hold_mapping()
    # tables that were settled are results of a training; more training begins with the functions
    state = {name: value for name, value in saved.network.state_dict().items() if ".settled." not in name}
    if config.input_bitwidth == before.input_bitwidth:
        network.load_state_dict(state)
        return network
    theirs, ours = saved.network.layers[0], layers[0]
    if not (isinstance(theirs, Thermometer) and isinstance(ours, Thermometer)):
        raise UserError(
            f"fewer input bits change the tables of the family '{before.family}'; train it anew, or use a family with "
            "thermometer codes"
        )
    of_inputs = ("input_quantizer.", "layers.0.")
    network.load_state_dict({k: v for k, v in state.items() if not k.startswith(of_inputs)}, strict=False)
    ours.read_from(theirs)
    return network
