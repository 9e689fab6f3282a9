"""Rules that read the losses' values, by hand; and inner products of gradients against explicit Jacobians."""

import math

import numpy as np
import pytest
import torch

from mtdc.errors import ConfigError
from mtdc.gradients import feature_gramian, gradient_log, inner_products, shared_gradients
from mtdc.registry import WEIGHTING, build


def make(name, tasks=("depth", "image"), **options):
    return build(WEIGHTING, {"type": name, **options}, "weighting", tasks=tasks)


def step(rule, depth=4.0, image=900.0):
    values = {"depth": torch.tensor(depth, requires_grad=True), "image": torch.tensor(image, requires_grad=True)}
    total, weights = rule(values, lambda: pytest.fail("a rule of losses asks for gradients"))
    return total, [float(weights["depth"]), float(weights["image"])]


def test_annealed_over_progress():
    rule = make("AnnealedWeighting", weights={"depth": 2.0, "image": 0.1})
    for progress, scale in ((0.0, 1.0), (0.25, 0.75), (1.0, 0.0)):
        rule.set_progress(progress)
        assert step(rule)[1] == pytest.approx([2.0, 0.1 * scale])
    rule = make("AnnealedWeighting", primary="image", schedule={"shape": "step", "start": 0.5, "end": 3.0, "begin": 0.5})
    rule.set_progress(0.75)
    assert step(rule)[1] == pytest.approx([3.0, 1.0])


def test_uncertainty_and_its_gradients():
    rule = make("UncertaintyWeighting", weights={"depth": 1.0, "image": 1e-2})
    total, weights = step(rule)
    assert weights == pytest.approx([0.5, 0.5e-2])
    assert total.item() == pytest.approx(0.5 * 4 + 0.5 * 9)
    total.backward()
    (numbers,) = rule.parameters()
    # d/ds (e^-s L + s) / 2 at s = 0 is (1 - L) / 2
    assert numbers.grad.tolist() == pytest.approx([(1 - 4) / 2, (1 - 9) / 2])
    with torch.no_grad():
        numbers.copy_(torch.tensor([math.log(4.0), math.log(9.0)]))
        numbers.grad = None
    total, weights = step(rule)
    assert weights == pytest.approx([0.5 / 4, 0.5e-2 / 9], rel=1e-6)
    total.backward()
    assert numbers.grad.tolist() == pytest.approx([0, 0], abs=1e-6), "variances that equal the losses are where it rests"


def test_imtl_l_and_its_gradients():
    rule = make("IMTLL", weights={"depth": 1.0, "image": 1e-2})
    total, weights = step(rule)
    assert weights == pytest.approx([1.0, 1e-2])
    total.backward()
    (numbers,) = rule.parameters()
    assert numbers.grad.tolist() == pytest.approx([4 - 1, 9 - 1])


def test_geometric_mean():
    total, weights = step(make("GeometricMean"))
    assert weights == pytest.approx([60 / (2 * 4), 60 / (2 * 900)], rel=1e-5)
    assert total.item() == pytest.approx(60, rel=1e-5)
    assert step(make("GeometricMean"), image=0.0)[1] == pytest.approx([1.0, 0.0])


def test_random_weights_are_softmaxes_of_normal_numbers():
    rule = make("RandomWeighting", seed=4)
    drawn = np.array([step(rule)[1] for _ in range(400)])
    np.testing.assert_allclose(drawn.sum(axis=1), 1, rtol=1e-5)
    odds = np.log(drawn[:, 0] / drawn[:, 1])  # a difference of two normal numbers
    assert abs(odds.mean()) < 0.25
    assert odds.std() == pytest.approx(math.sqrt(2), rel=0.1)
    assert step(make("RandomWeighting", seed=4))[1] == pytest.approx(list(drawn[0]))
    assert step(make("RandomWeighting", seed=5))[1] != pytest.approx(list(drawn[0]))


def test_dwa_by_hand():
    rule = make("DWA", period=2, temperature=2.0)
    losses = [(8.0, 100.0), (4.0, 100.0), (3.0, 90.0), (3.0, 90.0), (1.0, 1.0), (1.0, 1.0), (5.0, 5.0)]
    found = [step(rule, *values)[1] for values in losses]
    assert found[:4] == [[1.0, 1.0]] * 4, "two periods without a history"
    for rates, weights in (([3 / 6, 90 / 100], found[4]), ([1 / 3, 1 / 90], found[6])):
        powers = np.exp(np.array(rates) / 2)
        assert weights == pytest.approx(2 * powers / powers.sum(), rel=1e-6)
    assert found[5] == found[4]


# ---- Inner products


class Two(torch.nn.Module):
    """Shared layer, and a layer of each task."""

    def __init__(self):
        super().__init__()
        self.shared, self.depth, self.image = (torch.nn.Linear(3, 3, dtype=torch.float64) for _ in range(3))

    def losses(self):
        self.features = torch.tanh(self.shared(torch.arange(6.0, dtype=torch.float64).reshape(2, 3)))
        return {"depth": self.depth(self.features).square().mean(), "image": self.image(self.features).abs().sum()}


def test_inner_products_at_features_are_those_of_the_jacobian():
    net = Two()
    losses = net.losses()

    def both(z):
        return torch.stack([net.depth(z).square().mean(), net.image(z).abs().sum()])

    explicit = torch.autograd.functional.jacobian(both, net.features.detach()).flatten(1)
    torch.testing.assert_close(feature_gramian(losses, (net.features,)), explicit @ explicit.T)


@pytest.mark.parametrize("zeros", [False, True])
def test_inner_products_at_parameters_are_those_of_the_shared_layer(zeros):
    """Also where a task has zeros, and not nothing, at what it doesn't reach: a compiled network says it so."""
    net = Two()
    losses = net.losses()
    if zeros:
        nothing = 0.0 * sum(parameter.sum() for parameter in net.parameters())
        losses = {task: loss + nothing for task, loss in losses.items()}
    rows = torch.stack(
        [
            torch.cat([g.flatten() for g in torch.autograd.grad(loss, tuple(net.shared.parameters()), retain_graph=True)])
            for loss in losses.values()
        ]
    )
    parameters = tuple(net.parameters())
    torch.testing.assert_close(inner_products(shared_gradients(losses, parameters)), rows @ rows.T)
    logged = gradient_log(losses, parameters, "depth")
    lengths = rows.norm(dim=1)
    assert float(logged["image/grad_norm"]) == pytest.approx(float(lengths[1]))
    assert float(logged["image/grad_cosine"]) == pytest.approx(float(rows[0] @ rows[1] / lengths.prod()))
    assert set(logged) == {"depth/grad_norm", "image/grad_norm", "image/grad_cosine"}


def test_a_task_without_a_gradient_shares_nothing():
    """A batch without a label: depth's gradient is that of all it reaches."""
    net = Two()
    losses = net.losses()
    losses["image"] = 0.0 * losses["image"]
    matrix = inner_products(shared_gradients(losses, tuple(net.parameters())))
    own = torch.autograd.grad(losses["depth"], (*net.shared.parameters(), *net.depth.parameters()))
    expected = sum(g.square().sum() for g in own)
    torch.testing.assert_close(matrix, torch.diag(torch.stack([expected, torch.zeros_like(expected)])))


def test_features_that_no_loss_depends_on_are_named():
    net = Two()
    losses = net.losses()
    other = torch.ones(2, requires_grad=True)
    for features in ((), (other,)):
        with pytest.raises(ConfigError, match="gramian_at='parameters'"):
            feature_gramian(losses, features)
