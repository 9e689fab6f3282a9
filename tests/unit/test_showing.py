"""What a config builds, and what differs between two: numbers by hand for the width-1 network."""

import itertools

import pytest
from mmengine.config import Config

from mtdc.commands import main
from mtdc.engine.config import load_config
from mtdc.engine.showing import differences, resolved, show
from mtdc.tasks.image import ImageTask

SIZE = (32, 48)


@pytest.fixture
def printed(capsys):
    """Run ``mtdc show`` at width 1 on a small frame; its lines, with single spaces."""

    def run(*arguments, options=()):
        size = [str(number) for number in SIZE]
        assert main(["show", *arguments, "--size", *size, "--cfg-options", "model.width=1", *options]) == 0
        return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]

    return run


def encoder_parameters():
    return (3 * 3 + 5 * 5 + 7 * 7 + 9 * 9) * (1 * 1 + 1 * 2 + 2 * 4 + 4 * 8) + 4 * 2 * (1 + 2 + 4 + 8)


def trunk_parameters(stages=4):
    widths = (32, 16, 8, 4, 4)[: stages + 1]
    return sum(9 * a * b + 2 * b for a, b in itertools.pairwise(widths))


def head_parameters(in_channels):
    return 9 * (in_channels * 4 + 4 * 4) + 2 * (4 + 4) + 9 * 4 * 1 + 1


def test_parts_with_their_parameters_at_train_and_at_test(printed):
    lines = printed("aux_image_kitti")
    encoder, sharing, head = encoder_parameters(), 9 * (16 * 8 + 8 * 4 + 4 * 4) + 2 * (8 + 4 + 4), head_parameters(8)
    trunk, shortened = trunk_parameters(), trunk_parameters(stages=3)
    whole = encoder + sharing + 2 * trunk + 2 * head
    assert lines[: lines.index("") - 1] == [
        "part type parameters at test",
        "representation SparseDepth 0 0",
        f"encoder MultiKernelEncoder {encoder:,} {encoder:,}",
        f"sharing SumSharing {sharing:,} {sharing:,}",
        f"trunks.depth TransposedConvTrunk {trunk:,} {trunk:,}",
        f"trunks.image TransposedConvTrunk {trunk:,} {shortened:,}",
        f"tasks.depth DepthTask {head:,} {head:,}",
        f"tasks.image ImageTask {head:,} -",
        f"network MultiTaskNetwork {whole:,} {whole - head - trunk + shortened:,}",
    ]
    assert lines[lines.index("") + 1 :] == [
        "inputs sparse_depth",
        "targets gt_depth, gt_image",
        "weighting FixedWeighting",
        "tasks.depth 1 x (L2)",
        "tasks.image 0.0001 x (L2)",
        "at test kept depth; dropped image",
    ]


def test_macs_are_those_of_strip(printed, capsys):
    (macs,) = (line.split()[-2:] for line in printed("aux_image_kitti") if line.startswith("MACs at 32x48 "))
    assert main(["strip", "aux_image_kitti", "--size", "32", "48", "--cfg-options", "model.width=1"]) == 0
    assert macs == [line.split()[-1] for line in capsys.readouterr().out.splitlines()[1:]]


def test_losses_with_weights_and_schedules(printed):
    schedule = "model.network.tasks.depth.losses.l2.schedule"
    lines = printed("aux_image_street", options=[f"{schedule}.shape=cosine", f"{schedule}.until=0.5"])
    assert "tasks.depth 1 x (L1 + 0.1 L2 (cosine 0 to 1))" in lines


def test_what_is_loaded_in_training_alone_is_said(printed, monkeypatch):
    smooth = ["model.network.tasks.depth.losses.l1.type=EdgeAwareSmoothness"]
    assert "targets gt_depth, gt_image" in printed("ablation/b_street", options=smooth)
    monkeypatch.setattr(ImageTask, "needs", ("intrinsics",))
    assert "inputs sparse_depth; in training intrinsics too" in printed("aux_image_street")


