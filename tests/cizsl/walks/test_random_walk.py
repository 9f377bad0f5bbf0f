"""Losses of random walks against loops over matrix powers, closed forms and finite differences."""

import math

import pytest
import torch

from cizsl import divergences
from cizsl.creativity import CREATIVITY
from cizsl.walks.random_walk import PUBLISHED_FLOOR, RandomWalk, euclidean, grouped_returning
from repro.errors import InputError

pytestmark = pytest.mark.usefixtures("float64")
K, N, H = 5, 12, 7
DECAYS = 1 + 0.7 + 0.7**2 + 0.7**3


def uniform(log_walk):
    return CREATIVITY["random_walk"](log_walk, 0.5, 0.5)


def slow_walks(similar_KN, similar_NN, steps):
    """R Q^t L by loops over entries and whole matrix powers; a sample never steps to itself."""

    def rows(table, excluded=()):
        out = torch.zeros_like(table)
        for i, row in enumerate(table):
            weights = [0.0 if (i, j) in excluded else math.exp(v) for j, v in enumerate(row)]
            out[i] = torch.tensor(weights) / sum(weights)
        return out

    itself = {(i, i) for i in range(len(similar_NN))}
    to, back, between = rows(similar_KN), rows(similar_KN.T), rows(similar_NN, itself)
    powers = [torch.linalg.matrix_power(between, t) for t in range(steps + 1)]
    return to, [to @ power @ back for power in powers]


def unit(rows):
    return torch.stack([row / row.norm() for row in rows])


def slow(prototypes, samples, scale, visit, on_diagonal):
    p, f = scale * unit(prototypes), scale * unit(samples)
    to, walks = slow_walks(p @ f.T, f @ f.T, 3)
    loss = -visit * sum(math.log(to[:, j].mean()) for j in range(len(f))) / len(f)
    for t, walk in enumerate(walks):
        kept = walk.diagonal() if on_diagonal else walk.flatten()
        loss += 0.7**t * -sum(math.log(value) for value in kept) / len(kept)
    return loss


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_losses_are_those_of_matrix_powers(scale):
    prototypes, samples = torch.randn(K, H), torch.randn(N, H)
    walk = RandomWalk(scale=scale, visit=0.4)
    expected = slow(prototypes, samples, scale, 0.4, on_diagonal=True)
    assert walk.returning(prototypes, samples).item() == pytest.approx(expected, rel=1e-12)
    expected = slow(prototypes, samples, scale, 0.4, on_diagonal=False)
    assert walk.landing(prototypes, samples, uniform).item() == pytest.approx(expected, rel=1e-12)


def test_absent_classes_are_left_out():
    """With a mask the loss is that of the other classes alone, gradients included."""
    prototypes, samples = torch.randn(K, H, requires_grad=True), torch.randn(N, H)
    present, walk = torch.tensor([True, False, True, True, False]), RandomWalk()
    masked = walk.returning(prototypes, samples, present)
    alone = walk.returning(prototypes[present], samples)
    torch.testing.assert_close(masked, alone, rtol=1e-12, atol=0)
    found, expected = (torch.autograd.grad(loss, prototypes)[0] for loss in (masked, alone))
    torch.testing.assert_close(found, expected)
    assert not found[~present].any()


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
def test_gradients_by_finite_differences(similarity):
    prototypes, samples = torch.rand(3, 4, requires_grad=True), torch.rand(6, 4, requires_grad=True)
    walk = RandomWalk(similarity=similarity)
    assert torch.autograd.gradcheck(walk.returning, (prototypes, samples))
    assert torch.autograd.gradcheck(lambda p, f: walk.landing(p, f, uniform), (prototypes, samples))


def test_landing_is_a_divergence_from_uniform():
    """The cross-entropy is mean KL(uniform || W[c]) + ln K, by the divergences of CIZSL."""
    walk = torch.rand(K, K).softmax(1)
    even = torch.full_like(walk, 1 / K)
    expected = divergences.kl(even, walk).mean() + math.log(K)
    torch.testing.assert_close(uniform(walk.log()), expected)


