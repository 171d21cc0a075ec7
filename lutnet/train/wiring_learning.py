"""Wirings that are learned before a network is made; see ``lutnet.nn.wiring_search`` for how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch

from lutnet.errors import UserError
from lutnet.nn import WIRED_FAMILIES, Head, InputQuantizer
from lutnet.nn.wiring import Wiring
from lutnet.nn.wiring_search import DenseNeurons, WiringSearch
from lutnet.train.build import fit_inputs
from lutnet.train.chain import has_wirings, layer_quantizer
from lutnet.train.config import ModelConfig, TrainConfig
from lutnet.train.data import Dataset
from lutnet.train.heads import dataset_for, make_head
from lutnet.train.loop import EpochRecord, train
from lutnet.train.wirings import MEMBER_SEEDS, first_wirings, n_operands

__all__ = ["learned_wirings", "learns_wirings"]


def learns_wirings(config: ModelConfig) -> bool:
    """Whether a wiring of a configuration is learned.

    Raises:
        UserError: It is to be, and the family has no wiring that could be learned.
    """
    n_layers = config.n_layers
    learned = any(config.wiring_name(index) == "learned" for index in range(n_layers))
    if learned and any(config.skip_name(index) != "none" for index in range(n_layers)):
        raise UserError(
            "a wiring is learned in a plain chain of layers, got model.layer_skips; choose another wiring, or leave the skips out"
        )
    if learned and not has_wirings(config):
        raise UserError(
            f"the family '{config.family}' chooses its wiring itself; leave model.wiring out, or choose one of "
            f"{', '.join(sorted(WIRED_FAMILIES))}"
        )
    return learned


def learned_wirings(
    config: ModelConfig,
    dataset: Dataset,
    *,
    device: str = "auto",
    shift_pixels: int = 0,
    on_epoch: Callable[[EpochRecord], None] | None = None,
) -> list[Wiring]:
    """The wirings of all layers, those that a configuration says to learn learned, for :func:`lutnet.train.build.build_network`.

    Layers with another wiring, and levels of trees, have it in the search too, so that what is learned fits them. Members of an
    ensemble are searched one after the other with a seed of their own. Equal seeds give equal wirings on one machine.

    Args:
        config: The network; ``config.wiring_learning`` says how.
        dataset: Training rows, and validation rows to watch the search with.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        shift_pixels: As in the training proper; see :class:`lutnet.train.config.TrainConfig`.
        on_epoch: Called after each epoch of a search.

    Returns:
        int64, shape ``(neurons, operands)`` each; of an ensemble member after member.

    Raises:
        UserError: A fan-in exceeds the inputs, or the search diverged.
    """
    opt = config.wiring_learning
    head = make_head(config.head, dataset.class_names, dataset)
    dataset = dataset_for(head, dataset)
    sizes = (dataset.n_features, *config.hidden_layers, head.n_neurons(dataset.n_features, dataset.n_classes))
    inputs = fit_inputs(config, dataset)
    found: list[Wiring] = []
    for member in range(config.ensemble.members):
        seed = config.seed + member * MEMBER_SEEDS
        search = _search(config, sizes, member, seed, inputs, dataset, head.copy())
        settings = TrainConfig(
            epochs=opt.epochs,
            batch_size=opt.batch_size,
            learning_rate=opt.learning_rate,
            weight_decay=0.0,
            keep_after=0.0 if opt.method == "group" else opt.prune_until,
            shift_pixels=shift_pixels,
            seed=seed,
        )
        train(search, dataset, settings, device=device, on_epoch=on_epoch)
        found += search.cpu().wirings()
    return found


def _search(
    config: ModelConfig,
    sizes: Sequence[int],
    member: int,
    seed: int,
    inputs: InputQuantizer,
    dataset: Dataset,
    head: Head,
) -> WiringSearch:
    """The stand-in of one member."""
    first = first_wirings(config, sizes, member, inputs, dataset)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = []
        for index, (width, size) in enumerate(pairwise(sizes)):
            given = None if config.wiring_name(index) == "learned" and not config.joins(index) else first[index]
            quantizer = layer_quantizer(config, index, size)
            layers.append(DenseNeurons(width, size, n_operands(config, index), quantizer, given))
        return WiringSearch(inputs, layers, config.wiring_learning, head)
