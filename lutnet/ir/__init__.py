"""Netlists: the type, the builder, the text form and the file form."""

from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.netlist import IR_VERSION, Netlist
from lutnet.ir.ops import OPS, Interval, Node, Op, OpCode
from lutnet.ir.store import Design, load_design, save_design
from lutnet.ir.text import from_text, to_text

__all__ = [
    "IR_VERSION",
    "OPS",
    "Design",
    "Interval",
    "Netlist",
    "NetlistBuilder",
    "Node",
    "Op",
    "OpCode",
    "from_text",
    "load_design",
    "save_design",
    "to_text",
]
