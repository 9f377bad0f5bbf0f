"""Configuration: precedence, and one line for each kind of mistake."""

from pathlib import Path
from typing import ClassVar

import pytest
import yaml

from cizsl.config import CIZSLConfig
from repro import config
from repro.errors import InputError
from sde.config.run import SDEConfig

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
MODELS = {"cizsl": CIZSLConfig, "sde": SDEConfig}
SHIPPED = sorted(path for half in MODELS for path in (CONFIGS / half).glob("*/*.yaml"))


def write(folder, name="run.yaml", text=""):
    path = folder / name
    path.write_text(text)
    return path


def test_precedence(tmp_path):
    """defaults < base < file < override, section by section."""
    write(tmp_path, "below.yaml", "seed: 3\noptimiser: {iterations: 50, batch_size: 7}\n")
    path = write(tmp_path, text="base: below.yaml\noptimiser: {batch_size: 8}\n")
    loaded = config.load(path, CIZSLConfig, ["optimiser.learning_rate=1e-3"])
    assert (loaded.seed, loaded.optimiser.iterations) == (3, 50)
    assert (loaded.optimiser.batch_size, loaded.optimiser.learning_rate) == (8, 0.001)
    assert loaded.optimiser.critic_steps == CIZSLConfig().optimiser.critic_steps
    with pytest.raises(Exception, match="frozen"):
        loaded.seed = 4


def test_dump_reads_back(tmp_path):
    loaded = config.load(write(tmp_path, text="data: {split: hard}"), CIZSLConfig)
    assert config.load(write(tmp_path, text=config.dump(loaded)), CIZSLConfig) == loaded


@pytest.mark.parametrize(
    ("text", "overrides", "expected"),
    [
        ("sed: 1", [], r"run.yaml: sed: unknown key; did you mean 'seed'\?"),
        ("optimiser: {batchsize: 5}", [], r"optimiser.batchsize: unknown key; did you mean 'opt"),
        ("batch_size: 5", [], r"batch_size: unknown key; did you mean 'optimiser.batch_size'\?"),
        ("seed: high", [], r"run.yaml: seed: should be a valid integer.*got 'high'"),
        ("seed: -1", [], r"seed: should be greater than or equal to 0, got -1"),
        (
            "creativity: {alpha: -1}",
            [],
            r"creativity.alpha: should be greater than 0.* or .*learned",
        ),
        ("data: {dataset: a/b}", [], r"data.dataset: String should match pattern .*, got 'a/b'"),
        ("data: {layout: hdf5}", [], r"data.layout: unknown layout 'hdf5'; known: published, npz"),
        ("creativity: {mixing: [0.8, 0.2]}", [], r"creativity: mixing: expected low <= high"),
        (
            "search: {creativity.weight: [1, 0, 1]}",
            [],
            r"search: creativity.weight: expected different candidates",
        ),
        ("creativity: {weight: [0.1]}", [], r"creativity.weight: expected one number; candidates"),
        (
            "search: {creativity.weight: [0, 1]}\nevaluation: {protocol: reference}",
            [],
            r"search: validation classes choose among candidates, and the reference protocol",
        ),
        ("optimiser: {iterations: 10}", [], r"evaluation.start: the first evaluation would be"),
        (
            "seed: 1\nseed: 2",
            [],
            r"run.yaml: not valid YAML: the key 'seed' stands here twice \(line 2, column 1\)",
        ),
        (
            "model: {xyzzy: 1}",
            [],
            r"model.xyzzy: unknown key; known: model.noise_dim, model.text_",
        ),
        ("training: {x: 1}", [], r"training: unknown key; known: name, seed, data, "),
        ("creativity: 3", [], r"creativity: is a section, .* creativity.weight, .*, got 3"),
        ("creativity: {weight: -1}", [], r"equal to 0, got -1$"),
        ("base: [a, b]", [], r"base: expected the path of one file, got \['a', 'b'\]"),
        ("base: rum.yaml", [], r"No such file or directory; did you mean .*run.yaml\?"),
        ("seed: [1", [], r"run.yaml: not valid YAML"),
        ("- 1", [], r"expected 'key: value' lines"),
        ("seed: !!python/object/apply:os.getcwd []", [], r"not valid YAML.*constructor"),
        ("", ["seed"], r"override 'seed': expected key=value"),
        ("", ["seed=[1"], r"override 'seed=\[1': the value is not valid YAML"),
        ("", ["optimiser.lr=1"], r"override 'optimiser.lr=1': optimiser.lr: unknown key"),
        ("seed: 18446744073709551616", [], r"seed: should be less than 9223372036854775808"),
        ("", ["seed.x=3"], r"override 'seed.x=3': seed: should be a valid integer"),
        ("", ["seed=" + "[" * 3000], r"the value is not valid YAML"),
        ("base: none.yaml", [], r"none.yaml \(the base of .*run.yaml\): cannot be read"),
    ],
)
def test_each_mistake_is_one_line(tmp_path, text, overrides, expected):
    with pytest.raises(InputError, match=expected) as caught:
        config.load(write(tmp_path, text=text), CIZSLConfig, overrides)
    assert "\n" not in str(caught.value)


