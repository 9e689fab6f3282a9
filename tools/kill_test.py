"""Kill training again and again, go on with it, and compare its end with that of a training that was left alone.

    python tools/kill_test.py --kills 200 --out kills.json

Each run is killed (SIGKILL, to its whole process group) at random moments and in the middle of writing a checkpoint, and gone
on with by --resume until it ends. Then every step's losses, every checkpoint's weights, optimiser and history, and the result
must be those of the run that was not killed, bit for bit, and after each kill the newest checkpoint must be a whole one and no
older than before.

What is found is in the JSON file after each run. Called again, it goes on to the number of kills that is asked for.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

TOOLS = Path(__file__).resolve().parent
CONFIG = TOOLS / "killing" / "killed_run.py"
#: What a run counts and when it saves, as ``--cfg-options``. An epoch is four steps.
VARIANTS = {
    "epochs": (),
    "epochs, saved by iterations": ("default_hooks.checkpoint.by_epoch=False", "default_hooks.checkpoint.interval=3"),
    "iterations": (
        "default_hooks.checkpoint.by_epoch=False",
        "default_hooks.checkpoint.interval=5",
        "train_cfg.by_epoch=False",
        "train_cfg.max_iters=22",
        "train_cfg.val_interval=8",
    ),
}
#: Every fourth run loads with two workers, and every twentieth start is the command in a process of its own.
WORKERS_EVERY, COMMAND_EVERY = 4, 20
GIVEN_UP_AFTER_S, GIVEN_UP_AFTER_RUNS = 120.0, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill and compare; 0 where every run ended as it should have."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, metavar="N", help="kills in all, those already in the file included")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the moments of the kills")
    parser.add_argument("--minutes", type=float, metavar="M", help="stop after so long, with what there is")
    parser.add_argument("--out", type=Path, default=Path("kills.json"), metavar="FILE.json", help="where the findings go")
    args = parser.parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.path.insert(0, str(TOOLS))
    from mtdc.errors import UserError

    try:
        return _test(args)
    except UserError as error:
        sys.stderr.write(f"kill_test: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("kill_test: interrupted; call it again to go on.\n")
        return 130


def _test(args: argparse.Namespace) -> int:
    import torch
    from tqdm import tqdm

    from mtdc.analysis import machine
    from mtdc.data.io import write_json
    from mtdc.errors import ConfigError, DataError

    torch.set_num_threads(1)
    start = time.monotonic()
    found: dict[str, Any] = json.loads(args.out.read_text()) if args.out.is_file() else {"runs": [], "seconds": 0.0}
    if found.setdefault("seed", args.seed) != args.seed:
        raise ConfigError(f"--seed {args.seed}: {args.out} was begun with {found['seed']}. Name that, or another --out.")
    found["machine"] = machine.sentence(machine.describe("cpu"))
    before = found["seconds"]
    folder = args.out.absolute().with_suffix(".work")
    lab = Lab(folder)
    never_began = 0
    with tqdm(total=args.kills, initial=_kills(found), unit="kill") as bar:
        while _kills(found) < args.kills and (args.minutes is None or time.monotonic() - start < 60 * args.minutes):
            try:
                run = lab.killed_run(len(found["runs"]), args.seed, args.kills - _kills(found))
            finally:
                lab.end()
            never_began = 0 if run["kills"] or not run["differences"] else never_began + 1
            if never_began == GIVEN_UP_AFTER_RUNS:
                raise DataError(
                    f"{never_began} runs one after another ended before they could be killed: {run['differences'][0]}"
                )
            found["runs"].append(run)
            found["seconds"] = round(before + time.monotonic() - start, 1)
            found["command"] = f"python tools/kill_test.py {shlex.join(['--kills', str(args.kills), '--seed', str(args.seed)])}"
            write_json(args.out, found)
            bar.update(len(run["kills"]))
    sys.stdout.write(_summary(found))
    return 0 if all(not run["differences"] for run in found["runs"]) else 1


def _kills(found: dict[str, Any]) -> int:
    return sum(len(run["kills"]) for run in found["runs"])


def _summary(found: dict[str, Any]) -> str:
    lines = [f"{'':30}{'runs':>6}{'kills':>7}{'in a write':>12}{'before any':>12}{'equal':>7}"]
    for name in (*VARIANTS, "all"):
        runs = [run for run in found["runs"] if name in (run["variant"], "all")]
        kills = [kill for run in runs for kill in run["kills"]]
        equal = sum(not run["differences"] for run in runs)
        writes, early = (sum(kill[key] for kill in kills) for key in ("in_a_write", "before_any_checkpoint"))
        lines.append(f"{name:30}{len(runs):>6}{len(kills):>7}{writes:>12}{early:>12}{equal:>7}")
    wrong = [f"run {i} ({run['variant']}): {'; '.join(run['differences'][:3])}"
             for i, run in enumerate(found["runs"]) if run["differences"]]  # fmt: skip
    return "\n".join([*lines, *wrong, f"{found['seconds'] / 60:.1f} minutes on {found['machine']}\n"])


@dataclass
class Started:
    """A training under way, in a process group of its own."""

    pid: int
    began: float = field(default_factory=time.monotonic)
    exit_code: int | None = None

    def ended(self) -> bool:
        """Whether it has come to its end by itself."""
        if self.exit_code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.exit_code = os.waitstatus_to_exitcode(status)
        return self.exit_code is not None

    def kill(self) -> None:
        """SIGKILL to the group: the process and its loader workers, at once."""
        os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.exit_code = -signal.SIGKILL


class Lab:
    """A folder with data, the runs that are left alone, and the one that is being killed."""

    def __init__(self, folder: Path) -> None:
        # Loaded here, so that a fork of this process starts a training at once.
        import matplotlib.pyplot  # noqa: F401
        from killing.frames import write_frames

        import mtdc.engine.runs  # noqa: F401

        self.folder = folder
        self.usual_s: dict[str, float] = {}
        self.started: Started | None = None
        if not (folder / "data" / "val").is_dir():
            write_frames(folder / "data")

    def end(self) -> None:
        """End a training that is still under way: this program was interrupted."""
        if self.started is not None and not self.started.ended():
            self.started.kill()

    def reference(self, variant: str) -> Path:
        """The run of a variant that is left alone."""
        work_dir = self.folder / "reference" / variant.replace(", ", "_").replace(" ", "_")
        if variant not in self.usual_s:
            shutil.rmtree(work_dir, ignore_errors=True)
            self.usual_s[variant] = self._to_the_end(self._start(variant, work_dir, 0, False, False))
        return work_dir

    def killed_run(self, number: int, seed: int, most_kills: int) -> dict[str, Any]:
        """One run, killed at most so often, and what differs from the reference in the end."""
        from killing.compare import differences

        generator = np.random.default_rng([seed, number])
        variant = list(VARIANTS)[number % len(VARIANTS)]
        workers = 2 if number % WORKERS_EVERY == WORKERS_EVERY - 1 else 0
        reference, work_dir = self.reference(variant), self.folder / "run"
        shutil.rmtree(work_dir, ignore_errors=True)
        kills: list[dict[str, Any]] = []
        problems: list[str] = []
        how: str | None = "not yet"
        while len(kills) < most_kills and not problems:
            own_process = generator.integers(COMMAND_EVERY) == 0
            before = _progress(work_dir)
            started = self._start(variant, work_dir, workers, before > 0, own_process)
            how = self._wait_for_moment(started, work_dir, generator, self.usual_s[variant], own_process)
            if how is None:
                break
            started.kill()
            after = _progress(work_dir)
            kills.append({
                "how": how, "own_process": bool(own_process), "after_s": round(time.monotonic() - started.began, 3),
                "in_a_write": bool(_half_written(work_dir)), "before_any_checkpoint": after == 0, "checkpoint_of_step": after,
            })  # fmt: skip
            if after < before or (after == 0 and any(work_dir.glob("[!.]*.pth"))):
                problems.append(f"after kill {len(kills)} the newest whole checkpoint is of step {after}, before of {before}")
        if not problems and how is not None:
            started = self._start(variant, work_dir, workers, _progress(work_dir) > 0, False)
            for _ in _watch(started):
                pass
        if started.exit_code and not self._was_finished():
            problems.append(f"exit code {started.exit_code}: {_last_line(self.folder / 'error.txt')}")
        if not problems:
            problems = differences(reference, work_dir)
        if _half_written(work_dir):
            problems.append("files that were half written are left")
        return {"variant": variant, "workers": workers, "kills": kills, "differences": problems}

    def _start(self, variant: str, work_dir: Path, workers: int, resume: bool, own_process: bool) -> Started:
        self.started = self._started(variant, work_dir, workers, resume, own_process)
        return self.started

    def _started(self, variant: str, work_dir: Path, workers: int, resume: bool, own_process: bool) -> Started:
        words = ["train", str(CONFIG), "--data-root", str(self.folder / "data"), "--work-dir", str(work_dir)]
        words += ["--resume"] if resume else []
        words += ["--cfg-options", f"train_dataloader.num_workers={workers}", *VARIANTS[variant]]
        with (self.folder / "output.txt").open("w") as output, (self.folder / "error.txt").open("w") as error:
            if own_process:
                command = [sys.executable, "-m", "mtdc", *words]
                environment = {**os.environ, "PYTHONPATH": str(TOOLS)}
                return Started(
                    subprocess.Popen(command, stdout=output, stderr=error, env=environment, start_new_session=True).pid
                )
            pid = os.fork()
            if pid == 0:
                _train(words, output.fileno(), error.fileno())
            os.setpgid(pid, pid)  # by both, as either may come first
        return Started(pid)

    def _wait_for_moment(
        self, started: Started, work_dir: Path, generator: np.random.Generator, usual_s: float, own_process: bool
    ) -> str | None:
        """Wait for a moment to kill at, and say which kind it is; None where the training ended before it."""
        if own_process or generator.random() < 0.4:
            how, last, seen = "while a file is written", int(generator.integers(1, 5)), set[str]()
            for _ in _watch(started):
                seen |= _half_written(work_dir)
                if len(seen) >= last:
                    break
            delay = generator.uniform(0, 0.02)
        else:
            how, delay = "at any moment", generator.uniform(0, 1.1 * usual_s)
        until = time.monotonic() + delay
        for _ in _watch(started):
            if time.monotonic() >= until:
                break
        return None if started.ended() else how

    def _was_finished(self) -> bool:
        """Whether the last start found nothing to do: the kill came after the result and before the end of the process."""
        return "the run is finished" in _last_line(self.folder / "error.txt")

    def _to_the_end(self, started: Started) -> float:
        for _ in _watch(started):
            pass
        if started.exit_code:
            from mtdc.errors import DataError

            raise DataError(f"the training ended with {started.exit_code}: {_last_line(self.folder / 'error.txt')}")
        return time.monotonic() - started.began


def _watch(started: Started) -> Iterator[None]:
    """A turn each millisecond, until the training ends."""
    while not started.ended():
        yield
        if time.monotonic() - started.began > GIVEN_UP_AFTER_S:
            started.kill()
            return
        time.sleep(0.001)


def _train(words: list[str], output: int, error: int) -> None:
    """In a fork: the command, from where the imports are done."""
    from mtdc.commands import main as mtdc

    os.setpgid(0, 0)
    os.dup2(output, 1)
    os.dup2(error, 2)
    code = 1
    try:
        code = mtdc(words)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _half_written(work_dir: Path) -> set[str]:
    return {path.name for path in work_dir.glob(".*.tmp.pth")} if work_dir.is_dir() else set()


def _progress(work_dir: Path) -> int:
    """Steps of the newest whole checkpoint; 0 where there is none."""
    from mtdc.engine.checkpoint import last_checkpoint, read_checkpoint

    checkpoint = last_checkpoint(work_dir)
    return 0 if checkpoint is None else int(read_checkpoint(checkpoint)["meta"]["iter"])


def _last_line(file: Path) -> str:
    return next(iter(file.read_text().strip().splitlines()[-1:]), "nothing on stderr")


if __name__ == "__main__":
    sys.exit(main())
