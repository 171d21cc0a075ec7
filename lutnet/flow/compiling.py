"""Step two: a trained model becomes a netlist, optimised and pipelined, every step checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch

import lutnet
from lutnet.cost.device import device_named
from lutnet.errors import LutnetError, UserError
from lutnet.files import replaced_file
from lutnet.ir.netlist import Netlist
from lutnet.ir.store import Design, load_design, save_design
from lutnet.ir.text import from_text, to_text
from lutnet.lower import lower_classifier, lower_layer
from lutnet.nn.layer import Layer, evaluating
from lutnet.nn.network import LutNetwork, lowest_argmax
from lutnet.passes import DEFAULT_PASSES, PassRecord, Pipeline, parse_passes, run_passes
from lutnet.runs import RunFolder
from lutnet.train.checkpoint import SavedModel, load_model
from lutnet.train.data import Dataset
from lutnet.verify.equivalence import Comparison, check_equivalent, compare_codes
from lutnet.verify.ladder import Rung, ladder_to_json, require_rungs, timed_rung
from lutnet.verify.vectors import random_codes

__all__ = ["Compilation", "check_features", "compile_run", "network_rungs"]

N_VECTORS = 10_000
"""Validation rows, and as many random inputs, that the software rungs of the ladder try."""


@dataclass(frozen=True)
class Compilation:
    """A compiled network.

    Attributes:
        design: Netlist, encoder and class names.
        passes: What each pass did and how it was checked.
        rungs: The software rungs of the ladder.
    """

    design: Design
    passes: tuple[PassRecord, ...]
    rungs: tuple[Rung, ...]


def compile_run(
    folder: str | Path,
    dataset: Dataset,
    *,
    passes: str = DEFAULT_PASSES,
    pipeline: Pipeline | None = None,
    on_step: Callable[[str], None] | None = None,
) -> Compilation:
    """Tabulates the run's model, assembles and optimises the netlist, and checks every step.

    Args:
        folder: Folder of the run, with a model.
        dataset: Its validation rows serve as vectors.
        passes: Passes in order, as text; registers are placed afterwards.
        pipeline: Where the registers go; after every logic level when left out.
        on_step: Told the name of each step as it begins.

    Raises:
        UserError: There is no model, or it does not fit the data.
        LutnetError: A rung does not hold.
    """
    run = RunFolder(Path(folder))
    tell = on_step if on_step is not None else (lambda _: None)
    saved = load_model(run.model)
    check_features(saved, dataset)
    tell("tables")
    raw = lower_classifier(saved.network)
    encoder = saved.network.encoder()
    codes = _vectors(encoder.encode(dataset.validation.x), raw)
    rungs = list(network_rungs(saved.network, raw, codes))
    tell("passes")
    items = (*parse_passes(passes), pipeline if pipeline is not None else Pipeline())
    net, records = run_passes(raw, items, check=check_equivalent)
    rungs.append(
        timed_rung(
            "passes",
            "netlist after all passes == before",
            lambda: compare_codes(codes, raw.evaluate(codes), net.evaluate(codes)),
        )
    )
    info = {"config": saved.config.to_dict(), "training": saved.info, "lutnet": lutnet.__version__}
    design = Design(net, encoder, saved.network.class_names, info)
    save_design(run.netlist, design)
    rungs.append(
        timed_rung(
            "files", "netlist read back from .npz and from text == netlist", lambda: _compare_files(run, net, codes)
        )
    )
    with replaced_file(run.vectors) as file:
        np.savez_compressed(file, codes=codes.astype(np.int32))
    require_rungs(rungs)
    run.drop_results("simulate", "prove", "synth")
    run.save_result("compile", _compile_result(saved, raw, net, records, rungs))
    return Compilation(design, records, tuple(rungs))


def network_rungs(network: LutNetwork, net: Netlist, codes: npt.NDArray[np.int64]) -> tuple[Rung, ...]:
    """The rungs between torch and a netlist that has not been optimised.

    Args:
        network: A trained network.
        net: Its netlist, as :func:`lutnet.lower.lower_classifier` gives it.
        codes: Input codes, shape ``(n, n_features)``.
    """

    def tables() -> Comparison:
        values = network.input_quantizer.values(torch.from_numpy(codes))
        expected, got, now = [], [], codes
        with evaluating(network), torch.no_grad():
            for layer in cast("Iterable[Layer]", network.layers):
                expected.append(layer.codes(values).numpy())
                now = lower_layer(layer).evaluate(now)
                got.append(now)
                values = layer(values)
        return compare_codes(codes, np.concatenate(expected, axis=1), np.concatenate(got, axis=1))

    def netlist() -> Comparison:
        with evaluating(network), torch.no_grad():
            scores = network.run(network.input_quantizer.values(torch.from_numpy(codes)))
        return compare_codes(codes, lowest_argmax(scores).numpy()[:, None], net.evaluate(codes))

    return (
        timed_rung("tables", "torch forward == tables and sums, every neuron of every layer", tables),
        timed_rung("netlist", "class by torch == netlist before passes", netlist),
    )


def _vectors(codes: npt.NDArray[np.int64], net: Netlist) -> npt.NDArray[np.int64]:
    """Validation rows, then random inputs that data may never show."""
    return np.concatenate([codes[:N_VECTORS], random_codes(net.input_widths, N_VECTORS, seed=1)])


def _compare_files(run: RunFolder, net: Netlist, codes: npt.NDArray[np.int64]) -> Comparison:
    stored, printed = load_design(run.netlist).netlist, from_text(to_text(net))
    if not stored == printed == net:
        raise LutnetError("a netlist read back from a file is not the one that was written")
    return compare_codes(codes, net.evaluate(codes), stored.evaluate(codes))


def _compile_result(
    saved: SavedModel, raw: Netlist, net: Netlist, records: tuple[PassRecord, ...], rungs: list[Rung]
) -> dict[str, Any]:
    device = device_named(saved.config.train.cost_device)
    cost = saved.network.lut_cost(device)
    return {
        "passes": [asdict(record) for record in records],
        "ladder": ladder_to_json(rungs),
        "closed_form": {"device": device.name, "luts": cost.n_luts, "rows": [asdict(row) for row in cost.rows]},
        "n_tables_before": len(raw.tables),
        "n_tables": len(net.tables),
        "n_nodes": net.n_nodes,
        "depth": net.depth,
        "latency_cycles": net.latency_cycles,
    }


def check_features(saved: SavedModel, dataset: Dataset) -> None:
    """Refuses a data set whose features are not those that the model was trained on."""
    if tuple(saved.network.feature_names) != tuple(dataset.feature_names):
        raise UserError(
            f"the model was trained on {saved.network.n_features} features of '{saved.info.get('dataset', '?')}', the data set "
            f"'{dataset.name}' has {dataset.n_features} of other names; name the data set that it was trained on"
        )
