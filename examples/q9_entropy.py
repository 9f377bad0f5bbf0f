"""The creativity loss and the classification head on which it depends.

    p = softmax(head(G(z, t_h)))      the head that also tells the seen classes apart
    H(p) = - sum_c p_c ln p_c         ln C where p is uniform
    loss = lambda E[ S(p, uniform) ]  least at H = ln C; its gradient reaches G through the head

(CIZSL, arXiv:1904.01109, section 3.2.) On the TOY birds: the entropy of the head's posterior on
hallucinated text, without such text in training (GAZSL), and with it at four weights lambda. The
generator is trained against this very head, so a second judge is asked that it has never met: a
logistic regression on the real images of the seen classes.
"""

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from cizsl.hallucination import hallucinate
from examples import birds, drawing
from examples.q8_creativity import COLOURS, ITERATIONS, SEEDS
from examples.scores import spread

NAME = "q9_entropy"
SPLIT = "easy"
TEXTS = ("hallucinated", "seen", "unseen")


@dataclass(frozen=True)
class Entropies:
    """Entropies in units of ln C, by method: one tensor (N,) for each seed.

    head, judge: on hallucinated text. texts: the head's mean on each kind of text.
    """

    head: dict[str, list[Tensor]]
    judge: dict[str, list[Tensor]]
    texts: dict[str, dict[str, list[float]]]
    images: list[float]  # the head's mean on real images held out of the seen classes, CIZSL
    top1: dict[str, list[float]]  # of the unseen classes, fractions


def measure(iterations: int = ITERATIONS, seeds: int = SEEDS, samples: int = 1000) -> Entropies:
    """Posteriors of every method's own head, and of the judge."""
    head, judge = ({method: [] for method in birds.METHODS} for _ in range(2))
    texts = {method: {kind: [] for kind in TEXTS} for method in birds.METHODS}
    images, top1 = [], {method: [] for method in birds.METHODS}
    for method in birds.METHODS:
        for seed in range(seeds):
            bird = birds.train(method, SPLIT, seed, iterations)
            top1[method].append(bird.evaluation.top1)
            first, second, stream = birds.pairs(bird.task, samples, seed)
            weight = 0.2 + 0.6 * torch.rand(samples, generator=stream)  # as in training
            mixed = hallucinate(bird.task.seen_text, first, second, weight)
            for kind, text in (("hallucinated", mixed), *_own_texts(bird, samples)):
                z = bird.noise(samples, stream)
                values = entropy(bird.posterior(z, text))
                texts[method][kind].append(values.mean().item())
                if kind == "hallucinated":
                    head[method].append(values)
                    judge[method].append(entropy(judged(bird.features(z, text))))
            if method == "CIZSL":
                logits = bird.gan.discriminator(bird.task.seen_features)[1]
                images.append(entropy(logits.detach().softmax(1)).mean().item())
    return Entropies(head, judge, texts, images, top1)


def _own_texts(bird: birds.Bird, samples: int) -> tuple[tuple[str, Tensor], ...]:
    """Rows of the real texts in turn, ``samples`` of each kind."""
    kinds = {"seen": bird.task.seen_text, "unseen": bird.task.unseen_text}
    return tuple((kind, text[torch.arange(samples) % len(text)]) for kind, text in kinds.items())


def entropy(p: Tensor) -> Tensor:
    """H(p) / ln C in [0, 1], (B,) of rows p (B, C) on the simplex."""
    return -torch.xlogy(p, p).sum(1) / math.log(p.shape[1])


def judged(features: Tensor) -> Tensor:
    """p(class | features) (B, C) by the judge, for features (B, D)."""
    return torch.from_numpy(_judge().predict_proba(features.numpy()))


@cache
def _judge() -> LogisticRegression:
    task = birds.train("GAZSL", SPLIT, 0, 1).task
    model = LogisticRegression(C=10, max_iter=500)
    return model.fit(task.train_features.numpy(), task.train_labels.numpy())


def figure(found: Entropies):
    """Histograms of the entropy, by the model's own head and by the judge."""
    drawn, axes = drawing.panels(1, 2, 3.2, sharex=True)
    styles = ("-", ":", "--", "-.", (0, (5, 1)))
    titles = ("by the model's own head", "by a judge it never met")
    for panel, values, title in zip(axes, (found.head, found.judge), titles, strict=True):
        for (method, runs), line in zip(values.items(), styles, strict=True):
            colour = COLOURS[method][0]
            heights = torch.stack([torch.histc(v.float(), 25, 0, 1) / len(v) for v in runs])
            edges = torch.linspace(0, 1, 26)
            panel.stairs(100 * heights.mean(0), edges, color=colour, lw=1.6, ls=line, label=method)
            panel.axvline(torch.cat(runs).mean(), color=colour, lw=1, ls=line, ymax=0.12)
        panel.set(title=title, xlabel="entropy of the posterior / ln C", xlim=(0, 1))
        panel.set_ylabel("% of hallucinated features")
    drawing.shared_legend(drawn, axes[0], 5)
    return drawn


def main(out: Path, **sizes) -> None:
    """Draw the figure and print mean entropies in units of ln C."""
    found = measure(**sizes)
    drawing.save(figure(found), out, NAME)
    print("   TOY birds, easy split: mean entropy / ln C, ± over seeds")
    for method, kinds in found.texts.items():
        cells = "  ".join(f"{kind} {spread(values)}" for kind, values in kinds.items())
        by_judge = spread(v.mean().item() for v in found.judge[method])
        print(f"   {method:10s}own head on text: {cells}; judge, hallucinated: {by_judge}; "
              f"top-1 {spread((100 * v for v in found.top1[method]), 1)} %")  # fmt: skip
    print(f"   real images held out, head of CIZSL: {spread(found.images)}")
    accuracy, certainty = _judge_on_images()
    print(f"   judge on them: {100 * accuracy:.1f} % right, entropy {certainty:.3f}")


def _judge_on_images() -> tuple[float, float]:
    task = birds.train("GAZSL", SPLIT, 0, 1).task
    right = _judge().score(task.seen_features.numpy(), task.seen_labels.numpy())
    return right, entropy(judged(task.seen_features)).mean().item()
