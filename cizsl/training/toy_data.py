"""The invented data of the toy configurations, made where a run asks for them and finds none."""

import sys
from pathlib import Path

from cizsl.config.data import Data
from cizsl.data import birds_layout, gbu
from repro.errors import InputError
from repro.files.file_lock import alone_in

TOY = "data/toy"  # `data.root` of the toy configurations


def make_if_missing(data: Data) -> None:
    """Make the toy data if ``data`` names their folder and its dataset is not there.

    Processes that start together make them once. Raises :class:`InputError` where the folder
    cannot be written.
    """
    if data.root != TOY or _is_there(data):
        return
    root = Path(TOY)
    try:
        with alone_in(root, "making of the toy data"):
            if not _is_there(data):
                print(f"{TOY}: making invented data, once", file=sys.stderr)
                _make(data.layout, root)
    except OSError as error:
        raise InputError(f"{TOY}: cannot be written: {error.strerror}") from None


def _make(layout: str, root: Path) -> None:
    """Import the makers here: they need scikit-learn, which a training otherwise does not."""
    from cizsl.prepare.toy_birds import make_toy
    from cizsl.prepare.toy_gbu import make_gbu_toy

    make_gbu_toy(root) if layout == "gbu" else make_toy(root)


def _is_there(data: Data) -> bool:
    """Whether the folder of the dataset exists; other names than the toy's are no case for us."""
    if data.layout == "gbu":
        return data.dataset != "AWA2" or (Path(TOY) / data.dataset / gbu.SPLITS).exists()
    known = data.layout == "published" and data.dataset in birds_layout.LAYOUTS
    return not known or birds_layout.dataset_folder(TOY, data.dataset) is not None
