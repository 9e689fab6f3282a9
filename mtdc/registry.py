"""The registries, and the one way to build a part from a config.

One registry = one folder = one base class in ``contracts.py`` = one contract test = one docs page. A part's ``type`` is a
registered short name, a dotted path to a class (``sky.SkyTask``, the config's folder is on the import path), or a name that an
installed package offers under the entry-point group ``mtdc.components``.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import entry_points
from typing import Any

from mmengine.registry import Registry

from .arguments import check_kinds
from .errors import ConfigError, UserError, did_you_mean

ENTRY_POINT_GROUP = "mtdc.components"
_config_path: ContextVar[tuple[str, ...]] = ContextVar("mtdc_config_path", default=())
_registered_only: ContextVar[bool] = ContextVar("mtdc_registered_only", default=False)


class ComponentRegistry(Registry):
    """A registry whose parts live in one folder, imported whole at the first look-up, and share one base class.

    Args:
        kind: What one part is called in messages ("encoder").
        folder: The sub-package of mtdc that holds the parts ("encoders", "data.datasets").
    """

    def __init__(self, kind: str, folder: str) -> None:
        super().__init__(kind, scope="mtdc")
        self.kind = kind
        self.folder = folder
        self.base: type | None = None
        self._folder_imported = False

    def contract(self, base: type) -> type:
        """Class decorator: the base class that every registered part derives from."""
        self.base = base
        return base

    def import_folder(self) -> None:
        """Import every module of the folder, so that its parts register themselves."""
        if self._folder_imported:
            return
        package = importlib.import_module(f"mtdc.{self.folder}")
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")
        self._folder_imported = True  # only now: after a failing import the next look-up fails the same way

    def _register_module(self, module: Any, module_name: Any = None, force: bool = False) -> None:
        if self.base is not None and not (inspect.isclass(module) and issubclass(module, self.base)):
            raise TypeError(f"{module!r} can't be registered as {self.kind}: it doesn't derive from {self.base.__name__}")
        super()._register_module(module, module_name, force)

    def names(self) -> list[str]:
        """Registered short names, sorted."""
        self.import_folder()
        return sorted(self.module_dict)

    def find(self, name: str, where: str) -> type:
        """The class that a config's ``type`` names.

        Raises:
            ConfigError: The name is unknown (the nearest is said), or is not a part of this kind.
            ImportError: A dotted path's module exists and fails to import: the true cause is raised.
        """
        self.import_folder()
        if name in self.module_dict:
            return self.module_dict[name]
        if _registered_only.get():
            raise ConfigError(f"{where}.type='{name}' is no registered {self.kind}.{did_you_mean(name, self.module_dict)}")
        found = _from_entry_point(name) or _from_dotted_path(name)
        if found is None:
            raise ConfigError(f"{where}.type='{name}' is not a known {self.kind}.{did_you_mean(name, self.module_dict)}")
        if self.base is not None and not (inspect.isclass(found) and issubclass(found, self.base)):
            raise ConfigError(f"{where}.type='{name}' is no {self.kind}: it doesn't derive from mtdc.{self.base.__name__}.")
        return found


def _from_entry_point(name: str) -> Any:
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        if entry.name == name:
            return entry.load()
    return None


def _from_dotted_path(name: str) -> Any:
    module_name, _, attribute = name.rpartition(".")
    if not module_name:
        return None
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # Only "there is no such module" means an unknown name; an import that fails inside the module is its author's to see.
        if error.name is not None and (module_name == error.name or module_name.startswith(error.name + ".")):
            return None
        raise
    if not hasattr(module, attribute):
        known = [key for key, value in vars(module).items() if inspect.isclass(value)]
        raise ConfigError(f"module '{module_name}' has no '{attribute}'.{did_you_mean(attribute, known)}")
    return getattr(module, attribute)


@contextmanager
def registered_parts_only() -> Iterator[None]:
    """Build from registered parts alone inside the block: no look-up imports a module, whatever a config names."""
    token = _registered_only.set(True)
    try:
        yield
    finally:
        _registered_only.reset(token)


@contextmanager
def config_path(key: str) -> Iterator[str]:
    """Say where in the config we are, so that errors of parts built inside name their full path."""
    token = _config_path.set((*_config_path.get(), key))
    try:
        yield ".".join(_config_path.get())
    finally:
        _config_path.reset(token)


def build(registry: ComponentRegistry, cfg: Any, key: str, **context: Any) -> Any:
    """Build the part that a config dict describes.

    Args:
        registry: Where ``cfg['type']`` is looked up.
        cfg: ``dict(type=..., ...)``; an instance of the registry's base class is passed through.
        key: The part's key in the config, relative to the part being built around it.
        context: Sizes and names that the surrounding part knows (``in_channels``, ``width``); a part gets those that its
            constructor names, and a config can't set them.

    Raises:
        ConfigError: Unknown type or key, missing key, a value of another kind than the constructor's annotations name, or one
            that the part refuses; the text names the config path.
    """
    with config_path(key) as where:
        if registry.base is not None and isinstance(cfg, registry.base):
            return cfg
        if not isinstance(cfg, Mapping) or not isinstance(cfg.get("type"), str):
            raise ConfigError(f"{where} must be a dict with a 'type' that names a {registry.kind}, not {cfg!r}.")
        cls = registry.find(cfg["type"], where)
        arguments = checked_arguments(cls, cfg, where, context)
        check_kinds(cls, {name: value for name, value in cfg.items() if name != "type"}, where)
        try:
            return cls(**arguments)
        except UserError:
            raise
        except (ValueError, TypeError, AttributeError, IndexError, RuntimeError) as error:
            # A value that the part can't work with; the part's own words are in it, and the traceback behind it in Python.
            reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            raise ConfigError(f"{where} ({cfg['type']}): {' '.join(reason.split())}") from error


def checked_arguments(cls: type, cfg: Mapping[str, Any], where: str, context: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that a part is built with: the config's own, and those of the context that its constructor names.

    Raises:
        ConfigError: A key that the constructor doesn't know or that the context gives, or a missing one.
    """
    arguments = {name: value for name, value in cfg.items() if name != "type"}
    where_type = f"{where} ({cfg['type']})"
    parameters = dict(inspect.signature(cls).parameters)
    # A class without a constructor of its own shows torch's (*args, **kwargs), which accepts nothing.
    open_ended = [n for n, p in parameters.items() if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    for name in open_ended:
        del parameters[name]
    own = {name: p for name, p in parameters.items() if name not in context}
    accepts = "(" + ", ".join(n if p.default is p.empty else f"{n}={p.default!r}" for n, p in own.items()) + ")"
    for name in arguments:
        if name in context and name in parameters:
            raise ConfigError(f"{where_type}: '{name}' is given by the surrounding part and can't be set.")
        if name not in own:
            raise ConfigError(f"{where_type}: unexpected key '{name}'.{did_you_mean(name, own)} Accepts: {accepts}.")
    arguments |= {name: value for name, value in context.items() if name in parameters}
    missing = [name for name, p in own.items() if p.default is p.empty and name not in arguments]
    if missing:
        raise ConfigError(f"{where_type}: missing key '{missing[0]}'. Accepts: {accepts}.")
    return arguments


INPUTS = ComponentRegistry("input representation", "inputs")
ENCODERS = ComponentRegistry("encoder", "encoders")
TRUNKS = ComponentRegistry("trunk", "trunks")
SHARING = ComponentRegistry("sharing", "sharing")
TASKS = ComponentRegistry("task", "tasks")
LOSSES = ComponentRegistry("loss", "losses")
WEIGHTING = ComponentRegistry("weighting", "weighting")
REFINEMENT = ComponentRegistry("refinement", "refinement")
NETWORKS = ComponentRegistry("network", "networks")
CLASSICAL = ComponentRegistry("method without weights", "classical")
DATASETS = ComponentRegistry("data set", "data.datasets")
TRANSFORMS = ComponentRegistry("transform", "data.transforms")
METRICS = ComponentRegistry("metric", "metrics")

REGISTRIES = (
    INPUTS, ENCODERS, TRUNKS, SHARING, TASKS, LOSSES, WEIGHTING, REFINEMENT, NETWORKS, CLASSICAL, DATASETS, TRANSFORMS, METRICS,
)  # fmt: skip
