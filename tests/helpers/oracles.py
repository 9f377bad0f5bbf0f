"""The slow and the obvious: what the fast code is tested and benchmarked against.

Everything here is written straight from the definitions: plain autograd, loops over images and
classes, dense copies. Nothing here is used by the product.
"""

import copy
import tempfile

import numpy as np
import torch
from sklearn.metrics.pairwise import cosine_similarity
from torch import nn
from torch.nn import functional as F

PUBLISHED_WEIGHTS = {
    "gradient_penalty": 10.0,
    "classification": 1.0,
    "pivot": 1.0,
    "l2": 1e-3,
    "l21": 1e-4,
    "hallucinated_adversarial": 1.0,
    "creativity": 0.1,
}


class PlainGenerator(nn.Module):
    """G with the text of every row written out and concatenated with the noise."""

    def __init__(self, generator):
        super().__init__()
        self.text_projection = copy.deepcopy(generator.text_projection)
        self.hidden = copy.deepcopy(generator.hidden)
        self.output = copy.deepcopy(generator.output)

    def forward(self, z, text):
        joined = torch.cat([z, self.text_projection(text)], dim=1)
        return torch.tanh(self.output(F.leaky_relu(self.hidden(joined), 0.01)))


class PlainDiscriminator(nn.Module):
    """D as two passes of three layers."""

    def __init__(self, discriminator):
        super().__init__()
        self.shared = copy.deepcopy(discriminator.shared)
        self.critic = copy.deepcopy(discriminator.critic)
        self.classifier = copy.deepcopy(discriminator.classifier)

    def forward(self, x):
        hidden = F.relu(self.shared(x))
        return self.critic(hidden), self.classifier(hidden)


def plain_gradient_penalty(discriminator, real, fake, weight):
    """Double backward through the critic at the interpolates."""
    points = (weight[:, None] * real + (1 - weight[:, None]) * fake).requires_grad_()
    value, _ = discriminator(points)
    ones = torch.ones_like(value)
    gradient = torch.autograd.grad(value, points, ones, create_graph=True)[0]
    return ((gradient.norm(2, dim=1) - 1) ** 2).mean()


def plain_critic_step(generator, discriminator, optimiser, features, labels, text, draws, penalty):
    """A critic step with one pass for each term; text gathered for each image."""
    real, y = features[draws.index], labels[draws.index]
    value, logits = discriminator(real)
    (F.cross_entropy(logits, y) - value.mean()).backward()
    fake = generator(draws.z, text[y]).detach()
    value, logits = discriminator(fake)
    (value.mean() + F.cross_entropy(logits, y)).backward()
    (penalty * plain_gradient_penalty(discriminator, real, fake, draws.weight)).backward()
    optimiser.step()
    optimiser.zero_grad()


def plain_pivot(fake, labels, centroids):
    """A loop over classes."""
    total = fake.new_zeros(())
    for label in range(len(centroids)):
        rows = fake[labels == label]
        if len(rows):
            total = total + (rows.mean(0) - centroids[label]).pow(2).sum().sqrt()
    return total / len(centroids)


def plain_hallucination(text, drawn):
    """Mixtures of whole texts, row by row, normalised by their own norm."""
    rows = []
    for i, j, a in zip(drawn.first, drawn.second, drawn.weight, strict=True):
        mixed = a * text[i] + (1 - a) * text[j]
        norm = mixed.norm()
        rows.append(mixed / norm if norm > 0 else mixed)
    return torch.stack(rows)


