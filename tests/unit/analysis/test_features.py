"""Features of the last stage: those that the heads read."""

import numpy as np
import pytest
import torch
from support import small_network

from mtdc.analysis.entries import Entry
from mtdc.analysis.features import feature_sheet, last_features
from mtdc.analysis.predictors import ModelPredictor
from mtdc.engine.checkpoint import save_weights
from mtdc.engine.config import load_config
from mtdc.model import build_model
from mtdc.structures import DepthSample


def predictor(tmp_path, strip=False, **network):
    cfg = load_config("aux_image_kitti")
    cfg.model.width = 2
    cfg.model.network = small_network(**network)
    torch.manual_seed(3)
    save_weights(build_model(cfg.model), tmp_path / "w.pth")
    return ModelPredictor(Entry("small", cfg, tmp_path / "w.pth"), "cpu", strip)


@pytest.fixture
def item():
    sparse = torch.zeros(1, 40, 56)
    sparse[0, ::4, ::3] = torch.rand(10, 19, generator=torch.Generator().manual_seed(0)) * 30 + 2
    sample = DepthSample(metainfo={"sample_id": "a", "unknown": {"sparse_depth": 0.0}})
    return {"inputs": {"sparse_depth": sparse}, "data_samples": sample}


def test_they_are_what_the_heads_read(tmp_path, item):
    model = predictor(tmp_path)
    read = {}
    for name, task in model.model.network.tasks.items():
        task.register_forward_pre_hook(lambda module, given, name=name: read.update({name: given[0][0].numpy()}))
    features = last_features(model, item)
    assert set(features) == {"depth", "image", "shared"}
    for name in ("depth", "image"):  # Eq. 11: a task's own stream beside the shared one
        np.testing.assert_array_equal(read[name], np.concatenate((features[name], features["shared"])))
    assert not model.model.network.sharing._forward_hooks, "the hook is still there"


def test_networks_without_streams_have_none(tmp_path, item):
    classical = ModelPredictor(Entry("nearest", load_config("classical/nearest_kitti")), "cpu")
    assert last_features(classical, item) == {}
    alone = predictor(tmp_path, sharing={"type": "NoSharing"})
    assert set(last_features(alone, item)) == {"depth", "image"}


def test_a_sheet_shows_two_channels_of_each_stream():
    ramp = np.linspace(0, 1, 600).reshape(20, 30).astype(np.float32)
    one = feature_sheet({"depth": np.stack((ramp, ramp, ramp))})
    two = feature_sheet({"depth": np.stack((5 * ramp + 1, 5 * ramp + 1, ramp))})
    assert one.dtype == np.uint8 and one.shape[2] == 3
    np.testing.assert_array_equal(one, two)  # each channel from its own least to its greatest
    flat = feature_sheet({"depth": np.zeros((1, 20, 30), np.float32)})
    assert flat.shape[2] == 3
