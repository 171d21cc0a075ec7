"""From values of a space's dimensions to a configuration: which dimensions a network has, and what its layers cannot have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from lutnet.nn import QUANTIZERS, WIRED_FAMILIES, WidthOptions
from lutnet.search.dimensions import Dimension, Value
from lutnet.train.config import ModelConfig, RunConfig, TrainConfig

__all__ = ["FAMILY_OPTIONS", "LAYER_FIELDS", "TABLE_FIELDS", "Ask", "configure", "layer_dimensions", "widest_address"]

Ask: TypeAlias = Callable[[str, Dimension], Value]
"""Gives the value of a dimension by its name, as :meth:`optuna.trial.Trial.suggest_int` and its neighbours do."""

HIDDEN_FIELDS = ("hidden_layers", "layer_activations")
LAYER_FIELDS = (*HIDDEN_FIELDS, "layer_bitwidths", "layer_fanins", "layer_families", "layer_wirings")
"""Dimensions that every layer has for itself; the first two have no output layer."""

TABLE_FIELDS = (
    "hidden_bitwidth",
    "output_bitwidth",
    "input_fanin",
    "hidden_fanin",
    "output_fanin",
    "activation",
    "output_activation",
    "per_channel",
    "wiring",
    "layer_activations",
    "layer_bitwidths",
    "layer_fanins",
    "layer_families",
    "layer_wirings",
)
"""Dimensions of families of one table a neuron."""

FAMILY_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "additive": ("additive",),
    "adder": ("adder",),
    "arithmetic": ("arithmetic",),
    "assemble": ("assemble",),
    "differentiable": ("differentiable", "thermometer"),
    "polynomial": ("polynomial",),
    "subnet": ("subnet",),
    "trees": ("trees",),
}
"""Families and the tables of settings that only they read, as a whole network or in a layer."""

_ENDS = {"layer_bitwidths": (None, "output_bitwidth"), "layer_fanins": ("input_fanin", "output_fanin")}
"""Dimensions that take the place of a layer's own at the first and at the output layer, where a space has them."""


def configure(base: RunConfig, dimensions: Mapping[str, Dimension], n_features: int, ask: Ask) -> RunConfig:
    """The configuration that a search tries.

    Only dimensions that the chosen family reads are asked for. What a layer cannot have is brought to what it can: bits go to the
    nearest width that exists for the layer's quantiser, and a fan-in to the number of the layer's inputs.

    Args:
        base: What is not searched.
        dimensions: By key, as in :class:`lutnet.search.space.SearchSpace`.
        n_features: Features of the data set.
        ask: Where values come from.

    Raises:
        UserError: The values contradict each other.
    """
    family = ask("family", dimensions["family"]) if "family" in dimensions else base.model.family
    n_hidden = len(base.model.hidden_layers)
    if "n_hidden_layers" in dimensions:
        n_hidden = int(ask("n_hidden_layers", dimensions["n_hidden_layers"]))
    asked: dict[str, Any] = {"family": family}
    for key in _read_by(str(family), dimensions):
        if key in LAYER_FIELDS:
            asked[key] = tuple(ask(*item) for item in layer_dimensions(dimensions, key, n_hidden))
        elif key == "feature_bits":
            asked[key] = tuple(ask(f"{key}.{i}", dimensions[key]) for i in range(n_features))
        else:
            asked[key] = ask(key, dimensions[key])
    if family not in WIRED_FAMILIES:
        asked["widths"] = WidthOptions()
    config = _with_values(base, asked)
    return replace(config, model=_fitted(config.model, n_features)) if family in WIRED_FAMILIES else config


def layer_dimensions(dimensions: Mapping[str, Dimension], key: str, n_hidden: int) -> tuple[tuple[str, Dimension], ...]:
    """Name and dimension of each layer's value of a per-layer key, the output layer's last.

    The names are ``layer_fanins.0``, ``layer_fanins.1`` ... and ``layer_fanins.output``, so that the output layer keeps its name
    in networks of other depths.
    """
    count = n_hidden if key in HIDDEN_FIELDS else n_hidden + 1
    first, last = _ENDS.get(key, (None, None))
    found = []
    for index in range(count):
        end = last if index == n_hidden else first if index == 0 else None
        if end is not None and end in dimensions:
            found.append((end, dimensions[end]))
        else:
            found.append((f"{key}.{'output' if index == n_hidden else index}", dimensions[key]))
    return tuple(found)


