"""Files of the training side: the state of a run, and finished models. Tensors and plain numbers only, never pickled objects."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lutnet.errors import UserError
from lutnet.files import replaced_file, replaced_folder
from lutnet.nn import LutNetwork
from lutnet.nn.reference import DenseReference
from lutnet.train.build import empty_network
from lutnet.train.config import RunConfig, config_from_dict

__all__ = ["MODEL_VERSION", "SavedModel", "TrainState", "load_model", "load_state", "save_model", "save_state"]

MODEL_VERSION = 1
"""Version of the model folder's layout."""


@dataclass
class TrainState:
    """Everything that a run needs to go on after an epoch.

    Attributes:
        epoch: Epochs done.
        best_epoch: Epoch of the best validation accuracy, -1 before the first.
        best_accuracy: That accuracy, or what else the head measures.
        best_weights: State dict of that epoch.
        weights: State dict after the last epoch.
        averaged: State dict of the averaged network, empty without one.
        optimizer: State dict of the optimiser.
        history: The fields of each epoch's record.
        controller: State of the controller of the cost weight, empty without one.
    """

    epoch: int = 0
    best_epoch: int = -1
    best_accuracy: float = -math.inf
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)
    averaged: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    history: list[list[float]] = field(default_factory=list)
    controller: list[float] = field(default_factory=list)


def save_state(path: Path, state: TrainState, identity: str) -> None:
    """Writes a state; the file is replaced in one step."""
    content = {"identity": identity, **{f.name: getattr(state, f.name) for f in fields(TrainState)}}
    with replaced_file(path) as file:
        torch.save(content, file)


def load_state(path: Path, identity: str) -> TrainState:
    """Reads a state of the same configuration, data and network.

    Raises:
        UserError: The file is missing, damaged, or of another run.
    """
    if not path.is_file():
        raise UserError(
            f"there is no checkpoint at {path} to resume from; train without --resume, or name the right folder"
        )
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
        found = content.pop("identity")
        state = TrainState(**content)
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        OSError,
        KeyError,
        TypeError,
        AttributeError,
        ValueError,
    ) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise UserError(
            f"{path} is no checkpoint of lutnet or is damaged ({reason}); delete it and train again"
        ) from None
    if found != identity:
        raise UserError(
            f"the checkpoint {path} is of another configuration, data set or network; train without --resume"
        )
    return state


@dataclass(frozen=True)
class SavedModel:
    """A model folder's content.

    Attributes:
        network: The trained network, in evaluation mode.
        reference: The dense float network of the same sizes, in evaluation mode, if one was saved.
        config: How it was made.
        info: What was measured when it was saved; JSON data.
    """

    network: LutNetwork
    reference: DenseReference | None
    config: RunConfig
    info: dict[str, Any]


def save_model(
    folder: str | Path,
    network: LutNetwork,
    config: RunConfig,
    *,
    reference: DenseReference | None = None,
    info: dict[str, Any] | None = None,
) -> Path:
    """Writes ``config.json``, ``weights.safetensors`` and, with a reference, ``reference.safetensors``, in one step."""
    target = Path(folder)
    meta = {
        "version": MODEL_VERSION,
        "config": config.to_dict(),
        "feature_names": network.feature_names,
        "feature_bits": network.input_quantizer.widths.tolist(),
        "class_names": network.class_names,
        "info": info or {},
    }
    with replaced_folder(target, "config.json") as draft:
        (draft / "config.json").write_text(json.dumps(meta, indent=2) + "\n")
        save_file(_tensors(network), draft / "weights.safetensors")
        if reference is not None:
            save_file(_tensors(reference), draft / "reference.safetensors")
    return target


def load_model(folder: str | Path) -> SavedModel:
    """Reads a model folder.

    Raises:
        UserError: A file is missing, damaged, or of another version, or the weights do not fit the configuration.
    """
    source = Path(folder)
    for name in ("config.json", "weights.safetensors"):
        if not (source / name).is_file():
            raise UserError(f"no model at {source}: {name} is missing; train one with `lutnet train`")
    try:
        meta = json.loads((source / "config.json").read_text())
        weights = load_file(source / "weights.safetensors")
        if meta["version"] != MODEL_VERSION:
            raise UserError(
                f"{source} has model version {meta['version']}, this lutnet reads {MODEL_VERSION}; train it again"
            )
        config = config_from_dict(meta["config"], where=str(source / "config.json"))
        network = empty_network(config.model, meta["feature_bits"], meta["feature_names"], meta["class_names"])
        network.load_state_dict(weights)
        reference = _load_reference(source / "reference.safetensors", config, network)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise UserError(
            f"{source} is no model of lutnet or is damaged ({reason}); train it again with `lutnet train`"
        ) from None
    return SavedModel(network.eval(), reference, config, dict(meta["info"]))


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    """What a module holds; parts that share a parameter each with a copy, as the file format asks for."""
    return {name: value.detach().cpu().contiguous().clone() for name, value in module.state_dict().items()}


def _load_reference(path: Path, config: RunConfig, network: LutNetwork) -> DenseReference | None:
    if not path.is_file():
        return None
    n_outputs = network.layers[-1].out_features
    reference = DenseReference(
        np.zeros((2, network.n_features)), config.model.hidden_layers, n_outputs, seed=0, head=network.head
    )
    reference.load_state_dict(load_file(path))
    return reference.eval()
