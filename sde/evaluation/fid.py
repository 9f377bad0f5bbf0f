"""Frechet inception distance and inception score, by torch-fidelity (the extra ``fid``).

    FID = |m_r - m_f|^2 + tr(C_r + C_f - 2 (C_r C_f)^(1/2))     (Heusel et al., arXiv:1706.08500)
    IS  = exp E KL(p(y | x) || p(y))                            (Salimans et al., arXiv:1606.03498)

of Inception-v3 features and classes. The library does the work; here are the images as it wants
them (bytes, three channels) and the protocol that makes a number comparable: how many samples,
against which images, by which sampler, with which weights.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from repro.errors import InputError
from sde.data.dataset import Split
from sde.data.quantisation import Quantisation

EXTRACTOR = "inception-v3-compat"


class Bytes(Dataset):
    """Images (N, C, H, W) as uint8 (3, H, W), one by one. Final."""

    def __init__(self, images: Tensor):
        if images.ndim != 4 or images.shape[1] not in (1, 3):
            raise InputError(f"FID is of grey or colour images; got shape {tuple(images.shape)}")
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index].expand(3, -1, -1)


def to_levels(x: Tensor, split: Split) -> Tensor:
    """Samples x (N, C, H, W) as levels: of a model of ``split``'s dequantised items the level whose
    cell holds x, of one of levels in their places the nearest."""
    levels = split.declaration.levels
    if split.dequantise:
        return levels.quantise(x)
    share = (x.clamp(levels.low, levels.high) - levels.low) / (levels.high - levels.low)
    return ((levels.levels - 1) * share).round()


def level_bytes(values: Tensor, levels: Quantisation) -> Tensor:
    """Levels (N, C, H, W), whole numbers, spread over 0 to 255, uint8."""
    return (values.float() * (255 / (levels.levels - 1))).round().to(torch.uint8)


def require(real: Split, weights: Path | None = None) -> Callable:
    """torch-fidelity's function. Raises InputError where it is not installed, ``weights`` are no
    file, or ``real`` are not images: to be asked before samples are drawn."""
    if real.declaration.levels is None:
        raise InputError(f"{real.declaration.name}: FID is of images, which have levels")
    if weights is not None and not Path(weights).is_file():
        raise InputError(f"evaluation.fid_weights: {weights}: no such file")
    try:
        from torch_fidelity import calculate_metrics
    except ImportError as error:
        raise InputError(
            f"evaluation.fid needs torch-fidelity ({error}); pip install '.[fid]'"
        ) from None
    return calculate_metrics


def fid(
    fake: Tensor, real: Split, *, device: torch.device, weights: Path | None = None
) -> dict[str, float | int | str]:
    """FID and inception score of samples ``fake`` (N, C, H, W) against the images of ``real``.

    ``weights``: a file of the feature extractor's, where it cannot be downloaded. Raises InputError
    as ``require`` does, and where torch-fidelity fails.
    """
    calculate_metrics, levels = require(real, weights), real.declaration.levels
    how = dict(fid=True, isc=True, cuda=device.type == "cuda", verbose=False)
    how |= dict(feature_extractor=EXTRACTOR)
    if weights is not None:
        how["feature_extractor_weights_path"] = str(weights)
    pair = dict(input1=Bytes(level_bytes(to_levels(fake.cpu(), real), levels)))
    pair |= dict(input2=Bytes(level_bytes(real.values.cpu(), levels)))
    try:
        found = calculate_metrics(**pair, **how)
    except (OSError, RuntimeError) as error:  # most often: no way to fetch the weights
        raise InputError(
            f"torch-fidelity failed ({error}); where its weights cannot be downloaded, give their "
            "file as evaluation.fid_weights"
        ) from None
    return {
        "value": found["frechet_inception_distance"],
        "inception_score": found["inception_score_mean"],
        "inception_score_std": found["inception_score_std"],
        "samples": len(fake),
        "reference_images": len(real),
        "extractor": EXTRACTOR,
    }
