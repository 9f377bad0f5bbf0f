"""Networks from every place they may come from, on an input whose features are known by hand."""

import hashlib
import os
import sys
import types

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from cizsl.prepare.backbones import Backbone, load_backbone, load_weights, parameters_sha256
from repro.errors import InputError
from tests.helpers.rounding import assert_same_up_to_rounding

CPU = torch.device("cpu")
IMAGES = torch.arange(2 * 3 * 4 * 4).reshape(2, 3, 4, 4) / 10
FACTORY = """
from torch import Generator
import torch
from torch import nn

class Weighted(nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.rand(3))
        self.drop = nn.Dropout(0.5)

    def forward(self, images):
        return self.drop(self.factor[:, None, None] * images)

made = Weighted()
number = 3

def fails():
    raise RuntimeError("two\\nlines")

class Tupled(nn.Module):
    def forward(self, images):
        return images, images

class Short(nn.Module):
    def forward(self, images):
        return images[1:, 0, 0]
"""


def assert_means(found, expected):
    """Equal up to the rounding of a mean over all pixels of an image."""
    assert_same_up_to_rounding(found, expected, IMAGES[0, 0].numel())


class Means(nn.Module):
    """Feature 2 c: the mean of the channel c; feature 2 c + 1: its first pixel."""

    def forward(self, images):
        return torch.stack([images.mean((2, 3)), images[:, :, 0, 0]], 2).flatten(1)


class Settings(nn.Module):
    """Remembers what cuDNN is set to while it runs."""

    def forward(self, images):
        cudnn = torch.backends.cudnn
        self.seen = cudnn.enabled, cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32
        return images.mean((2, 3))


