"""The configuration: every field is described, and no number is taken that no tensor can have."""

import pytest
from pydantic import BaseModel

from cizsl.config import Baseline, CIZSLConfig
from repro.config import validate
from repro.errors import InputError


def fields(model, prefix=""):
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}", field
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from fields(field.annotation, f"{prefix}{name}.")


@pytest.mark.parametrize("model", [CIZSLConfig, Baseline])
def test_every_field_is_described(model):
    found = dict(fields(model))
    assert len(found) >= 12
    assert [name for name, field in found.items() if not field.description] == []


def numbers():
    """The dotted keys of CIZSLConfig whose default is a number."""
    for name, field in fields(CIZSLConfig):
        if isinstance(field.default, int | float) and not isinstance(field.default, bool):
            yield name


@pytest.mark.parametrize("value", [10**400, 1e300, float("inf"), float("nan"), -1, -1e300])
@pytest.mark.parametrize("key", list(numbers()))
def test_numbers_that_no_tensor_can_have(key, value):
    content = value
    for name in reversed(key.split(".")):
        content = {name: content}
    with pytest.raises(InputError, match=key) as error:
        validate(content, CIZSLConfig, "test")
    assert "\n" not in str(error.value)


def test_validation_draws_are_few_enough_to_be_made():
    """Each draw is a copy of the images: 10^9 of them filled the memory without an end."""
    for model, other in ((CIZSLConfig, {}), (Baseline, {"baseline": "ridge"})):
        content = {"evaluation": {"validation_splits": 10**9}} | other
        with pytest.raises(InputError, match=r"validation_splits.*1000"):
            validate(content, model, "test")
