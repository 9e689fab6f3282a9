"""A small network that learns to tell patches of two sets of sparse maps apart: real scans and the street world's.

Its accuracy on patches of frames, and where possible of whole drives, that it was not trained on is a measure of realism that
needs no list of statistics: 0.5 where it can't tell, 1 where it always can. Patches hold sparse depth alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from scipy import ndimage
from torch import Tensor, nn

from ...errors import ConfigError, DataError, did_you_mean
from ..io import read_depth_png
from . import StreetOptions
from .statistics import crop
from .world import WORLD_VERSION, draw_frame
from .writer import DRIVE, split_seed, street_state


@dataclass(frozen=True)
class LabelledFrame:
    """One sparse map.

    Args:
        sparse: ``(H, W)`` float32 metres, 0 = none.
        name: What it is called; unique in its set.
        group: Frames of a group look alike (a drive): they are never trained on and tested on in one fold.
        kind: What results are listed by: the drive, or the world's layout.
    """

    sparse: np.ndarray
    name: str
    group: str
    kind: str


@dataclass(frozen=True)
class ClassifierOptions:
    """How the two sets are told apart.

    Args:
        patch: (H, W) of a patch in pixels.
        first_row: No patch reaches above this row of the map: there is sky in both sets.
        least_points: Patches with fewer points are drawn again.
        width: Channels of the first layer; the last has three times as many.
        steps: Training steps.
        batch: Patches of a step, one half of each set.
        rate: Greatest learning rate.
        tested: Patches of each set that are tested in a fold.
        view: What the network sees of a patch, a key of :data:`VIEWS`.
    """

    patch: tuple[int, int] = (64, 128)
    first_row: int = 96
    least_points: int = 50
    width: int = 16
    steps: int = 400
    batch: int = 64
    rate: float = 3e-3
    tested: int = 600
    view: str = "depth"

    def __post_init__(self) -> None:
        if self.view not in VIEWS:
            raise ConfigError(f"view='{self.view}' is no way to see a patch.{did_you_mean(self.view, VIEWS)}")
        if self.batch < 2 or self.batch % 2 or min(*self.patch, self.width, self.steps, self.tested) < 1 or self.first_row < 0:
            raise ConfigError(
                f"classifier: patch={self.patch}, first_row={self.first_row}, width={self.width}, steps={self.steps}, "
                f"batch={self.batch}, tested={self.tested}; expected an even batch, a row from 0 and all else above 0."
            )


@dataclass
class Verdict:
    """How well two sets were told apart, on frames that were not trained on.

    Args:
        accuracy: For each seed the mean of both sets' shares of patches told right, over all folds.
        folds: The same for each fold, over all seeds, by the groups of the first set that were unseen in it.
        area: For each seed the area under the ROC curve, mean over folds: the chance that of two patches, one of each set, the
            more likely one is chosen. It does not depend on where the line between both is drawn.
        kinds: Share of patches told right by kind of frame, over all folds and seeds, first set and second set.
        rows: Accuracy by the patch's first row, in four equal parts from the top, over all folds and seeds.
    """

    accuracy: list[float] = field(default_factory=list)
    folds: dict[str, float] = field(default_factory=dict)
    area: list[float] = field(default_factory=list)
    kinds: tuple[dict[str, float], dict[str, float]] = field(default_factory=lambda: ({}, {}))
    rows: list[float] = field(default_factory=list)


# ---- Frames


def read_frames(folder: str | Path, limit: int | None = None) -> list[LabelledFrame]:
    """Sparse maps of a split or a drive in KITTI's layout, cut to the lower middle; a frame of the world is its own group.

    Args:
        folder: The split or drive.
        limit: At most so many, spread evenly over all.

    Raises:
        DataError: There are none.
    """
    paths = sorted(Path(folder).rglob("velodyne_raw/image_0*/*.png"))
    if not paths:
        raise DataError(f"{folder} holds no frames: looked for velodyne_raw/image_0x/*.png in it and below.")
    if limit is not None and limit < len(paths):
        paths = [paths[i * len(paths) // limit] for i in range(limit)]
    layouts = _layouts(Path(folder), [path for path in paths if DRIVE in path.parts])
    frames = []
    for path in paths:
        drive = path.parents[3].name
        group, kind = (path.stem, layouts.get(path, "world")) if drive == DRIVE else (drive, drive)
        frames.append(LabelledFrame(crop(read_depth_png(path)), str(path), group, kind))
    return frames


def _layouts(folder: Path, paths: Sequence[Path]) -> dict[Path, str]:
    """Layout of each of the world's frames, drawn again from its seed; none where another version made them."""
    state = street_state(folder) if paths else None
    if state is None or state.get("world_version") != WORLD_VERSION:
        return {}
    names = state["options"]["layouts"]
    options = StreetOptions(layouts=None if names is None else tuple(names))
    seed = split_seed(state["seed"], state["split"])
    return {path: draw_frame(options, seed, int(path.stem), ()).layout for path in paths}


