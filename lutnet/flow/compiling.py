"""Step two: a trained model becomes a netlist, optimised and pipelined, every step checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import lutnet
from lutnet.cost.device import device_named
from lutnet.errors import LutnetError, UserError
from lutnet.files import replaced_file
from lutnet.flow.models import Model, load_run_model
from lutnet.ir.netlist import Netlist
from lutnet.ir.store import Design, load_design, save_design
from lutnet.ir.text import from_text, to_text
from lutnet.passes import DEFAULT_PASSES, Pass, PassRecord, Pipeline, Retime, parse_passes, run_passes
from lutnet.runs import RunFolder
from lutnet.train.data import Dataset
from lutnet.verify.equivalence import Comparison, check_equivalent, compare_codes
from lutnet.verify.ladder import Rung, ladder_to_json, require_rungs, timed_rung
from lutnet.verify.vectors import random_codes

__all__ = ["Compilation", "check_features", "compile_run"]

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
        passes: Passes in order, as text.
        pipeline: Where the registers go afterwards; after every logic level when left out, unless the passes place them.
        on_step: Told the name of each step as it begins.

    Raises:
        UserError: There is no model, or it does not fit the data.
        LutnetError: A rung does not hold.
    """
    run = RunFolder(Path(folder))
    tell = on_step if on_step is not None else (lambda _: None)
    model = load_run_model(run.model)
    check_features(model, dataset)
    tell("tables")
    raw = model.lower()
    encoder = model.encoder()
    codes = _vectors(encoder.encode(dataset.validation.x), raw)
    rungs = list(model.rungs(raw, codes))
    tell("passes")
    items = _with_registers(parse_passes(passes), pipeline)
    net, records = run_passes(raw, items, check=check_equivalent)
    rungs.append(
        timed_rung(
            "passes",
            "netlist after all passes == before",
            lambda: compare_codes(codes, raw.evaluate(codes), net.evaluate(codes)),
        )
    )
    info = {"config": model.config.to_dict(), "training": model.info, "lutnet": lutnet.__version__}
    design = Design(net, encoder, model.class_names, info, model.answer)
    save_design(run.netlist, design)
    rungs.append(
        timed_rung(
            "files", "netlist read back from .npz and from text == netlist", lambda: _compare_files(run, net, codes)
        )
    )
    with replaced_file(run.vectors) as file:
        np.savez_compressed(file, codes=codes.astype(np.int32))
    require_rungs(rungs)
    run.drop_results("opt", "simulate", "prove", "synth")
    run.save_result("compile", _compile_result(model, raw, net, records, rungs))
    return Compilation(design, records, tuple(rungs))


def _vectors(codes: npt.NDArray[np.int64], net: Netlist) -> npt.NDArray[np.int64]:
    """Validation rows, then random inputs that data may never show."""
    return np.concatenate([codes[:N_VECTORS], random_codes(net.input_widths, N_VECTORS, seed=1)])


def _with_registers(items: tuple[Pass, ...], pipeline: Pipeline | None) -> tuple[Pass, ...]:
    """The passes, and one that places registers when none of them does or one is asked for."""
    if pipeline is None and any(isinstance(item, (Pipeline, Retime)) for item in items):
        return items
    return (*items, pipeline if pipeline is not None else Pipeline())


def _compare_files(run: RunFolder, net: Netlist, codes: npt.NDArray[np.int64]) -> Comparison:
    stored, printed = load_design(run.netlist).netlist, from_text(to_text(net))
    if not stored == printed == net:
        raise LutnetError("a netlist read back from a file is not the one that was written")
    return compare_codes(codes, net.evaluate(codes), stored.evaluate(codes))


def _compile_result(
    model: Model, raw: Netlist, net: Netlist, records: tuple[PassRecord, ...], rungs: list[Rung]
) -> dict[str, Any]:
    device = device_named(model.config.train.cost_device)
    cost = model.closed_form(device)
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


def check_features(model: Model, dataset: Dataset) -> None:
    """Refuses a data set whose features are not those that the model was trained on."""
    names = model.encoder().feature_names
    if names != tuple(dataset.feature_names):
        raise UserError(
            f"the model was trained on {len(names)} features of '{model.info.get('dataset', '?')}', the data set "
            f"'{dataset.name}' has {dataset.n_features} of other names; name the data set that it was trained on"
        )
