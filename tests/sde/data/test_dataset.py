"""Drawing: the random numbers, in which order, and what is made of them, wherever the data lie."""

import math

import pytest
import torch

from repro.errors import InputError
from sde.data import dataset
from sde.data.dataset import Dataset, DataSpec, Split
from sde.data.quantisation import Quantisation
from tests.helpers.oracles_sde import generator
from tests.helpers.rounding import float32_bound

IMAGES = DataSpec("images", (3, 4, 5), Quantisation(-1.0, 1.0), tuple("abc"))
VALUES = torch.randint(256, (40, 3, 4, 5), generator=generator(9), dtype=torch.uint8)
LABELS = torch.randint(3, (40,), generator=generator(8))
CPU = torch.device("cpu")


def split(**changes):
    return Split(IMAGES, VALUES, LABELS, **changes)


def by_hand(count, numbers, flip, dequantise):
    """One item after the other, from the same numbers: indices, sides, places in the cells."""
    chosen = torch.randint(40, (count,), generator=numbers)
    sides = torch.rand(count, generator=numbers) if flip else torch.ones(count)
    u = torch.rand(count, 3, 4, 5, generator=numbers) if dequantise else None
    drawn = []
    for i in range(count):
        image = VALUES[chosen[i]].double()
        if sides[i] < 0.5:
            image = torch.stack([image[:, :, 4 - column] for column in range(5)], 2)
        drawn.append(-1 + 2 * (image + u[i]) / 256 if dequantise else -1 + 2 * image / 255)
    return torch.stack(drawn), LABELS[chosen]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("dequantise", [False, True])
@pytest.mark.parametrize("on_host", [False, True])
def test_a_draw_is_the_one_by_hand_wherever_the_images_lie(flip, dequantise, on_host):
    images = split(flip=flip, dequantise=dequantise).to(CPU, on_host)
    points, labels = images.draw_labelled(50, generator(1))
    expected, classes = by_hand(50, generator(1), flip, dequantise)
    assert points.dtype == torch.float32
    torch.testing.assert_close(
        points.double(), expected, rtol=0, atol=float32_bound(3, magnitude=1)
    )
    assert torch.equal(labels, classes)
    assert torch.equal(images.draw(50, generator(1)), points)


@pytest.mark.parametrize("on_host", [False, True])
@pytest.mark.parametrize("rows", [slice(0, 4), slice(4, 8), slice(8, 11), slice(1, None, 2)])
def test_ranks_that_draw_parts_draw_the_whole(on_host, rows):
    images = split(flip=True).to(CPU, on_host)
    whole, part = generator(2), generator(2)
    points, labels = images.draw_labelled(11, whole)
    mine, classes = images.draw_labelled(11, part, rows)
    assert torch.equal(mine, points[rows]) and torch.equal(classes, labels[rows])
    assert torch.equal(whole.get_state(), part.get_state())


def test_half_of_the_images_are_mirrored_each_on_its_own():
    images = Split(IMAGES, VALUES[:1], flip=True, dequantise=False)
    points = images.draw(4000, generator(3))
    straight = IMAGES.quantisation.place(VALUES[0])
    same = (points == straight).flatten(1).all(1)
    mirrored = (points == straight.flip(-1)).flatten(1).all(1)
    assert bool((same ^ mirrored).all())
    assert abs(same.float().mean().item() - 0.5) < 4 * 0.5 / math.sqrt(4000)
    runs = (same[1:] != same[:-1]).float().mean().item()  # half of the neighbours differ
    assert abs(runs - 0.5) < 4 * 0.5 / math.sqrt(4000)


def test_every_level_stays_in_its_cell_and_without_dequantisation_in_its_place():
    levels = Quantisation(-1.0, 1.0)
    spec = DataSpec("ramp", (1, 16, 16), levels)
    ramp = Split(spec, torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16))
    for dequantise in (True, False):
        points = Split(spec, ramp.values, dequantise=dequantise).draw(3, generator(1))
        assert torch.equal(levels.quantise(points), ramp.values.long().expand(3, 1, 16, 16))
    assert points.min() == -1 and points.max() == 1  # both ends, without dequantisation
    spread = ramp.points(generator(1))
    assert spread.unique().numel() == 256 and spread.max() < 1
    placed = Split(spec, ramp.values, dequantise=False).points(generator(1))
    expected = torch.arange(256).reshape(1, 1, 16, 16) * (2 / 255) - 1
    torch.testing.assert_close(placed, expected)


