"""Labels as a person names them, and as files hold them."""

import numpy as np
import pytest
import torch

from repro import locate
from repro.errors import InputError
from sde import build
from sde.config.run import SDEConfig
from sde.data import registry
from sde.data.labels import parse
from tests.helpers.labelled_data import SPEC
from tests.sde.conftest import CPU, tiny_config


def test_labels_as_a_person_names_them():
    names = parse("class", SPEC, ["right", 0, "1"])
    assert names.tolist() == [1, 0, 1] and parse("class", SPEC, torch.tensor(1)).tolist() == [1]
    assert parse("vector", SPEC, "0.5,-1").tolist() == [[0.5, -1.0]]
    assert parse("vector", SPEC, [[0, 1], [2, 3]]).shape == (2, 2)
    for kind, bad in (("class", "lift"), ("class", -1), ("vector", "1"), ("vector", "1,nan")):
        with pytest.raises(InputError):
            parse(kind, SPEC, bad)
    with pytest.raises(InputError, match="did you mean 'left'"):
        parse("class", SPEC, "lefty")


def test_vectors_of_an_npz_file(tmp_path):
    images = np.zeros((6, 4, 4), np.uint8)
    vectors = np.linspace(0, 1, 12).reshape(6, 2)
    np.savez(tmp_path / "v.npz", images=images, vectors=vectors)
    found = registry.load("npz", path=str(tmp_path / "v.npz"), heldout=2)
    assert found.spec.vector == 2 and found.spec.classes == ()
    both = torch.cat([found.train.vectors, found.heldout.vectors])
    assert np.allclose(np.sort(both.numpy(), 0), vectors)
    config = tiny_config(data={"name": "digits"}, model={"condition": "vector"})
    with pytest.raises(InputError, match="the data digits have no vectors"):
        build.network_for(config, build.data_spec(config, CPU), CPU)
    np.savez(tmp_path / "bad.npz", images=images, vectors=vectors[:5])
    with pytest.raises(InputError, match="vectors is 5 x 2 of float64, expected 6 rows"):
        registry.load("npz", path=str(tmp_path / "bad.npz"))


@pytest.mark.parametrize("name, width", [("digits_classes", 64), ("mnist_classes", 64)])
def test_the_configurations_with_classes_know_them_without_images(name, width):
    """A model of a published set can be sampled without its files, labels included."""
    config = locate.load(name, "sde", SDEConfig, [])
    spec = build.data_spec(config, CPU)
    assert spec.classes == tuple("0123456789") and config.model.condition == "class"
    weights = build.network_for(config, spec, CPU).state_dict()
    (table,) = (weights[name] for name in weights if name.endswith("label.table.weight"))
    assert table.shape == (11, width)
