"""lutnet: quantised sparse networks as netlists of lookup tables, proved at every step.

Importing this package loads numpy only. Training lives in ``lutnet.nn`` and ``lutnet.train`` (torch), netlists in
``lutnet.ir``, hardware text in ``lutnet.backends``, proofs in ``lutnet.verify``, and the whole way in ``lutnet.flow``.
"""

from lutnet.errors import LutnetError, NetlistError, ToolError, UserError
from lutnet.formats import Codebook, Format, InputEncoder
from lutnet.ir import Netlist, NetlistBuilder
from lutnet.tables import TruthTable

__version__ = "0.1.0"

__all__ = [
    "Codebook",
    "Format",
    "InputEncoder",
    "LutnetError",
    "Netlist",
    "NetlistBuilder",
    "NetlistError",
    "ToolError",
    "TruthTable",
    "UserError",
    "__version__",
]
