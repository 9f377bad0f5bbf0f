"""Predicted class means against refits by scikit-learn and the kriging system."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from cizsl.closed_form.class_means import predict


def classes(seen=12, unseen=5, terms=30, dim=4):
    g = torch.Generator().manual_seed(3)

    def draw(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    return draw(seen, terms) + 0.5, draw(unseen, terms) + 0.5, draw(seen, dim) * 2 + 1


def test_unseen_means_are_ridge_regression_with_an_intercept():
    seen, unseen, centroids = classes()
    unit = (seen - seen.mean(0)).square().sum(1).mean().item()
    theirs = Ridge(alpha=0.3 * unit).fit(seen.numpy(), centroids.numpy())
    ours = predict(seen, unseen, centroids, 0.3).unseen
    np.testing.assert_allclose(ours, theirs.predict(unseen.numpy()), atol=1e-12)


@pytest.mark.parametrize("groups", [None, [[0], [1, 5, 7], [2, 3], [4, 6, 8, 9, 10, 11]]])
def test_left_out_predictions_are_those_of_a_refit(groups):
    """The penalty of the refit is the same number: its unit is that of the whole fit."""
    seen, unseen, centroids = classes()
    found = predict(seen, unseen, centroids, 0.3, groups and [torch.tensor(g) for g in groups])
    unit = (seen - seen.mean(0)).square().sum(1).mean().item()
    for group in groups or [[i] for i in range(len(seen))]:
        rest = [i for i in range(len(seen)) if i not in group]
        refit = Ridge(alpha=0.3 * unit).fit(seen[rest].numpy(), centroids[rest].numpy())
        expected = refit.predict(seen[group].numpy())
        np.testing.assert_allclose(found.left_out[group], expected, atol=1e-12)


def kriging_variance(K, k, k_tt, shift):
    """The variance by the kriging system, which has the constant as a Lagrange multiplier."""
    n = len(K)
    system = torch.zeros(n + 1, n + 1, dtype=K.dtype)
    system[:n, :n] = K + shift * torch.eye(n, dtype=K.dtype)
    system[n, :n] = system[:n, n] = 1
    right = torch.cat([k, torch.ones(1, dtype=K.dtype)])
    return k_tt - right @ torch.linalg.solve(system, right)


def test_variance_is_that_of_kriging():
    seen, unseen, centroids = classes()
    found = predict(seen, unseen, centroids, 0.3)
    unit = (seen - seen.mean(0)).square().sum(1).mean()
    K, k, k_tt = seen @ seen.T, unseen @ seen.T, unseen.square().sum(1)
    for u in range(len(unseen)):
        expected = kriging_variance(K, k[u], k_tt[u], 0.3 * unit)
        torch.testing.assert_close(found.unseen_variance[u] * unit, expected)
    for i in range(len(seen)):
        rest = [j for j in range(len(seen)) if j != i]
        expected = kriging_variance(K[rest][:, rest], K[rest, i], K[i, i], 0.3 * unit)
        torch.testing.assert_close(found.left_out_variance[i] * unit, expected)


def test_the_origin_of_the_texts_does_not_matter():
    seen, unseen, centroids = classes()
    a, b = predict(seen, unseen, centroids, 0.1), predict(seen + 7, unseen + 7, centroids, 0.1)
    torch.testing.assert_close(a.unseen, b.unseen, rtol=0, atol=1e-10)
    torch.testing.assert_close(a.left_out_variance, b.left_out_variance, rtol=0, atol=1e-10)
