"""Prediction with a finished run, from Python.

    import cizsl
    model = cizsl.load("runs/mine")
    found = model.predict(features)  # (N, D), raw, as the data of the run have them
    found.names[0], found.scores[0]

The setting is the generalised one: every class of the data competes, seen or not. The offset that
validation classes chose is added to the scores of unseen classes (calibrated stacking).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cizsl import build
from cizsl.classifiers import BLOCK_ENTRIES
from cizsl.config import Baseline, CIZSLConfig
from cizsl.predict.feature_files import READERS, Features, read_features
from cizsl.predict.images import ImageSource, Network, images_at
from cizsl.training import finished
from repro.device import precision, resolve
from repro.errors import InputError
from repro.wording import shown


@dataclass(frozen=True, eq=False)
class Predictions:
    """The k best classes of N items, best first.

    ``items``: names of the items. ``classes`` (N, k): numbers of the classes, seen ones first.
    ``scores`` (N, k): float64, with the offset. ``class_names`` of all classes, ``num_seen`` of
    which are seen ones.
    """

    items: list[str]
    classes: Tensor
    scores: Tensor
    class_names: tuple[str, ...]
    num_seen: int

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"Predictions({len(self)} items, the {self.classes.shape[1]} best classes of each)"

    @property
    def names(self) -> list[list[str]]:
        """The names of the classes of each item, best first."""
        return [[self.class_names[c] for c in row] for row in self.classes.tolist()]

    @property
    def is_unseen(self) -> Tensor:
        """Whether a class was not seen in training, (N, k)."""
        return self.classes >= self.num_seen


class FeatureSource:
    """Features as items, a few at a time."""

    def __init__(self, features: Features, size: int):
        self.features, self.size = features, size
        self.skipped: list[str] = []

    def __len__(self) -> int:
        return len(self.features)

    def blocks(self) -> Iterator[Features]:
        """Yield the features of a few items at a time, as float32."""
        for start in range(0, len(self), self.size):
            part = slice(start, start + self.size)
            with np.errstate(over="ignore"):  # infinities are refused later
                numbers = np.array(self.features.numbers[part], np.float32)
            yield Features(self.features.names[part], numbers)


class Model:
    """The classifier of a finished run; made by :func:`load`.

    Attributes:
        config: of the run, with the values that it selected.
        data: of the run, :class:`cizsl.data.dataset.ZSLData`.
        class_names: of all classes, seen ones first.
        num_seen: how many classes were seen in training.
        feature_dim: D, the number of features of an image.
        offset: added to the scores of unseen classes; 0 where no validation classes chose one.
    """

    def __init__(self, run: finished.FinishedRun, device: torch.device):
        self.run, self.device = run, device
        self.data = run.data()
        task = build.task(run.config, self.data, "test", device)
        self._score = run.answers(task).score
        self._normalise = build.normaliser(run.config, self.data, device)
        offset = run.offset(self.data, device)
        self.chose_offset, self.offset = offset is not None, offset or 0.0
        self.class_names, self.num_seen = self.data.names, self.data.num_seen
        self.feature_dim = self.data.feature_dim

    def __repr__(self) -> str:
        summary, num_unseen = self.run.summary, len(self.class_names) - self.num_seen
        what = f"{summary.method} on {summary.dataset} {summary.split}"
        classes = f"{self.num_seen} seen and {num_unseen} unseen classes"
        return f"Model({what}, {classes}, {self.feature_dim} features, offset {self.offset:.4g})"

    @property
    def config(self) -> CIZSLConfig | Baseline:
        """The configuration of the run, with the values that it selected."""
        return self.run.config

    def predict(
        self,
        items: Tensor | np.ndarray | str | Path,
        top: int = 5,
        *,
        backbone: str | None = None,
        weights: str | Path | None = None,
    ) -> Predictions:
        """Name the classes of images.

        Args:
            items: features (N, D), raw, as the data of the run have them; or a file of features,
                an image or a folder of images as :meth:`source` takes them.
            top: how many classes of each item.
            backbone, weights: as of :meth:`source`.

        Raises :class:`InputError` for features of another number or not finite, and what
        :meth:`source` raises.
        """
        if isinstance(items, str | Path):
            source = self.source(Path(items), backbone, None if weights is None else Path(weights))
        else:
            source = self._array(items)
        parts = list(self.predictions(source, top))
        scores, classes = (torch.cat([getattr(p, n) for p in parts]) for n in ("scores", "classes"))
        names = [name for part in parts for name in part.items]
        return Predictions(names, classes, scores, self.class_names, self.num_seen)

    def source(
        self,
        path: Path,
        backbone: str | None = None,
        weights: Path | None = None,
        skip_bad: bool = False,
    ) -> FeatureSource | ImageSource:
        """Return the items at a path.

        Args:
            path: a file of features (.npy, .npz or .mat), an image, or a folder of images.
            backbone: the network that made the features of the run, where its name in the record of
                the extraction does not suffice to find it.
            weights: the file of its weights, likewise.
            skip_bad: leave out images that cannot be read.

        Raises :class:`InputError` for other files, and for images where the features of the run
        were not made from images by `cizsl data images`.
        """
        if path.suffix.lower() in READERS and not path.is_dir():
            return FeatureSource(read_features(path, self.feature_dim), self._block_size)
        images_at(path)  # before a network is loaded
        network = Network(self.config.data, self.data, self.device, backbone, weights)
        return ImageSource(path, network, skip_bad)

    @torch.no_grad()
    def predictions(
        self, source: FeatureSource | ImageSource, top: int = 5
    ) -> Iterator[Predictions]:
        """Yield the predictions of a few items at a time; arguments as of :meth:`predict`."""
        count = min(top, len(self.class_names))
        with precision("float32", self.device):
            for found in source.blocks():
                self._require_finite(found)
                features = torch.from_numpy(found.numbers).to(self.device)
                scores = self._score(self._normalise(features)).double()
                scores[:, self.num_seen :] += self.offset
                # of equal scores the first class counts, as in evaluations
                values, classes = scores.sort(dim=1, descending=True, stable=True)
                values, classes = values[:, :count].cpu(), classes[:, :count].cpu()
                yield Predictions(found.names, classes, values, self.class_names, self.num_seen)

    @property
    def _block_size(self) -> int:
        return max(1, BLOCK_ENTRIES // max(len(self.class_names), self.feature_dim))

    def _array(self, items: Tensor | np.ndarray) -> FeatureSource:
        numbers = items.detach().cpu().numpy() if isinstance(items, Tensor) else np.asarray(items)
        if numbers.ndim != 2 or numbers.shape[1] != self.feature_dim or not len(numbers):
            raise InputError(f"expected features (N, {self.feature_dim}), got {numbers.shape}")
        return FeatureSource(Features.unnamed(numbers), self._block_size)

    def _require_finite(self, found: Features) -> None:
        bad = ~np.isfinite(found.numbers).all(1)
        if bad.any():
            name = found.names[int(bad.argmax())]
            raise InputError(f"{shown(name)}: its features hold NaN or infinities")


def load(
    run: str | Path, *, device: str | None = None, data_root: str | Path | None = None
) -> Model:
    """Load the classifier of a finished run.

    Args:
        run: the run folder, of any generator or baseline.
        device: "cpu" or "cuda"; by default CUDA where there is a GPU.
        data_root: folder of the data, if they have moved since.

    Raises :class:`InputError` if the folder holds no finished run, and for other data than the
    run's.
    """
    root = None if data_root is None else Path(data_root)
    return Model(finished.read(Path(run), root), resolve(device))
