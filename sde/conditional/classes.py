"""Scores of a trained model given a class or a vector, guided away from others.

label       a class or a vector that the network was trained with (``model.condition``)
guidance    weight and interval of `sde.conditional.two_scores`
negative    what the samples are guided away from: by default the same model without a label;
            else a class or a vector of the same model; or another run, a smaller or less
            trained model with the same label (autoguidance)
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from repro.errors import InputError
from sde import build
from sde.conditional.two_scores import Interval, check_guidance, guided_score
from sde.data.labels import parse
from sde.networks.label import with_label
from sde.reverse import ScoreFn
from sde.sample import draw, draw_batch
from sde.samplers import Samples
from sde.samplers.spec import parse_sampler
from sde.trained_model import TrainedModel, load


@dataclass(frozen=True)
class Guidance:
    """How samples are guided; see this module's docstring.

    Raises InputError for a weight or an interval that is none, and for what would have no effect.
    """

    weight: float = 1.0  # 1: not at all
    interval: Interval | None = None  # noise levels std / scale at which the weight counts
    negative: Any = None  # a class, a vector, or the path of a run; None: no label

    def __post_init__(self):
        check_guidance(self.weight, self.interval)
        if self.weight == 1 and (self.interval, self.negative) != (None, None):
            raise InputError("guidance: an interval and a negative need a weight other than 1")


GUIDED_BY_NOTHING = Guidance()


def label_of(trained: TrainedModel, given: Any) -> Tensor | None:
    """Return the label of the model that was given, on its device; None for None.

    Raises InputError for a model without labels, and as :func:`sde.data.labels.parse`.
    """
    if given is None:
        return None
    kind = trained.config.model.condition
    if kind == "none":
        raise InputError(f"{trained.folder}: its network is given no label (model.condition=none)")
    return parse(kind, trained.data.spec, given).to(trained.device)


def conditional(trained: TrainedModel, label: Tensor | None, guidance: Guidance) -> TrainedModel:
    """Return the model with its score given a label of :func:`label_of`, guided.

    Raises InputError where there is nothing to guide away from, and for a negative of another
    process or shape.
    """
    positive = trained.score_given(label)
    if guidance.weight == 1:
        return replace(trained, score_fn=positive)
    if label is None and guidance.negative is None:
        labelled = trained.config.model.condition != "none"
        needed = "a class" if labelled else "a network with labels (model.condition)"
        raise InputError(f"guidance: needs {needed}, or a negative")
    negative = _negative(trained, label, guidance.negative)
    how: dict[str, Any] = dict(weight=guidance.weight, interval=guidance.interval)
    return replace(trained, score_fn=guided_score(trained.sde, positive, negative, **how))


def for_likelihood(trained: TrainedModel, given: Any) -> TrainedModel:
    """Return the model whose likelihood is given one label, in float32; itself for None.

    Raises InputError as :func:`label_of`, and for several labels.
    """
    label = label_of(trained, given)
    if label is None:
        return trained
    if len(label) != 1:
        raise InputError(f"label: a likelihood takes one; got {len(label)}")
    score = build.score(trained.config, trained.sde, with_label(trained.network, label))
    return replace(trained, float32_score_fn=score)


def draw_conditional(
    trained: TrainedModel,
    sampler: str,
    steps: int,
    given: Any,
    guidance: Guidance = GUIDED_BY_NOTHING,
    *,
    count: int,
    part: int = 0,
) -> Samples:
    """Draw ``count`` samples of one label, or one for each of as many labels, in this process.

    The arguments and errors are those of `sde.sample.draw`, :func:`label_of` and
    :func:`conditional`.
    """
    label = label_of(trained, given)
    if label is None or len(label) == 1:
        drawn = draw(conditional(trained, label, guidance), sampler, steps, count, part=part)
        assert drawn is not None  # this process is the leader
        return drawn
    if len(label) != count:
        raise InputError(f"label: {len(label)} labels for {count} samples")
    spec, drawn = parse_sampler(sampler), []
    for number, labels in enumerate(label.split(trained.config.sampling.batch_size)):
        rng = trained.sampling_stream(*((part, number) if number else (part,)))
        model = conditional(trained, labels, guidance)
        how: dict[str, Any] = dict(generator=rng, batch_size=len(labels))
        drawn.append(draw_batch(model, spec, steps, len(labels), **how))
    x = torch.cat([each.x for each in drawn])
    return Samples(x, x, max(each.nfe for each in drawn), None)


def _negative(trained: TrainedModel, label: Tensor | None, given: Any) -> ScoreFn:
    if given is None:
        return trained.score_fn
    text = given if isinstance(given, str | Path) else ""
    if text and str(text) not in trained.data.spec.classes and Path(text).exists():
        return _of_run(trained, label, Path(text))
    try:
        return trained.score_given(label_of(trained, given))
    except InputError as error:
        raise InputError(f"negative {given}: no run, and no label: {error}") from None


def _of_run(trained: TrainedModel, label: Tensor | None, path: Path) -> ScoreFn:
    """The score of another run, given the same label where its network takes one."""
    other = load(path, trained.device, with_data=False)
    labelled = label is not None and other.config.model.condition != "none"
    mine, its = (_interface(model, labelled) for model in (trained, other))
    if differing := [name for name in mine if mine[name] != its[name]]:
        name = differing[0]
        raise InputError(f"{path}: a negative of another {name}: {its[name]}, not {mine[name]}")
    return other.score_given(label if labelled else None)


def _interface(trained: TrainedModel, labelled: bool) -> dict[str, Any]:
    """What two models must share for their scores to be of the same variable, and label."""
    config, spec = trained.config, trained.data.spec
    return {
        "process": config.process,
        "loss.num_timesteps": config.loss.num_timesteps,
        "shape": spec.shape,
        "range": spec.quantisation,
        "label": (config.model.condition, spec.classes, spec.vector) if labelled else None,
    }
