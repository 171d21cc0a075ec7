"""The exhaustive rung of the tables: every table module of the emitted RTL at every address, in simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from lutnet.backends.verilog import Verilog
from lutnet.errors import UserError
from lutnet.ir.netlist import Netlist
from lutnet.tables import TruthTable
from lutnet.verify.cosim_run import Emitted, read_words, run_cocotb, scratch_folder, write_sources
from lutnet.verify.equivalence import Comparison, compare_codes
from lutnet.verify.harness import sweeps_of

__all__ = ["check_tables", "check_tables_batch", "quicker_for_tables"]

_Codes = npt.NDArray[np.int64]

_TOP = "lutnet_sweep"
_ICARUS_S = 30e-9
"""Icarus tries the labels of a ``case`` one after the other: seconds for each label at each address."""

_VERILATOR_S = 40e-6
"""Verilator's time to build a table, seconds for each entry; simulation is quick then."""

_VERILATOR_BUILD_S = 12.0


def check_tables(
    net: Netlist,
    backend: Verilog,
    files: Mapping[PurePosixPath, str],
    *,
    simulator: str | None = None,
    workdir: str | Path | None = None,
    timeout_s: float = 1800.0,
) -> Comparison:
    """Drives every table module through all its addresses and compares every output with the netlist's table.

    Addresses that a table does not care about are compared as well: the stored codes are the emitted ones.

    Args:
        net: The netlist.
        backend: The back end that wrote ``files``; it names the table modules.
        files: What it wrote.
        simulator: ``"icarus"``, ``"verilator"``, or ``None`` for :func:`quicker_for_tables`.
        workdir: Existing folder for a new folder with everything that was written; a temporary one that is removed when left out.
        timeout_s: Time for each build and run, seconds; designs of more than 2**20 entries take several.

    Returns:
        A comparison whose vectors are all entries of all distinct tables: inputs are table id and address, the output is the code.

    Raises:
        UserError: The netlist has no table, or there is no such simulator.
        ToolError: The simulator is missing, refuses the sources, or ran out of time.
    """
    if not net.tables:
        raise UserError("the netlist has no table to check; leave this check out")
    chosen = quicker_for_tables(net.tables) if simulator is None else simulator
    with scratch_folder(workdir, chosen) as folder:
        sources = write_sources(folder / "rtl", files).sources
        got = _swept(folder, sources, backend.table_modules(net), net.tables, chosen, timeout_s)
    return _judge(net.tables, got)


def check_tables_batch(
    designs: Sequence[Emitted],
    *,
    simulator: str | None = None,
    workdir: str | Path | None = None,
    timeout_s: float = 1800.0,
) -> tuple[Comparison, ...]:
    """:func:`check_tables` for many designs of distinct top modules in as few builds as possible.

    Returns:
        One comparison a design, in the order given; one without tables has 0 vectors.
    """
    tables = [table for design in designs for table in design.net.tables]
    chosen = quicker_for_tables(tables) if simulator is None else simulator
    with scratch_folder(workdir, chosen) as folder:
        sources: dict[Path, None] = {}
        modules: list[str] = []
        for i, design in enumerate(designs):
            written = write_sources(folder / f"d{i}", design.files)
            sources.update(dict.fromkeys(written.sources))
            modules += Verilog(top=written.interface.top).table_modules(design.net)
        if len(set(modules)) != len(modules):
            raise UserError(
                "the designs of a batch need top modules of distinct names; emit them with other values of 'top'"
            )
        got = _swept(folder, list(sources), modules, tables, chosen, timeout_s)
    results, low = [], 0
    for design in designs:
        high = low + len(design.net.tables)
        results.append(_judge(design.net.tables, got[low:high]) if high > low else Comparison(0, 0, True))
        low = high
    return tuple(results)


def quicker_for_tables(tables: Sequence[TruthTable]) -> str:
    """The simulator that is likely to sweep tables sooner: Icarus for small ones, which need no C++ compiler."""
    icarus = verilator = 0.0
    for sweep in sweeps_of(_TOP, [""] * len(tables), tables):
        entries = sum(table.n_entries for table in sweep.tables)
        icarus += _ICARUS_S * entries * (1 << sweep.address_bits)
        verilator += _VERILATOR_BUILD_S + _VERILATOR_S * entries
    return "icarus" if icarus <= verilator else "verilator"


def _judge(tables: Sequence[TruthTable], got: Sequence[_Codes]) -> Comparison:
    entries = [(np.full(t.n_entries, i), np.arange(t.n_entries)) for i, t in enumerate(tables)]
    inputs = np.concatenate([np.stack(pair, axis=1) for pair in entries])
    expected = np.concatenate([table.codes.astype(np.int64) for table in tables])[:, None]
    return compare_codes(inputs, expected, np.concatenate(got)[:, None], exhaustive=True)


def _swept(
    folder: Path,
    sources: Sequence[Path],
    modules: Sequence[str],
    tables: Sequence[TruthTable],
    simulator: str,
    timeout_s: float,
) -> list[_Codes]:
    """Codes of every table module at every address, one array a table; -1 where bits are unknown."""
    got: list[_Codes] = [np.empty(0, np.int64)] * len(tables)
    for sweep in sweeps_of(_TOP, modules, tables):
        own = folder / sweep.top
        own.mkdir()
        (own / "sweep.v").write_text(sweep.verilog)
        run_cocotb(
            own,
            [*sources, own / "sweep.v"],
            sweep.top,
            "tables_bench",
            simulator=simulator,
            tests=["sweep_tables"],
            timeout_s=timeout_s,
        )
        bits = read_words(own / "sweep_tables.txt", sum(table.out_width for table in sweep.tables))
        low = 0
        for index, table in zip(sweep.table_ids, sweep.tables, strict=True):
            part = bits[: table.n_entries, low : low + table.out_width].astype(np.int64)
            codes = part @ (np.int64(1) << np.arange(table.out_width, dtype=np.int64))
            got[index] = np.where((part < 0).any(axis=1), -1, codes)
            low += table.out_width
    return got