def test_a_mistake_in_the_base_names_the_base(tmp_path):
    write(tmp_path, "below.yaml", "creativty: {weight: 1}\noptimiser: {iterations: 0}\n")
    path = write(tmp_path, text="base: below.yaml\noptimiser: {batch_size: -1}\n")
    with pytest.raises(InputError) as caught:
        config.load(path, CIZSLConfig)
    lines = str(caught.value).split("; ")
    for file, key in (("run.yaml", "batch_size"), ("below.yaml", "iterations")):
        assert any(f"{file}: optimiser.{key}: should be greater than 0" in line for line in lines)
    assert any("below.yaml: creativty: unknown key" in line for line in lines)


class Speed(config.Settings):
    """A section two of whose keys have had other names."""

    RENAMED: ClassVar = {"warm_up": "warmup_steps", "clip": "limits.norm"}
    warmup_steps: int = 5


class Limits(config.Settings):
    """A section that may be absent."""

    RENAMED: ClassVar = {"size": "norm"}
    norm: float = 1.0


class Renaming(config.Settings):
    """A configuration whose section ``speed`` was once ``velocity``."""

    RENAMED: ClassVar = {"velocity": "speed"}
    speed: Speed = Speed()
    limits: Limits | None = None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("speed: {warm_up: 3}", r"run.yaml: speed.warm_up: renamed: write speed.warmup_steps$"),
        ("speed: {clip: 3}", r"run.yaml: speed.clip: renamed: write limits.norm$"),
        ("limits: {size: 3}", r"run.yaml: limits.size: renamed: write limits.norm$"),
        ("velocity: {warm_up: 3}", r"run.yaml: velocity: renamed: write speed$"),
        ("limits: {norn: 3}", r"limits.norn: unknown key; did you mean 'limits.norm'\?$"),
    ],
)
def test_an_old_key_is_refused_with_its_new_name(tmp_path, text, expected):
    with pytest.raises(InputError, match=expected):
        config.load(write(tmp_path, text=text), Renaming)


def test_only_one_level_of_base(tmp_path):
    write(tmp_path, "a.yaml", "base: b.yaml")
    write(tmp_path, "b.yaml", "seed: 1")
    with pytest.raises(InputError, match=r"base of its own, 'b\.yaml'; one level"):
        config.load(write(tmp_path, text="base: a.yaml"), CIZSLConfig)


def test_a_file_of_the_other_half_is_told_in_few_lines():
    with pytest.raises(InputError) as caught:
        config.load(CONFIGS / "sde" / "images" / "digits_long.yaml", CIZSLConfig)
    assert len(caught.value.problems) == 6
    assert caught.value.problems[-1].endswith("digits_long.yaml: 3 more mistakes like these")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_shipped_files(path):
    """Each is valid, short, and names the schema and its purpose."""
    half, lines = path.parents[1].name, path.read_text().splitlines()
    assert config.load(path, MODELS[half])
    assert lines[0] == f"# yaml-language-server: $schema=../../schema/{half}.json"
    assert lines[1].startswith("# ") and len(lines) <= 30
    base = yaml.safe_load(path.read_text()).get("base")
    assert base is None or (path.parent / base).exists()


@pytest.mark.parametrize("half", MODELS)
def test_shipped_schemas_are_current(half):
    assert (CONFIGS / "schema" / f"{half}.json").read_text() == config.schema(MODELS[half]), (
        f"run: {half} config schema > configs/schema/{half}.json"
    )


@pytest.mark.parametrize(
    ("cell", "weight"), [("cub_easy", 1e-4), ("cub_hard", 0.1), ("nab_easy", 1), ("nab_hard", 0.1)]
)
def test_published_cells_hold_the_published_numbers(cell, weight):
    loaded = config.load(CONFIGS / "cizsl" / "birds" / f"{cell}.yaml", CIZSLConfig)
    optimiser, loss, creativity = loaded.optimiser, loaded.loss, loaded.creativity
    assert (optimiser.learning_rate, optimiser.betas) == (1e-4, (0.5, 0.9))
    assert (optimiser.divergence_betas, optimiser.batch_size) == ((0.5, 0.999), 1000)
    assert (optimiser.iterations, optimiser.critic_steps) == (3001, 5)
    assert (loss.gradient_penalty, loss.pivot, loss.l2, loss.l21) == (10, 1, 1e-3, 1e-4)
    assert (creativity.weight, creativity.form) == (weight, "published")
    assert (creativity.alpha, creativity.beta, creativity.mixing) == (
        "learned",
        "learned",
        (0.2, 0.8),
    )
    model, evaluation = loaded.model, loaded.evaluation
    assert (model.noise_dim, model.text_embed_dim, model.hidden_dim) == (100, 1000, 4086)
    assert (evaluation.samples, evaluation.neighbours, evaluation.every) == (60, 20, 10)
    assert evaluation.protocol == "reference"
    # 298 evaluations of the test classes, as the published loop makes them
    assert len([i for i in range(3001) if i % 10 == 0 and i >= evaluation.start]) == 298