def test_two_configs_differ_in_what_their_files_say_and_no_more(printed):
    lines = printed("aux_image_kitti", "ablation/b_kitti")
    assert lines[: lines.index("")] == [
        "differs aux_image_kitti b_kitti",
        "model.network.sharing SumSharing NoSharing",
        "model.network.tasks.image ImageTask(losses=(l2=L2)) -",
        "model.weighting.weights.image 0.0001 -",
    ]
    costs = {name: row for name, *row in map(str.split, lines[lines.index("") + 1 :])}
    assert "encoder" not in costs, "parts that cost the same aren't listed"
    assert costs["tasks.depth"] == [f"{head_parameters(8):,}"] * 2 + [f"{head_parameters(4):,}"] * 2
    assert costs["trunks.image"] == [f"{trunk_parameters():,}", f"{trunk_parameters(stages=3):,}", "-", "-"]


def test_a_default_that_is_written_out_and_a_weight_of_no_task_are_no_difference(tmp_path, capsys):
    def compared(changes):
        (tmp_path / "own.py").write_text(
            f"_base_ = '{{{{$MTDC_CONFIGS:configs}}}}/ablation/b_kitti.py'\nmodel = dict({changes})\n"
        )
        assert main(["show", "ablation/b_kitti", str(tmp_path / "own.py"), "--size", "32", "48"]) == 0
        return capsys.readouterr().out

    encoder = "encoder=dict(kernels=[3, 5, 7, 9], every_stride=False)"
    same = f"precision='float32', network=dict(refinement=None, {encoder}), weighting=dict(weights=dict(sky=3.0))"
    assert compared(same).endswith("b_kitti and own don't differ in model, training, training data or metrics.\n")
    assert "model.network.encoder.kernels  [3, 5, 7, 9]  [3, 5]\n" in compared("network=dict(encoder=dict(kernels=[3, 5]))")


def test_differences_by_hand():
    one = {"a": 1, "b": {"type": "X", "k": 1}, "c": {"type": "Y", "k": 1, "m": 2}, "d": {"0": 1, "1": 2}, "e": None}
    other = {"a": 1, "b": {"type": "Z"}, "c": {"type": "Y", "k": 2, "m": 2}, "d": {"0": 1}}
    expected = [("b", one["b"], other["b"]), ("c.k", 1, 2), ("d", one["d"], other["d"])]
    assert list(differences(one, other)) == expected


def test_keys_with_dots_of_an_optimiser_are_no_hindrance():
    cfg = load_config("ablation/b_kitti")
    cfg.optim_wrapper.paramwise_cfg = {"custom_keys": {"encoder": 1, "encoder.stem": {"lr_mult": 0.1}}}
    assert resolved(Config(cfg._cfg_dict), ("depth",))["optim_wrapper"]["paramwise_cfg"]


def test_methods_without_weights_are_shown():
    lines = show(load_config("classical/nearest_kitti"), SIZE).splitlines()
    assert [line.split() for line in lines if line.startswith("network")] == [["network", "ClassicalNetwork", "0", "0"]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["aux_image_kity"], "aux_image_kity: no such config file, nor a shipped config. Did you mean 'aux_image_kitti'?"),
        (["b_kitti"], "b_kitti: no such config file, nor a shipped config. Did you mean 'ablation/b_kitti'?"),
        (["mine.safetensors"], "mine.safetensors: a weights file, where a config is expected"),
        (["aux_image_kitti", "nowhere.py"], "nowhere.py: no such config file, nor a shipped config."),
        (["aux_image_kitti", "--size", "0", "48"], "--size must be two whole numbers from 1 on, not 0 48."),
        (["aux_image_kitti", "--cfg-options", "model.widht=1"], "unexpected key 'widht'. Did you mean 'width'?"),
    ],
)
def test_mistakes_are_one_line(arguments, said, capsys):
    assert main(["show", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("mtdc show: ") and said in err and err.count("\n") == 1


def test_a_config_whose_name_the_zoo_has_for_another_is_not_taken_for_it(capsys):
    words = ["--size", "32", "48", "--cfg-options", "model.width=1"]
    assert main(["show", "aux_image_street", *words]) == 0
    told = capsys.readouterr().err.strip()
    assert told.startswith("mtdc show: this is the config 'aux_image_street'; the zoo's model of that name was trained with")
    assert told.endswith("'aux_image_street_wide'.")
    assert main(["show", "unet_street_tiny", "aux_image_street_wide", *words]) == 0
    assert "zoo" not in capsys.readouterr().err
