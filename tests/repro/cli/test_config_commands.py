"""``config new`` writes files that are valid, that editors can check, and that say the same."""

import pytest

from cizsl.cli.parser import main
from cizsl.config import CIZSLConfig
from repro import config, locate


def test_a_new_file_says_what_its_source_says(tmp_path, capsys):
    """Every shipped configuration, also those with a base."""
    for name, path in locate.shipped("cizsl").items():
        file = tmp_path / "new" / f"{name}.yaml"
        assert main(["config", "new", str(file), "--from", name, "seed=7"]) == 0
        again = config.load(file, CIZSLConfig)
        assert again == config.load(path, CIZSLConfig, ["seed=7"])
        first, second, *_ = file.read_text().splitlines()
        assert second == path.read_text().splitlines()[1]
        assert first == f"# yaml-language-server: $schema={locate.schema_file('cizsl')}"
    assert f"train it: cizsl train {file}" in capsys.readouterr().out


def test_inside_the_source_tree_the_schema_has_a_relative_path(tmp_path, monkeypatch):
    (tmp_path / "configs" / "schema").mkdir(parents=True)
    monkeypatch.setattr(locate, "configs", lambda: tmp_path / "configs")
    assert main(["config", "new", str(tmp_path / "mine" / "a.yaml"), "seed=3"]) == 0
    assert (tmp_path / "mine" / "a.yaml").read_text() == (
        "# yaml-language-server: $schema=../configs/schema/cizsl.json\n"
        "# A configuration of cizsl.\nseed: 3\n"
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["there.yaml"], "there.yaml: exists already"),
        (["new.txt"], "new.txt: expected a name that ends in .yaml"),
        (["new.yaml", "--from", "toy_cub_esy"], "did you mean 'toy_cub_easy'?"),
        (["new.yaml", "--from", "digits"], "a configuration of sde"),
        (["new.yaml", "sed=1"], "new.yaml: sed: unknown key; did you mean 'seed'?"),
    ],
)
def test_a_refused_file_is_not_written(tmp_path, monkeypatch, capsys, arguments, expected):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.yaml").write_text("seed: 1\n")
    assert main(["config", "new", *arguments]) == 2
    assert expected in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["there.yaml"]
