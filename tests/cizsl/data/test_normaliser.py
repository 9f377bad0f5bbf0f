"""The coordinates of linear discriminant analysis, against SciPy's distances."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.covariance import shrunk_covariance

from cizsl.data.normalise import DISCRIMINANTS, SHRINKAGE, kinds, normalise, normaliser
from repro.errors import InputError


def test_distances_of_centroids_are_those_of_mahalanobis():
    """Five coordinates keep the distances of six centroids, in units of the shrunk covariance."""
    g = torch.Generator().manual_seed(0)
    labels = torch.arange(6).repeat_interleave(20)
    mix, means = torch.randn(10, 10, generator=g), 2 * torch.randn(6, 10, generator=g)
    x = (means[labels] + torch.randn(120, 10, generator=g) @ mix).double()
    encode = normaliser(x, 3 * labels, "discriminant")
    centroids = torch.stack([x[labels == k].mean(0) for k in range(6)])
    pooled = (x - centroids[labels]).T @ (x - centroids[labels]) / (120 - 6)
    precision = np.linalg.inv(shrunk_covariance(pooled.numpy(), SHRINKAGE))
    expected = cdist(centroids, centroids, "mahalanobis", VI=precision)
    assert encode(x).shape == (120, 5)
    np.testing.assert_allclose(torch.cdist(encode(centroids), encode(centroids)), expected)


def test_other_kinds_and_names():
    x = torch.arange(12.0).reshape(4, 3)
    assert {*DISCRIMINANTS} <= {*kinds()}
    for kind in set(kinds()) - {*DISCRIMINANTS}:
        assert torch.equal(normaliser(x, torch.arange(4), kind)(x), normalise(x, x, kind))
    with pytest.raises(InputError, match="unknown normalisation"):
        normaliser(x, torch.arange(4), "variance")(x)
    assert np.isin(("published", "discriminant"), list(kinds())).all()


def test_roots_have_length_one_and_may_come_before_discriminants():
    g = torch.Generator().manual_seed(1)
    x, labels = torch.rand(40, 6, generator=g).double(), torch.arange(40) % 4
    roots = np.sqrt(x.numpy() / x.numpy().sum(1, keepdims=True))  # sqrt(x) / |sqrt(x)|
    np.testing.assert_allclose(normalise(x, x, "root"), roots)
    found = normaliser(x, labels, "root_discriminant")(x[:5])
    expected = normaliser(torch.from_numpy(roots), labels, "discriminant")
    np.testing.assert_allclose(found, expected(torch.from_numpy(roots[:5])), rtol=1e-9, atol=1e-9)
    with pytest.raises(InputError, match="features as low as -1; expected >= 0"):
        normalise(-x.ceil(), x, "root")
