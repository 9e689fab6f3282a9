"""A submission to KITTI's server: made from a folder of its test set's layout, interrupted, gone on with, and refused."""

import os
import signal
import subprocess
import sys
import time
import zipfile

import cv2
import numpy as np
import pytest

from mtdc import DataError
from mtdc.commands import main
from mtdc.engine import submission
from mtdc.structures import DepthSample

HEIGHT, WIDTH = 352, 1216
TEST_SET = "test_depth_completion_anonymous"
NEAREST = "classical/nearest_kitti"
NAMES = [f"{number:010d}.png" for number in range(3)]


def made_up(root, frames=3, size=(HEIGHT, WIDTH), place=TEST_SET):
    """The test set's layout: sparse maps and photos under numbers, no ground truth."""
    for number in range(frames):
        generator = np.random.default_rng(number)
        depth = generator.integers(3 * 256, 70 * 256, size).astype(np.uint16)
        files = {
            "velodyne_raw": np.where(generator.random(size) < 0.02, depth, 0).astype(np.uint16),
            "image": np.zeros((2, 2), np.uint8),
        }
        for folder, array in files.items():
            (root / place / folder).mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(root / place / folder / f"{number:010d}.png"), array)
    return root


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return made_up(tmp_path_factory.mktemp("kitti"), place=f"depth_selection/{TEST_SET}")


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def submit(data, *more, out="all.zip"):
    return main(["test", NEAREST, "--data-root", str(data), "--submission", out, *more])


