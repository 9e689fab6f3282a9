"""Print every part that a config can name: one line on what it is, its paper, and its arguments with defaults.

    mtdc list
    mtdc list refinement losses
    mtdc list --json

Registries: inputs, encoders, trunks, sharing, tasks, losses, weighting, refinement, networks, classical, datasets, transforms,
metrics. An argument without a default must be set.
"""

from __future__ import annotations

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("registry", metavar="REGISTRY", nargs="*", help="only these; default: all")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="as JSON")
    form.add_argument("--markdown", action="store_true", help="as the page docs/parts.md")


def run(args: argparse.Namespace) -> int:
    """Print the list."""
    from ..engine import listing

    form = listing.as_json if args.json else listing.as_markdown if args.markdown else listing.as_text
    sys.stdout.write(form(args.registry) + "\n")
    return 0