def test_bytes_are_looked_at_where_not_every_one_is_a_level():
    few = DataSpec("few", (1, 2, 2), Quantisation(-1.0, 1.0, 17))
    values = torch.tensor([[[[0, 16], [3, 4]]]], dtype=torch.uint8)
    assert Split(few, values).draw(2, generator()).max() < 1
    with pytest.raises(InputError, match=r"few: grey levels must lie in 0\.\.16"):
        Split(few, values + 1)
    with pytest.raises(InputError, match=r"grey levels must lie in 0\.\.16"):
        few.quantisation.dequantise(values + 1, torch.zeros(()))


def test_points_and_the_first_are_in_order():
    images = split(flip=True)
    some = images.first(7)
    assert torch.equal(some.values, VALUES[:7]) and torch.equal(some.labels, LABELS[:7])
    points = some.to(CPU, on_host=True).points(generator(1))
    assert torch.equal(IMAGES.quantisation.quantise(points), VALUES[:7].long())


def test_some_items_are_a_fixed_draw_from_all_and_all_stay_in_order():
    assert torch.equal(split().some(len(VALUES)).values, VALUES)
    assert torch.equal(split().some(10**6).labels, LABELS)
    some, again = split().some(8), split().some(8)
    assert torch.equal(some.values, again.values) and torch.equal(some.labels, again.labels)
    rows = {row.numpy().tobytes(): label for row, label in zip(VALUES, LABELS, strict=True)}
    found = [row.numpy().tobytes() for row in some.values]
    assert len(set(found)) == 8  # without replacement, each with its own label
    assert [rows[row] for row in found] == some.labels.tolist()
    assert not torch.equal(some.values, VALUES[:8])


def test_checksums_are_of_values_and_labels():
    other_values, other_labels = VALUES.clone(), LABELS.clone()
    other_values[3, 0, 0, 0] ^= 1
    other_labels[3] = (other_labels[3] + 1) % 3
    sums = {
        split().sha256,
        Split(IMAGES, VALUES).sha256,
        Split(IMAGES, other_values, LABELS).sha256,
        Split(IMAGES, VALUES, other_labels).sha256,
    }
    assert len(sums) == 4
    assert split(flip=True).to(CPU, on_host=True).sha256 == split().sha256


def a_dataset():
    return Dataset(IMAGES, split(), split().first(8))


@pytest.mark.parametrize(
    ("memory", "share", "on_host"),
    [("auto", 0.24, False), ("auto", 0.26, True), ("device", 9.0, False), ("host", 0.01, True)],
)
def test_what_takes_more_than_a_quarter_stays_on_the_host(monkeypatch, memory, share, on_host):
    data = a_dataset()
    assert data.size == 48 * 60
    monkeypatch.setattr(dataset, "_memory_of", lambda device: data.size / share)
    placed = data.to(CPU, memory)
    assert (placed.train.device is not None) == on_host == (placed.heldout.device is not None)


def test_more_than_the_device_has_is_one_line(monkeypatch):
    def full(*_):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.Tensor, "to", full)
    with pytest.raises(InputError, match=r"data\.memory: images takes 0\.0 GB.*set it to host"):
        a_dataset().to(CPU, "device")


def test_labels_are_asked_for_only_where_there_are_some():
    with pytest.raises(InputError, match="images: the examples have no labels"):
        Split(IMAGES, VALUES).draw_labelled(3, generator())


def test_in_words():
    said = a_dataset().in_words()
    assert "3 x 4 x 5, grey levels 0 to 255 on [-1, 1]" in said and split().sha256 in said
    counts = LABELS.bincount().tolist(), LABELS[:8].bincount(minlength=3).tolist()
    assert f"3 (a: {counts[0][0]} + {counts[1][0]}, b: {counts[0][1]} + {counts[1][1]}" in said


@pytest.mark.gpu
def test_device_and_host_memory_give_the_same_draws_on_a_gpu():
    device, drawn = torch.device("cuda"), []
    for on_host in (False, True):
        images, numbers = split(flip=True).to(device, on_host), torch.Generator(device)
        drawn.append(torch.stack([images.draw(64, numbers) for _ in range(50)]))
    assert drawn[0].device.type == "cuda" and torch.equal(*drawn)


@pytest.mark.parametrize("on_host", [False, True])
def test_all_points_are_placed_as_draws_are(on_host):
    """Without dequantisation at their grey levels exactly, and no random number is drawn."""
    numbers = generator(1)
    points = split(dequantise=False).to(CPU, on_host).points(numbers)
    assert torch.equal(points, IMAGES.quantisation.place(VALUES))
    assert torch.equal(numbers.get_state(), generator(1).get_state())
    cells = split().to(CPU, on_host).points(numbers)
    assert torch.equal(IMAGES.quantisation.quantise(cells), VALUES.long())
    assert not torch.equal(cells, points)
