"""Wirings as data: read from a network, written to a file that can be edited, and chosen for a configuration."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lutnet.errors import UserError
from lutnet.files import write_text
from lutnet.nn import WIRED_FAMILIES, AddedSkip, ConcatSkip, Ensemble, InputQuantizer, LutNetwork, Thermometer
from lutnet.nn.convolution import MapLayer
from lutnet.nn.families.assemble import tree_wiring
from lutnet.nn.layer import Layer
from lutnet.nn.wiring import Wiring, contiguous_wiring, given_wiring, random_wiring, strided_wiring
from lutnet.nn.wiring_information import information_wiring
from lutnet.train.config import ModelConfig
from lutnet.train.data import Dataset

__all__ = ["check_wirings", "first_wirings", "n_operands", "read_wirings", "wirings_of", "write_wirings"]

VERSION = 1

MEMBER_SEEDS = 1_000_003
"""Distance of the seeds of an ensemble's members."""


def wirings_of(network: LutNetwork) -> list[Wiring]:
    """The wiring of every layer behind the maps, int64, shape ``(neurons, operands)`` each; of an ensemble member after member.

    Raises:
        UserError: A layer has none.
    """
    found = []
    for number, layer in enumerate(_layers(network)):
        wiring = getattr(layer, "wiring", None)
        if not isinstance(wiring, Tensor):
            raise UserError(f"layer {number}, {type(layer).__name__}, has no wiring; only families with one share it")
        found.append(wiring.detach().cpu().numpy().copy())
    return found


def write_wirings(path: str | Path, wirings: Sequence[npt.ArrayLike]) -> None:
    """Writes wirings as JSON, a line a neuron."""
    layers = []
    for wiring in wirings:
        rows = ",\n   ".join(json.dumps(np.asarray(row).tolist()) for row in np.asarray(wiring))
        layers.append(f"  [{rows}]")
    write_text(Path(path), f'{{"version": {VERSION}, "wirings": [\n' + ",\n".join(layers) + "\n]}\n")


def read_wirings(path: str | Path) -> list[Wiring]:
    """Reads wirings that :func:`write_wirings` wrote, perhaps edited; indices are checked when a network is made.

    Raises:
        UserError: The file is missing, is no JSON of this kind, or its rows are no integers or of different lengths.
    """
    source = Path(path)
    try:
        data: Any = json.loads(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"cannot read the wirings {source}: {error.strerror}; lutnet writes wiring.json into a run"
        ) from None
    except ValueError as error:
        raise UserError(f"{source} is no JSON file: {error}") from None
    if not isinstance(data, dict) or data.get("version") != VERSION or not isinstance(data.get("wirings"), list):
        raise UserError(f'{source} holds no wirings; expected {{"version": {VERSION}, "wirings": [a list a layer]}}')
    return [_parsed(rows, f"wiring {number} of {source}") for number, rows in enumerate(data["wirings"])]


def n_operands(config: ModelConfig, layer: int) -> int:
    """Operands of each neuron of a layer, those of all terms where neurons are sums."""
    return config.fanin(layer) * (config.adder.terms if config.family_name(layer) == "adder" else 1)


def check_wirings(
    config: ModelConfig, sizes: Sequence[int], wirings: Sequence[npt.ArrayLike], what: str
) -> list[Wiring]:
    """Wirings that fit the layers of a configuration.

    Args:
        config: The network.
        sizes: Features, neurons of each hidden layer and classes.
        wirings: One a layer; for an ensemble member after member.
        what: Where they come from, in the message.

    Raises:
        UserError: Their number or a shape is wrong, an index is out of range, or a neuron reads an input twice.
    """
    n_layers, n_members = len(sizes) - 1, config.ensemble.members
    if len(wirings) != n_layers * n_members:
        members = f" and {n_members} members" if n_members > 1 else ""
        raise UserError(
            f"expected a wiring for each of {n_layers} layers{members}, {n_layers * n_members} in all, got {len(wirings)} from {what}"
        )
    checked = []
    for number, rows in enumerate(wirings):
        index = number % n_layers
        place = f"layer {index}" + (f" of member {number // n_layers}" if n_members > 1 else "")
        n_in, n_out = config.reads(sizes)[index], sizes[index + 1]
        n_terms = config.adder.terms if config.family_name(index) == "adder" else 1
        found = _parsed(rows, f"the wiring of {place} from {what}")
        if found.shape != (n_out, n_operands(config, index)):
            terms = f", the operands of {n_terms} terms in a row" if n_terms > 1 else ""
            raise UserError(
                f"the wiring of {place} from {what} has shape {found.shape}, expected {(n_out, n_operands(config, index))}: "
                f"neurons and operands of each{terms}"
            )
        try:
            given_wiring(found.reshape(n_out * n_terms, -1), n_in)
        except UserError as error:
            raise UserError(f"the wiring of {place} from {what}: {error}") from None
        checked.append(found)
    return checked


