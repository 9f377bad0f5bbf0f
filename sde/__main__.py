"""The command line: ``sde`` or ``python -m sde``."""

import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path

from repro import cli
from repro import config as configuration
from repro.cli import default_folder
from repro.errors import InputError


def main(arguments: list[str] | None = None) -> int:
    return cli.run(parser(), arguments)


def parser() -> cli.Parser:
    """Every command and option; what a command does is the function below with its name."""
    top = cli.Parser(prog="sde", description="Score-based generative modelling through SDEs.")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")

    command = commands.add_parser("train", help="train one configuration")
    command.add_argument("config", help="a YAML file, see configs/sde")
    command.add_argument("overrides", nargs="*", metavar="key=value", help="such as seed=1")
    command.add_argument("--out", type=Path, help="run folder (default: runs/NAME/seedN)")
    command.add_argument("--resume", action="store_true", help="go on with the run in the folder")
    _device(command)
    command.set_defaults(run=train)

    command = commands.add_parser("sample", help="draw samples: an array and a figure")
    _model(command)
    command.add_argument("--sampler", metavar="NAME", help="a solver, ode, or PREDICTOR+CORRECTOR")
    command.add_argument("--steps", type=int, metavar="N", help="steps of the sampler")
    command.add_argument("-n", type=int, dest="count", metavar="COUNT", help="how many samples")
    command.set_defaults(run=sample)

    command = commands.add_parser("likelihood", help="exact likelihood of held-out items")
    _model(command)
    command.add_argument("--data", metavar="NAME", help="of other data (default: the model's own)")
    command.set_defaults(run=likelihood)

    command = commands.add_parser("evaluate", help="distances, samplers, likelihood, and a page")
    _model(command)
    command.set_defaults(run=evaluate)

    command = commands.add_parser("import", help="a published checkpoint as a run folder")
    command.add_argument(
        "file", type=Path, help="a checkpoint of score_sde_pytorch, or a file of `sde export`"
    )
    command.add_argument(
        "--config", help="of a published checkpoint: see configs/sde/cifar10_*.yaml"
    )
    command.add_argument("overrides", nargs="*", metavar="key=value", help="such as data.root=DIR")
    command.add_argument("--out", type=Path, metavar="DIR", help="default: runs/NAME/FILE")
    command.add_argument("--raw", action="store_true", help="weights as trained, not averaged")
    command.set_defaults(run=import_)

    command = commands.add_parser("export", help="the averaged weights as a safetensors file")
    command.add_argument("model", type=Path, metavar="RUN_OR_CHECKPOINT")
    command.add_argument("file", type=Path, metavar="FILE.safetensors")
    command.set_defaults(run=export, overrides=[], device="cpu")

    data = commands.add_parser("data", help="look at the data of a configuration")
    data = data.add_subparsers(title="commands", required=True, metavar="COMMAND")
    command = data.add_parser(
        "inspect",
        help="shape, range, counts, classes, checksums; fetches and decodes what is missing",
    )
    command.add_argument("config", help="a YAML file, see configs/sde")
    command.add_argument("overrides", nargs="*", metavar="key=value", help="such as data.root=DIR")
    command.add_argument(
        "--skip-bad", action="store_true", help="list the files that are no images, and go on"
    )
    command.set_defaults(run=inspect)

    config = commands.add_parser("config", help="what may stand in a configuration file")
    config = config.add_subparsers(title="commands", required=True, metavar="COMMAND")
    command = config.add_parser("schema", help="print the JSON schema, for editors")
    command.set_defaults(run=lambda options: print(_schema(), end=""))
    command = config.add_parser("show", help="print the resolved configuration")
    command.add_argument("config", help="a YAML file")
    command.add_argument("overrides", nargs="*", metavar="key=value")
    command.set_defaults(run=lambda options: print(configuration.dump(_load(options)), end=""))
    return top


def _model(command) -> None:
    command.add_argument("model", type=Path, metavar="RUN_OR_CHECKPOINT")
    command.add_argument(
        "overrides", nargs="*", metavar="key=value", help="such as sampling.snr=0.1"
    )
    command.add_argument("--out", type=Path, metavar="DIR", help="default: the run's folder")
    _device(command)


