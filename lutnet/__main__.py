"""``python -m lutnet`` is the command ``lutnet``."""

import sys

from lutnet.cli import main

sys.exit(main())
