"""Identifiers and comments that are safe in Verilog, VHDL and Tcl, whatever a user called his features."""

from __future__ import annotations

import re

from lutnet.errors import UserError

__all__ = ["checked_identifier", "comment_text"]

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")

_RESERVED = frozenset(
    """
    abs access after alias all always and architecture array assert assign assume attribute automatic begin bit body
    block break buf buffer bufif0 bufif1 bus byte case casex casez cell chandle checker class clocking cmos component
    config configuration const constant constraint context continue cover covergroup coverpoint cross deassign default
    defparam design disable disconnect dist do downto edge else elsif end endcase endclass endclocking endconfig
    endfunction endgenerate endgroup endinterface endmodule endpackage endprimitive endprogram endproperty endsequence
    endspecify endtable endtask entity enum event exit expect export extends extern file final first_match for force
    foreach forever fork forkjoin function generate generic genvar global group guarded highz0 highz1 if iff ifnone
    ignore_bins illegal_bins impure import in incdir include inertial initial inout input inside instance int integer
    interface intersect is join join_any join_none label large liblist library linkage literal local localparam logic
    longint loop macromodule map matches medium mod modport module nand negedge new next nmos nor noshowcancelled not
    notif0 notif1 null of on open or others out output package packed parameter pmos port posedge postponed primitive
    priority procedure process program property protected pull0 pull1 pulldown pullup pulsestyle_ondetect
    pulsestyle_onevent pure rand randc randcase randsequence range rcmos real realtime record ref reg register reject
    release rem repeat report return rnmos rol ror rpmos rtran rtranif0 rtranif1 scalared select sequence severity
    shared shortint shortreal showcancelled signal signed sla sll small solve specify specparam sra srl static string
    strong0 strong1 struct subtype super supply0 supply1 table tagged task then this throughout time timeprecision
    timeunit to tran tranif0 tranif1 transport tri tri0 tri1 triand trior trireg type typedef unaffected union unique
    units unsigned until use uwire var variable vectored virtual void wait wait_order wand weak0 weak1 when while
    wildcard wire with within wor xnor xor
    """.split()
)


def checked_identifier(name: str, what: str) -> str:
    """The name itself when it is an identifier in Verilog, SystemVerilog, VHDL and Tcl.

    Raises:
        UserError: It is not, and the message says what it was for.
    """
    if not _IDENTIFIER.fullmatch(name) or name.lower() in _RESERVED:
        raise UserError(
            f"{what} must start with a letter, hold only letters, digits and '_', have at most 100 characters and be no "
            f"reserved word, got {name[:120]!r}; choose another name"
        )
    return name


def comment_text(text: str) -> str:
    """Text for the rest of a comment line: one line, plain characters, no escapes."""
    return re.sub(r"[^A-Za-z0-9_ .,:()\[\]+=%-]", "?", text)[:200]
