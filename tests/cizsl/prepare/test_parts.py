"""Features of parts, on images that show squares of known colours at known places.

Every part is a square of exactly the side that is cut out, so that the mean colour of what is cut
out is the colour of the square if and only if it is cut out of the right place.
"""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cizsl.prepare.parts import PartBackbone, part_of, read_parts, square_around
from repro.errors import InputError
from tests.cizsl.prepare.pieces import call

POINTS = {1: "back", 2: "beak", 7: "left eye", 9: "left wing", 13: "right wing", 14: "tail"}
PARTS = ["head", "back", "wing", "tail"]
SIDE = 20  # 0.4 times the longer side of the box
BOX = (10, 12, 50, 40)
# x, y of the middle of each part's square, in an image of 100 x 80
CENTRES = {
    "a/1.png": {"head": (20, 20), "back": (50, 25), "wing": (70, 60), "tail": (25, 50)},
    "a/2.png": {"head": (80, 50), "back": (50, 60), "wing": (25, 30)},  # no tail
    "b/3.png": {"head": (40, 40), "tail": (96, 75)},  # the square of the tail leaves the image
}
NETWORK = """
from torch import nn

class Colour(nn.Module):
    def forward(self, images):
        return images.mean((2, 3))
"""
COMMAND = (
    "data images images --out data/birds --backbone colour_backbone:Colour --batch 2 --device cpu "
)
COMMAND += "--parts cub/parts/part_locs.txt --crop 16 --mean 0,0,0 --std 1,1,1"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Images, their points in CUB's files, and the colours of the squares (image, part, 3)."""
    random, colours = np.random.default_rng(0), {}
    for name, parts in CENTRES.items():
        pixels = random.integers(0, 255, (80, 100, 3), np.uint8)
        for part, (x, y) in parts.items():
            colours[name, part] = random.integers(0, 255, 3)
            left, top = min(x - SIDE // 2, 100 - SIDE), min(y - SIDE // 2, 80 - SIDE)
            pixels[top : top + SIDE, left : left + SIDE] = colours[name, part]
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    folder = tmp_path / "cub/parts"
    folder.mkdir(parents=True)
    write(folder / "parts.txt", POINTS.items())
    write(folder.parent / "images.txt", enumerate(CENTRES, 1))
    write(folder.parent / "bounding_boxes.txt", ((i, *BOX) for i in range(1, 4)))
    write(folder / "part_locs.txt", locations())
    (tmp_path / "colour_backbone.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    return colours


def write(path, rows):
    path.write_text("".join(" ".join(map(str, row)) + "\n" for row in rows))


def locations():
    """Both points of the head lie 3 pixels off its middle; of the wings one or both are visible."""
    for image, parts in enumerate(CENTRES.values(), 1):
        for number, point in POINTS.items():
            x, y = parts.get(part_of(point), (0, 0))
            off = {"beak": 3, "left eye": -3, "left wing": 4, "right wing": -4}.get(point, 0)
            hidden = point == "right wing" and image == 2
            off = 0 if image == 2 and "wing" in point else off
            visible = part_of(point) in parts and not hidden
            yield image, number, x + off, y - off, int(visible)


def test_the_features_are_the_colours_of_the_squares(place, capsys):
    code, said = call(capsys, COMMAND)
    assert code == 0 and "3 images of 2 classes, 12 features" in said, said
    with np.load("data/birds/images.npz") as file:
        found, names = file["features"].reshape(3, 4, 3), file["image_names"].tolist()
    assert names == list(CENTRES)
    expected = np.zeros((3, 4, 3))  # zero where a part is not visible
    for (name, part), colour in place.items():
        expected[names.index(name), PARTS.index(part)] = colour
    # the mean of 256 equal bytes over 255: a few roundings of float32
    np.testing.assert_allclose(255 * found, expected, atol=1e-3)


def test_another_file_of_locations_is_another_extraction(place, capsys, tmp_path):
    assert call(capsys, COMMAND)[0] == 0
    before = (tmp_path / "data/birds/images.npz").read_bytes()
    assert call(capsys, COMMAND)[0] == 0
    assert (tmp_path / "data/birds/images.npz").read_bytes() == before
    write(tmp_path / "cub/bounding_boxes.txt", ((i, 0, 0, 40, 40) for i in range(1, 4)))
    code, said = call(capsys, COMMAND)
    assert code == 2 and "is there, of other preprocessing; --overwrite" in said


def test_without_boxes_the_box_is_the_image(place, tmp_path):
    (tmp_path / "cub/bounding_boxes.txt").unlink()
    parts = read_parts(tmp_path / "cub/parts/part_locs.txt")
    assert parts.boxes == {} and parts.names == PARTS
    assert square_around(np.array([50, 40]), np.array([0, 0, 100, 80]), (100, 80)) == (
        30,
        20,
        70,
        60,
    )


@pytest.mark.parametrize(
    ("centre", "box", "square"),
    [
        ((50, 40), (0, 0, 50, 10), (40, 30, 60, 50)),
        ((2, 79), (0, 0, 10, 50), (0, 60, 20, 80)),
        ((50, 40), (0, 0, 900, 900), (10, 0, 90, 80)),  # larger than the image
        ((50, 40), (0, 0, 0, 0), (50, 40, 51, 41)),
    ],
)
def test_squares_by_hand(centre, box, square):
    assert square_around(np.array(centre), np.array(box), (100, 80)) == square


def test_the_seven_parts_of_cub():
    points = "back, beak, belly, breast, crown, forehead, left eye, left leg, left wing, nape, "
    points += "right eye, right leg, right wing, tail, throat"
    parts = dict.fromkeys(map(part_of, points.split(", ")))
    assert list(parts) == ["back", "head", "belly", "breast", "leg", "wing", "tail"]


def test_a_hidden_part_is_zero_and_the_others_are_those_of_the_backbone():
    squares = torch.rand(2, 3, 3, 4, 4)
    squares[1, 2] = torch.nan
    found = PartBackbone(nn.Flatten(), {})(squares)
    expected = squares.flatten(1)
    expected[1, 96:] = 0
    assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("cub/parts/part_locs.txt", "1 1 5 5\n", "line 1 is '1 1 5 5'; expected 5 columns"),
        ("cub/parts/part_locs.txt", "1 1 5 x 1\n", "line 1 is '1 1 5 x 1'; expected 5 columns"),
        ("cub/parts/part_locs.txt", "1 1 5 5 1\n9 1 5 5 1", "image 9, part 1: expected numbers"),
        ("cub/images.txt", "1 a/1.png\n", "image 2, part 1: expected numbers of images.txt"),
        ("cub/images.txt", "1 a/1.png\n2 c/2.png\n3 c/3.png\n", "no line for a/2.png, b/3.png"),
        ("cub/parts/parts.txt", None, "parts.txt: no such file"),
        ("cub/parts/part_locs.txt", None, "part_locs.txt: no such file"),
    ],
)
def test_mistakes_are_one_line(place, capsys, tmp_path, file, text, message):
    (tmp_path / file).unlink() if text is None else (tmp_path / file).write_text(text)
    code, said = call(capsys, COMMAND)
    assert code == 2 and message in said and "Traceback" not in said, said
    with pytest.raises(InputError):
        read_parts(tmp_path / "cub/parts/part_locs.txt")
        raise InputError("a file of other images can be read, but not used for these")
