"""`mtdc download`, run from a checkout."""

import sys

from mtdc.commands import main

sys.exit(main(command="download"))
