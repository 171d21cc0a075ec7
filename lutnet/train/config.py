"""Configurations: what a network is made of and how it is trained, as data.

A configuration is a frozen dataclass, a TOML file, or one of the published ones by name (``lutnet.train.presets``). Names of fields are
those of LogicNets' training scripts where that has one.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

from lutnet.errors import UserError
from lutnet.nn.arithmetic_options import ArithmeticOptions
from lutnet.nn.edge_options import AdditiveOptions
from lutnet.nn.head_options import HeadOptions
from lutnet.nn.map_options import MapOptions
from lutnet.nn.multi_input_options import AdderOptions, AssembleOptions, PolynomialOptions, SubnetOptions
from lutnet.nn.options import DifferentiableOptions, ThermometerOptions, one_of
from lutnet.nn.width_options import WidthOptions
from lutnet.nn.wiring_options import WIRINGS, EnsembleOptions, WiringOptions
from lutnet.train.parsing import at_least, known_keys, part_from
from lutnet.train.train_config import TrainConfig
from lutnet.trees.options import TreeOptions

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["ModelConfig", "RunConfig", "TrainConfig", "config_from_dict", "load_config"]

INPUT_CODES = ("uniform", "quantile", "binary", "range", "informative")


@dataclass(frozen=True)
class ModelConfig:
    """What a network is made of.

    Attributes:
        hidden_layers: Neurons of each hidden layer; the output layer has one neuron a class, number or label, that of an
            autoencoder one a feature.
        family: Neuron family, a key of ``lutnet.nn.FAMILIES``, or ``"trees"``.
        input_bitwidth: Bits of each feature's code.
        hidden_bitwidth: Bits of each hidden neuron's code.
        output_bitwidth: Bits of each score.
        input_fanin: Operands of each neuron of the first layer.
        hidden_fanin: Operands of each neuron of the other hidden layers.
        output_fanin: Operands of each neuron of the output layer.
        input_codes: How features become codes: ``"uniform"``, ``"quantile"``, ``"binary"``, ``"range"`` for equal
            cells of ``input_range``, or ``"informative"`` for the uniform ones that share most information with the class.
        feature_bits: Bits of each feature in place of ``input_bitwidth``, for uniform, quantile and informative codes.
        input_low: Quantile of a feature at which its uniform codes begin; ``input_high`` where they end.
        input_range: Lowest value of the first cell and end of the last one, for ``input_codes = "range"``.
        activation: Quantiser of the hidden layers, a key of ``lutnet.nn.QUANTIZERS``.
        output_activation: Quantiser of the scores; equally spaced or ascending.
        per_channel: Whether each hidden neuron learns a scale of its own.
        layer_bitwidths: Bits of each layer's codes, the output layer's last, in place of ``hidden_bitwidth`` and
            ``output_bitwidth``.
        layer_fanins: Operands of each layer's neurons, the output layer's last, in place of the three fan-ins.
        layer_activations: Quantiser of each hidden layer in place of ``activation``.
        layer_families: Family of each layer, the output layer's last, in place of ``family``.
        layer_skips: Connection around each layer, the output layer's last: ``"none"``, ``"concat"`` for its inputs beside its
            outputs, or ``"sum"`` for the quantised sum of both.
        layer_wirings: Wiring of each layer, the output layer's last, in place of ``wiring``.
        wiring: ``"random"`` (a priori, seeded), ``"strided"``, ``"contiguous"``, ``"information"`` (features drawn by their mutual
            information with the class, random behind the first layer), ``"learned"`` or ``"file"``.
        wiring_file: Wirings for ``"file"``, such as the ``wiring.json`` of a run.
        wiring_learning: How wirings are learned.
        maps: Convolutions and poolings in front of the hidden layers.
        map_shape: Channels and size of the features as a map, for ``maps``.
        map_channels_last: Whether the channels of a position are side by side among the features.
        max_address_bits: Table budget: a layer with a wider address is refused before it is made.
        seed: Of the wiring and the first weights.
        adder: Of the family ``"adder"``, whose fan-ins are those of one term.
        additive: Of the family ``"additive"``.
        arithmetic: Of the family ``"arithmetic"``, which reads all inputs unless it says otherwise.
        assemble: Of the family ``"assemble"``.
        differentiable: Of the family ``"differentiable"``.
        ensemble: How many networks there are, and what joins their scores.
        head: What the outputs are for.
        polynomial: Of the family ``"polynomial"``.
        subnet: Of the family ``"subnet"``.
        widths: Bits of operands that are learned; for families with a wiring.
        trees: Of the family ``"trees"``: boosted trees in place of a network.
        thermometer: Of the thermometer codes in front of Boolean functions.
    """

    hidden_layers: tuple[int, ...] = (64, 32, 32, 32)
    family: str = "linear"
    input_bitwidth: int = 2
    hidden_bitwidth: int = 2
    output_bitwidth: int = 2
    input_fanin: int = 3
    hidden_fanin: int = 3
    output_fanin: int = 3
    input_codes: str = "quantile"
    input_range: tuple[int, ...] = (0, 256)
    feature_bits: tuple[int, ...] = ()
    input_low: float = 0.01
    input_high: float = 0.99
    activation: str = "hard-tanh"
    output_activation: str = "signed"
    per_channel: bool = False
    layer_bitwidths: tuple[int, ...] = ()
    layer_fanins: tuple[int, ...] = ()
    layer_activations: tuple[str, ...] = ()
    layer_families: tuple[str, ...] = ()
    layer_skips: tuple[str, ...] = ()
    layer_wirings: tuple[str, ...] = ()
    wiring: str = "random"
    wiring_file: str = ""
    wiring_learning: WiringOptions = field(default_factory=WiringOptions)
    maps: tuple[MapOptions, ...] = ()
    map_shape: tuple[int, ...] = ()
    map_channels_last: bool = False
    max_address_bits: int = 16
    seed: int = 0
    adder: AdderOptions = field(default_factory=AdderOptions)
    additive: AdditiveOptions = field(default_factory=AdditiveOptions)
    arithmetic: ArithmeticOptions = field(default_factory=ArithmeticOptions)
    assemble: AssembleOptions = field(default_factory=AssembleOptions)
    trees: TreeOptions = field(default_factory=TreeOptions)
    differentiable: DifferentiableOptions = field(default_factory=DifferentiableOptions)
    ensemble: EnsembleOptions = field(default_factory=EnsembleOptions)
    head: HeadOptions = field(default_factory=HeadOptions)
    polynomial: PolynomialOptions = field(default_factory=PolynomialOptions)
    subnet: SubnetOptions = field(default_factory=SubnetOptions)
    widths: WidthOptions = field(default_factory=WidthOptions)
    thermometer: ThermometerOptions = field(default_factory=ThermometerOptions)

    def __post_init__(self) -> None:
        one_of("model.input_codes", self.input_codes, INPUT_CODES)
        one_of("model.wiring", self.wiring, WIRINGS)
        if len(self.input_range) != 2 or self.input_range[0] >= self.input_range[1]:
            raise UserError(f"model.input_range is a lower and a higher number, got {list(self.input_range)}")
        if any(width < 1 for width in self.hidden_layers):
            raise UserError(f"model.hidden_layers needs layers of at least 1 neuron, got {list(self.hidden_layers)}")
        for part in ("input", "hidden", "output"):
            at_least(f"model.{part}_bitwidth", getattr(self, f"{part}_bitwidth"), 1)
            at_least(f"model.{part}_fanin", getattr(self, f"{part}_fanin"), 1)
        self._check_layers()

    def _check_layers(self) -> None:
        """Refuses lists with another length than the network has layers."""
        n_layers = self.n_layers
        for name, length in (
            ("layer_bitwidths", n_layers),
            ("layer_fanins", n_layers),
            ("layer_activations", n_layers - 1),
            ("layer_families", n_layers),
            ("layer_skips", n_layers),
            ("layer_wirings", n_layers),
            ("assemble.levels", n_layers),
        ):
            found = attrgetter(name)(self)
            if found and len(found) != length:
                raise UserError(
                    f"model.{name} has one value for each of {length} layers, got {len(found)}: {list(found)}"
                )
        for name in ("layer_bitwidths", "layer_fanins"):
            for value in getattr(self, name):
                at_least(f"model.{name}", value, 1)
        for wiring in self.layer_wirings:
            one_of("model.layer_wirings", wiring, WIRINGS)
        informed = {"information", "learned"} & {self.wiring, *self.layer_wirings}
        if self.maps and informed:
            raise UserError(
                f"the wiring '{min(informed)}' is chosen by features, and behind model.maps there are none; choose another model.wiring"
            )
        for skip in self.layer_skips:
            one_of("model.layer_skips", skip, ("none", "concat", "sum"))
        if self.layer_skips and self.layer_skips[-1] != "none":
            raise UserError(
                f"no connection goes around the output layer, got model.layer_skips = {list(self.layer_skips)}; let its last be 'none'"
            )

    @property
    def reads_bits(self) -> bool:
        """Whether what reads the features reads bits, so that thermometer codes stand in front of it."""
        if not self.maps:
            return self.family_name(0) == "differentiable"
        first = self.maps[0]
        return first.kind == "or-pool" or (first.family or self.family) == "differentiable"

    @property
    def n_layers(self) -> int:
        """Hidden layers and the output layer."""
        return len(self.hidden_layers) + 1

    def skip_name(self, layer: int) -> str:
        """The connection around a layer."""
        return self.layer_skips[layer] if self.layer_skips else "none"

    def reads(self, sizes: Sequence[int]) -> tuple[int, ...]:
        """Columns that each layer reads.

        Args:
            sizes: Features, neurons of each hidden layer and of the output layer.
        """
        found = [sizes[0]]
        for layer, size in enumerate(sizes[1:-1]):
            found.append(found[-1] + size if self.skip_name(layer) == "concat" else size)
        return tuple(found)

    def bitwidth(self, layer: int) -> int:
        """Bits of a layer's codes; the output layer has number ``len(hidden_layers)``."""
        if self.layer_bitwidths:
            return self.layer_bitwidths[layer]
        return self.output_bitwidth if layer == len(self.hidden_layers) else self.hidden_bitwidth

    def fanin(self, layer: int) -> int:
        """Operands of a layer's neurons."""
        if self.layer_fanins:
            return self.layer_fanins[layer]
        if layer == len(self.hidden_layers):
            return self.output_fanin
        return self.hidden_fanin if layer else self.input_fanin

    def quantizer_name(self, layer: int) -> str:
        """Quantiser of a layer, a key of ``lutnet.nn.QUANTIZERS``."""
        if layer == len(self.hidden_layers):
            return self.output_activation
        if self.layer_activations:
            return self.layer_activations[layer]
        return self.assemble.inner if self.joins(layer + 1) else self.activation

    def family_name(self, layer: int) -> str:
        """Family of a layer's neurons."""
        return self.layer_families[layer] if self.layer_families else self.family

    def joins(self, layer: int) -> bool:
        """Whether a layer is a level of a tree above its leaves."""
        return self.family_name(layer) == "assemble" and self.assemble.joins(layer)

    def wiring_name(self, layer: int) -> str:
        """How a layer's wiring is chosen."""
        return self.layer_wirings[layer] if self.layer_wirings else self.wiring


