"""The commands of ``mtdc``; the files of their names in ``tools/`` are the same commands, run from a checkout.

Each module here parses one command's arguments (``add_arguments``) and runs it (``run``); the work is in the rooms below.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from ..errors import UserError
from ..interruption import terminated_as_interrupted

COMMANDS = {
    "train": "train a config",
    "test": "evaluate a config on a data set",
    "evaluate": "compare two folders of KITTI depth PNGs, as the benchmark does",
    "complete": "complete your own sparse depth: PNG, NPY, LiDAR clouds (.bin, .ply, .pcd), folders",
    "street": "make a street world on disk, in KITTI's layout",
    "strip": "cut a trained model down to what it needs at test time, and say what that saves",
    "export": "write a trained model as an ONNX graph for any size, held against PyTorch",
    "compare": "compare models on the same frames: accuracy, size, latency, memory, and which differences are real",
    "analyze": "judge models: where they fail, how they take a worse sensor, in one HTML report",
    "check": "check a folder of your own frames, and say what is wrong with it",
    "zoo": "list the trained models that can be named",
    "download": "fetch trained models, or other files, into the cache",
    "publish": "publish a trained model in a zoo: strip, store, try, index",
    "list": "print every part that a config can name, with its paper and its arguments",
    "show": "print what a config builds, or what differs between two",
}

MISSING_SYSTEM_LIBRARY = (
    "OpenCV can't load the system library {}. Install it (Debian, Ubuntu: apt install libgl1 libglib2.0-0), or use the build "
    "for servers: pip uninstall -y opencv-python && pip install --force-reinstall --no-deps opencv-python-headless."
)


def main(argv: Sequence[str] | None = None, command: str | None = None) -> int:
    """Run a command; a mistake of the user's ends as one line on stderr and exit code 2."""
    if command is None:
        # The command's own parser is imported alone: `mtdc evaluate` needs no training engine.
        outer = argparse.ArgumentParser(prog="mtdc", description="Multi-task depth completion.")
        outer.add_argument("command", choices=COMMANDS, metavar="COMMAND",
                           help="; ".join(f"{name}: {text}" for name, text in COMMANDS.items()))  # fmt: skip
        arguments = [*(sys.argv[1:] if argv is None else argv)]  # no list(): here that is the command, once it is imported
        command = outer.parse_args(arguments[:1]).command
        argv = arguments[1:]
    try:
        with terminated_as_interrupted():
            return _run(command, argv)
    except UserError as error:
        sys.stderr.write(f"mtdc {command}: {error}\n")
        return 2
    except BrokenPipeError:
        _drop_output()  # who read it wanted no more: `| head`
        return 141
    except OSError as error:
        if error.strerror is None:
            raise  # no word of the system: a fault of the program's
        told = UserError(f"{error.filename or 'the system says'}: {error.strerror}.")
        sys.stderr.write(f"mtdc {command}: {told}\n")
        return 2
    except KeyboardInterrupt as error:
        # A command that has something to go on from says so.
        sys.stderr.write(f"mtdc {command}: interrupted.{' ' * bool(error.args)}{error}\n")
        return 130
    except RuntimeError as error:
        if "DataLoader worker" not in str(error) or "killed by signal" not in str(error):
            raise
        told = UserError(
            f"a process that loads data was killed, probably as memory ran out: {error}. Set fewer of them with "
            "--cfg-options train_dataloader.num_workers=N; a training that has written a checkpoint goes on with --resume."
        )
        sys.stderr.write(f"mtdc {command}: {told}\n")
        return 2
    except ImportError as error:
        if "libGL" not in str(error) and "libgthread" not in str(error):
            raise
        sys.stderr.write(f"mtdc {command}: {MISSING_SYSTEM_LIBRARY.format(str(error).partition(':')[0])}\n")
        return 2


def _drop_output() -> None:
    """Let nothing more be written to a pipe that is closed, at the interpreter's end neither."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(command: str, argv: Sequence[str] | None) -> int:
    module = importlib.import_module(f"{__name__}.{command}")
    parser = argparse.ArgumentParser(prog=f"mtdc {command}", description=module.__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    module.add_arguments(parser)
    status: int = module.run(parser.parse_intermixed_args(argv))  # CHECKPOINT may follow options
    return status
