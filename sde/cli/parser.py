"""The command line: ``sde`` or ``python -m sde``."""

from pathlib import Path

from repro import cli
from sde.cli import commands as actions


def main(arguments: list[str] | None = None) -> int:
    return cli.run(parser(), arguments)


def parser() -> cli.Parser:
    """Every command and option; what a command does is in sde/cli/commands.py."""
    top = cli.Parser(prog="sde", description="Score-based generative modelling through SDEs.")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _train(commands)
    _draw(commands)
    _judge(commands)
    _exchange(commands)
    _inspect(commands)
    return top


def _train(commands) -> None:
    command = commands.add_parser("train", help="train one configuration")
    command.add_argument("config", help="a YAML file, see configs/sde")
    command.add_argument(
        "overrides", nargs="*", default=[], metavar="key=value", help="such as seed=1"
    )
    command.add_argument("--out", type=Path, help="run folder (default: runs/NAME/seedN)")
    command.add_argument("--resume", action="store_true", help="go on with the run in the folder")
    command.add_argument(
        "--accept-data",
        action="store_true",
        help="with --resume: go on although the data files are not those that the run began with",
    )
    _device(command)
    command.set_defaults(run=actions.train)


def _draw(commands) -> None:
    command = commands.add_parser("sample", help="draw samples: an array and a figure")
    _model(command)
    command.add_argument(
        "--sampler", metavar="NAME", help="a predictor, PREDICTOR+CORRECTOR, a solver or ode"
    )
    command.add_argument("--steps", type=cli.positive, metavar="N", help="steps of the sampler")
    command.add_argument(
        "-n", type=cli.positive, dest="count", metavar="COUNT", help="how many samples"
    )
    command.add_argument("--class", dest="label", metavar="NAME", help="of one class only")
    command.add_argument(
        "--strength", type=float, default=1.0, help="of the classifier's gradient (default: 1)"
    )
    command.set_defaults(run=actions.sample)

    command = commands.add_parser("samplers", help="list what --sampler takes")
    command.set_defaults(run=actions.samplers)

    command = commands.add_parser("classifier", help="train what sample --class needs")
    _model(command, writes=False)
    command.add_argument("--iterations", type=cli.positive, default=3000, metavar="N")
    command.set_defaults(run=actions.classifier)

    command = commands.add_parser("complete", help="hide part of held-out images, and draw it")
    _model(command)
    command.add_argument(
        "--hide",
        default="right",
        metavar="PART",
        help="left, right, top, bottom, centre, random (half of the pixels) or colour",
    )
    command.add_argument("--way", default="guided", help="guided or replacement")
    command.add_argument("--sampler", metavar="NAME", help="as of sample")
    command.add_argument("--steps", type=cli.positive, metavar="N", help="steps of the sampler")
    command.add_argument("-n", type=cli.positive, default=8, dest="count", help="how many images")
    command.add_argument("--draws", type=cli.positive, default=4, metavar="N", help="of each")
    command.set_defaults(run=actions.complete)


def _judge(commands) -> None:
    command = commands.add_parser("likelihood", help="exact likelihood of held-out examples")
    _model(command, writes=False)
    command.add_argument("--data", metavar="NAME", help="of other data (default: the model's own)")
    command.set_defaults(run=actions.likelihood)

    command = commands.add_parser("evaluate", help="distances, samplers, likelihood, and a page")
    _model(command)
    command.set_defaults(run=actions.evaluate)

    command = commands.add_parser("table", help="evaluated runs, like beside like")
    command.add_argument("paths", nargs="+", type=Path, metavar="RUN_OR_DIR")
    command.set_defaults(run=actions.table)


def _exchange(commands) -> None:
    command = commands.add_parser("import", help="a published checkpoint as a run folder")
    command.add_argument(
        "file", type=Path, help="a checkpoint of score_sde_pytorch, or a file of `sde export`"
    )
    command.add_argument(
        "--config", help="of a published checkpoint: see configs/sde/cifar10_*.yaml"
    )
    command.add_argument(
        "overrides", nargs="*", default=[], metavar="key=value", help="such as data.root=DIR"
    )
    command.add_argument("--out", type=Path, metavar="DIR", help="default: runs/NAME/FILE")
    command.add_argument("--raw", action="store_true", help="weights as trained, not averaged")
    command.set_defaults(run=actions.import_)

    command = commands.add_parser("export", help="the averaged weights as a safetensors file")
    command.add_argument("model", type=Path, metavar="RUN_OR_CHECKPOINT")
    command.add_argument("file", type=Path, metavar="FILE.safetensors")
    command.set_defaults(run=actions.export, overrides=[], device="cpu")


def _inspect(commands) -> None:
    data = commands.add_parser("data", help="look at the data of a configuration")
    data = data.add_subparsers(title="commands", required=True, metavar="COMMAND")
    command = data.add_parser(
        "inspect",
        help="shape, range, counts, classes, checksums; fetches and decodes what is missing",
    )
    command.add_argument("config", help="a YAML file, see configs/sde")
    command.add_argument(
        "overrides", nargs="*", default=[], metavar="key=value", help="such as data.root=DIR"
    )
    command.add_argument(
        "--skip-bad", action="store_true", help="list the files that are no images, and go on"
    )
    command.set_defaults(run=actions.inspect)

    config = commands.add_parser("config", help="what may stand in a configuration file")
    config = config.add_subparsers(title="commands", required=True, metavar="COMMAND")
    command = config.add_parser("schema", help="print the JSON schema, for editors")
    command.set_defaults(run=lambda options: print(actions.schema(), end=""))
    command = config.add_parser("show", help="print the resolved configuration")
    command.add_argument("config", help="a YAML file")
    command.add_argument("overrides", nargs="*", default=[], metavar="key=value")
    command.set_defaults(run=lambda options: print(actions.show(options), end=""))


def _model(command, writes: bool = True) -> None:
    command.add_argument("model", type=Path, metavar="RUN_OR_CHECKPOINT")
    command.add_argument(
        "overrides", nargs="*", default=[], metavar="key=value", help="such as sampling.snr=0.1"
    )
    if writes:
        command.add_argument("--out", type=Path, metavar="DIR", help="default: the run's folder")
    _device(command)


def _device(command) -> None:
    command.add_argument("--device", help="cpu or cuda (default: cuda where there is one)")