def maps(path):
    """Stored values of an archive's files, by name, decoded from the bytes as they are."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        contents = {name: archive.read(name) for name in archive.namelist()}
    return {name: cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) for name, content in contents.items()}


def one_line(capsys):
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("mtdc test: ")
    return error


def png(array):
    return cv2.imencode(".png", array)[1].tobytes()


def test_frames_are_named_stored_and_packed_as_the_server_wants(data, tmp_path, capsys):
    assert submit(data, "--allow-partial") == 0
    said = capsys.readouterr().out.splitlines()[-3:]
    found = maps(tmp_path / "all.zip")
    assert list(found) == NAMES  # in the root folder: no slash
    for name, stored in found.items():
        sparse = cv2.imread(str(data / "depth_selection" / TEST_SET / "velodyne_raw" / name), cv2.IMREAD_UNCHANGED)
        assert (stored.dtype, stored.shape) == (np.uint16, (HEIGHT, WIDTH))
        assert np.array_equal(
            stored[sparse > 0], sparse[sparse > 0]
        )  # this method keeps what was measured: same unit, same place
        assert set(np.unique(stored)) <= set(np.unique(sparse[sparse > 0]))
    lowest = min(stored.min() for stored in found.values()) / 256
    highest = max(stored.max() for stored in found.values()) / 256
    assert said[0] == f"3 depth maps: 1216x352, 16-bit, no empty pixel, {lowest:.2f} to {highest:.2f} m"
    assert "all.zip" in said[1] and "read back and checked" in said[1]
    assert said[2] == "not for upload: the server wants 1000 frames"
    assert not list(tmp_path.glob("*.partial"))
    assert not list(tmp_path.rglob("result.json"))


def test_the_same_maps_make_the_same_archive(data, tmp_path):
    assert submit(data, "--allow-partial") == 0
    first = (tmp_path / "all.zip").read_bytes()
    assert submit(data, "--allow-partial") == 0
    assert (tmp_path / "all.zip").read_bytes() == first


def test_maps_too_large_for_the_server_are_compressed_harder(data, tmp_path, monkeypatch, capsys):
    assert submit(data, "--allow-partial") == 0
    assert "larger than" not in capsys.readouterr().out
    size = (tmp_path / "all.zip").stat().st_size
    monkeypatch.setattr(submission, "UPLOAD_BYTES", size // 2)
    assert submit(data, "--allow-partial", out="small.zip") == 0
    assert (tmp_path / "small.zip").stat().st_size < 0.9 * size
    usual, smaller = maps(tmp_path / "all.zip"), maps(tmp_path / "small.zip")
    assert all(np.array_equal(usual[name], smaller[name]) for name in NAMES)
    assert ("larger than" in capsys.readouterr().out) == ((tmp_path / "small.zip").stat().st_size > size // 2)


def test_a_killed_run_leaves_no_archive_and_is_gone_on_with(tmp_path):
    """Killed by the system while frames are written; the frames that were whole are not made again."""
    data = made_up(tmp_path / "data", frames=16)
    command = [
        sys.executable,
        "-m",
        "mtdc",
        "test",
        NEAREST,
        "--data-root",
        str(data),
        "--submission",
        "all.zip",
        "--allow-partial",
    ]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    folder, deadline = tmp_path / "all.partial", time.monotonic() + 120
    while len(list(folder.glob("0*.png"))) < 5 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not list(tmp_path.glob("*.zip"))
    kept = {path.name: path.stat().st_mtime_ns for path in folder.glob("0*.png")}
    assert 5 <= len(kept) < 16
    (folder / "0000000001.png").write_bytes((folder / "0000000001.png").read_bytes()[:-50])  # a disk that lost its end

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    remade = 16 - (len(kept) - 1)
    assert f"[{remade}/{remade}]" in done.stdout  # the log of what was completed
    assert f"16 depth maps, {len(kept) - 1} of them kept from an interrupted run" in done.stdout
    assert len(maps(tmp_path / "all.zip")) == 16
    interrupted = (tmp_path / "all.zip").read_bytes()
    assert submit(data, "--allow-partial") == 0
    assert (tmp_path / "all.zip").read_bytes() == interrupted


def test_frames_of_another_method_or_of_somebody_are_not_taken(data, tmp_path, capsys, monkeypatch):
    def fails(*_):
        raise DataError("packing failed")

    monkeypatch.setattr(submission.PartialFrames, "pack", fails)
    assert submit(data, "--allow-partial") == 2
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    before = sorted(path.name for path in (tmp_path / "all.partial").iterdir())
    assert [name for name in before if name.endswith(".png")] == NAMES
    arguments = ["--data-root", str(data), "--submission", "all.zip", "--allow-partial"]
    assert main(["test", "classical/linear_kitti", *arguments]) == 2
    assert "all.partial holds frames of an interrupted submission with another config_sha256. Delete" in one_line(capsys)
    (tmp_path / "mine.partial").mkdir()
    (tmp_path / "mine.partial" / "0000000000.png").write_text("mine")
    assert submit(data, "--allow-partial", out="mine.zip") == 2
    assert "mine.partial holds other files. Delete that folder, or name another archive." in one_line(capsys)
    assert (tmp_path / "mine.partial" / "0000000000.png").read_text() == "mine"
    assert sorted(path.name for path in (tmp_path / "all.partial").iterdir()) == before
    assert submit(data, "--allow-partial") == 0
    assert "3 of them kept" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "holds 3 frames, and the server wants 1000 (first missing: 0000000003.png)"),
        (["--split", "val", "--allow-partial"], "no split 'val'"),
        (["--out", "result.json"], "--out and --submission don't go together"),
        (["--save-depth", "maps"], "--save-depth and --submission don't go together"),
        (["--cfg-options", "test_dataloader.dataset.transforms.0.height=320"], "is 1216x320 (width x height), and"),
    ],
)  # fmt: skip
def test_mistakes_are_said_before_anything_is_written(arguments, message, data, tmp_path, capsys):
    more = ["--allow-partial"] if "--cfg-options" in arguments else []
    assert submit(data, *more, *arguments) == 2
    assert message in one_line(capsys)
    assert not list(tmp_path.iterdir())


def test_an_archive_of_another_name_or_in_a_file_is_refused(data, tmp_path, capsys):
    (tmp_path / "file").touch()
    for out, message in (("all.tar", "must end in .zip, as in all.zip"), ("file/all.zip", "is a file")):
        assert submit(data, "--allow-partial", out=out) == 2
        assert message in one_line(capsys)


def test_frames_of_another_set_are_refused(tmp_path, capsys):
    data = made_up(tmp_path / "data", place="val_selection_cropped")
    folder = data / "val_selection_cropped" / "velodyne_raw"
    (folder / NAMES[1]).rename(folder / "2011_09_26_drive_0002_sync_velodyne_raw_0000000008_image_02.png")
    assert submit(data, "--split", "val_selection_cropped", "--allow-partial") == 2
    assert "Did you mean --split test_depth_completion_anonymous?" in one_line(capsys)


def test_a_file_that_is_no_frame_is_named(tmp_path, capsys):
    data = made_up(tmp_path / "data", frames=1)
    folder = data / TEST_SET / "velodyne_raw"
    (folder / "0000000000 (1).png").write_bytes((folder / NAMES[0]).read_bytes())
    assert submit(data, "--allow-partial") == 2
    error = one_line(capsys)
    assert "holds 0000000000 (1).png" in error
    assert error.endswith("Take that file out.")


def test_a_frame_of_another_size_is_named_and_not_cropped(tmp_path, capsys):
    data = made_up(tmp_path / "data")
    cv2.imwrite(str(data / TEST_SET / "velodyne_raw" / NAMES[2]), np.full((375, 1242), 2560, np.uint16))
    assert submit(data, "--allow-partial") == 2
    assert "frame 0000000002 is 1242x375 (width x height), and the server wants 1216x352" in one_line(capsys)
    assert not list(tmp_path.glob("*.zip"))


def test_a_split_without_ground_truth_says_what_can_be_done(data, tmp_path, capsys):
    assert main(["test", NEAREST, "--data-root", str(data), "--split", TEST_SET]) == 2
    assert "has no ground truth, so nothing can be measured. To write depth maps: --submission OUT.zip" in one_line(capsys)
    assert main(["test", NEAREST, "--data-root", str(data), "--split", TEST_SET, "--save-depth", "maps"]) == 0
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == NAMES


def good(value=2560):
    return np.full((HEIGHT, WIDTH), value, np.uint16)


def with_hole():
    stored = good()
    stored[0, 0] = 0
    return stored


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (png(good().astype(np.uint8)), "is 8-bit with 1 channels; expected 16-bit with one"),
        (png(np.repeat(good()[..., None], 3, axis=2)), "is 16-bit with 3 channels"),
        (png(good()[:, 1:]), "is 1215x352"),
        (png(with_hole()), "has 1 empty pixels (0)"),
        (png(good(65535)), "is 256 m, the most that can be stored, in most pixels: does the network predict millimetres?"),
        (b"", "is no PNG"),
        (png(good())[:200], "is no PNG"),
    ],
)
def test_a_file_that_the_server_could_not_take_is_named(content, message):
    with pytest.raises(DataError, match="7.png") as error:
        submission.check_png(content, "7.png")
    assert message in str(error.value)


def test_depth_of_a_good_file_is_read_in_metres():
    stored = good(256)
    stored[3, 4] = 80 * 256
    assert submission.check_png(png(stored), "7.png") == (1.0, 80.0)


def archive_of(path, names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, png(good()))


@pytest.mark.parametrize(
    "names", [NAMES[:2], [*NAMES, "0000000003.png"], [f"all/{name}" for name in NAMES], ["0.png", *NAMES[1:]]]
)
def test_an_archive_with_other_names_is_refused(names, tmp_path):
    archive_of(tmp_path / "all.zip", names)
    with pytest.raises(DataError, match=f"holds {len(names)} files and not the 3 expected"):
        submission.check_archive(tmp_path / "all.zip", NAMES)


def test_a_damaged_archive_is_refused(tmp_path):
    archive_of(tmp_path / "all.zip", NAMES)
    whole = (tmp_path / "all.zip").read_bytes()
    assert submission.check_archive(tmp_path / "all.zip", NAMES) == (10.0, 10.0)
    for name, content in (("cut", whole[: len(whole) // 2]), ("flipped", whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])):
        (tmp_path / f"{name}.zip").write_bytes(content)
        with pytest.raises(DataError, match="is damaged"):
            submission.check_archive(tmp_path / f"{name}.zip", NAMES)


def test_a_thousand_frames_are_what_is_asked_for(data):
    """The names of the whole test set, and one that is missing, without drawing them."""

    class Listed:
        split = TEST_SET

        def __init__(self, numbers, size=(HEIGHT, WIDTH)):
            self.numbers, self.size = numbers, size

        def __len__(self):
            return len(self.numbers)

        def sample_id(self, index):
            return f"{self.numbers[index]:010d}"

        def __getitem__(self, index):
            sample = DepthSample(metainfo={"sample_id": self.sample_id(index), "ori_shape": self.size})
            return {"inputs": {"sparse_depth": np.zeros((1, *self.size))}, "data_samples": sample}

    names = submission.check_frames(Listed(range(1000)), allow_partial=False)
    assert (len(names), names[0], names[-1]) == (1000, "0000000000.png", "0000000999.png")
    with pytest.raises(DataError, match="999 frames.*first missing: 0000000500.png"):
        submission.check_frames(Listed([number for number in range(1000) if number != 500]), allow_partial=False)
    with pytest.raises(DataError, match="holds 0000001000.png"):
        submission.check_frames(Listed(range(1001)), allow_partial=True)
    with pytest.raises(DataError, match="1242x375"):
        submission.check_frames(Listed(range(1000), (375, 1242)), allow_partial=False)


def test_two_processes_share_the_frames(data, tmp_path):
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        "-m",
        "mtdc",
        "test",
        NEAREST,
    ]
    options = ["--data-root", str(data), "--submission", "two.zip", "--allow-partial", "--launcher", "pytorch"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([*command, *options], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("read back and checked") == 1
    assert submit(data, "--allow-partial") == 0
    assert (tmp_path / "two.zip").read_bytes() == (tmp_path / "all.zip").read_bytes()
