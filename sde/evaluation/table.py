"""Evaluated runs side by side, as Markdown: likelihood, FID, distances.

A number is only comparable under one protocol: the same data to the byte, the same part of it, as
many samples, the same extractor. Each protocol makes a table of its own, and says what it is.
"""

import json
import sys
from pathlib import Path

from repro.errors import InputError
from sde.config.run import Sampling

DISTANCES = ("energy_distance", "sliced_wasserstein", "mmd", "frechet", "precision", "recall")


def find(paths: list[Path]) -> dict[Path, dict]:
    """The results of every evaluated run in these folders, by its folder. Raises InputError where
    a path holds none."""
    found = {}
    for path in paths:
        if not path.is_dir():
            raise InputError(f"{path}: no such folder; expected a run of sde, or a folder of runs")
        files = [path / "results.json"] if (path / "results.json").exists() else ()
        here = {}
        for file in files or sorted(path.rglob("results.json")):
            try:
                results = json.loads(file.read_text())
            except (OSError, ValueError):
                if files:
                    raise InputError(f"{file}: not a whole results.json") from None
                print(f"warning: {file}: not a whole results.json, left out", file=sys.stderr)
                continue
            if isinstance(results, dict) and {"evaluation", "process", "network"} <= results.keys():
                here[file.parent] = results
        if not here:
            raise InputError(f"{path}: no evaluated run of sde in it; run sde evaluate first")
        found |= here
    return found


def tables(runs: dict[Path, dict]) -> str:
    """One Markdown table for each kind of number and protocol. Raises InputError for results that
    are not as ``sde evaluate`` writes them."""
    groups: dict[tuple, list] = {}
    for folder, results in runs.items():
        try:
            numbers = list(_numbers(results["evaluation"]))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise InputError(
                f"{folder / 'results.json'}: not results of this version ({reason}); evaluate again"
            ) from None
        for title, header, cells in numbers:
            line = [str(folder), str(results["process"]), str(results["network"]), *cells]
            groups.setdefault((title, tuple(header)), []).append(line)
    parts = []
    for (title, header), lines in sorted(groups.items()):
        names = ["run", "process", "network", *header]
        rows = [names, ["---"] * len(names), *sorted(lines)]
        parts.append(title + "\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows))
    return "\n\n".join(parts) + "\n"


def _numbers(found: dict):
    """(protocol in words, header, cells) of each kind of number that was measured."""
    data = f"{found['data']} (sha256 {_short(found['data_sha256'])})"
    reduced = found.get("precision", "float32") != "float32"
    usual = Sampling()
    how = [f"in {found['precision']}"] if reduced else []
    how += [
        f"{name} {value}"
        for name, value in found.get("sampling", {}).items()
        if value != getattr(usual, name)
    ]
    shared = [found["weights"], ", ".join([found["sampler"], *how])]
    flow = found["likelihood"]
    if "bits_per_dim" in flow:
        probes = f"{flow['probes']} probes" if flow["probes"] else "exact divergence"
        title = f"Likelihood of {flow['examples']} held-out examples of {data}, {probes}"
        if "rtol" in flow:
            title += f", {flow['method']} to rtol {flow['rtol']:g} and atol {flow['atol']:g}"
        bits = f"{flow['bits_per_dim']:.4f} ± {flow['standard_error']:.4f}"
        yield title, ("weights", "bits per dimension", "evaluations"), (
            found["weights"], bits, str(flow["nfe"])
        )  # fmt: skip
    if "fid" in found:
        fid = found["fid"]
        title = (
            f"FID of {fid['samples']} samples against {fid['reference_images']} images, the "
            f"{fid['reference']} part of {data}, {fid['extractor']}, with final denoising"
        )
        score = f"{fid['inception_score']:.2f} ± {fid['inception_score_std']:.2f}"
        header = ("weights", "sampler", "evaluations", "FID", "inception score")
        yield title, header, (*shared, str(fid["nfe"]), f"{fid['value']:.3f}", score)
    counts = found["distances"]["energy_distance"]
    sizes = f"{counts['num_fake']} samples to {counts['num_real']} held-out examples"
    title = f"Distances of {sizes} of {data}"
    values = [f"{found['distances'][name]['value']:.4g}" for name in DISTANCES]
    header = ("weights", "sampler", "evaluations", *(name.replace("_", " ") for name in DISTANCES))
    yield title, header, (*shared, str(found["nfe"]), *values)


def _short(checksums: dict[str, str]) -> str:
    return ", ".join(f"{name.split()[-1]} {value[:12]}" for name, value in checksums.items())
