"""Checkpoints: strict, safe, whole; stripped ones load with the same config."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from support import small_network, sparse_map

from mtdc import ConfigError, DataError, UserError
from mtdc.engine.checkpoint import (
    AtomicLocalBackend,
    PlainCheckpointHook,
    last_checkpoint,
    load_weights,
    read_checkpoint,
    save_weights,
)
from mtdc.engine.config import load_config
from mtdc.engine.resuming import resumable
from mtdc.model import build_model


def model(width=2, **changes):
    weighting = {"type": "FixedWeighting", "weights": {"depth": 1.0, "image": 1e-4}}
    return build_model({"width": width, "network": small_network(**changes), "weighting": weighting}).eval()


def test_stripped_checkpoint_loads_strictly_with_the_same_config(tmp_path):
    whole = model()
    inputs = {"sparse_depth": sparse_map(37, 53)}
    expected = whole(inputs)["depth"]
    save_weights(whole, tmp_path / "whole.pth", {"epoch": 3})
    whole.strip()
    save_weights(whole, tmp_path / "stripped.pth")
    assert (tmp_path / "stripped.pth").stat().st_size < (tmp_path / "whole.pth").stat().st_size
    for name in ("whole.pth", "stripped.pth"):
        fresh = model()
        load_weights(fresh, tmp_path / name)
        assert torch.equal(fresh(inputs)["depth"], expected)
    assert load_weights(model(), tmp_path / "whole.pth")["epoch"] == 3


def test_another_architecture_is_named(tmp_path):
    save_weights(model(), tmp_path / "a.pth")
    with pytest.raises(
        DataError, match=r"a.pth: made with another config: it has .* as \(.*\) where the model has \(.*\). Is model.width"
    ):
        load_weights(model(width=3), tmp_path / "a.pth")
    with pytest.raises(DataError, match="has besides network.sharing"):
        load_weights(model(sharing={"type": "NoSharing"}), tmp_path / "a.pth")


def test_files_that_are_no_checkpoint(tmp_path):
    with pytest.raises(DataError, match="no such checkpoint"):
        read_checkpoint(tmp_path / "none.pth")
    save_weights(model(), tmp_path / "a.pth")
    whole = (tmp_path / "a.pth").read_bytes()
    for name, content in {"text": b"hello", "empty": b"", "cut": whole[: len(whole) // 2]}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match="not a checkpoint"):
            read_checkpoint(tmp_path / name)
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(DataError, match="has no 'state_dict'"):
        read_checkpoint(tmp_path / "list.pth")


class Evil:
    def __reduce__(self):
        return (print, ("executed",))


def test_nothing_in_a_checkpoint_is_executed(tmp_path, capsys):
    torch.save({"state_dict": {}, "meta": Evil()}, tmp_path / "evil.pth")
    capsys.readouterr()
    with pytest.raises(DataError, match="not a checkpoint"):
        read_checkpoint(tmp_path / "evil.pth")
    assert "executed" not in capsys.readouterr().out


class FakeRunner:
    def __init__(self, scalars=None):
        self.cfg = Config({"model": {"width": 3}})
        self.train_loop = SimpleNamespace()
        self.message_hub = SimpleNamespace(log_scalars=scalars or {})


def test_history_survives_as_plain_values(tmp_path):
    history = HistoryBuffer(np.array([3.0, 2.0, 1.5]), np.array([1, 1, 2]), max_length=100)
    checkpoint = {"meta": {"seed": np.int64(3)}, "state_dict": {}, "message_hub": {"log_scalars": {"train/loss": history}}}
    hook = PlainCheckpointHook()
    hook.before_save_checkpoint(FakeRunner(), checkpoint)
    torch.save(checkpoint, tmp_path / "a.pth")
    loaded = torch.load(tmp_path / "a.pth", weights_only=True)
    assert loaded["meta"]["seed"] == 3
    hook.after_load_checkpoint(FakeRunner(), loaded)
    restored = loaded["message_hub"]["log_scalars"]["train/loss"]
    assert restored.mean() == history.mean() == pytest.approx((3 + 2 + 1.5) / 4)
    assert restored.max_length == 100


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    backend = AtomicLocalBackend()
    backend.put(b"old", tmp_path / "a")

    class Broken(bytes):
        pass

    import pathlib

    def fail(self, data):
        with self.open("wb") as file:
            file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(pathlib.Path, "write_bytes", fail)
    with pytest.raises(DataError, match=r"can't write .*a: disk full"):
        backend.put(Broken(b"new"), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def saved(folder, name, iteration):
    save_weights(model(), folder / name, {"iter": iteration})
    return folder / name


def test_the_newest_whole_checkpoint_is_found_whatever_it_counts(tmp_path):
    assert last_checkpoint(tmp_path) is None
    assert last_checkpoint(tmp_path / "none") is None
    pointer = tmp_path / "last_checkpoint"
    saved(tmp_path, "epoch_2.pth", 20)
    saved(tmp_path, "epoch_10.pth", 100)
    assert last_checkpoint(tmp_path).name == "epoch_10.pth", "by number, not by letter"
    pointer.write_text("/was/elsewhere/epoch_2.pth")
    assert last_checkpoint(tmp_path).name == "epoch_10.pth", "the pointer is older than the file: killed between the two"
    newest = saved(tmp_path, "iter_130.pth", 130)
    saved(tmp_path, "iter_90.pth", 90)
    saved(tmp_path, ".iter_200.0123456789ab.tmp.pth", 200)
    saved(tmp_path, "best_rmse_iter_300.pth", 300)
    assert last_checkpoint(tmp_path) == newest
    newest.write_bytes(newest.read_bytes()[:-100])
    assert last_checkpoint(tmp_path).name == "epoch_10.pth"
    saved(tmp_path, "own_name.pth", 110)
    pointer.write_text("own_name.pth")
    assert last_checkpoint(tmp_path).name == "own_name.pth"
    pointer.write_text("")
    assert last_checkpoint(tmp_path).name == "epoch_10.pth"


def test_a_checkpoint_does_not_grow_with_the_steps(tmp_path):
    sizes = []
    for steps in (1500, 4000):
        history = HistoryBuffer()
        runner, hook = FakeRunner({"train/loss": history}), PlainCheckpointHook()
        for step in range(steps):
            history.update(float(step))
            hook.after_train_iter(runner, step)
        history.update(-1.0)
        checkpoint = {"meta": {}, "state_dict": {}, "message_hub": {"log_scalars": dict(runner.message_hub.log_scalars)}}
        hook.before_save_checkpoint(runner, checkpoint)
        torch.save(checkpoint, tmp_path / "a.pth")
        sizes.append((tmp_path / "a.pth").stat().st_size)
        kept = checkpoint["message_hub"]["log_scalars"]["train/loss"]["log"]
        assert kept.tolist() == [*map(float, range(steps - 999, steps)), -1.0], "the newest"
    assert sizes[0] == sizes[1]


def test_weights_that_are_not_finite_are_not_written():
    checkpoint = {"meta": {"iter": 7}, "state_dict": {"head.weight": torch.tensor([1.0, torch.nan])}}
    with pytest.raises(UserError, match=r"diverged: at iteration 7 head.weight holds NaN .*those before it stay"):
        PlainCheckpointHook().before_save_checkpoint(FakeRunner(), checkpoint)


def test_weights_alone_are_no_run_to_go_on_from(tmp_path):
    meta = {"iter": 4, "epoch": 1, "position": {"epoch": "x"}}
    torch.save({"meta": meta, "state_dict": {"a": torch.ones(1)}}, tmp_path / "epoch_1.pth")
    with pytest.raises(DataError, match=r"epoch_1.pth: .* damaged in it: optimizer, message_hub, meta.position\."):
        resumable(load_config("aux_image_kitti"), tmp_path)


def test_another_optimiser_than_the_checkpoints_is_refused(tmp_path):
    key = "optim_wrapper.optimizer.type"
    meta = {"iter": 4, "epoch": 1, "settings": {key: "SGD"}}
    run = {"meta": meta, "state_dict": {"a": torch.ones(1)}, "optimizer": {}, "message_hub": {}}
    torch.save(run, tmp_path / "epoch_1.pth")
    with pytest.raises(ConfigError, match=f"trained with {key}=SGD, and here it is Adam"):
        resumable(load_config("aux_image_kitti"), tmp_path)
