"""What a training logged, as a small CSV beside a model's card: step, learning rate, losses."""

from __future__ import annotations

from pathlib import Path

from ..data.io import atomic_path
from ..engine.run_log import LOGS, read_log

#: Steps that are kept, evenly spaced and the last among them.
ROWS = 500
#: What tells of the machine, and numbers of the step that the first column has.
_LEFT_OUT = {"time", "data_time", "memory", "epoch", "iter", "step", "lr"}


def write_training_log(work_dir: Path, path: Path) -> bool:
    """Write the CSV of a work folder's log, whole or not at all; False where there is no log.

    Columns: ``step``, ``learning_rate``, ``loss``, then what else was logged, by name (``depth/l1``: a task's term); values are
    means over the last ten steps, as mmengine logs them.

    Raises:
        DataError: The log is damaged, or the file can't be written.
    """
    if not any(work_dir.glob(LOGS)):
        return False
    log = read_log(work_dir)
    if not log:
        return False
    steps = sorted(log)
    if len(steps) > ROWS:
        steps = [steps[round(place * (len(steps) - 1) / (ROWS - 1))] for place in range(ROWS)]
    names = sorted({name for values in log.values() for name in values} - _LEFT_OUT, key=lambda name: (name != "loss", name))
    lines = [",".join(("step", "learning_rate", *names))]
    for step in steps:
        values = log[step]
        cells = (f"{values[name]:.6g}" if name in values else "" for name in ("lr", *names))
        lines.append(",".join((str(step), *cells)))
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return True
