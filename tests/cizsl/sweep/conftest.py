"""A configuration for sweeps of a few seconds."""

import pytest
import yaml


@pytest.fixture
def small(toy, tmp_path):
    """A configuration whose training takes a second."""
    file = tmp_path / "small.yaml"
    settings = {
        "data": {"root": str(toy)},
        "model": {"noise_dim": 8, "text_embed_dim": 8, "hidden_dim": 16},
        "optimiser": {"batch_size": 64, "iterations": 6},
        "evaluation": {"protocol": "reference", "every": 2, "start": 2, "samples": 5},
    }
    file.write_text(yaml.safe_dump(settings))
    return str(file)
