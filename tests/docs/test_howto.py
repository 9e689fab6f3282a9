"""The pages of docs/howto: their Python runs, their configs load, their commands have these options, their links lead on."""

import argparse
import ast
import importlib
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from mtdc.commands import COMMANDS, main
from mtdc.data.io import read_raw_png
from mtdc.engine.config import load_config, shipped_configs
from mtdc.engine.street import _options
from mtdc.model import build_model

HOWTO = Path(__file__).resolve().parents[2] / "docs" / "howto"
PAGES = sorted(HOWTO.glob("*.md"))
ALL_PAGES = [*PAGES, HOWTO.parent / "submission.md"]


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def commands(page):
    """Lines of a page's blocks that call a command or a tool."""
    lines = [line for block in blocks(page, "") for line in block.splitlines()]
    return [line for line in lines if re.match(r"(mtdc|python tools/\w+\.py) ", line)]


def slug(heading):
    """A heading's anchor as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.fixture
def scan(tmp_path, monkeypatch):
    """Road before a wall, as a cloud of four float32 a point."""
    monkeypatch.chdir(tmp_path)
    azimuths, elevations = np.meshgrid(np.deg2rad(np.arange(-45, 45, 0.25)), np.deg2rad(np.arange(-20, 2, 0.5)))
    directions = np.stack(
        (np.cos(elevations) * np.cos(azimuths), np.cos(elevations) * np.sin(azimuths), np.sin(elevations)), axis=-1
    ).reshape(-1, 3)
    ranges = np.minimum(1.8 / np.maximum(-directions[:, 2], 1e-3), 30 / directions[:, 0])
    points = np.concatenate((directions * ranges[:, None], np.ones((len(ranges), 1))), axis=1)
    points.astype("<f4").tofile(tmp_path / "scan.bin")
    return points


def test_points_are_projected_and_measured_as_the_page_says(scan, tmp_path, capsys):
    project, measure = blocks(HOWTO / "own_sensor.md", "python")
    names: dict[str, object] = {}
    exec(compile(project, "project_cloud.py", "exec"), names)
    sparse = names["sparse_depth"]
    assert isinstance(sparse, np.ndarray)
    # A point 30 m ahead of the LiDAR stands 29.95 m before the camera that is mounted 5 cm ahead of it.
    assert sparse.max() == pytest.approx(29.95, abs=1e-3)
    assert 5000 < np.count_nonzero(sparse) < 20000
    # The ground is 1.8 m below the LiDAR, which is 0.1 m above the camera: on row cy + f 1.7 / z.
    rows, columns = np.nonzero((sparse > 8) & (sparse < 12))
    assert np.median(np.abs(rows - (360 + 900 * 1.7 / sparse[rows, columns]))) < 1
    exec(compile(measure, "hold_back.py", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in printed] == ["nearest", "morphological"]
    assert all(float(re.findall(r"MAE (\d+) mm", line)[0]) < 2000 for line in printed)


def test_the_config_for_own_lines_draws_own_lines(tmp_path):
    (code,) = blocks(HOWTO / "fewer_beams.md", "python")
    (tmp_path / "my_lidar.py").write_text(code)
    cfg = load_config(tmp_path / "my_lidar.py")
    options = _options(cfg.street)
    assert options.lidar.lines == 16
    assert options.size == (352, 1216)
    assert cfg.model == load_config("unet_street").model
    comment = re.findall(r"# also (.*?), mount", code)[0]
    field, step = re.fullmatch(r"field=(.*), step=(.*)", comment).groups()
    cfg.street.lidar = {"lines": 16, "field": ast.literal_eval(field), "step": ast.literal_eval(step)}
    assert _options(cfg.street).lidar.field == (15.0, -15.0)


def test_every_python_block_is_run_by_a_test_here():
    counted = {page.name: len(blocks(page, "python")) for page in PAGES if blocks(page, "python")}
    assert counted == {"own_sensor.md": 2, "fewer_beams.md": 1}


@pytest.mark.parametrize("page", ALL_PAGES, ids=lambda page: page.stem)
def test_commands_have_the_options_that_they_are_called_with(page, repository, monkeypatch):
    def refuse(_, message):
        raise AssertionError(message)

    monkeypatch.setattr(argparse.ArgumentParser, "error", refuse)
    monkeypatch.syspath_prepend(str(repository / "tools"))
    for line in commands(page):
        words = shlex.split(line, comments=True)
        if words[0] == "python":
            assert (repository / words[1]).is_file(), line
            name, words = Path(words[1]).stem, words[2:]
        else:
            name, words = words[1], words[2:]
        parser = argparse.ArgumentParser()
        if name in COMMANDS:
            importlib.import_module(f"mtdc.commands.{name}").add_arguments(parser)
        else:
            parser = importlib.import_module(name)._parser()
        parsed = vars(parser.parse_intermixed_args(words))
        named = parsed.get("config") or parsed.get("model") or []
        for config in [named] if isinstance(named, str) else named:
            if config in ("CONFIG", "my_lidar.py"):
                continue
            assert config in shipped_configs(), line
            build_model(load_config(config, parsed.get("cfg_options")).model)


@pytest.mark.parametrize("page", ALL_PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", page.read_text()):
        file = page if not target[0] else page.parent / target[0]
        assert file.exists(), f"{page.name} links to {target[0]}"
        if target[1]:
            headings = [slug(line.lstrip("#")) for line in file.read_text().splitlines() if line.startswith("#")]
            assert target[1] in headings, f"{page.name}: {target[0]} has no heading #{target[1]}"


def test_the_index_names_every_page():
    index = (HOWTO / "README.md").read_text()
    assert all(f"({page.name})" in index for page in PAGES if page.name != "README.md")


def test_a_cloud_becomes_what_the_page_promises(scan, tmp_path):
    (tmp_path / "camera.yaml").write_text(
        "image_size: [640, 360]\nK: [450, 0, 320, 0, 450, 180, 0, 0, 1]\n"
        "T_camera_lidar: [[0, -1, 0, 0.0], [0, 0, -1, -0.1], [1, 0, 0, -0.05], [0, 0, 0, 1]]\n"
    )
    for number, line in enumerate((commands(HOWTO / "own_sensor.md")[0], *commands(HOWTO / "short_answers.md")[:2])):
        words = shlex.split(line)
        assert (words[0], words[words.index("--out") + 1]) == ("mtdc", "completed")
        assert main([*words[1:], "--out", f"completed_{number}"]) == 0
        found = {
            path.relative_to(tmp_path / f"completed_{number}").as_posix() for path in tmp_path.glob(f"*_{number}/*/scan.*")
        }
        assert found == {"depth/scan.png", "valid/scan.png", "color/scan.png", "cloud/scan.ply"}
    depth, valid = (read_raw_png(tmp_path / "completed_2" / folder / "scan.png") for folder in ("depth", "valid"))
    assert np.array_equal(depth == 0, valid == 0)  # --invalid zero
    assert 0 < np.count_nonzero(valid) < valid.size
