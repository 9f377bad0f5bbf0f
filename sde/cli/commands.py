"""What each command of the command line does, by its name; ``options`` is what was parsed.

Under torchrun every rank runs the same command, and the leader speaks.
"""

from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from repro import config as configuration
from repro import locate
from repro.errors import InputError
from repro.run_names import default_folder


def train(options) -> int:
    from repro.device import resolve
    from repro.distributed import init_distributed
    from repro.run import RunFolder
    from repro.signals import StopRequest
    from sde.train import train
    from sde.trained_model import FREE

    config = load_config(options)
    out = options.out or default_folder(options.config, options.overrides, config.seed)
    run = RunFolder(out, config, options.resume, FREE, options.accept_data)
    with (
        init_distributed(resolve(options.device)) as (ranks, device),
        run if ranks.leader else nullcontext(),
        StopRequest() as stop,
    ):
        ranks.wait()  # until the leader has claimed the folder
        summary = None if run.complete else train(config, run, device, stop, ranks)
    if not ranks.leader:
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
    from sde.conditional.classifier import of_class
    from sde.sample import sample

    with _trained(options, with_data=False) as (ranks, trained):
        if options.label is not None:
            trained = replace(trained, score_fn=of_class(trained, options.label, options.strength))
            options.out = options.out or trained.folder / f"class_{options.label}"
        drawn = sample(trained, options.sampler, options.steps, options.count, options.out, ranks)
    if ranks.leader:
        path, samples = drawn
        print(f"{path}: {len(samples.x)} samples, {samples.nfe} evaluations each")
    return 0


def samplers(options) -> None:
    from sde.samplers import registry

    kinds = {"predictor": registry.PREDICTORS, "corrector": registry.CORRECTORS}
    for kind, schemes in {**kinds, "solver": registry.SOLVERS}.items():
        for name, scheme in schemes.items():
            if name != "none":
                file = scheme.__module__.replace(".", "/")
                print(f"{kind:<10} {name:<20} {file}.py")
    print(f"{'solver':<10} {'ode':<20} sde/samplers/ode.py; sampling.method chooses its method")


def classifier(options) -> int:
    from sde.conditional.classifier import train

    with _trained(options) as (ranks, trained):
        if ranks.leader:
            path, right = train(trained, options.iterations)
            shares = ", ".join(f"{100 * share:.1f} % at t = {t:g}" for t, share in right.items())
            print(f"{path}: right on held-out examples: {shares}")
    return 0


def complete(options) -> int:
    from sde.conditional.completion import complete

    names = ("hide", "way", "count", "draws", "sampler", "steps", "out")
    with _trained(options) as (ranks, trained):
        if ranks.leader:
            print(complete(trained, **{name: getattr(options, name) for name in names}))
    return 0


def likelihood(options) -> int:
    from sde.evaluation.nll import heldout_likelihood, heldout_split

    with _trained(options) as (ranks, trained):
        found = heldout_likelihood(trained, heldout_split(trained, options.data), ranks)
    if ranks.leader:
        print(found.in_words())
    return 0


def evaluate(options) -> int:
    from sde.evaluation.evaluate import evaluate

    with _trained(options) as (ranks, trained):
        found = evaluate(trained, options.out or trained.folder, ranks)
    if not ranks.leader:
        return 0
    page, results = found
    for name, distance in results["distances"].items():
        print(f"  {name:<19} {distance['value']:10.5f}   training data {distance['floor']:10.5f}")
    print(f"  {results['likelihood']['in_words']}\n{page}")
    return 0


def table(options) -> None:
    from sde.evaluation.table import find, tables

    print(tables(find(options.paths)), end="")


def inspect(options) -> None:
    from sde.build import dataset

    options.overrides += ["data.skip_bad=true"] if options.skip_bad else []
    print(dataset(load_config(options), "cpu").in_words())


def import_(options) -> int:
    from sde.convert import SUFFIX, import_exported, import_official

    file = options.file
    if file.suffix == SUFFIX:
        if options.config or options.raw or options.overrides:
            raise InputError(f"{file}: brings its own configuration and one set of weights")
        out = options.out or Path("runs", file.stem, "imported")
        summary = import_exported(file, out)
    elif options.config is None:
        raise InputError(
            f"{file}: --config is needed, for instance configs/sde/images/cifar10_ddpmpp_vp.yaml"
        )
    else:
        config = load_config(options)
        out = options.out or default_folder(options.config, options.overrides, 0).parent / file.stem
        summary = import_official(file, config, out, raw=options.raw)
    print(
        f"{out}: {summary['network']} of {summary['parameters']} parameters, "
        f"{summary['iterations']} iterations, {summary['imported']['weights']} weights of {file}"
    )
    return 0


def export(options) -> int:
    from sde.convert import export

    with _trained(options, with_data=False) as (ranks, trained):
        if ranks.leader:
            count = export(trained, options.file)
            print(f"{options.file}: {count} numbers, after {trained.step} iterations")
    return 0


@contextmanager
def _trained(options, with_data: bool = True):
    """This process among its ranks, and the model on its device."""
    from repro.device import resolve
    from repro.distributed import init_distributed
    from sde.trained_model import load

    with init_distributed(resolve(options.device)) as (ranks, device):
        yield ranks, load(options.model, device, options.overrides, with_data)


def load_config(options):
    from sde.config.run import SDEConfig

    return locate.load(options.config, "sde", SDEConfig, options.overrides)


def show(options) -> str:
    return configuration.dump(load_config(options))


def schema() -> str:
    from sde.config.run import SDEConfig

    return configuration.schema(SDEConfig)
