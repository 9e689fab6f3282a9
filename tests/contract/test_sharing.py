"""Every registered sharing keeps the contract; above all, its word about what a task reads."""

import pytest
import torch
import torch.nn.functional as functional
from support import check_backward, check_bf16, check_copies, flatten, named

from mtdc.registry import SHARING, build

STRIDES, WIDTHS = (8, 4, 2, 2), (6, 4, 2, 2)
TASKS = (("depth",), ("depth", "image"), ("depth", "image", "normals"))


def make(name, tasks):
    return build(SHARING, {"type": name}, "sharing", tasks=tasks, strides=STRIDES, widths=WIDTHS)


def stage_streams(trunks, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [
        {trunk: torch.rand(2, w, 32 // s, 48 // s, generator=generator) for trunk in trunks}
        for s, w in zip(STRIDES, WIDTHS, strict=True)
    ]


def run(sharing, stages):
    """As a network does, with trunks that add what is given for the stage to what the stage before has left.

    So what a task reads can be changed stage by stage, and nothing that a sharing computes is without effect.
    """
    streams, shared = {}, None
    for n, given in enumerate(stages):
        for trunk, stream in given.items():
            if trunk in streams:
                past = functional.interpolate(streams[trunk].mean(1, keepdim=True), size=stream.shape[-2:])
                stream = stream + past
            streams[trunk] = stream
        streams, shared = sharing(n, streams, shared)
    return sharing.join(streams, shared)


@pytest.mark.parametrize("name", named(SHARING))
@pytest.mark.parametrize("tasks", TASKS)
def test_joined_streams_have_the_declared_channels(name, tasks):
    sharing = make(name, tasks)
    joined = run(sharing, stage_streams(sharing.trunks()))
    assert set(joined) == set(tasks)
    for task, stream in joined.items():
        assert stream.shape == (2, sharing.head_channels(task), 32 // STRIDES[-1], 48 // STRIDES[-1])
    assert all(torch.isfinite(value).all() for value in sharing.penalty().values())


@pytest.mark.parametrize("name", named(SHARING))
@pytest.mark.parametrize("tasks", TASKS)
def test_is_a_module(name, tasks):
    sharing = make(name, tasks)
    stages = stage_streams(sharing.trunks())
    check_backward(sharing, lambda: run(sharing, stages))
    check_copies(sharing, make(name, tasks), lambda module: run(module, stages))
    check_bf16(sharing, lambda: run(sharing, stages))


@pytest.mark.parametrize("name", named(SHARING))
@pytest.mark.parametrize("tasks", TASKS)
def test_depth_does_not_depend_on_what_reads_leaves_out(name, tasks):
    sharing = make(name, tasks).eval()
    reads = sharing.reads("depth")
    assert set(reads) <= set(sharing.trunks())
    stages = stage_streams(sharing.trunks())
    expected = run(sharing, stages)["depth"]
    other = stage_streams(sharing.trunks(), seed=1)
    changed = [
        {trunk: stages[n][trunk] if n <= reads.get(trunk, -1) else other[n][trunk] for trunk in sharing.trunks()}
        for n in range(len(STRIDES))
    ]
    assert torch.equal(run(sharing, changed)["depth"], expected)


@pytest.mark.parametrize("name", named(SHARING))
@pytest.mark.parametrize("tasks", TASKS)
def test_stripped_sharing_gives_the_same_depth_and_has_no_dead_parameter(name, tasks):
    sharing = make(name, tasks).eval()
    stages = stage_streams(sharing.trunks())
    expected = run(sharing, stages)["depth"]
    reads = sharing.reads("depth")
    sharing.strip(("depth",))
    left = [{trunk: stream for trunk, stream in stage.items() if n <= reads.get(trunk, -1)} for n, stage in enumerate(stages)]
    joined = run(sharing, left)
    assert set(joined) == {"depth"}
    assert torch.equal(joined["depth"], expected)
    check_backward(sharing, lambda: flatten(run(sharing, left)))


@pytest.mark.parametrize("name", named(SHARING))
def test_is_one_graph_for_the_compiler(name):
    """No step depends on values: torch.compile takes the whole chain, training's extra terms included."""
    sharing = make(name, ("depth", "image")).train()
    stages = stage_streams(sharing.trunks())
    expected = run(sharing, stages), sharing.penalty()
    torch._dynamo.reset()
    joined = torch.compile(run, backend="eager", fullgraph=True)(sharing, stages), sharing.penalty()
    for actual, own in zip(joined, expected, strict=True):
        assert actual.keys() == own.keys()
        assert all(torch.equal(actual[key], own[key]) for key in own)
