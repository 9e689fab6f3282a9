"""What answers a frame: a network, a method without weights, and the same answers out of a folder."""

import shutil

import cv2
import numpy as np
import pytest
import torch
from support import TREE_CROP, TREE_SIZE, kitti_tree, small_network

from mtdc.analysis.entries import Entry, parse_entries
from mtdc.analysis.frames import Frames, data_config
from mtdc.analysis.predictors import FolderPredictor, ModelPredictor, Prediction, make_predictor
from mtdc.data.io import write_depth_png
from mtdc.engine.checkpoint import save_weights
from mtdc.engine.config import load_config
from mtdc.errors import ConfigError, DataError
from mtdc.infer import Completer
from mtdc.model import build_model
from mtdc.structures import SPARSE_DEPTH, DepthSample

CROP = {"type": "BottomCrop", "height": TREE_CROP[0], "width": TREE_CROP[1]}
#: Half a step of a PNG of metres * 256.
ROUNDING = 0.5 / 256 + 1e-6


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Two drives of two frames each, of one number."""
    root = tmp_path_factory.mktemp("tree")
    for drive in (1, 2):
        kitti_tree(root, "val", frames=2, drive=drive)
    cfg = data_config(parse_entries(["classical/nearest_kitti"]), data_root=str(root), split="val")
    cfg.test_dataloader.dataset.transforms = [CROP]
    return Frames(cfg)


def model(name="classical/nearest_kitti"):
    return make_predictor(parse_entries([name])[0])


def network(tmp_path, **changes):
    cfg = load_config("aux_image_kitti")
    cfg.model.width = 2
    cfg.model.network = small_network(**changes)
    torch.manual_seed(1)
    save_weights(build_model(cfg.model), tmp_path / "w.pth")
    return Entry("small", cfg, tmp_path / "w.pth")


def uncertain(tmp_path, law="laplace"):
    loss = {"laplace": "LaplaceNLL", "gaussian": "GaussianNLL"}[law]
    return network(tmp_path, tasks={"depth": {"type": "DepthTask", "uncertainty": law, "losses": {"nll": {"type": loss}}}})


def written(folder, frames, name=lambda frame: f"{frame}.png", predictor=None):
    """The answers of a method as PNGs; ``name`` makes a file's name of the frame's."""
    predictor = predictor or model()
    for item in frames:
        path = folder / name(item["data_samples"].sample_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_depth_png(path, predictor(item).depth)
    return folder


def of_folder(folder, transforms=(CROP,)):
    return make_predictor(parse_entries([str(folder)])[0], transforms)


def test_a_method_answers_as_the_completer_does(frames):
    item = frames[0]
    before = item["inputs"]["sparse_depth"].clone()
    found = model()(item)
    assert isinstance(found, Prediction)
    assert (found.depth.dtype, found.depth.shape, found.deviation) == (np.float32, TREE_CROP, None)
    assert torch.equal(item["inputs"]["sparse_depth"], before)
    assert not any(key.startswith("pred_") for key in item["data_samples"].all_keys()), "the frame is not changed"
    expected = Completer.load("classical/nearest_kitti")(before[0].numpy())
    assert found.depth == pytest.approx(expected, abs=1e-4)


def test_a_network_answers_alike_with_and_without_what_depth_does_not_need(tmp_path, frames):
    entry = network(tmp_path)
    whole, stripped = (make_predictor(entry, strip=strip) for strip in (False, True))
    assert isinstance(whole, ModelPredictor)
    assert sum(p.numel() for p in stripped.model.parameters()) < sum(p.numel() for p in whole.model.parameters())
    assert whole.inputs == stripped.inputs == (SPARSE_DEPTH,)
    answers = [predictor(frames[0]).depth for predictor in (whole, stripped)]
    assert answers[0] == pytest.approx(answers[1], abs=1e-4)
    assert np.ptp(answers[0]) > 0
    assert "pred_image" in whole.run(frames[0])
    assert "pred_image" not in stripped.run(frames[0])


@pytest.mark.parametrize(("law", "factor"), [("laplace", np.sqrt(2)), ("gaussian", 1.0)])
def test_the_expected_error_is_a_standard_deviation_in_metres(tmp_path, frames, law, factor):
    predictor = make_predictor(uncertain(tmp_path, law))
    task = predictor.model.network.tasks["depth"]
    raw = []
    task.head.register_forward_hook(lambda module, given, output: raw.append(output[0]))
    found = predictor(frames[0])
    assert (found.deviation.dtype, found.deviation.shape) == (np.float32, TREE_CROP)
    assert (found.deviation > 0).all()
    # The head's second channel is the logarithm of the law's scale over the data's mean depth.
    height, width = TREE_CROP
    scale = np.exp(raw[0][0, 1, :height, :width].numpy()) * 15.0
    assert found.deviation == pytest.approx(factor * scale, rel=1e-4)


def test_weights_that_are_missing_or_of_another_network_are_named(tmp_path):
    entry = network(tmp_path)
    with pytest.raises(ConfigError, match="name the checkpoint"):
        make_predictor(Entry("small", entry.config))
    with pytest.raises(ConfigError, match="no weights; leave the checkpoint away"):
        make_predictor(Entry("x", load_config("classical/nearest_kitti"), entry.checkpoint))
    (tmp_path / "torn.pth").write_bytes(entry.checkpoint.read_bytes()[:500])
    with pytest.raises(DataError, match=r"torn\.pth"):
        make_predictor(Entry("small", entry.config, tmp_path / "torn.pth"))
    without = network(tmp_path, tasks={"image": {"type": "ImageTask", "losses": {"l2": {"type": "L2"}}}})
    with pytest.raises(ConfigError, match="small: the network predicts image, and no depth"):
        make_predictor(without)
    with pytest.raises(ValueError, match="has no config"):
        ModelPredictor(Entry("x", folder=tmp_path))
    with pytest.raises(ValueError, match="has no folder"):
        FolderPredictor(entry)


@pytest.mark.parametrize(
    "name",
    [
        lambda frame: f"{frame}.png",
        lambda frame: f"{frame}.PNG",
        # KITTI's benchmark, its devkit tree, and a tree by drive and camera.
        lambda frame: f"{frame[:26]}_groundtruth_depth_{frame[-10:]}_{frame[27:35]}.png",
        lambda frame: f"{frame[:26]}/proj_depth/groundtruth/{frame[27:35]}/{frame[-10:]}.png",
        lambda frame: f"{frame[:21]}/{frame[27:35]}/{frame[-10:]}.png",
        lambda frame: f"{frame[:26]}/{frame[-10:]}.png",
    ],
)
def test_a_folder_answers_as_the_model_that_wrote_it(tmp_path, frames, name):
    assert frames.names[0] == "2011_09_26_drive_0001_sync_image_02_0000000000"
    predictor = of_folder(written(tmp_path / "folder", frames, name))
    assert not predictor.computes
    predictor.check(frames.names)
    for item in frames:
        found, expected = predictor(item), model()(item)
        assert found.depth == pytest.approx(expected.depth, abs=ROUNDING)
        assert (found.depth.dtype, found.deviation) == (np.float32, None)


def test_the_drive_may_stand_in_the_folder_that_was_named(tmp_path, frames, monkeypatch):
    drive = "2011_09_26_drive_0002_sync"
    written(tmp_path / drive, (frames[2], frames[3]), lambda frame: f"{frame[-10:]}.png")
    monkeypatch.chdir(tmp_path / drive)
    predictor = of_folder(".")
    assert predictor(frames[2]).depth == pytest.approx(model()(frames[2]).depth, abs=ROUNDING)
    with pytest.raises(DataError, match="no file fits frame 2011_09_26_drive_0001_sync"):
        predictor.check(frames.names)


def test_maps_of_the_stored_size_are_cropped_as_the_frames_are(tmp_path, frames):
    whole = np.random.default_rng(0).uniform(2, 80, TREE_SIZE).astype(np.float32)
    (tmp_path / "full").mkdir()
    write_depth_png(tmp_path / "full" / f"{frames.names[0]}.png", whole)
    # 72x104 to 64x96: 8 rows off the top, 4 columns off each side.
    assert of_folder(tmp_path / "full")(frames[0]).depth == pytest.approx(whole[8:, 4:-4], abs=ROUNDING)
    with pytest.raises(DataError, match=r"0000000000\.png is 104x72 \(width x height\), and frame .* is evaluated at 96x64"):
        of_folder(tmp_path / "full", ())(frames[0])
    (tmp_path / "small").mkdir()
    write_depth_png(tmp_path / "small" / f"{frames.names[0]}.png", whole[:50])
    with pytest.raises(DataError, match=r"0000000000\.png"):
        of_folder(tmp_path / "small")(frames[0])


def test_a_missing_frame_is_named_before_any_work(tmp_path, frames):
    folder = written(tmp_path / "folder", frames)
    (folder / f"{frames.names[2]}.png").unlink()
    with pytest.raises(DataError, match=rf"no file fits frame {frames.names[2]}; its 3 PNGs are named like .*0001.*\.png"):
        of_folder(folder).check(frames.names)


def test_two_files_for_one_frame_and_two_frames_for_one_file_are_refused(tmp_path, frames):
    folder = written(tmp_path / "two", frames, lambda frame: f"a/{frame}.png")
    shutil.copytree(folder / "a", folder / "b")
    with pytest.raises(DataError, match=rf"2 files fit frame {frames.names[0]}, .*a/.*png and .*b/.*png; expected one"):
        of_folder(folder).check(frames.names)
    # Both drives have a frame 0.
    folder = written(tmp_path / "one", frames, lambda frame: f"{frame[-10:]}.png")
    with pytest.raises(DataError, match=rf"0000000000\.png fits two frames, {frames.names[0]} and {frames.names[2]}"):
        of_folder(folder).check(frames.names)
    of_folder(folder).check(frames.names[:2])


def test_a_name_that_says_all_is_taken_before_one_that_says_less(tmp_path, frames):
    folder = written(tmp_path / "folder", frames, lambda frame: f"x/{frame}.png")
    write_depth_png(folder / "0000000000.png", np.full(TREE_CROP, 3.0, np.float32))
    predictor = of_folder(folder)
    predictor.check(frames.names)
    assert predictor(frames[0]).depth == pytest.approx(model()(frames[0]).depth, abs=ROUNDING)


def test_names_of_other_data_sets_are_taken_as_they_are(tmp_path):
    sample = DepthSample(metainfo={"sample_id": "kitchen_0004-17"})
    item = {"inputs": {"sparse_depth": torch.ones(1, 6, 8)}, "data_samples": sample}
    write_depth_png(tmp_path / "kitchen_0004-17.png", np.full((6, 8), 2.5, np.float32))
    write_depth_png(tmp_path / "kitchen_0004-1.png", np.full((6, 8), 7.0, np.float32))
    predictor = of_folder(tmp_path)
    predictor.check(["kitchen_0004-17"])
    assert np.unique(predictor(item).depth).tolist() == [2.5]
    with pytest.raises(DataError, match="no file fits frame kitchen_0004-2;"):
        predictor.check(["kitchen_0004-2"])


def test_holes_stay_holes(tmp_path, frames):
    depth = np.full(TREE_CROP, 9.0, np.float32)
    depth[:10] = 0
    assert cv2.imwrite(str(tmp_path / f"{frames.names[0]}.png"), (depth * 256).astype(np.uint16))
    assert np.array_equal(of_folder(tmp_path)(frames[0]).depth, depth)
