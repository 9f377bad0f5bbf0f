"""Names of classes, in the order of the scores: seen ones first."""

import numpy as np

from cizsl.cli.parser import main
from cizsl.data.layouts import load
from cizsl.prepare.toy_birds import make_toy


def test_names_of_the_layouts(tmp_path):
    make_toy(tmp_path)
    without = load(tmp_path, "CUB", "hard")
    ids = np.concatenate([without.seen_ids, without.unseen_ids])
    assert without.names == tuple(f"class {number}" for number in ids)
    folder = tmp_path / "CUB2011"
    names = [f"{number:03d}.Bird_{number}" for number in range(1, ids.max() + 1)]
    (folder / "classes.txt").write_text("\n".join(names) + "\n")
    expected = tuple(names[number - 1] for number in ids)
    assert load(tmp_path, "CUB", "hard").names == expected
    assert main(["data", "convert", str(folder), str(tmp_path / "toy.npz")]) == 0
    assert load(tmp_path, "toy", "hard", "npz").names == expected


def test_names_of_the_built_in_birds():
    found = load(".", "CUB-compact", "easy", "compact")
    assert len(found.names) == 200 and len(set(found.names)) == 200
    assert any("Albatross" in name for name in found.names)
