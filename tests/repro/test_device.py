"""What float32, tf32 and bf16 set, and that it is set back."""

import pytest
import torch

from repro.device import precision, resolve
from repro.errors import InputError

CPU = torch.device("cpu")


def settings():
    return (
        torch.get_float32_matmul_precision(),
        torch.backends.cudnn.allow_tf32,
        torch.is_autocast_enabled("cpu"),
    )


@pytest.mark.parametrize(
    "name, inside",
    [
        ("float32", ("highest", False, False)),
        ("tf32", ("high", True, False)),
        ("bf16", ("highest", False, True)),
    ],
)
def test_precision(name, inside):
    before = settings()
    with precision(name, CPU):
        assert settings() == inside
        with precision("float32", CPU):
            assert settings() == ("highest", False, False)
        assert settings() == inside
    assert settings() == before
    with pytest.raises(ZeroDivisionError), precision(name, CPU):
        raise ZeroDivisionError
    assert settings() == before


def test_float32_is_float32_once_a_device_is_chosen(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    resolve("cpu")
    assert not torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize(
    "name",
    ["", "cpu:5", "cpu:0", "cuda:99999999999", "cuda:-1", "tpu", "meta", "c" * 999, "cpu\0"],
)
def test_a_device_that_cannot_be_is_one_line(name):
    with pytest.raises(InputError, match="expected cpu or cuda, or cuda:N") as caught:
        resolve(name)
    assert len(str(caught.value)) < 150 and "\n" not in str(caught.value)
