"""The options of the commands of ``sde`` that use a trained model."""

from typing import Any

from repro.cli import parser as parsing
from sde.cli import commands as actions
from sde.pretrained import PREFIX, names

RUN = "runs/eight_gaussians/seed0"  # in the examples
STRONGEST = 1e6  # times the gradient of a classifier


def sample(commands: Any) -> None:
    """Add `sde sample`."""
    command = parsing.add_command(
        commands,
        "sample",
        "draw samples of a trained model and write them as an array and a figure",
        example=f"sde sample {RUN} --sampler heun --steps 10 -n 100",
        run=actions.sample,
    )
    _add_model(command, "sampling.snr=0.1")
    _add_out(command)
    _add_sampler(command)
    command.add_argument(
        "-n",
        type=parsing.positive,
        dest="count",
        metavar="COUNT",
        help="number of samples (default: sampling.count of the run)",
    )
    command.add_argument(
        "--class",
        dest="label",
        metavar="NAME",
        help="draw samples of one class, by its name or number, or given a vector, as 0.5,1; a "
        "network without labels (model.condition=none) needs `sde classifier RUN` first",
    )
    command.add_argument(
        "--strength",
        type=parsing.number(0, STRONGEST),
        metavar="X",
        help="factor of the gradient of a classifier (default: 1)",
    )
    _add_guidance(command)


def _add_guidance(command: parsing.Parser) -> None:
    command.add_argument(
        "--guidance",
        type=parsing.number(-STRONGEST, STRONGEST),
        default=1.0,
        metavar="W",
        help="weight of classifier-free guidance; 1: the conditional score (default), 0: the "
        "unconditional one",
    )
    command.add_argument(
        "--guidance-interval",
        type=parsing.number(0, STRONGEST),
        nargs=2,
        dest="interval",
        metavar=("LOW", "HIGH"),
        help="noise levels std / scale at which guidance counts (default: all)",
    )
    command.add_argument(
        "--negative",
        metavar="RUN_OR_CLASS",
        help="guide away from this class, or from a smaller or less trained model (autoguidance), "
        "a run folder or a checkpoint (default: away from the unconditional score)",
    )


def samplers(commands: Any) -> None:
    """Add `sde samplers`."""
    command = parsing.add_command(
        commands,
        "samplers",
        "list the names that --sampler takes, with the files of the code",
        example="sde samplers",
        run=actions.samplers,
    )
    command.add_argument(
        "plugins",
        nargs="*",
        metavar="package.module:name",
        help="predictors, correctors and solvers of your own, to list as well",
    )


def classifier(commands: Any) -> None:
    """Add `sde classifier`."""
    command = parsing.add_command(
        commands,
        "classifier",
        "train a classifier of noisy examples, which `sde sample --class` needs",
        example="sde classifier runs/digits/seed0",
        run=actions.classifier,
    )
    _add_model(command, "compute.threads=2")
    command.add_argument(
        "--iterations",
        type=parsing.positive,
        default=3000,
        metavar="N",
        help="iterations of training",
    )


def complete(commands: Any) -> None:
    """Add `sde complete`."""
    command = parsing.add_command(
        commands,
        "complete",
        "hide a part of held-out images and draw it anew",
        example="sde complete runs/digits/seed0 --hide right --draws 4",
        run=actions.complete,
    )
    _add_model(command, "sampling.seed=1")
    _add_out(command)
    _add_sampler(command)
    command.add_argument(
        "--hide",
        default="right",
        metavar="PART",
        help="part to hide: left, right, top, bottom, centre, random (half of the pixels) or "
        "colour",
    )
    command.add_argument(
        "--way",
        default="guided",
        help="guided (by the gradient of the known part) or replacement (of the known part after "
        "every step)",
    )
    command.add_argument(
        "-n",
        type=parsing.positive,
        default=8,
        dest="count",
        metavar="COUNT",
        help="number of images",
    )
    command.add_argument(
        "--draws",
        type=parsing.positive,
        default=4,
        metavar="N",
        help="completions of each image",
    )


def likelihood(commands: Any) -> None:
    """Add `sde likelihood`."""
    command = parsing.add_command(
        commands,
        "likelihood",
        "compute the likelihood of held-out examples; writes no file",
        example=f"sde likelihood {RUN} evaluation.likelihoods=100",
        run=actions.likelihood,
    )
    _add_model(command, "evaluation.likelihoods=100")
    command.add_argument(
        "--data",
        metavar="NAME",
        help="data set whose held-out examples are used (default: the data of the run)",
    )


def evaluate(commands: Any) -> None:
    """Add `sde evaluate`."""
    command = parsing.add_command(
        commands,
        "evaluate",
        "measure distances and likelihood, compare samplers, and write a page",
        example=f"sde evaluate {RUN} evaluation.samples=500",
        run=actions.evaluate,
    )
    _add_model(command, "evaluation.samples=500")
    _add_out(command)


def _add_model(command: parsing.Parser, override: str) -> None:
    command.add_argument(
        "model",
        type=parsing.path,
        metavar="MODEL",
        help="a run folder; a checkpoint file; a file or folder of `sde export`; or one that comes "
        f"with the package: {', '.join(PREFIX + name for name in names())}",
    )
    parsing.add_overrides(command, override)
    parsing.add_device(command)


def _add_out(command: parsing.Parser) -> None:
    command.add_argument(
        "--out",
        type=parsing.path,
        metavar="DIR",
        help="where to write the results (default: the run folder, or beside the checkpoint)",
    )


def _add_sampler(command: parsing.Parser) -> None:
    command.add_argument(
        "--sampler",
        metavar="NAME",
        help="a solver, ode, PREDICTOR or PREDICTOR+CORRECTOR; `sde samplers` lists them "
        "(default: sampling.sampler of the run)",
    )
    command.add_argument(
        "--steps",
        type=parsing.positive,
        metavar="N",
        help="steps of the sampler (default: sampling.steps of the run)",
    )
