"""Fields to maps, epochs to samplers, frames to batches."""

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATA_SAMPLERS, MODELS
from torch.utils.data import DataLoader

from mtdc.data import BatchPreprocessor, DepthDataset, EpochSampler, unpad
from mtdc.data.maps import read_map
from mtdc.errors import ConfigError, DataError
from mtdc.structures import DEPTH, GRAY_IMAGE, INTRINSICS, NORMALS, RGB_IMAGE, SEMANTICS, DepthSample, Field, Frame

SIZES = [(4, 6), (5, 3), (2, 2)]


class Ramps(DepthDataset):
    """Frames of different sizes, full of their number plus one; the transforms are what is random."""

    METAINFO = {"dataset": "ramps"}  # noqa: RUF012

    def __len__(self):
        return 6

    def sample_id(self, index):
        return f"ramp_{index}"

    def load(self, index):
        height, width = SIZES[index % len(SIZES)]
        maps = {key: row.empty(height, width) for key, row in self.rows.items()}
        for key, row in self.rows.items():
            maps[key][:] = index + 1 + (np.arange(width) if row.channels == 1 else 0)
        return Frame(maps, dict(self.rows), np.diag([index + 5.0, index + 5.0, 1.0]) if self.wants_intrinsics else None)


FIELDS = (DEPTH, RGB_IMAGE, NORMALS, SEMANTICS, Field("sky", 1, unknown=77))


def batch_of(numbers, **arguments):
    data = Ramps(targets=FIELDS, **arguments)
    return pseudo_collate([data[i] for i in numbers])


def test_different_sizes_are_padded_with_unknown_and_cut_back():
    batch = BatchPreprocessor()(batch_of([0, 1], inputs=("sparse_depth", "image", "intrinsics")))
    inputs, samples = batch["inputs"], batch["data_samples"]
    assert {key: tuple(value.shape) for key, value in inputs.items()} == {
        "sparse_depth": (2, 1, 5, 6),
        "image": (2, 3, 5, 6),
        "intrinsics": (2, 3, 3),
    }
    assert [sample.pad_lrtb for sample in samples] == [(0, 0, 0, 1), (0, 3, 0, 0)]
    assert not inputs["sparse_depth"][0, :, 4:].any() and (inputs["sparse_depth"][0, 0, :4, 0] == 1).all()
    assert inputs["intrinsics"][:, 0, 0].tolist() == [5, 6]
    for key, unknown in (("gt_depth", 0), ("gt_image", -1), ("gt_normals", 0), ("gt_semantics", 255), ("gt_sky", 77)):
        value = samples[1].get(key)
        assert value.shape[-2:] == (5, 6)
        assert (value[..., 3:] == unknown).all() and (value[..., :3] != unknown).all()
        assert unpad(value, samples[1]).shape[-2:] == (5, 3)
    assert samples[0].gt_semantics.dtype == torch.int64 and samples[0].gt_semantics.shape == (5, 6)
    assert samples[0].sample_id == "ramp_0" and samples[0].dataset == "ramps"
    np.testing.assert_array_equal(unpad(inputs["sparse_depth"][1], samples[1])[0, 0], [2, 3, 4])


def test_the_callers_samples_are_not_changed():
    data = batch_of([0, 1])
    BatchPreprocessor()(data)
    assert data["data_samples"][1].gt_depth.shape == (1, 5, 3) and data["data_samples"][1].pad_lrtb == (0, 0, 0, 0)


def test_equal_sizes_batched_tensors_and_no_samples():
    batch = BatchPreprocessor()(batch_of([0, 3]))
    assert batch["inputs"]["sparse_depth"].shape == (2, 1, 4, 6) and batch["data_samples"][1].pad_lrtb == (0, 0, 0, 0)
    ready = {"sparse_depth": torch.ones(2, 1, 4, 6), "intrinsics": torch.ones(2, 3, 3)}
    batch = BatchPreprocessor()({"inputs": ready, "data_samples": None})
    assert batch["data_samples"] is None and torch.equal(batch["inputs"]["sparse_depth"], ready["sparse_depth"])
    batch = BatchPreprocessor()({"inputs": {"sparse_depth": [torch.ones(1, 2, 3), torch.ones(1, 4, 1)]}})
    assert batch["inputs"]["sparse_depth"].shape == (2, 1, 4, 3) and batch["inputs"]["sparse_depth"].sum() == 10


def test_a_field_that_nobody_described_is_not_padded_with_a_guess():
    samples = [DepthSample(metainfo={"sample_id": "a"}) for _ in range(2)]
    for sample, width in zip(samples, (3, 4), strict=True):
        sample.set_field(torch.zeros(1, 2, width), "gt_fog")
    data = {"inputs": {"sparse_depth": [torch.ones(1, 2, 3), torch.ones(1, 2, 4)]}, "data_samples": samples}
    with pytest.raises(DataError, match="gt_fog"):
        BatchPreprocessor()(data)


def test_the_engine_knows_both_by_name():
    assert DATA_SAMPLERS.get("EpochSampler") is EpochSampler and MODELS.get("BatchPreprocessor") is BatchPreprocessor


