"""The parts of ``tools/benchmark.py``, one module each.

A part has ``WHAT`` (one line), ``COLUMNS`` (key of a row to the heading of its column), ``check(settings)``, which refuses what
can't be measured before anything is, and ``run(settings)``, which returns ``{"rows": [{key: value}], "notes": [line], ...}``.
"""

#: Names of the parts in the order in which they run; each is a module here.
PARTS = ("step", "loading", "listing", "inference", "world", "budget")
