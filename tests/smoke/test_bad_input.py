"""Bad input, command by command: one line that names the file or key, exit code 2, and nothing left that looks whole."""

import io
import re
import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from support import DRIVE, TREE_CROP, TREE_SIZE, kitti_tree, small_run

from mtdc.commands import main

SPLITS = {"train": 1, "val": 2}  # with the number of their drive
NEAREST = "classical/nearest_kitti"
CROP = [
    f"test_dataloader.dataset.transforms.0.{key}={value}" for key, value in zip(("height", "width"), TREE_CROP, strict=True)
]
ONE_EPOCH = [*small_run(**{"train_cfg.max_epochs": 1}), "val_dataloader=None", "baselines=None"]


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    root = tmp_path_factory.mktemp("kitti")
    for split, drive in SPLITS.items():
        kitti_tree(root, split, frames=4, drive=drive)  # each is read: an odd one would be left out of an epoch
    return root


@pytest.fixture
def data(trees, tmp_path, monkeypatch):
    """A copy that a test may break; the test runs beside it."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trees, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture(scope="module")
def trained(trees, tmp_path_factory):
    """The folder of a run of one epoch."""
    folder = tmp_path_factory.mktemp("run")
    assert main(["train", "aux_image_kitti", "--data-root", str(trees), "--work-dir", str(folder), *ONE_EPOCH]) == 0
    return folder


@pytest.fixture
def refused(capfd, tmp_path):
    """Run a command that must refuse its input; returns its one line."""

    def run(*arguments):
        capfd.readouterr()
        assert main([str(word) for word in arguments]) == 2
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        lines = [line for line in err.splitlines() if line.strip() and not is_progress(line)]
        assert len(lines) == 1, err
        assert lines[0].startswith(f"mtdc {arguments[0]}: ")
        assert not list(tmp_path.rglob("*.tmp*")), "a temporary file is left"
        return lines[0]

    return run


def is_progress(line):
    return re.search(r"\d+(/\d+)?( ?\w+)? \[", line) is not None


def frame(root, kind, split, number=1):
    folder = root / split / DRIVE.format(SPLITS[split])
    return folder / ("image_02/data" if kind == "image" else f"proj_depth/{kind}/image_02") / f"{number:010d}.png"


def png(array):
    return cv2.imencode(".png", array)[1].tobytes()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def stored(shape=TREE_SIZE, value=700):
    return np.full(shape, value, np.uint16)


def metres(value=None, factor=1.0):
    depth = np.full(TREE_SIZE, 20.0, np.float32) * np.float32(factor)
    if value is not None:
        depth[5, 5] = value
    return depth


def cut(content):
    return content[: len(content) // 2]


# ---- Frames of a data set


def replace(kind, content, suffix=".png"):
    """Put another file in a frame's place; content may be made from what is there."""

    def change(root, split):
        path = frame(root, kind, split)
        new = content(path.read_bytes()) if callable(content) else content
        path.unlink()
        path.with_suffix(suffix).write_bytes(new)
        return path.with_suffix(suffix)

    return change


def unreadable(root, split):
    path = frame(root, "velodyne_raw", split)
    path.unlink()
    path.symlink_to("a_disk_that_is_gone.png")
    return path


def a_folder(root, split):
    path = frame(root, "velodyne_raw", split)
    path.unlink()
    path.mkdir()
    return path


