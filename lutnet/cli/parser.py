"""The arguments of every sub-command."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import lutnet
from lutnet.cli import commands, emulate, front, optimise, search, stream

__all__ = ["make_parser"]


@dataclass(frozen=True)
class _Command:
    name: str
    help: str
    run: Callable[[argparse.Namespace], int | None]
    arguments: Callable[[argparse.ArgumentParser], None]


def make_parser() -> argparse.ArgumentParser:
    """The parser of the command ``lutnet``; parsed arguments carry the function to call as ``run``."""
    parser = argparse.ArgumentParser(
        prog="lutnet", description="Sparse quantised networks as verified netlists of FPGA lookup tables."
    )
    parser.add_argument("--version", action="version", version=f"lutnet {lutnet.__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        sub = subparsers.add_parser(command.name, help=command.help, description=command.help)
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
    sub.add_argument("config", help="a configuration by name (jsc-s, mnist-dwn-md ...) or a TOML file")
    sub.add_argument("--out", required=True, metavar="FOLDER", help="folder of the run")
    _data_argument(sub)
    sub.add_argument("--epochs", type=int)
    sub.add_argument("--batch-size", type=int)
    sub.add_argument("--learning-rate", type=float)
    sub.add_argument("--cost-weight", type=float, help="weight of the hardware cost in the loss, per lookup table")
    sub.add_argument("--target-luts", type=int, help="lookup tables that the weight of the hardware cost is steered to")
    sub.add_argument("--from", dest="start", metavar="RUN", help="go on from the finished network of another run")
    sub.add_argument("--input-bits", type=int, metavar="B", help="bits of each feature's code")
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
        "--every",
        type=int,
        metavar="K",
        help="registers after every K layers, 0 for none (default: 1, unless the passes place registers)",
    )
    sub.add_argument("--register-inputs", action="store_true", help="registers before the first layer too")
    sub.add_argument("--no-register-outputs", action="store_true", help="no registers after the last layer")


def _opt_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("netlist", help="folder of a compiled run, whose netlist is replaced, or a .npz netlist")
    sub.add_argument(
        "-p", "--passes", default="area", help="fast, area, latency, rare, or passes in order (default: %(default)s)"
    )
    sub.add_argument("-o", "--out", metavar="FILE", help="the new netlist, needed for a .npz netlist")
    sub.add_argument("--limit", type=int, metavar="N", help="stop after N rewrites, to bisect a fault")
    sub.add_argument(
        "--timeout-s", type=float, default=600.0, help="seconds the proof may take, 0 for none (default: %(default)s)"
    )
    _data_argument(sub)


def _emit_arguments(sub: argparse.ArgumentParser) -> None:
    _folder_argument(sub)
    sub.add_argument(
        "--backend",
        default="verilog",
        choices=("verilog", "stream", "c"),
        help="verilog, with a Vivado script and constraints; stream: Verilog that takes the pixels of a map one after the other; or c: "
        "C99 that evaluates many samples at once (default: %(default)s)",
    )
    stream.stream_arguments(sub)
    sub.add_argument("-o", "--out", metavar="FOLDER", help="folder of the C files (default: c in the run)")
    sub.add_argument(
        "--top", default="lutnet_top", help="name of the top module, or what C names start with (default: %(default)s)"
    )
    sub.add_argument(
        "--tables", default="case", choices=("case", "indexed", "lut6", "wide"), help="how tables are written"
    )
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


def _prove_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "folder", help="folder of the run; with another design: a netlist, the folder of a run, or a folder of Verilog"
    )
    sub.add_argument("other", nargs="?", help="design to compare with: exit status 0 proved, 1 different, 2 undecided")
    sub.add_argument("--timeout-s", type=float, default=600.0, help="seconds a proof may take (default: %(default)s)")


def _synth_arguments(sub: argparse.ArgumentParser) -> None:
    _timeout_argument(sub, 3600.0)
    sub.add_argument("--no-place", action="store_true", help="only count; no place and route on ECP5")


def _report_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("folders", nargs="+", metavar="RUN", help="folder of a run; several are put side by side")
    sub.add_argument(
        "-o",
        "--out",
        metavar="FOLDER",
        help="write the comparison as table, CSV, one HTML page and a figure of the front",
    )
    sub.add_argument("--mixed", action="store_true", help="compare runs on different data sets all the same")
    _data_argument(sub)


def _front_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("folder", help="folder of a run that was trained with front = true")
    sub.add_argument(
        "--points", type=int, default=0, metavar="N", help="networks to finish, spread over the front (default: all)"
    )
    sub.add_argument(
        "-p", "--passes", default="fast", help="preset or passes of lutnet opt, '' for none (default: %(default)s)"
    )
    sub.add_argument(
        "--tables", default="wide", choices=("case", "indexed", "lut6", "wide"), help="how tables are written"
    )
    sub.add_argument("--timeout-s", type=float, default=600.0, help="seconds a proof may take (default: %(default)s)")
    _data_argument(sub)


def _show_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("netlist", help="a netlist file or the folder of a run")
    sub.add_argument("--text", action="store_true", help="print the whole netlist as text")


_COMMANDS = (
    _Command("train", "Train a network and save it as the run's model.", commands.train_command, _train_arguments),
    _Command(
        "compile",
        "Tabulate a model, assemble and optimise its netlist, place registers.",
        commands.compile_command,
        _compile_arguments,
    ),
    _Command(
        "opt",
        "Optimise a netlist for fewer lookup tables, fewer registers or fewer levels, and prove the result.",
        optimise.opt_command,
        _opt_arguments,
    ),
    _Command(
        "emit",
        "Write a netlist as Verilog, with a Vivado script and constraints, as a stream of pixels, or as C.",
        emulate.emit_command,
        _emit_arguments,
    ),
    _Command(
        "simulate",
        "Compare the emitted Verilog with the netlist in simulators and by an independent reader.",
        commands.simulate_command,
        _simulate_arguments,
    ),
    _Command(
        "prove",
        "Prove that the emitted Verilog equals the netlist, or that two designs are one function.",
        commands.prove_command,
        _prove_arguments,
    ),
    _Command(
        "synth",
        "Count LUTs and flip-flops with yosys, place and route on ECP5 with nextpnr.",
        commands.synth_command,
        _synth_arguments,
    ),
    _Command(
        "report",
        "Read the test set once and write report.md and report.json; put the reports of several runs side by side.",
        commands.report_command,
        _report_arguments,
    ),
    _Command(
        "front",
        "Bring the networks that one training kept through the whole ladder, compare and draw them.",
        front.front_command,
        _front_arguments,
    ),
    _Command(
        "search",
        "Search for networks, layer by layer, with as many workers on as many machines as there are.",
        search.search_command,
        search.search_arguments,
    ),
    _Command(
        "predict",
        "Evaluate a netlist on a file of data, bit for bit, at the speed of compiled code.",
        emulate.predict_command,
        emulate.predict_arguments,
    ),
    _Command("show", "Print what is in a netlist.", commands.show_command, _show_arguments),
)
