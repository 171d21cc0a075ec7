"""The sub-commands about C: ``emit`` writes it, ``predict`` runs it on a file of data."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from lutnet.cli import commands, stream
from lutnet.cli.display import ERR, OUT
from lutnet.errors import UserError
from lutnet.ir.store import Design, load_design
from lutnet.runs import RunFolder

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lutnet.emulate import Emulator

__all__ = ["emit_command", "predict_arguments", "predict_command"]

RESULTS = ("answers", "outputs", "values", "scores", "probabilities")
INPUTS = ("features", "codes", "packed")


def emit_command(args: argparse.Namespace) -> None:
    """Writes Verilog, a stream, or C."""
    if args.backend != "c":
        if args.out is not None:
            raise UserError(f"Verilog is written into the run's own folder rtl; leave out --out {args.out}")
        (stream.emit_command if args.backend == "stream" else commands.emit_command)(args)
        return
    from lutnet.backends import CCode, write_files
    from lutnet.backends.c import MAX_C_THRESHOLDS

    path = Path(args.folder)
    design = load_design(RunFolder(path).netlist if path.is_dir() else path)
    if args.out is None and not path.is_dir():
        raise UserError(f"name the folder of the C files: lutnet emit {path} --backend c --out FOLDER")
    encoder = design.encoder
    if encoder is not None and sum(map(len, encoder.thresholds)) > MAX_C_THRESHOLDS:
        ERR.print(f"the input quantisers have more than {MAX_C_THRESHOLDS:,} thresholds; the C code takes codes only")
        encoder = None
    folder = path / "c" if args.out is None else Path(args.out)
    for file in write_files(CCode(top=args.top, encoder=encoder).emit(design.netlist), folder):
        OUT.print(str(file), markup=False)


def predict_arguments(sub: argparse.ArgumentParser) -> None:
    """The arguments of ``lutnet predict``."""
    sub.add_argument("netlist", help="a netlist file or the folder of a run")
    sub.add_argument("data", help="rows of data, an .npy or .npz file, which may be larger than memory")
    sub.add_argument("-o", "--out", required=True, metavar="FILE", help="results, an .npy file")
    sub.add_argument("--array", metavar="NAME", help="array of an .npz file (default: x, or the only one)")
    sub.add_argument(
        "--input",
        default="features",
        choices=INPUTS,
        help="what the rows hold: raw features, input codes, or packed vectors",
    )
    sub.add_argument(
        "--result",
        default="answers",
        choices=RESULTS,
        help="what is written: what the design says of a row (classes, numbers, labels or anomalies), or parts of it (default: answers)",
    )
    sub.add_argument(
        "--labels",
        metavar="NAME",
        help="array of the .npz file with the right answers: print how good the design's are",
    )
    sub.add_argument("--threads", type=int, help="CPU threads (default: one for each core)")


def predict_command(args: argparse.Namespace) -> None:
    """Evaluates every row of a file."""
    import numpy as np

    from lutnet.emulate import Emulator, open_rows, stream

    path = Path(args.netlist)
    design = load_design(RunFolder(path).netlist if path.is_dir() else path)
    emulator = Emulator(design, threads=args.threads)
    evaluate = _evaluator(emulator, args.input, args.result)
    rows = open_rows(args.data, args.array)
    labels = None
    outputs: list[npt.NDArray[np.int64]] = []
    if args.labels is not None:
        labels = _labels(Path(args.data), args.labels, rows.n_rows, design)
        if args.result != "answers":
            raise UserError(f"--labels are compared with answers, not with {args.result}; leave one of them out")
        evaluate = _keeping(emulator, args.input, outputs)
    done = 0
    with _rows_bar(rows.n_rows) as tell:
        emulator.compile()
        start = time.perf_counter()

        def on_block(results: npt.NDArray[Any]) -> None:
            nonlocal done
            done += len(results)
            tell(done)

        target = stream(evaluate, rows, args.out, on_block=on_block)
        seconds = time.perf_counter() - start
    OUT.print(f"{rows.n_rows:,} rows in {seconds:.2f} s: {target}", markup=False)
    if labels is not None and rows.n_rows:
        OUT.print(f"{design.answer.metric} {design.answer.score(np.concatenate(outputs), labels):.4f}")


def _evaluator(emulator: Emulator, given: str, wanted: str) -> Callable[[npt.NDArray[Any]], npt.NDArray[Any]]:
    """The method that makes the wanted results of the given rows."""
    known: dict[tuple[str, str], Callable[[Any], npt.NDArray[Any]]] = {
        ("features", "answers"): emulator.predict,
        ("features", "outputs"): emulator.outputs,
        ("features", "values"): emulator.values,
        ("features", "scores"): emulator.scores,
        ("features", "probabilities"): emulator.predict_proba,
        ("codes", "answers"): emulator.answers,
        ("codes", "outputs"): emulator.evaluate,
        ("packed", "outputs"): emulator.evaluate_packed,
    }
    if (given, wanted) not in known:
        able = ", ".join(result for start, result in known if start == given)
        raise UserError(f"--input {given} gives --result {able}, not {wanted}")
    return known[given, wanted]


def _keeping(
    emulator: Emulator, given: str, outputs: list[npt.NDArray[np.int64]]
) -> Callable[[npt.NDArray[Any]], npt.NDArray[Any]]:
    """Makes answers of rows and keeps the output codes that they are made from."""
    raw = _evaluator(emulator, given, "outputs")

    def evaluate(block: npt.NDArray[Any]) -> npt.NDArray[Any]:
        found = raw(block)
        outputs.append(found)
        return emulator.design.answer.of(found)

    return evaluate


def _labels(path: Path, name: str, n_rows: int, design: Design) -> npt.NDArray[Any]:
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as archive:
            labels = np.asarray(archive[name])
    except (KeyError, IndexError, TypeError, AttributeError):
        raise UserError(
            f"{path} is no .npz file with an array '{name}'; --labels names an array beside the rows"
        ) from None
    if design.answer.kind in ("regression", "labels"):
        shape = (n_rows, len(design.netlist.outputs))
        if labels.shape != shape or labels.dtype.kind not in "buif":
            raise UserError(
                f"expected '{name}' in {path} to hold numbers of shape {shape}, one an output, got {labels.dtype} of shape {labels.shape}"
            )
        return labels
    if labels.shape != (n_rows,) or not np.issubdtype(labels.dtype, np.integer):
        raise UserError(
            f"expected '{name}' in {path} to hold {n_rows} integers, one a row, got {labels.dtype} of shape {labels.shape}"
        )
    return labels


@contextmanager
def _rows_bar(n_rows: int) -> Iterator[Callable[[int], None]]:
    """A bar over the rows; the yielded function takes the rows done."""
    columns = (
        TextColumn("rows"),
        BarColumn(),
        TextColumn("{task.completed:,} of {task.total:,}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=ERR, transient=True) as bar:
        task = bar.add_task("rows", total=n_rows)
        yield lambda done: bar.update(task, completed=done)
