"""The sub-commands: from parsed arguments to calls of the flow, and what they print."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from lutnet.cli.display import ERR, OUT, cost_table, download_bar, epoch_bar, round_bar, steps, width_table
from lutnet.ir.store import load_design
from lutnet.ir.text import to_text
from lutnet.runs import RunFolder

if TYPE_CHECKING:
    from lutnet.train.data import Dataset

__all__ = [
    "compile_command",
    "dataset_of",
    "emit_command",
    "prove_command",
    "report_command",
    "show_command",
    "simulate_command",
    "synth_command",
    "train_command",
]


def train_command(args: argparse.Namespace) -> None:
    """Trains a model."""
    import torch

    from lutnet.answers import ANSWERS
    from lutnet.cost.device import device_named
    from lutnet.flow import train_run
    from lutnet.train.checkpoint import load_model
    from lutnet.train.data import load
    from lutnet.train.presets import find_config

    config = find_config(args.config)
    chosen = {
        key: getattr(args, key) for key in ("epochs", "batch_size", "learning_rate", "cost_weight", "target_luts")
    }
    config = config.with_train(**{key: value for key, value in chosen.items() if value is not None})
    if args.seed is not None:
        config = config.with_seed(args.seed)
    if args.input_bits is not None:
        config = config.with_model(input_bitwidth=args.input_bits)
    if args.dataset is not None:
        config = replace(config, dataset=args.dataset)
    with download_bar() as progress:
        dataset = load(config.dataset, path=args.data, progress=progress)
    torch.set_num_threads(args.threads)
    device = device_named(config.train.cost_device)
    start = load_model(RunFolder(Path(args.start)).model) if args.start is not None else None
    with epoch_bar(config.train.epochs) as on_epoch, round_bar() as on_round:
        result = train_run(
            args.out,
            config,
            dataset,
            resume=args.resume,
            device=args.device,
            reference=not args.no_reference,
            start=start,
            on_start=lambda network: OUT.print(cost_table(network.lut_cost(device))),
            on_epoch=on_epoch,
            on_round=on_round,
        )
    if config.model.widths.granularity != "none":
        OUT.print(width_table(load_model(RunFolder(Path(args.out)).model).network))
    when = f"in epoch {result.best_epoch} of {result.n_epochs}" if result.history else f"after {result.n_epochs} rounds"
    OUT.print(
        f"{config.name}: validation {ANSWERS[config.model.head.kind].metric} {result.validation_accuracy:.4f} {when}; the model is in "
        f"{RunFolder(Path(args.out)).model}"
    )


def compile_command(args: argparse.Namespace) -> None:
    """Tabulates, assembles, optimises and pipelines."""
    from lutnet.flow import compile_run
    from lutnet.passes import Pipeline

    chosen = args.every is not None or args.register_inputs or args.no_register_outputs
    every = 1 if args.every is None else args.every
    pipeline = (
        Pipeline(every=every, inputs=args.register_inputs, outputs=not args.no_register_outputs) if chosen else None
    )
    dataset = dataset_of(args, Path(args.folder))
    with steps() as tell:
        found = compile_run(args.folder, dataset, passes=args.passes, pipeline=pipeline, on_step=tell)
    table = Table("pass", "rewrites", "nodes", "seconds", "checked")
    for record in found.passes:
        nodes = f"{record.n_nodes_before} -> {record.n_nodes_after}"
        table.add_row(record.name, str(record.n_rewrites), nodes, f"{record.seconds:.2f}", record.checked)
    OUT.print(table)
    OUT.print(repr(found.design.netlist), markup=False)


def emit_command(args: argparse.Namespace) -> None:
    """Writes Verilog."""
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


def simulate_command(args: argparse.Namespace) -> None:
    """Simulates the Verilog."""
    from lutnet.flow import simulate_run

    with steps() as tell:
        rungs = simulate_run(args.folder, simulators=args.simulator, n_vectors=args.vectors, on_step=tell)
    table = Table("rung", "vectors", "mismatches", "seconds", "how")
    for rung in rungs:
        table.add_row(rung.name, str(rung.vectors), str(rung.mismatches), f"{rung.seconds:.1f}", rung.detail)
    OUT.print(table)


def prove_command(args: argparse.Namespace) -> int:
    """Proves the Verilog of a run, or two designs against each other: 0 proved, 1 different, 2 undecided."""
    from lutnet.flow import prove_pair, prove_run
    from lutnet.verify.formal import Proof

    if args.other is not None:
        with steps() as tell:
            found = prove_pair(args.folder, args.other, timeout_s=args.timeout_s, on_step=tell)
        OUT.print(str(found), markup=False)
        late = isinstance(found, Proof) and found.latency_proved is False
        return 0 if found.holds else 1 if found.status == "refuted" or late else 2
    with steps() as tell:
        proof = prove_run(args.folder, timeout_s=args.timeout_s, on_step=tell)
    OUT.print(str(proof), markup=False)
    return 0


def synth_command(args: argparse.Namespace) -> None:
    """Counts and places."""
    from lutnet.flow import synth_run

    with steps() as tell:
        found = synth_run(args.folder, place=not args.no_place, timeout_s=args.timeout_s, on_step=tell)
    table = Table("tool", "device", "LUTs", "LUT cells", "MUXF", "CARRY", "FFs", "Fmax (MHz)")
    for report in found:
        figures = (report.luts, report.lut_cells, report.muxf, report.carry, report.ffs)
        fmax = "" if report.fmax_mhz is None else f"{report.fmax_mhz:.1f}"
        table.add_row(report.tool, report.device, *("" if n is None else str(n) for n in figures), fmax)
    OUT.print(table)


def report_command(args: argparse.Namespace) -> None:
    """Reads the test set and reports one run, or puts the reports of several side by side."""
    if len(args.folders) == 1 and args.out is None:
        from lutnet.flow import report_run

        path = report_run(args.folders[0], dataset_of(args, Path(args.folders[0])))
        OUT.print(path.read_text(), markup=False)
        return
    from lutnet.flow.comparing import load_reports, write_comparison
    from lutnet.report.compare import render_table

    reports = load_reports(
        args.folders,
        dataset_of=lambda path: dataset_of(args, path),
        mixed=args.mixed,
        on_step=lambda step: ERR.print(step, markup=False),
    )
    if args.out is None:
        OUT.print(render_table(reports), markup=False, end="")
        return
    for path in write_comparison(reports, args.out):
        OUT.print(str(path), markup=False)


def show_command(args: argparse.Namespace) -> None:
    """Prints what is in a netlist."""
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


def dataset_of(args: argparse.Namespace, folder: Path) -> Dataset:
    """The data set that a run was trained on."""
    from lutnet.flow import load_run_model
    from lutnet.train.data import load

    config = load_run_model(RunFolder(folder).model).config
    with download_bar() as progress:
        return load(args.dataset or config.dataset, path=args.data, progress=progress)
