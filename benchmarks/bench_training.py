"""What each switch of ``compute`` does to an iteration of training, in one run.

    python benchmarks/bench_training.py [CONFIG] [key=value ...] [--device cuda] [--repeat 5]

The iteration of ``sde.training.train`` (draw a batch, loss, backward, clip, Adam, average of the
weights) is timed with the configuration as it is and with one switch changed at a time, all in
turn, so that a machine whose speed drifts slows them all. Printed are the median of each, its ratio
to the first, and on a GPU the memory that an iteration takes beside what lies there between
iterations. Random images stand in for data, in the shape of the option.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from repro import config as configuration
from repro.device import precision, resolve
from repro.run import RunFolder
from sde import build
from sde.config.run import SDEConfig
from sde.data.dataset import Dataset, DataSpec, Split
from sde.data.quantisation import Quantisation
from sde.training.train import Trainer

SWITCHES = {
    "as configured": [],
    "channels_last": ["compute.channels_last=true"],
    "not fused": ["compute.fused=false"],
    "two parts": ["compute.gradient_accumulation=2"],
    "tf32": ["compute.precision=tf32"],
    "bf16": ["compute.precision=bf16"],
    "compile": ["compute.compile=true"],
    "bf16, compile, channels_last": [
        "compute.precision=bf16", "compute.compile=true", "compute.channels_last=true",
    ],
}  # fmt: skip


def images(shape: tuple[int, ...], device: torch.device) -> Dataset:
    """512 random images of 256 levels."""
    spec = DataSpec("random", shape, Quantisation(-1.0, 1.0, 256))
    values = torch.randint(0, 256, (512, *shape), dtype=torch.uint8, device=device)
    return Dataset(spec, Split(spec, values), Split(spec, values))


def iteration(config: SDEConfig, device: torch.device, folder: Path, shape):
    """A function that makes one iteration, and waits for the device."""
    build.dataset = lambda config, device: images(shape, device)  # no files
    trainer = Trainer(config, RunFolder(folder, config), device)
    trainer._restore = lambda: None
    parameters = list(trainer.network.parameters())

    def run():
        with precision(config.compute.precision, device):
            for x0, u, z in trainer._batch():
                loss = trainer.loss(trainer.network, x0, u, z).loss / trainer.parts
                with torch.autocast(device.type, enabled=False):
                    loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            trainer.optimiser.step()
            trainer.ema.update_parameters(trainer.network)
            trainer.optimiser.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return run


def memory_of(run, device: torch.device) -> int:
    """Bytes that a run takes on a GPU beside what lies there already."""
    if device.type != "cuda":
        run()
        return 0
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    run()
    return torch.cuda.max_memory_allocated() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("config", nargs="?", default="configs/sde/images/mnist.yaml")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--shape", default="1,28,28", help="of an image: channels, height, width")
    parser.add_argument("--device")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--only", nargs="*", choices=SWITCHES, help="some of the switches")
    options = parser.parse_args()
    device = resolve(options.device)
    shape = tuple(int(word) for word in options.shape.split(","))
    runs, times, memory = {}, {}, {}
    for name in options.only or SWITCHES:
        if name == "tf32" and device.type != "cuda":
            continue  # a CPU has no such units
        overrides = [*options.overrides, *SWITCHES[name]]
        config = configuration.load(options.config, SDEConfig, overrides)
        with tempfile.TemporaryDirectory() as folder:
            runs[name] = iteration(config, device, Path(folder), shape)
            runs[name]()  # compile, allocate
        times[name] = []
    for _ in range(options.repeat):
        for name, run in runs.items():
            started = time.perf_counter()
            memory[name] = memory_of(run, device)
            times[name].append(time.perf_counter() - started)
    first = statistics.median(next(iter(times.values())))
    where = f"{torch.get_num_threads()} threads" if device.type == "cpu" else str(device)
    print(f"{options.config}, images {shape}, {where}, torch {torch.__version__}")
    for name, values in times.items():
        median = statistics.median(values)
        held = f"{memory[name] / 2**20:8.0f} MiB" if memory[name] else ""
        print(f"  {name:<30}{1e3 * median:9.1f} ms   x {first / median:.2f} {held}")


if __name__ == "__main__":
    main()