def small(root, split):
    for kind, array in (
        ("velodyne_raw", stored((20, 30))),
        ("groundtruth", stored((20, 30))),
        ("image", stored((20, 30)) // 9),
    ):
        frame(root, kind, split).write_bytes(png(array.astype(np.uint8) if kind == "image" else array))
    return Path(f"{DRIVE.format(SPLITS[split])}_image_02_0000000001")


def photo_of_another_size(root, split):
    frame(root, "image", split).write_bytes(png(np.ones((70, 104, 3), np.uint8)))
    return frame(root, "image", split)


FRAMES = {
    "missing": (unreadable, "does not exist"),
    "a folder": (a_folder, "it is a folder"),
    "truncated": (replace("velodyne_raw", cut), r"is cut short \(.* bytes, no end mark\); copy it again"),
    "truncated truth": (replace("groundtruth", cut), "is cut short"),
    "damaged": (replace("velodyne_raw", lambda b: b[:100] + b"\0\1\2\3" + b[104:]), "is a damaged PNG .* copy it again"),
    "8-bit": (replace("velodyne_raw", png(np.ones(TREE_SIZE, np.uint8))), "is 8-bit; expected 16-bit"),
    "3 channels": (replace("velodyne_raw", png(stored((*TREE_SIZE, 3)))), "has 3 channels; expected one"),
    "millimetres": (replace("velodyne_raw", npy(metres(factor=1000)), ".npy"), "divide millimetres by 1000 .then up to 20 m"),
    "NaN": (replace("velodyne_raw", npy(metres(np.nan)), ".npy"), "1 values that are NaN or infinite; expected metres with 0"),
    "infinite": (replace("groundtruth", npy(metres(np.inf)), ".npy"), "1 values that are NaN or infinite"),
    "negative": (replace("velodyne_raw", npy(metres(-3)), ".npy"), "holds negative depth .-3.; expected metres"),
    "whole numbers": (replace("velodyne_raw", npy(stored()), ".npy"), "holds uint16; expected floats in metres: divide"),
    "empty": (replace("velodyne_raw", png(stored(value=0))), "no measured pixel .all 0.; copy it again, or remove it"),
    "empty truth": (replace("groundtruth", png(stored(value=0))), "no measured pixel .all 0.; copy it again, or remove it"),
    "another size": (replace("groundtruth", png(stored((70, 104)))), "104x72 .* 104x70 .*one frame must have one size"),
    "smaller than the crop": (small, "is 30x20 .width x height., smaller than BottomCrop's 96x64; choose a smaller crop"),
    "larger than any": (
        replace("velodyne_raw", png(np.zeros((9, 9), np.uint16))[:16] + bytes([0, 0, 255, 255]) * 2 + bytes(99) + b"IEND"),
        "cut short|damaged|at most",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FRAMES)
def test_train_and_test_name_the_frame(data, tmp_path, refused, case):
    change, said = FRAMES[case]
    named = {split: change(data, split) for split in SPLITS}
    line = refused("train", "aux_image_kitti", "--data-root", data, "--work-dir", "run", *ONE_EPOCH)
    assert re.search(said, line) and str(named["train"]) in line
    assert not list(tmp_path.rglob("*.pth")) and not list(tmp_path.rglob("result.json"))
    arguments = ("--data-root", data, "--split", "val", "--work-dir", "test", "--save-depth", "depth")
    line = refused("test", NEAREST, *arguments, "--cfg-options", *CROP, "test_dataloader.num_workers=0")
    assert re.search(said, line) and str(named["val"]) in line
    assert not list(tmp_path.rglob("result.json"))
    for path in Path("depth").glob("*"):  # frames before the broken one
        assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED).shape == TREE_CROP


def test_a_photo_of_another_size_is_named_where_it_is_read(data, refused):
    path = photo_of_another_size(data, "train")
    line = refused("train", "aux_image_kitti", "--data-root", data, "--work-dir", "run", *ONE_EPOCH)
    assert f"{path} is 104x70" in line and "one frame must have one size" in line
    frame(data, "image", "train").write_bytes(b"no photo")
    assert "image" in refused("train", "aux_image_kitti", "--data-root", data, "--work-dir", "run", *ONE_EPOCH)


def test_a_broken_frame_in_a_loader_worker_ends_the_run_with_its_line_and_the_checkpoint_stays(data, refused):
    workers = [*small_run(**{"train_dataloader.num_workers": 2, "train_cfg.max_epochs": 2}), "val_dataloader=None"]
    run = ("train", "aux_image_kitti", "--data-root", data, "--work-dir", "run")
    assert main([str(word) for word in (*run, *workers, "train_cfg.max_epochs=1")]) == 0
    before = Path("run/epoch_1.pth").read_bytes()
    path = replace("velodyne_raw", cut)(data, "train")
    line = refused(*run, "--resume", *workers)
    assert str(path) in line and "cut short" in line
    assert Path("run/epoch_1.pth").read_bytes() == before
    shutil.copy(frame(data, "velodyne_raw", "train", 2), path)
    assert main([str(word) for word in (*run, "--resume", *workers)]) == 0
    assert Path("run/epoch_2.pth").is_file()


def test_folders_without_frames(data, tmp_path, refused):
    (tmp_path / "void").mkdir()
    shutil.rmtree(frame(data, "velodyne_raw", "val").parent)
    for command, config in (("test", NEAREST), ("train", "aux_image_kitti")):
        assert "void': looked for" in refused(command, config, "--data-root", "void", "--work-dir", "run")
        assert "'gone' does not exist" in refused(command, config, "--data-root", "gone", "--work-dir", "run")
    line = refused("test", NEAREST, "--data-root", data, "--split", "val")
    assert "no frame with sparse depth" in line and "not unpacked?" in line
    assert "Did you mean 'val'?" in refused("test", NEAREST, "--data-root", data, "--split", "vall")
    assert "void holds no PNG" in refused("evaluate", "void", data)
    assert "void holds no scan" in refused("complete", "void", "--model", NEAREST, "--out", "out")


def test_an_empty_folder_does_not_shadow_a_full_one(data):
    for kind in ("velodyne_raw", "groundtruth"):
        folder = Path("full/depth_selection/chosen", kind)
        shutil.copytree(frame(data, kind, "val").parent, folder)
    Path("full/chosen/velodyne_raw").mkdir(parents=True)
    arguments = ["test", NEAREST, "--data-root", "full", "--split", "chosen", "--work-dir", "test", "--cfg-options", *CROP]
    assert main(arguments) == 0


# ---- Two folders of maps


@pytest.mark.parametrize(
    ("folder", "content", "said"),
    [
        ("mine", cut, "is cut short"),
        ("truth", cut, "is cut short"),
        ("mine", png(np.ones(TREE_SIZE, np.uint8)), "is 8-bit; expected 16-bit"),
        ("truth", png(stored((*TREE_SIZE, 3))), "has 3 channels"),
        ("mine", png(stored((70, 104))), "expected the same size. One of them was probably cropped"),
        (
            "truth",
            png(stored(value=0)),
            "has no valid pixel (all 0), so nothing can be measured there; copy it again, or leave",
        ),
        ("mine", b"", "is empty (0 bytes)"),
        ("mine", b"no picture", "no image format that is known"),
        ("mine", None, "have no prediction"),
    ],
)
def test_evaluate_names_the_file(data, refused, folder, content, said):
    for name in ("truth", "mine"):
        shutil.copytree(frame(data, "groundtruth", "val").parent, name)
    path = Path(folder, "0000000001.png")
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content(path.read_bytes()) if callable(content) else content)
    line = refused("evaluate", "truth", "mine", "--out", "result.json")
    assert said in line and "0000000001" in line
    assert not Path("result.json").exists()


