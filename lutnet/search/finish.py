"""The end of a search: its best networks go through the whole ladder, and what was found is written down.

::

    <search>/study.json         what is searched, on which data
    <search>/study.journal      the store, unless another is named
    <search>/trials.csv         one line a trial
    <search>/search.json        the best trials, with their layers and what the ladder measured
    <search>/search.md          the same to be read
    <search>/trials/0012/       the run folder of trial 12, for `lutnet report` and the other commands
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from optuna.trial import FrozenTrial

from lutnet.cost.device import device_named
from lutnet.errors import UserError
from lutnet.files import write_text
from lutnet.flow import compile_run, emit_run, load_run_model, prove_run, simulate_run, synth_run
from lutnet.runs import RunFolder
from lutnet.search.census import Census, best_trials, take_census
from lutnet.search.journal import locked
from lutnet.search.lease import ERROR, SURPLUS
from lutnet.search.trial import REASON, trial_folder
from lutnet.search.worker import Search

__all__ = ["FINDING_HEAD", "Checked", "Finding", "Outcome", "finding_row", "finish"]

N_VECTORS = 1000
STEPS = ("compile", "simulate", "prove", "synth")


@dataclass(frozen=True)
class Checked:
    """What the ladder measured on a network.

    Attributes:
        luts: Lookup tables by yosys, on the emitted Verilog.
        ffs: Flip-flops by yosys.
        vectors: Inputs tried over all rungs.
        mismatches: Of them, those that differed; 0, or the search would have stopped.
        proof: How the proof of the Verilog ended.
    """

    luts: int | None
    ffs: int | None
    vectors: int
    mismatches: int
    proof: str


@dataclass(frozen=True)
class Finding:
    """One of the best trials.

    Attributes:
        number: Of the trial.
        values: Its objective, or its accuracy and cost.
        figures: What was measured on it while searching.
        layers: What each layer is made of.
        host: Machine that trained it.
        checked: What the ladder measured; ``None`` where its run folder is on another machine or no ladder was asked for.
    """

    number: int
    values: tuple[float, ...]
    figures: dict[str, Any]
    layers: tuple[dict[str, Any], ...]
    host: str
    checked: Checked | None


@dataclass(frozen=True)
class Outcome:
    """A finished search.

    Attributes:
        name: Of the space.
        objective: How trials were judged.
        reference_cost: Cost at which the forgiving factor was 1.
        census: How the trials ended.
        best: The best trial, or all that no other beats.
    """

    name: str
    objective: dict[str, Any]
    reference_cost: float
    census: Census
    best: tuple[Finding, ...]


def finish(search: Search, *, ladder: bool = True, on_step: Callable[[str], None] | None = None) -> Outcome:
    """Takes the best trial, or the whole front, through compilation, simulation, proof and synthesis, and writes the results.

    Steps that a run folder has behind it are not repeated. Trials whose run folder is on another machine are named, not checked.

    Args:
        search: The search; others may still work on it.
        ladder: Whether to go through the ladder; else the results are written as they are.
        on_step: Told what is being done.

    Raises:
        UserError: No trial has been completed.
        ToolError: A tool failed or is missing.
        LutnetError: A rung does not hold.
    """
    tell = on_step if on_step is not None else (lambda _: None)
    trials = search.study.get_trials(deepcopy=False)
    best = best_trials(search.study)
    if not best:
        reasons = [trial.user_attrs[REASON] for trial in trials if REASON in trial.user_attrs]
        raise UserError(
            f"no trial of the search '{search.space.name}' has been completed"
            + (f", the last one was pruned: {reasons[-1]}" if reasons else "")
            + "; allow more trials, or change the space"
        )
    found = tuple(_finding(search, trial, ladder, tell) for trial in best)
    outcome = Outcome(
        search.space.name, asdict(search.space.objective), search.reference.cost, take_census(search.study), found
    )
    write_text(search.folder / "trials.csv", _trials_csv(trials))
    write_text(search.folder / "search.json", json.dumps(asdict(outcome), indent=2) + "\n")
    write_text(search.folder / "search.md", _markdown(outcome))
    return outcome


def _finding(search: Search, trial: FrozenTrial, ladder: bool, tell: Callable[[str], None]) -> Finding:
    run = trial_folder(search.folder, trial.number)
    here = (run.model / "config.json").is_file()
    layers = trial.user_attrs["layers"]
    if here and not layers:
        model = load_run_model(run.model)
        layers = [asdict(row) for row in model.closed_form(device_named(model.config.train.cost_device)).rows]
    return Finding(
        number=trial.number,
        values=tuple(trial.values),
        figures=dict(trial.user_attrs["figures"]),
        layers=tuple(layers),
        host=str(trial.user_attrs["host"]),
        checked=_checked(search, run, lambda step: tell(f"trial {trial.number}: {step}")) if here and ladder else None,
    )


def _checked(search: Search, run: RunFolder, tell: Callable[[str], None]) -> Checked:
    """Through the ladder, one process at a time for folders that several machines share."""
    with locked(search.folder / "ladder.lock"):
        if run.load_result("compile") is None:
            tell("compile")
            compile_run(run.path, search.dataset)
        if run.load_result("simulate") is None:
            emit_run(run.path)
            simulate_run(run.path, n_vectors=N_VECTORS, on_step=tell)
        if run.load_result("prove") is None:
            prove_run(run.path, on_step=tell)
        if run.load_result("synth") is None:
            synth_run(run.path, place=False, on_step=tell)
    results = {step: run.load_result(step) or {} for step in STEPS}
    rungs = [rung for result in results.values() for rung in result.get("ladder", {}).values()]
    xilinx: dict[str, Any] = next((report for report in results["synth"]["reports"] if report["tool"] == "yosys"), {})
    return Checked(
        luts=xilinx.get("luts"),
        ffs=xilinx.get("ffs"),
        vectors=sum(rung["vectors"] for rung in rungs),
        mismatches=sum(rung["mismatches"] for rung in rungs),
        proof=results["prove"]["status"],
    )


def _trials_csv(trials: Sequence[FrozenTrial]) -> str:
    kept = [trial for trial in trials if SURPLUS not in trial.user_attrs]
    names = sorted({name for trial in kept for name in trial.params})
    text = io.StringIO()
    head = [
        "number",
        "state",
        "values",
        "validation_accuracy",
        "luts",
        "bits",
        "energy_pj",
        "seconds",
        "host",
        "reason",
    ]
    writer = csv.DictWriter(text, [*head, *names], lineterminator="\n")
    writer.writeheader()
    for trial in kept:
        figures = trial.user_attrs.get("figures", {})
        writer.writerow(
            {
                "number": trial.number,
                "state": trial.state.name.lower(),
                "values": " ".join(f"{value:.6g}" for value in trial.values or ()),
                **{key: figures.get(key) for key in ("validation_accuracy", "luts", "bits", "energy_pj")},
                "seconds": None if trial.duration is None else round(trial.duration.total_seconds(), 1),
                "host": trial.user_attrs.get("host"),
                "reason": trial.user_attrs.get(REASON, trial.user_attrs.get(ERROR)),
                **trial.params,
            }
        )
    return text.getvalue()


def _markdown(outcome: Outcome) -> str:
    census, objective = outcome.census, outcome.objective
    lines = [
        f"# Search `{outcome.name}`",
        "",
        f"{census.complete} trials completed, {census.pruned} pruned, {census.failed} failed, {census.open} open; {census.lost} were "
        "begun by workers that left and were tried again.",
        "",
    ]
    if objective["mode"] == "forgiving":
        lines.append(
            f"Objective: validation accuracy x (1 + {objective['tolerated_drop']} x log_{objective['rate']:g}({objective['stress']:g} x "
            f"{outcome.reference_cost:,.6g} / cost)), cost in {objective['cost']}."
        )
    else:
        lines.append(
            f"Objectives: validation accuracy and cost in {objective['cost']}; no other trial beats these in both."
        )
    lines += ["", *_table(FINDING_HEAD, [finding_row(found) for found in outcome.best])]
    for found in outcome.best:
        rows = [list(map(str, (index, *layer.values()))) for index, layer in enumerate(found.layers)]
        if rows:
            lines += ["", f"Layers of trial {found.number}:", "", *_table(["layer", *found.layers[0]], rows)]
    return "\n".join(lines) + "\n"


FINDING_HEAD = (
    "trial",
    "objective",
    "validation accuracy",
    "LUTs (estimate)",
    "LUTs (yosys)",
    "FFs",
    "table bits",
    "proof",
    "mismatches",
)


def finding_row(found: Finding) -> list[str]:
    """A finding as a row under :data:`FINDING_HEAD`; what is not known is empty."""
    measured = ["", "", f"on {found.host}", ""]
    if found.checked is not None:
        c = found.checked
        counts = ["" if count is None else f"{count:,}" for count in (c.luts, c.ffs)]
        measured = [*counts, c.proof, f"{c.mismatches} of {c.vectors:,}"]
    luts, ffs, proof, mismatches = measured
    figures = found.figures
    return [
        str(found.number),
        f"{found.values[0]:.4f}" if len(found.values) == 1 else "",
        f"{figures['validation_accuracy']:.4f}",
        f"{figures['luts']:,}",
        luts,
        ffs,
        f"{figures['bits']:,}",
        proof,
        mismatches,
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
