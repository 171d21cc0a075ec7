"""C99: a netlist as bit-sliced code that evaluates 64 to 512 samples at once, without any dependency."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import PurePosixPath
from typing import ClassVar

from lutnet.backends.base import Backend
from lutnet.backends.c_lower import circuit_of
from lutnet.backends.c_text import Body, body_of
from lutnet.backends.names import checked_identifier
from lutnet.backends.templates import read_template
from lutnet.errors import UserError
from lutnet.formats import InputEncoder
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import OpCode

__all__ = ["MAX_C_THRESHOLDS", "CCode"]

MAX_C_THRESHOLDS = 1 << 18
"""Most thresholds that are written as constants."""

_MAX_STEPS = 15
"""Thresholds of a feature up to which all features are compared with their k-th thresholds at once, without a branch."""


_TAKEN = frozenset(
    """
    asm auto bool catch char concept const_cast constexpr decltype delete double dynamic_cast explicit false float friend goto
    inline long main mutable namespace new noexcept nullptr operator private public short sizeof static_assert
    static_cast std switch template thread_local throw true try typeid typename using volatile wchar_t
    """.split()
)


@dataclass(frozen=True)
class CCode(Backend):
    """Emits ``<top>.c``, ``<top>.h``, the C++ wrapper ``<top>.hpp`` and a small program ``main.c``; see ``docs/emulator.md``.

    A variable of the code holds one bit of many samples. Tables become multiplexers that share cofactors over the whole netlist, or
    are read sample by sample when they are large; sums are columns of full adders, comparisons chains of majorities. Registers are
    left out: outputs are those of the pipelined design after its latency. Packing is that of the emitted Verilog.

    Attributes:
        top: What every public name starts with.
        encoder: Input quantisers of the design; with them the code has functions that take raw features too.
    """

    name: ClassVar[str] = "c"
    ops: ClassVar[frozenset[OpCode]] = frozenset(OpCode)
    top: str = "lutnet_top"
    encoder: InputEncoder | None = None

    def __post_init__(self) -> None:
        checked_identifier(self.top, "the prefix of the C functions")
        if self.top in _TAKEN:
            raise UserError(
                f"the prefix of the C functions may not be a word of C++ or 'main', got '{self.top}'; choose another"
            )

    def emit(self, net: Netlist) -> dict[PurePosixPath, str]:
        """``<top>.c``, ``<top>.h``, ``<top>.hpp`` and ``main.c``."""
        self.check_ops(net)
        if len(net.inputs) == 0:
            raise UserError("C code needs at least one input; this netlist has only constants")
        if self.encoder is not None:
            self._check_encoder(net, self.encoder)
        names = self._names(net)
        parts = {name: self._of_features(f"c/features.{name}", names) for name in ("c", "h", "hpp")}
        return {
            PurePosixPath(f"{self.top}.c"): self._source(net, names, parts["c"]),
            PurePosixPath(f"{self.top}.h"): read_template("c/header.h").substitute(names, features=parts["h"]),
            PurePosixPath(f"{self.top}.hpp"): read_template("c/wrapper.hpp").substitute(names, features=parts["hpp"]),
            PurePosixPath("main.c"): read_template("c/main.c").substitute(names),
        }

    # -- pieces ------------------------------------------------------------------------------------------------------

    def _check_encoder(self, net: Netlist, encoder: InputEncoder) -> None:
        if encoder.widths != net.input_widths:
            raise UserError(
                f"the encoder makes codes of {encoder.widths} bits, the netlist reads {net.input_widths}; "
                "use the encoder that was stored with this netlist"
            )
        n_thresholds = sum(map(len, encoder.thresholds))
        if n_thresholds > MAX_C_THRESHOLDS:
            raise UserError(
                f"the input quantisers have {n_thresholds:,} thresholds, C code takes at most {MAX_C_THRESHOLDS:,}; "
                "leave the encoder out and quantise the features before"
            )

    def _names(self, net: Netlist) -> dict[str, object]:
        """What the placeholders of all templates stand for."""
        import lutnet

        in_bits, out_bits = sum(net.input_widths), sum(net.output_widths)
        return {
            "top": self.top,
            "TOP": self.top.upper(),
            "version": lutnet.__version__,
            "summary": f"{net.n_nodes} nodes, {len(net.tables)} distinct tables, {net.depth} logic levels",
            "n_inputs": len(net.inputs),
            "n_outputs": len(net.outputs),
            "in_bits": in_bits,
            "out_bits": out_bits,
            "in_bytes": (in_bits + 7) // 8,
            "out_bytes": (out_bits + 7) // 8,
            "in_words": (in_bits + 63) // 64,
            "out_words": (out_bits + 63) // 64,
        }

    def _of_features(self, name: str, names: Mapping[str, object]) -> str:
        """What a file says about raw features."""
        if self.encoder is None:
            return ""
        return read_template(name).substitute(names, **_thresholds(self.encoder))

    def _source(self, net: Netlist, names: Mapping[str, object], features: str) -> str:
        body = body_of(circuit_of(net), self.top)
        starts = _starts(net.input_widths)
        words = [start // 64 for start in starts]
        api = {
            **names,
            "in_low": _rows(str(start % 64) for start in starts),
            "in_width": _rows(map(str, net.input_widths)),
            "in_first": _rows(str(bisect_left(words, word)) for word in range((sum(net.input_widths) + 63) // 64 + 1)),
            "out_ports": _rows(
                f"{{{start // 64}, {start % 64}, {width}}}"
                for start, width in zip(_starts(net.output_widths), net.output_widths, strict=True)
            ),
            "n_slots": body.n_slots,
            "calls": body.calls,
        }
        pieces = [
            read_template("c/source.c").substitute(names),
            read_template("c/block.c").template,
            _lookups(body),
            body.tables,
            body.macros,
            f"#define LUTNET_UNITS {body.n_units}",
            body.declarations,
            "",
            body.parts,
            "#if LUTNET_HAS(0)\n" + read_template("c/api.c").substitute(api) + features + "\n#endif\n",
        ]
        return "\n".join(piece for piece in pieces if piece)


def _lookups(body: Body) -> str:
    """The functions that read tables, for the widths of entry that there are."""
    if not body.entry_bits:
        return ""
    return read_template("c/lookup.c").template + "".join(f"LUTNET_LOOKUP({bits})\n" for bits in body.entry_bits)


def _starts(widths: Sequence[int]) -> list[int]:
    """The lowest bit of every port in the packed vector."""
    return [0, *accumulate(widths)][: len(widths)]


def _thresholds(encoder: InputEncoder) -> dict[str, object]:
    """The constants of the input quantisers, in C's hexadecimal notation, which is exact."""
    n_steps = max(map(len, encoder.thresholds))
    if n_steps > _MAX_STEPS:
        every = (float(level).hex() for levels in encoder.thresholds for level in levels)
        return {"n_steps": 0, "columns": "", "thresholds": _rows(every)}
    columns = [
        _rows(float(levels[step]).hex() if step < len(levels) else "INFINITY" for levels in encoder.thresholds)
        for step in range(n_steps)
    ]
    return {"n_steps": n_steps, "columns": ",\n    ".join(f"{{{column}}}" for column in columns), "thresholds": ""}


def _rows(items: Iterable[str]) -> str:
    """Elements of an array, eight a line."""
    every = list(items)
    return ",\n    ".join(", ".join(every[i : i + 8]) for i in range(0, len(every), 8))
