"""The last step: the test set is read once, and everything that was measured goes into one report."""

from __future__ import annotations

import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import lutnet
from lutnet.cost.device import device_named
from lutnet.errors import UserError
from lutnet.files import write_text
from lutnet.flow.compiling import check_features
from lutnet.flow.layers import dense_sizes, labelled_netlist
from lutnet.flow.models import Model, load_run_model
from lutnet.flow.streaming import is_stream
from lutnet.ir.estimate import estimate_luts
from lutnet.ir.store import Design, load_design
from lutnet.report.arithmetic import dense_float_arithmetic, integer_arithmetic
from lutnet.report.layers import LayerReport, layer_report
from lutnet.report.run import render_json, render_markdown
from lutnet.runs import RunFolder
from lutnet.train.data import Dataset

__all__ = ["float_accuracy", "report_run"]

N_SAMPLES = 4_000
"""Validation rows that are sent through the netlist one after the other to count toggles."""


def float_accuracy(model: Model, dataset: Dataset) -> float | None:
    """Test accuracy, or what else the head measures, of the floating-point model that was trained beside the model, if there is one."""
    return model.float_score(dataset.test.x, dataset.test.y)


def report_run(folder: str | Path, dataset: Dataset) -> Path:
    """Writes ``report.json`` and ``report.md`` and returns the path of the latter.

    Steps that have not run are left out of the report and named in it.

    Raises:
        UserError: There is no compiled model, or it does not fit the data.
    """
    run = RunFolder(Path(folder))
    model = load_run_model(run.model)
    check_features(model, dataset)
    compiled = run.load_result("compile")
    if compiled is None:
        raise UserError(f"there is nothing to report in {run.path}; run `lutnet compile {run.path}` first")
    design = load_design(run.netlist)
    if design.encoder is None:
        raise UserError(
            f"{run.netlist} has no input encoder, so that no accuracy can be measured; compile the model again"
        )
    outputs = design.netlist.evaluate(design.encoder.encode(dataset.test.x))
    steps = {name: run.load_result(name) for name in ("simulate", "prove", "synth")}
    optimised = run.load_result("opt") or {"passes": [], "ladder": {}}
    data = _collect(model, dataset, _with_optimisation(compiled, optimised, design), steps)
    data["stream"] = run.load_result("stream") if is_stream(run) else None
    data["metric"] = design.answer.metric
    data["test_accuracy"] = design.answer.score(outputs, dataset.test.y)
    data["float_accuracy"] = float_accuracy(model, dataset)
    data.update(_layers(model, dataset, design, data["closed_form"]))
    write_text(run.path / "report.json", render_json(data))
    return write_text(run.path / "report.md", render_markdown(data))


def _layers(model: Model, dataset: Dataset, design: Design, closed_form: dict[str, Any]) -> dict[str, Any]:
    """Figures of every layer and of their sum; nothing but ``None`` where toggles cannot be counted."""
    source = labelled_netlist(model)
    sizes = dense_sizes(model)
    as_integers = None if sizes is None else integer_arithmetic(source)
    found = {
        "layers": None,
        "energy_pj": None,
        "energy_integer_pj": None if as_integers is None else sum(part.energy_pj for part in as_integers),
        "energy_float_pj": None if sizes is None else dense_float_arithmetic(sizes).energy_pj,
    }
    if dataset.validation.n_rows < 2:
        return found
    codes = design.encoder.encode(dataset.validation.x[:N_SAMPLES])
    report = layer_report(source, design.netlist, codes, device_named(model.config.train.cost_device))
    closed = {row["name"]: row["n_luts"] for row in closed_form["rows"]}
    by_layer = {} if as_integers is None else dict(zip(source.names, as_integers, strict=True))
    rows = [
        {
            **asdict(row),
            "closed_form_luts": closed.get(row.name),
            "energy_integer_pj": by_layer[row.name].energy_pj if row.name in by_layer else None,
        }
        for row in report.rows
    ]
    return {**found, "layers": _layers_head(report) | {"rows": rows}, "energy_pj": report.energy_pj}


def _layers_head(report: LayerReport) -> dict[str, Any]:
    return {
        "device": report.device,
        "n_samples": report.n_samples,
        "luts": report.luts,
        "n_nodes": report.traced.n_nodes,
        "n_recognised": report.traced.n_recognised,
    }


def _with_optimisation(compiled: dict[str, Any], optimised: dict[str, Any], design: Design) -> dict[str, Any]:
    """What compiling measured, with the passes and the rung that `lutnet opt` added."""
    return {
        **compiled,
        "passes": [*compiled["passes"], *optimised["passes"]],
        "ladder": {**compiled["ladder"], **optimised["ladder"]},
        "latency_cycles": design.netlist.latency_cycles,
        "optimised": {key: optimised.get(key) for key in ("before", "after", "proof", "validation")},
        "estimated_luts": estimate_luts(design.netlist).luts,
    }


def _collect(
    model: Model, dataset: Dataset, compiled: dict[str, Any], steps: dict[str, dict[str, Any] | None]
) -> dict[str, Any]:
    synth = steps["synth"] or {"reports": [], "ladder": {}}
    simulate = steps["simulate"] or {"ladder": {}}
    xilinx = next((report for report in synth["reports"] if report["tool"] == "yosys"), {})
    ecp5 = next((report for report in synth["reports"] if "nextpnr" in report["tool"]), {})
    return {
        "name": model.config.name,
        "dataset": dataset.name,
        "dataset_source": dataset.source,
        "seed": model.config.train.seed,
        "n_test": dataset.test.n_rows,
        "test_accuracy": None,
        "validation_accuracy": model.info.get("validation_accuracy"),
        "float_accuracy": None,
        "closed_form_luts": compiled["closed_form"]["luts"],
        "estimated_luts": compiled["estimated_luts"],
        "optimised": compiled["optimised"],
        "luts": xilinx.get("luts"),
        "lut_cells": xilinx.get("lut_cells"),
        "muxf": xilinx.get("muxf"),
        "carry": xilinx.get("carry"),
        "ffs": xilinx.get("ffs"),
        "latency_cycles": xilinx.get("latency_cycles", compiled["latency_cycles"]),
        "fmax_ecp5_mhz": ecp5.get("fmax_mhz"),
        "latency_ecp5_ns": ecp5.get("latency_ns"),
        "ladder": {**compiled["ladder"], **simulate["ladder"], **synth["ladder"]},
        "proof": steps["prove"],
        "synthesis": synth["reports"],
        "passes": compiled["passes"],
        "closed_form": compiled["closed_form"],
        "steps_missing": [name for name, found in steps.items() if found is None],
        "config": model.config.to_dict(),
        "training": model.info,
        "versions": {
            "lutnet": lutnet.__version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
    }
