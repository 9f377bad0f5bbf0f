"""Fuzz tests of configurations, logs and records: a value, or one line that says what is wrong."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cizsl.config import CIZSLConfig
from repro import config, locate
from repro.environment import Environment, environment
from repro.errors import InputError
from repro.files import json_file
from sde.config.run import SDEConfig
from tests.fuzzing import Bounded, damaged, few_examples

MODELS = {"cizsl": CIZSLConfig, "sde": SDEConfig}
FILES = {half: list(locate.shipped(half).values()) for half in MODELS}
KEYS = {half: locate.keys(half) for half in MODELS}

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(["learned", "none", "a:b", "~x", "\0", "1e400", "0x_", "=", "<<"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(scalars, inner, max_size=4),
    max_leaves=12,
)


def check(half, file, overrides):
    """Load a configuration. What is loaded must say the same after it is written and read."""
    found = config.load(file, MODELS[half], overrides)
    again = file.with_name("again.yaml")
    again.write_text(config.dump(found), encoding="utf-8")
    assert config.load(again, MODELS[half]) == found
    return found


@pytest.fixture(scope="module", autouse=True)
def registries():
    """Import what configurations name before the time of the tests begins."""
    for half, model in MODELS.items():
        for file in FILES[half]:
            config.load(file, model)


@pytest.mark.parametrize("half", MODELS)
def test_values_of_any_kind_at_keys_of_any_name(half, tmp_path_factory):
    """Settings in the file, in its base and on the command line, at keys that exist or do not."""
    runs = Bounded(tmp_path_factory.mktemp("values"))
    keys = st.sampled_from(KEYS[half]) | st.text(max_size=20)
    some = st.lists(st.tuples(keys, values), max_size=4)

    @few_examples
    @given(some, some, some)
    def fuzz(below, above, given_last):
        def nested(pairs):
            content = {}
            for key, value in pairs:
                section, _, name = key.rpartition(".")
                place = content.setdefault(section, {}) if section else content
                (place if isinstance(place, dict) else content)[name] = value
            return content

        base, file = runs.folder / "base.yaml", runs.folder / "run.yaml"
        base.write_text(_yaml(nested(below)), encoding="utf-8", errors="replace")
        text = _yaml({"base": "base.yaml"} | nested(above))
        file.write_text(text, encoding="utf-8", errors="replace")
        overrides = [f"{key}={_yaml(value)}" for key, value in given_last]
        runs(lambda: check(half, file, overrides))

    fuzz()
    assert runs.refused > 0


@pytest.mark.parametrize("half", MODELS)
def test_shipped_configurations_with_damage(half, tmp_path_factory):
    runs = Bounded(tmp_path_factory.mktemp("damaged"))
    originals = [file.read_bytes() for file in FILES[half]]

    @few_examples
    @given(damaged(originals), st.lists(st.text(max_size=40), max_size=2))
    def fuzz(content, overrides):
        file = runs.folder / "run.yaml"
        file.write_bytes(content)
        runs(lambda: check(half, file, overrides))

    fuzz()
    assert runs.refused > 0


@pytest.mark.parametrize("half", MODELS)
def test_every_mistake_of_an_override_is_short(half, tmp_path_factory):
    """An error message is bounded, whatever the length of what it is about."""
    runs = Bounded(tmp_path_factory.mktemp("short"))

    def check(override):
        try:
            return config.override({}, MODELS[half], "run.yaml", [override])
        except InputError as error:
            for problem in getattr(error, "problems", [str(error)]):
                assert problem.isprintable() and len(problem) < 1500
            raise

    @few_examples
    @given(st.text(max_size=20), st.integers(0, 500), st.sampled_from(KEYS[half]))
    def fuzz(text, length, key):
        for override in (f"{key}={text * length}", f"{text * length}=1", text * length):
            runs(lambda override=override: check(override))

    fuzz()
    assert runs.refused > 0


def test_logs_and_records_with_damage(tmp_path_factory):
    runs = Bounded(tmp_path_factory.mktemp("records"))
    record = json.dumps(environment("cpu", {"a.mat": "00"})).encode()
    log = b"".join(b'{"iteration": %d, "loss": 0.5, "x": [1, null]}\n' % n for n in range(5))

    @few_examples
    @given(damaged([record]), damaged([log]))
    def fuzz(record, log):
        file = runs.folder / "file"
        file.write_bytes(record)
        found = runs(lambda: json_file.read_model(file, Environment))
        assert found is None or isinstance(found.device_type, str)
        file.write_bytes(log)
        lines = runs(lambda: json_file.read_lines(file))
        assert lines is None or all(isinstance(line, dict) for line in lines)

    fuzz()
    assert runs.refused > 0


def _yaml(value) -> str:
    """The value as text that is mostly YAML: json knows every kind of scalar that matters."""
    try:
        return json.dumps(value, default=str, ensure_ascii=False)
    except (TypeError, ValueError):
        return repr(value)