def in_blocks(frames: Sequence[LabelledFrame], blocks: int) -> list[LabelledFrame]:
    """The same frames grouped anew, by blocks of neighbours in time: for a set that is one drive."""
    ordered = sorted(frames, key=lambda frame: frame.name)
    return [replace(frame, group=f"part {i * blocks // len(ordered) + 1}") for i, frame in enumerate(ordered)]


def unseen_groups(frames: Sequence[LabelledFrame], fold: int, folds: int) -> tuple[list[LabelledFrame], list[LabelledFrame]]:
    """The frames to train on and to test on in a fold: each group is tested in one fold alone.

    Raises:
        DataError: There are fewer groups than folds.
    """
    groups = sorted({frame.group for frame in frames})
    if len(groups) < folds:
        raise DataError(f"{len(groups)} groups of frames ({', '.join(groups[:5])}) can't be split into {folds} folds.")
    tested = set(groups[fold::folds])
    return [f for f in frames if f.group not in tested], [f for f in frames if f.group in tested]


# ---- Patches


@dataclass
class _Patches:
    depth: Tensor  # (N, 1, h, w)
    frame: list[LabelledFrame]
    row: np.ndarray


def _draw(frames: Sequence[LabelledFrame], count: int, options: ClassifierOptions, rng: np.random.Generator) -> _Patches:
    """Patches at places drawn evenly, each group's frames equally often; both sets are drawn alike."""
    height, width = options.patch
    groups: dict[str, list[LabelledFrame]] = {}
    for frame in frames:
        groups.setdefault(frame.group, []).append(frame)
    names = sorted(groups)
    depth = np.zeros((count, 1, height, width), np.float32)
    chosen, rows = [], np.zeros(count, np.int64)
    for i in range(count):
        for _ in range(50):
            members = groups[names[rng.integers(len(names))]]
            frame = members[rng.integers(len(members))]
            bottom, right = frame.sparse.shape[0] - height, frame.sparse.shape[1] - width
            if bottom < options.first_row or right < 0:
                raise DataError(
                    f"{frame.name} is {frame.sparse.shape[0]}x{frame.sparse.shape[1]}; a patch of {height}x{width} below row "
                    f"{options.first_row} doesn't fit."
                )
            top, left = int(rng.integers(options.first_row, bottom + 1)), int(rng.integers(right + 1))
            patch = frame.sparse[top : top + height, left : left + width]
            if np.count_nonzero(patch) >= options.least_points:
                break
        else:
            raise DataError(f"{frame.name}: 50 patches in a row hold fewer than {options.least_points} points.")
        depth[i, 0], rows[i] = patch, top
        chosen.append(frame)
    return _Patches(torch.from_numpy(depth), chosen, rows)


def _log_depth(depth: Tensor) -> Tensor:
    """About -1 to 1.5 from 4 to 80 m."""
    return torch.log(depth.clamp(min=0.5)) - 2.5


def _both(depth: Tensor, rng: np.random.Generator) -> Tensor:
    known = (depth > 0).float()
    return torch.cat((known, _log_depth(depth) * known), dim=1)


def _mask(depth: Tensor, rng: np.random.Generator) -> Tensor:
    known = (depth > 0).float()
    return torch.cat((known, torch.zeros_like(known)), dim=1)


