r"""The Gaussian classes as a generator of visual features from class texts.

    x | t  ~  N( m(t), S_w + s v(t) S_b )

with the terms of :mod:`cizsl.closed_form.gaussian`. The mean m(t) and the uncertainty v(t) come
from kernel ridge regression (:mod:`cizsl.closed_form.class_means`). The text of a seen class gives
the centroid of its images, and v = 0. Nothing is trained: the fit is a closed formula.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from cizsl.closed_form import class_means
from cizsl.closed_form.gaussian import GaussianClasses
from cizsl.data.discriminants import Discriminants, discriminants
from cizsl.protocols import ZSLTask
from cizsl.synthesis import BLOCK_ROWS
from repro.errors import InputError


class GaussianGenerator(nn.Module):
    """Features of a class from its text; the state is all that the fit has found.

    Args:
        task: whose seen classes are learnt; a class without training images is not.
        penalty: of the regression, in units of the mean squared length of the centred texts.
        shrinkage: of the covariance within classes, in [0, 1].
        spread: s >= 0.
        isotropy: of S_b, in [0, 1]; see :class:`cizsl.closed_form.gaussian.GaussianClasses`.
        scale: of the predicted means about the mean of the seen centroids.
        text_weights: of each text of a class, where it has several; empty: all 1.

    Raises :class:`InputError` where the weights are not as many as the texts.
    """

    text: Tensor
    centroids: Tensor

    def __init__(
        self,
        task: ZSLTask,
        *,
        penalty: float,
        shrinkage: float,
        spread: float,
        isotropy: float = 0.0,
        scale: float = 1.0,
        text_weights: Sequence[float] = (),
    ):
        super().__init__()
        self.widths = task.text_blocks or (task.seen_text.shape[1],)
        require_weights(len(self.widths), text_weights)
        self.weights = tuple(text_weights) or (1.0,) * len(self.widths)
        self.penalty, self.scale = penalty, scale
        self.spread, self.isotropy = spread, isotropy
        learnt = torch.bincount(task.train_labels, minlength=len(task.seen_text)) > 0
        centroids = task.centroids[learnt].double()
        space = discriminants(task.within, centroids, shrinkage)
        self.register_buffer("text", task.seen_text[learnt])
        self.register_buffer("centroids", centroids)
        for name, value in vars(space).items():
            self.register_buffer(f"space_{name}", value)

    def blocks(self, text_CV: Tensor, samples: int, rng: torch.Generator) -> Iterator[Tensor]:
        """Yield features as :class:`cizsl.synthesis.FeatureGenerator` says."""
        model = self.classes(text_CV)
        places = torch.arange(len(text_CV), device=text_CV.device)
        for part in places.split(max(1, BLOCK_ROWS // samples)):
            yield model.sample(part, samples, rng).to(text_CV.dtype)

    def classes(self, text_CV: Tensor) -> GaussianClasses:
        """Return the Gaussians of classes with these texts, in their order."""
        seen, new = class_means.side_by_side(self.text, text_CV, self.widths, self.weights)
        means = class_means.predict(seen, new, self.centroids, self.penalty)
        means = means.scaled(self.scale, self.centroids.mean(0))
        parts = ("centre", "project", "embed", "within")
        space = Discriminants(*(getattr(self, f"space_{name}") for name in parts))
        model = GaussianClasses(space, self.centroids, means, self.spread, self.isotropy)
        nearest = torch.cdist(text_CV.double(), self.text.double()).argmin(1)
        is_seen = (text_CV == self.text[nearest]).all(1)
        predicted = len(self.text) + torch.arange(len(text_CV), device=text_CV.device)
        return model.reordered(torch.where(is_seen, nearest, predicted))


def require_weights(texts: int, weights: Sequence[float]) -> None:
    """Raise :class:`InputError` unless there is a weight for each text of a class, or none."""
    if weights and len(weights) != texts:
        raise InputError(
            f"gaussian.text_weights: expected {texts} numbers, one for each text of a class, got "
            f"{len(weights)}"
        )
