"""What a study says of itself: its variants, how much a run sees, its data, a run's config, the columns of its tables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

#: What networks read: a fill that depth is a residual on, or raw sparse depth, as in the paper.
REPRESENTATIONS = ("RelativeFill", "SparseDepth")


class Variant(NamedTuple):
    """A row of a study's table: a shipped config, what it is, and what differs from the config.

    Args:
        config: Name of the config.
        title: The row's heading.
        weights: Weights of tasks, where they are not the config's.
        widened: The network is wider than the others', by the study's factor.
    """

    config: str
    title: str
    weights: dict[str, float] | None = None
    widened: bool = False


class Columns(NamedTuple):
    """One table: what stands above it, its columns (heading to key of the CSV file), and how its numbers are written.

    Args:
        text: The line above the table.
        keys: Heading to key of the CSV file.
        form: Format of a mean; the spread is written alike.
        change: Changes against the reference, in per cent, in place of the values.
    """

    text: str
    keys: Mapping[str, str]
    form: str = ".0f"
    change: bool = False


class Run(NamedTuple):
    """What the config of one run is made from.

    Args:
        variant: The variant.
        base: Path of its config.
        budget: The budget's name.
        data_root: Where the study's data is, as ``prepare`` left it.
        seed: Of everything random.
        precision, representation: As the command line has them.
        first: The run that also measures the methods without weights.
    """

    variant: Variant
    base: str
    budget: str
    data_root: Path
    seed: int
    precision: str
    representation: str
    first: bool


class Study(ABC):
    """One study. ``tools/study.py`` trains it, resumes it, and writes its rows and tables."""

    #: Variants that are trained unless others are named, and probes: variants that are trained where they are named.
    variants: ClassVar[Mapping[str, Variant]]
    probes: ClassVar[Mapping[str, Variant]] = {}
    #: The variant that the others are compared with, run by run of the same seed.
    reference: ClassVar[str] = "b"
    #: How much a run sees, by name; the first one is the default.
    budgets: ClassVar[Mapping[str, Any]]
    tables: ClassVar[tuple[Columns, ...]]
    #: Whether it reads data of the user's, which ``--data-root`` then names, or makes its own.
    reads_data: ClassVar[bool]

    @property
    def all_variants(self) -> dict[str, Variant]:
        """Variants and probes, in the order of the tables."""
        return {**self.variants, **self.probes}

    @abstractmethod
    def prepare(self, data_root: Path, out: Path, budget: str, config: Path) -> None:
        """Bring the data into the form that runs read; what is there already is kept.

        Args:
            data_root: Folder of the user's data.
            out: Folder of the study.
            budget: Name of the budget.
            config: Config of a run.
        """

    @abstractmethod
    def prepared(self, data_root: Path, out: Path, budget: str) -> Path:
        """Where ``prepare`` puts the data."""

    @abstractmethod
    def config_text(self, run: Run) -> str:
        """A leaf config of one run: the variant's config with the study's data, budget and measures."""

    @abstractmethod
    def steps(self, budget: str, prepared: Path) -> int:
        """Steps of one run."""