def _filled(depth: Tensor, rng: np.random.Generator) -> Tensor:
    filled = np.empty_like(depth.numpy())
    for source, target in zip(depth[:, 0].numpy(), filled[:, 0], strict=True):
        rows, columns = ndimage.distance_transform_edt(source == 0, return_distances=False, return_indices=True)
        target[:] = source[rows, columns]
    dense = torch.from_numpy(filled)
    return torch.cat((torch.ones_like(dense), _log_depth(dense)), dim=1)


def _relative(depth: Tensor, rng: np.random.Generator) -> Tensor:
    known = (depth > 0).float()
    logarithm = _log_depth(depth) * known
    mean = logarithm.sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True).clamp(min=1)
    return torch.cat((known, (logarithm - mean) * known), dim=1)


def _noisy(depth: Tensor, rng: np.random.Generator) -> Tensor:
    noise = torch.from_numpy(rng.normal(0, 0.01, tuple(depth.shape)).astype(np.float32))
    return _both(torch.where(depth > 0, depth * (1 + noise) + 10 * noise.roll(1, 3), 0), rng)


def _moved(depth: Tensor, rng: np.random.Generator) -> Tensor:
    height, width = depth.shape[2:]
    frame, _, row, column = (depth > 0).nonzero(as_tuple=True)
    shift = torch.from_numpy(rng.integers(-1, 2, (2, len(row))))
    to = (frame * height + (row + shift[0]).clamp(0, height - 1)) * width + (column + shift[1]).clamp(0, width - 1)
    moved = torch.full((depth.numel(),), torch.inf).scatter_reduce(0, to, depth[depth > 0], "amin")
    return _both(torch.where(torch.isfinite(moved), moved, 0).reshape(depth.shape), rng)


#: What the network may see of patches ``(B, 1, h, w)`` metres, as ``(B, 2, h, w)``: each leaves something out, so that the
#: accuracies say what the sets differ in.
VIEWS: Mapping[str, Callable[[Tensor, np.random.Generator], Tensor]] = {
    "depth": _both,  # all: where there are points, and log depth
    "mask": _mask,  # where there are points alone
    "filled": _filled,  # each pixel has its nearest point's depth: shapes, and little of where points are
    "relative": _relative,  # log depth against the patch's mean: not how far away it is
    "noisy": _noisy,  # 10 cm + 1 % of noise on both sets: no fine relief, and not the sensor's own noise
    "moved": _moved,  # points of both sets moved by up to a pixel: not the lattice of lines and shots
}


# ---- Telling apart


class PatchClassifier(nn.Module):
    """Four convolutions and an average: ``(B, 2, h, w) -> (B,)``, the logarithm of the odds that it is of the second set."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 2
        for channels, kernel, stride in ((width, 5, 2), (2 * width, 3, 2), (3 * width, 3, 2), (3 * width, 3, 1)):
            convolution = nn.Conv2d(before, channels, kernel, stride, kernel // 2, bias=False)
            layers += [convolution, nn.BatchNorm2d(channels), nn.ReLU()]
            before = channels
        self.features = nn.Sequential(*layers)
        self.last = nn.Linear(before, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Shapes as above."""
        # Channels last: a third less time on a CPU.
        features = self.features(x.contiguous(memory_format=torch.channels_last))
        found: Tensor = self.last(features.mean((2, 3)))[:, 0]
        return found


def train_classifier(
    first: Sequence[LabelledFrame], second: Sequence[LabelledFrame], options: ClassifierOptions, seed: int
) -> PatchClassifier:
    """A classifier of patches of both sets, drawn equally often and mirrored half of the time; the same for a seed."""
    rng = np.random.default_rng([seed, 0])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = PatchClassifier(options.width).train()
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch leaves it out of its types
    optimiser = torch.optim.AdamW(model.parameters(), lr=options.rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, options.rate, total_steps=options.steps)
    half = options.batch // 2
    label = torch.cat((torch.zeros(half), torch.ones(half)))
    for _ in range(options.steps):
        depth = torch.cat([_draw(frames, half, options, rng).depth for frames in (first, second)])
        mirrored = torch.from_numpy(rng.random(options.batch) < 0.5)[:, None, None, None]
        x = VIEWS[options.view](torch.where(mirrored, depth.flip(3), depth), rng)
        loss = functional.binary_cross_entropy_with_logits(model(x), label)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return model.eval()


