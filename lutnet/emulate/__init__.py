"""A netlist at the speed of the CPU: bit for bit what :meth:`lutnet.ir.Netlist.evaluate` gives, thousands of times faster."""

from lutnet.emulate.emulator import Emulator
from lutnet.emulate.rows import Rows, open_rows, stream

__all__ = ["Emulator", "Rows", "open_rows", "stream"]
