"""Rules of weighting against their papers' equations in numpy and scipy, and against torchjd on whole Jacobians."""

import numpy as np
import pytest
import torch
import torchjd.aggregation
from scipy.optimize import minimize

from mtdc.registry import WEIGHTING, build

TASKS = ("depth", "image", "normals")


def jacobian(tasks=2, seed=0, conflict=True, scale=1.0):
    """One gradient a row, of different lengths; the first two conflict."""
    rows = np.random.default_rng(seed).normal(size=(tasks, 7)) * np.array([1.0, 2.5, 0.6])[:tasks, None]
    if conflict:
        rows[1] -= (rows[1] @ rows[0] / (rows[0] @ rows[0]) + 0.7) * rows[0]
    return scale * rows


def weights(name, rows, steps=1, **options):
    """The weights that the rule gives after some steps with these gradients."""
    names = TASKS[: len(rows)]
    rule = build(WEIGHTING, {"type": name, **options}, "weighting", tasks=names)
    rows = torch.from_numpy(np.asarray(rows))
    losses = {task: torch.tensor(1.0, requires_grad=True) for task in names}
    for _ in range(steps):
        _, found = rule(losses, lambda: rows @ rows.T)
    return np.array([float(found[task]) for task in names])


def quadratic(gram, start):
    """argmin w G w over w >= start: the projection on the cone of directions that harm no task."""
    found = minimize(
        lambda w: w @ gram @ w, start, jac=lambda w: 2 * gram @ w, bounds=[(s, None) for s in start], method="L-BFGS-B",
        options={"ftol": 1e-16, "gtol": 1e-12},
    )  # fmt: skip
    return found.x


@pytest.mark.parametrize("scale", [1.0, 1e-5])
@pytest.mark.parametrize("conflict", [True, False])
def test_pcgrad_of_two(conflict, scale):
    g1, g2 = jacobian(conflict=conflict, seed=3, scale=scale)
    assert (g1 @ g2 < 0) == conflict
    update = g1 + g2
    if conflict:
        update = g1 - (g1 @ g2) / (g2 @ g2) * g2 + g2 - (g2 @ g1) / (g1 @ g1) * g1
    np.testing.assert_allclose(weights("PCGrad", [g1, g2]) @ [g1, g2], update, rtol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 1e-5])
def test_mgda_of_two(scale):
    for seed in range(4):
        g1, g2 = jacobian(seed=seed, conflict=seed % 2 == 0, scale=scale)
        share = np.clip((g2 - g1) @ g2 / ((g1 - g2) @ (g1 - g2)), 0, 1)
        np.testing.assert_allclose(weights("MGDA", [g1, g2]), [share, 1 - share], atol=1e-6)


def test_mgda_of_gradients_of_length_one_does_not_favour_the_shorter():
    g1, g2 = jacobian()
    plain, normal = (weights("MGDA", [g1, 1e-4 * g2], normalize=flag) for flag in (False, True))
    assert plain[1] > 0.99
    lengths = [np.linalg.norm(g1), np.linalg.norm(1e-4 * g2)]
    np.testing.assert_allclose(normal * lengths, [0.5, 0.5], rtol=1e-4)


@pytest.mark.parametrize("scale", [1.0, 1e-5])
@pytest.mark.parametrize("tasks", [2, 3])
def test_cagrad_is_its_problems_optimum(tasks, scale):
    """max over d of min over i of <g_i, d> with |d - g0| <= c |g0|, solved in the plane of the gradients."""
    rows, c = jacobian(tasks), 0.4
    mean = rows.mean(axis=0)

    def worst(w):  # its dual: w on the simplex
        return w @ rows @ mean + c * np.linalg.norm(mean) * np.linalg.norm(w @ rows)

    found = minimize(
        worst, np.full(tasks, 1 / tasks), bounds=[(0, 1)] * tasks, constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        method="SLSQP", options={"ftol": 1e-14, "maxiter": 500},
    )  # fmt: skip
    direction = found.x @ rows
    update = mean + c * np.linalg.norm(mean) * direction / np.linalg.norm(direction)
    np.testing.assert_allclose(weights("CAGrad", scale * rows, c=c) @ rows, update, rtol=1e-3, atol=1e-4)
    assert np.linalg.norm(update - mean) == pytest.approx(c * np.linalg.norm(mean))
    np.testing.assert_allclose(weights("CAGrad", rows, c=0.0), 1 / tasks, rtol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 1e-5])
