"""Interruptions: a scheduler's SIGTERM ends a command as ctrl-C does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM raises KeyboardInterrupt within; may be nested.

    A scheduler ends a loader's workers with the same signal, and torch then raises an error of its own about them: that is the
    interruption too.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python sets handlers in the main thread alone
        return
    told = False

    def interrupt(*_: Any) -> None:
        nonlocal told
        told = True
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except RuntimeError as error:
        if told or "killed by signal: Terminated" in str(error):
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