def plain_generator_step(
    generator, discriminator, optimiser, features, labels, text, centroids, draws, weights, creative
):
    """A generator step by plain autograd; ``creative(logits)`` is the creativity loss or None."""
    y = labels[draws.index]
    fake = generator(draws.z, text[y])
    value, logits = discriminator(fake)
    _, real_logits = discriminator(features[draws.index])
    classify = (F.cross_entropy(real_logits, y) + F.cross_entropy(logits, y)) / 2
    loss = -value.mean() + weights.classification * classify
    loss = loss + weights.pivot * plain_pivot(fake, y, centroids)
    named = dict(generator.named_parameters())
    loss = loss + weights.l2 * sum(p.pow(2).sum() for n, p in named.items() if "weight" in n)
    loss = loss + weights.l21 * generator.text_projection.weight.pow(2).sum(0).sqrt().sum()
    if creative is not None:
        drawn = draws.hallucination
        value, logits = discriminator(generator(drawn.z, plain_hallucination(text, drawn)))
        loss = loss - weights.hallucinated_adversarial * value.mean()
        loss = loss + weights.creativity * creative(logits)
    loss.backward()
    optimiser.step()
    optimiser.zero_grad()
    discriminator.zero_grad()


def plain_curve(seen_scores, seen_labels, unseen_scores, unseen_labels, num_seen, offsets):
    """The seen-unseen curve: for every offset, a copy of all scores and its argmax."""
    seen, unseen = [], []
    for offset in offsets:
        for scores, labels, out in (
            (seen_scores, seen_labels, seen),
            (unseen_scores, unseen_labels, unseen),
        ):
            shifted = copy.deepcopy(scores)
            shifted[:, num_seen:] += offset
            out.append((np.argmax(shifted, axis=1) == labels).mean())
    return np.array(seen), np.array(unseen)


def plain_knn(synthetic, synthetic_labels, features, k):
    """A full sort for every image, then a count of votes."""
    unit = synthetic / np.linalg.norm(synthetic, axis=1, keepdims=True)
    similarity = features / np.linalg.norm(features, axis=1, keepdims=True) @ unit.T
    nearest = np.argsort(-similarity, axis=1)[:, :k]
    predictions = []
    for row in synthetic_labels[nearest]:
        values, counts = np.unique(row, return_counts=True)
        predictions.append(values[np.argmax(counts)])
    return np.array(predictions)


def plain_evaluation(generator, task, samples, neighbours, random, *, as_published=False):
    """Top-1 and the area of the curve: class by class, 400 dense copies.

    ``as_published`` does all that the published evaluation does (train_CIZSL.py, lines 408 to 484):
    the array of features is copied whole for every class appended to it, similarities are
    scikit-learn's in float64, and the curve is drawn and written to files every time.
    """
    noise_dim = generator.hidden.in_features - len(generator.text_projection.bias)

    def generate(text):
        parts = []
        for row in text:
            z = torch.randn(samples, noise_dim, generator=random)
            parts.append(generator(z, row.repeat(samples, 1)).detach().numpy().astype(np.float64))
            if as_published:
                parts = [np.vstack(parts)]
        return np.vstack(parts)

    num_seen, num_unseen = len(task.seen_text), len(task.unseen_text)
    unseen_features = task.unseen_features.numpy()
    bank = generate(task.unseen_text)
    labels = np.repeat(np.arange(num_unseen), samples)
    predicted = plain_knn(bank, labels, unseen_features, neighbours)
    everything = generate(torch.cat([task.seen_text, task.unseen_text]))
    pivots = everything.reshape(num_seen + num_unseen, samples, -1).mean(1)
    pivots /= np.linalg.norm(pivots, axis=1, keepdims=True)

    def cosine(x):
        if as_published:
            return cosine_similarity(x, pivots)
        return (x / np.linalg.norm(x, axis=1, keepdims=True)) @ pivots.T

    seen, unseen = plain_curve(
        cosine(task.seen_features.numpy()),
        task.seen_labels.numpy(),
        cosine(unseen_features),
        task.unseen_labels.numpy() + num_seen,
        num_seen,
        np.arange(-2, 2, 0.01),
    )
    if as_published:
        write_curve(seen, unseen)
    top1 = (predicted == task.unseen_labels.numpy()).mean()
    return top1, np.trapezoid(seen, unseen)


def write_curve(seen, unseen):
    """The curve as a figure and as text, in a folder that is thrown away."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with tempfile.TemporaryDirectory() as folder:
        pyplot.plot(seen, unseen)
        pyplot.savefig(f"{folder}/curve.png")
        pyplot.close()
        np.savetxt(f"{folder}/curve.txt", np.vstack([seen, unseen]))
