"""What each command of ``sde`` does and prints; ``options`` are the parsed arguments.

Under torchrun every rank runs the same command, and only the leader prints. Imports stand inside
the functions, so that ``--help`` does not wait for PyTorch.
"""

import sys
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from repro import locate
from repro.errors import InputError
from repro.run_names import default_folder

if TYPE_CHECKING:
    from sde.config.run import SDEConfig
    from sde.trained_model import TrainedModel


def train(options) -> int:
    """Train one configuration, and print what came out."""
    from repro.device import resolve
    from repro.distributed import init_distributed
    from repro.run import RunFolder
    from repro.signals import StopRequest
    from sde.trained_model import FREE
    from sde.training.train import train

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
        if summary is None and ranks.leader:
            _require_results(run.path / "results.json")
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


def _require_results(file: Path) -> None:
    """Raise InputError where the file that marks a complete run holds something else."""
    from repro.files.json_file import read_object

    if not {"network", "iterations"} <= read_object(file).keys():
        raise InputError(
            f"{file}: not the results of a run; remove it, and --resume continues from the "
            "checkpoints"
        )


def sample(options) -> int:
    """Draw samples of a trained model."""
    from sde.sample import sample

    with _trained(options, with_data=False) as (ranks, trained):
        trained = _conditional(trained, options)
        drawn = sample(trained, options.sampler, options.steps, options.count, options.out, ranks)
    if drawn is not None:  # on the leader
        path, samples = drawn
        print(f"{path}: {len(samples.x)} samples, {samples.nfe} evaluations each")
    return 0


def _conditional(trained: "TrainedModel", options) -> "TrainedModel":
    """The model given the class and the guidance of `sde sample`, in a folder named by them."""
    from sde.conditional.classes import Guidance, conditional, label_of
    from sde.conditional.classifier import of_class

    interval = options.interval and tuple(options.interval)
    guidance = Guidance(options.guidance, interval, options.negative)
    folder = "" if options.label is None else f"class_{options.label}"
    if options.label is not None and trained.config.model.condition == "none":
        strength = 1.0 if options.strength is None else options.strength
        trained = replace(trained, score_fn=of_class(trained, options.label, strength))
        label = None
    elif options.strength is not None:
        raise InputError("--strength: of a classifier, for networks without labels; use --guidance")
    else:
        label = label_of(trained, options.label)
    if guidance != Guidance():
        folder += f"{'_' if folder else ''}guidance_{guidance.weight:g}"
    options.out = options.out or (trained.folder / folder if folder else None)
    return conditional(trained, label, guidance)


def samplers(options) -> None:
    """Print every predictor, corrector and solver with the file of its code."""
    from sde.samplers.listing import schemes

    for kind, name, place in list(schemes(options.plugins)):  # a bad plugin prints nothing
        print(f"{kind:<10} {name:<20} {place}")


def classifier(options) -> int:
    """Train a classifier of noisy examples beside a run."""
    from sde.conditional.classifier import train

    with _trained(options) as (ranks, trained):
        if ranks.leader:
            path, right = train(trained, options.iterations)
            shares = ", ".join(f"{100 * share:.1f} % at t = {t:g}" for t, share in right.items())
            print(f"{path}: right on held-out examples: {shares}")
    return 0


def complete(options) -> int:
    """Complete held-out images."""
    from sde.conditional.completion import complete

    names = ("hide", "way", "count", "draws", "sampler", "steps", "out")
    with _trained(options) as (ranks, trained):
        if ranks.leader:
            print(complete(trained, **{name: getattr(options, name) for name in names}))
    return 0


def likelihood(options) -> int:
    """Print the likelihood of held-out examples; write no file."""
    from sde.evaluation.nll import heldout_likelihood, heldout_split

    with _trained(options, read_only=True) as (ranks, trained):
        found = heldout_likelihood(trained, heldout_split(trained, options.data), ranks)
    if found is not None:  # on the leader
        print("; ".join([found.in_words(), *trained.data.noted.get("warnings", [])]))
    return 0


def evaluate(options) -> int:
    """Measure a trained model, and write its page."""
    from sde.evaluation.classes_part import in_words
    from sde.evaluation.evaluate import evaluate

    with _trained(options) as (ranks, trained):
        found = evaluate(trained, options.out or trained.folder, ranks)
    if found is None:  # not the leader
        return 0
    page, results = found
    for name, distance in results["distances"].items():
        print(f"  {name:<19} {distance['value']:10.5f}   training data {distance['floor']:10.5f}")
    if classes := results.get("classes"):
        print(f"  {in_words(classes)}")
    for line in (results["likelihood"]["in_words"], *results.get("warnings", ())):
        print(f"  {line}")
    print(page)
    return 0


def table(options) -> None:
    """Print the tables of evaluated runs, and write them in other forms."""
    from sde.evaluation.table import find, make_tables, text, write

    found = make_tables(find(options.paths))
    for form in ("html", "csv", "latex"):
        if file := getattr(options, form):
            write(found, form, file)
            print(f"wrote {file}", file=sys.stderr)
    print(text(found, "markdown"), end="")


def inspect(options) -> None:
    """Print what the data of a configuration are; write no file."""
    import torch

    from sde.build import dataset

    options.overrides += ["data.skip_bad=true"] if options.skip_bad else []
    print(dataset(load_config(options), torch.device("cpu"), read_only=True).in_words())


def download(options) -> None:
    """Fetch the files of a published data set."""
    from sde.data.image_datasets import download

    for file in download(options.name, options.root):
        print(file)


def import_(options) -> int:
    """Turn a file of weights into a run folder."""
    from sde.pretrained.exported import SUFFIX
    from sde.training.convert import import_exported, import_official

    file = options.file
    if file.suffix == SUFFIX:
        if options.config or options.raw or options.overrides:
            raise InputError(f"{file}: brings its own configuration and one set of weights")
        out = options.out or Path("runs", file.stem, "imported")
        summary = import_exported(file, out)
    elif options.config is None:
        raise InputError(f"{file}: --config is needed, for instance --config cifar10_ddpmpp_vp")
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
    """Write the averaged weights as a safetensors file, or with a model card in a folder."""
    from sde.training.convert import export

    with _trained(options, with_data=not options.file.suffix) as (ranks, trained):
        if ranks.leader:
            count = export(trained, options.file, half=options.half, note=options.note)
            print(f"{options.file}: {count} numbers, after {trained.step} iterations")
    return 0


def average(options) -> None:
    """Make a run folder of a power-function average of the length asked for."""
    from sde.training.averages import reconstruct

    how = (options.length, options.at, options.out)
    summary, distance = reconstruct(options.run_folder, *how)
    weights = summary["imported"]["weights"]
    print(f"{options.out}: {weights}; its profile is met to {100 * distance:.2g} %")


@contextmanager
def _trained(options, with_data: bool = True, read_only: bool = False):
    """This process among its ranks, and the model on its device."""
    from repro.device import resolve
    from repro.distributed import init_distributed
    from sde.trained_model import load

    with init_distributed(resolve(options.device)) as (ranks, device):
        yield ranks, load(options.model, device, options.overrides, with_data, read_only)


def load_config(options) -> "SDEConfig":
    """Return the configuration that was named, with its overrides."""
    return locate.load(options.config, "sde", model(), options.overrides)


def model() -> type["SDEConfig"]:
    """Return the configuration model."""
    from sde.config.run import SDEConfig

    return SDEConfig