def test_imtl_g_projects_alike_on_all_gradients(scale):
    rows = jacobian(3, scale=scale)
    found = weights("IMTLG", rows)
    projections = rows @ (found @ rows) / np.linalg.norm(rows, axis=1)
    np.testing.assert_allclose(projections, projections[0], rtol=1e-5)
    assert found.sum() == pytest.approx(1)


@pytest.mark.parametrize("scale", [1.0, 1e-5, 1e3])
@pytest.mark.parametrize("tasks", [2, 3])
def test_nash_mtl_solves_its_equation(tasks, scale):
    rows = jacobian(tasks, seed=1, scale=scale)
    found = weights("NashMTL", rows, max_norm=0.0, iterations=100)
    np.testing.assert_allclose(rows @ rows.T @ found * found, 1, rtol=2e-2)
    assert np.linalg.norm(found @ rows) == pytest.approx(np.sqrt(tasks), rel=1e-5)
    limited = weights("NashMTL", rows, max_norm=0.5, iterations=100)
    np.testing.assert_allclose(limited, found * 0.5 / np.sqrt(tasks), rtol=1e-4)


def test_nash_mtl_of_two_in_closed_form():
    """Two tasks: u = 1 / sqrt(1 + cosine) at gradients of length 1 solves C u = 1 / u."""
    g1, g2 = jacobian()
    lengths = np.array([np.linalg.norm(g1), np.linalg.norm(g2)])
    cosine = g1 @ g2 / lengths.prod()
    np.testing.assert_allclose(weights("NashMTL", [g1, g2], max_norm=0.0), 1 / np.sqrt(1 + cosine) / lengths, rtol=1e-4)


@pytest.mark.parametrize("scale", [1.0, 1e-5])
@pytest.mark.parametrize("alpha", [1.0, 2.0])
def test_fairgrad_solves_its_equation(alpha, scale):
    rows = jacobian(3, scale=scale)
    found = weights("FairGrad", rows, alpha=alpha)
    np.testing.assert_allclose(rows @ rows.T @ found * found ** (1 / alpha), 1, rtol=1e-4)


@pytest.mark.parametrize("scale", [1.0, 1e-5])
@pytest.mark.parametrize("tasks", [2, 3])
def test_upgrad_and_dualproj_are_projections(tasks, scale):
    rows = jacobian(tasks)
    gram = rows @ rows.T
    mean = quadratic(gram, np.full(tasks, 1 / tasks))
    own = sum(quadratic(gram, unit) for unit in np.eye(tasks)) / tasks
    for name, expected in (("DualProj", mean), ("UPGrad", own)):
        found = weights(name, scale * rows)
        np.testing.assert_allclose(found, expected, rtol=1e-2)
        assert (rows @ (found @ rows) > -1e-2).all(), "no task is harmed"
    assert found.max() > 1.2 / tasks, "UPGrad must act on gradients that conflict"


@pytest.mark.parametrize("scale", [1.0, 1e-5])
def test_aligned_mtl_by_singular_values(scale):
    """Gradients made orthogonal, all of the smallest singular value, averaged."""
    rows = jacobian(3, scale=scale)
    left, values, right = np.linalg.svd(rows, full_matrices=False)
    update = values.min() * (left @ right).mean(axis=0)
    np.testing.assert_allclose(weights("AlignedMTL", rows) @ rows, update, rtol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 1e-5])