def first_wirings(
    config: ModelConfig, sizes: Sequence[int], member: int, inputs: InputQuantizer, dataset: Dataset | None
) -> list[Wiring]:
    """The wirings of one member of a network before anything is trained; those to be learned are random.

    Layers of families without a wiring have one of no operands.

    Args:
        config: The network.
        sizes: Features, neurons of each hidden layer and classes.
        member: Number of the member, 0 for a plain network.
        inputs: Fitted to the features.
        dataset: Its training rows choose a wiring by information; ``None`` for a network whose wirings are loaded later.

    Raises:
        UserError: A fan-in exceeds the inputs, or a file of wirings does not fit.
    """
    n_layers = len(sizes) - 1
    kinds = [config.wiring_name(index) for index in range(n_layers)]
    from_file: list[Wiring] = []
    if "file" in kinds and dataset is not None:
        if not config.wiring_file:
            raise UserError("a wiring from a file needs model.wiring_file; name the wiring.json of a run")
        read = read_wirings(config.wiring_file)
        from_file = check_wirings(config, sizes, read, config.wiring_file)[member * n_layers :]
    found = []
    for index, kind in enumerate(kinds):
        n_in, n_out = config.reads(sizes)[index], sizes[index + 1]
        if config.family_name(index) not in WIRED_FAMILIES:
            found.append(np.zeros((n_out, 0), dtype=np.int64))
        elif kind == "file" and from_file:
            found.append(from_file[index])
        elif kind == "information" and index == 0 and dataset is not None:
            found.append(_informed(config, n_out, member, inputs, dataset))
        else:
            found.append(_blind(config, index, n_in, n_out, member))
    return found


def _blind(config: ModelConfig, index: int, n_in: int, n_out: int, member: int) -> Wiring:
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
        wiring = random_wiring(n_in, n_rows, fan_in, (config.seed + member * MEMBER_SEEDS) * 1000 + index)
    return wiring.reshape(n_out, -1)


def _informed(config: ModelConfig, n_out: int, member: int, inputs: InputQuantizer, dataset: Dataset) -> Wiring:
    """The first layer's wiring by mutual information of the features' codes with the class."""
    dataset.require_classes("model.wiring = 'information'")
    codes = inputs.codes(torch.from_numpy(dataset.train.x)).numpy()
    seed = (config.seed + member * MEMBER_SEEDS) * 1000
    redundancy = config.wiring_learning.redundancy
    n_rows = n_out * n_operands(config, 0) // config.fanin(0)
    y = np.asarray(dataset.train.y, dtype=np.int64)
    return information_wiring(codes, y, n_rows, config.fanin(0), seed, redundancy=redundancy).reshape(n_out, -1)


def _parsed(rows: npt.ArrayLike, what: str) -> Wiring:
    """Integer rows of equal length, at least one of at least one."""
    try:
        array = np.array(rows.cpu().numpy() if isinstance(rows, Tensor) else rows)
    except ValueError:
        raise UserError(f"{what} needs equally long rows, one a neuron, got rows of different lengths") from None
    if array.ndim != 2 or not array.size or not np.issubdtype(array.dtype, np.integer):
        raise UserError(f"{what} holds rows of whole numbers, one a neuron, got shape {array.shape} of {array.dtype}")
    return array.astype(np.int64)


def _layers(network: LutNetwork) -> list[Layer]:
    """All layers behind thermometers and maps, those of an ensemble member after member, those inside of a skip connection in its place."""
    found: list[Layer] = []
    for layer in network.layers:
        parts = [inner for chain in layer.all_chains() for inner in chain] if isinstance(layer, Ensemble) else [layer]
        for part in parts:
            found += part.layers if isinstance(part, (AddedSkip, ConcatSkip)) else [part]  # type: ignore[list-item]
    return [layer for layer in found if not isinstance(layer, (Thermometer, MapLayer))]
