"""The command ``lutnet``: one sub-command a step of the flow. Errors are one line; a user's mistake exits with 2, Ctrl-C with 130,
``prove`` of two designs with 1 when they differ and 2 when it cannot tell.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from lutnet.cli.display import ERR
from lutnet.cli.parser import make_parser
from lutnet.errors import LutnetError, UserError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    args = make_parser().parse_args(argv)
    try:
        return args.run(args) or 0
    except UserError as error:
        return _fail(str(error), 2)
    except LutnetError as error:
        return _fail(str(error), 1)
    except KeyboardInterrupt:
        hint = f"; go on with `lutnet train {args.config} --out {args.out} --resume`" if args.command == "train" else ""
        return _fail(f"interrupted{hint}", 130)
    except BrokenPipeError:
        sys.stderr.close()
        return 0


def _fail(message: str, status: int) -> int:
    ERR.print(f"lutnet: error: {message}", markup=False)
    return status
