"""Options of the commands of ``sde``; ``sde.cli.commands`` runs the commands."""

from typing import Any

from repro.cli import entry
from repro.cli import parser as parsing
from repro.cli.config_commands import add_config_commands
from sde.cli import commands as actions
from sde.cli.model_parsers import RUN, classifier, complete, evaluate, likelihood, sample, samplers
from sde.data.catalogue import MIRRORS


def main(arguments: list[str] | None = None) -> int:
    """Run the command line ``sde`` and return its exit code."""
    return entry.run(parser(), arguments)


def parser() -> parsing.Parser:
    """Return the parser of ``sde``, with all of its commands."""
    top, commands = parsing.program(
        "sde",
        "Score-based generative modelling through stochastic differential equations.",
        example="sde train eight_gaussians seed=1",
    )
    _train(commands)
    for add in (sample, samplers, classifier, complete, likelihood, evaluate):
        add(commands)
    _table(commands)
    _import(commands)
    _export(commands)
    _average(commands)
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
        "write the averaged weights and the configuration as a file, or as a folder with a card",
        example=f"sde export {RUN} model.safetensors",
        run=actions.export,
    )
    command.add_argument("model", type=parsing.path, metavar="MODEL", help="what to export")
    command.add_argument(
        "file",
        type=parsing.path,
        metavar="FILE.safetensors",
        help="file to write; a name without a suffix: a folder, with a model card",
    )
    parsing.add_overrides(command, "sampling.steps=20")
    command.add_argument(
        "--half", action="store_true", help="round the weights to 16 bits, for half the size"
    )
    command.add_argument(
        "--note", default="", metavar="TEXT", help="what to add to the model card: limits, licence"
    )
    command.set_defaults(device="cpu")


def _average(commands: Any) -> None:
    command = parsing.add_command(
        commands,
        "average",
        "make a run folder of an average of the weights of another length",
        example=f"sde average {RUN} --length 0.15 --out runs/longer",
        run=actions.average,
    )
    command.add_argument(
        "run_folder",
        type=parsing.path,
        metavar="RUN",
        help="run with snapshots, trained with optimiser.power_averages=16",
    )
    command.add_argument(
        "--length",
        type=parsing.number(0.005, 0.288),
        required=True,
        metavar="X",
        help="length of the average: the standard deviation of the weight of an iteration, in "
        "units of the iterations so far",
    )
    command.add_argument(
        "--at",
        type=parsing.positive,
        metavar="N",
        help="iteration of a snapshot to average up to (default: the last)",
    )
    command.add_argument(
        "--out", type=parsing.path, required=True, metavar="DIR", help="run folder to write"
    )


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
