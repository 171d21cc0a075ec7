"""From a trained model to a report in one call, and the same for every network of a front."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from lutnet.backends import Verilog
from lutnet.errors import UserError
from lutnet.flow.compiling import compile_run
from lutnet.flow.fronts import FrontPoint, load_front
from lutnet.flow.hardware import emit_run, prove_run, simulate_run, synth_run
from lutnet.flow.optimising import optimise_run
from lutnet.flow.reporting import report_run
from lutnet.runs import RunFolder
from lutnet.train.data import Dataset

__all__ = ["finish_front", "finish_run", "spread_points"]


def finish_run(
    folder: str | Path,
    dataset: Dataset,
    *,
    passes: str = "fast",
    tables: str = "wide",
    timeout_s: float = 600.0,
    on_step: Callable[[str], None] | None = None,
) -> Path:
    """Compiles, optimises, emits, simulates, proves, synthesises and reports a trained run; one with a report is left alone.

    Args:
        folder: Folder of the run, with a model.
        dataset: Its validation rows serve as vectors, its test rows are read by the report.
        passes: Preset or passes of ``lutnet opt``; empty for none.
        tables: How tables are written in Verilog.
        timeout_s: Seconds that each proof may take.
        on_step: Told the name of each step as it begins.

    Returns:
        Path of ``report.md``.

    Raises:
        UserError: There is no model, or passes or data do not fit.
        LutnetError: A rung of the ladder does not hold.
    """
    tell = on_step if on_step is not None else (lambda _: None)
    run = RunFolder(Path(folder))
    if (run.path / "report.json").is_file():
        return run.path / "report.md"
    compile_run(folder, dataset, on_step=tell)
    if passes:
        optimise_run(folder, passes, dataset=dataset, timeout_s=timeout_s, on_pass=lambda name: tell(f"opt: {name}"))
    tell("emit")
    emit_run(folder, Verilog(tables=tables))
    simulate_run(folder, on_step=tell)
    prove_run(folder, timeout_s=timeout_s, on_step=tell)
    synth_run(folder, place=False, on_step=tell)
    tell("report")
    return report_run(folder, dataset)


def finish_front(
    folder: str | Path,
    dataset: Dataset,
    *,
    n_points: int = 0,
    passes: str = "fast",
    tables: str = "wide",
    timeout_s: float = 600.0,
    on_step: Callable[[str], None] | None = None,
) -> tuple[Path, ...]:
    """Brings networks of a run's front to their reports.

    Args:
        folder: Folder of the run that was trained with ``train.front``.
        dataset: See :func:`finish_run`.
        n_points: How many, see :func:`spread_points`; 0 for all.
        passes: See :func:`finish_run`.
        tables: See :func:`finish_run`.
        timeout_s: See :func:`finish_run`.
        on_step: Told the network and the step as it begins.

    Returns:
        The folders of the networks, which are runs of their own, the smallest first.

    Raises:
        UserError: The run has no front.
    """
    run = RunFolder(Path(folder))
    points = load_front(run)
    if not points:
        raise UserError(f"{run.path} has no front; train it with `front = true` under [train] in its configuration")
    tell = on_step if on_step is not None else (lambda _: None)
    chosen = spread_points(points, n_points)
    for number, point in enumerate(chosen):
        prefix = f"{number + 1} of {len(chosen)}, {point.folder}: "
        finish_run(
            run.front / point.folder,
            dataset,
            passes=passes,
            tables=tables,
            timeout_s=timeout_s,
            on_step=lambda name, prefix=prefix: tell(prefix + name),  # type: ignore[misc]
        )
    return tuple(run.front / point.folder for point in chosen)


def spread_points(points: Sequence[FrontPoint], n_points: int) -> tuple[FrontPoint, ...]:
    """Some points of a front, the smallest and the largest among them, at distances as equal as can be in log(lookup tables).

    Args:
        points: By lookup tables.
        n_points: How many; 0 or as many as there are for all.
    """
    if not 0 < n_points < len(points):
        return tuple(points)
    places = [math.log(max(1, point.luts)) for point in points]
    chosen: set[int] = set()
    for number in range(n_points):
        wanted = places[-1] if n_points == 1 else places[0] + (places[-1] - places[0]) * number / (n_points - 1)
        chosen.add(min((i for i in range(len(points)) if i not in chosen), key=lambda i: abs(places[i] - wanted)))
    return tuple(points[i] for i in sorted(chosen))
