"""Print the commands of the README's block that a marker names: python .ci/readme.py MARKER."""

import re
import sys
from pathlib import Path

text = (Path(__file__).resolve().parents[1] / "README.md").read_text()
found = re.search(rf"<!-- run: {re.escape(sys.argv[1])} -->\n```\n(.*?)```", text, flags=re.DOTALL)
if found is None:
    sys.exit(f"README.md has no block marked 'run: {sys.argv[1]}'")
sys.stdout.write(found[1])
