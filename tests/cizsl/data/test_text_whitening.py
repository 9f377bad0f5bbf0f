"""Partial whitening of texts, against powers of the covariance matrix of the seen rows."""

import numpy as np
import pytest
import torch

from cizsl import build
from cizsl.cli.parser import main
from cizsl.config import CIZSLConfig
from cizsl.data.text_whitening import whiten, whiten_texts
from repro import locate

S, U, V = 7, 4, 9


@pytest.fixture
def texts():
    rng = torch.Generator().manual_seed(0)
    stretch = torch.linspace(0.2, 3, V).double()
    both = torch.randn(S + U, V, generator=rng, dtype=torch.float64) * stretch + 5
    return both[:S], both[S:]


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def by_eigenvectors(seen, unseen, w):
    """z from the eigenvectors of C = sum u u', whose power -w/2 is s^-w on its span."""
    centre = seen.mean(0)
    length = np.sqrt(((seen - centre) ** 2).sum(1).mean())
    u = unit(seen - centre)
    values, vectors = np.linalg.eigh(u.T @ u)
    kept = values > 1e-10 * values[-1]
    power = (vectors[:, kept] * values[kept] ** (-w / 2)) @ vectors[:, kept].T
    return [length * unit(unit(rows - centre) @ power) for rows in (seen, unseen)]


@pytest.mark.parametrize("w", [0.0, 0.5, 1.0])
def test_it_is_the_power_of_the_covariance(texts, w):
    found, expected = whiten(*texts, w), by_eigenvectors(*(t.numpy() for t in texts), w)
    for z, oracle in zip(found, expected, strict=True):
        np.testing.assert_allclose(z, oracle, rtol=0, atol=1e-11 * np.abs(oracle).max())


def test_whole_whitening_makes_seen_texts_equally_alike(texts):
    """With w = 1 the S rows y are those of a projection of rank S - 1: all angles are fixed by the
    weights with which the u add up to zero."""
    seen, _ = texts
    z = whiten(*texts, 1.0)[0]
    weights = torch.linalg.vector_norm(seen - seen.mean(0), dim=1)
    n = weights / weights.norm()  # the left null vector of the rows u
    y = torch.eye(S).double() - torch.outer(n, n)  # Y Y' = the projection
    cosines = y / torch.outer(y.diagonal(), y.diagonal()).sqrt()
    length = z.norm(dim=1).mean()
    torch.testing.assert_close(z @ z.T / length**2, cosines, rtol=0, atol=1e-11)


def test_a_class_without_text_stays_zero_and_takes_no_part(texts):
    seen, unseen = texts
    found = whiten(torch.cat([seen, torch.zeros(1, V).double()]), unseen, 0.5)
    expected = whiten(seen, unseen, 0.5)
    assert torch.equal(found[0][:S], expected[0]) and torch.equal(found[1], expected[1])
    assert not found[0][S].any()


def test_unseen_texts_take_no_part(texts):
    seen, unseen = texts
    alone = whiten(seen, unseen[:1], 0.5)
    both = whiten(seen, unseen * torch.tensor([[1.0], [9], [9], [9]]), 0.5)
    assert torch.equal(alone[0], both[0])
    torch.testing.assert_close(alone[1], both[1][:1], rtol=1e-12, atol=1e-12)


def test_only_the_texts_with_a_number_change(texts):
    seen, unseen = (torch.cat([t, t[:, :3], t], 1) for t in texts)
    found = whiten_texts(seen, unseen, (V, 3, V), [0, 0.5])
    middle = whiten(seen[:, V : V + 3], unseen[:, V : V + 3], 0.5)
    for new, old, part in zip(found, (seen, unseen), middle, strict=True):
        assert torch.equal(new, torch.cat([old[:, :V], part, old[:, V + 3 :]], 1))
    one = whiten_texts(*texts, (), [0.5, 1, 1])  # numbers of texts that are not there
    assert torch.equal(one[0], whiten(*texts, 0.5)[0])


def test_tasks_have_whitened_texts():
    """The embeddings of the compact birds, by the classes of each task."""
    config = locate.load("compact_easy_gazsl", "cizsl", CIZSLConfig, [])
    plain = config.with_values({"data.text_whitening": ()})
    data = build.data(config)
    for stage in ("validation", "test"):
        task, before = (build.task(c, data, stage, torch.device("cpu")) for c in (config, plain))
        widths = before.text_blocks
        expected = whiten_texts(before.seen_text, before.unseen_text, widths, [0, 0.5, 0])
        assert torch.equal(task.seen_text, expected[0])
        assert torch.equal(task.unseen_text, expected[1])
        assert not torch.equal(task.seen_text, before.seen_text)


def test_a_number_above_one_is_refused(capsys):
    assert main(["train", "compact_easy_gazsl", "data.text_whitening=[0, 2]"]) == 2
    assert "data.text_whitening: should be less than or equal to 1" in capsys.readouterr().err
