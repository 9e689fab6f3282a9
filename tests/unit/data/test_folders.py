"""VOID, Virtual KITTI 2, plain folders and the command that checks them, on files written by OpenCV and numpy."""

import cv2
import numpy as np
import pytest

from mtdc.commands import main
from mtdc.data.datasets.folder import Folder
from mtdc.data.datasets.virtual_kitti import VirtualKITTI2
from mtdc.data.datasets.void import VOID
from mtdc.errors import ConfigError, DataError
from mtdc.structures import DEPTH, SEMANTICS


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), array)


def sixteen(value, shape=(21, 33), holes=0.0):
    depth = np.full(shape, value, np.uint16)
    depth[np.random.default_rng(0).random(shape) < holes] = 0
    return depth


def make_void(root, density=500, split="train"):
    top = root / f"void_release/void_{density}"
    names = [("stairs0", "1552.25"), ("copyroom1", "77.5")]
    for i, (sequence, stamp) in enumerate(names):
        write(top / f"data/{sequence}/sparse_depth/{stamp}.png", sixteen(256 * (i + 1), holes=0.9))
        write(top / f"data/{sequence}/ground_truth/{stamp}.png", sixteen(384 * (i + 1)))
        np.savetxt(top / f"data/{sequence}/K.txt", [[50 + i, 0, 16], [0, 50, 10], [0, 0, 1]])
    for kind in ("sparse_depth", "ground_truth", "intrinsics"):
        paths = [f"void_release/void_{density}/data/{s}/" + ("K.txt" if kind == "intrinsics" else f"{kind}/{t}.png")
                 for s, t in names]  # fmt: skip
        (top / f"{split}_{kind}.txt").write_text("\n".join(paths))
    return top


def test_void_follows_its_lists(tmp_path):
    make_void(tmp_path)
    for root in (tmp_path, tmp_path / "void_release", tmp_path / "void_release/void_500"):
        data = VOID(root, "train", density=500, inputs=("sparse_depth", "intrinsics"))
        assert [data.sample_id(i) for i in range(2)] == ["stairs0_1552.25", "copyroom1_77.5"]
        item = data[1]
        assert item["inputs"]["sparse_depth"].max() == 2 and (item["data_samples"].gt_depth == 3).all()
        assert item["inputs"]["intrinsics"][0, 0] == 51


def test_void_names_what_is_missing(tmp_path):
    top = make_void(tmp_path)
    with pytest.raises(ConfigError, match="150, 500 or 1500"):
        VOID(tmp_path, "train", density=300)
    with pytest.raises(DataError, match=r"There is void_500: set density"):
        VOID(tmp_path, "train", density=1500)
    with pytest.raises(DataError, match=r"test_sparse_depth.txt does not exist.*splits train"):
        VOID(tmp_path, "val", density=500)
    with pytest.raises(DataError, match=r"2 of 2 frames .* input 'image', first stairs0_1552.25"):
        VOID(tmp_path, "train", density=500, inputs=("sparse_depth", "image"))
    (top / "train_ground_truth.txt").write_text("void_release/void_500/data/stairs0/ground_truth/1552.25.png")
    with pytest.raises(DataError, match="names 1 files and .* 2"):
        VOID(tmp_path, "train", density=500)
    (top / "train_ground_truth.txt").write_text("a/b/ground_truth/77.5.png\na/b/ground_truth/1552.25.png")
    with pytest.raises(DataError, match=r"line 1 of the lists names 77.5.png beside 1552.25.png"):
        VOID(tmp_path, "train", density=500)


def make_virtual(root, scene="Scene01", variant="clone", camera=0):
    place = root / scene / variant
    depth = sixteen(1250)
    depth[:5] = 65535
    write(place / f"frames/depth/Camera_{camera}/depth_00003.png", depth)
    write(place / f"frames/rgb/Camera_{camera}/rgb_00003.jpg", np.full((21, 33, 3), 90, np.uint8))
    (place / "intrinsic.txt").write_text(
        "frame cameraID K[0,0] K[1,1] K[0,2] K[1,2]\n3 0 725.0087 726 620.5 187\n3 1 9 8 7 6\n"
    )


def test_virtual_kitti_is_in_centimetres_and_its_sky_is_unknown(tmp_path):
    make_virtual(tmp_path)
    make_virtual(tmp_path, "Scene20", "fog", 1)
    data = VirtualKITTI2(tmp_path, "train", inputs=("sparse_depth", "image", "intrinsics"))
    item = data[0]
    assert len(data) == 1 and data.sample_id(0) == "Scene01_clone_0_00003"
    for depth in (item["inputs"]["sparse_depth"], item["data_samples"].gt_depth):
        assert (depth[0, :5] == 0).all() and np.allclose(depth[0, 5:], 12.5)
    assert item["inputs"]["intrinsics"][0].tolist() == pytest.approx([725.0087, 0, 620.5])
    other = VirtualKITTI2(tmp_path, "Scene20", variants=None, cameras=(1,), inputs=("sparse_depth", "intrinsics"))
    assert other.sample_id(0) == "Scene20_fog_1_00003" and other[0]["inputs"]["intrinsics"][1, 2] == 6
    for arguments, words in (
        ({"split": "trian"}, "nothing of split 'trian'.*Did you mean 'train'"),
        ({"split": "train", "variants": ("clones",)}, "no variant 'clones'.*'clone'"),
        ({"split": "train", "cameras": (1,)}, "holds no depth_"),
    ):
        with pytest.raises(DataError, match=words):
            VirtualKITTI2(tmp_path, **arguments)
    (tmp_path / "Scene01/clone/intrinsic.txt").unlink()
    with pytest.raises(DataError, match="have no intrinsics"):
        VirtualKITTI2(tmp_path, "train", inputs=("sparse_depth", "intrinsics"))