def _device(command) -> None:
    command.add_argument("--device", help="cpu or cuda (default: cuda where there is one)")


def train(options) -> int:
    from repro.device import resolve
    from repro.distributed import joined
    from repro.interrupt import StopRequest
    from repro.run import RunFolder
    from sde.train import train

    config = _load(options)
    out = options.out or default_folder(options.config, options.overrides, config.seed)
    run = RunFolder(out, config, options.resume)
    with (
        joined(resolve(options.device)) as (world, device),
        run if world.leader else nullcontext(),
        StopRequest() as stop,
    ):
        world.wait()  # until the leader has claimed the folder
        summary = None if run.complete else train(config, run, device, stop, world)
    if not world.leader:
        return 0
    if summary is None:
        print(f"{run.path}: complete already")
        return 0
    print(
        f"{run.path}: {summary['network']} of {summary['parameters']} parameters on "
        f"{summary['dataset']}, {summary['process']}: held-out loss {summary['heldout_loss']:.4f} "
        f"after {summary['iterations']} iterations in {summary['seconds']:.0f} s"
    )
    return 0


def sample(options) -> int:
    from sde.sample import sample

    with _trained(options, with_data=False) as (world, trained):
        drawn = sample(trained, options.sampler, options.steps, options.count, options.out, world)
    if world.leader:
        path, samples = drawn
        print(f"{path}: {len(samples.x)} samples, {samples.nfe} evaluations each")
    return 0


def likelihood(options) -> int:
    from sde.evaluate import heldout, likelihood

    with _trained(options) as (world, trained):
        found = likelihood(trained, heldout(trained, options.data), world)
    if world.leader:
        print(found.in_words())
    return 0


def evaluate(options) -> int:
    from sde.evaluate import evaluate

    with _trained(options) as (world, trained):
        found = evaluate(trained, options.out or trained.folder, world)
    if not world.leader:
        return 0
    page, results = found
    for name, distance in results["distances"].items():
        print(f"  {name:<19} {distance['value']:10.5f}   training data {distance['floor']:10.5f}")
    print(f"  {results['likelihood']['in_words']}\n{page}")
    return 0


def inspect(options) -> None:
    from sde.build import dataset

    options.overrides += ["data.skip_bad=true"] if options.skip_bad else []
    print(dataset(_load(options), "cpu").in_words())


def import_(options) -> int:
    from sde.importing import SUFFIX, import_exported, import_official

    file = options.file
    if file.suffix == SUFFIX:
        if options.config or options.raw or options.overrides:
            raise InputError(f"{file}: brings its own configuration and one set of weights")
        out = options.out or Path("runs", file.stem, "imported")
        summary = import_exported(file, out)
    elif options.config is None:
        raise InputError(
            f"{file}: --config is needed, for instance configs/sde/cifar10_ddpmpp_vp.yaml"
        )
    else:
        config = _load(options)
        out = options.out or default_folder(options.config, options.overrides, 0).parent / file.stem
        summary = import_official(file, config, out, raw=options.raw)
    print(
        f"{out}: {summary['network']} of {summary['parameters']} parameters, "
        f"{summary['iterations']} iterations, {summary['imported']['weights']} weights of {file}"
    )
    return 0


def export(options) -> int:
    from sde.importing import export

    with _trained(options, with_data=False) as (world, trained):
        if world.leader:
            count = export(trained, options.file)
            print(f"{options.file}: {count} numbers, after {trained.step} iterations")
    return 0


@contextmanager
def _trained(options, with_data: bool = True):
    """This process among its ranks, and the model on its device."""
    from repro.device import resolve
    from repro.distributed import joined
    from sde.trained import load

    with joined(resolve(options.device)) as (world, device):
        yield world, load(options.model, device, options.overrides, with_data)


def _load(options):
    from sde.config import ScoreModel

    if Path(options.config).is_dir():
        raise InputError(f"{options.config}: expected a YAML file, got a folder")
    return configuration.load(options.config, ScoreModel, options.overrides)


def _schema() -> str:
    from sde.config import ScoreModel

    return configuration.schema(ScoreModel)


if __name__ == "__main__":
    sys.exit(main())