# ---- Scans of one's own

CAMERAS = "S_rect_02: 104 72\nR_rect_00: 1 0 0 0 1 0 0 0 1\nP_rect_02: 60 0 52 0 0 60 36 0 0 0 1 0\n"
VELODYNE = "R: 0 -1 0 0 0 -1 1 0 0\nT: 0 0 0\n"
POINTS = np.random.default_rng(0).uniform([5, -3, -1, 0], [30, 3, 1, 1], (50, 4)).astype("<f4")
HUGE = npy(metres()).replace(b"(72, 104)", b"(99999,9)")


def calibration(folder, cameras=CAMERAS, velodyne=VELODYNE):
    Path(folder).mkdir()
    Path(folder, "calib_cam_to_cam.txt").write_text(cameras)
    Path(folder, "calib_velo_to_cam.txt").write_text(velodyne)
    return folder


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("scan.npy", npy(metres(factor=1000)), "divide millimetres by 1000"),
        ("scan.npy", npy(metres(np.nan)), "NaN or infinite; expected metres with 0 = none"),
        ("scan.npy", npy(metres(np.inf)), "NaN or infinite"),
        ("scan.npy", npy(metres(-1)), "negative depth"),
        ("scan.npy", npy(metres() * 0), "no measured point"),
        ("scan.npy", npy(np.array([{}], dtype=object)), "plain .npy array of numbers"),
        ("scan.npy", cut(npy(metres())), "it is cut short: copy it again"),
        ("scan.npy", HUGE, "copy it again"),
        ("scan.png", cut(png(stored())), "cut short"),
        ("scan.png", png(stored() // 9)[:24] + b"\x07" + png(stored())[25:], "damaged PNG"),
        ("scan.png", png(np.ones(TREE_SIZE, np.uint8)), "is 8-bit; expected 16-bit"),
        ("scan.png", png(stored((*TREE_SIZE, 3))), "3 channels"),
        ("scan.png", png(stored(value=0)), "no measured point"),
        ("scan.png", b"", "0 bytes"),
        ("scan.bin", POINTS.tobytes()[:-5], "no multiple of 16 (4 float32 a point); it is probably cut short"),
        ("scan.bin", (POINTS * np.nan).astype("<f4").tobytes(), "no point with coordinates"),
        ("scan.bin", (POINTS * 1000).astype("<f4").tobytes(), "no metres"),
        ("scan.bin", (POINTS * -1).astype("<f4").tobytes(), "none of 50 points falls into"),
    ],
)
def test_complete_names_the_scan_and_leaves_no_result(tmp_path, monkeypatch, refused, name, content, said):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(content)
    camera = ("--calib", calibration("calib")) if name.endswith(".bin") else ()
    line = refused("complete", name, "--model", NEAREST, "--out", "out", *camera)
    assert said in line and name in line
    assert not Path("out").exists()


