"""A folder of images in two classes."""

import pytest

from tests.sde.data.image_folders import photo, pixels


@pytest.fixture
def classes(tmp_path):
    """12 images of 8 x 8 in two classes, and their pixels by name."""
    stored = {}
    for i in range(12):
        name = f"{'ab'[i % 2]}/{i:02}.png"
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        photo(i).save(tmp_path / "photos" / name)
        stored[name] = pixels(8, 8, 3, seed=i).transpose(2, 0, 1)
    return tmp_path / "photos", stored
