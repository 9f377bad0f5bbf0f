"""Names of run folders: short, and safe in a shell without quotes."""

import hashlib
import re
from pathlib import Path

RUNS = Path("runs")
LONGEST = 60  # characters of a name
PLAIN = re.compile(r"[\w.+-]+(=[\w.+-]+)?")  # an override that its name holds in full


def default_folder(config: str, overrides: list[str], seed: int, root: Path = RUNS) -> Path:
    """Return ``<root>/<name>/seed<seed>``; different overrides give different names.

    The name is that of the configuration and the overrides, as `cub_easy-creativity.weight-0.01`.
    Where it cannot hold them in full (other characters, or more than 60), it ends in eight digits
    of a checksum. The folder's `config.yaml` has every setting.

    Args:
        config: the configuration file, or its name.
        overrides: each ``key=value``, or the name of a variant; the seed is left out.
        seed: of the run.
        root: the folder of all run folders.
    """
    stem = Path(config).stem
    others = [text for text in overrides if not text.startswith("seed=")]
    name = "-".join([_plain(stem), *(_plain(text) for text in others)])
    whole = all(PLAIN.fullmatch(text) for text in others) and _plain(stem) == stem
    if not whole or len(name.encode()) > LONGEST:
        digest = hashlib.sha256(
            "\0".join([stem, *others]).encode(errors="surrogatepass")
        ).hexdigest()
        name = f"{_shortened(name, LONGEST - 9)}-{digest[:8]}"
    return root / name / f"seed{seed}"


def _plain(text: str) -> str:
    """Return ``text`` with "-" for "=" and "_" for what a shell would interpret."""
    return re.sub(r"[^\w.+-]+", "_", text.replace("=", "-", 1)).strip("_")


def _shortened(name: str, length: int) -> str:
    return name.encode()[:length].decode(errors="ignore").rstrip("-_.")