def test_points_without_an_echo_are_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    holes = POINTS.copy()
    holes[::3, 0] = np.nan
    holes.tofile("holes.bin")
    np.delete(POINTS, np.s_[::3], axis=0).tofile("rest.bin")
    calibration("calib")
    assert main(["complete", "holes.bin", "rest.bin", "--model", NEAREST, "--out", "out", "--calib", "calib"]) == 0
    one, two = (cv2.imread(f"out/depth/{name}.png", cv2.IMREAD_UNCHANGED) for name in ("holes", "rest"))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("cameras", "velodyne", "said"),
    [
        (CAMERAS.replace("P_rect_02", "P_rect_03"), VELODYNE, "cam_to_cam.txt has no key 'P_rect_02'. Keys like it: P_rect_03"),
        (CAMERAS.replace("S_rect", "X"), VELODYNE, "no key 'S_rect_02'"),
        (CAMERAS.replace("R_rect_00", "X"), VELODYNE, "no key 'R_rect_00'"),
        (CAMERAS, VELODYNE.replace("R:", "X:"), "velo_to_cam.txt has no key 'R'"),
        (CAMERAS, VELODYNE.replace("T:", "X:"), "velo_to_cam.txt has no key 'T'"),
        (CAMERAS.replace("60 0 52", "nan 0 52"), VELODYNE, "'P_rect_02' holds NaN"),
        (CAMERAS, VELODYNE.replace("T: 0", "T: inf"), "'T' holds NaN or infinity"),
        (CAMERAS.replace("60 0 52", "sixty 0 52"), VELODYNE, "'P_rect_02' has 0 numbers; expected 12"),
        (CAMERAS.replace("104 72", "1e9 1e9"), VELODYNE, "'S_rect_02' is 1e+09x1e+09"),
        (CAMERAS, VELODYNE.replace("T: 0 0 0", "T: -4 -76 -270"), "millimetres were probably meant: divide by 1000"),
        (CAMERAS, VELODYNE.replace("R: 0 -1", "R: 0 -2"), "'R' holds no rotation"),
        (CAMERAS + CAMERAS.replace("60", "61"), VELODYNE, "'P_rect_02' twice"),
    ],
)
def test_calibration_names_the_key(tmp_path, monkeypatch, refused, cameras, velodyne, said):
    monkeypatch.chdir(tmp_path)
    POINTS.tofile("scan.bin")
    calibration("calib", cameras, velodyne)
    assert said in refused("complete", "scan.bin", "--model", NEAREST, "--out", "out", "--calib", "calib")
    assert not Path("out").exists()


def test_a_photo_of_another_size_than_its_scan(data, refused):
    scan = frame(data, "velodyne_raw", "train")
    photo_of_another_size(data, "train")
    photos = frame(data, "image", "train").parent
    line = refused("complete", scan, "--model", NEAREST, "--out", "out", "--images", photos)
    assert "is 104x72 and its photo" in line and "104x70; they must be of the same camera, crop and size" in line