def _scores(model: PatchClassifier, patches: _Patches, options: ClassifierOptions, rng: np.random.Generator) -> np.ndarray:
    with torch.no_grad():
        parts = [model(VIEWS[options.view](depth, rng)) for depth in patches.depth.split(64)]
    return torch.cat(parts).numpy()


def tell_apart(
    first: Sequence[LabelledFrame],
    second: Sequence[LabelledFrame],
    options: ClassifierOptions | None = None,
    folds: int = 3,
    seeds: Sequence[int] = (0, 1, 2),
    progress: Callable[[int, int], None] | None = None,
) -> Verdict:
    """How well two sets of frames are told apart on groups that were not trained on: each group is unseen once a seed.

    Raises:
        DataError: A set has fewer groups than folds, or a map is smaller than a patch.
    """
    options = options or ClassifierOptions()
    if folds < 2 or not seeds:
        raise ConfigError(f"classifier: folds={folds}, seeds={list(seeds)}; expected at least two folds and one seed.")
    splits = [[unseen_groups(frames, fold, folds) for frames in (first, second)] for fold in range(folds)]
    tally = _Tally(options)
    for number, seed in enumerate(seeds):
        for fold, ((train_first, test_first), (train_second, test_second)) in enumerate(splits):
            model = train_classifier(train_first, train_second, options, 1000 * seed + fold)
            rng = np.random.default_rng([seed, fold, 1])
            drawn = [_draw(frames, options.tested, options, rng) for frames in (test_first, test_second)]
            scores = [_scores(model, patches, options, rng) for patches in drawn]
            tally.add(seed, ", ".join(sorted({frame.group for frame in test_first})), drawn, scores)
            if progress is not None:
                progress(number * folds + fold + 1, len(seeds) * folds)
    return tally.verdict()


class _Tally:
    """Results of all folds and seeds."""

    def __init__(self, options: ClassifierOptions) -> None:
        self.options = options
        self.seeds: dict[int, list[tuple[float, float]]] = {}
        self.folds: dict[str, list[float]] = {}
        self.kinds: tuple[dict[str, list[bool]], dict[str, list[bool]]] = ({}, {})
        self.rows: list[tuple[int, bool]] = []

    def add(self, seed: int, unseen: str, drawn: Sequence[_Patches], scores: Sequence[np.ndarray]) -> None:
        right = [scores[0] <= 0, scores[1] > 0]
        accuracy = float(np.mean([part.mean() for part in right]))
        # A tie counts half, as in the rank-sum test.
        difference = scores[1][:, None] - scores[0][None]
        area = float((difference > 0).mean() + 0.5 * (difference == 0).mean())
        self.seeds.setdefault(seed, []).append((accuracy, area))
        self.folds.setdefault(unseen, []).append(accuracy)
        for kinds, patches, hits in zip(self.kinds, drawn, right, strict=True):
            for frame, hit in zip(patches.frame, hits, strict=True):
                kinds.setdefault(frame.kind, []).append(bool(hit))
            self.rows += [(int(row), bool(hit)) for row, hit in zip(patches.row, hits, strict=True)]

    def verdict(self) -> Verdict:
        tops = np.array([row for row, _ in self.rows])
        hits = np.array([hit for _, hit in self.rows])
        part = np.minimum((tops - tops.min()) * 4 // max(int(np.ptp(tops)), 1), 3)
        return Verdict(
            accuracy=[float(np.mean([a for a, _ in values])) for values in self.seeds.values()],
            folds={name: float(np.mean(values)) for name, values in self.folds.items()},
            area=[float(np.mean([a for _, a in values])) for values in self.seeds.values()],
            kinds=tuple({k: float(np.mean(v)) for k, v in sorted(kinds.items())} for kinds in self.kinds),  # type: ignore[arg-type]
            rows=[float(hits[part == i].mean()) if (part == i).any() else float("nan") for i in range(4)],
        )
