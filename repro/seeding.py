"""Seeds, and random states that can be saved and restored."""

import random
from typing import cast

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch (every device).

    Our own code draws from explicit ``torch.Generator`` objects; this covers libraries.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    torch.manual_seed(seed)


def generator(seed: int, device: str | torch.device = "cpu", *stream: int) -> torch.Generator:
    """Return a generator for one stream of random numbers of the run.

    Args:
        seed: of the run.
        device: of the generator.
        stream: names the stream, for instance ``2, iteration``. NumPy's ``SeedSequence`` mixes it
            into the seed, so that neighbouring seeds and streams are independent.
    """
    return torch.Generator(device).manual_seed(seed_of(seed, *stream))


def seed_of(seed: int, *stream: int) -> int:
    """Return the seed of one stream, below 2^63."""
    word = np.random.SeedSequence([seed, *stream]).generate_state(1, np.uint64)[0]
    return int(word >> np.uint64(1))


def global_states() -> dict:
    """Return the states of the global generators, as types that ``weights_only`` loading admits."""
    version, words, gauss = random.getstate()
    legacy = cast(tuple, np.random.get_state())  # noqa: NPY002
    name, keys, position, has_gauss, cached = legacy
    state = {
        "python": (version, list(words), gauss),
        "numpy": (name, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, cached),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def set_global_states(state: dict) -> None:
    """Restore what :func:`global_states` returned."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.cpu().numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(state["torch"].cpu())
    if "cuda" in state and torch.cuda.is_available():
        here = torch.cuda.device_count()  # not always as many as where it was saved
        torch.cuda.set_rng_state_all([word.cpu() for word in state["cuda"][:here]])
