"""Steps for a quarter of an hour on a CUDA GPU, most valuable first, each with a limit of its own.

    python benchmarks/gpu.py [STEP ...]

The output of a step goes to runs/gpu/STEP.log as it comes. A step that has ended well is not
repeated; one that fails or reaches its limit is, and the others go on. Training continues where it
was. A table ends the output. BIRDS names the folder of the published birds (default: data); cells
whose files are not there are left out. IMAGES names a folder or a zip of 32 x 32 images for a score
model; without it that step is left out.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

OUT = Path("runs/gpu")
CUDA = ["--device", "cuda"]


def benchmark(name: str, *options: str) -> list[str]:
    """Return the command of a benchmark."""
    return [sys.executable, f"benchmarks/{name}.py", *options, *CUDA]


def training(package: str, step: str, *arguments: str) -> list[str]:
    """Return the command of a training in the folder of its step."""
    where = ["--resume", "--out", str(OUT / step)]
    return [sys.executable, "-m", package, "train", *arguments, *CUDA, *where]


def steps() -> dict[str, tuple[int, list[str]]]:
    """Return seconds and command of each step by its name."""
    size, fast = ("--size", "published"), ("--channels-last", "--compile")
    cizsl, fast_widths = (*size, "--no-plain", "--precision"), ("--align", "64")
    query = "--query-gpu=name,memory.total,driver_version"
    found = {
        "machine": (20, ["nvidia-smi", query, "--format=csv,noheader"]),
        "tests": (
            150,
            [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider"],
        ),
        "compact": (60, training("cizsl", "compact", "compact_easy_cizsl")),
        "cub_hard": (120, cell("cub_hard")),
        "cizsl_tf32": (60, benchmark("bench_cizsl", *cizsl, "tf32", *fast_widths, "--graph")),
        "cizsl_eager": (60, benchmark("bench_cizsl", *cizsl, "tf32", *fast_widths)),
        "cizsl_plain": (60, benchmark("bench_cizsl", *cizsl, "tf32")),
        "networks_bf16": (90, benchmark("bench_networks", *size, "--precision", "bf16", *fast)),
        "networks_float32": (60, benchmark("bench_networks", *size)),
        "nab_hard": (130, cell("nab_hard")),
        "cizsl_bf16": (60, benchmark("bench_cizsl", *cizsl, "bf16", *fast_widths, "--graph")),
        "cizsl_compiled": (
            90,
            benchmark("bench_cizsl", *cizsl, "tf32", *fast_widths, "--graph", "--compile"),
        ),
        "switches": (
            90,
            benchmark(
                "bench_training", "configs/sde/images/cifar10_ddpmpp_vp.yaml", "--shape", "3,32,32"
            ),
        ),
        "scores": (300, images("scores")),
    }
    return {name: step for name, step in found.items() if step[1]}


def cell(name: str) -> list[str]:
    """Return the command of a whole run of published birds, empty where its files are absent."""
    birds = os.environ.get("BIRDS", "data")
    listing = [sys.executable, "-m", "cizsl", "data", "cells", birds]
    there = subprocess.run(listing, capture_output=True, text=True, timeout=300).stdout.split()
    settings = ("compute.precision=tf32", f"data.root={birds}")
    return training("cizsl", name, name, *settings) if name in there else []


def images(name: str) -> list[str]:
    """Return the command of a training on images, empty without IMAGES."""
    path = os.environ.get("IMAGES")
    settings = ("data.name=folder", f"data.path={path}")
    return training("sde", name, "cifar10_mid", *settings) if path else []


def run(name: str, seconds: int, command: list[str]) -> str:
    """Run a step; return its line of the table."""
    done, log = OUT / f"{name}.done", OUT / f"{name}.log"
    if done.exists():
        return done.read_text()
    print(f"== {name}, at most {seconds} s: {' '.join(command)}", flush=True)
    began, outcome = time.monotonic(), "ok"
    with open(log, "w") as file:
        try:
            code = subprocess.run(command, stdout=file, stderr=file, timeout=seconds).returncode
            outcome = f"failed ({code})" if code else "ok"
        except subprocess.TimeoutExpired:
            outcome = "reached its limit"
        except OSError as error:
            outcome = f"failed ({error})"
    lines = log.read_text(errors="replace").replace("\r", "\n").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    line = f"{name:<18} {time.monotonic() - began:7.0f} s  {outcome}: {last[:100]}"
    if outcome == "ok":
        done.write_text(line)
    return line


def main() -> None:
    """Run the steps that are named, or all; print the table."""
    OUT.mkdir(parents=True, exist_ok=True)
    known = steps()
    if unknown := [name for name in sys.argv[1:] if name not in known]:
        sys.exit(f"no step {unknown[0]!r} here; known: {', '.join(known)}")
    table = [run(name, *known[name]) for name in sys.argv[1:] or known]
    print("\n" + "\n".join(table))


if __name__ == "__main__":
    main()
