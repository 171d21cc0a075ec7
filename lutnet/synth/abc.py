"""Cones of tables through ABC: mapped to small lookup tables, read back, proved equal, and kept where they cost less.

R. Brayton and A. Mishchenko, "ABC: an academic industrial-strength verification tool", CAV 2010.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from lutnet.backends.blif import Blif
from lutnet.cost.packing import packed_luts
from lutnet.errors import LutnetError, ToolError, UserError
from lutnet.ir.estimate import estimate_luts
from lutnet.ir.netlist import Netlist
from lutnet.passes.base import Pass, Steps
from lutnet.synth.blif_reader import MappedNetwork, read_mapped_blif
from lutnet.synth.cones import Cone, Wiring, find_cones
from lutnet.synth.splice import splice
from lutnet.tools.yosys import run_abc
from lutnet.verify.cec import check_equivalence, out_of_time

__all__ = ["SCRIPTS", "Abc"]

_MAP = "if -K {k} -a -C 24; mfs2 -a -e -W 10 -M 0 -C 10000 -F 300 -D 0 -L 100"
_SHORT_MAP = "if -K {k} -a; mfs2 -a"

SCRIPTS: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "fast": ((f"strash; {_SHORT_MAP}", f"strash; dc2; {_SHORT_MAP}"),),
        "area": (
            (f"strash; {_MAP}", f"strash; ifraig; dch -f; {_MAP}"),
            (f"mfs2 -a -e -W 10 -M 0 -C 10000 -F 300 -D 0 -L 100; strash; {_MAP}", f"strash; dch; {_MAP}"),
        ),
        "deep": (
            (f"strash; {_MAP}", f"strash; ifraig; dch; {_MAP}"),
            (f"strash; dc2; resub -K 12 -N 3; rewrite -z; refactor -z; dc2; dch; {_MAP}", f"strash; dch; {_MAP}"),
            (f"strash; &get -n; &synch2; &put; {_MAP}", f"strash; &get -n; &synch2; &put; {_MAP}"),
        ),
    }
)
"""ABC scripts by name: starts that are tried one beside the other, each with what an unit of effort does again to its result."""

_MAX_ADDRESS_BITS = 14
_MAX_ENTRIES = 1 << 20
_TIMEOUT_S = 900.0


@dataclass(frozen=True)
class Abc(Pass):
    """Hands the tables to ABC and takes back networks of tables with at most ``k`` inputs where they need fewer lookup tables.

    Sums, comparisons, argmax and tables of more than 14 address bits stay and are borders, and so are pipeline registers: what comes
    back has the stage of the tables that it replaces. Cones of more than 2**20 table entries are split. A cone is replaced when
    its tables, packed as yosys packs them, are fewer, and only after ABC's ``cec`` has proved it equal; one that takes longer than
    15 minutes stays as it is. Don't-care entries keep the code that the table stores.

    Attributes:
        k: Most inputs of a table, 4 to 6.
        script: ``fast``, ``area`` or ``deep``, see :data:`SCRIPTS`.
        effort: How often each start of the script is mapped in all, 1 to 9.
        across: Whether tables are rewritten together; otherwise each one alone.
    """

    name: ClassVar[str] = "abc"
    k: int = 6
    script: str = "area"
    effort: int = 2
    across: bool = True

    def __post_init__(self) -> None:
        if not 4 <= self.k <= 6:
            raise UserError(f"abc.k is a number of inputs from 4 to 6, got {self.k}")
        if self.script not in SCRIPTS:
            raise UserError(f"abc.script is one of {', '.join(SCRIPTS)}, got '{self.script}'")
        if not 1 <= self.effort <= 9:
            raise UserError(f"abc.effort is a number from 1 to 9, got {self.effort}")

    def rewrite(self, net: Netlist, steps: Steps) -> Netlist:
        wiring = Wiring.of(net, _MAX_ADDRESS_BITS)
        cones = find_cones(net, wiring, across=self.across, max_entries=_MAX_ENTRIES)
        mapped: dict[int, MappedNetwork] = {}
        for place, cone in enumerate(cones):
            found = self._better(cone) if self._may_shrink(cone) else None
            if found is not None and steps.take():
                mapped[place] = found
        return splice(net, wiring, cones, mapped) if mapped else net

    def _may_shrink(self, cone: Cone) -> bool:
        """Whether a cone is more than one table of one lookup table a bit."""
        tables = [node.table for node in cone.netlist.nodes() if node.table is not None]
        return len(tables) > 1 or tables[0].address_bits > self.k

    def _better(self, cone: Cone) -> MappedNetwork | None:
        """The cheapest proved network for a cone; ``None`` when none is cheaper than the tables."""
        before = estimate_luts(cone.netlist).luts
        with tempfile.TemporaryDirectory(prefix="lutnet-abc-") as name:
            folder = Path(name)
            (text,) = Blif(top="cone").emit(cone.netlist).values()
            (folder / "cone.blif").write_text(text)
            found = self._mapped(cone, folder)
            found.sort(key=lambda item: (packed_luts(item[1].cells()), len(item[1].luts), item[0]))
            for file, network in found:
                if packed_luts(network.cells()) < before and _proved(folder, file):
                    return network
        return None

    def _mapped(self, cone: Cone, folder: Path) -> list[tuple[str, MappedNetwork]]:
        """What every start of the script made of ``cone.blif``, after every unit of effort."""
        inputs = [f"in_data[{i}]" for i in range(len(cone.leaves))]
        outputs = [f"out_data[{i}]" for i in range(len(cone.roots))]
        lines, files = [], []
        for place, (first, again) in enumerate(SCRIPTS[self.script]):
            lines.append("read_blif cone.blif")
            for turn in range(self.effort):
                files.append(f"mapped_{place}_{turn}.blif")
                lines += [(again if turn else first).format(k=self.k), f"write_blif {files[-1]}"]
        try:
            run_abc("\n".join([*lines, ""]), cwd=folder, timeout_s=_TIMEOUT_S)
        except ToolError as error:
            if not out_of_time(error):
                raise
            files = [file for file in files[:-1] if (folder / file).is_file()][:-1]
        return [(file, read_mapped_blif((folder / file).read_text(), inputs, outputs, self.k)) for file in files]


def _proved(folder: Path, file: str) -> bool:
    """Whether a mapped cone is the cone.

    Raises:
        LutnetError: It is not.
    """
    result = check_equivalence(folder, "cone.blif", file, timeout_s=_TIMEOUT_S)
    if result.equivalent is False:
        raise LutnetError("yosys-abc changed the function of a cone; report this with the netlist and `lutnet prove`")
    return result.equivalent is True
