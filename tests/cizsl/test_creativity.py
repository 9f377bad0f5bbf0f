"""Creativity losses: what they declare, what they refuse, and those of a plugin."""

import pytest
import torch

from cizsl import build, creativity, divergences
from cizsl.config import CIZSLConfig
from repro.config import validate
from repro.errors import InputError

MINE = """
def pearson(p, alpha, beta):
    return p.shape[-1] * (p - 1 / p.shape[-1]).square().sum(-1)
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    (tmp_path / "my_divergences.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    return "my_divergences:pearson"


def test_a_plugin_is_trained_with(tiny, plugin):
    """Pearson's divergence is twice Tsallis' of order 2, in the loss that the GAN has."""
    config = tiny(creativity={"divergence": plugin})
    task = build.task(config, build.data(config), "test", torch.device("cpu"))
    loss = build.gan(config, task).creativity
    logits = torch.randn(6, 5, dtype=torch.float64)
    expected = divergences.tsallis(logits.softmax(-1), 2.0).mean()
    torch.testing.assert_close(loss(logits, 0.5, 0.5), expected)
    assert (loss.extra_logits, loss.teaches_critic) == (0, False)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"divergence": "reny"}, r"unknown divergence 'reny'; did you mean 'renyi'\?"),
        ({"divergence": "a.b:c", "form": "published"}, "no published form: expected one of sharma"),
        ({"divergence": "renyi", "form": "published", "beta": "learned"}, "does not learn it"),
        ({"form": "published", "beta": 1}, "divides by beta - 1"),
    ],
)
def test_what_a_configuration_cannot_have_is_one_line(values, said):
    with pytest.raises(InputError, match=said) as error:
        validate({"creativity": values}, CIZSLConfig, "file.yaml")
    assert "\n" not in str(error.value)


def test_only_the_exact_new_class_is_taught():
    taught = {
        (form, name)
        for form, losses in creativity.FORMS.items()
        for name, loss in losses.items()
        if loss.teaches_critic
    }
    assert taught == {("exact", "new_class")}
    logits = torch.randn(6, 5)
    new = torch.nn.functional.cross_entropy(logits, torch.full((6,), 4))
    for losses in creativity.FORMS.values():
        torch.testing.assert_close(losses["new_class"](logits, 0.5, 0.5), new)