def widest_address(model: ModelConfig, n_features: int) -> int:
    """Most address bits of a table of a network of table families; an upper bound where features have different bits.

    Layers that add instead have no such table. Where widths are learned, operands share the budget of an address, so that more than
    that never exists.
    """
    features = sorted(model.feature_bits or (model.input_bitwidth,) * n_features, reverse=True)
    addresses = [sum(features[: model.fanin(0)])]
    addresses += [model.fanin(layer) * model.bitwidth(layer - 1) for layer in range(1, len(model.hidden_layers) + 1)]
    widest = max(bits for layer, bits in enumerate([*addresses, 0]) if not _adds(model, layer))
    return widest if model.widths.granularity == "none" else min(widest, model.max_address_bits)


def _adds(model: ModelConfig, layer: int) -> bool:
    return layer <= len(model.hidden_layers) and model.family_name(layer) == "arithmetic"


def _read_by(family: str, dimensions: Mapping[str, Dimension]) -> Iterator[str]:
    """Keys, other than family and depth, of the dimensions that matter for a family."""
    mixed = family in WIRED_FAMILIES and "layer_families" in dimensions
    foreign = {
        name
        for other, names in FAMILY_OPTIONS.items()
        if other != family and not (mixed and other in WIRED_FAMILIES)
        for name in names
    }
    is_table = family in WIRED_FAMILIES
    replaced = {end for key, ends in _ENDS.items() if key in dimensions for end in ends if end is not None}
    for key in dimensions:
        part = key.split(".", maxsplit=1)[0]
        if key in ("family", "n_hidden_layers") or part in foreign or key in replaced:
            continue
        if not is_table and (part == "widths" or key in TABLE_FIELDS):
            continue
        if family == "trees" and (part == "train" or key == "hidden_layers"):
            continue
        yield key


def _with_values(base: RunConfig, asked: Mapping[str, Any]) -> RunConfig:
    """The base with other values; dots lead into tables of settings."""
    model: dict[str, Any] = {}
    train: dict[str, Any] = {}
    inner: dict[str, dict[str, Any]] = {}
    for key, value in asked.items():
        part, _, field = key.partition(".")
        if not field:
            model[key] = value
        elif part == "train":
            train[field] = value
        else:
            inner.setdefault(part, {})[field] = value
    for part, values in inner.items():
        model[part] = replace(getattr(base.model, part), **values)
    changed: TrainConfig = replace(base.train, **train)
    return replace(base, model=replace(base.model, **model), train=changed)


def _fitted(model: ModelConfig, n_features: int) -> ModelConfig:
    """The bits that each layer's quantiser has, and no more operands than a layer has inputs."""
    inputs = (n_features, *model.hidden_layers)
    layers = range(len(inputs))
    return replace(
        model,
        layer_bitwidths=tuple(_nearest_width(model.quantizer_name(i), model.bitwidth(i)) for i in layers),
        layer_fanins=tuple(min(model.fanin(i), inputs[i]) for i in layers),
    )


def _nearest_width(kind: str, bits: int) -> int:
    known = QUANTIZERS.get(kind)
    return bits if known is None else min(max(bits, known.min_bits), known.max_bits)


def describe_layers(config: RunConfig) -> list[dict[str, Any]]:
    """What each layer of a network of table families is made of, as JSON data; empty for other families."""
    model = config.model
    if model.family not in WIRED_FAMILIES:
        return []
    sizes: Sequence[int | str] = (*model.hidden_layers, "classes")
    return [
        {
            "neurons": size,
            "family": model.family_name(i),
            "wiring": model.wiring_name(i),
            "fan_in": model.fanin(i),
            "bits": model.bitwidth(i),
            "quantizer": model.quantizer_name(i),
        }
        for i, size in enumerate(sizes)
    ]
