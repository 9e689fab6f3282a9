"""What a training logged: the scalars of its steps, from the files that mmengine's backend writes into the work folder."""

from __future__ import annotations

import json
from pathlib import Path

from ..errors import DataError

#: A run's log, one file for each time that it was started.
LOGS = "*/vis_data/scalars.json"


def read_log(work_dir: Path) -> dict[int, dict[str, float]]:
    """Logged values of training steps by their number; of a step that was made twice, by a resumed run, the later ones.

    Raises:
        DataError: There is no log, or one that is no JSON.
    """
    if not work_dir.is_dir():
        raise DataError(f"{work_dir}: no such folder; expected the work folder of a training.")
    files = sorted(work_dir.glob(LOGS))
    if not files:
        raise DataError(f"{work_dir}: no log ({LOGS}); expected the work folder of a training.")
    found: dict[int, dict[str, float]] = {}
    for file in files:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                if number == len(lines):
                    continue  # cut off by the run's end
                raise DataError(f"{file}, line {number}: not JSON; expected one object of scalars a line.") from error
            if isinstance(row, dict) and "step" in row and "lr" in row:  # validations have no learning rate
                values = {key: float(value) for key, value in row.items() if isinstance(value, (int, float))}
                found[int(row["step"])] = values
    return found
