"""Feed broken files to every reader (docs/nothing_lost.md): each is read rightly or refused with one line.

    python tools/fuzz.py --inputs 100000 --seed 0 --out fuzz.json
    python tools/fuzz.py --inputs 2000 --reader checkpoint

Files are read in a process of their own with limits on memory and time; when it dies, hangs or returns something wrong, the
file that did it is kept in the folder --keep. Exit code 1 says that there were such files.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

#: Importing torch on a busy machine takes a while.
_START_S = 300


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz; a mistake of the user's ends as one line on stderr and exit code 2."""
    args = _parser().parse_args(arguments)
    from mtdc.data.io import write_json
    from mtdc.engine.result import check_writable
    from mtdc.errors import UserError

    try:
        if args.out is not None:
            check_writable(args.out)
        result = fuzz(args.inputs, args.seed, args.reader, args.memory, args.seconds, args.keep)
        if args.out is not None:
            write_json(args.out, result)
    except UserError as error:
        sys.stderr.write(f"fuzz: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("fuzz: interrupted.\n")
        return 130
    sys.stdout.write(_table(result))
    return 1 if result["findings"] else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--inputs", type=int, default=2000, metavar="N", help="files to break and read (default: %(default)s)")
    add("--seed", type=int, default=0, metavar="S", help="one number gives the same files again (default: %(default)s)")
    add("--reader", action="append", metavar="NAME", help="reader to feed, once or more (default: all)")
    add("--memory", type=int, default=2048, metavar="MB", help="memory that a reader may take (default: %(default)s)")
    add("--seconds", type=float, default=20.0, metavar="S", help="time that a reader may take (default: %(default)s)")
    add("--keep", type=Path, default=Path("fuzz_findings"), metavar="DIR", help="where files go that did harm")
    add("--out", type=Path, metavar="FILE.json", help="also write the numbers as JSON")
    return parser


def fuzz(inputs: int, seed: int, readers: Sequence[str] | None, memory_mb: int, seconds: float, keep: Path) -> dict[str, Any]:
    """Break and read that many files, in turn for each reader, and count what came of it.

    Raises:
        ConfigError: There is no such reader.
    """
    from fuzzing.targets import all_targets
    from tqdm import tqdm

    from mtdc.analysis.machine import describe
    from mtdc.errors import ConfigError, did_you_mean

    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        known = all_targets(Path(folder))
        names = list(readers or known)
        for name in names:
            if name not in known:
                raise ConfigError(f"--reader {name} is no reader.{did_you_mean(name, known)}")
        counts = {name: {"inputs": 0, "read": 0, "refused": 0, "findings": 0, "slowest_ms": 0.0} for name in names}
        findings: list[dict[str, Any]] = []
        peak_mb = 0.0
        outcomes = _outcomes(folder, names, seed, inputs, memory_mb, seconds)
        for index, outcome, text, took, peak in tqdm(outcomes, total=inputs, desc="fuzz", unit="file", mininterval=1):
            name = names[index % len(names)]
            row = counts[name]
            row["inputs"] += 1
            row["findings" if outcome == "finding" else outcome] += 1
            row["slowest_ms"] = max(row["slowest_ms"], round(1000 * took, 1))
            peak_mb = max(peak_mb, peak)
            if outcome == "finding":
                kept = keep / f"{name}_{seed}_{index}{Path(known[name].file).suffix}"
                keep.mkdir(parents=True, exist_ok=True)
                kept.write_bytes(Path(folder, name, known[name].file).read_bytes())
                findings.append({"reader": name, "index": index, "what": text, "file": kept.name})
    return {
        "inputs": inputs,
        "seed": seed,
        "memory_limit_mb": memory_mb,
        "time_limit_s": seconds,
        "seconds": round(time.perf_counter() - start, 1),
        "peak_memory_mb": round(peak_mb, 1),
        "machine": describe("cpu"),
        "readers": counts,
        "findings": findings,
    }


def _outcomes(
    folder: str, readers: list[str], seed: int, inputs: int, memory_mb: int, seconds: float
) -> Iterator[tuple[int, str, str, float, float]]:
    """What came of each input; a process that dies or hangs costs its input, and the next one goes on behind it."""
    from fuzzing.child import work

    context = multiprocessing.get_context("spawn")
    following = 0
    while following < inputs:
        parent, end = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(end, folder, readers, seed, following, inputs, memory_mb), daemon=True)
        process.start()
        end.close()  # so that a dead process is an end of file and no wait
        harm = ""
        try:
            _wait_for_start(parent)
            while following < inputs:
                if not parent.poll(seconds):
                    harm = f"no answer within {seconds:g} s"
                    break
                yield parent.recv()
                following += 1
        except EOFError:
            process.join()
            harm = f"the process died (exit code {process.exitcode})"
        finally:
            process.kill()
            process.join()
        if harm:
            yield following, "finding", harm, seconds, 0.0
            following += 1


def _wait_for_start(parent: Connection) -> None:
    started = parent.poll(_START_S)
    try:
        started = started and parent.recv()[0] == "ready"
    except EOFError:
        started = False  # its traceback is on stderr
    if not started:
        raise RuntimeError("the reading process did not start")


def _table(result: dict[str, Any]) -> str:
    lines = [f"{'reader':20}{'files':>9}{'read':>9}{'refused':>9}{'harm':>6}{'slowest ms':>12}"]
    for name, row in result["readers"].items():
        lines.append(f"{name:20}{row['inputs']:9}{row['read']:9}{row['refused']:9}{row['findings']:6}{row['slowest_ms']:12.1f}")
    lines += [f"{found['file']}: {found['what']}" for found in result["findings"][:20]]
    lines.append(
        f"{result['inputs']} files, seed {result['seed']}, {result['seconds']:.0f} s, at most "
        f"{result['peak_memory_mb']:.0f} MB more than at the start: {len(result['findings'])} did harm"
    )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
