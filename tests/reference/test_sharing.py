"""Sharing modules against their papers' equations: numbers by hand, and numpy in float64 from the weights alone."""

import copy

import numpy as np
import pytest
import torch
from support import numpy64
from torch import nn

from mtdc import ConfigError
from mtdc.registry import SHARING, build

TASKS = ("depth", "image")
THREE = ("depth", "image", "normals")
STRIDES, WIDTHS = (4, 2, 2), (4, 2, 2)


def make(name, tasks=TASKS, strides=STRIDES, widths=WIDTHS, **options):
    """The part in eval mode, its weights, offsets and running statistics as after some training."""
    sharing = build(SHARING, {"type": name, **options}, "sharing", tasks=tasks, strides=strides, widths=widths).eval()
    for part in sharing.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -0.3, 0.3)
            nn.init.uniform_(part.running_var, 0.5, 2)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.2, 0.2)
    return sharing


def given(trunks, strides=STRIDES, widths=WIDTHS, height=8, width=12):
    return [
        {trunk: torch.rand(1, channels, height // s, width // s) - 0.5 for trunk in trunks}
        for s, channels in zip(strides, widths, strict=True)
    ]


def run(sharing, stages):
    """Streams after each stage, and what the heads see. Stages stand for themselves: no trunk between them."""
    after, shared = [], None
    for n, streams in enumerate(stages):
        streams, shared = sharing(n, dict(streams), shared)
        after.append(streams)
    return after, sharing.join(after[-1], shared)


def maps(streams):
    return {name: numpy64(value[0]) for name, value in streams.items()}


def conv1(x, layer):
    """1x1 convolution of ``(C, H, W)``: a matrix product at each pixel."""
    y = np.einsum("oc,chw->ohw", numpy64(layer.weight)[..., 0, 0], x)
    return y if layer.bias is None else y + numpy64(layer.bias)[:, None, None]


def conv3(x, layer):
    """3x3 convolution with zero padding of ``(C, H, W)``, or a transposed one of stride 2: each pixel's stamp, added up."""
    weight = numpy64(layer.weight)
    _, height, width = x.shape
    if isinstance(layer, nn.ConvTranspose2d):
        out = np.zeros((weight.shape[1], 2 * height + 2, 2 * width + 2))
        for i in range(height):
            for j in range(width):
                out[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += np.einsum("c,cokl->okl", x[:, i, j], weight)
        return out[:, 1 : 1 + 2 * height, 1 : 1 + 2 * width]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    y = sum(
        np.einsum("oc,chw->ohw", weight[:, :, i, j], padded[:, i : i + height, j : j + width])
        for i in range(3)
        for j in range(3)
    )
    return y if layer.bias is None else y + numpy64(layer.bias)[:, None, None]


def norm(x, layer):
    scale = numpy64(layer.weight) / np.sqrt(numpy64(layer.running_var) + layer.eps)
    return (x - numpy64(layer.running_mean)[:, None, None]) * scale[:, None, None] + numpy64(layer.bias)[:, None, None]


def unit(x, layers):
    """Convolution, batch norm, LeakyReLU(0.2)."""
    y = norm((conv1 if layers[0].kernel_size == (1, 1) else conv3)(x, layers[0]), layers[1])
    return np.where(y > 0, y, 0.2 * y)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def up(x):
    return x.repeat(2, axis=1).repeat(2, axis=2)


def close(actual, expected):
    np.testing.assert_allclose(numpy64(actual[0]), expected, rtol=1e-4, atol=1e-5)


def test_hard_sharing_hands_every_task_the_one_trunk():
    sharing = make("HardSharing", THREE)
    assert sharing.trunks() == ("shared",)
    stages = given(sharing.trunks())
    _, joined = run(sharing, stages)
    assert set(joined) == set(THREE)
    assert all(torch.equal(stream, stages[-1]["shared"]) for stream in joined.values())
    assert not list(sharing.parameters())


def test_concatenation_at_the_stages_by_numpy():
    sharing = make("ConcatSharing", THREE)
    stages = given(THREE)
    after, joined = run(sharing, stages)
    d, i, n = ([maps(stage)[task] for stage in stages] for task in THREE)
    f_s = unit(np.concatenate((d[0], i[0], n[0])), sharing.mixes[0])
    f_s = unit(np.concatenate((d[1], i[1], n[1], unit(f_s, sharing.convs[0]))), sharing.mixes[1])
    f_s = unit(f_s, sharing.convs[1])
    for task, own in zip(THREE, (d, i, n), strict=True):
        close(joined[task], np.concatenate((own[2], f_s)))
        assert all(torch.equal(stage[task], before[task]) for stage, before in zip(after, stages, strict=True))


def test_the_paper_s_sum_is_the_concatenation_with_identities():
    """W = (I, I, I), whose batch norm does nothing, on positive maps: Eqs. 8 and 9 of the paper."""
    concat, total = make("ConcatSharing"), make("SumSharing")
    concat.convs.load_state_dict(total.convs.state_dict())
    for mix in concat.mixes:
        blocks = mix[0].in_channels // mix[0].out_channels
        nn.init.zeros_(mix[0].weight)
        mix[0].weight.data[..., 0, 0] = torch.eye(mix[0].out_channels).repeat(1, blocks)
        mix[1].reset_parameters()
        mix[2].negative_slope = 1.0
    stages = given(TASKS)
    _, expected = run(total, stages)
    _, joined = run(concat, stages)
    torch.testing.assert_close(joined["depth"], expected["depth"], rtol=1e-3, atol=1e-4)


def test_concatenation_at_the_join_puts_ones_own_stream_first():
    sharing = make("ConcatSharing", THREE, at="join")
    stages = given(THREE)
    _, joined = run(sharing, stages)
    last = stages[-1]
    assert sharing.head_channels("image") == 3 * 2
    assert torch.equal(joined["depth"], torch.cat((last["depth"], last["image"], last["normals"]), dim=1))
    assert torch.equal(joined["image"], torch.cat((last["image"], last["depth"], last["normals"]), dim=1))
    assert torch.equal(joined["normals"], torch.cat((last["normals"], last["depth"], last["image"]), dim=1))


def test_cross_stitch_starts_at_nine_tenths_of_its_own():
    """Two tasks: 0.9 x 2 + 0.1 x 10 = 2.8 and 0.1 x 2 + 0.9 x 10 = 9.2. Three: 0.9 x 2 + 0.05 (10 + 30) = 3.8. One: itself."""
    two = {"depth": torch.full((1, 4, 2, 3), 2.0), "image": torch.full((1, 4, 2, 3), 10.0)}
    mixed, shared = make("CrossStitch")(0, two, None)
    assert shared is None
    torch.testing.assert_close(mixed["depth"], torch.full((1, 4, 2, 3), 2.8))
    torch.testing.assert_close(mixed["image"], torch.full((1, 4, 2, 3), 9.2))
    three = {**two, "normals": torch.full((1, 4, 2, 3), 30.0)}
    torch.testing.assert_close(make("CrossStitch", THREE)(0, three, None)[0]["depth"], torch.full((1, 4, 2, 3), 3.8))
    assert torch.equal(make("CrossStitch", ("depth",))(0, two, None)[0]["depth"], two["depth"])


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("one_way", [False, True])
def test_cross_stitch_by_numpy(per_channel, one_way):
    sharing = make("CrossStitch", THREE, one_way=one_way, per_channel=per_channel)
    for stitch in sharing.stitches:
        nn.init.normal_(stitch)
    stages = given(THREE)
    after, joined = run(sharing, stages)
    for n, (before, mixed) in enumerate(zip(map(maps, stages), after, strict=True)):
        matrix = numpy64(sharing.stitches[n])
        assert matrix.shape == (2 if one_way else 3, 3, WIDTHS[n] if per_channel else 1)
        stack = np.stack([before[task] for task in THREE])
        for row, task in enumerate(THREE[1:] if one_way else THREE):
            close(mixed[task], (matrix[row][..., None, None] * stack).sum(0))
        if one_way:
            assert torch.equal(mixed["depth"], stages[n]["depth"])
    assert torch.equal(joined["image"], after[-1]["image"])


def test_one_way_protects_depth_wherever_it_stands_and_the_first_task_without_it():
    reads = make("CrossStitch", ("image", "depth"), one_way=True).reads
    assert (reads("depth"), reads("image")) == ({"depth": 2}, {"image": 2, "depth": 2})
    assert make("CrossStitch", ("normals", "image"), one_way=True).reads("normals") == {"normals": 2}


def test_sluice_starts_at_nine_tenths_of_its_own():
    """Four subspaces: a map of a task's first one is 0.9 of itself, a thirtieth of each other: 0.9 + (2 + 3 + 4) / 30 = 1.2."""
    sharing = make("Sluice")
    values = torch.tensor([1.0, 1.0, 2.0, 2.0])[None, :, None, None].expand(1, 4, 2, 3)
    mixed, _ = sharing(0, {"depth": values, "image": values + 2}, None)
    expected = torch.tensor([1.2, 1.2, 1.8 + 8 / 30, 1.8 + 8 / 30])[None, :, None, None].expand(1, 4, 2, 3)
    torch.testing.assert_close(mixed["depth"], expected)
    assert [beta.tolist() for beta in sharing.betas.values()] == [pytest.approx([0.05, 0.05, 0.9])] * 2


def test_sluice_by_numpy():
    """Subspaces mixed after each stage, and all stages before the heads: enlarged last, beta inside."""
    sharing = make("Sluice", THREE)
    for parameter in (*sharing.alphas, *sharing.betas.values()):
        nn.init.normal_(parameter)
    stages = given(THREE)
    after, joined = run(sharing, stages)
    expected = {}
    for n, (before, mixed) in enumerate(zip(map(maps, stages), after, strict=True)):
        half = WIDTHS[n] // 2
        subspaces = np.stack([before[task][part * half : (part + 1) * half] for task in THREE for part in (0, 1)])
        result = np.einsum("ab,bchw->achw", numpy64(sharing.alphas[n]), subspaces)
        for k, task in enumerate(THREE):
            expected[task, n] = np.concatenate((result[2 * k], result[2 * k + 1]))
            close(mixed[task], expected[task, n])
    for task in THREE:
        beta, sums = numpy64(sharing.betas[task]), sharing.sums[task].projections
        first = up(conv1(expected[task, 0], sums[0]))
        second = conv1(expected[task, 1], sums[1])
        close(joined[task], beta[0] * first + beta[1] * second + beta[2] * expected[task, 2])


def test_sluice_s_penalty_by_hand():
    """Depth: maps (1, 0) and (3, 4) / 5 have cosine 0.6. Image: the same map twice, cosine 1. Mean (0.36 + 1) / 2 = 0.68.

    The second stage's maps are orthogonal; the weight is 0.5: 0.5 x (0.68 + 0) / 2 = 0.17. Scale doesn't matter.
    """
    sharing = make("Sluice", strides=(2, 2), widths=(2, 2), orthogonality=0.5).train()

    def frame(first, second):
        return torch.tensor([[first], [second]])[None]

    apart = frame([1.0, 0.0], [0.0, 7.0])
    run(
        sharing,
        [{"depth": frame([2.0, 0.0], [3.0, 4.0]), "image": frame([1.0, 2.0], [5.0, 10.0])}, {"depth": apart, "image": apart}],
    )
    terms = sharing.penalty()
    assert set(terms) == {"orthogonality"}
    assert terms["orthogonality"].item() == pytest.approx(0.17)
    assert sharing.penalty() == {}, "handed on once"
    run(sharing.eval(), [{"depth": apart, "image": apart}] * 2)
    assert sharing.penalty() == {}, "for training alone"


def test_sluice_is_copied_between_a_step_s_forward_and_its_penalty():
    sharing = make("Sluice").train()
    stages = [{task: stream.requires_grad_() for task, stream in stage.items()} for stage in given(TASKS)]
    run(sharing, stages)
    assert copy.deepcopy(sharing).penalty() == {}
    assert set(sharing.penalty()) == {"orthogonality"}


def test_sluice_s_penalty_by_numpy_over_batch_and_pixels():
    sharing = make("Sluice", orthogonality=1.0).train()
    stages = [{task: torch.randn(3, w, 8 // s, 12 // s) for task in TASKS} for s, w in zip(STRIDES, WIDTHS, strict=True)]
    run(sharing, stages)
    values = []
    for stage in stages:
        for stream in stage.values():
            rows = numpy64(stream).transpose(1, 0, 2, 3).reshape(stream.shape[1], -1)
            half = len(rows) // 2
            cosines = [a @ b / np.sqrt((a @ a) * (b @ b)) for a in rows[:half] for b in rows[half:]]
            values.append(np.mean(np.square(cosines)))
    assert sharing.penalty()["orthogonality"].item() == pytest.approx(np.mean(values), rel=1e-5)


def test_sluice_s_penalty_pulls_subspaces_apart():
    stream = nn.Parameter(torch.rand(2, 4, 3, 5))
    sharing = make("Sluice", ("depth",), strides=(2,), widths=(4,), orthogonality=1.0).train()
    optimiser = torch.optim.SGD([stream], lr=5.0)
    values = []
    for _ in range(30):
        sharing(0, {"depth": stream}, None)
        values.append(sharing.penalty()["orthogonality"])
        optimiser.zero_grad()
        values[-1].backward()
        optimiser.step()
    assert values[-1] < 0.1 * values[0]


def test_nddr_starts_at_nine_tenths_of_its_own():
    """With fresh batch norm in eval mode, which divides by sqrt(1 + 1e-5): 0.9 x 2 + 0.1 x 10 = 2.8; three tasks: 3.8."""
    two = {"depth": torch.full((1, 4, 2, 3), 2.0), "image": torch.full((1, 4, 2, 3), 10.0)}
    three = {**two, "normals": torch.full((1, 4, 2, 3), 30.0)}
    for tasks, streams, expected in ((TASKS, two, 2.8), (THREE, three, 3.8), (("depth",), two, 2.0)):
        sharing = build(SHARING, {"type": "NDDR"}, "sharing", tasks=tasks, strides=STRIDES, widths=WIDTHS).eval()
        mixed, shared = sharing(0, streams, None)
        assert shared is None
        torch.testing.assert_close(mixed["depth"], torch.full((1, 4, 2, 3), expected), rtol=1e-4, atol=0)


@pytest.mark.parametrize("shortcut", [False, True])
def test_nddr_by_numpy(shortcut):
    sharing = make("NDDR", THREE, shortcut=shortcut)
    for name, parameter in sharing.named_parameters():
        if parameter.ndim == 4 and name.startswith("layers"):
            nn.init.normal_(parameter)
    stages = given(THREE)
    after, joined = run(sharing, stages)
    expected = {}
    for n, (before, mixed) in enumerate(zip(map(maps, stages), after, strict=True)):
        stacked = np.concatenate([before[task] for task in THREE])
        for task in THREE:
            layer = sharing.layers[n][task]
            expected[task, n] = norm(conv1(stacked, layer[0]), layer[1])
            close(mixed[task], expected[task, n])
    for task in THREE:
        if not shortcut:
            close(joined[task], expected[task, 2])
            continue
        # One convolution on all stages' outputs side by side.
        weights = np.concatenate([numpy64(p.weight)[..., 0, 0] for p in sharing.shortcuts[task].projections], axis=1)
        stacked = np.concatenate((up(expected[task, 0]), expected[task, 1], expected[task, 2]))
        close(joined[task], np.einsum("oc,chw->ohw", weights, stacked))


def test_mtan_by_numpy():
    sharing = make("MTAN", THREE)
    assert sharing.trunks() == ("shared",)
    stages = given(sharing.trunks())
    after, joined = run(sharing, stages)
    p = [maps(stage)["shared"] for stage in stages]
    for task in THREE:

        def mask(n, x, task=task):
            first, last, last_norm, _ = sharing.masks[task][n]
            return sigmoid(norm(conv1(unit(x, first), last), last_norm))

        g = mask(0, p[0]) * p[0]
        g = mask(1, np.concatenate((p[1], unit(g, sharing.convs[0])))) * p[1]
        g = mask(2, np.concatenate((p[2], unit(g, sharing.convs[1])))) * p[2]
        close(joined[task], g)
    assert all(torch.equal(stage["shared"], before["shared"]) for stage, before in zip(after, stages, strict=True)), "read only"


def test_mtan_s_masks_select():
    """Masks far above zero let the trunk through as it is, far below nothing."""
    sharing = make("MTAN")
    stages = given(sharing.trunks())
    for masks, offset in ((sharing.masks["depth"], 50.0), (sharing.masks["image"], -50.0)):
        for mask in masks:
            nn.init.constant_(mask[2].bias, offset)
    _, joined = run(sharing, stages)
    torch.testing.assert_close(joined["depth"], stages[-1]["shared"])
    torch.testing.assert_close(joined["image"], torch.zeros_like(stages[-1]["shared"]))


@pytest.mark.parametrize("stage", [0, 1, 2])
@pytest.mark.parametrize("distillation", ["A", "B", "C"])
def test_pad_net_s_distillation_by_numpy(distillation, stage):
    sharing = make("PADNet", THREE, distillation=distillation, stage=stage)
    assert sharing.intermediate == stage
    stages = given(THREE)
    after, joined = run(sharing, stages)
    f = maps(stages[stage])
    for task in THREE:
        part = sharing.distillations[task]
        if distillation == "A":
            expected = unit(np.concatenate([f[other] for other in THREE]), part.mix)
        else:
            gate = sigmoid(conv3(f[task], part.gate)) if distillation == "C" else 1.0
            others = [other for other in THREE if other != task]
            expected = f[task] + sum(gate * conv3(f[other], part.messages[other]) for other in others)
        close(after[stage][task], expected)
        others = [n for n in range(3) if n != stage]
        assert all(torch.equal(after[n][task], stages[n][task]) for n in others), "nothing happens elsewhere"
        assert torch.equal(joined[task], after[-1][task])


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("ConcatSharing", {"at": "stage"}, "at must be one of stages, join, not 'stage'"),
        ("ConcatSharing", {"strides": (2,), "widths": (4,)}, "at='join' needs one"),
        ("Sluice", {"subspaces": 3}, "subspaces=3 must divide the channels of every stage, 4, 2, 2"),
        ("Sluice", {"subspaces": 0}, "subspaces=0 must divide"),
        ("Sluice", {"orthogonality": -0.1}, "orthogonality must be 0 or more, not -0.1"),
        ("PADNet", {"stage": 3}, "stage=3 is none of the trunk's, 0 to 2"),
        ("PADNet", {"distillation": "D"}, "distillation must be one of A, B, C, not 'D'"),
    ],
)
def test_options_that_can_t_be_are_refused(name, options, text):
    with pytest.raises(ConfigError, match=text):
        make(name, **options)


@pytest.mark.parametrize("name", ["HardSharing", "CrossStitch", "Sluice", "NDDR", "MTAN"])
def test_a_trunk_of_one_stage_is_enough(name):
    sharing = make(name, strides=(2,), widths=(4,))
    _, joined = run(sharing, given(sharing.trunks(), (2,), (4,)))
    assert {task: tuple(stream.shape) for task, stream in joined.items()} == dict.fromkeys(TASKS, (1, 4, 4, 6))
