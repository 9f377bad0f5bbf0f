"""What a checkpoint of a run holds, as typed models: every reader of one goes through ``read``."""

from typing import Any, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    Json,
    NonNegativeInt,
    ValidationError,
    model_validator,
)
from torch import Tensor
from typing_extensions import TypedDict

from repro.errors import InputError

SHOWN = 3  # mistakes named in a message
State = TypeVar("State", bound=BaseModel)


class Record(TypedDict):
    """A line of ``metrics.jsonl``."""

    iteration: NonNegativeInt
    loss: float  # mean over the iterations since the last record
    heldout_loss: float  # of the averaged weights
    gradient_norm: float  # before clipping
    learning_rate: float


class Progress(BaseModel):
    """How far a training is."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    step: NonNegativeInt = 0
    seconds: float = Field(default=0.0, ge=0)
    first: float | None = None  # the held-out loss before training
    total: Tensor | None = None  # sum of the losses since the last record, on the device
    records: list[Record] = []


class ModelState(BaseModel):
    """The part of a checkpoint that sampling and evaluation need."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    config: dict[str, Any]
    average: dict[str, Tensor]  # state dict of the EMA
    progress: Progress


class TrainingState(ModelState):
    """A whole checkpoint, from which a training resumes."""

    network: dict[str, Tensor]
    optimiser: dict[str, Any]
    generator: Tensor  # state of the generator of batches, times and noise
    random: dict[str, Any]  # states of the global generators
    power: list[dict[str, Tensor]] = []  # state dicts of the power-function averages

    @model_validator(mode="after")
    def _has_begun(self):
        if self.progress.first is None or self.progress.total is None:
            raise ValueError("progress: the first loss or the sum of losses is missing")
        return self


class ExportMetadata(BaseModel):
    """What `sde export` writes beside the weights, as texts."""

    config: Json[dict[str, Any]]
    iterations: NonNegativeInt


def read(state: Any, kind: type[State], where: object) -> State:
    """Return a loaded checkpoint as ``kind``.

    Raises InputError, which begins with ``where`` and names the wrong entries.
    """
    try:
        return kind.model_validate(state)
    except ValidationError as error:
        mistakes = error.errors(include_input=False, include_url=False)
    lacking = [
        str(each["loc"][0])
        for each in mistakes
        if each["type"] == "missing" and len(each["loc"]) == 1
    ]
    if lacking:
        raise InputError(f"{where}: not a checkpoint of sde: it lacks {', '.join(lacking)}")
    wrong = [f"{'.'.join(map(str, e['loc'])) or 'content'}: {e['msg']}" for e in mistakes[:SHOWN]]
    raise InputError(f"{where}: not a checkpoint of sde: {'; '.join(wrong)}")
