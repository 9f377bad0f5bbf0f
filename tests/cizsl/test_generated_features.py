"""The figure of generated features, and the numbers of its failure modes against loops."""

import numpy as np
import pytest
import torch

from cizsl.training import finished
from examples import generated_features as shown


def test_the_figure_is_drawn_and_the_numbers_are_printed(finished_strict, tmp_path, capsys):
    shown.main([str(finished_strict), "--out", str(tmp_path)])
    assert (tmp_path / f"{shown.NAME}.png").stat().st_size > 5_000
    lines = capsys.readouterr().out.splitlines()
    found = dict(line.removeprefix(f"{finished_strict}: ").split(": ", 1) for line in lines)
    assert len(found) == 10
    task = shown.task_of(finished.read(finished_strict), "validation")
    seen, own = task.centroids.numpy(), shown.centroids(task).numpy()
    x, labels = task.unseen_features.numpy(), task.unseen_labels.numpy()
    nearer = [
        min(np.linalg.norm(row - mean) for mean in seen) < np.linalg.norm(row - own[label])
        for row, label in zip(x, labels, strict=True)
    ]
    share = f"(photographs: {100 * np.mean(nearer):.1f})"
    assert found["nearer to a seen mean, %"].endswith(share)


def test_statistics_of_known_features():
    """Photographs as their own samples have ratio 1; means on a line have a known spread."""
    means = torch.tensor([[-2.0, 0.0], [0.0, 0.0], [2.0, 0.0]])
    assert shown.spread_of(means) == pytest.approx(8 / 3)
    x = torch.cat([means + torch.tensor([0.0, step]) for step in (-1.0, 1.0)])
    assert shown.within(x, torch.arange(3).repeat(2), means) == pytest.approx(6 / 3)


def test_skewness_of_neighbours():
    """25 samples; 20 of them, those along the images, are the neighbours of every image."""
    samples = torch.cat([torch.tensor([[1.0, 0.0]]).repeat(20, 1), -torch.eye(2)[:1].repeat(5, 1)])
    samples = samples + 0.01 * torch.arange(25)[:, None] * torch.tensor([0.0, 1.0])
    counts = np.array([7.0] * 20 + [0.0] * 5)
    expected = ((counts - counts.mean()) ** 3).mean() / counts.std() ** 3
    images = torch.tensor([[1.0, 0.1]]).repeat(7, 1)
    assert shown.hubness(samples, images) == pytest.approx(expected, rel=1e-12)
