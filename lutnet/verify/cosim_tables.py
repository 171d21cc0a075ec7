"""The exhaustive rung of the tables: every table module of the emitted RTL at every address, in simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from lutnet.backends.verilog import Verilog
from lutnet.errors import UserError
from lutnet.ir.netlist import Netlist
from lutnet.verify.cosim_run import read_words, run_cocotb, scratch_folder, write_sources
from lutnet.verify.equivalence import Comparison, compare_codes
from lutnet.verify.harness import Sweep, sweeps_of

__all__ = ["check_tables", "quicker_for_tables"]

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
    chosen = quicker_for_tables(net) if simulator is None else simulator
    got: list[np.ndarray] = [np.empty(0, np.int64)] * len(net.tables)
    with scratch_folder(workdir, chosen) as folder:
        sources = write_sources(folder / "rtl", files).sources
        for sweep in sweeps_of(_TOP, backend.table_modules(net), net.tables):
            for index, codes in zip(sweep.table_ids, _swept(folder, sources, sweep, chosen, timeout_s), strict=True):
                got[index] = codes
    entries = [(np.full(t.n_entries, i), np.arange(t.n_entries)) for i, t in enumerate(net.tables)]
    inputs = np.concatenate([np.stack(pair, axis=1) for pair in entries])
    expected = np.concatenate([table.codes.astype(np.int64) for table in net.tables])[:, None]
    return compare_codes(inputs, expected, np.concatenate(got)[:, None], exhaustive=True)


def quicker_for_tables(net: Netlist) -> str:
    """The simulator that is likely to sweep the tables of a netlist sooner: Icarus for small ones, which need no C++ compiler."""
    names = [str(i) for i in range(len(net.tables))]
    icarus = verilator = 0.0
    for sweep in sweeps_of(_TOP, names, net.tables):
        entries = sum(table.n_entries for table in sweep.tables)
        icarus += _ICARUS_S * entries * (1 << sweep.address_bits)
        verilator += _VERILATOR_BUILD_S + _VERILATOR_S * entries
    return "icarus" if icarus <= verilator else "verilator"


def _swept(folder: Path, sources: Sequence[Path], sweep: Sweep, simulator: str, timeout_s: float) -> list[np.ndarray]:
    """Codes of every table of a sweep at every address; -1 where bits are unknown."""
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
    found, low = [], 0
    for table in sweep.tables:
        part = bits[: table.n_entries, low : low + table.out_width].astype(np.int64)
        codes = part @ (np.int64(1) << np.arange(table.out_width, dtype=np.int64))
        found.append(np.where((part < 0).any(axis=1), -1, codes))
        low += table.out_width
    return found
