"""List the trained models that `mtdc.load` and `mtdc complete --model` know by name.

    mtdc zoo
    mtdc zoo --zoo my_zoo
    mtdc zoo --markdown > model_zoo.md

Models of a zoo of your own (MTDC_ZOO=DIR) come with the package's.
"""

from __future__ import annotations

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--zoo", metavar="DIR", help="this zoo alone: a folder with index.json")
    parser.add_argument(
        "--markdown", action="store_true", help="as the page model_zoo.md, of one zoo: --zoo's or the package's"
    )


def run(args: argparse.Namespace) -> int:
    """Print the list."""
    from ..zoo import index, page

    if args.markdown:  # its links are relative to one folder
        text = page.as_markdown(index.entries(args.zoo or index.package_folder()))
    else:
        text = page.as_text(index.entries(args.zoo))
    sys.stdout.write(text + "\n")
    return 0
