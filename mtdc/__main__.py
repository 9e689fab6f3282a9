"""``python -m mtdc COMMAND``: the same as ``mtdc COMMAND``."""

import sys

from .commands import main

sys.exit(main())
