"""The embedded data set of a config: written before the run, finished where an earlier run was cut short."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import barrier, is_main_process
from tqdm import tqdm

from ..data.street import LidarOptions, StreetOptions
from ..data.street.writer import write_street
from ..errors import ConfigError, did_you_mean
from .config import street_root

#: Keys of a config's ``street`` dict beside those of :class:`~mtdc.data.street.StreetOptions`.
KEYS = {"splits", "seed", "processes", "extra"}


def make_street(cfg: Config) -> None:
    """Write the street world that a config's ``street`` asks for, into the data root of its training data (``street_root``).

    ``street = dict(splits=dict(train=240, val=30), seed=0, size=(192, 640), extra=('normals', 'semantics'), ...)``. Frames that
    are there already are kept.

    Raises:
        ConfigError: An unknown key. DataError: The folder holds a world of other options.
    """
    root = street_root(cfg)
    if root is None:
        return
    street = cfg.street
    options = _options(street)
    extra = tuple(street.get("extra") or ())
    if is_main_process():
        for split, frames in street.splits.items():
            with tqdm(desc=f"drawing streets ({split})", unit="frame", total=frames) as bar:
                seed, processes = street.get("seed", 0), street.get("processes")
                write_street(Path(root), frames, seed, split, options, extra, processes, _progress(bar))
    barrier()


def _options(street: Mapping[str, Any]) -> StreetOptions:
    known = KEYS | set(StreetOptions.__dataclass_fields__)
    for key in street:
        if key not in known:
            raise ConfigError(f"street: unexpected key '{key}'.{did_you_mean(key, known)}")
    if not isinstance(street.get("splits"), Mapping):
        raise ConfigError("street.splits must say how many frames each split has, as in dict(train=240, val=30).")
    values: dict[str, Any] = {key: value for key, value in street.items() if key not in KEYS}
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    if "lidar" in values:
        values["lidar"] = LidarOptions.of(values["lidar"])
    return StreetOptions(**values)


def _progress(bar: Any) -> Any:
    def update(done: int, total: int) -> None:
        bar.total = total
        bar.update()

    return update
