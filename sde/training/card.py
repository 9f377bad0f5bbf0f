"""Folders of weights with a model card, as those of ``sde/pretrained``.

The card says what the model is, what it was trained on, and how far; all numbers are those of the
run, or are measured here: the loss on held-out examples before and after rounding.
"""

from pathlib import Path

from repro import config as configuration
from repro.environment import Environment
from repro.errors import InputError
from repro.files.atomic import write_atomically
from repro.files.json_file import read_model
from sde import build
from sde.config.run import SDEConfig
from sde.data.dataset import Dataset
from sde.pretrained import WEIGHTS
from sde.pretrained.exported import write_exported
from sde.trained_model import TrainedModel, load
from sde.training.heldout import heldout_loss

CARD, SETTINGS = "README.md", "config.yaml"


def write_folder(trained: TrainedModel, out: Path, *, half: bool, note: str) -> int:
    """Write weights, configuration and card to the folder ``out``; return the number of weights.

    The configuration names the usual folder of the data, not that of this machine. Raises
    InputError for a folder that holds something else, and where it cannot be written.
    """
    if out.exists() and any(path.name not in (CARD, SETTINGS, WEIGHTS) for path in _inside(out)):
        raise InputError(f"{out}: holds other files; give another folder")
    config = _elsewhere(trained.config)
    count = write_exported(out / WEIGHTS, trained.network, config, trained.step, half=half)
    write_atomically(out / SETTINGS, lambda file: file.write(configuration.dump(config)), "w")
    written = load(out, trained.device, with_data=False)
    losses = [loss_of(one, trained.data) for one in (trained, written)]
    text = card(trained, count, losses, half=half, note=note)
    write_atomically(out / CARD, lambda file: file.write(text), "w")
    return count


def _inside(out: Path) -> list[Path]:
    if not out.is_dir():
        raise InputError(f"{out}: not a folder")
    return list(out.iterdir())


def _elsewhere(config: SDEConfig) -> SDEConfig:
    data = config.data.model_copy(update={"root": type(config.data)().root})
    return config.model_copy(update={"data": data})


def loss_of(trained: TrainedModel, data: Dataset) -> float:
    """Return the loss on held-out examples, as a training records it."""
    config = trained.config
    loss = build.loss(config, trained.sde)
    return heldout_loss(config, loss, data, trained.network, trained.device)


def card(trained: TrainedModel, count: int, losses: list[float], *, half: bool, note: str) -> str:
    """Return the model card as Markdown.

    Args:
        count: number of weights.
        losses: on held-out examples, as trained and as written.
        half: whether the weights are of 16 bits.
        note: what the card ends with.
    """
    config, data, name = trained.config, trained.data, trained.data.spec.name
    rows = {
        "data": f"{name}; examples of {' x '.join(map(str, data.spec.shape))}",
        "training examples": len(data.train),
        "held-out examples": len(data.heldout),
        "condition": config.model.condition,
        "process": config.process.name,
        "network": f"{config.model.network} of {count} numbers, {'16' if half else '32'} bits each",
        "iterations": f"{trained.step} of {config.optimiser.batch_size} examples",
        "weights": f"averaged, decay {config.optimiser.ema_decay:g}",
        "machine": _machine(trained.folder),
        "held-out loss": f"{losses[0]:.6f} as trained, {losses[1]:.6f} as written here",
        "sampler": f"{config.sampling.sampler}, {config.sampling.steps} steps",
    }
    lines = [f"# A score model of {name}", "", "| | |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in rows.items()]
    return "\n".join([*lines, *(["", note] if note else []), ""])


def _machine(folder: Path) -> str:
    """The device that a run recorded."""
    try:
        return read_model(folder / "environment.json", Environment).device
    except InputError:
        return "not recorded"
