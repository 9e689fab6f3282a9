"""`mtdc street`, run from a checkout."""

import sys

from mtdc.commands import main

if __name__ == "__main__":
    sys.exit(main(command="street"))
