"""Sweeps: what a list of values, seeds and variants expands to."""

import json
from itertools import product

import pytest
import yaml

from cizsl.config import CIZSLConfig
from cizsl.sweep.plan import alternatives, plan, read_variants, seed_list
from repro.config import load
from repro.errors import InputError
from repro.run_names import default_folder
from tests.cizsl.sweep.sweeps import CONFIG, ROOT, STRICT

ABLATIONS = ROOT / "configs" / "variants" / "ablations.yaml"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a.b=1", ["1"]),
        ("a=0,0.1,1e-4", ["0", "0.1", "1e-4"]),
        ("a=x, y", ["x", "y"]),
        ("a=[0.2,0.8],[0,1]", ["[0.2,0.8]", "[0,1]"]),
        ("a=[0,1]", ["[0,1]"]),
        ("a=[[1,2],[3]],4", ["[[1,2],[3]]", "4"]),
        ("a={b: 1, c: 2},d", ["{b: 1, c: 2}", "d"]),
        ("a='x,y',\"u,[v\"", ["'x,y'", '"u,[v"']),
        ("a=b=c", ["b=c"]),
    ],
)
def test_values_are_split_at_the_outermost_commas(text, values):
    key = text.split("=")[0]
    assert alternatives(text) == [f"{key}={value}" for value in values]


@pytest.mark.parametrize("text", ["a", "a=", "a=1,", "a=1,,2", "a=[1", "a=1],[2", "seed=1,2"])
def test_what_is_no_list_of_values_is_refused(text):
    with pytest.raises(InputError, match=r"expected (key=value|one value|seeds)"):
        alternatives(text)


def test_seeds():
    assert seed_list("0-2,7") == [0, 1, 2, 7] and seed_list("3") == [3]
    for text in ("", "1-", "-1", "a", "1,1", "0-2,1", "3-1", "1.5"):
        with pytest.raises(InputError, match="--seeds"):
            seed_list(text)


@pytest.mark.parametrize("text", ["0-99999999999", "0-9999,20000-29999", "1" * 5000])
def test_seeds_are_counted_before_a_list_is_made(text):
    with pytest.raises(InputError, match=r"at most 10000|--seeds"):
        seed_list(text)


def test_a_plan_is_counted_before_it_is_made():
    values = ",".join(map(str, range(1, 150)))
    with pytest.raises(InputError, match="22201 runs or more, expected at most 10000"):
        plan([CONFIG], [0], [f"model.hidden_dim={values}", f"model.noise_dim={values}"])


def test_shipped_configurations_are_given_by_name(tmp_path):
    (run,) = plan(["toy_cub_easy"], [0], root=tmp_path)
    assert run.folder.settings == load(CONFIG, CIZSLConfig)
    assert run.arguments[:2] == ["train", "toy_cub_easy"]


def test_the_plan_is_every_training_by_hand(tmp_path):
    """Seeds outermost, then files, then values, each in the folder and with the settings of the
    single command."""
    given = ["creativity.weight=0,0.1", "creativity.mixing=[0.2,0.8],[0,1]", "model.noise_dim=7"]
    runs = plan([CONFIG, STRICT], [3, 1], given, root=tmp_path)
    expected = []
    for seed, file, weight, mixing in product(
        (3, 1), (CONFIG, STRICT), ("0", "0.1"), ("[0.2,0.8]", "[0,1]")
    ):
        values = [f"creativity.weight={weight}", f"creativity.mixing={mixing}"]
        values += ["model.noise_dim=7", f"seed={seed}"]
        expected.append(
            (default_folder(file, values, seed, tmp_path), load(file, CIZSLConfig, values))
        )
    assert [(run.folder.path, run.folder.settings) for run in runs] == expected
    assert runs[0].arguments[:2] == ["train", CONFIG] and runs[0].arguments[-1] == "--resume"


def test_variants(tmp_path):
    """Every line of the ablations trains with its name; the rest of the configuration stays."""
    variants = read_variants(ABLATIONS)
    runs = plan([STRICT], [0], ["optimiser.iterations=50"], variants, tmp_path)
    plain = load(STRICT, CIZSLConfig, ["optimiser.iterations=50"]).model_dump()
    for run, (name, values) in zip(
        runs, yaml.safe_load(ABLATIONS.read_text()).items(), strict=True
    ):
        settings = run.folder.settings.model_dump(mode="json")
        expected = json.loads(json.dumps(plain)) | {"name": name}
        expected["creativity"] |= values["creativity"]
        assert settings == expected
    assert len({run.folder.path for run in runs}) == len(runs) == 12
    (tmp_path / "bad.yaml").write_text("a: 1")
    with pytest.raises(InputError, match=r"bad.yaml: a: expected settings"):
        read_variants(tmp_path / "bad.yaml")
    (tmp_path / "bad.yaml").write_text("a: {creativty: {weight: 1}}")
    with pytest.raises(InputError, match=r"override 'creativty.weight=1'.*did you mean"):
        plan([STRICT], [0], [], read_variants(tmp_path / "bad.yaml"), tmp_path)
