"""How close an iteration and an evaluation of cizsl come to their floor, in one run.

    python benchmarks/bench_cizsl.py [--size published|nab|small] [--repeat 3] [--device cuda]

The bare matrix products of an iteration (its floating-point floor), our iteration, the
straightforward iteration (plain autograd, tests/helpers/oracles.py) and the evaluations are timed
in turn, so that a machine whose speed drifts slows them all. Medians, ratios, FLOP and the achieved
share of the machine's rate on one large matrix product are printed, and the bytes that an iteration
moves at least beside the rate of one large copy. Data are random, in the shapes
of CUB easy (or NAB hard); the time does not depend on the values. The straightforward evaluation
runs on the CPU only: once lean, once with all that the published code does at an evaluation
(features copied anew for every class, similarities in float64, a figure and a text file of the
curve).
"""

import argparse
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.sizes import (
    EVALUATIONS,
    ITERATIONS,
    SIZES,
    Size,
    aligned,
    evaluation_flop,
    iteration_bytes,
    iteration_flop,
    iteration_products,
)
from benchmarks.timing import in_turn, matrix_rate, memory_rate
from cizsl import divergences
from cizsl.batches import BatchSampler
from cizsl.classifiers import class_centroids
from cizsl.creativity import CREATIVITY
from cizsl.divergences import DivergenceParameters
from cizsl.evaluate import evaluate
from cizsl.gan import GAN
from cizsl.losses import Weights
from cizsl.networks import Discriminator, Generator
from cizsl.protocols import ZSLTask
from cizsl.training.graph import WARM_UP, IterationGraph
from repro.device import precision
from tests.helpers import oracles


def bare_products(products, device):
    """A function that runs the products on buffers made beforehand."""
    shapes = {(m, k, n) for _, _, m, k, n in products}
    buffers = {
        (m, k, n): [torch.randn(a, b, device=device) for a, b in ((m, k), (k, n), (m, n))]
        for m, k, n in shapes
    }

    def run():
        for _, count, *shape in products:
            a, b, out = buffers[tuple(shape)]
            for _ in range(count):
                torch.mm(a, b, out=out)

    return run


def random_task(s: Size, device: torch.device) -> ZSLTask:
    torch.manual_seed(0)
    there = {"device": device}
    text = torch.nn.functional.normalize(torch.rand(s.seen + s.unseen, s.V, **there), dim=1)
    train, labels = torch.randn(s.train, s.D, **there), torch.randint(s.seen, (s.train,), **there)
    return ZSLTask(
        train_features=train,
        train_labels=labels,
        seen_features=train,
        seen_labels=labels,
        unseen_features=torch.randn(s.test, s.D, **there),
        unseen_labels=torch.randint(s.unseen, (s.test,), **there),
        seen_text=text[: s.seen],
        unseen_text=text[s.seen :],
        centroids=class_centroids(train, labels, s.seen),
    )


def build(
    s: Size, task: ZSLTask, compile: bool = False, align: int = 1
) -> tuple[GAN, BatchSampler]:
    device = task.seen_text.device
    networks = Generator(s.V, s.D, s.Z, s.R, s.H), Discriminator(s.D, s.seen, s.H)
    for network in networks:
        network.align(align)
    gan = GAN(
        *(network.to(device) for network in networks),
        DivergenceParameters(0.5, 0.5),
        features=task.train_features,
        labels=task.train_labels,
        text=task.seen_text,
        centroids=task.centroids,
        creativity=CREATIVITY["sharma_mittal"],
        weights=Weights(**oracles.PUBLISHED_WEIGHTS),
        compile=compile,
    )
    classes = torch.arange(s.seen, device=device)
    random = torch.Generator(device).manual_seed(0)
    sampler = BatchSampler(task.train_labels, classes, s.B, s.Z, (0.2, 0.8), random)
    return gan, sampler


def our_iteration(gan: GAN, sampler: BatchSampler, graph: bool = False):
    def take(batches):
        steps = [gan.critic_step(batch) for batch in batches[:-1]]
        return [*steps, gan.generator_step(batches[-1])]

    iterate = IterationGraph(take) if graph else take

    def run():
        iterate([sampler.critic_batch(False) for _ in range(5)] + [sampler.generator_batch(True)])

    return run


