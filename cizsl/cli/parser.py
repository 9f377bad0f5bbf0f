"""The options of every command of ``cizsl``; what a command does is in ``cizsl.cli.commands``."""

from typing import Any

from cizsl.cli import commands as actions
from cizsl.cli.data_parser import add_parsers
from repro.cli import entry
from repro.cli import parser as parsing
from repro.cli.config_commands import add_config_commands
from repro.run_names import RUNS


def main(arguments: list[str] | None = None) -> int:
    """Run the command line ``cizsl`` and return its exit code."""
    return entry.run(parser(), arguments)


def parser() -> parsing.Parser:
    """Return the parser of ``cizsl``, with all of its commands."""
    top, commands = parsing.program(
        "cizsl",
        "Zero-shot recognition from text or attributes.",
        example="cizsl train toy_cub_easy seed=1",
    )
    _train(commands)
    _evaluate(commands)
    _predict(commands)
    _sweep(commands)
    _baselines(commands)
    _table(commands)
    data = parsing.add_group(
        commands, "data", "check, show, make and convert data", example="cizsl data verify data"
    )
    add_parsers(data)
    add_config_commands(commands, "cizsl", actions.model, "toy_cub_easy")
    return top


def _train(commands: Any) -> None:
    command = parsing.add_command(
        commands,
        "train",
        "train and evaluate one configuration",
        example="cizsl train toy_cub_easy optimiser.iterations=50 --out runs/mine",
        run=actions.train,
    )
    parsing.add_training(command, "cizsl")


def _evaluate(commands: Any) -> None:
    command = parsing.add_command(
        commands,
        "evaluate",
        "evaluate a finished run again, from its checkpoint",
        example="cizsl evaluate runs/mine --split val",
        run=actions.evaluate,
    )
    command.add_argument(
        "folder", type=parsing.path, metavar="RUN", help="run folder of a finished run"
    )
    command.add_argument(
        "--split",
        choices=("val", "test"),
        default="test",
        help="evaluate on the validation classes or the test classes",
    )
    _data_root(command)
    parsing.add_device(command)


def _predict(commands: Any) -> None:
    command = parsing.add_command(
        commands,
        "predict",
        "name the classes of features or images by a finished run",
        example="cizsl predict runs/mine photographs --out predictions.csv --top 3",
        run=actions.predict,
    )
    command.add_argument(
        "folder", type=parsing.path, metavar="RUN", help="run folder of a finished run"
    )
    command.add_argument(
        "source",
        type=parsing.path,
        metavar="FEATURES_OR_IMAGES",
        help="a file of features (.npy, .npz or .mat), an image, or a folder of images",
    )
    command.add_argument(
        "--out", type=parsing.path, metavar="FILE.csv", help="write a CSV file (default: print)"
    )
    command.add_argument(
        "--top",
        type=parsing.whole(1, 10_000),
        default=5,
        metavar="N",
        help="classes of each item",
    )
    for name, kind, what in (
        ("--backbone", str, "network that made the features of the run, where it is a file"),
        ("--weights", parsing.path, "file of that network's weights, where it has one"),
    ):
        command.add_argument(name, type=kind, metavar=name[2:].upper(), help=what)
    command.add_argument(
        "--skip-bad", action="store_true", help="leave out images that cannot be read"
    )
    _data_root(command)
    parsing.add_device(command)


def _data_root(command: parsing.Parser) -> None:
    command.add_argument(
        "--data-root",
        type=parsing.path,
        metavar="DIR",
        help="folder that holds the data now (default: the folder that the run used)",
    )


def _sweep(commands: Any) -> None:
    command = parsing.add_command(
        commands,
        "sweep",
        "train several configurations, each with several seeds and settings",
        example="cizsl sweep toy_cub_easy --seeds 0-4 creativity.weight=0.01,0.1 --jobs 2",
        run=actions.sweep,
    )
    _several_configs(command, "key=value or key=a,b,c")
    command.add_argument("--seeds", default="0", metavar="LIST", help="seeds, as 0-4 or 0,1,7")
    command.add_argument(
        "--variants",
        type=parsing.path,
        metavar="FILE",
        help="YAML file of named sets of settings, as configs/variants/ablations.yaml",
    )
    command.add_argument(
        "--jobs",
        type=parsing.whole(1, 10_000),
        metavar="N",
        help="runs at a time (default: one for each GPU, else one)",
    )
    parsing.add_device(command)
    command.add_argument(
        "--cluster",
        choices=("slurm", "local"),
        help="submit the runs as jobs to SLURM, or to local processes that stand in for it",
    )
    command.add_argument(
        "--resources",
        type=parsing.path,
        metavar="FILE",
        help="YAML file of what each job asks for, as configs/cluster/slurm.yaml",
    )
    command.add_argument(
        "--html", type=parsing.path, metavar="FILE", help="write the table of the runs as a page"
    )
    command.add_argument(
        "--dry-run", action="store_true", help="print the runs and their states, and train none"
    )


def _baselines(commands: Any) -> None:
    command = parsing.add_command(
        commands,
        "baselines",
        "fit ridge regression, ESZSL, a bilinear softmax and Gaussian classes to the same data",
        example="cizsl baselines toy_cub_easy",
        run=actions.baselines,
    )
    _several_configs(command, "key=value")
    parsing.add_device(command)


def _table(commands: Any) -> None:
    command = parsing.add_command(
        commands,
        "table",
        "print finished runs beside the published numbers",
        example="cizsl table runs --html table.html",
        run=actions.table,
    )
    command.add_argument(
        "paths",
        nargs="*",
        type=parsing.path,
        metavar="RUN_OR_DIR",
        help="run folders, or folders that contain them",
    )
    command.add_argument(
        "--html", type=parsing.path, metavar="FILE", help="write the tables as a page"
    )
    command.add_argument(
        "--csv", type=parsing.path, metavar="FILE", help="write every score of every row as CSV"
    )
    command.add_argument(
        "--latex", type=parsing.path, metavar="FILE", help="write the overview as LaTeX tables"
    )
    command.add_argument(
        "--compare",
        nargs=2,
        metavar=("A", "B"),
        help="compare two methods seed by seed; each is a folder of runs, or a row such as A1",
    )
    command.add_argument(
        "--by",
        choices=("seed", "class"),
        default="seed",
        help="the pairs of --compare: seeds, or unseen classes, for methods without a seed",
    )


def _several_configs(command: parsing.Parser, settings: str) -> None:
    command.add_argument(
        "configs",
        nargs="+",
        metavar="CONFIG",
        help=f"names of configurations or YAML files, followed by settings, {settings}",
    )
    command.add_argument(
        "--out",
        type=parsing.path,
        metavar="DIR",
        help=f"folder of all run folders (default: {RUNS})",
    )
    command.set_defaults(overrides=[])
