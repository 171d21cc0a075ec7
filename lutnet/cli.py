"""The command ``lutnet``: one sub-command a step of the flow. Errors are one line; a user's mistake exits with 2, Ctrl-C with 130."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

import lutnet
from lutnet.errors import LutnetError, UserError
from lutnet.ir.store import load_design
from lutnet.ir.text import to_text
from lutnet.runs import RunFolder

if TYPE_CHECKING:
    from lutnet.nn.cost import NetworkCost
    from lutnet.train.data import Dataset
    from lutnet.train.loop import EpochRecord

__all__ = ["main"]

WIDTH = None if sys.stdout.isatty() else 140
OUT = Console(soft_wrap=True, highlight=False, width=WIDTH)
ERR = Console(stderr=True, soft_wrap=True, highlight=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    args = _parser().parse_args(argv)
    try:
        args.run(args)
    except UserError as error:
        return _fail(str(error), 2)
    except LutnetError as error:
        return _fail(str(error), 1)
    except KeyboardInterrupt:
        hint = f"; go on with `lutnet train {args.config} --out {args.out} --resume`" if args.command == "train" else ""
        return _fail(f"interrupted{hint}", 130)
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    return 0


def _fail(message: str, status: int) -> int:
    ERR.print(f"lutnet: error: {message}", markup=False)
    return status


# -- commands --------------------------------------------------------------------------------------------------------


def _train(args: argparse.Namespace) -> None:
    import torch

    from lutnet.cost.device import device_named
    from lutnet.flow import train_run
    from lutnet.train.data import load
    from lutnet.train.presets import find_config

    config = find_config(args.config)
    chosen = {key: getattr(args, key) for key in ("epochs", "batch_size", "learning_rate", "cost_weight")}
    config = config.with_train(**{key: value for key, value in chosen.items() if value is not None})
    if args.seed is not None:
        config = config.with_seed(args.seed)
    if args.dataset is not None:
        config = replace(config, dataset=args.dataset)
    with _download_bar() as progress:
        dataset = load(config.dataset, path=args.data, progress=progress)
    torch.set_num_threads(args.threads)
    device = device_named(config.train.cost_device)
    with _epoch_bar(config.train.epochs) as on_epoch:
        result = train_run(
            args.out,
            config,
            dataset,
            resume=args.resume,
            device=args.device,
            reference=not args.no_reference,
            on_start=lambda network: OUT.print(_cost_table(network.lut_cost(device))),
            on_epoch=on_epoch,
        )
    OUT.print(
        f"{config.name}: validation accuracy {result.validation_accuracy:.4f} in epoch {result.best_epoch} of {result.n_epochs}; "
        f"the model is in {RunFolder(Path(args.out)).model}"
    )


def _cost_table(cost: NetworkCost) -> Table:
    table = Table("part", "neurons", "address bits", "output bits", "table entries", "LUTs (closed form)")
    for row in cost.rows:
        table.add_row(row.name, *map(str, (row.n_neurons, row.address_bits, row.out_bits, row.n_entries, row.n_luts)))
    table.add_row("all", "", "", "", str(cost.n_entries), str(cost.n_luts))
    return table


def _compile(args: argparse.Namespace) -> None:
    from lutnet.flow import compile_run
    from lutnet.passes import Pipeline

    pipeline = Pipeline(every=args.every, inputs=args.register_inputs, outputs=not args.no_register_outputs)
    dataset = _dataset_of(args)
    with _steps() as tell:
        found = compile_run(args.folder, dataset, passes=args.passes, pipeline=pipeline, on_step=tell)
    table = Table("pass", "rewrites", "nodes", "seconds", "checked")
    for record in found.passes:
        nodes = f"{record.n_nodes_before} -> {record.n_nodes_after}"
        table.add_row(record.name, str(record.n_rewrites), nodes, f"{record.seconds:.2f}", record.checked)
    OUT.print(table)
    OUT.print(repr(found.design.netlist), markup=False)


def _emit(args: argparse.Namespace) -> None:
    from lutnet.backends import Verilog
    from lutnet.flow import VivadoTarget, emit_run

    backend = Verilog(
        top=args.top,
        tables=args.tables,
        per_layer=args.per_layer,
        reset=args.reset,
        clock_enable=args.clock_enable,
        valid=args.valid,
    )
    paths = emit_run(args.folder, backend, VivadoTarget(part=args.part, clock_ns=args.clock_ns))
    for path in paths:
        OUT.print(str(path), markup=False)


def _simulate(args: argparse.Namespace) -> None:
    from lutnet.flow import simulate_run

    with _steps() as tell:
        rungs = simulate_run(args.folder, simulators=args.simulator, n_vectors=args.vectors, on_step=tell)
    table = Table("rung", "vectors", "mismatches", "seconds", "how")
    for rung in rungs:
        table.add_row(rung.name, str(rung.vectors), str(rung.mismatches), f"{rung.seconds:.1f}", rung.detail)
    OUT.print(table)


def _prove(args: argparse.Namespace) -> None:
    from lutnet.flow import prove_run

    with _steps() as tell:
        proof = prove_run(args.folder, timeout_s=args.timeout_s, on_step=tell)
    OUT.print(str(proof), markup=False)


def _synth(args: argparse.Namespace) -> None:
    from lutnet.flow import synth_run

    with _steps() as tell:
        found = synth_run(args.folder, place=not args.no_place, timeout_s=args.timeout_s, on_step=tell)
    table = Table("tool", "device", "LUTs", "LUT cells", "MUXF", "CARRY", "FFs", "Fmax (MHz)")
    for report in found:
        figures = (report.luts, report.lut_cells, report.muxf, report.carry, report.ffs)
        fmax = "" if report.fmax_mhz is None else f"{report.fmax_mhz:.1f}"
        table.add_row(report.tool, report.device, *("" if n is None else str(n) for n in figures), fmax)
    OUT.print(table)


def _report(args: argparse.Namespace) -> None:
    from lutnet.flow import report_run

    path = report_run(args.folder, _dataset_of(args))
    OUT.print(path.read_text(), markup=False)


def _show(args: argparse.Namespace) -> None:
    path = Path(args.netlist)
    design = load_design(RunFolder(path).netlist if path.is_dir() else path)
    if args.text:
        sys.stdout.write(to_text(design.netlist))
        return
    net = design.netlist
    OUT.print(repr(net), markup=False)
    table = Table("level", "ops", "table bits", "stages")
    for level in range(net.depth + 1):
        nodes = [node for node in net.nodes() if net.levels[node.id] == level]
        ops = sorted({node.op.name.lower() for node in nodes})
        counts = ", ".join(f"{sum(node.op.name.lower() == op for node in nodes)} {op}" for op in ops)
        bits = sum(node.table.n_entries * node.width for node in nodes if node.table is not None)
        stages = sorted({node.stage for node in nodes})
        table.add_row(str(level), counts, str(bits), ", ".join(map(str, stages)))
    OUT.print(table)


# -- what commands share ---------------------------------------------------------------------------------------------


def _dataset_of(args: argparse.Namespace) -> Dataset:
    """The data set that a run was trained on."""
    from lutnet.train.checkpoint import load_model
    from lutnet.train.data import load

    config = load_model(RunFolder(Path(args.folder)).model).config
    with _download_bar() as progress:
        return load(args.dataset or config.dataset, path=args.data, progress=progress)


@contextmanager
def _epoch_bar(n_epochs: int) -> Iterator[Callable[[str, EpochRecord], None]]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=ERR) as bar:
        tasks: dict[str, TaskID] = {}

        def tell(kind: str, record: EpochRecord) -> None:
            if kind not in tasks:
                tasks[kind] = bar.add_task(kind, total=n_epochs if kind == "network" else None, figures="")
            figures = f"loss {record.loss:.4f}  validation {record.validation_accuracy:.4f}  {record.samples_per_s:,.0f} rows/s"
            bar.update(tasks[kind], completed=record.epoch + 1, figures=figures)

        yield tell


@contextmanager
def _download_bar() -> Iterator[Callable[[str, int, int | None], None]]:
    with Progress(console=ERR, transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def tell(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=total)
            bar.update(tasks[name], completed=done, total=total)

        yield tell


@contextmanager
def _steps() -> Iterator[Callable[[str], None]]:
    """A line that says what is being done now."""
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=ERR, transient=True
    ) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda name: bar.update(task, description=name)


# -- arguments -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Command:
    name: str
    help: str
    run: Callable[[argparse.Namespace], None]
    arguments: Callable[[argparse.ArgumentParser], None]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lutnet", description="Sparse quantised networks as verified netlists of FPGA lookup tables."
    )
    parser.add_argument("--version", action="version", version=f"lutnet {lutnet.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        sub = commands.add_parser(command.name, help=command.help, description=command.help)
        command.arguments(sub)
        sub.set_defaults(run=command.run)
    return parser


def _folder_argument(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("folder", help="folder of the run")


def _data_argument(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--data", metavar="FILE", help="data file or folder in place of LUTNET_DATA, the cache or a download"
    )
    sub.add_argument("--dataset", help="data set in place of the configuration's")


def _train_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("config", help="jsc-s, jsc-m, jsc-l, nid-s, nid-m, nid-l, or a TOML file")
    sub.add_argument("--out", required=True, metavar="FOLDER", help="folder of the run")
    _data_argument(sub)
    sub.add_argument("--epochs", type=int)
    sub.add_argument("--batch-size", type=int)
    sub.add_argument("--learning-rate", type=float)
    sub.add_argument("--cost-weight", type=float, help="weight of the hardware cost in the loss, per lookup table")
    sub.add_argument("--seed", type=int, help="seed of wiring, weights and batches")
    sub.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    sub.add_argument(
        "--threads", type=int, default=1, help="CPU threads; small networks are quickest with one (default: 1)"
    )
    sub.add_argument("--resume", action="store_true", help="go on from the folder's checkpoint")
    sub.add_argument("--no-reference", action="store_true", help="do not train the dense float network for comparison")


def _compile_arguments(sub: argparse.ArgumentParser) -> None:
    from lutnet.passes import DEFAULT_PASSES

    _folder_argument(sub)
    _data_argument(sub)
    sub.add_argument("--passes", default=DEFAULT_PASSES, help="passes in order (default: %(default)s)")
    sub.add_argument(
        "--every", type=int, default=1, metavar="K", help="registers after every K layers, 0 for none (default: 1)"
    )
    sub.add_argument("--register-inputs", action="store_true", help="registers before the first layer too")
    sub.add_argument("--no-register-outputs", action="store_true", help="no registers after the last layer")


def _emit_arguments(sub: argparse.ArgumentParser) -> None:
    _folder_argument(sub)
    sub.add_argument("--top", default="lutnet_top", help="name of the top module (default: %(default)s)")
    sub.add_argument("--tables", default="case", choices=("case", "indexed", "lut6"), help="how tables are written")
    sub.add_argument("--per-layer", action="store_true", help="one file a layer in place of one in all")
    sub.add_argument("--reset", action="store_true", help="add a synchronous reset")
    sub.add_argument("--clock-enable", action="store_true", help="add a clock enable")
    sub.add_argument("--valid", action="store_true", help="add a valid bit that travels with the data")
    sub.add_argument("--part", default="xcvu9p-flgb2104-2-i", help="part in the Vivado script (default: %(default)s)")
    sub.add_argument(
        "--clock-ns", type=float, default=1.6, help="clock period in the constraints (default: %(default)s)"
    )


def _simulate_arguments(sub: argparse.ArgumentParser) -> None:
    _folder_argument(sub)
    sub.add_argument("--simulator", nargs="+", default=["icarus", "verilator"], choices=("icarus", "verilator"))
    sub.add_argument("--vectors", type=int, default=2000, help="vectors a simulator (default: %(default)s)")


def _timeout_argument(sub: argparse.ArgumentParser, seconds: float) -> None:
    _folder_argument(sub)
    sub.add_argument("--timeout-s", type=float, default=seconds, help="seconds a tool may take (default: %(default)s)")


def _synth_arguments(sub: argparse.ArgumentParser) -> None:
    _timeout_argument(sub, 3600.0)
    sub.add_argument("--no-place", action="store_true", help="only count; no place and route on ECP5")


def _report_arguments(sub: argparse.ArgumentParser) -> None:
    _folder_argument(sub)
    _data_argument(sub)


def _show_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("netlist", help="a netlist file or the folder of a run")
    sub.add_argument("--text", action="store_true", help="print the whole netlist as text")


_COMMANDS = (
    _Command("train", "Train a network and save it as the run's model.", _train, _train_arguments),
    _Command(
        "compile", "Tabulate a model, assemble and optimise its netlist, place registers.", _compile, _compile_arguments
    ),
    _Command("emit", "Write a netlist as Verilog, with a Vivado script and constraints.", _emit, _emit_arguments),
    _Command(
        "simulate",
        "Compare the emitted Verilog with the netlist in simulators and by an independent reader.",
        _simulate,
        _simulate_arguments,
    ),
    _Command(
        "prove",
        "Prove by SAT that the emitted Verilog equals the netlist.",
        _prove,
        lambda sub: _timeout_argument(sub, 600.0),
    ),
    _Command(
        "synth", "Count LUTs and flip-flops with yosys, place and route on ECP5 with nextpnr.", _synth, _synth_arguments
    ),
    _Command("report", "Read the test set once and write report.md and report.json.", _report, _report_arguments),
    _Command("show", "Print what is in a netlist.", _show, _show_arguments),
)