def test_cudnn_is_used_without_chance_and_without_tf32():
    network = Settings()
    Backbone(network, {})(IMAGES)
    assert network.seen == (True, True, False, False)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the module `made_here`, as the current one."""
    (tmp_path / "made_here.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("made_here", None)


def load(name, weights=None):
    return load_backbone(str(name), weights, CPU)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_file_of_torchscript(tmp_path):
    path = tmp_path / "means.pt"
    torch.jit.script(Means()).save(path)
    backbone = load(path)
    assert_means(backbone(IMAGES), Means()(IMAGES))
    assert backbone.origin["name"] == "means.pt"
    assert backbone.origin["file_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_exported_program(tmp_path):
    path = tmp_path / "means.pt2"
    torch.export.save(torch.export.export(Means().eval(), (IMAGES,)), path)
    assert_means(load(path)(IMAGES), Means()(IMAGES))
    with pytest.raises(InputError, match=r"has weights of its own"):
        load(path, tmp_path / "w.pt")


def test_what_a_call_returns_in_evaluation_mode(here):
    """The weights are drawn from seed 0, and a map is averaged: factor times the means."""
    backbone = load("made_here:Weighted")
    torch.manual_seed(0)
    factor = torch.rand(3)
    assert_means(backbone(IMAGES), factor * IMAGES.mean((2, 3)))
    assert not backbone(IMAGES).requires_grad and not backbone.module.training
    assert "file_sha256" not in backbone.origin and backbone.origin["weights"] is None
    assert load("made_here:made").module is sys.modules["made_here"].made


@pytest.mark.parametrize("kind", ["plain", "nested", "parallel", "safetensors"])
def test_weights_from_a_file(here, kind):
    state = {"factor": torch.tensor([1.0, 2.0, 3.0]), "head.weight": torch.ones(2)}
    path = here / ("w.safetensors" if kind == "safetensors" else "w.pt")
    if kind == "safetensors":
        save_file(state, path)
    elif kind == "nested":
        torch.save({"state_dict": state, "epoch": 3}, path)
    elif kind == "parallel":
        torch.save({f"module.{name}": value for name, value in state.items()}, path)
    else:
        torch.save(state, path)
    backbone = load("made_here:Weighted", path)
    assert_means(backbone(IMAGES), torch.tensor([1.0, 2, 3]) * IMAGES.mean((2, 3)))
    assert backbone.origin["ignored_weights"] == ["head.weight"]
    assert backbone.origin["file_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert backbone.origin["weights"] == path.name


class Hostile:
    def __reduce__(self):
        return os.system, ("touch marker",)


def test_weights_that_do_not_fit_or_would_run_code(here):
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 1))
    path = here / "w.pt"
    with pytest.raises(InputError, match=r"w.pt: no such file of weights"):
        load_weights(network, path)
    torch.save({"0.weight": torch.ones(2, 2)}, path)
    with pytest.raises(
        InputError, match=r"without the weights 0.bias, 1.weight, 1.bias and 2 more"
    ):
        load_weights(network, path)
    torch.save({"0.weight": torch.ones(3, 2)}, path)
    with pytest.raises(InputError, match=r"not a state dict of this backbone .*size mismatch"):
        load_weights(network, path)
    torch.save({"0.weight": Hostile()}, path)
    with pytest.raises(InputError, match="not a state dict of this backbone"):
        load_weights(network, path)
    path.write_text("junk")
    with pytest.raises(InputError, match="not a state dict of this backbone"):
        load_weights(network, path)
    assert not (here / "marker").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "nowhere.pt",
            "no such file; expected efficientnet_lite0, a file, timm:NAME or package.module:c",
        ),
        ("made_here:nothing", "made_here has no 'nothing'"),
        ("not_here:x", "ModuleNotFoundError: No module named 'not_here'"),
        ("made_here:number", "TypeError"),
        ("made_here:fails", "RuntimeError: two lines"),
        ("made_here:Tuplet", "has no 'Tuplet'; did you mean 'Tupled'"),
        ("made_here:Generator", "gave Generator; expected a torch module"),
        ("made_here.py", "neither TorchScript nor .pt2 .* a state dict goes to --weights"),
    ],
)
def test_a_name_that_leads_to_no_network(here, name, message):
    with pytest.raises(InputError, match=message) as caught:
        load(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"), [("Tupled", "returned tuple"), ("Short", r"returned \(1, 4\)")]
)
def test_an_output_that_is_no_features(here, name, message):
    with pytest.raises(InputError, match=rf"{message}; expected \(2, D\) or \(2, D, h, w\)"):
        load(f"made_here:{name}")(IMAGES)


def test_timm_is_asked_for_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(
        InputError, match=r"timm:resnet50: needs timm .*pip install -e '.\[features\]'"
    ):
        load("timm:resnet50")


@pytest.fixture
def timm(monkeypatch):
    """A stand-in with the two functions that are used of timm, and a record of the calls."""
    calls, config = [], {"input_size": (3, 160, 160), "crop_pct": 0.95, "crop_mode": "center"}
    config |= {"interpolation": "bicubic", "mean": (0.5, 0.4, 0.3), "std": (0.1, 0.2, 0.3)}

    def create_model(name, **arguments):
        calls.append((name, arguments))
        if name == "unknown":
            raise RuntimeError("Unknown model (unknown)")
        return nn.Sequential(nn.Conv2d(3, 5, 2), nn.Dropout())

    package, data = types.ModuleType("timm"), types.ModuleType("timm.data")
    package.create_model, package.data = create_model, data
    data.resolve_model_data_config = lambda model: config
    monkeypatch.setitem(sys.modules, "timm", package)
    monkeypatch.setitem(sys.modules, "timm.data", data)
    return calls, config


def test_a_network_of_timm_with_its_own_preprocessing(timm, tmp_path):
    calls, config = timm
    backbone = load("timm:some_net")
    assert calls == [("some_net", {"pretrained": True, "num_classes": 0})]
    assert backbone(torch.zeros(2, 3, 4, 4)).shape == (2, 5)
    prepare = backbone.preprocessing
    assert (prepare.resize, prepare.crop, prepare.interpolation) == (168, 160, "bicubic")
    assert (prepare.mean, prepare.std) == ((0.5, 0.4, 0.3), (0.1, 0.2, 0.3))
    state = {name: value + 1 for name, value in backbone.module.state_dict().items()}
    torch.save(state, tmp_path / "w.pt")
    other = load("timm:some_net", tmp_path / "w.pt")
    assert calls[1] == ("some_net", {"pretrained": False, "num_classes": 0})
    torch.testing.assert_close(other.module.state_dict()["0.bias"], state["0.bias"])
    with pytest.raises(InputError, match="Unknown model"):
        load("timm:unknown")
    config["crop_mode"] = "squash"
    with pytest.raises(InputError, match="crop mode 'squash'"):
        load("timm:some_net")


def test_the_sum_of_the_parameters_tells_every_change():
    def network():
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))

    first, again, other = network(), network(), network()
    assert parameters_sha256(first) == parameters_sha256(again)
    with torch.no_grad():
        other[1].running_mean[1] += 1e-7
    changed = (first, other, nn.Sequential(first), again.half())
    assert len({parameters_sha256(module) for module in changed}) == 4
    digest = hashlib.sha256(b"x torch.float32 (2,)\n" + torch.tensor([1.0, 2]).numpy().tobytes())
    module = nn.Module()
    module.x = nn.Parameter(torch.tensor([1.0, 2]))
    assert parameters_sha256(module) == digest.hexdigest()
