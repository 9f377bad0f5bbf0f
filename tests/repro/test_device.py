"""What float32, tf32 and bf16 set, and that it is set back."""

import pytest
import torch

from repro.device import precision, resolve

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
