"""YAML of bounded size: what is a value, and what is refused in one line and little time."""

import time

import pytest

from cizsl.config import CIZSLConfig
from repro import config
from repro.errors import InputError
from repro.files.safe_yaml import CHARACTERS, NotYaml, parse

LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 30))
MERGED = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}], k{n}: 1}}\n" for n in range(1, 30)
)
HOSTILE = {
    "laughs": LAUGHS,
    "merged laughs": MERGED,
    "recursive": "a: &a [*a]",
    "recursive key": "? &a {k: *a}\n: 1",
    "long list": f"seed: [{'1,' * 200_000}]",
    "many values": f"seed: [{'1,' * 20_000}]",
    "deep": "seed: " + "[" * 5000,
    "deep and closed": "seed: " + "[" * 200 + "]" * 200,
    "deep by lines": "\n".join(" " * n + f"k{n}:" for n in range(200)),
    "many digits": "seed: " + "9" * 5000,
    "many digits in base 60": "seed: " + "1" + ":59" * 30_000,
    "long value": "seed: " + "x" * 20_000,
    "empty hexadecimal": "seed: 0x_",
    "empty binary": "seed: 0b_",
    "no such day": "seed: 2024-02-30",
    "no such time": "seed: 2024-02-03 25:61:61",
    "no boolean": "seed: !!bool x",
    "no number": "seed: !!int x",
    "nothing as number": "seed: !!int ''",
    "no float": "seed: !!float x",
    "no time": "seed: !!timestamp x",
    "no binary": "seed: !!binary é",
    "code": "seed: !!python/object/apply:os.getcwd []",
    "unhashable key": "? [a]\n: 1",
    "two documents": "a: 1\n---\nb: 1",
    "repeated key": "seed: 1\nseed: 2",
    "unknown alias": "seed: *x",
    "control characters": "seed: \x1b[2J",
    "unclosed": "seed: [1",
    "tab": "a:\n\t- b",
    "directive": "%YAML 9.9\n---\nseed: 1",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_refused_in_one_short_line_and_little_time(tmp_path, name):
    started = time.process_time()
    with pytest.raises(NotYaml) as caught:
        parse(HOSTILE[name])
    assert time.process_time() - started < 5  # the slowest takes about 1 s
    assert len(str(caught.value)) < 300 and "\n" not in str(caught.value)
    file = tmp_path / "run.yaml"
    file.write_text(HOSTILE[name], encoding="utf-8")
    with pytest.raises(InputError, match=r"run\.yaml: not valid YAML: "):
        config.load(file, CIZSLConfig)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("1e-4", 1e-4),
        (".5e+3", 500.0),
        ("a: &x [1, 2]\nb: *x", {"a": [1, 2], "b": [1, 2]}),
        ("a: &x {k: 1}\nb: {<<: *x, k: 2}", {"a": {"k": 1}, "b": {"k": 2}}),
        ("[" * 25 + "]" * 25, eval("[" * 25 + "]" * 25)),
        ("a: " + "x" * 9_999, {"a": "x" * 9_999}),
    ],
)
def test_ordinary_yaml_is_read(text, value):
    assert parse(text) == value


def test_the_limit_is_far_above_the_longest_configuration():
    from repro.locate import configs

    files = list(configs().rglob("*.yaml"))
    assert files and max(file.stat().st_size for file in files) < CHARACTERS / 10


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (
            "seed=2024-02-30",
            "override 'seed=2024-02-30': the value is not valid YAML: a value that",
        ),
        ("seed=!!bool x", "the value is not valid YAML"),
        ("seed=" + "9" * 5000, "999...: the value is not valid YAML: a value that YAML does not"),
        (".".join(["a"] * 5000) + "=1", "expected key=value, for instance seed=1"),
        ("x" * 5000 + "=1", "xxx...: unknown key"),
        ("seed=" + "[" + "1," * 5000 + "]", "seed: should be a valid integer, got [1, 1, 1"),
        ("name=" + "x" * 9000, "should have at most 60 characters, got 'xxxxx"),
        ("optimiser.learning_rate=.nan", "should be "),
        ("optimiser.learning_rate=.inf", "should be a finite number"),
        ("model={1: 2}", "model"),
        ("model={2024-02-03: 2}", "model"),
        ("base=x", "base: unknown key"),
    ],
)
def test_a_value_of_any_size_is_one_short_line(tmp_path, override, expected):
    file = tmp_path / "run.yaml"
    file.write_text("")
    with pytest.raises(InputError) as caught:
        config.load(file, CIZSLConfig, [override])
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 800


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        (r'"\0"', r"run\.yaml: base: expected the path of one file, got '\\x00'"),
        ("''", "base: expected the path of one file, got ''"),
        ("x" * 5000, "base: expected the path of one file, got 'xxx"),
        ("/dev/zero", r"/dev/zero \(the base of .*run\.yaml\): not a regular file"),
        (".", r"\(the base of .*run\.yaml\): not a regular file"),
        ("x" * 300, r"\(the base of .*\): cannot be read: File name too long"),
    ],
)
def test_a_base_that_is_no_file(tmp_path, base, expected):
    file = tmp_path / "run.yaml"
    file.write_text(f"base: {base}")
    with pytest.raises(InputError, match=expected):
        config.load(file, CIZSLConfig)