def plain_iteration(gan: GAN, sampler: BatchSampler):
    generator = oracles.PlainGenerator(gan.generator)
    discriminator = oracles.PlainDiscriminator(gan.discriminator)
    adam = {"lr": 1e-4, "betas": (0.5, 0.9)}
    for_d = torch.optim.Adam(discriminator.parameters(), **adam)
    for_g = torch.optim.Adam(generator.parameters(), **adam)
    data = (gan.features, gan.labels, gan.text)

    def creative(logits):
        return divergences.sharma_mittal(logits.softmax(-1), 0.5, 0.5).mean()

    def run():
        for _ in range(5):
            oracles.plain_critic_step(
                generator, discriminator, for_d, *data, sampler.critic_batch(False), 10.0
            )
        oracles.plain_generator_step(
            generator,
            discriminator,
            for_g,
            *data,
            gan.centroids,
            sampler.generator_batch(True),
            gan.weights,
            creative,
        )

    return run


def bench(name: str, device: torch.device, plain_too: bool, options: argparse.Namespace) -> None:
    s, repeat = SIZES[name], options.repeat
    task = random_task(s, device)
    gan, sampler = build(s, task, options.compile, options.align)
    products = iteration_products(aligned(s, options.align))
    flop, moved = iteration_flop(s), iteration_bytes(aligned(s, options.align))
    rate, copied = matrix_rate(2 * s.B, s.D, s.H, device), memory_rate(device)
    random = torch.Generator(device).manual_seed(0)
    ours = our_iteration(gan, sampler, options.graph)
    for _ in range(WARM_UP if options.graph else 0):
        ours()
    functions = {
        "bare": bare_products(products, device),
        "ours": ours,
        "evaluation": lambda: evaluate(gan.generator, task, random, curve="grid"),
    }
    if plain_too:
        narrow, _ = build(s, task)
        functions["plain"] = plain_iteration(narrow, sampler)
    if plain_too and device.type == "cpu":
        plain = oracles.PlainGenerator(narrow.generator)
        for label, published in (("plain evaluation", False), ("published evaluation", True)):
            functions[label] = lambda published=published: oracles.plain_evaluation(
                plain, task, s.samples, 20, random, as_published=published
            )
    t = in_turn(functions, repeat)
    print(f"\n{name}: {s}")
    where = f"{torch.get_num_threads()} threads" if device.type == "cpu" else str(device)
    print(f"  one large product: {rate / 1e9:.0f} GFLOP/s on {where}")
    print(f"  one large copy: {copied / 1e9:.0f} GB/s")
    print(f"  iteration, {flop / 1e9:.1f} GFLOP in matrix products, {moved / 1e9:.2f} GB or more")
    print(f"    floor by FLOP {flop / rate:.4f} s, by bytes {moved / copied:.4f} s")
    labels = {"bare": "bare products", "ours": "ours", "plain": "plain autograd"}
    report(t, labels, flop / rate)
    print(f"    ours / bare products {t['ours'] / t['bare']:.2f}")
    if "plain" in t:
        print(f"    plain / ours         {t['plain'] / t['ours']:.2f}")
    flop = evaluation_flop(s)
    print(f"  evaluation, {flop / 1e9:.1f} GFLOP in matrix products")
    labels = {"evaluation": "ours", "plain evaluation": "straightforward"}
    labels["published evaluation"] = "as published"
    report(t, labels, flop / rate)
    whole = ITERATIONS * t["ours"] + EVALUATIONS * t["evaluation"]
    print(f"  {ITERATIONS} iterations and {EVALUATIONS} evaluations at these times: {whole:.0f} s")
    if "plain evaluation" in t:
        print(f"    straightforward / ours {t['plain evaluation'] / t['evaluation']:.1f}")
        print(f"    as published / ours    {t['published evaluation'] / t['evaluation']:.1f}")


def report(times: dict[str, float], labels: dict[str, str], floor: float) -> None:
    """A line for each: seconds, and the share of the rate, ``floor`` being the time at that."""
    for key, label in labels.items():
        if key in times:
            share = floor / times[key]
            print(f"    {label:<16}{times[key]:9.4f} s   {share:5.0%} of the rate")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", choices=SIZES, action="append", help="default: published, small")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--no-plain", action="store_true", help="without the straightforward code")
    parser.add_argument("--precision", choices=("float32", "tf32", "bf16"), default="float32")
    parser.add_argument("--compile", action="store_true", help="torch.compile our iteration")
    parser.add_argument("--align", type=int, default=1, help="widen layers to multiples of this")
    parser.add_argument("--graph", action="store_true", help="capture our iteration (CUDA)")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    device = torch.device(options.device)
    for size in options.size or ("published", "small"):
        with precision(options.precision, device):
            bench(size, device, not options.no_plain, options)


if __name__ == "__main__":
    main()