def make_folder(root, names=("a", "b"), scale=1000):
    for name in names:
        write(root / f"depth/{name}.png", sixteen(3 * scale, holes=0.9))
        write(root / f"gt/{name}.png", sixteen(3 * scale))
        write(root / f"image/{name}.png", np.full((21, 33, 3), 90, np.uint8))
        write(root / f"label/{name}.png", np.full((21, 33), 2, np.uint8))
    (root / "intrinsics.txt").write_text("40 40 16 10\n")
    return root


def test_a_folder_of_ones_own(tmp_path):
    make_folder(tmp_path / "train")
    np.save(tmp_path / "train/depth/a.npy", np.zeros((2, 2)))  # of two files of one name the PNG is taken
    (tmp_path / "train/gt/b.png").unlink()
    inputs = ("sparse_depth", "image", "intrinsics")
    data = Folder(tmp_path, "train", depth_scale=1000.0, inputs=inputs, targets=(DEPTH, SEMANTICS))
    assert len(data) == 2 and (data.count(DEPTH), data.count(SEMANTICS)) == (1, 2)
    item = data[0]
    assert np.allclose(item["data_samples"].gt_depth, 3.0) and (item["data_samples"].gt_semantics == 2).all()
    assert np.allclose(item["inputs"]["sparse_depth"].max(), 3.0) and item["inputs"]["intrinsics"][0, 2] == 16
    assert (data[1]["data_samples"].gt_depth == 0).all()
    with pytest.raises(DataError, match="splits: train"):
        Folder(tmp_path)
    (tmp_path / "train/intrinsics.txt").unlink()
    with pytest.raises(DataError, match="2 of 2 frames .* have no intrinsics, first a"):
        Folder(tmp_path, "train", inputs=inputs)


def checked(capsys, root, *more):
    status = main(["check", str(root), *more])
    captured = capsys.readouterr()
    return status, captured.out + captured.err


def test_a_healthy_folder_passes(tmp_path, capsys):
    status, text = checked(capsys, make_folder(tmp_path), "--depth-scale", "1000")
    assert status == 0 and "Nothing is wrong." in text and "2 frames" in text and "wrong:" not in text
    assert "median depth is 3 m" in text


def eight_bit(root):
    write(root / "depth/a.png", np.full((21, 33), 90, np.uint8))


def other_size(root):
    write(root / "gt/b.png", sixteen(3000, (20, 33)))


def empty(root):
    write(root / "depth/a.png", sixteen(0))


def other_unit(root):
    write(root / "gt/a.png", sixteen(768))


def alone(root):
    write(root / "gt/c.png", sixteen(3000))


def colour_labels(root):
    write(root / "label/a.png", np.zeros((21, 33, 3), np.uint8))


def jpeg_depth(root):
    write(root / "gt/x.jpg", np.zeros((21, 33), np.uint8))


def centre_outside(root):
    (root / "intrinsics.txt").write_text("700 700 600 170\n")


def identity(root):
    (root / "intrinsics.txt").write_text("1 0 0 0 1 0 0 0 1\n")


def cut_short(root):
    whole = (root / "image/b.png").read_bytes()
    (root / "image/b.png").write_bytes(whole[:-30])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (eight_bit, ("a.png is 8-bit",)),
        (other_size, ("frame b", "depth 33x21", "gt 33x20")),
        (empty, ("a.png has no measured pixel",)),
        (other_unit, ("frame a", "3.91 times gt/")),
        (alone, ("gt/c has no partner",)),
        (colour_labels, ("label/a.png", "3 channels")),
        (jpeg_depth, ("x.jpg is not read",)),
        (centre_outside, ("centre (600, 170) lies outside",)),
        (identity, ("identity",)),
        (cut_short, ("image/b.png",)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_each_fault_is_said_in_words(tmp_path, capsys, damage, words):
    damage(make_folder(tmp_path))
    status, text = checked(capsys, tmp_path, "--depth-scale", "1000")
    wrong = "\n".join(line for line in text.splitlines() if line.startswith("wrong: "))
    assert status == 2 and all(word in wrong for word in words), text


def test_a_wrong_unit_is_guessed(tmp_path, capsys):
    make_folder(tmp_path, scale=5000)
    status, text = checked(capsys, tmp_path, "--depth-scale", "90000")  # 3 m would be 0.167 m
    assert status == 2 and "median of 0.167 m" in text and "or 5000" in text


def test_other_names_of_folders_are_recognised(tmp_path, capsys):
    make_folder(tmp_path)
    (tmp_path / "gt").rename(tmp_path / "groundtruth")
    status, text = checked(capsys, tmp_path, "--depth-scale", "1000")
    assert status == 0 and "groundtruth/ is not read; is it gt/?" in text and "there is no gt/" in text
    (tmp_path / "depth").rename(tmp_path / "sparse")
    status, text = checked(capsys, tmp_path)
    assert status == 2 and "Is it sparse/? Rename it to depth/." in text
    assert checked(capsys, tmp_path / "nowhere")[0] == 2
