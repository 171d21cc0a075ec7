"""The sub-command ``search``: workers that join a search, and the ladder for what they find."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from rich.table import Table

from lutnet.cli.display import ERR, OUT, download_bar, steps
from lutnet.errors import UserError

if TYPE_CHECKING:
    from lutnet.search import Outcome, Search

__all__ = ["search_arguments", "search_command"]

_PASSED_ON = ("storage", "timeout_s", "objective", "cost", "data", "dataset")
"""Options that have no value unless they are given."""


def search_arguments(sub: argparse.ArgumentParser) -> None:
    """Arguments of ``lutnet search``."""
    sub.add_argument("space", help="a built-in search space by name (jets, jets-families) or a TOML file")
    sub.add_argument("--out", required=True, metavar="FOLDER", help="folder of the search; every trial is a run in it")
    sub.add_argument(
        "--trials", type=int, default=60, metavar="N", help="trials of the whole search (default: %(default)s)"
    )
    sub.add_argument(
        "--workers", type=int, default=1, metavar="N", help="processes on this machine (default: %(default)s)"
    )
    sub.add_argument(
        "--storage",
        metavar="STORE",
        help="where workers of all machines meet: sqlite:///FILE, postgresql://USER@HOST/DATABASE or a journal file "
        "(default: FOLDER/study.journal)",
    )
    sub.add_argument("--timeout-s", type=float, metavar="S", help="seconds after which no further trial is begun")
    sub.add_argument("--objective", choices=("forgiving", "multi"), help="in place of the space's")
    sub.add_argument("--cost", help="luts, bits or energy, in place of the space's")
    sub.add_argument(
        "--data", metavar="FILE", help="data file or folder in place of LUTNET_DATA, the cache or a download"
    )
    sub.add_argument("--dataset", help="data set in place of the space's")
    sub.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    sub.add_argument(
        "--grace-s",
        type=float,
        default=120.0,
        metavar="S",
        help="seconds without a sign of life after which a worker is taken to be dead (default: %(default)s)",
    )
    sub.add_argument("--no-ladder", action="store_true", help="do not simulate, prove and synthesise the best networks")
    sub.add_argument("--worker", action="store_true", help="make trials and leave the end of the search to others")


def search_command(args: argparse.Namespace) -> int:
    """Searches: 0 when all trials are made, 1 when workers died and trials are left."""
    if args.workers < 1:
        raise UserError(f"a search has at least 1 worker, got {args.workers}")
    search = _open(args)
    from lutnet.search import finish, work
    from lutnet.search.census import take_census

    with _terminable():
        if args.workers > 1 and not args.worker:
            codes = _run_workers(args)
        else:
            work(
                search,
                args.trials,
                timeout_s=args.timeout_s,
                grace_s=args.grace_s,
                device=args.device,
                on_trial=lambda text: OUT.print(text, markup=False),
            )
            codes = []
    if args.worker:
        return 0
    if 2 in codes and all(codes):
        return 2
    with steps() as tell:
        outcome = finish(search, ladder=not args.no_ladder, on_step=tell)
    _print(outcome, Path(args.out))
    left = take_census(search.study).done < args.trials and args.timeout_s is None
    if left:
        ERR.print("lutnet: workers died and trials are left; start the same command again", markup=False)
    return 1 if left else 0


def _open(args: argparse.Namespace) -> Search:
    import torch

    if find_spec("optuna") is None:
        raise UserError("a search needs Optuna; install it with pip install 'lutnet[search]'")
    from lutnet.search import find_space, open_search
    from lutnet.search.worker import check_limits
    from lutnet.train.data import load

    check_limits(args.trials, args.grace_s)
    space = find_space(args.space).with_objective(mode=args.objective, cost=args.cost)
    with download_bar() as progress:
        dataset = load(args.dataset or space.base.dataset, path=args.data, progress=progress)
    torch.set_num_threads(1)
    return open_search(space, dataset, args.out, args.storage)


def _run_workers(args: argparse.Namespace) -> list[int]:
    """Exit statuses of the workers, each a process that runs the same command for itself."""
    command = [sys.executable, "-m", "lutnet", *_argv(args), "--worker"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    workers = [subprocess.Popen(command, env=environment) for _ in range(args.workers)]
    try:
        codes = [worker.wait() for worker in workers]
    except KeyboardInterrupt:
        for worker in workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGINT)
        for worker in workers:
            worker.wait()
        raise
    for worker, code in zip(workers, codes, strict=True):
        if code:
            ERR.print(f"lutnet: worker {worker.pid} ended with status {code}", markup=False)
    return codes


def _argv(args: argparse.Namespace) -> list[str]:
    """The command line of a worker of the same search."""
    argv = ["search", args.space, "--out", args.out, "--trials", str(args.trials), "--device", args.device]
    argv += ["--grace-s", str(args.grace_s)]
    for name in _PASSED_ON:
        value = getattr(args, name)
        if value is not None:
            argv += [f"--{name.replace('_', '-')}", str(value)]
    return argv


@contextmanager
def _terminable() -> Iterator[None]:
    """While the block runs, a request to terminate leaves the search as Ctrl-C does; repeated ones do not disturb that."""

    def leave(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    old = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, old)


def _print(outcome: Outcome, folder: Path) -> None:
    from lutnet.search.finish import FINDING_HEAD, finding_row

    census = outcome.census
    OUT.print(
        f"{census.complete} trials completed, {census.pruned} pruned, {census.failed} failed, {census.lost} lost and tried again"
    )
    table = Table(*FINDING_HEAD)
    for found in outcome.best:
        table.add_row(*finding_row(found))
    OUT.print(table)
    for found in outcome.best:
        if found.layers:
            layers = Table("layer", *found.layers[0], title=f"layers of trial {found.number}", title_justify="left")
            for index, layer in enumerate(found.layers):
                layers.add_row(str(index), *map(str, layer.values()))
            OUT.print(layers)
    OUT.print(f"trials are in {folder / 'trials'}, the table is in {folder / 'search.md'}", markup=False)