# ---- Checkpoints


class Evil:
    def __reduce__(self):
        return (Path.mkdir, (Path("EXECUTED"),))


def packed(content):
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as whole, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in whole.namelist():
            archive.writestr(name, whole.read(name))
    return file.getvalue()


def saved(checkpoint):
    file = io.BytesIO()
    torch.save(checkpoint, file)
    return file.getvalue()


def changed(change):
    """A whole checkpoint with one thing changed."""

    def make(content):
        checkpoint = torch.load(io.BytesIO(content), weights_only=True)
        change(checkpoint)
        return saved(checkpoint)

    return make


def with_nan(checkpoint):
    next(value for value in checkpoint["state_dict"].values() if value.is_floating_point()).view(-1)[0] = torch.nan


CHECKPOINTS = {
    "missing": (None, "no such checkpoint file"),
    "cut short": (cut, "not a checkpoint, or not a whole one"),
    "one bit": (lambda b: b[: len(b) // 2] + bytes([b[len(b) // 2] ^ 1]) + b[len(b) // 2 + 1 :], "not a whole one .Bad CRC"),
    "text": (lambda b: b"hello", "not a checkpoint"),
    "a picture": (lambda b: png(stored()), "not a checkpoint"),
    "code": (lambda b: saved({"state_dict": {}, "meta": Evil()}), "not a checkpoint that is safe to load: it holds '"),
    "packed": (packed, "packed zip file"),
    "a list": (lambda b: saved([1]), "has no 'state_dict'"),
    "other weights": (
        lambda b: saved({"state_dict": {"a": torch.ones(2)}}), "made with another config: it lacks network.* has besides a"
    ),
    "words for weights": (lambda b: saved({"state_dict": {"a": "b"}}), "'a' in 'state_dict' is no tensor"),
    "another shape": (
        changed(lambda c: c["state_dict"].update({key: v[..., :1] for key, v in c["state_dict"].items() if v.ndim == 4})),
        "has network.* as .* where the model has",
    ),
    "NaN": (changed(with_nan), "its weights hold NaN or infinity .in network"),
    "stripped to what is not there": (changed(lambda c: c["meta"].update(keep=["dpth"])), "stripped, and can't keep task"),
}  # fmt: skip


@pytest.mark.parametrize("case", CHECKPOINTS)
def test_test_strip_and_complete_refuse_the_checkpoint(data, trained, refused, case):
    make, said = CHECKPOINTS[case]
    path, config = Path("weights.pth"), trained / "aux_image_kitti.py"
    if make is not None:
        path.write_bytes(make((trained / "epoch_1.pth").read_bytes()))
    scan = frame(data, "velodyne_raw", "val")
    for arguments in (
        ("test", config, path, "--data-root", data, "--split", "val", "--work-dir", "test"),
        ("strip", config, path, "--out", "stripped.pth", "--size", 64, 96),
        ("complete", scan, "--model", config, "--checkpoint", path, "--out", "out"),
    ):
        line = refused(*arguments)
        assert str(path) in line and re.search(said, line)
    assert not any(Path(name).exists() for name in ("EXECUTED", "stripped.pth", "out", "test/result.json"))


def test_another_architecture_is_told_from_the_config(data, trained, refused):
    arguments = (trained / "aux_image_kitti.py", trained / "epoch_1.pth")
    line = refused("strip", *arguments, "--cfg-options", "model.width=3")
    assert re.search(
        r"epoch_1.pth: made with another config: it has \S+ as \(2, .*\) where the model has \(3, .*\). Is model.width", line
    )


def test_a_checkpoints_config_is_not_run(data, trained):
    """Neither by evaluation nor by going on with the run."""
    shutil.copytree(trained, "run")
    path = Path("run/epoch_1.pth")
    text = "import pathlib\npathlib.Path('EXECUTED').mkdir()\n"
    path.write_bytes(changed(lambda c: c["meta"].update(cfg=text, config=text))(path.read_bytes()))
    config = "run/aux_image_kitti.py"
    evaluated = ["--split", "val", "--work-dir", "test", "--cfg-options", *CROP, "test_dataloader.num_workers=0"]
    assert main(["test", config, str(path), "--data-root", str(data), *evaluated]) == 0
    more = [*ONE_EPOCH, "train_cfg.max_epochs=2"]
    assert main(["train", config, "--data-root", str(data), "--work-dir", "run", "--resume", *more]) == 0
    assert Path("run/epoch_2.pth").is_file()
    assert not Path("EXECUTED").exists()


# ---- Configs


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("model.network.encoder.type=ResidualEncodr", "is not a known encoder. Did you mean 'ResidualEncoder'?"),
        ("model.network.encoder.kernals=3", "unexpected key 'kernals'. Did you mean 'kernels'?"),
        ("modle.width=2", "has no 'modle'. Did you mean 'model'?"),
        ("train_dataloader.batchsize=2", "Did you mean 'batch_size'?"),
        ("train_dataloader.dataset.type=KittiDepthCompletoin", "Did you mean 'KittiDepthCompletion'?"),
        ("optim_wrapper.optimizer.type=Adamm", "Did you mean 'Adam'?"),
        ("default_hooks.checkpoint.type=CheckpointHok", "Did you mean 'CheckpointHook'?"),
        ("train_dataloader.batch_size=0", "batch_size must be a whole number from 1 on, not 0"),
        ("model.width=wide", "model.width must be a whole number from 1 on, not 'wide'"),
        ("train_dataloader=3", "train_dataloader must be a dict, not 3"),
        ("train_dataloader.dataset=3", "train_dataloader.dataset must be a dict, not 3"),
        ("train_dataloader.sampler=3", "train_dataloader.sampler must be a dict, not 3"),
        ("param_scheduler=3", "param_scheduler must be a list, not 3"),
        ("default_hooks=3", "default_hooks must be a dict, not 3"),
        ("model.network.tasks=3", "model.network.tasks must be a dict"),
        ("train_dataloader.dataset.transforms.0=3", "train_dataloader.dataset.transforms.0"),
    ],
)
def test_configs_name_the_key(data, refused, option, said):
    assert said in refused("train", "aux_image_kitti", "--data-root", data, "--work-dir", "run", *ONE_EPOCH, option)
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("broken.py", "model = (\n", "SyntaxError"),
        ("empty.py", "", "has no 'model'. Inherit a shipped one"),
        ("value.py", "model = 3\n", "has no 'model'"),
        ("raises.py", "1 / 0\n", "ZeroDivisionError"),
        ("base.py", "_base_ = ['gone.py']\n", "gone.py"),
        ("bytes.py", b"\0\xff", "bytes.py"),
        ("config.txt", "hello", "config.txt"),
        ("config.json", "{", "config.json"),
        ("aux_image_kity", None, "nor a shipped config. Did you mean 'aux_image_kitti'?"),
    ],
)
def test_files_that_are_no_config(data, refused, name, text, said):
    if text is not None:
        Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    for arguments in (
        ("test", name, "--data-root", data),
        ("train", name, "--data-root", data),
        ("strip", name),
        ("complete", frame(data, "velodyne_raw", "val"), "--model", name, "--out", "out"),
    ):
        line = refused(*arguments)
        assert said in line and name in line
    assert sorted(path.name for path in Path().iterdir()) == sorted({"data", name} if text is not None else {"data"})


# ---- The street world


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--frames", 0), "frames=0; expected at least 1"),
        (("--frames", 1, "--layouts", "suburbs"), "Did you mean 'suburb'?"),
        (("--frames", 1, "--also", "normls"), "Did you mean 'normals'?"),
        (("--frames", 1, "--size", 99999, 99999), "expected (H, W)"),
        (("--frames", 1, "--lines", 0), "at least one line"),
    ],
)
def test_street_names_the_option(tmp_path, monkeypatch, refused, options, said):
    monkeypatch.chdir(tmp_path)
    assert said in refused("street", "world", *options)
    assert not Path("world").exists()


def test_names_with_line_breaks_stay_one_line(tmp_path, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    Path("a\nb.png").write_bytes(b"\x1b[31mno picture")
    assert "a b.png" in refused("complete", "a\nb.png", "--model", NEAREST, "--out", "out")
