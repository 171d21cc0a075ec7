"""Verilog against its netlist, twice: simulated, and read by somebody else's parser."""

from __future__ import annotations

from lutnet.backends import Verilog
from lutnet.ir.netlist import Netlist
from lutnet.verify.cosim import cosimulate
from lutnet.verify.roundtrip import roundtrip
from lutnet.verify.vectors import random_codes

__all__ = ["check_verilog"]


def check_verilog(net: Netlist, what: str, *, n_vectors: int = 200) -> None:
    """Checks that a netlist's Verilog equals it in Icarus and re-read by pyverilog, on random input codes.

    Args:
        net: A pipelined netlist.
        what: Named in the message.
        n_vectors: Number of input codes.

    Raises:
        AssertionError: One of them differs.
    """
    backend = Verilog()
    files = backend.emit(net)
    codes = random_codes(net.input_widths, n_vectors, seed=0)
    simulated = cosimulate(net, files, codes)
    assert simulated.equal and simulated.problems == (), f"{what}: the Verilog in Icarus differs: {simulated}"
    reread = roundtrip(net, files, backend.interface(net), codes)
    assert reread.equal, f"{what}: the Verilog read by pyverilog differs: {reread}"
