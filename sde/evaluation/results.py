"""The results of an evaluation as typed models, and the one place that reads them from a file."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from repro.errors import InputError
from repro.files.json_file import read_object

DISTANCES = ("energy_distance", "sliced_wasserstein", "mmd", "frechet", "precision", "recall")


class Stored(BaseModel):
    """A part of ``results.json``; keys that are not known here are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Distance(Stored):
    """A distance of samples to held-out examples, and the same of training examples."""

    value: float
    floor: float
    num_real: NonNegativeInt
    num_fake: NonNegativeInt


class StoredLikelihood(Stored):
    """The fields of `sde.evaluation.nll.HeldoutLikelihood`; words alone where there is none."""

    in_words: str
    examples: NonNegativeInt = 0
    bits_per_dim: float | None = None
    standard_error: float | None = None
    probes: NonNegativeInt = 0
    nfe: NonNegativeInt = 0
    rtol: float | None = None
    atol: float | None = None
    method: str = "dormand_prince"


class StoredFID(Stored):
    """FID and inception score, with their protocol."""

    value: float
    inception_score: float
    inception_score_std: float
    samples: NonNegativeInt
    reference: str
    reference_images: NonNegativeInt
    extractor: str
    nfe: NonNegativeInt


class StoredClassRow(Stored):
    """Samples of every class at one weight of guidance."""

    guidance: float
    accuracy: float
    energy_distance: float
    precision: float
    recall: float
    samples: NonNegativeInt
    nfe: NonNegativeInt


class StoredClasses(Stored):
    """What `sde.evaluation.classes.class_accuracy` measured."""

    classifier: str
    fitted: NonNegativeInt
    heldout: NonNegativeInt
    heldout_accuracy: float
    interval: tuple[float, float] | None = None
    negative: str | None = None
    rows: list[StoredClassRow]


class Evaluation(Stored):
    """What ``sde evaluate`` writes under the key "evaluation"."""

    iterations: NonNegativeInt = 0
    data: str
    data_sha256: dict[str, str]
    warnings: list[str] = []
    weights: str
    sampler: str
    nfe: NonNegativeInt
    precision: str = "float32"
    sampling: dict[str, str | float | int | None] = {}
    distances: dict[str, Distance]
    likelihood: StoredLikelihood
    fid: StoredFID | None = None
    classes: StoredClasses | None = None


class EvaluatedRun(Stored):
    """The ``results.json`` of a run that was evaluated."""

    process: str
    network: str
    evaluation: Evaluation


def read_json(file: Path) -> dict[str, Any]:
    """Return the object in a JSON file, or {} where there is no file.

    Raises InputError where it cannot be read or holds something else.
    """
    return read_object(file) if file.exists() else {}


def evaluated(content: dict[str, Any], file: Path) -> EvaluatedRun:
    """Return the content of a ``results.json``. Raises InputError, naming ``file``, for others."""
    try:
        run = EvaluatedRun.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(
            f"{file}: not results of this version ({place}: {first['msg']}); evaluate again"
        ) from None
    if missing := [name for name in DISTANCES if name not in run.evaluation.distances]:
        raise InputError(f"{file}: lacks the distances {', '.join(missing)}; evaluate again")
    return run