def test_least_landing():
    """It is reached where all features are the same, and nowhere undercut."""
    walk, same = RandomWalk(visit=0.5), torch.ones(K, H)
    least = walk.least_landing(K, N)
    assert least == pytest.approx(DECAYS * math.log(K) + 0.5 * math.log(N))
    found = walk.landing(same, torch.ones(N, H), uniform)
    assert found.item() == pytest.approx(least, rel=1e-12)
    for _ in range(20):
        assert walk.landing(torch.randn(K, H), torch.randn(N, H), uniform) > least


def grouped_features(groups, classes, samples):
    """Classes in equal groups; every sample of a group is the same unit vector."""
    prototypes = torch.eye(groups).repeat_interleave(classes // groups, dim=0)
    return prototypes, prototypes.repeat_interleave(samples, dim=0)


def grouped_by_hand(classes, groups, samples, scale):
    """As :func:`grouped_returning`, with a sample's step to itself excluded."""
    e, size = math.exp(scale**2), classes * samples // groups
    kept = e / (e + groups - 1)
    stays = (size - 1) * e / ((size - 1) * e + (groups - 1) * size)
    inside, loss = kept, 0.0
    for t in range(4):
        back = inside * kept + (1 - inside) * (1 - kept) / max(1, groups - 1)
        loss -= 0.7**t * math.log(back * groups / classes)
        inside = inside * stays + (1 - inside) * (1 - stays) / max(1, groups - 1)
    return loss


@pytest.mark.parametrize("groups", [1, 2, 6, 12])
@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_groups_of_equal_features_in_closed_form(groups, scale):
    walk = RandomWalk(scale=scale, visit=0.0)
    found = walk.returning(*grouped_features(groups, 12, 4)).item()
    assert found == pytest.approx(grouped_by_hand(12, groups, 4, scale), rel=1e-9)


def test_grouped_returning_is_the_limit_of_many_samples():
    found = grouped_returning(12, 6, 1.5)
    assert grouped_by_hand(12, 6, 10**7, 1.5) == pytest.approx(found, rel=1e-6)


@pytest.mark.parametrize(
    ("scale", "best"), [(1.0, 3), (2.0, 28), (2.5, 150), (RandomWalk().scale, 150)]
)
def test_separation_is_the_optimum_only_at_a_low_temperature(scale, best):
    """K = 150: the number of groups of equal features with the least returning loss."""
    losses = {groups: grouped_returning(150, groups, scale) for groups in range(1, 151)}
    assert min(losses, key=losses.__getitem__) == best


def test_numbers_of_the_docstring():
    found = [grouped_returning(150, groups, 1.0) for groups in (1, 150, 3, 4)]
    assert found == pytest.approx([12.692, 12.673, 12.371, 12.383], abs=5e-4)


def test_separated_clusters_return_as_the_scale_grows():
    features = grouped_features(6, 6, 3)
    losses = [RandomWalk(scale=s, visit=0.0).returning(*features).item() for s in (1, 3, 6)]
    assert losses[0] > losses[1] > losses[2] and losses[2] < 1e-9


def test_the_published_floor_ends_the_gradient():
    """All samples are near class 0, distances squared are hundreds: half of the probabilities are
    1, half count as 1e-10, and no gradient is left; ours has one."""
    prototypes = torch.tensor([[0.0, 1.0], [20.0, 1.0]])
    losses, gradients = [], []
    for floor in (PUBLISHED_FLOOR, None):
        samples = torch.tensor([[0.1, 0.9], [0.2, 1.0], [0.0, 1.1]], requires_grad=True)
        walk = RandomWalk(similarity="euclidean", visit=0.0, floor=floor)
        loss = walk.landing(prototypes, samples, uniform)
        losses.append(loss.item())
        gradients.append(torch.autograd.grad(loss, samples)[0].abs().max().item())
    assert losses[0] == pytest.approx(DECAYS * 5 * math.log(10), rel=1e-12) and losses[1] > 400
    assert gradients[0] < 1e-12 and gradients[1] > 1  # of 1, whose logarithm is rounded


def test_euclidean_similarity():
    a, b = torch.randn(3, H), torch.randn(4, H)
    expected = -torch.stack([((x - b) ** 2).sum(1) for x in a])
    torch.testing.assert_close(euclidean(a, b, 1.0), expected)


def test_one_sample_is_refused():
    with pytest.raises(InputError, match="two samples or more; there are 1"):
        RandomWalk().returning(torch.rand(K, H), torch.rand(1, H))
