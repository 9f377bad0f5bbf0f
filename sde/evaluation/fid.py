"""Frechet inception distance and inception score, computed by torch-fidelity (the extra ``fid``).

    FID = |m_r - m_f|^2 + tr(C_r + C_f - 2 (C_r C_f)^(1/2))     (Heusel et al., arXiv:1706.08500)
    IS  = exp E KL(p(y | x) || p(y))                            (Salimans et al., arXiv:1606.03498)

m and C are mean and covariance of Inception-v3 features, p(y | x) its class probabilities. This
module prepares the images (bytes, three channels) and records the protocol that makes a number
comparable: how many samples, against which images, by which sampler, with which weights.
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
            raise InputError(f"FID needs grey or colour images; got shape {tuple(images.shape)}")
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index].expand(3, -1, -1)


def to_grey_levels(x: Tensor, split: Split) -> Tensor:
    """Return the grey levels of samples x (N, C, H, W), undoing the scaling of ``split``.

    A model of dequantised images: the grey level whose cell holds x; otherwise the nearest one.
    """
    cells = split.spec.quantisation
    assert cells is not None  # images have grey levels: see `require`
    if split.dequantise:
        return cells.quantise(x)
    share = (x.clamp(cells.low, cells.high) - cells.low) / (cells.high - cells.low)
    return ((cells.grey_levels - 1) * share).round()


def to_bytes(values: Tensor, quantisation: Quantisation) -> Tensor:
    """Return grey levels (N, C, H, W) spread over 0 to 255, as uint8."""
    return (values.float() * (255 / (quantisation.grey_levels - 1))).round().to(torch.uint8)


def require(real: Split, weights: str | Path | None = None) -> Callable:
    """Return torch-fidelity's function, or raise InputError before any sample is drawn.

    Raises where torch-fidelity is not installed, ``weights`` is no file, or ``real`` has no images.
    """
    if real.spec.quantisation is None:
        raise InputError(f"{real.spec.name}: FID needs images with grey levels")
    if weights is not None and not Path(weights).is_file():
        raise InputError(f"evaluation.fid_weights: {weights}: no such file")
    try:
        from torch_fidelity import calculate_metrics  # pyright: ignore[reportMissingImports]  optional
    except ImportError as error:
        raise InputError(
            f"evaluation.fid needs torch-fidelity ({error}); pip install '.[fid]'"
        ) from None
    return calculate_metrics


def fid(
    fake: Tensor, real: Split, *, device: torch.device, weights: str | Path | None = None
) -> dict[str, float | int | str]:
    """Return FID and inception score of samples against real images, with their protocol.

    Args:
        fake: samples (N, C, H, W), scaled as ``real`` is drawn.
        real: the reference images.
        weights: a file of Inception's weights, where they cannot be downloaded.

    Raises InputError as ``require`` does, and where torch-fidelity fails.
    """
    calculate_metrics, quantisation = require(real, weights), real.spec.quantisation
    assert quantisation is not None  # `require` refuses other data
    how = dict(fid=True, isc=True, cuda=device.type == "cuda", verbose=False)
    how |= dict(feature_extractor=EXTRACTOR)
    if weights is not None:
        how["feature_extractor_weights_path"] = str(weights)
    pair = dict(input1=Bytes(to_bytes(to_grey_levels(fake.cpu(), real), quantisation)))
    pair |= dict(input2=Bytes(to_bytes(real.values.cpu(), quantisation)))
    try:
        found = calculate_metrics(**pair, **how)
    except (OSError, RuntimeError) as error:  # most often the weights cannot be downloaded
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
