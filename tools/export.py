"""`mtdc export`, run from a checkout."""

import sys

from mtdc.commands import main

sys.exit(main(command="export"))
