"""A search by two workers, one of which is killed while it works; the result beside the named configurations.

    python benchmarks/search.py --data jets_sim.npz --out build/bench/search --named build/bench

Two workers share the journal in the output folder. At a random moment one gets SIGKILL; a third joins in its place. What was finished
before the kill is compared with what is in the store at the end. The named configurations are judged by the same objective on their
trained runs (benchmarks/jets.py makes them). The table is written to benchmarks/search.md, the rows to benchmarks/search.json. The test
set is not read.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from lutnet.errors import UserError
from lutnet.flow import load_run_model
from lutnet.runs import RunFolder
from lutnet.search import Search, find_space, finish, open_search
from lutnet.search.finish import FINDING_HEAD, Finding, finding_row
from lutnet.search.lease import RETRY_OF
from lutnet.search.measure import measure
from lutnet.search.store import open_storage
from lutnet.train.data import load

HERE = Path(__file__).resolve().parent
NAMED = ("jsc-s", "jsc-m", "jsc-l")
LOOK_S = 0.2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="data file; the packaged sample without it")
    parser.add_argument("--space", default="jets", help="built-in space or TOML file (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("build/bench/search"), help="a folder without a search")
    parser.add_argument("--named", type=Path, default=Path("build/bench"), help="folder of the named runs")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--grace-s", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0, help="of the moment of the kill")
    parser.add_argument("--results", type=Path, default=HERE / "search", help="the two files without their suffix")
    args = parser.parse_args()
    if (args.out / "study.journal").exists():
        raise SystemExit(f"{args.out} holds a search already; name another folder or remove it")
    begun = time.monotonic()
    killed = _search_with_a_kill(args)
    seconds = time.monotonic() - begun
    space = find_space(args.space)
    dataset = load(space.base.dataset, path=args.data)
    search = open_search(space, dataset, args.out)
    kept = _check_kept(search, killed)
    outcome = finish(search, on_step=lambda text: print(text, flush=True))
    named = _named(args.named, search)
    result = {
        "space": space.name,
        "trials": args.trials,
        "seconds": round(seconds),
        "kill": {key: value for key, value in killed.items() if key != "trials"} | kept,
        "outcome": asdict(outcome),
        "named": named,
    }
    Path(f"{args.results}.json").write_text(json.dumps(result, indent=2) + "\n")
    Path(f"{args.results}.md").write_text(_markdown(result, outcome.best))
    print(Path(f"{args.results}.md").read_text())
    best = max((row["objective"] for row in named), default=0.0)
    return 0 if kept["lost_finished_trials"] == 0 and outcome.best[0].values[0] > best else 1


def _search_with_a_kill(args: argparse.Namespace) -> dict[str, Any]:
    """Runs the workers; what was in the store when one was killed."""
    command = [sys.executable, "-m", "lutnet", "search", args.space, "--out", str(args.out), "--worker"]
    command += ["--trials", str(args.trials), "--grace-s", str(args.grace_s), "--device", "cpu"]
    command += [] if args.data is None else ["--data", args.data]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    workers = [subprocess.Popen(command, env=environment) for _ in range(2)]
    chance = random.Random(args.seed)
    after = chance.randint(max(1, args.trials // 10), max(1, args.trials * 6 // 10))
    try:
        while sum(trial.state.is_finished() for trial in _trials(args.out)) < after:
            _require_alive(workers)
            time.sleep(LOOK_S)
        time.sleep(chance.uniform(0.0, 5.0))
        victim = workers[chance.randrange(2)]
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        before = _trials(args.out)
        print(
            f"killed worker {victim.pid}; {sum(t.state.is_finished() for t in before)} trials were finished", flush=True
        )
        workers.remove(victim)
        workers.append(subprocess.Popen(command, env=environment))
        for worker in workers:
            if worker.wait():
                raise SystemExit(f"a worker ended with status {worker.returncode}")
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    return {
        "finished_before": sum(t.state.is_finished() for t in before),
        "running_before": [t.number for t in before if t.state is TrialState.RUNNING],
        "trials": before,
    }


def _require_alive(workers: list[subprocess.Popen[bytes]]) -> None:
    if any(worker.poll() is not None for worker in workers):
        raise SystemExit("a worker ended before the kill")


def _trials(folder: Path) -> list[FrozenTrial]:
    """All trials of the only study in a folder."""
    if not (folder / "study.journal").is_file():
        return []
    storage = open_storage(None, folder)
    studies = optuna.get_all_study_summaries(storage, include_best_trial=False)
    return optuna.load_study(study_name=studies[0].study_name, storage=storage).trials if studies else []


def _check_kept(search: Search, killed: dict[str, Any]) -> dict[str, Any]:
    """Finished trials that are not in the store as they were, and what became of those that ran."""
    now = search.study.trials
    changed = [
        old.number
        for old in killed["trials"]
        if old.state.is_finished()
        and (old.state, old.values, old.params)
        != (now[old.number].state, now[old.number].values, now[old.number].params)
    ]
    retried = {t.user_attrs[RETRY_OF]: t.number for t in now if RETRY_OF in t.user_attrs}
    return {"lost_finished_trials": len(changed), "tried_again": {str(old): new for old, new in retried.items()}}


def _named(folder: Path, search: Search) -> list[dict[str, Any]]:
    """The named configurations, every seed that has been trained, by the objective of the search."""
    rows = []
    for path in sorted(path for name in NAMED for path in folder.glob(f"{name}-seed*") if path.is_dir()):
        try:
            model = load_run_model(RunFolder(path).model)
        except UserError as error:
            print(f"{path.name} is left out: {error}")
            continue
        accuracy = float(model.info["validation_accuracy"])
        found = measure(model.lower(), model.encoder(), model.config, search.dataset, accuracy=accuracy)
        (value,) = search.space.objective.values(found, search.reference.cost)
        rows.append({"name": path.name, "validation_accuracy": accuracy, "luts": found.luts, "objective": value})
    return rows


def _markdown(result: dict[str, Any], best: tuple[Finding, ...]) -> str:
    kill, census, objective = result["kill"], result["outcome"]["census"], result["outcome"]["objective"]
    again = ", ".join(f"trial {old} as trial {new}" for old, new in kill["tried_again"].items()) or "none was running"
    lines = [
        "# A search by two workers, one of which is killed",
        "",
        f"Space `{result['space']}`, {result['trials']} trials in {result['seconds']:,} s: {census['complete']} completed, "
        f"{census['pruned']} pruned, {census['failed']} failed. One worker got SIGKILL when {kill['finished_before']} trials were "
        f"finished; {kill['lost_finished_trials']} of these were lost; tried again: {again}.",
        "",
        f"Objective: validation accuracy x (1 + {objective['tolerated_drop']} x log_{objective['rate']:g}("
        f"{objective['stress'] * result['outcome']['reference_cost']:,.6g} / LUTs)), LUTs estimated after the passes of `lutnet compile`. "
        "The named configurations were trained in full, on all rows; trials are short, on a part of them. Made by benchmarks/search.py.",
        "",
        "| network | objective | validation accuracy | LUTs (estimate) |",
        "| --- | --- | --- | --- |",
    ]
    rows = [{"name": f"trial {f.number}", "objective": f.values[0], **f.figures} for f in best] + result["named"]
    for row in sorted(rows, key=lambda row: -row["objective"]):
        lines.append(f"| {row['name']} | {row['objective']:.4f} | {row['validation_accuracy']:.4f} | {row['luts']:,} |")
    lines += ["", "The found network after the ladder (compiled, simulated, proved, synthesised):", ""]
    lines += [
        f"| {' | '.join(cells)} |" for cells in (FINDING_HEAD, ["---"] * len(FINDING_HEAD), *map(finding_row, best))
    ]
    for found in best:
        head = ["layer", *found.layers[0]]
        lines += ["", "Its layers:", "", f"| {' | '.join(head)} |", f"| {' | '.join(['---'] * len(head))} |"]
        lines += [f"| {' | '.join(map(str, (i, *layer.values())))} |" for i, layer in enumerate(found.layers)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
