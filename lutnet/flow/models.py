"""The kinds of models that a run can hold, behind one face: networks and ensembles of trees."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch

from lutnet.answers import Answer, ClassAnswer, accuracy
from lutnet.cost import Device
from lutnet.errors import UserError
from lutnet.files import replaced_folder
from lutnet.formats import InputEncoder
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import OPS, OpCode
from lutnet.lower import lower_layer, lower_network, lower_tree_values, lower_trees
from lutnet.nn.cost import LayerCost, NetworkCost
from lutnet.nn.joins import lowest_codes
from lutnet.nn.layer import Layer, evaluating
from lutnet.nn.network import LutNetwork
from lutnet.train.checkpoint import MODEL_VERSION, SavedModel, load_model
from lutnet.train.config import RunConfig, config_from_dict
from lutnet.train.metrics import measure
from lutnet.trees import BoostedTrees, load_ensembles, save_ensembles
from lutnet.verify.equivalence import Comparison, compare_codes
from lutnet.verify.ladder import Rung, timed_rung

__all__ = ["Model", "NetworkModel", "TreesModel", "load_run_model", "network_rungs", "save_trees", "torch_outputs"]

TREES_FILE = "trees.json"


@dataclass(frozen=True)
class Model(ABC):
    """A trained model as the later steps see it.

    Attributes:
        config: How it was made.
        info: What was measured when it was saved; JSON data.
    """

    config: RunConfig
    info: dict[str, Any]

    @property
    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """One name a class."""

    @abstractmethod
    def encoder(self) -> InputEncoder:
        """Raw features to the codes that the netlist reads."""

    @abstractmethod
    def lower(self) -> Netlist:
        """The netlist with its decision, before passes."""

    @abstractmethod
    def rungs(self, net: Netlist, codes: npt.NDArray[np.int64]) -> tuple[Rung, ...]:
        """The rungs of the ladder between the model and that netlist, on input codes of shape ``(n, n_features)``."""

    @abstractmethod
    def closed_form(self, device: Device) -> NetworkCost:
        """Closed-form lookup tables by part."""

    @property
    @abstractmethod
    def answer(self) -> Answer:
        """What the outputs of the netlist say."""

    @abstractmethod
    def float_score(self, x: npt.NDArray[np.float32], y: npt.NDArray[Any]) -> float | None:
        """How good the floating-point model is that is the yardstick, by the measure of the answer, if there is one."""


@dataclass(frozen=True)
class NetworkModel(Model):
    """A network of layers.

    Attributes:
        saved: What the folder holds.
    """

    saved: SavedModel

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(self.saved.network.class_names)

    def encoder(self) -> InputEncoder:
        return self.saved.network.encoder()

    def lower(self) -> Netlist:
        return lower_network(self.saved.network)

    def rungs(self, net: Netlist, codes: npt.NDArray[np.int64]) -> tuple[Rung, ...]:
        return network_rungs(self.saved.network, net, codes)

    def closed_form(self, device: Device) -> NetworkCost:
        return self.saved.network.lut_cost(device)

    @property
    def answer(self) -> Answer:
        return self.saved.network.head.answer()

    def float_score(self, x: npt.NDArray[np.float32], y: npt.NDArray[Any]) -> float | None:
        reference = self.saved.reference
        return (
            None
            if reference is None
            else measure(reference, reference.prepare(torch.from_numpy(x)), torch.from_numpy(y))
        )


@dataclass(frozen=True)
class TreesModel(Model):
    """An ensemble of trees.

    Attributes:
        trees: The quantised ensemble and its floating-point yardstick.
    """

    trees: BoostedTrees

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.trees.quantized.class_names

    def encoder(self) -> InputEncoder:
        return self.trees.quantized.encoder

    def lower(self) -> Netlist:
        return lower_trees(self.trees.quantized)

    def rungs(self, net: Netlist, codes: npt.NDArray[np.int64]) -> tuple[Rung, ...]:
        ensemble = self.trees.quantized

        def values() -> Comparison:
            expected = np.stack([tree.evaluate(codes) for tree in ensemble.trees], axis=1)
            return compare_codes(codes, expected, lower_tree_values(ensemble).evaluate(codes))

        def netlist() -> Comparison:
            return compare_codes(codes, ensemble.predict_codes(codes)[:, None], net.evaluate(codes))

        return (
            timed_rung("tables", "walk through every tree == its comparators and tables", values),
            timed_rung("netlist", "class by the trees == netlist before passes", netlist),
        )

    def closed_form(self, device: Device) -> NetworkCost:
        net = self.lower()
        parts = {
            "comparators": OpCode.THRESHOLD,
            "trees": OpCode.LUT,
            "sums": OpCode.SUM,
            "argmax": OpCode.ARGMAX,
        }
        return NetworkCost(device.name, tuple(_part_cost(net, name, op, device) for name, op in parts.items()))

    @property
    def answer(self) -> Answer:
        return ClassAnswer()

    def float_score(self, x: npt.NDArray[np.float32], y: npt.NDArray[Any]) -> float | None:
        return accuracy(self.trees.reference.predict(x), y)


def load_run_model(folder: str | Path) -> Model:
    """Reads the model folder of a run.

    Raises:
        UserError: There is no model, or it is damaged.
    """
    source = Path(folder)
    if (source / TREES_FILE).is_file():
        return _load_trees(source)
    saved = load_model(source)
    return NetworkModel(saved.config, saved.info, saved)


def save_trees(folder: str | Path, trees: BoostedTrees, config: RunConfig, info: dict[str, Any]) -> Path:
    """Writes ``config.json`` and ``trees.json`` in one step."""
    target = Path(folder)
    meta = {"version": MODEL_VERSION, "config": config.to_dict(), "info": info}
    with replaced_folder(target, "config.json") as draft:
        (draft / "config.json").write_text(json.dumps(meta, indent=2) + "\n")
        save_ensembles(draft / TREES_FILE, trees)
    return target


def network_rungs(network: LutNetwork, net: Netlist, codes: npt.NDArray[np.int64]) -> tuple[Rung, ...]:
    """The rungs between torch and a netlist that has not been optimised.

    Args:
        network: A trained network.
        net: Its netlist, as :func:`lutnet.lower.lower_network` gives it.
        codes: Input codes, shape ``(n, n_features)``.
    """

    def tables() -> Comparison:
        values = network.input_quantizer.values(torch.from_numpy(codes))
        expected, got, now = [], [], codes
        with evaluating(network), torch.no_grad():
            for layer in cast("Iterable[Layer]", network.layers):
                now = lower_layer(layer).evaluate(now)
                expected.append(lowest_codes(layer.quantizer, layer.codes(values)).numpy())
                got.append(lowest_codes(layer.quantizer, torch.from_numpy(now)).numpy())
                values = layer(values)
        return compare_codes(codes, np.concatenate(expected, axis=1), np.concatenate(got, axis=1))

    def netlist() -> Comparison:
        return compare_codes(codes, torch_outputs(network, codes), net.evaluate(codes))

    return (
        timed_rung("tables", "torch forward == tables and sums, every neuron of every layer", tables),
        timed_rung("netlist", "outputs by torch == netlist before passes", netlist),
    )


def torch_outputs(network: LutNetwork, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Output codes by the forward pass in evaluation, shape ``(n, n_outputs)``, for input codes of shape ``(n, n_features)``."""
    with evaluating(network), torch.no_grad():
        prepared = network.input_quantizer.values(torch.from_numpy(codes))
        last = network.layers[-1].quantizer.codes(network.run(prepared))
        found: npt.NDArray[np.int64] = network.head.codes(last, prepared).numpy()
    return found


def _load_trees(source: Path) -> TreesModel:
    try:
        meta = json.loads((source / "config.json").read_text())
        if meta["version"] != MODEL_VERSION:
            raise UserError(
                f"{source} has model version {meta['version']}, this lutnet reads {MODEL_VERSION}; train it again"
            )
        config = config_from_dict(meta["config"], where=str(source / "config.json"))
        info = dict(meta["info"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise UserError(
            f"{source} is no model of lutnet or is damaged ({reason}); train it again with `lutnet train`"
        ) from None
    return TreesModel(config, info, load_ensembles(source / TREES_FILE))


def _part_cost(net: Netlist, name: str, op: OpCode, device: Device) -> LayerCost:
    nodes = [node for node in net.nodes() if node.op is op]
    return LayerCost(
        name=name,
        kind=OPS[op].name,
        n_neurons=len(nodes),
        address_bits=max((sum(node.operand_widths) for node in nodes), default=0),
        out_bits=max((node.width for node in nodes), default=0),
        n_entries=sum(node.table.n_entries for node in nodes if node.table is not None),
        n_luts=sum(OPS[op].luts(node, device) for node in nodes),
    )