def test_gradvac_of_two_over_steps(scale):
    """By hand: two steps with the same gradients; the likeness of the second is half the first cosine."""
    g1, g2 = jacobian(conflict=True)
    length = np.linalg.norm
    likeness = {0: 0.0, 1: 0.0}
    for _ in range(2):
        update = np.zeros_like(g1)
        for number, (own, other) in enumerate(((g1, g2), (g2, g1))):
            cosine = own @ other / length(own) / length(other)
            goal = likeness[number]
            changed = own
            if cosine < goal:
                top = length(own) * (goal * np.sqrt(1 - cosine**2) - cosine * np.sqrt(1 - goal**2))
                changed = own + top / (length(other) * np.sqrt(1 - goal**2)) * other
            update = update + changed
            likeness[number] = 0.5 * goal + 0.5 * cosine
    found = weights("GradVac", [scale * g1, scale * g2], steps=2, beta=0.5)
    np.testing.assert_allclose(found @ [g1, g2], update, rtol=1e-4)
    assert abs(found - weights("GradVac", [g1, g2], steps=1)).max() > 1e-2, "the second step differs from the first"


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("PCGrad", torchjd.aggregation.PCGrad()),
        ("MGDA", torchjd.aggregation.MGDA()),
        ("IMTLG", torchjd.aggregation.IMTLG()),
        ("UPGrad", torchjd.aggregation.UPGrad()),
        ("DualProj", torchjd.aggregation.DualProj()),
        ("AlignedMTL", torchjd.aggregation.AlignedMTL()),
        ("CAGrad", torchjd.aggregation.CAGrad(c=0.4)),
        ("FairGrad", torchjd.aggregation.FairGrad(alpha=1.0)),
        ("GradVac", torchjd.aggregation.GradVac()),
    ],
)
def test_the_update_is_torchjds(name, theirs):
    """Two tasks, so that the random order of PCGrad and GradVac is the only one."""
    rows = jacobian(2, seed=5)
    expected = theirs(torch.from_numpy(rows)).numpy()
    np.testing.assert_allclose(weights(name, rows) @ rows, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("hard", [False, True])
def test_cosine_gating_by_hand(hard):
    rows = jacobian(3, seed=2)
    length = np.linalg.norm(rows, axis=1)
    cosines = rows @ rows[0] / length / length[0]
    assert cosines[1] < 0 < cosines[2]
    gates = np.where(cosines > 0, 1.0 if hard else cosines, 0.0)
    factors = np.array([1.0, 3.0, 0.5])
    found = weights("PrimaryCosineGating", rows, hard=hard, weights=dict(zip(TASKS, factors, strict=True)))
    np.testing.assert_allclose(found, factors * gates, rtol=1e-6)
    assert rows[0] @ (found @ rows) > 0, "to first order the primary task is not harmed"


def test_one_step_of_grad_norm_by_hand():
    rule = build(WEIGHTING, {"type": "GradNorm", "alpha": 1.5, "rate": 0.1}, "weighting", tasks=("depth", "image"))

    def step(depth, image):
        values = {"depth": torch.tensor(depth, requires_grad=True), "image": torch.tensor(image, requires_grad=True)}
        found = rule(values, lambda: torch.tensor([[4.0, 1.0], [1.0, 36.0]], dtype=torch.float64))[1]
        return [float(found["depth"]), float(found["image"])]

    assert step(8.0, 100.0) == [1.0, 1.0], "the first step has the weights of the start"
    # Lengths 2 and 6, mean 4, ratios 1: targets 4 and 4. Slopes -2/4 and +6/4: 1 + 0.05 and 1 - 0.15, sum 1.9, made 2.
    first = np.array([1.05, 0.85]) * 2 / 1.9
    np.testing.assert_allclose(step(4.0, 100.0), first, rtol=1e-6)
    # Ratios 0.5 and 1, of their mean 2/3 and 4/3.
    lengths = first * [2, 6]
    targets = lengths.mean() * np.array([2 / 3, 4 / 3]) ** 1.5
    second = first - 0.1 * np.sign(lengths - targets) * np.array([0.5, 1.5])
    np.testing.assert_allclose(step(4.0, 100.0), second * 2 / second.sum(), rtol=1e-6)
