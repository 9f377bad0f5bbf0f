"""The command line: ``cizsl`` or ``python -m cizsl``."""

from pathlib import Path

from cizsl.cli.data_parser import add_parsers
from repro import cli, locate
from repro import config as configuration
from repro.cli import default_folder


def main(arguments: list[str] | None = None) -> int:
    return cli.run(parser(), arguments)


def parser() -> cli.Parser:
    """Every command and option; what a command does is the function below with its name."""
    top = cli.Parser(prog="cizsl", description="Zero-shot recognition from text or attributes.")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")

    command = commands.add_parser("train", help="train and evaluate one configuration")
    command.add_argument("config", help="a YAML file, see configs/cizsl")
    command.add_argument(
        "overrides", nargs="*", default=[], metavar="key=value", help="such as seed=1"
    )
    command.add_argument("--out", type=Path, help="run folder (default: runs/NAME/seedN)")
    command.add_argument("--resume", action="store_true", help="go on with the run in the folder")
    command.add_argument("--device", help="cpu or cuda (default: cuda where there is one)")
    command.set_defaults(run=train)

    _sweep_parser(commands)

    command = commands.add_parser("baselines", help="closed-form baselines on the same data")
    command.add_argument(
        "configs", nargs="+", metavar="CONFIG", help="YAML files, for their data; then key=value"
    )
    command.add_argument("--out", type=Path, metavar="DIR", help="of the run folders (runs)")
    command.add_argument("--device", help="cpu or cuda (default: cuda where there is one)")
    command.set_defaults(run=baselines, overrides=[])

    command = commands.add_parser("evaluate", help="evaluate a finished run again")
    command.add_argument("folder", type=Path, metavar="RUN", help="its folder")
    command.add_argument("--split", choices=("val", "test"), default="test")
    command.add_argument("--data-root", type=Path, metavar="DIR", help="where the data are now")
    command.add_argument("--device", help="cpu or cuda (default: cuda where there is one)")
    command.set_defaults(run=evaluate)

    command = commands.add_parser("table", help="finished runs beside the published numbers")
    command.add_argument("paths", nargs="*", type=Path, metavar="RUN_OR_DIR")
    command.add_argument("--html", type=Path, metavar="FILE", help="also write a page")
    command.add_argument(
        "--compare",
        nargs=2,
        metavar=("A", "B"),
        help="two methods, seed by seed: folders, or rows as A1",
    )
    command.set_defaults(run=table)

    data = commands.add_parser("data", help="check, look at, or make data")
    add_parsers(data.add_subparsers(title="commands", required=True, metavar="COMMAND"))

    config = commands.add_parser("config", help="what may stand in a configuration file")
    config = config.add_subparsers(title="commands", required=True, metavar="COMMAND")
    command = config.add_parser("schema", help="print the JSON schema, for editors")
    command.set_defaults(run=lambda options: print(_schema(), end=""))
    command = config.add_parser("show", help="print the resolved configuration")
    command.add_argument("config", help="a YAML file")
    command.add_argument("overrides", nargs="*", default=[], metavar="key=value")
    command.set_defaults(run=lambda options: print(configuration.dump(_load(options)), end=""))
    return top


def _sweep_parser(commands) -> None:
    command = commands.add_parser("sweep", help="train configurations x seeds x values")
    command.add_argument(
        "configs", nargs="+", metavar="CONFIG", help="YAML files; then key=value or key=a,b,c"
    )
    command.add_argument("--seeds", default="0", help="such as 0-4 or 0,1,7 (default: 0)")
    command.add_argument("--variants", type=Path, metavar="FILE", help="named sets of overrides")
    command.add_argument("--out", type=Path, metavar="DIR", help="of the run folders (runs)")
    command.add_argument("--jobs", type=int, metavar="N", help="at a time (default: one a GPU)")
    command.add_argument("--device", help="cpu or cuda (default: cuda where there is one)")
    command.add_argument("--cluster", choices=("slurm", "local"), help="submit instead")
    command.add_argument("--resources", type=Path, metavar="FILE", help="see configs/cluster")
    command.add_argument("--html", type=Path, metavar="FILE", help="then their table, and a page")
    command.add_argument("--dry-run", action="store_true", help="print the runs and their states")
    command.set_defaults(run=sweep, overrides=[])


def train(options) -> int:
    from cizsl.report.tables import HEADINGS
    from cizsl.training.run import tidy, train
    from repro.device import resolve
    from repro.run import RunFolder
    from repro.signals import StopRequest

    config = _load(options)
    out = options.out or default_folder(options.config, options.overrides, config.seed)
    with RunFolder(out, config, options.resume) as folder, StopRequest() as stop:
        if folder.complete:
            tidy(folder)
            print(f"{folder.path}: complete already")
            return 0
        summary = train(config, folder, resolve(options.device), stop)
    scores = summary["metrics"].get("selected") or summary["metrics"]["best_on_test"]
    names = dict.fromkeys((*config.evaluation.reported, "harmonic"))
    shown = ", ".join(f"{HEADINGS[name]} {100 * scores[name]:.2f} %" for name in names)
    if "search" in summary:
        weight, choices = summary["creativity"]["weight"], len(summary["search"]["candidates"])
        print(f"{folder.path}: creativity weight {weight}, of {choices}, by validation classes")
    print(
        f"{folder.path}: {summary['method']} on {summary['dataset']} {summary['split']}"
        f"{' (toy)' if summary['toy'] else ''}, {summary['protocol']} protocol: "
        f"{shown} in {summary['seconds']:.0f} s"
    )
    return 0


def sweep(options) -> int:
    from cizsl.cli.sweep import command

    return command(options)


def baselines(options) -> int:
    from cizsl.cli.baselines import command

    return command(options)


def evaluate(options) -> int:
    from cizsl.training.evaluate_run import evaluate_again
    from repro.device import resolve

    device = resolve(options.device)
    phase, scores = evaluate_again(options.folder, options.split, device, options.data_root)
    print(f"{options.folder}: {phase}")
    for name, value in scores.items():
        print(f"  {name:<15} {100 * value:7.3f} %")
    return 0


def table(options) -> int:
    from cizsl.cli.table import run_table

    return run_table(options.paths, options.html, options.compare)


def _load(options):
    from cizsl.config import CIZSLConfig

    file = locate.find(options.config, "cizsl")
    return configuration.load(file, CIZSLConfig, options.overrides)


def _schema() -> str:
    from cizsl.config import CIZSLConfig

    return configuration.schema(CIZSLConfig)
