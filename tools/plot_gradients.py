"""Gradients and weights of the tasks over training, from a run's log: lengths, cosines to the primary task, weights.

python tools/plot_gradients.py work_dirs/run --out gradients.png

A weighting logs its weights; lengths and cosines are there where the config has
custom_hooks = [*_base_.custom_hooks, dict(type='GradientLogHook', interval=50)].
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mtdc.data.io import atomic_path
from mtdc.engine.run_log import read_log
from mtdc.errors import DataError, UserError

#: What is drawn: ending of the key in the log, label, whether its axis is logarithmic where all values are positive.
PANELS = (
    ("/grad_norm", "length of gradient", True),
    ("/grad_cosine", "cosine to the primary task", False),
    ("/weight", "weight", True),
)
#: ``{ending: {task: {step: value}}}``.
Curves = dict[str, dict[str, dict[int, float]]]


def read_curves(work_dir: Path) -> Curves:
    """What a run logged; of a step that was made twice, by a resumed run, the later one.

    Raises:
        DataError: There is no log, or nothing in it to draw.
    """
    curves: Curves = {ending: {} for ending, _, _ in PANELS}
    for step, values in read_log(work_dir).items():
        for key, value in values.items():
            ending = next((ending for ending in curves if key.endswith(ending)), None)
            if ending is not None:
                curves[ending].setdefault(key.removesuffix(ending), {})[step] = value
    if not any(curves.values()):
        raise DataError(f"{work_dir}: its log has neither weights nor gradients of tasks; expected keys such as depth/weight.")
    return curves


def draw(curves: Curves, out: Path) -> None:
    """One panel above the other, as far as there are values.

    Raises:
        DataError: The picture can't be written there.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise DataError("plots need matplotlib: pip install '.[plots]'.") from error
    mpl.use("Agg")
    from matplotlib import pyplot

    panels = [panel for panel in PANELS if curves[panel[0]]]
    tasks = sorted({task for ending, _, _ in panels for task in curves[ending]})
    figure, axes = pyplot.subplots(len(panels), 1, sharex=True, squeeze=False, figsize=(8, 2.6 * len(panels)))
    for axis, (ending, label, logarithmic) in zip(axes[:, 0], panels, strict=True):
        for task, values in sorted(curves[ending].items()):
            steps = sorted(values)
            marker = "." if len(steps) < 60 else None
            axis.plot(steps, [values[step] for step in steps], f"C{tasks.index(task)}", label=task, marker=marker, lw=1.2)
        if logarithmic and all(value > 0 for own in curves[ending].values() for value in own.values()):
            axis.set_yscale("log")
        if ending == "/grad_cosine":
            axis.set_ylim(-1.05, 1.05)
            axis.axhline(0, color="gray", lw=0.8)
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
        axis.legend(loc="best", fontsize="small")
    axes[-1, 0].set_xlabel("step")
    figure.tight_layout()
    with atomic_path(out) as temporary:
        figure.savefig(temporary, dpi=120, format="png")
    pyplot.close(figure)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work_dir", type=Path, metavar="WORK_DIR", help="work folder of a training")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="picture to write, .png")
    args = parser.parse_args(arguments)
    if args.out.suffix.lower() != ".png":
        parser.error(f"--out is {args.out}; expected a name that ends in .png")
    try:
        curves = read_curves(args.work_dir)
        draw(curves, args.out)
    except UserError as error:
        parser.error(str(error))
    sys.stdout.write(f"{args.out}: {', '.join(label for ending, label, _ in PANELS if curves[ending])}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
