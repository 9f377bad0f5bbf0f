"""The options of every command of ``sde``; what a command does is in ``sde.cli.commands``."""

from typing import Any

from repro import cli
from repro import parser as parsing
from repro.config_commands import add_config_commands
from sde.cli import commands as actions
from sde.data.catalogue import MIRRORS

RUN = "runs/eight_gaussians/seed0"  # in the examples
STRONGEST = 1e6  # times the gradient of a classifier


def main(arguments: list[str] | None = None) -> int:
    """Run the command line ``sde`` and return its exit code."""
    return cli.run(parser(), arguments)


def parser() -> parsing.Parser:
    """Return the parser of ``sde``, with all of its commands."""
    top, commands = parsing.program(
        "sde",
        "Score-based generative modelling through stochastic differential equations.",
        example="sde train eight_gaussians seed=1",
    )
    _train(commands)
    _sample(commands)
    _samplers(commands)
    _classifier(commands)
    _complete(commands)
    _likelihood(commands)
    _evaluate(commands)
    _table(commands)
    _import(commands)
    _export(commands)
    _data(commands)
    add_config_commands(commands, "sde", actions.model, "eight_gaussians")
    return top


def _train(commands: Any) -> None:
    command = parsing.add_command(
        commands,
        "train",
        "train one configuration",
        example="sde train eight_gaussians optimiser.iterations=500 --out runs/mine",
        run=actions.train,
    )
    parsing.add_training(command, "sde")


def _sample(commands: Any) -> None:
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
        help="draw samples of one class, by its name or number; needs `sde classifier RUN` first",
    )
    command.add_argument(
        "--strength",
        type=parsing.number(0, STRONGEST),
        default=1.0,
        metavar="X",
        help="factor of the classifier's gradient",
    )


def _samplers(commands: Any) -> None:
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


def _classifier(commands: Any) -> None:
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


def _complete(commands: Any) -> None:
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


def _likelihood(commands: Any) -> None:
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


def _evaluate(commands: Any) -> None:
    command = parsing.add_command(
        commands,
        "evaluate",
        "measure distances and likelihood, compare samplers, and write a page",
        example=f"sde evaluate {RUN} evaluation.samples=500",
        run=actions.evaluate,
    )
    _add_model(command, "evaluation.samples=500")
    _add_out(command)


def _table(commands: Any) -> None:
    command = parsing.add_command(
        commands,
        "table",
        "print tables of evaluated runs; runs of one protocol share a table",
        example="sde table runs --html runs.html",
        run=actions.table,
    )
    command.add_argument(
        "paths",
        nargs="+",
        type=parsing.path,
        metavar="RUN_OR_DIR",
        help="run folders, or folders that hold some",
    )
    for form, text in (("html", "one HTML page"), ("csv", "CSV"), ("latex", "LaTeX (booktabs)")):
        command.add_argument(
            f"--{form}", type=parsing.path, metavar="FILE", help=f"write the tables as {text} too"
        )


def _import(commands: Any) -> None:
    command = parsing.add_command(
        commands,
        "import",
        "turn a published checkpoint, or a file of `sde export`, into a run folder",
        example="sde import checkpoint_8.pth --config cifar10_ddpmpp_vp",
        run=actions.import_,
    )
    command.add_argument(
        "file",
        type=parsing.path,
        metavar="FILE",
        help="checkpoint of score_sde_pytorch, or a safetensors file of `sde export`",
    )
    parsing.add_overrides(command, "data.root=DIR")
    command.add_argument(
        "--config",
        metavar="CONFIG",
        help="configuration of a published checkpoint: a name below configs/sde, or a YAML file",
    )
    command.add_argument(
        "--out",
        type=parsing.path,
        metavar="DIR",
        help="where to write the run folder (default: a folder in runs/ named by the "
        "configuration and the file)",
    )
    command.add_argument(
        "--raw", action="store_true", help="take the weights as trained, not their average"
    )


def _export(commands: Any) -> None:
    command = parsing.add_command(
        commands,
        "export",
        "write the averaged weights and the configuration as a safetensors file",
        example=f"sde export {RUN} model.safetensors",
        run=actions.export,
    )
    command.add_argument(
        "model", type=parsing.path, metavar="RUN_OR_CHECKPOINT", help="trained model to export"
    )
    command.add_argument(
        "file", type=parsing.path, metavar="FILE.safetensors", help="file to write"
    )
    command.set_defaults(overrides=[], device="cpu")


def _data(commands: Any) -> None:
    group = parsing.add_group(
        commands, "data", "look at data sets, and fetch them", example="sde data inspect digits"
    )
    command = parsing.add_command(
        group,
        "inspect",
        "print shape, range, counts, classes and checksums of the data; writes no file",
        example="sde data inspect eight_gaussians",
        run=actions.inspect,
    )
    parsing.add_config(command, "sde")
    command.add_argument(
        "--skip-bad",
        action="store_true",
        help="list the files that are no images, and leave them out",
    )
    command = parsing.add_command(
        group,
        "download",
        "fetch the files of a published data set that are missing",
        example="sde data download mnist --root data",
        run=actions.download,
    )
    command.add_argument("name", choices=tuple(MIRRORS), help="data set to fetch")
    command.add_argument(
        "--root",
        type=parsing.path,
        default="data",
        metavar="DIR",
        help="folder of the data sets, the setting data.root of a configuration",
    )


def _add_model(command: parsing.Parser, override: str) -> None:
    command.add_argument(
        "model",
        type=parsing.path,
        metavar="RUN_OR_CHECKPOINT",
        help="trained model: a run folder, or a checkpoint file",
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
