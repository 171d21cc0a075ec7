"""Program: a stand-in for the ``yosys`` executable on top of the PyPI package ``pyosys``.

``python run_pyosys.py -s SCRIPT`` runs a script, ``python run_pyosys.py -V`` prints the version. It is started by path, in
a process of its own, because yosys ends the process on every error.
"""

from __future__ import annotations

import sys
from importlib import import_module

__all__ = ["main"]


def main() -> None:
    """Does what the arguments say. The folder of this file is no place to import from."""
    sys.path.pop(0)
    yosys = import_module("pyosys.libyosys")
    if sys.argv[1:] == ["-V"]:
        print(yosys.yosys_maybe_version())
    elif len(sys.argv) == 3 and sys.argv[1] == "-s":
        yosys.run_pass("script " + sys.argv[2])
    else:
        sys.exit("usage: run_pyosys.py -V | -s SCRIPT")


if __name__ == "__main__":
    main()