@dataclass(frozen=True)
class RunConfig:
    """A network, its training and its data.

    Attributes:
        name: Name in reports.
        dataset: A name that ``lutnet.train.data.load`` knows.
        model: The network.
        train: The training.
    """

    name: str = "custom"
    dataset: str = "jets_sim"
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def to_dict(self) -> dict[str, Any]:
        """The configuration as JSON or TOML data; :func:`config_from_dict` is the inverse."""
        return asdict(self)

    def with_train(self, **changes: Any) -> RunConfig:
        """The same with other training settings."""
        return replace(self, train=replace(self.train, **changes))

    def with_model(self, **changes: Any) -> RunConfig:
        """The same with another network."""
        return replace(self, model=replace(self.model, **changes))

    def with_seed(self, seed: int) -> RunConfig:
        """The same with another seed for wiring, weights and batches."""
        return replace(self, model=replace(self.model, seed=seed), train=replace(self.train, seed=seed))


def load_config(path: str | Path) -> RunConfig:
    """Reads a TOML file with the keys ``name`` and ``dataset`` and the tables ``[model]`` and ``[train]``.

    Raises:
        UserError: The file is missing, is no TOML, or has an unknown key or a value of another type.
    """
    source = Path(path)
    try:
        data = tomllib.loads(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the configuration {source}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{source} is no TOML file: {error}") from None
    data.setdefault("name", source.stem)
    return config_from_dict(data, where=str(source))


def config_from_dict(data: Mapping[str, Any], *, where: str = "configuration") -> RunConfig:
    """The configuration that a dictionary describes; keys that are left out keep their defaults.

    Raises:
        UserError: An unknown key or a value of another type; the message suggests the nearest key.
    """
    known_keys(data, [f.name for f in fields(RunConfig)], where)
    parts = {name: data.get(name, {}) for name in ("model", "train")}
    for name, part in parts.items():
        if not isinstance(part, Mapping):
            raise UserError(f"{where}: '{name}' is a table of settings, got {part!r}")
    for name in ("name", "dataset"):
        if not isinstance(data.get(name, ""), str):
            raise UserError(f"{where}: '{name}' is text, got {data[name]!r}")
    return RunConfig(
        name=data.get("name", RunConfig.name),
        dataset=data.get("dataset", RunConfig.dataset),
        model=part_from(ModelConfig, parts["model"], f"{where}, [model]"),
        train=part_from(TrainConfig, parts["train"], f"{where}, [train]"),
    )