def drawn(workers, epochs, seed=1, persistent=False):
    """Which frames are flipped, by epoch and name."""
    data = Ramps(transforms=[{"type": "RandomFlip"}], seed=seed)
    sampler = EpochSampler(data, shuffle=True, seed=0)
    loader = DataLoader(
        data, 1, sampler=sampler, num_workers=workers, collate_fn=pseudo_collate, persistent_workers=persistent and workers > 0
    )
    found = {}
    for epoch in epochs:
        sampler.set_epoch(epoch)
        for batch in loader:
            sample = batch["data_samples"][0]
            found[epoch, sample.sample_id] = sample.flip
    return found


def test_random_choices_depend_on_seed_frame_and_epoch_alone():
    one = drawn(0, range(4))
    assert len(one) == 24 and 4 < sum(one.values()) < 20
    epochs = [tuple(one[epoch, f"ramp_{i}"] for i in range(6)) for epoch in range(4)]
    assert len(set(epochs)) > 1
    assert drawn(2, range(4)) == one and drawn(2, range(4), persistent=True) == one
    resumed = drawn(0, [2, 3])
    assert resumed == {key: value for key, value in one.items() if key[0] >= 2}
    assert drawn(0, range(4), seed=2) != one


def test_sampler_yields_every_frame_once():
    sampler = EpochSampler(range(7), shuffle=True, seed=0)
    sampler.set_epoch(3)
    pairs = list(sampler)
    assert len(sampler) == 7 and sorted(pairs) == [(i, 3) for i in range(7)]


def test_arguments_of_a_data_set_are_checked():
    with pytest.raises(ConfigError, match="Did you mean 'sparse_depth'"):
        Ramps(inputs=("sparse_dept",))
    with pytest.raises(ConfigError, match="named 'image'"):
        Ramps(targets=(GRAY_IMAGE, RGB_IMAGE))
    with pytest.raises(ConfigError, match=r"transforms\[1\].type='RandomFlop'.*RandomFlip"):
        Ramps(transforms=[{"type": "RandomFlip"}, {"type": "RandomFlop"}])
    with pytest.raises(ConfigError, match="list"):
        Ramps(inputs="sparse_depth")
    with pytest.raises(IndexError):
        Ramps()[6]
    assert Ramps()[-1]["data_samples"].sample_id == "ramp_5"
    assert Ramps().metainfo == {"dataset": "ramps"}


def test_intrinsics_that_are_asked_for_must_be_known():
    class Blind(Ramps):
        def load(self, index):
            frame = super().load(index)
            frame.intrinsics = None
            return frame

    with pytest.raises(DataError, match="ramp_2 has no intrinsics"):
        Blind(inputs=("sparse_depth", INTRINSICS))[2]


def save(path, array):
    import cv2

    path.write_bytes(cv2.imencode(".png", array)[1].tobytes())
    return path


def test_stored_values_to_units(tmp_path):
    stored = np.array([[0, 255, 51]], np.uint8)
    path = save(tmp_path / "map.png", stored)
    np.testing.assert_allclose(read_map(path, Field("sky", unknown=255, scale_to_unit=1 / 255)), [[0, 255, 0.2]], rtol=1e-6)
    np.testing.assert_allclose(read_map(path, Field("sky", unknown=0, scale_to_unit=2)), [[0, 510, 102]])
    colors = np.array([[[255, 255, 255], [255, 0, 51]]], np.uint8)
    three = read_map(save(tmp_path / "three.png", colors), Field("flow", 3, unknown=255, scale_to_unit=1 / 255))
    np.testing.assert_allclose(three, [[[255, 255, 255], [0.2, 0, 1]]], rtol=1e-6)  # stored BGR
    millimetres = Field("laser", kind="depth", scale_to_unit=1 / 1000)
    np.testing.assert_allclose(read_map(save(tmp_path / "mm.png", np.array([[2500, 0]], np.uint16)), millimetres), [[2.5, 0]])
    with pytest.raises(DataError, match="8-bit"):
        read_map(path, millimetres)
    with pytest.raises(DataError, match="has 3 channels; expected 1"):
        read_map(tmp_path / "three.png", Field("sky"))


def test_normals_from_pictures_and_arrays(tmp_path):
    unit = np.array([[[0.6, 0, -0.8], [0, 0, 0]]], np.float32)
    np.save(tmp_path / "n.npy", unit)
    np.testing.assert_array_equal(read_map(tmp_path / "n.npy", NORMALS), unit)
    rgb = np.round((unit + 1) / 2 * 65535).astype(np.uint16)
    rgb[0, 1] = 0
    np.testing.assert_allclose(read_map(save(tmp_path / "n.png", rgb[..., ::-1]), NORMALS), unit, atol=1e-4)
    np.save(tmp_path / "n.npy", unit[..., :2])
    with pytest.raises(DataError, match=r"\(1, 2, 2\).*\(H, W, 3\)"):
        read_map(tmp_path / "n.npy", NORMALS)
