"""The tutorials: pages quote their scripts, scripts run in an empty folder, and what they leave is what the pages promise."""

import hashlib
import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from plyfile import PlyData
from zoo_support import photo_model

import mtdc
from mtdc.commands import main as mtdc_command
from mtdc.model import build_model
from mtdc.zoo.weights import save_model

PAGES = ("scan_to_cloud", "own_folder")
WITHOUT_WEIGHTS = ("--model", "classical/morphological_kitti")
#: Values of commands that differ from run to run and machine to machine.
CHANGING = re.compile(r"(--minutes|--machine) \S+")


def blocks(text, language):
    found = re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    return [block for named, block in found if named == language]


def commands(text):
    """The lines of a page's command blocks, continued ones joined."""
    return [line for block in blocks(text, "") for line in block.replace("\\\n", " ").splitlines()]


def outline(line):
    """A line of output with its numbers and blanks left open."""
    line = re.sub(r"\b[0-9a-f]{16}\b", "#", line)  # the beginning of a sha256
    return " ".join(re.sub(r"\d+(,\d{3})*(\.\d+)?", "#", line).split())


@pytest.fixture(scope="module")
def tutorials(repository):
    return repository / "docs" / "tutorials"


def load(script, monkeypatch, *words):
    """A script as a module, and the arguments that these words are."""
    spec = importlib.util.spec_from_file_location(script.stem, script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(sys, "argv", [script.name, *map(str, words)])
    return module, module.arguments()


def start(script, folder, *words):
    """A script in a process of its own, on one thread, in a folder."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MTDC_")} | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), *words]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err[-2000:]
    return out


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def half_written(folder):
    return [path.name for path in folder.rglob(".*") if path.is_file() and path.name != ".lock"]


# ---- The pages


@pytest.mark.parametrize("page", PAGES)
def test_the_page_quotes_the_script(page, tutorials):
    text = (tutorials / f"{page}.md").read_text()
    sources = "".join(path.read_text() for path in sorted(tutorials.glob(f"{page}*.py")))
    quoted = blocks(text, "python")
    assert len(quoted) >= 5
    for block in quoted:
        assert block in sources, f"{page}.md quotes what its script doesn't say:\n{block}"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page, tutorials):
    for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", (tutorials / f"{page}.md").read_text()):
        file = tutorials / (target or f"{page}.md")
        assert file.is_file(), target
        if anchor:
            headings = [line.lstrip("#").strip().lower() for line in file.read_text().splitlines() if line.startswith("#")]
            assert anchor in [re.sub(r"[^\w\- ]", "", one).replace(" ", "-") for one in headings], anchor


def hold_outputs(text, out):
    """Each line that a page shows of an output is one that was printed, but for its numbers."""
    printed = {outline(line) for line in out.splitlines()}
    for line in "".join(blocks(text, "console")).splitlines():
        assert outline(line) in printed, line


# ---- From a scan to a cloud


@pytest.fixture(scope="module")
def scanned(tutorials, tmp_path_factory):
    """The folder that scan_to_cloud.py leaves, started in an empty one, and what it printed."""
    folder = tmp_path_factory.mktemp("scan")
    return folder, finish(start(tutorials / "scan_to_cloud.py", folder))


def values_of(path):
    """Numbers of a calibration file by key."""
    lines = (line.split(": ") for line in path.read_text().splitlines())
    return {key: [float(word) for word in text.split()] for key, text in lines if re.fullmatch(r"[-+.e\d ]+", text)}


def check_cloud(out, name, matrix, photo):
    """Each point of the cloud lies on the centre of a valid pixel of its own, with its depth and its colour."""
    depth, valid = (cv2.imread(str(out / f"{name}_{kind}.png"), cv2.IMREAD_UNCHANGED) for kind in ("depth", "valid"))
    assert depth.dtype == np.uint16 and set(np.unique(valid)) == {0, 255}
    vertices = PlyData.read(str(out / f"{name}_cloud.ply"))["vertex"]
    x, y, z = (np.asarray(vertices[axis], np.float64) for axis in "xyz")
    u, v = matrix[0, 0] * x / z + matrix[0, 2], matrix[1, 1] * y / z + matrix[1, 2]
    columns, rows = np.rint(u).astype(int), np.rint(v).astype(int)
    assert max(np.abs(u - columns).max(), np.abs(v - rows).max()) < 0.01
    seen = np.zeros(valid.shape, int)
    np.add.at(seen, (rows, columns), 1)
    assert np.array_equal(seen, valid // 255)
    assert np.abs(z - depth[rows, columns] / 256).max() <= 0.5 / 256 + 1e-5
    assert np.abs(z - np.load(out / f"{name}_depth.npy")[rows, columns]).max() < 1e-5
    colors = np.stack([vertices[channel] for channel in ("red", "green", "blue")], axis=1)
    if photo is None:  # near is warm, far is cool
        red, blue = (colors[:, channel].astype(int) for channel in (0, 2))
        near, far = z < np.percentile(z, 5), z > np.percentile(z, 95)
        assert (red > blue)[near].mean() > 0.95 and (blue > red)[far].mean() > 0.95
    else:
        assert np.array_equal(colors, cv2.imread(str(photo))[rows, columns, ::-1])
    return z


def test_the_cloud_is_the_depth_map_with_the_photos_colours(scanned):
    folder, out = scanned
    (drive,) = folder.glob("drawn_scan/*/*_sync")
    matrix = np.reshape(values_of(drive / "calib_cam_to_cam.txt")["P_rect_02"], (3, 4))
    photo = drive / "image_02" / "data" / "0000000000.png"
    z = check_cloud(folder / "completed_scan", "0000000000", matrix, photo)
    assert f"{len(z)} points, coloured by the photo" in out
    assert half_written(folder) == []


def test_the_drawn_scan_holds_the_points_of_the_drawn_sparse_map(scanned):
    """The street world projects its own points; the script's file goes the way of KITTI's."""
    folder, _ = scanned
    (drive,) = folder.glob("drawn_scan/*/*_sync")
    points = np.fromfile(drive / "velodyne_points" / "data" / "0000000000.bin", "<f4").reshape(-1, 4)[:, :3]
    assert points[:, 0].min() > 0 and -3 < np.percentile(points[:, 2], 20) < -1  # ahead; the road below the sensor
    camera, lidar = values_of(drive / "calib_cam_to_cam.txt"), values_of(drive / "calib_velo_to_cam.txt")
    seen = points @ np.reshape(lidar["R"], (3, 3)).T + lidar["T"]
    image = seen @ np.reshape(camera["P_rect_02"], (3, 4))[:, :3].T
    u, v, depth = image[:, 0] / image[:, 2], image[:, 1] / image[:, 2], image[:, 2]
    drawn = cv2.imread(str(drive / "proj_depth" / "velodyne_raw" / "image_02" / "0000000000.png"), cv2.IMREAD_UNCHANGED)
    found = np.full(drawn.shape, np.inf)
    inside = (u > -0.5) & (u < drawn.shape[1] - 0.5) & (v > -0.5) & (v < drawn.shape[0] - 0.5)
    np.minimum.at(found, (np.rint(v[inside]).astype(int), np.rint(u[inside]).astype(int)), depth[inside])
    same = np.isfinite(found) == (drawn > 0)
    assert same.mean() > 0.9995  # some lie on the border of two pixels
    both = np.isfinite(found) & (drawn > 0)
    assert np.mean(np.abs(found[both] - drawn[both] / 256) < 0.01) > 0.999
    ours = cv2.imread(str(folder / "completed_scan" / "0000000000_sparse.png"), cv2.IMREAD_UNCHANGED)
    assert np.mean(ours == drawn) > 0.999


def test_what_the_first_page_shows_is_printed(scanned, tutorials):
    _, out = scanned
    hold_outputs((tutorials / "scan_to_cloud.md").read_text(), out)
    errors = {name: float(value) for name, value in re.findall(r"^(valid|not valid): mean error (\S+) m", out, re.MULTILINE)}
    assert errors["valid"] < 2 < errors["not valid"]


def test_a_run_that_is_interrupted_leaves_whole_files_and_the_next_ends_as_the_first(scanned, tutorials, monkeypatch, capsys):
    folder, _ = scanned
    monkeypatch.chdir(folder)
    script, args = load(tutorials / "scan_to_cloud.py", monkeypatch, *WITHOUT_WEIGHTS, "--out", "again")
    script.main(args)
    out = folder / "again"
    before = contents(out)
    assert len(before) == 6

    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(script, "write_cloud", stopped)
        with pytest.raises(KeyboardInterrupt):
            script.main(args)
    assert contents(out) == {name: content for name, content in before.items() if "cloud" not in name}
    (out / ".0000000000_depth.0123456789ab.tmp.png").write_bytes(b"half")  # as a killed run leaves it
    (out / "0000000000_2_depth.png").write_bytes(b"another scan's")
    script.main(args)
    assert contents(out) == {**before, "0000000000_2_depth.png": b"another scan's"}


def test_a_scan_of_ones_own(scanned, tutorials, monkeypatch, tmp_path, capsys):
    """The right camera, and the left one without its photo; what is missing is said in a line."""
    folder, _ = scanned
    monkeypatch.chdir(tmp_path)
    (drive,) = folder.glob("drawn_scan/*/*_sync")
    scan = drive / "velodyne_points" / "data" / "0000000000.bin"
    own = tmp_path / "own.bin"
    own.write_bytes(scan.read_bytes())
    left, right = (drive / f"image_0{number}" / "data" / "0000000000.png" for number in (2, 3))
    for words, name, camera, photo in (
        ((scan, "--camera", 3), "0000000000", 3, right),
        ((own, "--calib", drive), "own", 2, None),
        ((own, "--calib", drive, "--photo", left), "own", 2, left),
    ):
        script, args = load(tutorials / "scan_to_cloud.py", monkeypatch, *words, *WITHOUT_WEIGHTS)
        script.main(args)
        matrix = np.reshape(values_of(drive / "calib_cam_to_cam.txt")[f"P_rect_0{camera}"], (3, 4))
        check_cloud(tmp_path / "completed_scan", name, matrix, photo)
    small = tmp_path / "small.png"
    cv2.imwrite(str(small), np.zeros((4, 4, 3), np.uint8))
    for words, told in (
        ((own,), "name its folder, or a camera file, with --calib"),
        ((tmp_path / "none.bin",), "none.bin does not exist"),
        ((own, "--calib", drive, "--photo", small), r"photo .*small.png is \(4, 4\)"),
        ((scan, "--out", own), "own.bin is a file"),
    ):
        script, args = load(tutorials / "scan_to_cloud.py", monkeypatch, *words, *WITHOUT_WEIGHTS)
        with pytest.raises(mtdc.DataError, match=told):
            script.main(args)


def test_a_model_that_reads_the_photo_and_says_its_error(scanned, tutorials, monkeypatch, tmp_path, capsys):
    folder, _ = scanned
    monkeypatch.chdir(tmp_path)
    (drive,) = folder.glob("drawn_scan/*/*_sync")
    scan = drive / "velodyne_points" / "data" / "0000000000.bin"
    cfg = photo_model(uncertainty="laplace")
    model = build_model(cfg).strip(("depth",)).eval()
    save_model(model, cfg, tmp_path / "small.safetensors")
    matrix = np.reshape(values_of(drive / "calib_cam_to_cam.txt")["P_rect_02"], (3, 4))
    photo, out = drive / "image_02" / "data" / "0000000000.png", tmp_path / "completed_scan"
    # It lies where no photo does: said before anything is projected.
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone/scan.bin").write_bytes(scan.read_bytes())
    alone = [
        sys.executable,
        str(tutorials / "scan_to_cloud.py"),
        "alone/scan.bin",
        "--calib",
        str(drive),
        "--model",
        "small.safetensors",
    ]
    done = subprocess.run(alone, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "small.safetensors reads the photo too: name it with --photo FILE." in done.stderr, (
        done.stderr
    )
    assert not done.stdout
    counts, limit = [], []
    for _ in range(2):  # without a limit, and with one that half of the pixels keep
        words = (scan, "--model", "small.safetensors", *limit)
        script, args = load(tutorials / "scan_to_cloud.py", monkeypatch, *words)
        script.main(args)
        check_cloud(out, "0000000000", matrix, photo)
        vertices = PlyData.read(str(out / "0000000000_cloud.ply"))["vertex"]
        deviation = np.asarray(vertices["deviation"])
        valid, stored = (cv2.imread(str(out / f"0000000000_{kind}.png"), -1) for kind in ("valid", "deviation"))
        stored = np.maximum(stored[valid > 0], 1) / 256
        assert np.abs(np.maximum(deviation, 1 / 256) - stored).max() <= 0.5 / 256 + 1e-4  # row by row, both
        counts.append(len(deviation))
        assert not limit or deviation.max() <= limit[1]
        limit = ["--max-deviation", float(np.median(deviation))]
    assert "the model expects errors of up to" in capsys.readouterr().out
    assert counts[1] == pytest.approx(counts[0] / 2, rel=0.01)
    script, args = load(tutorials / "scan_to_cloud.py", monkeypatch, scan, *WITHOUT_WEIGHTS, "--max-deviation", 1)
    with pytest.raises(mtdc.ConfigError, match="deviation"):
        script.main(args)


def test_the_real_scan(shared, tutorials, monkeypatch, tmp_path, capsys):
    """Drive 2011_09_26_0001, frame 5, as the page's second command has it."""
    words = shlex.split(commands((tutorials / "scan_to_cloud.md").read_text())[1])[2:]
    root = shared / "data" / "kitti" / "val"
    monkeypatch.chdir(tmp_path)
    script, args = load(tutorials / "scan_to_cloud.py", monkeypatch, root / words[0], *words[1:])
    script.main(args)
    matrix = np.array([[721.5377, 0, 609.5593], [0, 721.5377, 172.8540], [0, 0, 1]])
    photo = root / words[0].split("/velodyne")[0] / "image_02" / "data" / "0000000005.png"
    check_cloud(tmp_path / "completed_scan", "0000000005", matrix, photo)
    official = root / "2011_09_26_drive_0001_sync" / "proj_depth" / "velodyne_raw" / "image_02" / "0000000005.png"
    kitti, ours = (
        cv2.imread(str(path), cv2.IMREAD_UNCHANGED) > 0
        for path in (official, tmp_path / "completed_scan" / "0000000005_sparse.png")
    )
    assert (kitti & ours).sum() > 0.75 * kitti.sum()  # a third without the motion undone
    truth = cv2.imread(str(official).replace("velodyne_raw", "groundtruth"), cv2.IMREAD_UNCHANGED) / 256
    valid = cv2.imread(str(tmp_path / "completed_scan" / "0000000005_valid.png"), cv2.IMREAD_UNCHANGED) > 0
    known = valid & (truth > 0)
    error = np.load(tmp_path / "completed_scan" / "0000000005_depth.npy")[known] - truth[known]
    assert np.sqrt(np.mean(error**2)) < 1.0


# ---- A model of one's own


@pytest.fixture(scope="module")
def trained(tutorials, tmp_path_factory):
    """The folder that own_folder.py leaves, started in an empty one, killed while it trains, and started again."""
    folder = tmp_path_factory.mktemp("own")
    script, first = tutorials / "own_folder.py", folder / "work_dirs" / "my_model" / "epoch_1.pth"
    process = start(script, folder)
    until = time.monotonic() + 240
    while not first.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    out, err = process.communicate()
    assert first.exists() and process.returncode == -signal.SIGKILL, err[-2000:]
    assert not (folder / "my_zoo").exists()
    return folder, out, finish(start(script, folder))


def printed_commands(out):
    return [line.removeprefix("$ ") for line in out.splitlines() if line.startswith("$ mtdc ")]


def test_the_commands_of_the_page_are_those_that_the_script_ran(trained, tutorials):
    _, killed, out = trained
    ran = [shlex.join(shlex.split(CHANGING.sub(r"\1 X", line))) for line in printed_commands(out)]
    text = (tutorials / "own_folder.md").read_text()
    told = [line for line in commands(text) if line.startswith("mtdc ")]
    told = [shlex.join(shlex.split(CHANGING.sub(r"\1 X", line.replace("docs/tutorials", str(tutorials))))) for line in told]
    resumed = told[2] + " --resume"
    assert told[2] in (line.replace("$ ", "") for line in killed.splitlines())
    assert ran == [*told[:2], resumed, *told[3:]]
    hold_outputs(text, out)


def test_the_published_file_is_what_the_index_says(trained):
    folder, _, _ = trained
    (entry,) = json.loads((folder / "my_zoo" / "index.json").read_text())["entries"]
    (file,) = (folder / "my_zoo" / "weights").iterdir()
    assert (file.name, file.stat().st_size) == (entry["file"], entry["bytes"])
    assert hashlib.sha256(file.read_bytes()).hexdigest() == entry["sha256"]
    assert entry["parameters"]["train"] > entry["parameters"]["test"]  # the photo was learnt, and is not in the file
    assert entry["steps"] == 60 and entry["inputs"] == ["sparse_depth"]
    completer, errors = mtdc.load("my_model", "cpu", zoo=folder / "my_zoo"), []
    for path in sorted((folder / "my_frames" / "val" / "gt").iterdir()):
        sparse, truth = (
            cv2.imread(str(p), cv2.IMREAD_UNCHANGED) / 256 for p in (path.parent.parent / "depth" / path.name, path)
        )
        depth = completer(sparse)
        errors.append(np.sqrt(np.mean((np.clip(depth, 0.9, 100) - truth)[truth > 0] ** 2)))
    assert 1000 * np.mean(errors) == pytest.approx(entry["expected"][0]["values"]["rmse"], rel=5e-3)
    baseline = json.loads((folder / "work_dirs" / "my_model" / "result.json").read_text())["baselines"]
    assert 1000 * np.mean(errors) < baseline["nearest"]["rmse"]
    completed = cv2.imread(str(folder / "completed_own" / "000_depth.png"), cv2.IMREAD_UNCHANGED)
    first = cv2.imread(str(folder / "my_frames" / "val" / "depth" / "000.png"), cv2.IMREAD_UNCHANGED) / 256
    assert np.abs(completed / 256 - completer(first)).max() <= 0.5 / 256 + 1e-5
    assert half_written(folder) == []


def test_the_zoo_serves_the_other_commands_of_the_page(trained, tutorials, monkeypatch, capsys):
    folder, _, _ = trained
    monkeypatch.chdir(folder)
    lines = [line for line in commands((tutorials / "own_folder.md").read_text()) if line.startswith("MTDC_ZOO=")]
    assert len(lines) == 2
    for line in lines:
        setting, command, *words = shlex.split(line)
        assert command == "mtdc"
        monkeypatch.setenv(*setting.split("="))
        assert mtdc_command(words) == 0, capsys.readouterr().err
    assert "my_model" in capsys.readouterr().out
    completed = [cv2.imread(str(folder / place), -1) for place in ("completed/depth/000.png", "completed_own/000_depth.png")]
    assert np.abs(completed[0].astype(int) - completed[1]).max() <= 1
    assert len(list((folder / "completed" / "cloud").iterdir())) == 3


def test_a_second_run_publishes_the_same_again_and_a_changed_file_is_found(trained, tutorials, monkeypatch, capfd):
    from mtdc.zoo import embedded

    folder, _, _ = trained
    monkeypatch.chdir(folder)
    monkeypatch.setitem(
        embedded.FRAMES, "outdoor", {**embedded.FRAMES["outdoor"], "length": 2, "size": [32, 96], "truth": "dense"}
    )
    before = [json.loads((folder / "my_zoo" / "index.json").read_text())["entries"][0][key] for key in ("sha256", "expected")]
    script, args = load(tutorials / "own_folder.py", monkeypatch)
    script.main(args)
    out = capfd.readouterr().out
    assert "trained already: work_dirs/my_model" in out and "$ mtdc train " not in out
    (entry,) = json.loads((folder / "my_zoo" / "index.json").read_text())["entries"]
    assert [entry["sha256"], entry["expected"]] == before
    assert half_written(folder) == []

    completer = mtdc.load("my_model", "cpu", zoo="my_zoo")
    index = folder / "my_zoo" / "index.json"
    for key, told in (("sha256", "its sha256 is"), ("expected", r"RMSE on val/"), ("embedded", "RMSE on drawn streets")):
        changed = json.loads(index.read_text())
        one = changed["entries"][0]
        if key == "sha256":
            one[key] = "0" * 64
        else:
            (one[key][0] if key == "expected" else one[key])["values"]["rmse"] *= 1.02
        whole = index.read_bytes()
        index.write_text(json.dumps(changed))
        try:
            with pytest.raises(mtdc.DataError, match=told):
                script.check_entry(args, completer)
        finally:
            index.write_bytes(whole)


def test_what_would_fail_after_the_training_is_said_before_it(trained, tutorials, monkeypatch, tmp_path, capfd):
    folder, _, _ = trained
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folder / "my_frames", "data")
    for name in ("001.png", "002.png"):
        (tmp_path / "data" / "val" / "gt" / name).unlink()
    for words, told in (
        (("--data", "data", "--name", "My model"), "small letters"),
        (("--data", "data"), "val: 1 frames have a file in gt/"),
    ):
        script, args = load(tutorials / "own_folder.py", monkeypatch, *words)
        with pytest.raises(mtdc.UserError, match=told):
            script.main(args)
    script, args = load(tutorials / "own_folder.py", monkeypatch, "--data", "nowhere")
    with pytest.raises(SystemExit, match="2"):
        script.main(args)
    assert "mtdc check: nowhere is no folder" in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_name_stands_for_one_folder_and_one_config(trained, tutorials, monkeypatch, tmp_path, capfd):
    """Otherwise the index would say of the old weights that they were trained on the new frames."""
    folder, _, _ = trained
    monkeypatch.chdir(folder)
    published = (folder / "my_zoo" / "index.json").read_bytes()
    config = tmp_path / "own_folder_config.py"
    config.write_text((tutorials / "own_folder_config.py").read_text() + "\nrandomness = dict(seed=1)\n")
    other = tmp_path / "other"
    shutil.copytree(folder / "my_frames", other)
    for words, told in (
        (("--data", other), "my_model was trained with data .*my_frames, and now it is .*other"),
        (("--config", config), "my_model was trained with config_sha256"),
    ):
        script, args = load(tutorials / "own_folder.py", monkeypatch, *words)
        with pytest.raises(mtdc.ConfigError, match=told):
            script.main(args)
    monkeypatch.chdir(tmp_path)  # the zoo of a colleague, who has one of that name
    script, args = load(tutorials / "own_folder.py", monkeypatch, "--data", other, "--zoo", folder / "my_zoo")
    with pytest.raises(mtdc.ConfigError, match="index.json has a 'my_model' already"):
        script.main(args)
    assert (folder / "my_zoo" / "index.json").read_bytes() == published
    assert not (tmp_path / "work_dirs").exists() and "$ mtdc train" not in capfd.readouterr().out
