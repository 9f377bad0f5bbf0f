"""What feeding a training step costs: images a second, and the share of a step.

    python benchmarks/bench_data.py [--batch 128] [--shape 3 32 32] [--step-ms MS] [--device cuda]
    python benchmarks/bench_data.py --zip FOLDER_OR_ZIP     # also the decoding of image files

Each time is the least of its repeats, all measured in turn in this run. ``--step-ms`` is the time
of a training step of the network to be fed; the share is that of the batch in it. A loader that
fetches image by image and collates (torch.utils.data.DataLoader, no worker) stands beside ours.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from sde.data.cache import Decoding, read_folder
from sde.data.dataset import DataSpec, Split
from sde.data.quantisation import Quantisation


def least_seconds(repeats: int, device: torch.device, jobs: dict) -> dict[str, float]:
    """The least time of each job, called in turn, after one call that warms up."""
    least = dict.fromkeys(jobs, float("inf"))
    for repeat in range(repeats + 1):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if repeat:
                least[name] = min(least[name], time.perf_counter() - start)
    return least


def collated(levels: torch.Tensor, batch: int, device: torch.device):
    """A function of no arguments: the next batch of a DataLoader, dequantised on the device."""
    loader = DataLoader(TensorDataset(levels), batch_size=batch, shuffle=True, drop_last=True)
    batches, scale = iter(loader), Quantisation(-1.0, 1.0)

    def draw() -> torch.Tensor:
        nonlocal batches
        try:
            (found,) = next(batches)
        except StopIteration:
            batches = iter(loader)
            (found,) = next(batches)
        found = found.to(device)
        return scale.dequantise(found, torch.rand(found.shape, device=device))

    return draw


def feeding(options, device: torch.device, folder: Path) -> None:
    """A line for each place where the images may lie."""
    shape = (options.images, *options.shape)
    levels = torch.randint(256, shape, dtype=torch.uint8)
    np.save(folder / "images.npy", levels.numpy())
    mapped = torch.from_numpy(np.load(folder / "images.npy", mmap_mode="c"))
    plain = Split(DataSpec("bench", tuple(options.shape), Quantisation(-1.0, 1.0)), levels)
    mirrored = Split(plain.spec, levels, flip=True)
    splits = {
        "on the device": plain.to(device),
        "on the device, mirrored": mirrored.to(device),
        "in host memory": plain.to(device, on_host=True),
        "in a mapped file": Split(plain.spec, mapped).to(device, on_host=True),
    }
    generator, jobs = torch.Generator(device).manual_seed(0), {}
    for name, split in splits.items():
        jobs[name] = lambda split=split: split.draw(options.batch, generator)
    like = (options.batch, *options.shape)
    jobs["of it, the uniform numbers"] = lambda: torch.rand(
        like, generator=generator, device=device
    )
    jobs["image by image, collated"] = collated(levels, options.batch, device)
    print(f"batch {options.batch} of {options.images} images {tuple(options.shape)}, {device}, "
          f"{torch.get_num_threads()} CPU threads")  # fmt: skip
    print(f"{'images lie':28s} {'ms a batch':>11s} {'images/s':>10s} {'share of a step':>16s}")
    for name, seconds in least_seconds(options.repeats, device, jobs).items():
        share = f"{100e3 * seconds / options.step_ms:.2f} %" if options.step_ms else "-"
        print(f"{name:28s} {1e3 * seconds:11.3f} {options.batch / seconds:10.0f} {share:>16s}")


def decoding(path: Path, folder: Path) -> None:
    """Image files a second, the first time and from the cache."""
    for what in ("decoded", "from the cache"):
        start = time.perf_counter()
        images, _ = read_folder(path, Decoding(), seed=0, cache=folder, skip_bad=True)
        seconds = time.perf_counter() - start
        print(f"{path.name}: {len(images)} images {what} in {seconds:.2f} s, "
              f"{len(images) / seconds:.0f} a second, {os.cpu_count()} cores")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--images", type=int, default=50000)
    parser.add_argument("--shape", type=int, nargs=3, default=(3, 32, 32))
    parser.add_argument("--step-ms", type=float, help="a training step of the network to be fed")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--zip", type=Path, help="image files to decode")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        feeding(options, torch.device(options.device), Path(folder))
        if options.zip:
            decoding(options.zip, Path(folder))


if __name__ == "__main__":
    main()
